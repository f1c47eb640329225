// Twin of packshot-render/src/light.rs.

const LEAST_SOLID_ANGLE: f32 = 5e-3;
const LIGHT_WORDS: u32 = 24u;

struct Light {
    // 0 a rectangle, 1 a ball, 2 at infinity.
    kind: u32,
    radiance: vec3f,
    luminance: f32,
    visible_to_camera: u32,
    centre: vec3f,
    axis_u: vec3f,
    axis_v: vec3f,
    normal: vec3f,
    half_sides: vec2f,
    soft_edge: f32,
    radius: f32,
    cap: f32,
}

struct LightSample {
    direction: vec3f,
    distance: f32,
    radiance: vec3f,
    pdf: f32,
    // 0 where the light does not shine.
    found: u32,
}

struct Meeting {
    found: bool,
    t: f32,
    radiance: vec3f,
}

fn load_light(index: u32) -> Light {
    let at = params.lights_at + index * LIGHT_WORDS;
    var light: Light;
    light.kind = words[at];
    light.radiance = word_vec3(at + 1u);
    light.luminance = word_f32(at + 4u);
    light.visible_to_camera = words[at + 5u];
    light.centre = word_vec3(at + 6u);
    light.axis_u = word_vec3(at + 9u);
    light.axis_v = word_vec3(at + 12u);
    light.normal = word_vec3(at + 15u);
    light.half_sides = vec2f(word_f32(at + 18u), word_f32(at + 19u));
    light.soft_edge = word_f32(at + 20u);
    light.radius = word_f32(at + 21u);
    light.cap = word_f32(at + 22u);
    return light;
}

struct SeenPanel {
    seen: bool,
    z0: f32,
    x: vec2f,
    y: vec2f,
    b0: f32,
    b1: f32,
    k: f32,
    solid_angle: f32,
}

fn product_angle(a: f32, b: f32) -> f32 {
    return arc_cosine(clamp(-a * b, -1.0, 1.0));
}

fn see_panel(light: Light, point: vec3f) -> SeenPanel {
    var s: SeenPanel;
    let d = light.centre - point;
    s.z0 = dot(d, light.normal);
    s.seen = s.z0 <= -1e-6 * (light.half_sides.x + light.half_sides.y);
    let u = dot(d, light.axis_u);
    let v = dot(d, light.axis_v);
    s.x = vec2f(u - light.half_sides.x, u + light.half_sides.x);
    s.y = vec2f(v - light.half_sides.y, v + light.half_sides.y);
    let z2 = s.z0 * s.z0;
    let n0 = -s.y.x / sqrt(z2 + s.y.x * s.y.x);
    let n1 = s.x.y / sqrt(z2 + s.x.y * s.x.y);
    let n2 = s.y.y / sqrt(z2 + s.y.y * s.y.y);
    let n3 = -s.x.x / sqrt(z2 + s.x.x * s.x.x);
    s.k = TAU - product_angle(n2, n3) - product_angle(n3, n0);
    s.solid_angle = product_angle(n0, n1) + product_angle(n1, n2) - s.k;
    s.b0 = n0;
    s.b1 = n2;
    return s;
}

fn draw_on_panel(s: SeenPanel, u: vec2f) -> vec3f {
    let au = u.x * s.solid_angle + s.k;
    let turn = sin_cos(au);
    let fu = (turn.y * s.b0 - s.b1) / turn.x;
    let side = select(1.0, -1.0, fu < 0.0);
    let cu = clamp(side / sqrt(fu * fu + s.b0 * s.b0), -1.0, 1.0);
    let x = clamp(-(cu * s.z0) / sqrt(max(1.0 - cu * cu, 1e-12)), s.x.x, s.x.y);
    let d2 = x * x + s.z0 * s.z0;
    let h0 = s.y.x / sqrt(d2 + s.y.x * s.y.x);
    let h1 = s.y.y / sqrt(d2 + s.y.y * s.y.y);
    let h = h0 + u.y * (h1 - h0);
    let y = h * sqrt(d2) / sqrt(max(1.0 - h * h, 1e-12));
    return vec3f(x, clamp(y, s.y.x, s.y.y), s.z0);
}

fn panel_pdf(light: Light, s: SeenPanel, distance: f32) -> f32 {
    if s.solid_angle > LEAST_SOLID_ANGLE {
        return 1.0 / s.solid_angle;
    }
    let area = 4.0 * light.half_sides.x * light.half_sides.y;
    return distance * distance * distance / (area * -s.z0);
}

fn fall(at: f32, half_side: f32, soft_edge: f32) -> f32 {
    let t = clamp((1.0 - abs(at) / half_side) / soft_edge, 0.0, 1.0);
    return t * t * (3.0 - 2.0 * t);
}

fn emitted(light: Light, x: f32, y: f32) -> vec3f {
    if light.soft_edge <= 0.0 {
        return light.radiance;
    }
    return light.radiance
        * (fall(x, light.half_sides.x, light.soft_edge) * fall(y, light.half_sides.y, light.soft_edge));
}

fn cone_cap(sin2: f32) -> f32 {
    return sin2 / (1.0 + sqrt(max(1.0 - sin2, 0.0)));
}

