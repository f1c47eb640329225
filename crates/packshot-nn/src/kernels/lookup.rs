//! Reading feature maps between their cells.

use super::parallel::{self, Shared};

/// The four cells around a place and their shares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Taps {
    /// Cells, row-major over all maps of the batch.
    pub(crate) cells: [u32; 4],
    /// Shares, which sum to one.
    pub(crate) shares: [f32; 4],
}

/// Taps of `places`, the same number for each of `batch` maps of `height` × `width` cells. A place is
/// (right, down) as shares of the map's sides; outside the centres of the outermost cells, these
/// are read.
pub(crate) fn taps(places: &[[f32; 2]], batch: usize, height: usize, width: usize) -> Vec<Taps> {
    let each = (places.len() / batch.max(1)).max(1);
    let axis = |share: f32, cells: usize| {
        let last = cells.saturating_sub(1);
        let at = (share * cells as f32 - 0.5).clamp(0.0, last as f32);
        // Also where the place is no number, for which the cast gives cell 0.
        let low = (at as usize).min(last);
        let part = if at.is_finite() { at - low as f32 } else { 0.0 };
        (low, (low + 1).min(last), part)
    };
    let read = |(i, place): (usize, &[f32; 2])| {
        let first = i / each * height * width;
        let (x0, x1, fx) = axis(place[0], width);
        let (y0, y1, fy) = axis(place[1], height);
        let cell = |x: usize, y: usize| (first + y * width + x) as u32;
        Taps {
            cells: [cell(x0, y0), cell(x1, y0), cell(x0, y1), cell(x1, y1)],
            shares: [
                (1.0 - fx) * (1.0 - fy),
                fx * (1.0 - fy),
                (1.0 - fx) * fy,
                fx * fy,
            ],
        }
    };
    places.iter().enumerate().map(read).collect()
}

/// Rows of one task.
const ROWS: usize = 256;

/// `out` `[taps, C]` from `maps` `[.., C]`.
///
/// # Panics
/// When a tap lies outside the maps or `out` has another size.
pub(crate) fn read(maps: &[f32], channels: usize, taps: &[Taps], out: &mut [f32]) {
    assert_eq!(out.len(), taps.len() * channels);
    let out = Shared::new(out);
    let tasks = taps.len().div_ceil(ROWS);
    parallel::for_each(tasks, 8 * taps.len() * channels, |task| {
        let first = task * ROWS;
        let own = &taps[first..(first + ROWS).min(taps.len())];
        // SAFETY: every task writes its own rows.
        let out = unsafe { out.part(first * channels, own.len() * channels) };
        for (out, tap) in out.chunks_exact_mut(channels).zip(own) {
            let [a, b, c, d] = tap
                .cells
                .map(|cell| &maps[cell as usize * channels..][..channels]);
            let s = tap.shares;
            for (i, out) in out.iter_mut().enumerate() {
                *out = s[0] * a[i] + s[1] * b[i] + s[2] * c[i] + s[3] * d[i];
            }
        }
    });
}

/// Adds the gradient `grad` `[taps, C]` of what was read to the gradient of `maps`, whose `batch`
/// maps have the same number of taps each.
///
/// # Panics
/// When a tap lies outside its map or `grad` has another size.
pub(crate) fn read_backward(
    grad: &[f32],
    channels: usize,
    taps: &[Taps],
    batch: usize,
    maps: &mut [f32],
) {
    assert_eq!(grad.len(), taps.len() * channels);
    let (each, size) = (taps.len() / batch.max(1), maps.len() / batch.max(1));
    let shared = Shared::new(maps);
    parallel::for_each(batch, 8 * grad.len(), |entry| {
        // SAFETY: every task writes its own map.
        let map = unsafe { shared.part(entry * size, size) };
        let own = &taps[entry * each..(entry + 1) * each];
        let grad = &grad[entry * each * channels..(entry + 1) * each * channels];
        for (grad, tap) in grad.chunks_exact(channels).zip(own) {
            for (&cell, share) in tap.cells.iter().zip(tap.shares) {
                let at = cell as usize * channels - entry * size;
                for (out, grad) in map[at..at + channels].iter_mut().zip(grad) {
                    *out += share * grad;
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn centres_read_their_cell_and_edges_the_outermost() {
        let tap = |place| taps(&[place], 1, 2, 4)[0];
        let mut out = [0.0];
        let map: Vec<f32> = (0..8).map(|i| i as f32).collect();
        for (place, want) in [
            ([0.125, 0.25], 0.0),
            ([0.375, 0.75], 5.0),
            ([0.25, 0.25], 0.5),
            ([0.25, 0.5], 2.5),
            ([-3.0, 0.25], 0.0),
            ([9.0, 9.0], 7.0),
            ([f32::NAN, f32::INFINITY], 4.0),
        ] {
            read(&map, 1, &[tap(place)], &mut out);
            assert_eq!(out[0], want, "{place:?}");
        }
    }
}
