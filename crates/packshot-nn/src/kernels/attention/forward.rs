//! The forward pass.

use super::{
    Heads, KEY_TILES, Shape, check, copy_rows, pack_panels, panels_len, scores, turn, weighted_sums,
};
use crate::kernels::gemm::Arithmetic;
use crate::kernels::math::exp2;
use crate::kernels::microkernel::Mac;
use crate::kernels::norm::normalise_lanes;
use crate::kernels::parallel::{self, Shared};
use crate::kernels::scratch::Scratch;
use packshot_simd::{Simd, multiversion};

/// Most queries of one task, which packs all keys of its head.
const QUERY_CHUNK: usize = 512;
/// A multiple of every level's block of queries.
const QUERY_BLOCK: usize = 32;

/// Writes `[batch, queries, heads·d]` to `out`, and to `log_sums` (`[batch, heads, queries]`, or
/// empty) the base-2 logarithm of each query's sum of `exp2(score·log2 e)`.
///
/// # Panics
/// When rows lie outside their slices.
pub(crate) fn forward(
    how: Arithmetic,
    shape: &Shape,
    q: Heads<'_>,
    k: Heads<'_>,
    v: Heads<'_>,
    out: &mut [f32],
    log_sums: &mut [f32],
) {
    let Shape {
        batch,
        heads,
        queries,
        keys,
        d,
        ..
    } = *shape;
    check(&q, shape, queries);
    check(&k, shape, keys);
    check(&v, shape, keys);
    assert!(out.len() >= batch * queries * heads * d, "short output");
    assert!(
        log_sums.is_empty() || log_sums.len() >= batch * heads * queries,
        "short sums"
    );
    if keys == 0 || d == 0 || queries == 0 {
        out.fill(0.0);
        return;
    }
    let save = !log_sums.is_empty();
    let (out, log_sums) = (Shared::new(out), Shared::new(log_sums));
    // Chunks of about equal length, in whole blocks of queries on every level.
    let chunks = queries.div_ceil(QUERY_CHUNK);
    let length = queries.div_ceil(chunks).next_multiple_of(QUERY_BLOCK);
    let chunks = queries.div_ceil(length);
    parallel::for_each(batch * heads * chunks, shape.work(), |task| {
        let (b, h, chunk) = (task / chunks / heads, task / chunks % heads, task % chunks);
        let first = chunk * length;
        let task = Task {
            shape,
            // SAFETY: `check` found all rows of every (batch, head) inside the slices.
            q: unsafe { q.data.as_ptr().add(q.at.start(b, h) + first * q.at.row) },
            q_stride: q.at.row,
            // SAFETY: as above.
            k: unsafe { k.data.as_ptr().add(k.at.start(b, h)) },
            k_stride: k.at.row,
            // SAFETY: as above.
            v: unsafe { v.data.as_ptr().add(v.at.start(b, h)) },
            v_stride: v.at.row,
            queries: (queries - first).min(length),
            // SAFETY: inside `out`, whose length was checked.
            out: unsafe { out.get().add(((b * queries + first) * heads + h) * d) },
            log_sums: if save {
                // SAFETY: inside `log_sums`, whose length was checked.
                unsafe { log_sums.get().add((b * heads + h) * queries + first) }
            } else {
                std::ptr::null_mut()
            },
        };
        // SAFETY: the level is the machine's; every task writes its own queries of its own head.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            if how.bf16 && d.is_multiple_of(16) {
                return run_bf16(&task);
            }
            run(how.level, &task);
        }
    });
}

/// Some queries of one head.
struct Task<'a> {
    shape: &'a Shape,
    q: *const f32,
    q_stride: usize,
    k: *const f32,
    k_stride: usize,
    v: *const f32,
    v_stride: usize,
    queries: usize,
    out: *mut f32,
    log_sums: *mut f32,
}

