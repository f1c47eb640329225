//! Reading and training a grid: trilinear interpolation of eight entries, and its transpose.

use super::Level;
use packshot_core::cpu_level;
use packshot_simd::{Portable, Simd, multiversion};

/// Samples whose corners are computed together.
const GROUP: usize = 16;

/// The corners of the cell that a position lies in. Corner `k` is on the upper side along x, y, z
/// where bit 0, 1, 2 of `k` is set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Corners {
    /// Entries within the level.
    pub entries: [u32; 8],
    /// Trilinear weights.
    pub weights: [f32; 8],
}

impl Corners {
    /// Of a position in the unit cube.
    pub fn of(level: &Level, x: [f32; 3]) -> Self {
        let mut group = Group::default();
        let clamped = x.map(|v| [clamp_unit(v); GROUP]);
        group.find::<Portable>(level, &clamped);
        Self {
            entries: std::array::from_fn(|k| group.entries[k][0]),
            weights: std::array::from_fn(|k| group.weights[k][0]),
        }
    }
}

/// NaN and everything outside go to the unit cube, so that no entry outside the level is read.
#[inline(always)]
fn clamp_unit(v: f32) -> f32 {
    if v > 0.0 {
        if v < 1.0 { v } else { 1.0 }
    } else {
        0.0
    }
}

struct Group {
    entries: [[u32; GROUP]; 8],
    weights: [[f32; GROUP]; 8],
    /// How far into its cell each position lies along x, y and z, from 0 to 1.
    upper: [[f32; GROUP]; 3],
}

impl Default for Group {
    fn default() -> Self {
        Self {
            entries: [[0; GROUP]; 8],
            weights: [[0.0; GROUP]; 8],
            upper: [[0.0; GROUP]; 3],
        }
    }
}

impl Group {
    /// Corners of positions that lie in the unit cube.
    #[inline(always)]
    fn find<V: Simd>(&mut self, level: &Level, x: &[[f32; GROUP]; 3]) {
        let mut cell = [[0u32; GROUP]; 3];
        let mut upper = [[0.0f32; GROUP]; 3];
        for c in 0..3 {
            for i in 0..GROUP {
                let p = fine::<V>(x[c][i], level.scale, level.shift);
                // Not negative, so that cutting is rounding down; below 2³¹ by the shape's limits.
                let whole = p as i32;
                cell[c][i] = whole as u32;
                // Again from the start: `p` itself has lost the digits that its whole part took.
                upper[c][i] = fine::<V>(x[c][i], level.scale, level.shift - whole as f32);
            }
        }
        self.upper = upper;
        let size = level.size as u32;
        for k in 0..8 {
            for i in 0..GROUP {
                let [x, y, z]: [u32; 3] = [0, 1, 2].map(|c| cell[c][i] + (k as u32 >> c & 1));
                let entry = if level.dense {
                    // A vertex outside the lattice (staggered, at the far faces) wraps around.
                    let entry = x + y * level.side + z * level.side * level.side;
                    if entry < size { entry } else { entry - size }
                } else {
                    // The table of a hashed level is a power of two.
                    (x ^ y.wrapping_mul(2_654_435_761) ^ z.wrapping_mul(805_459_861)) & (size - 1)
                };
                self.entries[k][i] = entry;
                let side = |c: usize| {
                    let up = upper[c][i];
                    if k >> c & 1 == 1 { up } else { 1.0 - up }
                };
                self.weights[k][i] = side(0) * side(1) * side(2);
            }
        }
    }

    /// Loads up to [`GROUP`] positions from `first` on and finds their corners.
    #[inline(always)]
    fn load<V: Simd>(&mut self, level: &Level, positions: &[&[f32]; 3], first: usize) -> usize {
        let n = GROUP.min(positions[0].len() - first);
        let mut x = [[0.0f32; GROUP]; 3];
        for (x, from) in x.iter_mut().zip(positions) {
            for (x, from) in x.iter_mut().zip(&from[first..first + n]) {
                *x = clamp_unit(*from);
            }
        }
        self.find::<V>(level, &x);
        n
    }
}

/// `a · b + c`, rounded once where the instruction set can.
#[inline(always)]
fn fma<V: Simd>(a: f32, b: f32, c: f32) -> f32 {
    if V::SUMS >= 12 {
        a.mul_add(b, c)
    } else {
        a * b + c
    }
}

