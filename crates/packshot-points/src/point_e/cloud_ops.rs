//! What Point-E does with clouds beside its networks.

use packshot_core::{Error, Result};
use packshot_geometry::nearest::KdTree;

/// The mean of `channel` over all points that are nearest to each of the `chosen` points, as the
/// reference's `subsample(average_neighbors=True)` has it. A chosen point counts for itself.
///
/// # Errors
/// `BadInput` when `channel` is not as long as `positions`, or an index is not in it.
pub fn average_neighbours(
    positions: &[[f32; 3]],
    chosen: &[usize],
    channel: &[f32],
) -> Result<Vec<f32>> {
    let samples: Option<Vec<[f32; 3]>> =
        chosen.iter().map(|&i| positions.get(i).copied()).collect();
    let samples = samples.ok_or_else(|| Error::bad_input("a sample is not in the cloud"))?;
    if channel.len() != positions.len() {
        return Err(Error::bad_input("a channel has one value for each point"));
    }
    let tree = KdTree::new(&samples);
    let mut owner: Vec<Option<usize>> = tree
        .nearest_to_each(positions)
        .into_iter()
        .map(|found| found.map(|n| n.index))
        .collect();
    for (sample, &index) in chosen.iter().enumerate() {
        owner[index] = Some(sample);
    }
    let mut sums = vec![(0.0f64, 0u32); samples.len()];
    for (owner, &value) in owner.into_iter().zip(channel) {
        if let Some((sum, count)) = owner.and_then(|o| sums.get_mut(o)) {
            *sum += f64::from(value);
            *count += 1;
        }
    }
    // A point that was chosen twice belongs to the last; the first then keeps its own value.
    let mean = |((sum, count), &index): ((f64, u32), &usize)| match count {
        0 => channel[index],
        n => (sum / f64::from(n)) as f32,
    };
    Ok(sums.into_iter().zip(chosen).map(mean).collect())
}

/// Colours in 0..=1 as the levels that the networks are given: rounded to even halves at 255.
pub fn colour_levels(colours: &[f32]) -> Vec<f32> {
    colours
        .iter()
        .map(|v| (v * 255.0).round_ties_even())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_count_for_the_nearest_sample() {
        let positions = [[0.0; 3], [0.1, 0.0, 0.0], [1.0, 0.0, 0.0], [0.7, 0.0, 0.0]];
        let means = average_neighbours(&positions, &[0, 2], &[1.0, 3.0, 10.0, 20.0]).unwrap();
        assert_eq!(means, [2.0, 15.0]);
        // Equal places: each sample keeps itself.
        let means = average_neighbours(&[[0.0; 3]; 3], &[0, 2], &[1.0, 2.0, 4.0]).unwrap();
        assert_eq!(means[1], 4.0);
        assert!(average_neighbours(&positions, &[9], &[0.0; 4]).is_err());
        assert!(average_neighbours(&positions, &[0], &[0.0; 3]).is_err());
    }

    #[test]
    fn levels_are_rounded_to_even_halves() {
        assert_eq!(colour_levels(&[0.5, 1.0, 0.0]), [128.0, 255.0, 0.0]);
    }
}