multiversion! {
    fn run(task: &Task<'_>) = run_v;
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn run_bf16(task: &Task<'_>) {
    // SAFETY: this function has the features; the rest is the caller's.
    unsafe { run_m::<crate::kernels::bf16::Bf16>(task) }
}

#[inline(always)]
unsafe fn run_v<V: Simd>(task: &Task<'_>) {
    // SAFETY: the caller's contract.
    unsafe { run_m::<V>(task) }
}

#[inline(always)]
unsafe fn run_m<M: Mac>(x: &Task<'_>) {
    let Shape {
        heads,
        keys,
        d,
        qk_norm_eps,
        ..
    } = *x.shape;
    let block = M::V::LANES * M::V::TILE_VECTORS;
    let chunk = M::V::TILE_ROWS * KEY_TILES;
    let mut k_panels = Scratch::new(panels_len::<M::V>(keys, d));
    let mut v_rows = Scratch::new(keys.next_multiple_of(M::PER_WORD) * d);
    let mut q_turned = Scratch::new(block * d);
    let mut weights = Scratch::new(chunk.next_multiple_of(M::PER_WORD) * block);
    let mut sums = Scratch::new(block * d);
    // Scores are in units of log2, so that the softmax takes the cheaper power of two.
    let scale = x.shape.scale() * std::f32::consts::LOG2_E;
    // SAFETY: the caller's contract; scratch buffers have the sizes used here.
    unsafe {
        // Queries and keys lie across the lanes once packed: there they are normalised.
        pack_panels::<M::V>((x.k, x.k_stride), keys, d, k_panels.as_mut_ptr());
        if let Some(eps) = qk_norm_eps {
            let step = M::V::TILE_ROWS.next_multiple_of(8);
            for tile in 0..keys.div_ceil(M::V::TILE_ROWS) {
                let panel = k_panels.as_mut_ptr().add(tile * step * d);
                normalise_lanes::<M::V>(panel, d, step, eps, 1.0);
            }
        }
        let step = M::V::TILE_ROWS.next_multiple_of(8);
        for tile in 0..keys.div_ceil(M::V::TILE_ROWS) {
            M::join_rows(k_panels.as_mut_ptr().add(tile * step * d), d, step);
        }
        copy_rows::<M::V>(
            (x.v, x.v_stride),
            keys,
            d,
            None,
            1.0,
            (v_rows.as_mut_ptr(), d),
        );
        let even = keys.next_multiple_of(M::PER_WORD);
        v_rows.as_mut_slice()[keys * d..].fill(0.0);
        M::join_rows(v_rows.as_mut_ptr(), even, d);
        for first in (0..x.queries).step_by(block) {
            let count = (x.queries - first).min(block);
            let from = (x.q.add(first * x.q_stride), x.q_stride);
            turn::<M::V>(from, count, d, q_turned.as_mut_ptr(), block);
            match qk_norm_eps {
                Some(eps) => normalise_lanes::<M::V>(q_turned.as_mut_ptr(), d, block, eps, scale),
                None => q_turned.as_mut_slice().iter_mut().for_each(|q| *q *= scale),
            }
            M::join_rows(q_turned.as_mut_ptr(), d, block);
            sums.as_mut_slice().fill(0.0);
            let mut state = Softmax::<M::V>::new();
            for key in (0..keys).step_by(chunk) {
                let n = (keys - key).min(chunk);
                let b = (q_turned.as_ptr(), block);
                scores::<M>(k_panels.as_ptr(), (key, n), d, b, weights.as_mut_ptr());
                state.update(weights.as_mut_ptr(), n, sums.as_mut_ptr(), d);
                let even = n.next_multiple_of(M::PER_WORD);
                weights.as_mut_slice()[n * block..even * block].fill(0.0);
                M::join_rows(weights.as_mut_ptr(), even, block);
                let a = v_rows.as_ptr().add(key / M::PER_WORD * d);
                weighted_sums::<M>(a, d, n, (weights.as_ptr(), block), sums.as_mut_ptr());
            }
            let log_sums = if x.log_sums.is_null() {
                None
            } else {
                Some(std::slice::from_raw_parts_mut(x.log_sums.add(first), count))
            };
            state.finish(sums.as_mut_ptr(), d, log_sums);
            turn_out::<M::V>(&sums, d, count, x.out.add(first * heads * d), heads * d);
        }
    }
}

/// `to[q·stride + i] = from[i][q]`: rows of queries from a transposed block.
///
/// # Safety
/// Needs the instruction set; `to` has `count` rows of `d`.
#[inline(always)]
unsafe fn turn_out<V: Simd>(from: &Scratch, d: usize, count: usize, to: *mut f32, stride: usize) {
    let block = V::LANES * V::TILE_VECTORS;
    // SAFETY: the caller's contract. Only whole groups of 8 channels go through `turn`, whose
    // padding would write beyond the head.
    unsafe {
        let from = from.as_ptr();
        for i in (0..d).step_by(8) {
            if i + 8 <= d {
                let rows = std::array::from_fn(|r| from.add((i + r.min(7)) * block));
                crate::kernels::pack::transpose_v::<V>(&rows, 8, count, to.add(i), stride);
            } else {
                for i in i..d {
                    for q in 0..count {
                        *to.add(q * stride + i) = *from.add(i * block + q);
                    }
                }
            }
        }
    }
}

/// Replaces scores by `exp2(score - max)`, and returns that.
#[inline(always)]
unsafe fn weigh<V: Simd>(at: *mut f32, max: V) -> V {
    // SAFETY: the caller's contract.
    unsafe {
        let weight = exp2(V::load(at).sub(max));
        weight.store(at);
        weight
    }
}

/// The running softmax of a block of queries.
struct Softmax<V> {
    max: [V; MAX_VECTORS],
    sum: [V; MAX_VECTORS],
}

/// No instruction set has wider tiles.
const MAX_VECTORS: usize = 2;

impl<V: Simd> Softmax<V> {
    #[inline(always)]
    unsafe fn new() -> Self {
        // SAFETY: the caller has the instruction set. Scores are far above the first maximum, and
        // `exp2` of the difference is a harmless tiny number.
        unsafe {
            Self {
                max: [V::splat(f32::MIN); MAX_VECTORS],
                sum: [V::splat(0.0); MAX_VECTORS],
            }
        }
    }

    /// Turns `n` rows of scores into weights relative to the new maximum, and rescales the sums.
    #[inline(always)]
    unsafe fn update(&mut self, scores: *mut f32, n: usize, sums: *mut f32, d: usize) {
        let block = V::LANES * V::TILE_VECTORS;
        // SAFETY: the caller's contract.
        unsafe {
            for j in 0..V::TILE_VECTORS {
                let scores = scores.add(j * V::LANES);
                // Four maxima and sums in flight hide the latency; their order is fixed.
                let mut max = [self.max[j]; 4];
                let mut t = 0;
                while t + 4 <= n {
                    for (i, max) in max.iter_mut().enumerate() {
                        *max = max.max(V::load(scores.add((t + i) * block)));
                    }
                    t += 4;
                }
                for t in t..n {
                    max[0] = max[0].max(V::load(scores.add(t * block)));
                }
                let max = max[0].max(max[1]).max(max[2].max(max[3]));
                let factor = exp2(self.max[j].sub(max));
                self.max[j] = max;
                let mut sum = [V::splat(0.0); 4];
                let mut t = 0;
                while t + 4 <= n {
                    for (i, sum) in sum.iter_mut().enumerate() {
                        *sum = sum.add(weigh(scores.add((t + i) * block), max));
                    }
                    t += 4;
                }
                for t in t..n {
                    sum[0] = sum[0].add(weigh(scores.add(t * block), max));
                }
                let sum = sum[0].add(sum[1]).add(sum[2].add(sum[3]));
                self.sum[j] = self.sum[j].fma(factor, sum);
                for i in 0..d {
                    let at = sums.add(i * block + j * V::LANES);
                    V::load(at).mul(factor).store(at);
                }
            }
        }
    }

    /// Divides the sums, and gives `max + log2(sum)` of the first queries.
    #[inline(always)]
    unsafe fn finish(&self, sums: *mut f32, d: usize, log_sums: Option<&mut [f32]>) {
        let block = V::LANES * V::TILE_VECTORS;
        // SAFETY: the caller's contract.
        unsafe {
            let mut max = [0.0f32; MAX_VECTORS * 16];
            let mut sum = [1.0f32; MAX_VECTORS * 16];
            for j in 0..V::TILE_VECTORS {
                let factor = V::splat(1.0).div(self.sum[j]);
                for i in 0..d {
                    let at = sums.add(i * block + j * V::LANES);
                    V::load(at).mul(factor).store(at);
                }
                self.max[j].store(max.as_mut_ptr().add(j * V::LANES));
                self.sum[j].store(sum.as_mut_ptr().add(j * V::LANES));
            }
            if let Some(out) = log_sums {
                for ((out, max), sum) in out.iter_mut().zip(max).zip(sum) {
                    *out = max + sum.log2();
                }
            }
        }
    }
}
