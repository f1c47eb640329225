// Twin of packshot-nerf/src/space.rs: contraction by the largest coordinate, and boxes.

// Stands for infinity, which WGSL cannot write.
const FAR: f32 = 3.0e38;

fn contract(x: vec3f) -> vec3f {
    let length = max(abs(x.x), max(abs(x.y), abs(x.z)));
    if length <= 1.0 {
        return x;
    }
    return x * ((2.0 - 1.0 / length) / length);
}

// Where a ray enters and leaves a box; the first is farther than the second where it misses.
fn through_box(origin: vec3f, direction: vec3f, low: vec3f, high: vec3f) -> vec2f {
    var near = -FAR;
    var far = FAR;
    for (var c = 0u; c < 3u; c++) {
        if direction[c] == 0.0 {
            if origin[c] < low[c] || origin[c] > high[c] {
                return vec2f(FAR, -FAR);
            }
        } else {
            let inverse = 1.0 / direction[c];
            let a = (low[c] - origin[c]) * inverse;
            let b = (high[c] - origin[c]) * inverse;
            near = max(near, min(a, b));
            far = min(far, max(a, b));
        }
    }
    return vec2f(near, far);
}
