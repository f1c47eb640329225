// Twin of packshot-geometry/src/bvh: the same tree, walked in the same order.

struct Hit {
    t: f32,
    // NONE where nothing is met.
    triangle: u32,
    barycentric: vec3f,
}

const LEAF: u32 = 0x80000000u;
const COUNT_SHIFT: u32 = 27u;
const NODE_ROWS: u32 = 7u;
const BLOCK_ROWS: u32 = 10u;
// Three children left behind on each level of the deepest tree, and one.
const STACK: u32 = 169u;
const WIDEN: f32 = 1.0000005;

// Entry distances and children.
var<private> stack: array<vec2u, STACK>;

fn row(at: u32) -> vec4f {
    return bitcast<vec4f>(nodes[at]);
}

fn corner_row(at: u32) -> vec4f {
    return bitcast<vec4f>(blocks[at]);
}

struct Corners {
    x: vec4f,
    y: vec4f,
    z: vec4f,
}

// One corner of a block's four triangles, sheared so that the ray runs along z.
fn corners_at(at: u32, origin: vec3f, longest: u32, shear: vec3f) -> Corners {
    let px = corner_row(at) - origin.x;
    let py = corner_row(at + 1u) - origin.y;
    let pz = corner_row(at + 2u) - origin.z;
    var x = px;
    var y = py;
    var z = pz;
    if longest == 0u {
        x = py;
        y = pz;
        z = px;
    } else if longest == 1u {
        x = pz;
        y = px;
        z = py;
    }
    return Corners(x - shear.x * z, y - shear.y * z, z * shear.z);
}

// The nearest solid triangle nearer than `limit`, or any when `any_will_do`.
fn traverse(
    origin: vec3f,
    direction: vec3f,
    limit: f32,
    any_will_do: bool,
    s: Sampler,
    ray: u32,
) -> Hit {
    var best = Hit(FAR, NONE, vec3f(0.0));
    if params.node_count == 0u || !is_finite(direction) {
        return best;
    }
    var t_max = limit;
    let a = abs(direction);
    // Axes such that the last one is the longest of the direction; the first of equals.
    var longest = 0u;
    var turned = direction.yzx;
    if a.y > a.x {
        longest = 1u;
        turned = direction.zxy;
    }
    if a.z > max(a.x, a.y) {
        longest = 2u;
        turned = direction;
    }
    if turned.z == 0.0 {
        return best;
    }
    let shear = vec3f(turned.x / turned.z, turned.y / turned.z, 1.0 / turned.z);
    let tiny = select(vec3f(1e-20), vec3f(-1e-20), (bitcast<vec3u>(direction) & vec3u(LEAF)) != vec3u(0u));
    let inverse = 1.0 / select(direction, tiny, a < vec3f(1e-20));
    let back = inverse < vec3f(0.0);
    // Rows of a node where the ray enters and leaves along each axis.
    let enter = vec3u(0u, 1u, 2u) + select(vec3u(0u), vec3u(3u), back);
    let leave = vec3u(3u, 4u, 5u) - select(vec3u(0u), vec3u(3u), back);
    var height = 0u;
    var child = 0u;
    loop {
        if (child & LEAF) == 0u {
            let at = child * NODE_ROWS;
            let nx = (row(at + enter.x) - origin.x) * inverse.x;
            let ny = (row(at + enter.y) - origin.y) * inverse.y;
            let nz = (row(at + enter.z) - origin.z) * inverse.z;
            let fx = (row(at + leave.x) - origin.x) * inverse.x;
            let fy = (row(at + leave.y) - origin.y) * inverse.y;
            let fz = (row(at + leave.z) - origin.z) * inverse.z;
            let near = max(max(nx, ny), max(nz, vec4f(0.0)));
            let away = min(min(min(fx, fy), fz) * WIDEN, vec4f(t_max));
            let children = nodes[at + 6u];
            let met = (near <= away) & (children != vec4u(NONE));
            let base = height;
            for (var lane = 0u; lane < 4u; lane++) {
                if met[lane] {
                    // Insertion by distance, the nearest on top.
                    let distance = near[lane];
                    var place = height;
                    while place > base && bitcast<f32>(stack[place - 1u].x) < distance {
                        stack[place] = stack[place - 1u];
                        place -= 1u;
                    }
                    stack[place] = vec2u(bitcast<u32>(distance), children[lane]);
                    height += 1u;
                }
            }
        } else {
            let first = child & ((1u << COUNT_SHIFT) - 1u);
            let more = (child & 0x7fffffffu) >> COUNT_SHIFT;
            for (var block = first; block <= first + more; block++) {
                let at = block * BLOCK_ROWS;
                let a = corners_at(at, origin, longest, shear);
                let b = corners_at(at + 3u, origin, longest, shear);
                let c = corners_at(at + 6u, origin, longest, shear);
                let names = blocks[at + 9u];
                let u = c.x * b.y - c.y * b.x;
                let v = a.x * c.y - a.y * c.x;
                let w = b.x * a.y - b.y * a.x;
                let zero = vec4f(0.0);
                let inside = ((u >= zero) & (v >= zero) & (w >= zero))
                    | ((u <= zero) & (v <= zero) & (w <= zero));
                let total = u + v + w;
                let met = inside & (total != zero) & (names != vec4u(NONE));
                if !any(met) {
                    continue;
                }
                let scale = 1.0 / total;
                let distances = (u * a.z + v * b.z + w * c.z) * scale;
                for (var lane = 0u; lane < 4u; lane++) {
                    let t = distances[lane];
                    if met[lane] && t >= 0.0 && t < t_max {
                        let weights = vec3f(u[lane], v[lane], w[lane]) * scale[lane];
                        let hit = Hit(t, names[lane], weights);
                        if params.lets_through == 0u || is_solid(hit, s, ray) {
                            best = hit;
                            t_max = t;
                            if any_will_do {
                                return best;
                            }
                        }
                    }
                }
            }
        }
        var found = false;
        while height > 0u && !found {
            height -= 1u;
            let top = stack[height];
            child = top.y;
            found = bitcast<f32>(top.x) <= t_max;
        }
        if !found {
            return best;
        }
    }
    return best;
}
