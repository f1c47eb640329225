// Twin of packshot-nerf/src/field/occupancy.rs: one bit a cell, and behind them one bit a coarse
// cell.

// Cells along a side of a coarse cell.
const COARSE: u32 = 4u;

@group(0) @binding(5) var<storage, read> occupied: array<u32>;

fn bit(first_word: u32, i: u32) -> bool {
    return ((occupied[first_word + i / 32u] >> (i % 32u)) & 1u) == 1u;
}

// 0 where a point of the unit cube is occupied, else the number of cells along a side at the
// coarsest size at which its cell is empty.
fn empty_cell(point: vec3f) -> f32 {
    let s = params.occupancy_side;
    let most = vec3f(f32(s - 1u));
    let cell = vec3u(clamp(point * f32(s), vec3f(0.0), most));
    let c = s / COARSE;
    let coarse = cell / COARSE;
    if !bit(params.coarse_at, (coarse.z * c + coarse.y) * c + coarse.x) {
        return f32(c);
    }
    return select(f32(s), 0.0, bit(0u, (cell.z * s + cell.y) * s + cell.x));
}
