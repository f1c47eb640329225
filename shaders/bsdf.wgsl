// Twin of packshot-render/src/bsdf.rs.

const DIELECTRIC_MEAN: f32 = 0.0918;

struct Bsdf {
    wo: vec3f,
    base: vec3f,
    metallic: f32,
    alpha: f32,
    diffuse: vec3f,
    metal_gain: vec3f,
    coat_gain: f32,
    facets: f32,
    smooth_normal: vec3f,
    bump_alpha2: f32,
}

struct Scattering {
    value: vec3f,
    pdf: f32,
}

fn survives(mean: f32, e: f32) -> f32 {
    return mean * e / (1.0 - mean * (1.0 - e));
}

fn new_bsdf(wo: vec3f, base: vec3f, metallic: f32, roughness: f32) -> Bsdf {
    var b: Bsdf;
    b.wo = wo;
    b.base = base;
    b.metallic = metallic;
    b.alpha = clamp(roughness * roughness, MIN_ALPHA, 1.0);
    let albedo = albedo_at(wo.z, roughness);
    let missing = (1.0 - albedo.mirror) / albedo.mirror;
    let e = albedo.mirror_mean;
    b.coat_gain = 1.0 + survives(DIELECTRIC_MEAN, e) * missing;
    let mean = mix(base, vec3f(1.0), 1.0 / 21.0);
    b.metal_gain = vec3f(1.0)
        + vec3f(survives(mean.x, e), survives(mean.y, e), survives(mean.z, e)) * missing;
    let coat = albedo.dielectric * b.coat_gain;
    b.diffuse = base * ((1.0 - metallic) * (1.0 - coat));
    let weight_diffuse = luminance(b.diffuse);
    let weight_facets = metallic * luminance(mean) + (1.0 - metallic) * coat;
    b.facets = 1.0;
    if metallic < 1.0 {
        b.facets = clamp(weight_facets / max(weight_facets + weight_diffuse, 1e-6), 0.05, 1.0);
    }
    b.smooth_normal = vec3f(0.0, 0.0, 1.0);
    b.bump_alpha2 = 0.0;
    return b;
}

fn with_smooth_normal(plain: Bsdf, smooth_normal: vec3f) -> Bsdf {
    var b = plain;
    let cos2 = clamp(smooth_normal.z * smooth_normal.z, 1e-6, 1.0);
    b.smooth_normal = smooth_normal;
    b.bump_alpha2 = clamp(0.125 * (1.0 - cos2) / cos2, 0.0, 1.0);
    return b;
}

fn bump_shadow(b: Bsdf, wi: vec3f) -> f32 {
    if b.bump_alpha2 <= 0.0 {
        return 1.0;
    }
    let cosine = dot(b.smooth_normal, wi);
    if cosine <= 0.0 {
        return 0.0;
    }
    let tan2 = max(1.0 - cosine * cosine, 0.0) / max(cosine * cosine, 1e-12);
    return 2.0 / (1.0 + sqrt(1.0 + b.bump_alpha2 * tan2));
}

fn fresnel(b: Bsdf, cosine: f32) -> vec3f {
    var sum = vec3f(0.0);
    if b.metallic > 0.0 {
        sum += mix(b.base, vec3f(1.0), schlick_weight(cosine)) * b.metal_gain * b.metallic;
    }
    if b.metallic < 1.0 {
        sum += vec3f((1.0 - b.metallic) * fresnel_dielectric(cosine) * b.coat_gain);
    }
    return sum;
}

fn evaluate(b: Bsdf, wi: vec3f) -> Scattering {
    if wi.z <= 0.0 || b.wo.z <= 0.0 {
        return Scattering(vec3f(0.0), 0.0);
    }
    let h = normalize(b.wo + wi);
    let d = distribution(h, b.alpha);
    let lambda_o = lambda(b.wo, b.alpha);
    let lambda_i = lambda(wi, b.alpha);
    let four = 4.0 * max(b.wo.z, 1e-6);
    let single = d / ((1.0 + lambda_o + lambda_i) * four);
    let value = fresnel(b, dot(wi, h)) * single + b.diffuse * (wi.z / PI * bump_shadow(b, wi));
    let facets_pdf = d / ((1.0 + lambda_o) * four);
    return Scattering(value, b.facets * facets_pdf + (1.0 - b.facets) * wi.z / PI);
}

// A direction that light may come from; not above the surface where the draw fails.
fn sample_bsdf(b: Bsdf, u: vec2f) -> vec3f {
    if u.x < b.facets {
        return mirrored(b.wo, sample_visible_normal(b.wo, b.alpha, vec2f(u.x / b.facets, u.y)));
    }
    let rest = (u.x - b.facets) / (1.0 - b.facets);
    return cosine_hemisphere(vec2f(min(rest, 0.9999999), u.y));
}

fn cosine_hemisphere(u: vec2f) -> vec3f {
    let r = sqrt(u.x);
    let phi = sin_cos(TAU * u.y);
    return vec3f(r * phi.y, r * phi.x, sqrt(max(1.0 - u.x, 0.0)));
}
