// Twin of packshot-render/src/prepared.rs: a scene in the form that rays are cast against, as
// packshot-render/src/gpu/layout.rs writes it.

const NONE: u32 = 0xffffffffu;

struct Params {
    camera_origin: vec3f,
    camera_height: f32,
    camera_right: vec3f,
    aperture_radius: f32,
    camera_up: vec3f,
    focus_distance: f32,
    camera_forward: vec3f,
    least_offset: f32,
    background: vec3f,
    // 0 the environment, 1 a colour, 2 nothing.
    background_kind: u32,
    below: vec3f,
    environment_mean: f32,
    horizon: vec3f,
    clamp_indirect: f32,
    above: vec3f,
    parallel: u32,
    width: u32,
    height: u32,
    pixel_count: u32,
    first_sample: u32,
    sample_count: u32,
    seed: u32,
    max_bounces: u32,
    node_count: u32,
    lets_through: u32,
    light_count: u32,
    volume_count: u32,
    // Where parts of `words` begin.
    materials_at: u32,
    lights_at: u32,
    headers_at: u32,
    linear_at: u32,
    albedos_at: u32,
    filter_at: u32,
    rows_at: u32,
    columns_at: u32,
    volumes_at: u32,
    // Where parts of `vertices` begin.
    normals_at: u32,
    uvs_at: u32,
    colours_at: u32,
    tangents_at: u32,
    // The panorama and the table that it is drawn by; no columns without one.
    panorama_at: u32,
    panorama_width: u32,
    panorama_height: u32,
    columns: u32,
    rows: u32,
    strength: f32,
    cos_rotation: f32,
    sin_rotation: f32,
    // Of this run: column in the lower half of the bits, row in the upper one.
    pixels: array<u32>,
}

// No uniform buffer: Mesa's lavapipe builds its code anew for the values in those.
@group(0) @binding(0) var<storage, read> params: Params;
@group(0) @binding(1) var<storage, read> nodes: array<vec4u>;
@group(0) @binding(2) var<storage, read> blocks: array<vec4u>;
@group(0) @binding(3) var<storage, read> vertices: array<u32>;
// Three corners and the material.
@group(0) @binding(4) var<storage, read> triangles: array<vec4u>;
// Materials, lights, tables.
@group(0) @binding(5) var<storage, read> words: array<u32>;
// Of textures, of the panorama and of volumes.
@group(0) @binding(6) var<storage, read> texels: array<u32>;
@group(0) @binding(7) var<storage, read_write> sums: array<f32>;

fn word_f32(at: u32) -> f32 {
    return bitcast<f32>(words[at]);
}

fn word_vec3(at: u32) -> vec3f {
    return vec3f(word_f32(at), word_f32(at + 1u), word_f32(at + 2u));
}

fn vertex_f32(at: u32) -> f32 {
    return bitcast<f32>(vertices[at]);
}

fn vertex_vec3(at: u32) -> vec3f {
    return vec3f(vertex_f32(at), vertex_f32(at + 1u), vertex_f32(at + 2u));
}

// Whether a ray is stopped by what it meets: within the disc, above the cut-off, or by a draw
// against alpha.
fn is_solid(hit: Hit, s: Sampler, ray: u32) -> bool {
    let material = material_of(hit.triangle);
    if (words[material + M_FLAGS] & FLAG_DISC) != 0u {
        let w = hit.barycentric;
        return w.x * w.x + w.y * w.y + w.z * w.z <= 0.5;
    }
    let kind = words[material + M_COVERAGE];
    if kind == COVERAGE_OPAQUE {
        return true;
    }
    let alpha = base_colour(hit, material).a;
    if kind == COVERAGE_MASK {
        return alpha >= word_f32(material + M_CUTOFF);
    }
    return alpha >= 1.0 || coverage(s, ray, hit.triangle) < alpha;
}
