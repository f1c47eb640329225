// Twin of packshot-nerf/src/field/render.rs: a thread composites a ray.

// Samples of less weight are not shaded.
const FAINT: f32 = 1e-4;
// Behind this share of the light, nothing is looked at.
const DARK: f32 = 1e-4;
// Numbers of a ray's result: colour, opacity, median distance, samples.
const RESULTS: u32 = 6u;

struct Params {
    // Of the camera: in the unit cube of a box, else in radii from the inner cube's middle.
    origin: vec3f,
    step: f32,
    cone: f32,
    near: f32,
    far: f32,
    // Samples of a ray at most.
    limit: u32,
    // World length of the unit of distances.
    unit: f32,
    contracted: u32,
    occupancy_side: u32,
    // First word of the coarse cells' bits.
    coarse_at: u32,
    ray_count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
// Unit vectors, three numbers each; zeros where the lens reaches no light.
@group(0) @binding(6) var<storage, read> directions: array<f32>;
@group(0) @binding(7) var<storage, read_write> results: array<f32>;

@compute @workgroup_size(64)
fn render_field(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= params.ray_count {
        return;
    }
    let start = 3u * id.x;
    let direction = vec3f(directions[start], directions[start + 1u], directions[start + 2u]);
    var rgb = vec3f(0.0);
    var light = 1.0;
    var distance = FAR;
    var samples = 0u;
    if dot(direction, direction) > 0.0 {
        view_inputs(direction);
        var ray = start_ray(direction);
        loop {
            let sample = next_sample(&ray);
            if !sample.found {
                break;
            }
            samples += 1u;
            let passed = light * exponential(-density(sample.unit) * sample.dt);
            let weight = light - passed;
            if weight > FAINT {
                rgb += weight * colour();
            }
            if light >= 0.5 && passed < 0.5 {
                distance = sample.t * params.unit;
            }
            light = passed;
            if light < DARK {
                break;
            }
        }
    }
    let to = RESULTS * id.x;
    results[to] = rgb.x;
    results[to + 1u] = rgb.y;
    results[to + 2u] = rgb.z;
    results[to + 3u] = 1.0 - light;
    results[to + 4u] = distance;
    results[to + 5u] = f32(samples);
}
