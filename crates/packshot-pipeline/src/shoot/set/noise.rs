//! Value noise that repeats, for textures. Fixed here: a texture is the same everywhere.

/// A number in [0, 1) of a lattice point.
fn lattice(x: i32, y: i32, seed: u32) -> f32 {
    let mut h = (x as u32).wrapping_mul(0x8da6_b343) ^ (y as u32).wrapping_mul(0xd816_3841);
    h ^= seed.wrapping_mul(0xcb1a_b31f);
    h ^= h >> 16;
    h = h.wrapping_mul(0x7feb_352d);
    h ^= h >> 15;
    h = h.wrapping_mul(0x846c_a68b);
    h ^= h >> 16;
    (h >> 8) as f32 / (1u32 << 24) as f32
}

/// A number in [0, 1) of a whole number.
pub(super) fn random(index: i32, seed: u32) -> f32 {
    lattice(index, 77, seed)
}

/// Smooth noise in [0, 1] at (u, v) that repeats after `cells` lattice cells, for u and v in
/// [0, 1).
pub(super) fn value(u: f32, v: f32, cells: [i32; 2], seed: u32) -> f32 {
    let (x, y) = (u * cells[0] as f32, v * cells[1] as f32);
    let (x0, y0) = (x.floor(), y.floor());
    let smooth = |t: f32| t * t * t * (t * (t * 6.0 - 15.0) + 10.0);
    let (tx, ty) = (smooth(x - x0), smooth(y - y0));
    let at = |dx: i32, dy: i32| {
        let wrap = |i: f32, d: i32, n: i32| (i as i32 + d).rem_euclid(n.max(1));
        lattice(wrap(x0, dx, cells[0]), wrap(y0, dy, cells[1]), seed)
    };
    let mix = |a: f32, b: f32, t: f32| a + (b - a) * t;
    mix(mix(at(0, 0), at(1, 0), tx), mix(at(0, 1), at(1, 1), tx), ty)
}

/// Octaves of [`value`], each twice as fine and half as strong; in [0, 1].
pub(super) fn octaves(u: f32, v: f32, cells: [i32; 2], count: u32, seed: u32) -> f32 {
    let (mut sum, mut weight, mut total) = (0.0, 0.5, 0.0);
    for octave in 0..count {
        let scaled = cells.map(|c| c << octave);
        sum += weight * value(u, v, scaled, seed + octave);
        total += weight;
        weight *= 0.5;
    }
    sum / total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_repeats_and_fills_its_range() {
        let mut range = (1.0f32, 0.0f32);
        for i in 0..400 {
            let v = i as f32 / 400.0;
            for (u, other) in [(0.0, 1.0 - 1e-6), (1e-7, 0.999_999)] {
                let jump = octaves(u, v, [4, 8], 3, 5) - octaves(other, v, [4, 8], 3, 5);
                assert!(jump.abs() < 1e-3);
            }
            let n = value(v, 0.37, [50, 7], 2);
            range = (range.0.min(n), range.1.max(n));
        }
        assert!(range.0 >= 0.0 && range.0 < 0.15 && range.1 > 0.85 && range.1 <= 1.0);
    }
}
