//! The backward pass: scores are computed again, block by block.

use packshot_core::CpuLevel;

use super::{
    Heads, Shape, Strides, check, copy_rows, pack_panels, panels_len, scores, turn, weighted_sums,
};
use crate::kernels::math::exp2;
use crate::kernels::microkernel::{Start, Tile, tile_of};
use crate::kernels::norm::normalise_row_backward;
use crate::kernels::parallel::{self, Shared};
use crate::kernels::scratch::Scratch;
use packshot_simd::{Simd, multiversion};

/// Keys whose scores are computed together, in tiles: fewer than forward, because weights and
/// their gradients are held for two blocks of queries.
const KEY_TILES: usize = 8;

/// Gradients of queries, keys and values, in places of the same form as the inputs'.
pub(crate) struct Gradients<'a> {
    /// Slice and places of the queries' gradients.
    pub(crate) q: (&'a mut [f32], Strides),
    /// Slice of the keys' and values' gradients; `None` when it is the queries' slice.
    pub(crate) kv: Option<&'a mut [f32]>,
    /// Places of the keys' gradients.
    pub(crate) k: Strides,
    /// Places of the values' gradients.
    pub(crate) v: Strides,
}

/// What the forward pass left.
#[derive(Clone, Copy)]
pub(crate) struct Saved<'a> {
    /// Output `[batch, queries, heads·d]`.
    pub(crate) out: &'a [f32],
    /// Gradient of the output.
    pub(crate) grad: &'a [f32],
    /// Logarithms of the sums, `[batch, heads, queries]`.
    pub(crate) log_sums: &'a [f32],
}

/// Writes the gradients of one attention; the places of different heads must not overlap.
///
/// # Panics
/// When rows lie outside their slices.
pub(crate) fn backward(
    level: CpuLevel,
    shape: &Shape,
    q: Heads<'_>,
    k: Heads<'_>,
    v: Heads<'_>,
    saved: Saved<'_>,
    gradients: Gradients<'_>,
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
    let size = batch * queries * heads * d;
    assert!(
        saved.out.len() >= size && saved.grad.len() >= size,
        "short output"
    );
    assert!(
        saved.log_sums.len() >= batch * heads * queries,
        "short sums"
    );
    let (dq, dq_at) = gradients.q;
    assert!(
        dq_at.end(shape, queries) <= dq.len(),
        "queries outside their slice"
    );
    let kv_len = gradients.kv.as_ref().map_or(dq.len(), |kv| kv.len());
    assert!(
        gradients.k.end(shape, keys) <= kv_len,
        "keys outside their slice"
    );
    assert!(
        gradients.v.end(shape, keys) <= kv_len,
        "values outside their slice"
    );
    let dq = Shared::new(dq);
    let dkv = gradients.kv.map_or(dq, Shared::new);
    parallel::for_each(batch * heads, 5 * shape.work() / 2, |task| {
        let (b, h) = (task / heads, task % heads);
        // SAFETY: all rows of every (batch, head) were found inside their slices.
        let task = unsafe {
            Task {
                shape,
                q: (q.data.as_ptr().add(q.at.start(b, h)), q.at.row),
                k: (k.data.as_ptr().add(k.at.start(b, h)), k.at.row),
                v: (v.data.as_ptr().add(v.at.start(b, h)), v.at.row),
                out: saved.out.as_ptr().add((b * queries * heads + h) * d),
                grad: saved.grad.as_ptr().add((b * queries * heads + h) * d),
                log_sums: saved.log_sums.as_ptr().add((b * heads + h) * queries),
                dq: (dq.get().add(dq_at.start(b, h)), dq_at.row),
                dk: (dkv.get().add(gradients.k.start(b, h)), gradients.k.row),
                dv: (dkv.get().add(gradients.v.start(b, h)), gradients.v.row),
            }
        };
        // SAFETY: the level is the machine's; every task writes its own head.
        unsafe { run(level, &task) };
    });
}

/// One head: pointers to its first rows, and the distance between rows.
struct Task<'a> {
    shape: &'a Shape,
    q: (*const f32, usize),
    k: (*const f32, usize),
    v: (*const f32, usize),
    out: *const f32,
    grad: *const f32,
    log_sums: *const f32,
    dq: (*mut f32, usize),
    dk: (*mut f32, usize),
    dv: (*mut f32, usize),
}

