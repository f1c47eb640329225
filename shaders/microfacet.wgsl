// Twin of packshot-render/src/microfacet.rs.

const MIN_ALPHA: f32 = 1e-3;

fn distribution(h: vec3f, alpha: f32) -> f32 {
    let x = h.x / alpha;
    let y = h.y / alpha;
    let s = x * x + y * y + h.z * h.z;
    return 1.0 / (PI * alpha * alpha * s * s);
}

fn lambda(v: vec3f, alpha: f32) -> f32 {
    let tan2 = (v.x * v.x + v.y * v.y) / max(v.z * v.z, 1e-12);
    return 0.5 * (sqrt(1.0 + alpha * alpha * tan2) - 1.0);
}

fn sample_visible_normal(wo: vec3f, alpha: f32, u: vec2f) -> vec3f {
    let warped = normalize(vec3f(wo.x * alpha, wo.y * alpha, wo.z));
    let phi = sin_cos(TAU * u.x);
    let z = (1.0 - u.y) * (1.0 + warped.z) - warped.z;
    let across = sqrt(clamp(1.0 - z * z, 0.0, 1.0));
    let h = vec3f(across * phi.y, across * phi.x, z) + warped;
    return normalize(vec3f(h.x * alpha, h.y * alpha, max(h.z, 1e-7)));
}

fn fresnel_dielectric(cosine: f32) -> f32 {
    let c = clamp(cosine, 0.0, 1.0);
    let g = sqrt(1.5 * 1.5 - 1.0 + c * c);
    let a = (g - c) / (g + c);
    let b = (c * (g + c) - 1.0) / (c * (g - c) + 1.0);
    return 0.5 * a * a * (1.0 + b * b);
}

fn schlick_weight(cosine: f32) -> f32 {
    let m = clamp(1.0 - cosine, 0.0, 1.0);
    let m2 = m * m;
    return m2 * m2 * m;
}

fn mirrored(v: vec3f, h: vec3f) -> vec3f {
    return h * (2.0 * dot(v, h)) - v;
}