fn cone(axis: vec3f, cap: f32, u: vec2f) -> vec3f {
    let down = u.x * cap;
    let across = sqrt(max(down * (2.0 - down), 0.0));
    let phi = sin_cos(TAU * u.y);
    let b = basis(axis);
    return b.x * (across * phi.y) + b.y * (across * phi.x) + axis * (1.0 - down);
}

fn light_importance(light: Light, point: vec3f, normal: vec3f) -> f32 {
    let d = light.centre - point;
    if light.kind == 0u {
        let front = -dot(d, light.normal);
        let rise = dot(d, normal);
        let reach = abs(light.half_sides.x * dot(light.axis_u, normal))
            + abs(light.half_sides.y * dot(light.axis_v, normal));
        if front <= 0.0 || rise + reach <= 0.0 {
            return 0.0;
        }
        let area = 4.0 * light.half_sides.x * light.half_sides.y;
        let d2 = max(dot(d, d), 0.25 * area);
        let inverse = 1.0 / sqrt(d2);
        let cosine = max(min(front * inverse, 1.0), 0.1);
        return light.luminance * area * cosine * clamp(rise * inverse, 0.1, 1.0) / d2;
    }
    if light.kind == 1u {
        let rise = dot(d, normal);
        if rise + light.radius <= 0.0 {
            return 0.0;
        }
        let r2 = light.radius * light.radius;
        let d2 = max(dot(d, d), r2);
        return light.luminance * PI * r2 * clamp(rise / sqrt(d2), 0.1, 1.0) / d2;
    }
    let rise = dot(light.centre, normal);
    if rise + sqrt(light.cap * (2.0 - light.cap)) <= 0.0 {
        return 0.0;
    }
    return light.luminance * select(1.0, TAU * light.cap, light.cap > 0.0) * max(rise, 0.1);
}

fn sample_light(light: Light, point: vec3f, u: vec2f) -> LightSample {
    var s: LightSample;
    s.found = 1u;
    s.radiance = light.radiance;
    if light.kind == 0u {
        let seen = see_panel(light, point);
        if !seen.seen {
            s.found = 0u;
            return s;
        }
        var local = vec3f(mix(seen.x.x, seen.x.y, u.x), mix(seen.y.x, seen.y.y, u.y), seen.z0);
        if seen.solid_angle > LEAST_SOLID_ANGLE {
            local = draw_on_panel(seen, u);
        }
        s.distance = length(local);
        let to = light.axis_u * local.x + light.axis_v * local.y + light.normal * local.z;
        s.direction = to * (1.0 / s.distance);
        s.radiance = emitted(
            light,
            local.x - 0.5 * (seen.x.x + seen.x.y),
            local.y - 0.5 * (seen.y.x + seen.y.y),
        );
        s.pdf = panel_pdf(light, seen, s.distance);
    } else if light.kind == 1u {
        let d = light.centre - point;
        let d2 = dot(d, d);
        let r2 = light.radius * light.radius;
        if d2 <= r2 * 1.0001 {
            s.found = 0u;
            return s;
        }
        let cap = cone_cap(r2 / d2);
        s.direction = cone(d * (1.0 / sqrt(d2)), cap, u);
        let along = dot(d, s.direction);
        s.distance = along - sqrt(max(r2 - d2 + along * along, 0.0));
        s.pdf = 1.0 / (TAU * cap);
    } else {
        s.distance = FAR;
        s.direction = light.centre;
        s.pdf = 0.0;
        if light.cap > 0.0 {
            s.direction = cone(light.centre, light.cap, u);
            s.pdf = 1.0 / (TAU * light.cap);
        }
    }
    return s;
}

fn meet_light(light: Light, origin: vec3f, direction: vec3f) -> Meeting {
    let none = Meeting(false, 0.0, vec3f(0.0));
    let d = light.centre - origin;
    if light.kind == 0u {
        let along = dot(direction, light.normal);
        let height = dot(d, light.normal);
        if along >= 0.0 || height >= 0.0 {
            return none;
        }
        let t = height / along;
        let at = direction * t - d;
        let x = dot(at, light.axis_u);
        let y = dot(at, light.axis_v);
        if abs(x) > light.half_sides.x || abs(y) > light.half_sides.y {
            return none;
        }
        return Meeting(true, t, emitted(light, x, y));
    }
    if light.kind == 1u {
        let along = dot(d, direction);
        let r2 = light.radius * light.radius;
        let across = d - direction * along;
        let under = r2 - dot(across, across);
        if under <= 0.0 || along <= 0.0 || dot(d, d) <= r2 * 1.0001 {
            return none;
        }
        return Meeting(true, along - sqrt(under), light.radiance);
    }
    let across = direction - light.centre;
    if 0.5 * dot(across, across) >= light.cap {
        return none;
    }
    return Meeting(true, FAR, light.radiance);
}

fn light_pdf(light: Light, point: vec3f, distance: f32) -> f32 {
    if light.kind == 0u {
        let seen = see_panel(light, point);
        return select(0.0, panel_pdf(light, seen, distance), seen.seen);
    }
    if light.kind == 1u {
        let d = light.centre - point;
        return 1.0 / (TAU * cone_cap(light.radius * light.radius / dot(d, d)));
    }
    return 1.0 / (TAU * light.cap);
}