/// `a · b + c`, rounded once.
#[inline(always)]
fn fine<V: Simd>(a: f32, b: f32, c: f32) -> f32 {
    if V::SUMS >= 12 {
        a.mul_add(b, c)
    } else {
        (f64::from(a) * f64::from(b) + f64::from(c)) as f32
    }
}

/// Features of positions in the unit cube (one slice a coordinate), level by level: those of
/// position `i` start at `out[i · stride]`.
///
/// # Panics
/// When slices are too short, or `features` is not 1, 2, 4 or 8.
pub fn encode(
    levels: &[Level],
    features: usize,
    table: &[f32],
    positions: [&[f32]; 3],
    out: &mut [f32],
    stride: usize,
) {
    let n = positions[0].len();
    assert!(positions.iter().all(|p| p.len() == n) && stride >= levels.len() * features);
    assert!(n == 0 || out.len() >= (n - 1) * stride + levels.len() * features);
    check_table(levels, features, table.len());
    let level = cpu_level();
    // SAFETY: entries lie within their level by construction, the levels within the table, the
    // rows within `out`; the instruction set is the machine's.
    unsafe {
        match features {
            1 => encode_f::<1>(level, levels, table, positions, out, stride),
            2 => encode_f::<2>(level, levels, table, positions, out, stride),
            4 => encode_f::<4>(level, levels, table, positions, out, stride),
            _ => encode_f::<8>(level, levels, table, positions, out, stride),
        }
    }
}

fn check_table(levels: &[Level], features: usize, floats: usize) {
    assert!(
        matches!(features, 1 | 2 | 4 | 8),
        "{features} features an entry"
    );
    for level in levels {
        assert!((level.offset + level.size) * features <= floats);
        let side = level.side as usize;
        assert!(if level.dense {
            side.pow(3) <= level.size && side > 1
        } else {
            level.size.is_power_of_two()
        });
        assert!(level.scale >= 0.0 && level.scale <= (1 << 24) as f32);
    }
}

multiversion! {
    fn encode_f<const F: usize>(levels: &[Level], table: &[f32], positions: [&[f32]; 3], out: &mut [f32], stride: usize) = encode_v;
}

#[inline(always)]
unsafe fn encode_v<V: Simd, const F: usize>(
    levels: &[Level],
    table: &[f32],
    positions: [&[f32]; 3],
    out: &mut [f32],
    stride: usize,
) {
    let mut group = Group::default();
    for first in (0..positions[0].len()).step_by(GROUP) {
        for (l, level) in levels.iter().enumerate() {
            let n = group.load::<V>(level, &positions, first);
            let entries = table[level.offset * F..].as_ptr();
            for i in 0..n {
                let mut sum = [0.0f32; F];
                for k in 0..8 {
                    // SAFETY: the caller checked the table; entries are below the level's size.
                    let entry = unsafe {
                        &*entries
                            .add(group.entries[k][i] as usize * F)
                            .cast::<[f32; F]>()
                    };
                    for f in 0..F {
                        sum[f] = fma::<V>(group.weights[k][i], entry[f], sum[f]);
                    }
                }
                let at = (first + i) * stride + l * F;
                // SAFETY: the caller checked that every row fits.
                unsafe {
                    out.as_mut_ptr()
                        .add(at)
                        .cast::<[f32; F]>()
                        .write_unaligned(sum)
                };
            }
        }
    }
}

/// Adds the gradient of one level's entries: `cot` holds `features` numbers a position, and
/// `gradient` is that level's part of the table.
///
/// # Panics
/// As [`encode`].
pub fn scatter(
    level: &Level,
    features: usize,
    positions: [&[f32]; 3],
    cot: &[f32],
    gradient: &mut [f32],
) {
    let n = positions[0].len();
    assert!(positions.iter().all(|p| p.len() == n) && cot.len() >= n * features);
    let local = Level {
        offset: 0,
        ..*level
    };
    check_table(&[local], features, gradient.len());
    let cpu = cpu_level();
    // SAFETY: as in `encode`.
    unsafe {
        match features {
            1 => scatter_f::<1>(cpu, &local, positions, cot, gradient),
            2 => scatter_f::<2>(cpu, &local, positions, cot, gradient),
            4 => scatter_f::<4>(cpu, &local, positions, cot, gradient),
            _ => scatter_f::<8>(cpu, &local, positions, cot, gradient),
        }
    }
}