multiversion! {
    fn run(task: &Task<'_>) = run_v;
}

#[inline(always)]
unsafe fn run_v<V: Simd>(x: &Task<'_>) {
    let Shape {
        heads,
        queries,
        keys,
        d,
        qk_norm_eps,
        ..
    } = *x.shape;
    let block = 2 * V::LANES * V::TILE_VECTORS;
    let chunk = V::TILE_ROWS * KEY_TILES;
    let padded = d.next_multiple_of(V::LANES);
    let mut k_rows = Scratch::new(keys * d);
    let mut k_panels = Scratch::new(panels_len::<V>(keys, d));
    let mut v_panels = Scratch::new(panels_len::<V>(keys, d));
    let mut dk = Scratch::new(keys * padded);
    let mut dv = Scratch::new(keys * padded);
    let mut q_rows = Scratch::new(block * padded);
    let mut q_turned = Scratch::new(block * d);
    let mut grad_rows = Scratch::new(block * padded);
    let mut grad_turned = Scratch::new(block * d);
    let mut weights = Scratch::new(chunk * block);
    let mut grads = Scratch::new(chunk * block);
    let mut dq = Scratch::new(block * d);
    let mut dq_rows = Scratch::new(block * d.next_multiple_of(8));
    let mut row_sums = Scratch::new(2 * block);
    let scale = x.shape.scale();
    let row = heads * d;
    // SAFETY: the caller's contract; scratch buffers have the sizes used here.
    unsafe {
        copy_rows::<V>(x.k, keys, d, qk_norm_eps, 1.0, (k_rows.as_mut_ptr(), d));
        pack_panels::<V>((k_rows.as_ptr(), d), keys, d, k_panels.as_mut_ptr());
        pack_panels::<V>(x.v, keys, d, v_panels.as_mut_ptr());
        dk.as_mut_slice().fill(0.0);
        dv.as_mut_slice().fill(0.0);
        for first in (0..queries).step_by(block) {
            let count = (queries - first).min(block);
            // Queries beyond the last are zero, and so is all that comes of them.
            q_rows.as_mut_slice().fill(0.0);
            grad_rows.as_mut_slice().fill(0.0);
            let from = (x.q.0.add(first * x.q.1), x.q.1);
            copy_rows::<V>(
                from,
                count,
                d,
                qk_norm_eps,
                scale,
                (q_rows.as_mut_ptr(), padded),
            );
            let from = (x.grad.add(first * row), row);
            copy_rows::<V>(from, count, d, None, 1.0, (grad_rows.as_mut_ptr(), padded));
            turn::<V>(
                (q_rows.as_ptr(), padded),
                block,
                d,
                q_turned.as_mut_ptr(),
                block,
            );
            turn::<V>(
                (grad_rows.as_ptr(), padded),
                block,
                d,
                grad_turned.as_mut_ptr(),
                block,
            );
            let log2_e = std::f32::consts::LOG2_E;
            q_turned
                .as_mut_slice()
                .iter_mut()
                .for_each(|q| *q *= log2_e);
            let (log_sums, deltas) = row_sums.as_mut_slice().split_at_mut(block);
            log_sums.fill(0.0);
            deltas.fill(0.0);
            for i in 0..count {
                log_sums[i] = *x.log_sums.add(first + i);
                deltas[i] = dot::<V>(
                    x.out.add((first + i) * row),
                    x.grad.add((first + i) * row),
                    d,
                );
            }
            dq.as_mut_slice().fill(0.0);
            for key in (0..keys).step_by(chunk) {
                let n = (keys - key).min(chunk);
                let (w, g) = (weights.as_mut_ptr(), grads.as_mut_ptr());
                scores::<V>(
                    k_panels.as_ptr(),
                    (key, n),
                    d,
                    (q_turned.as_ptr(), block),
                    w,
                );
                scores::<V>(
                    v_panels.as_ptr(),
                    (key, n),
                    d,
                    (grad_turned.as_ptr(), block),
                    g,
                );
                softmax_backward::<V>(w, g, n, block, log_sums, deltas);
                let (dk, dv) = (
                    dk.as_mut_ptr().add(key * padded),
                    dv.as_mut_ptr().add(key * padded),
                );
                add_outer::<V>((w, n), (grad_rows.as_ptr(), padded), d, dv);
                add_outer::<V>((g, n), (q_rows.as_ptr(), padded), d, dk);
                let a = k_rows.as_ptr().add(key * d);
                weighted_sums::<V>(a, d, n, (g, block), dq.as_mut_ptr());
            }
            let stride = d.next_multiple_of(8);
            turn::<V>((dq.as_ptr(), block), d, count, dq_rows.as_mut_ptr(), stride);
            let to = (x.dq.0.add(first * x.dq.1), x.dq.1);
            finish::<V>(
                x.shape,
                (dq_rows.as_ptr(), stride),
                count,
                scale,
                from_query(x, first),
                to,
            );
        }
        finish::<V>(x.shape, (dk.as_ptr(), padded), keys, 1.0, x.k, x.dk);
        copy_rows::<V>((dv.as_ptr(), padded), keys, d, None, 1.0, x.dv);
    }
}

/// The first query of a block.
unsafe fn from_query(x: &Task<'_>, first: usize) -> (*const f32, usize) {
    // SAFETY: the caller's `first` is a query.
    (unsafe { x.q.0.add(first * x.q.1) }, x.q.1)
}

/// Writes gradients of `count` normalised (or plain) rows, times `scale`, as gradients of `raw`.
#[inline(always)]
unsafe fn finish<V: Simd>(
    shape: &Shape,
    grads: (*const f32, usize),
    count: usize,
    scale: f32,
    raw: (*const f32, usize),
    to: (*mut f32, usize),
) {
    // SAFETY: the caller's contract.
    unsafe {
        copy_rows::<V>(grads, count, shape.d, None, scale, to);
        if let Some(eps) = shape.qk_norm_eps {
            for i in 0..count {
                let (raw, to) = (raw.0.add(i * raw.1), to.0.add(i * to.1));
                normalise_row_backward::<V>(raw, to, shape.d, eps, to);
            }
        }
    }
}

/// Turns scores into weights, and the weights' gradients into the scores':
/// `p = exp2(s - log_sum)`, `g = p·(g - delta)`.
#[inline(always)]
unsafe fn softmax_backward<V: Simd>(
    weights: *mut f32,
    grads: *mut f32,
    keys: usize,
    block: usize,
    log_sums: &[f32],
    deltas: &[f32],
) {
    for j in (0..block).step_by(V::LANES) {
        // SAFETY: the caller's contract: `block` columns, a multiple of the lanes.
        unsafe {
            let (log_sum, delta) = (
                V::load(log_sums.as_ptr().add(j)),
                V::load(deltas.as_ptr().add(j)),
            );
            for t in 0..keys {
                let (w, g) = (weights.add(t * block + j), grads.add(t * block + j));
                let p = exp2(V::load(w).sub(log_sum));
                p.store(w);
                p.mul(V::load(g).sub(delta)).store(g);
            }
        }
    }
}

/// `c[t][i] += Σ_q a[t][q]·b[q][i]`: rows of keys gather from a block of queries. C's rows are as
/// far apart as B's.
#[inline(always)]
unsafe fn add_outer<V: Simd>(
    (a, keys): (*const f32, usize),
    (b, stride): (*const f32, usize),
    d: usize,
    c: *mut f32,
) {
    let block = 2 * V::LANES * V::TILE_VECTORS;
    let columns = V::LANES * V::TILE_VECTORS;
    for row in (0..keys).step_by(V::TILE_ROWS) {
        let rows = (keys - row).min(V::TILE_ROWS);
        for column in (0..d).step_by(columns) {
            // SAFETY: the caller's contract; rows of B and C are padded to whole vectors.
            unsafe {
                let tile = Tile {
                    depth: block,
                    a: a.add(row * block),
                    a_step: 1,
                    b: b.add(column),
                    b_step: stride,
                    c: c.add(row * stride + column),
                    c_stride: stride,
                    columns: (d - column).min(columns),
                    start: Start::Current,
                };
                // The distance of A's rows is a constant, so that one register addresses all.
                match block {
                    64 => tile_of::<V, 64>(rows, &tile),
                    32 => tile_of::<V, 32>(rows, &tile),
                    _ => tile_of::<V, 16>(rows, &tile),
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn dot<V: Simd>(a: *const f32, b: *const f32, n: usize) -> f32 {
    // SAFETY: the caller's contract.
    unsafe {
        let mut sum = V::splat(0.0);
        let mut j = 0;
        while j + V::LANES <= n {
            sum = V::load(a.add(j)).fma(V::load(b.add(j)), sum);
            j += V::LANES;
        }
        if j < n {
            sum = V::load_partial(a.add(j), n - j).fma(V::load_partial(b.add(j), n - j), sum);
        }
        sum.sum()
    }
}
