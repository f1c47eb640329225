// Twin of packshot-render/src/trace.rs. Shadow rays and the path's own rays go through one call of
// `traverse`, which is by far the largest part of the code: a shadow ray that a surface asks for is
// cast by the loop's next turn.

const MAX_CATCHERS: u32 = 4u;
const ROULETTE_FROM: u32 = 3u;
const SHADOW_RAY: u32 = 0x80000000u;
// A bounce that no path reaches.
const CATCHER_DRAW: u32 = 1000u;

struct Path {
    radiance: vec3f,
    alpha: f32,
    albedo: vec3f,
    normal: vec3f,
    depth: f32,
    met: bool,
    product: bool,
    caught: bool,
    unshadowed: f32,
    shadowed: f32,
    rays: u32,
}

// How a ray came to be: for the weight of lights that it meets.
struct Origin {
    position: vec3f,
    normal: vec3f,
    pdf: f32,
    importance: f32,
}

struct ShadowRay {
    wanted: bool,
    start: vec3f,
    direction: vec3f,
    distance: f32,
    ray: u32,
    // What arrives when nothing is in between.
    arrives: vec3f,
    catching: bool,
}

struct Draw {
    light: LightSample,
    chance: f32,
}

fn power_heuristic(a: f32, b: f32) -> f32 {
    let a2 = a * a;
    let b2 = b * b;
    return a2 / (a2 + b2);
}

fn clamped(light: vec3f, bounce: u32) -> vec3f {
    let most = max_component(light);
    if bounce == 0u || most <= params.clamp_indirect {
        return light;
    }
    return light * (params.clamp_indirect / most);
}

fn all_importance(position: vec3f, normal: vec3f) -> f32 {
    var sum = environment_importance();
    for (var i = 0u; i < params.light_count; i++) {
        sum += light_importance(load_light(i), position, normal);
    }
    return sum;
}

fn draw_light(position: vec3f, normal: vec3f, importance: f32, s: Sampler, bounce: u32) -> Draw {
    var u = bounce_pair(s, bounce, PAIR_LIGHT);
    var left = u.x * importance;
    var chosen = NONE;
    var own = 0.0;
    for (var i = 0u; i < params.light_count; i++) {
        own = light_importance(load_light(i), position, normal);
        if left < own {
            chosen = i;
            break;
        }
        left -= own;
    }
    if chosen != NONE {
        u.x = left / own;
        return Draw(sample_light(load_light(chosen), position, u), own / importance);
    }
    own = environment_importance();
    var draw: Draw;
    if own > 0.0 {
        u.x = clamp(left / own, 0.0, 0.9999999);
        draw = Draw(sample_environment(normal, u), own / importance);
    }
    return draw;
}

fn visible_light(origin: vec3f, direction: vec3f, distance: f32, missed: bool) -> Meeting {
    var nearest = Meeting(false, distance, vec3f(0.0));
    for (var i = 0u; i < params.light_count; i++) {
        let light = load_light(i);
        if light.visible_to_camera != 0u {
            let met = meet_light(light, origin, direction);
            let at_infinity = met.t == FAR && missed && !nearest.found;
            if met.found && (met.t < nearest.t || at_infinity) {
                nearest = met;
            }
        }
    }
    return nearest;
}

fn met_lights(origin: vec3f, direction: vec3f, distance: f32, missed: bool, before: Origin) -> vec3f {
    var sum = vec3f(0.0);
    let total = max(before.importance, TINY);
    for (var i = 0u; i < params.light_count; i++) {
        let light = load_light(i);
        let met = meet_light(light, origin, direction);
        if met.found && (met.t < distance || missed) {
            let chance = light_importance(light, before.position, before.normal) / total;
            let drawn = light_pdf(light, before.position, met.t) * chance;
            sum += met.radiance * power_heuristic(before.pdf, drawn);
        }
    }
    return sum;
}