multiversion! {
    fn scatter_f<const F: usize>(level: &Level, positions: [&[f32]; 3], cot: &[f32], gradient: &mut [f32]) = scatter_v;
}

#[inline(always)]
unsafe fn scatter_v<V: Simd, const F: usize>(
    level: &Level,
    positions: [&[f32]; 3],
    cot: &[f32],
    gradient: &mut [f32],
) {
    let mut group = Group::default();
    let entries = gradient.as_mut_ptr();
    for first in (0..positions[0].len()).step_by(GROUP) {
        let n = group.load::<V>(level, &positions, first);
        for i in 0..n {
            // SAFETY: the caller checked the length.
            let cot = unsafe { *cot.as_ptr().add((first + i) * F).cast::<[f32; F]>() };
            for k in 0..8 {
                // SAFETY: entries are below the level's size, which the caller checked.
                let entry = unsafe {
                    &mut *entries
                        .add(group.entries[k][i] as usize * F)
                        .cast::<[f32; F]>()
                };
                for f in 0..F {
                    entry[f] = fma::<V>(group.weights[k][i], cot[f], entry[f]);
                }
            }
        }
    }
}

/// Gradients of `cot · features` with respect to the positions in the unit cube, which are written
/// to `out`, one slice a coordinate. `cot` has the form of what [`encode`] writes: the numbers of
/// position `i` start at `cot[i · stride]`.
///
/// # Panics
/// As [`encode`].
pub fn position_gradients(
    levels: &[Level],
    features: usize,
    table: &[f32],
    positions: [&[f32]; 3],
    (cot, stride): (&[f32], usize),
    out: &mut [Vec<f32>; 3],
) {
    let n = positions[0].len();
    assert!(positions.iter().all(|p| p.len() == n) && stride >= levels.len() * features);
    assert!(n == 0 || cot.len() >= (n - 1) * stride + levels.len() * features);
    check_table(levels, features, table.len());
    for out in out.iter_mut() {
        out.clear();
        out.resize(n, 0.0);
    }
    let cpu = cpu_level();
    // SAFETY: as in `encode`.
    unsafe {
        match features {
            1 => gradients_f::<1>(cpu, levels, table, positions, cot, stride, out),
            2 => gradients_f::<2>(cpu, levels, table, positions, cot, stride, out),
            4 => gradients_f::<4>(cpu, levels, table, positions, cot, stride, out),
            _ => gradients_f::<8>(cpu, levels, table, positions, cot, stride, out),
        }
    }
}

multiversion! {
    fn gradients_f<const F: usize>(levels: &[Level], table: &[f32], positions: [&[f32]; 3], cot: &[f32], stride: usize, out: &mut [Vec<f32>; 3]) = gradients_v;
}

#[inline(always)]
unsafe fn gradients_v<V: Simd, const F: usize>(
    levels: &[Level],
    table: &[f32],
    positions: [&[f32]; 3],
    cot: &[f32],
    stride: usize,
    out: &mut [Vec<f32>; 3],
) {
    let mut group = Group::default();
    for first in (0..positions[0].len()).step_by(GROUP) {
        for (l, level) in levels.iter().enumerate() {
            let n = group.load::<V>(level, &positions, first);
            let entries = &table[level.offset * F..];
            for i in 0..n {
                let at = (first + i) * stride + l * F;
                let cot = &cot[at..at + F];
                // What each corner is worth.
                let worth: [f32; 8] = std::array::from_fn(|k| {
                    let at = group.entries[k][i] as usize * F;
                    let entry = &entries[at..at + F];
                    (0..F).fold(0.0, |sum, f| fma::<V>(entry[f], cot[f], sum))
                });
                let [x, y, z] = [0, 1, 2].map(|c| group.upper[c][i]);
                let mix = |a: f32, b: f32, t: f32| a + (b - a) * t;
                let along = |a: usize, b: usize, s: f32, t: f32, step: usize| {
                    // Differences along one axis at the four edges, between them along the others.
                    let edge = |k: usize| worth[k + step] - worth[k];
                    mix(mix(edge(0), edge(a), s), mix(edge(b), edge(a + b), s), t)
                };
                let slopes = [
                    along(2, 4, y, z, 1),
                    along(1, 4, x, z, 2),
                    along(1, 2, x, y, 4),
                ];
                for (out, slope) in out.iter_mut().zip(slopes) {
                    out[first + i] += level.scale * slope;
                }
            }
        }
    }
}
