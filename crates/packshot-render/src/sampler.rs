//! A low-discrepancy sampler: the (0, 2) sequence of Sobol's first two dimensions, Owen-scrambled
//! and shuffled by hashes for each pixel and pair of dimensions (Burley, "Practical hash-based
//! Owen scrambling", JCGT 2020). Integers alone decide, so every machine draws the same numbers.

/// Pairs of dimensions before those of the first surface.
pub(crate) const PAIR_PIXEL: u32 = 0;
pub(crate) const PAIR_LENS: u32 = 1;
/// The first pair of bounce 0.
const PAIR_FIRST: u32 = 2;
/// Pairs that a bounce takes.
const PAIRS_A_BOUNCE: u32 = 3;
/// Of a bounce: lobe and direction, which light and the place on it, roulette. A choice takes its
/// share of a pair's first number and hands the rest on, which keeps the pair's even spread.
pub(crate) const PAIR_DIRECTION: u32 = 0;
pub(crate) const PAIR_LIGHT: u32 = 1;
pub(crate) const PAIR_ROULETTE: u32 = 2;

/// A well-mixed hash (Wang–Jenkins family; constants by Ellis, "prospecting for hash functions").
#[inline(always)]
pub(crate) fn hash(mut x: u32) -> u32 {
    x ^= x >> 16;
    x = x.wrapping_mul(0x7feb_352d);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

#[inline(always)]
pub(crate) fn hash_combine(seed: u32, value: u32) -> u32 {
    hash(seed ^ value.wrapping_mul(0x9e37_79b9).wrapping_add(0x85eb_ca6b))
}

/// A permutation where each bit depends on lower bits alone (Laine & Karras 2011, constants of
/// Burley 2020): an Owen scramble of numbers whose bits are reversed.
#[inline(always)]
fn laine_karras(mut x: u32, seed: u32) -> u32 {
    x = x.wrapping_add(seed);
    x ^= x.wrapping_mul(0x6c50_b47c);
    x ^= x.wrapping_mul(0xb82f_1e52);
    x ^= x.wrapping_mul(0xc7af_e638);
    x ^ x.wrapping_mul(0x8d22_f6e6)
}

/// The generator matrix of Sobol's second dimension, which is Pascal's triangle modulo 2, as the
/// product of five sparse factors (it is a Kronecker power).
#[inline(always)]
fn pascal(mut x: u32) -> u32 {
    x ^= (x >> 1) & 0x5555_5555;
    x ^= (x >> 2) & 0x3333_3333;
    x ^= (x >> 4) & 0x0f0f_0f0f;
    x ^= (x >> 8) & 0x00ff_00ff;
    x ^ ((x >> 16) & 0x0000_ffff)
}

#[inline(always)]
fn unit(bits: u32) -> f32 {
    (bits >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// The numbers of one path.
#[derive(Clone, Copy)]
pub(crate) struct Sampler {
    /// Seed of the pixel.
    pub(crate) pixel: u32,
    /// Index of the path in its pixel, with its bits reversed.
    reversed: u32,
}

impl Sampler {
    #[inline(always)]
    pub(crate) fn new(x: u32, y: u32, index: u32, seed: u32) -> Self {
        let pixel = hash_combine(hash_combine(hash(seed), x), y);
        Self {
            pixel,
            reversed: index.reverse_bits(),
        }
    }

    /// Two numbers in [0, 1) for a pair of dimensions.
    #[inline(always)]
    pub(crate) fn pair(&self, pair: u32) -> [f32; 2] {
        let seed = hash_combine(self.pixel, pair);
        let index = laine_karras(self.reversed, seed).reverse_bits();
        let x = laine_karras(index, hash(seed ^ 0x68bc_21eb)).reverse_bits();
        let y = laine_karras(pascal(index), hash(seed ^ 0x02e5_be93)).reverse_bits();
        [unit(x), unit(y)]
    }

    /// [`pair`](Self::pair) number `pair` of a bounce.
    #[inline(always)]
    pub(crate) fn bounce_pair(&self, bounce: u32, pair: u32) -> [f32; 2] {
        self.pair(PAIR_FIRST + bounce * PAIRS_A_BOUNCE + pair)
    }

    /// A number that decides whether a ray of this path is stopped by a surface that is partly
    /// transparent.
    #[inline(always)]
    pub(crate) fn coverage(&self, ray: u32, triangle: u32) -> f32 {
        let seed = hash_combine(self.pixel ^ self.reversed, ray);
        unit(hash_combine(seed, triangle))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_of_points_are_a_net() {
        // Each elementary interval of area 1/64 holds one of 64 points, for any pixel and pair.
        for (pixel, pair) in [(0, 0), (17, 5)] {
            let points: Vec<[f32; 2]> = (0..64)
                .map(|i| Sampler::new(pixel, 3, i, 9).pair(pair))
                .collect();
            for log_x in 0..=6 {
                let (nx, ny) = (1 << log_x, 64 >> log_x);
                let mut cells = vec![0; 64];
                for [x, y] in &points {
                    let cell = (x * nx as f32) as usize * ny + (y * ny as f32) as usize;
                    cells[cell] += 1;
                }
                assert!(cells.iter().all(|&n| n == 1), "{nx} by {ny}");
            }
        }
    }

    #[test]
    fn the_second_dimension_is_sobols() {
        let second: Vec<f32> = (0..8).map(|i| unit(pascal(i).reverse_bits())).collect();
        let sobol = [0.0, 0.5, 0.75, 0.25, 0.625, 0.125, 0.375, 0.875];
        assert_eq!(second, sobol);
    }

    #[test]
    fn pixels_and_pairs_are_independent() {
        let mean = |f: &dyn Fn(u32) -> f32| (0..4096).map(f).sum::<f32>() / 4096.0;
        let other = |i: u32| {
            let a = Sampler::new(i, 0, 0, 1).pair(0)[0] - 0.5;
            let b = Sampler::new(i + 1, 0, 0, 1).pair(0)[0] - 0.5;
            let c = Sampler::new(i, 0, 0, 1).pair(1)[0] - 0.5;
            12.0 * a * (b + c)
        };
        assert!(mean(&other).abs() < 0.07);
    }
}