fn met_environment(direction: vec3f, before: Origin) -> vec3f {
    let chance = environment_importance() / max(before.importance, TINY);
    let drawn = environment_pdf(before.normal, direction) * chance;
    return environment_radiance(direction) * power_heuristic(before.pdf, drawn);
}

fn show_background(direction: vec3f, path: ptr<function, Path>) {
    (*path).alpha = 1.0;
    if params.background_kind == 0u {
        (*path).radiance = environment_radiance(direction);
    } else if params.background_kind == 1u {
        (*path).radiance = params.background;
    } else {
        (*path).radiance = vec3f(0.0);
        (*path).alpha = 0.0;
    }
}

// The shadow ray that measures the light at a catcher.
fn catch_shadow(surface: Surface, s: Sampler, path: ptr<function, Path>) -> ShadowRay {
    var shadow: ShadowRay;
    (*path).caught = true;
    let importance = all_importance(surface.start, surface.normal);
    if importance <= 0.0 {
        return shadow;
    }
    let draw = draw_light(surface.start, surface.normal, importance, s, CATCHER_DRAW);
    if draw.light.found == 0u {
        return shadow;
    }
    let cosine = max(dot(draw.light.direction, surface.normal), 0.0);
    let pdf = select(1.0, draw.light.pdf, draw.light.pdf > 0.0);
    let arrives = luminance(draw.light.radiance) * cosine / (pdf * draw.chance);
    if arrives > 0.0 && dot(draw.light.direction, surface.flat_normal) > 0.0 {
        (*path).unshadowed = arrives;
        shadow = ShadowRay(
            true,
            surface.start,
            draw.light.direction,
            draw.light.distance,
            SHADOW_RAY | CATCHER_DRAW,
            vec3f(arrives),
            true,
        );
    }
    return shadow;
}

