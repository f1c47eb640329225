// Twin of packshot-nerf/src/field/scene.rs: the occupied part of a ray, one sample after the other.

// Share of a step that all samples are moved by.
const JITTER: f32 = 0.5;
// Turns of a ray's loop at most, so that no scene hangs a device.
const MOST_TURNS: u32 = 1u << 18u;

struct Ray {
    direction: vec3f,
    // Distance of the next place to look at, and where the ray ends.
    t: f32,
    far: f32,
    // Where it is straight in the unit cube: all of a box, the inner cube of a contracted scene.
    enter: f32,
    exit: f32,
    // Samples that are left.
    left: u32,
}

struct Sample {
    found: bool,
    // Position in the unit cube.
    unit: vec3f,
    t: f32,
    dt: f32,
}

fn start_ray(direction: vec3f) -> Ray {
    if params.contracted == 0u {
        let cube = through_box(params.origin, direction, vec3f(0.0), vec3f(1.0));
        let near = max(cube.x, params.near);
        let far = min(cube.y, params.far);
        return Ray(direction, near + JITTER * params.step, far, near, far, params.limit);
    }
    let first = max(params.step, params.near * params.cone);
    let cube = through_box(params.origin, direction, vec3f(-1.0), vec3f(1.0));
    return Ray(direction, params.near + JITTER * first, params.far, cube.x, cube.y, params.limit);
}

fn next_sample(ray: ptr<function, Ray>) -> Sample {
    let direction = (*ray).direction;
    // Of the unit cube, in a unit of distance.
    let speed = select(direction * 0.25, direction, params.contracted == 0u);
    var sample: Sample;
    if (*ray).left == 0u {
        return sample;
    }
    var t = (*ray).t;
    for (var turn = 0u; turn < MOST_TURNS && t < (*ray).far; turn++) {
        let at = params.origin + t * direction;
        let straight = params.contracted == 0u || (t >= (*ray).enter && t < (*ray).exit);
        var p = at;
        var dt = params.step;
        if params.contracted != 0u {
            let place = select(contract(at), at, straight);
            p = clamp((place + vec3f(2.0)) * 0.25, vec3f(0.0), vec3f(1.0));
            dt = max(params.step, t * params.cone);
        }
        let side = empty_cell(p);
        if side == 0.0 {
            sample = Sample(true, clamp(p, vec3f(0.0), vec3f(1.0)), t, dt);
            t += dt;
            (*ray).left -= 1u;
            break;
        }
        if straight {
            var leave = to_face(p, speed, side);
            if params.contracted != 0u {
                leave = min(leave, (*ray).exit - t);
            }
            t += dt * clamp(ceil(leave / dt), 1.0, 4096.0);
        } else {
            // A contracted cell is at least as large in the world as its share of the cube.
            let inside = fract(p * side);
            let room = min(inside, vec3f(1.0) - inside) / side * 4.0;
            let leave = min(room.x, min(room.y, room.z));
            t += dt * clamp(floor(leave / dt), 1.0, 4096.0);
        }
    }
    (*ray).t = t;
    return sample;
}

// Distance to the face where the ray leaves an empty cell.
fn to_face(p: vec3f, direction: vec3f, side: f32) -> f32 {
    var leave = FAR;
    for (var c = 0u; c < 3u; c++) {
        if direction[c] != 0.0 {
            let cell = floor(p[c] * side);
            let face = select(cell, cell + 1.0, direction[c] > 0.0);
            leave = min(leave, (face / side - p[c]) / direction[c]);
        }
    }
    return leave;
}
