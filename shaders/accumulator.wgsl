// Twin of packshot-render/src/accumulator.rs: an invocation traces the paths of one pixel and
// leaves their sums.

// Numbers a pixel in `sums`.
const SUMS: u32 = 24u;

fn put3(at: u32, v: vec3f) {
    sums[at] = v.x;
    sums[at + 1u] = v.y;
    sums[at + 2u] = v.z;
}

@compute @workgroup_size(64)
fn path_trace(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= params.pixel_count {
        return;
    }
    let x = params.pixels[id.x] & 0xffffu;
    let y = params.pixels[id.x] >> 16u;
    var radiance = vec3f(0.0);
    var alpha = 0.0;
    var albedo = vec3f(0.0);
    var normal = vec3f(0.0);
    var depth = 0.0;
    var met = 0.0;
    var products = 0.0;
    var caught = 0.0;
    var caught_radiance = vec3f(0.0);
    var caught_alpha = 0.0;
    var unshadowed = 0.0;
    var shadowed = 0.0;
    var signal = vec3f(0.0);
    var rays = 0.0;
    for (var i = 0u; i < params.sample_count; i++) {
        let s = new_sampler(x, y, params.first_sample + i, params.seed);
        let path = trace(camera_ray(x, y, s), s);
        signal += path.radiance;
        if path.caught {
            caught += 1.0;
            caught_radiance += path.radiance;
            caught_alpha += path.alpha;
            unshadowed += path.unshadowed;
            shadowed += path.shadowed;
            if path.unshadowed > 0.0 {
                signal += vec3f(path.shadowed / path.unshadowed);
            }
        } else {
            radiance += path.radiance;
            alpha += path.alpha;
        }
        albedo += path.albedo;
        normal += path.normal;
        if path.met {
            met += 1.0;
            depth += path.depth;
        }
        products += select(0.0, 1.0, path.product);
        rays += f32(path.rays);
    }
    let at = id.x * SUMS;
    put3(at, radiance);
    sums[at + 3u] = alpha;
    put3(at + 4u, albedo);
    put3(at + 7u, normal);
    sums[at + 10u] = depth;
    sums[at + 11u] = met;
    sums[at + 12u] = products;
    sums[at + 13u] = caught;
    put3(at + 14u, caught_radiance);
    sums[at + 17u] = caught_alpha;
    sums[at + 18u] = unshadowed;
    sums[at + 19u] = shadowed;
    put3(at + 20u, signal);
    sums[at + 23u] = rays;
}