fn trace(first: CameraRay, s: Sampler) -> Path {
    var path: Path;
    var origin = first.origin;
    var direction = first.direction;
    var throughput = vec3f(1.0);
    var before = Origin(origin, vec3f(0.0), 0.0, 0.0);
    var shadow: ShadowRay;
    var bounce = 0u;
    var ray = 0u;
    var catchers = 0u;
    var goes_on = true;
    while goes_on || shadow.wanted {
        let start = select(origin, shadow.start, shadow.wanted);
        let along = select(direction, shadow.direction, shadow.wanted);
        let reach = select(FAR, shadow.distance, shadow.wanted);
        let number = select(ray, shadow.ray, shadow.wanted);
        let hit = traverse(start, along, reach, shadow.wanted, s, number);
        path.rays += 1u;
        let nothing = hit.triangle == NONE;
        let glow = meet_volumes(start, along, select(hit.t, reach, nothing), s, number);
        let missed = nothing && !glow.found;
        let distance = select(hit.t, glow.t, glow.found);
        if shadow.wanted {
            shadow.wanted = false;
            if missed {
                if shadow.catching {
                    path.shadowed = shadow.arrives.x;
                } else {
                    path.radiance += shadow.arrives;
                }
            }
            continue;
        }
        ray += 1u;
        if bounce == 0u {
            let seen = visible_light(origin, direction, distance, missed);
            if seen.found {
                path.radiance = seen.radiance;
                path.alpha = 1.0;
                path.albedo = vec3f(1.0);
                break;
            }
        } else {
            let met = met_lights(origin, direction, distance, missed, before);
            path.radiance += clamped(throughput * met, bounce - 1u);
        }
        if glow.found {
            if bounce == 0u {
                path.alpha = 1.0;
                path.met = true;
                path.product = glow.product;
                path.albedo = glow.colour;
                path.normal = -direction;
                let seen_at = origin + direction * glow.t;
                path.depth = dot(seen_at - params.camera_origin, params.camera_forward);
            }
            path.radiance += clamped(throughput * glow.colour, max(bounce, 1u) - 1u);
            break;
        }
        if missed {
            if bounce == 0u {
                show_background(direction, &path);
            } else {
                let met = throughput * met_environment(direction, before);
                path.radiance += clamped(met, bounce - 1u);
            }
            break;
        }
        let surface = surface_at(hit, direction);
        if bounce == 0u {
            if (surface.flags & FLAG_CATCHER) != 0u {
                if !path.caught {
                    shadow = catch_shadow(surface, s, &path);
                }
                catchers += 1u;
                if catchers > MAX_CATCHERS {
                    show_background(direction, &path);
                    goes_on = false;
                }
                // Through to the other side.
                origin = surface.position - (surface.start - surface.position);
                continue;
            }
            path.alpha = 1.0;
            path.met = true;
            path.product = (surface.flags & FLAG_PRODUCT) != 0u;
            path.albedo = surface.base;
            path.normal = surface.normal;
            path.depth = dot(surface.position - params.camera_origin, params.camera_forward);
        }
        let unlit = (surface.flags & FLAG_UNLIT) != 0u;
        let emission = surface.emission + select(vec3f(0.0), surface.base, unlit);
        path.radiance += clamped(throughput * emission, max(bounce, 1u) - 1u);
        if unlit || bounce > params.max_bounces {
            break;
        }
        let b = basis(surface.normal);
        let wo = -direction;
        var bsdf = new_bsdf(
            vec3f(dot(wo, b.x), dot(wo, b.y), dot(wo, surface.normal)),
            surface.base,
            surface.metallic,
            surface.roughness,
        );
        let bare = surface.smooth_normal;
        if any(bare != surface.normal) {
            let local = vec3f(dot(bare, b.x), dot(bare, b.y), dot(bare, surface.normal));
            bsdf = with_smooth_normal(bsdf, local);
        }
        // Light that is drawn on purpose.
        let importance = all_importance(surface.start, surface.normal);
        if importance > 0.0 {
            let draw = draw_light(surface.start, surface.normal, importance, s, bounce);
            let to = draw.light.direction;
            if draw.light.found != 0u && dot(to, surface.flat_normal) > 0.0 {
                let wi = vec3f(dot(to, b.x), dot(to, b.y), dot(to, surface.normal));
                let scattering = evaluate(bsdf, wi);
                var weight = 1.0 / draw.chance;
                if draw.light.pdf > 0.0 {
                    let pdf = draw.light.pdf * draw.chance;
                    weight = power_heuristic(pdf, scattering.pdf) / pdf;
                }
                let arrives = throughput * scattering.value * draw.light.radiance * weight;
                if max_component(arrives) > 0.0 {
                    shadow = ShadowRay(
                        true,
                        surface.start,
                        to,
                        draw.light.distance,
                        SHADOW_RAY | bounce,
                        clamped(arrives, bounce),
                        false,
                    );
                }
            }
        }
        // Where the path goes on.
        goes_on = false;
        let wi = sample_bsdf(bsdf, bounce_pair(s, bounce, PAIR_DIRECTION));
        if wi.z <= 0.0 {
            continue;
        }
        let next = b.x * wi.x + b.y * wi.y + surface.normal * wi.z;
        let scattering = evaluate(bsdf, wi);
        if dot(next, surface.flat_normal) <= 0.0 || scattering.pdf <= 0.0 {
            continue;
        }
        throughput *= scattering.value * (1.0 / scattering.pdf);
        bounce += 1u;
        if bounce >= ROULETTE_FROM {
            let lives = min(max_component(throughput), 0.95);
            if bounce_pair(s, bounce, PAIR_ROULETTE).x >= lives {
                continue;
            }
            throughput *= 1.0 / lives;
        }
        before = Origin(surface.start, surface.normal, scattering.pdf, importance);
        origin = surface.start;
        direction = next;
        goes_on = true;
    }
    if !(is_finite(path.radiance) && max_component(path.radiance) >= 0.0) {
        path.radiance = vec3f(0.0);
    }
    return path;
}
