// Twin of packshot-render/src/surface.rs.

const RELATIVE_OFFSET: f32 = 2e-6;

struct Surface {
    position: vec3f,
    flat_normal: vec3f,
    smooth_normal: vec3f,
    normal: vec3f,
    base: vec3f,
    metallic: f32,
    roughness: f32,
    emission: vec3f,
    flags: u32,
    start: vec3f,
}

fn hit_uv(hit: Hit, material: u32) -> vec2f {
    let corners = triangles[hit.triangle].xyz + vec3u(words[material + M_UVS]);
    let at = vec3u(params.uvs_at) + corners * 2u;
    let w = hit.barycentric;
    return vec2f(
        vertex_f32(at.x) * w.x + vertex_f32(at.y) * w.y + vertex_f32(at.z) * w.z,
        vertex_f32(at.x + 1u) * w.x + vertex_f32(at.y + 1u) * w.y + vertex_f32(at.z + 1u) * w.z,
    );
}

// Linear base colour and alpha.
fn base_colour(hit: Hit, material: u32) -> vec4f {
    var colour = vec4f(word_vec3(material + M_BASE), word_f32(material + M_ALPHA));
    let flags = words[material + M_FLAGS];
    let slot = material + M_BASE_SLOT;
    if words[slot] != NONE && (flags & FLAG_UVS) != 0u {
        colour *= bilinear(words[slot], slot_uv(slot, hit_uv(hit, material)), true);
    }
    if (flags & FLAG_COLOURS) != 0u {
        let corners = triangles[hit.triangle].xyz + vec3u(words[material + M_COLOURS]);
        let at = vec3u(params.colours_at) + corners;
        let w = hit.barycentric;
        colour *= linear_rgba(vertices[at.x]) * w.x + linear_rgba(vertices[at.y]) * w.y
            + linear_rgba(vertices[at.z]) * w.z;
    }
    return colour;
}

fn keep_visible(normal: vec3f, flat_normal: vec3f, direction: vec3f) -> vec3f {
    let to_viewer = -direction;
    let height = dot(to_viewer, flat_normal);
    let least = min(0.9 * height, 0.01);
    let upright = dot(normal, flat_normal);
    let image = normal * (2.0 * dot(normal, to_viewer)) - to_viewer;
    if upright > 0.0 && dot(image, flat_normal) >= least {
        return normal;
    }
    let across = normalize_or(normal - flat_normal * upright, vec3f(0.0));
    let along = dot(to_viewer, across);
    let size = sqrt(along * along + height * height);
    if dot(across, across) == 0.0 || size <= 0.0 {
        return flat_normal;
    }
    let angle = 0.5 * (arc_tangent(along, height) + arc_cosine(clamp(least / size, -1.0, 1.0)));
    let turn = sin_cos(angle);
    let bent = across * turn.x + flat_normal * turn.y;
    if is_finite(bent) {
        return bent;
    }
    return flat_normal;
}

// Way from a place to the plane through a corner across its normal, as far as it lies below.
fn lift(position: vec3f, corner: vec3f, n: vec3f) -> vec3f {
    return n * min(dot(position - corner, n), 0.0);
}

fn bump(material: u32, hit: Hit, uv: vec2f, normal: vec3f, side: f32) -> vec3f {
    let corners = triangles[hit.triangle].xyz + vec3u(words[material + M_TANGENTS]);
    let at = vec3u(params.tangents_at) + corners * 4u;
    let w = hit.barycentric;
    let sum = vertex_vec3(at.x) * w.x + vertex_vec3(at.y) * w.y + vertex_vec3(at.z) * w.z;
    let front = normal * side;
    let tangent = normalize_or(sum - front * dot(front, sum), vec3f(0.0));
    if dot(tangent, tangent) == 0.0 {
        return normal;
    }
    let bitangent = cross(front, tangent) * vertex_f32(at.z + 3u);
    let slot = material + M_NORMAL_SLOT;
    let n = bilinear(words[slot], slot_uv(slot, uv), false).rgb * 2.0 - vec3f(1.0);
    let scale = word_f32(material + M_NORMAL_SCALE);
    let bumped = tangent * (n.x * scale) + bitangent * (n.y * scale) + front * n.z;
    return normalize_or(bumped * side, normal);
}

fn surface_at(hit: Hit, direction: vec3f) -> Surface {
    var s: Surface;
    let corners = triangles[hit.triangle].xyz;
    let material = material_of(hit.triangle);
    s.flags = words[material + M_FLAGS];
    let a = vertex_vec3(corners.x * 3u);
    let b = vertex_vec3(corners.y * 3u);
    let c = vertex_vec3(corners.z * 3u);
    let w = hit.barycentric;
    s.position = a * w.x + b * w.y + c * w.z;
    s.flat_normal = normalize_or(cross(b - a, c - a), -direction);
    let side = select(1.0, -1.0, dot(s.flat_normal, direction) > 0.0);
    s.flat_normal *= side;
    s.normal = s.flat_normal;
    var raised = s.position;
    if (s.flags & FLAG_NORMALS) != 0u {
        let at = vec3u(params.normals_at) + (corners + vec3u(words[material + M_NORMALS])) * 3u;
        let na = vertex_vec3(at.x) * side;
        let nb = vertex_vec3(at.y) * side;
        let nc = vertex_vec3(at.z) * side;
        let mean = normalize_or(na * w.x + nb * w.y + nc * w.z, vec3f(0.0));
        if dot(mean, s.flat_normal) > 0.0 {
            s.normal = mean;
            raised = s.position - (lift(s.position, a, na) * w.x + lift(s.position, b, nb) * w.y
                + lift(s.position, c, nc) * w.z);
        }
    }
    s.smooth_normal = s.normal;
    var uv = vec2f(0.0);
    if (s.flags & FLAG_UVS) != 0u {
        uv = hit_uv(hit, material);
    }
    if words[material + M_NORMAL_SLOT] != NONE && (s.flags & FLAG_TANGENTS) != 0u {
        s.normal = bump(material, hit, uv, s.normal, side);
    }
    s.normal = keep_visible(s.normal, s.flat_normal, direction);
    let metal = metallic_roughness(material, uv);
    s.metallic = metal.x;
    s.roughness = metal.y;
    s.emission = word_vec3(material + M_EMISSIVE);
    let glow = material + M_EMISSIVE_SLOT;
    if words[glow] != NONE {
        s.emission *= bilinear(words[glow], slot_uv(glow, uv), true).rgb;
    }
    s.base = base_colour(hit, material).rgb;
    let corner = max(abs(a), max(abs(b), abs(c)));
    let reach = max(corner.x, max(corner.y, corner.z));
    s.start = raised + s.flat_normal * max(RELATIVE_OFFSET * reach, params.least_offset);
    return s;
}
