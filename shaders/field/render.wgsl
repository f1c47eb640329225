// Twin of packshot-nerf/src/field/render.rs: a thread composites a ray.

// Samples of less weight are not shaded.
const FAINT: f32 = 1e-4;
// Behind this share of the light, nothing is looked at.
const DARK: f32 = 1e-4;
// Numbers of a ray's result: colour, light that is left, median distance, samples, and the distance
// to go on from, below zero when the ray is done.
const RESULTS: u32 = 7u;

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
    // Samples of a ray in one run at most, and whether this run goes on with what the last one left:
    // drivers that compute on the processor end a loop after 65,536 turns.
    together: u32,
    resumed: u32,
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
    let to = RESULTS * id.x;
    var rgb = vec3f(0.0);
    var light = 1.0;
    var distance = FAR;
    var samples = 0u;
    var next = -1.0;
    if dot(direction, direction) > 0.0 {
        var ray = start_ray(direction);
        if params.resumed != 0u {
            if results[to + 6u] < 0.0 {
                return;
            }
            rgb = vec3f(results[to], results[to + 1u], results[to + 2u]);
            light = results[to + 3u];
            distance = results[to + 4u];
            samples = u32(results[to + 5u]);
            ray.t = results[to + 6u];
            ray.left -= samples;
        }
        view_inputs(direction);
        for (var taken = 0u;; taken++) {
            if taken == params.together {
                next = ray.t;
                break;
            }
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
                // Within its interval density is even.
                let share = log(2.0 * light) / log(light / passed);
                distance = (sample.t + (share - 0.5) * sample.dt) * params.unit;
            }
            light = passed;
            if light < DARK {
                break;
            }
        }
    }
    results[to] = rgb.x;
    results[to + 1u] = rgb.y;
    results[to + 2u] = rgb.z;
    results[to + 3u] = light;
    results[to + 4u] = distance;
    results[to + 5u] = f32(samples);
    results[to + 6u] = next;
}
