//! Where several rays of a pixel go through it, and what they come to together.

use super::render::Pixel;

/// Rays of a pixel at most.
pub(super) const MOST_RAYS: usize = 64;

/// Places within a pixel of side 1 for `count` rays: Hammersley's points, with both coordinates in
/// the middles of `count` strips, so that their mean is the pixel's centre. One ray goes through
/// the centre.
pub(super) fn places(count: usize) -> Vec<[f64; 2]> {
    let count = count.clamp(1, MOST_RAYS);
    // The strips down the picture in the order of the numbers' reversed bits.
    let mut order: Vec<u32> = (0..count as u32).collect();
    order.sort_by_key(|i| i.reverse_bits());
    let middle = |i: f64| (i + 0.5) / count as f64;
    let across = order.iter().enumerate();
    across
        .map(|(x, y)| [middle(x as f64), middle(f64::from(*y))])
        .collect()
}

impl Pixel {
    /// The pixel of some rays: means of colour and opacity, and the (lower) median of distances.
    pub(super) fn mean(rays: &[Pixel]) -> Pixel {
        let share = 1.0 / rays.len().max(1) as f32;
        let mut distances: Vec<f32> = rays.iter().map(|r| r.distance).collect();
        distances.sort_by(f32::total_cmp);
        let middle = distances.len().saturating_sub(1) / 2;
        let mut mean = Pixel {
            distance: distances.get(middle).copied().unwrap_or(f32::INFINITY),
            ..Pixel::default()
        };
        for ray in rays {
            mean.opacity += share * ray.opacity;
            for c in 0..3 {
                mean.rgb[c] += share * ray.rgb[c];
            }
        }
        mean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_spread_around_the_centre() {
        assert_eq!(places(0), [[0.5; 2]]);
        assert_eq!(places(1), [[0.5; 2]]);
        assert_eq!(places(2), [[0.25; 2], [0.75; 2]]);
        for count in 1..=MOST_RAYS {
            let places = places(count);
            for c in 0..2 {
                let mean = places.iter().map(|p| p[c]).sum::<f64>() / count as f64;
                assert!((mean - 0.5).abs() < 1e-12, "{count}");
                let mut strips: Vec<usize> = places
                    .iter()
                    .map(|p| (p[c] * count as f64) as usize)
                    .collect();
                strips.sort_unstable();
                assert!(strips.into_iter().eq(0..count));
            }
        }
        // A quarter of the places lies in each quarter of the pixel.
        let quarters = places(16).iter().fold([0; 4], |mut n, p| {
            n[usize::from(p[0] > 0.5) + 2 * usize::from(p[1] > 0.5)] += 1;
            n
        });
        assert_eq!(quarters, [4; 4]);
    }

    #[test]
    fn a_pixel_is_the_mean_of_its_rays() {
        let ray = |v: f32, distance| Pixel {
            rgb: [v, 0.0, 1.0],
            opacity: v,
            distance,
        };
        let mean = Pixel::mean(&[ray(1.0, 2.0), ray(0.0, f32::INFINITY), ray(0.5, 9.0)]);
        assert!((mean.rgb[0] - 0.5).abs() < 1e-6 && (mean.opacity - 0.5).abs() < 1e-6);
        assert_eq!(mean.distance, 9.0);
        let one = ray(0.3, 4.0);
        assert_eq!(Pixel::mean(&[one]), one);
    }
}
