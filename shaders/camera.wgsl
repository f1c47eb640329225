// Twin of packshot-render/src/camera.rs.

const FILTER_ENTRIES: u32 = 257u;

struct CameraRay {
    origin: vec3f,
    direction: vec3f,
}

fn filter_offset(u: f32) -> f32 {
    let at = u * f32(FILTER_ENTRIES - 1u);
    let index = min(u32(at), FILTER_ENTRIES - 2u);
    let share = at - f32(index);
    let first = params.filter_at + index;
    return word_f32(first) * (1.0 - share) + word_f32(first + 1u) * share;
}

fn camera_ray(x: u32, y: u32, s: Sampler) -> CameraRay {
    let u = pair(s, PAIR_PIXEL);
    let width = f32(params.width);
    let height = f32(params.height);
    let scale = params.camera_height / height;
    let px = f32(x) + 0.5 + filter_offset(u.x) - 0.5 * width;
    let py = 0.5 * height - (f32(y) + 0.5 + filter_offset(u.y));
    let across = params.camera_right * (px * scale) + params.camera_up * (py * scale);
    if params.parallel != 0u {
        return CameraRay(params.camera_origin + across, params.camera_forward);
    }
    let direction = params.camera_forward + across;
    if params.aperture_radius <= 0.0 {
        return CameraRay(params.camera_origin, normalize(direction));
    }
    let v = pair(s, PAIR_LENS);
    let radius = sqrt(v.x) * params.aperture_radius;
    let turn = sin_cos(TAU * v.y);
    let shift = params.camera_right * (turn.y * radius) + params.camera_up * (turn.x * radius);
    let to_focus = direction * params.focus_distance - shift;
    return CameraRay(params.camera_origin + shift, normalize(to_focus));
}
