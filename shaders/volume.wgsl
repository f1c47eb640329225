// Twin of packshot-render/src/volume.rs: delta tracking through lattices of voxels.

const VOLUME_BLOCK: f32 = 8.0;
const VOLUME_OPAQUE: f32 = 0.998;
const VOLUME_DRAWS: u32 = 0xc0000000u;
const VOLUME_DRAWS_SHIFT: u32 = 20u;
// Rows of the matrix to the lattice, size, blocks, first voxel in `texels`, first majorant in
// `words`, whether it is a product.
const VOLUME_WORDS: u32 = 21u;
const V_SIZE: u32 = 12u;
const V_BLOCKS: u32 = 15u;
const V_VOXELS: u32 = 18u;
const V_MAJORANTS: u32 = 19u;
const V_PRODUCT: u32 = 20u;

struct VolumeHit {
    found: bool,
    t: f32,
    colour: vec3f,
    product: bool,
}

fn volume_vec3i(at: u32) -> vec3i {
    return vec3i(vec3u(words[at], words[at + 1u], words[at + 2u]));
}

// A corner's weight and voxel, of the eight around a place.
struct VolumeCorner {
    weight: f32,
    voxel: u32,
}

fn volume_corner(volume: u32, size: vec3i, place: vec3f, corner: u32) -> VolumeCorner {
    let low = floor(place);
    let share = place - low;
    let up = vec3u(corner, corner >> 1u, corner >> 2u) & vec3u(1u);
    let weights = select(vec3f(1.0) - share, share, up == vec3u(1u));
    let at = clamp(vec3i(low) + vec3i(up), vec3i(0), size - vec3i(1));
    let index = u32((at.z * size.y + at.y) * size.x + at.x);
    return VolumeCorner(weights.x * weights.y * weights.z, texels[words[volume + V_VOXELS] + index]);
}

fn volume_density(volume: u32, size: vec3i, place: vec3f) -> f32 {
    var sum = 0.0;
    for (var i = 0u; i < 8u; i++) {
        let corner = volume_corner(volume, size, place, i);
        sum += corner.weight * f32(corner.voxel >> 24u);
    }
    return -log(1.0 - VOLUME_OPAQUE * (sum / 255.0));
}

fn volume_colour(volume: u32, size: vec3i, place: vec3f) -> vec3f {
    var sum = vec3f(0.0);
    var total = 0.0;
    for (var i = 0u; i < 8u; i++) {
        let corner = volume_corner(volume, size, place, i);
        let value = linear_rgba(corner.voxel);
        sum += value.rgb * (corner.weight * value.a);
        total += corner.weight * value.a;
    }
    return select(vec3f(0.0), sum * (1.0 / total), total > 0.0);
}

fn volume_row(volume: u32, row: u32) -> vec4f {
    let at = volume + row * 4u;
    return vec4f(word_vec3(at), word_f32(at + 3u));
}

fn meet_volume(
    number: u32,
    origin: vec3f,
    direction: vec3f,
    limit: f32,
    s: Sampler,
    ray: u32,
) -> VolumeHit {
    var hit: VolumeHit;
    let volume = params.volumes_at + number * VOLUME_WORDS;
    let x = volume_row(volume, 0u);
    let y = volume_row(volume, 1u);
    let z = volume_row(volume, 2u);
    let o = vec3f(dot(x.xyz, origin), dot(y.xyz, origin), dot(z.xyz, origin)) + vec3f(x.w, y.w, z.w);
    let d = vec3f(dot(x.xyz, direction), dot(y.xyz, direction), dot(z.xyz, direction));
    let size = volume_vec3i(volume + V_SIZE);
    let blocks = volume_vec3i(volume + V_BLOCKS);
    var t = 0.0;
    var end = limit;
    var next = vec3f(FAR);
    for (var c = 0u; c < 3u; c++) {
        let side = f32(size[c]);
        if d[c] == 0.0 {
            if !(o[c] >= 0.0 && o[c] <= side) {
                return hit;
            }
            continue;
        }
        let a = -o[c] / d[c];
        let b = (side - o[c]) / d[c];
        t = max(t, min(a, b));
        end = min(end, max(a, b));
    }
    if !(t < end) {
        return hit;
    }
    let speed = length(d);
    let still = d == vec3f(0.0);
    let inverse = 1.0 / select(d, vec3f(1.0), still);
    var cell = clamp(vec3i(floor((o + d * t) / VOLUME_BLOCK)), vec3i(0), blocks - vec3i(1));
    let border = vec3f(cell) + select(vec3f(0.0), vec3f(1.0), d > vec3f(0.0));
    next = select((border * VOLUME_BLOCK - o) / select(d, vec3f(1.0), still), vec3f(FAR), still);
    let across = abs(VOLUME_BLOCK * inverse);
    let step = select(vec3i(-1), vec3i(1), d > vec3f(0.0));
    var draw = VOLUME_DRAWS + (number << VOLUME_DRAWS_SHIFT);
    loop {
        var axis = vec3i(0, 0, 1);
        var border_at = next.z;
        if next.x <= next.y && next.x <= next.z {
            axis = vec3i(1, 0, 0);
            border_at = next.x;
        } else if next.y <= next.z {
            axis = vec3i(0, 1, 0);
            border_at = next.y;
        }
        let leaves = min(border_at, end);
        let block = u32((cell.z * blocks.y + cell.y) * blocks.x + cell.x);
        let majorant = word_f32(words[volume + V_MAJORANTS] + block);
        if majorant > 0.0 {
            loop {
                let u = coverage(s, ray, draw);
                t -= log(1.0 - u) / (majorant * speed);
                if !(t < leaves) {
                    break;
                }
                let place = o + d * t - vec3f(0.5);
                let stops = coverage(s, ray, draw + 1u) * majorant < volume_density(volume, size, place);
                draw += 2u;
                if stops {
                    hit.found = true;
                    hit.t = t;
                    hit.colour = volume_colour(volume, size, place);
                    hit.product = words[volume + V_PRODUCT] != 0u;
                    return hit;
                }
            }
            draw += 2u;
        }
        if leaves >= end {
            return hit;
        }
        t = leaves;
        cell += axis * step;
        if any(cell < vec3i(0)) || any(cell >= blocks) {
            return hit;
        }
        next += vec3f(axis) * across;
    }
    return hit;
}

// The nearest volume that a ray meets before `limit`.
fn meet_volumes(origin: vec3f, direction: vec3f, limit: f32, s: Sampler, ray: u32) -> VolumeHit {
    var nearest: VolumeHit;
    nearest.t = limit;
    for (var i = 0u; i < params.volume_count; i++) {
        let hit = meet_volume(i, origin, direction, nearest.t, s, ray);
        if hit.found {
            nearest = hit;
        }
    }
    return nearest;
}
