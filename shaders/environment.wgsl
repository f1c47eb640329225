// Twin of packshot-render/src/environment.rs.

// Place in the panorama, both 0..1 from its upper left corner.
fn panorama_place(direction: vec3f) -> vec2f {
    let x = params.cos_rotation * direction.x + params.sin_rotation * direction.y;
    let y = params.cos_rotation * direction.y - params.sin_rotation * direction.x;
    let across = sqrt(x * x + y * y);
    return vec2f(0.5 - arc_tangent(y, x) / TAU, arc_tangent(across, direction.z) / PI);
}

fn panorama_texel(x: i32, y: i32) -> vec3f {
    let w = i32(params.panorama_width);
    let h = i32(params.panorama_height);
    let wrapped = ((x % w) + w) % w;
    let at = params.panorama_at + 3u * u32(clamp(y, 0, h - 1) * w + wrapped);
    return vec3f(
        bitcast<f32>(texels[at]),
        bitcast<f32>(texels[at + 1u]),
        bitcast<f32>(texels[at + 2u]),
    );
}

fn environment_radiance(direction: vec3f) -> vec3f {
    if params.columns == 0u {
        if direction.z >= 0.0 {
            return mix(params.horizon, params.above, min(direction.z, 1.0));
        }
        return mix(params.horizon, params.below, min(-direction.z, 1.0));
    }
    let place = panorama_place(direction);
    let x = place.x * f32(params.panorama_width) - 0.5;
    let y = place.y * f32(params.panorama_height) - 0.5;
    let x0 = i32(floor(x));
    let y0 = i32(floor(y));
    let s = x - floor(x);
    let t = y - floor(y);
    let near = mix(panorama_texel(x0, y0), panorama_texel(x0 + 1, y0), s);
    let away = mix(panorama_texel(x0, y0 + 1), panorama_texel(x0 + 1, y0 + 1), s);
    return mix(near, away, t) * params.strength;
}

fn row_edge(row: u32) -> f32 {
    return sin_cos(f32(row) / f32(params.rows) * PI).y;
}

fn cell_pdf(row: u32, column: u32) -> f32 {
    let line = params.columns_at + row * (params.columns + 1u) + column;
    let rows = params.rows_at + row;
    let share = (word_f32(rows + 1u) - word_f32(rows)) * (word_f32(line + 1u) - word_f32(line));
    return share / ((row_edge(row) - row_edge(row + 1u)) * TAU / f32(params.columns));
}

// The interval of `count` running sums from `at` that holds `u`, and the place within it.
fn find_sum(at: u32, count: u32, u: f32) -> vec2f {
    var low = 0u;
    var high = count - 1u;
    while high - low > 1u {
        let middle = (low + high) / 2u;
        if word_f32(at + middle) <= u {
            low = middle;
        } else {
            high = middle;
        }
    }
    let width = word_f32(at + low + 1u) - word_f32(at + low);
    var within = 0.5;
    if width > 0.0 {
        within = (u - word_f32(at + low)) / width;
    }
    return vec2f(f32(low), clamp(within, 0.0, 1.0));
}

fn environment_importance() -> f32 {
    return PI * params.environment_mean;
}

fn sample_environment(normal: vec3f, u: vec2f) -> LightSample {
    var s: LightSample;
    s.found = 1u;
    s.distance = FAR;
    if params.columns == 0u {
        let local = cosine_hemisphere(u);
        let b = basis(normal);
        s.direction = b.x * local.x + b.y * local.y + normal * local.z;
        s.pdf = local.z / PI;
    } else {
        let row = find_sum(params.rows_at, params.rows + 1u, u.y);
        let line = params.columns_at + u32(row.x) * (params.columns + 1u);
        let column = find_sum(line, params.columns + 1u, u.x);
        let z = row_edge(u32(row.x)) * (1.0 - row.y) + row_edge(u32(row.x) + 1u) * row.y;
        let across = sqrt(max(1.0 - z * z, 0.0));
        let phi = sin_cos((0.5 - (column.x + column.y) / f32(params.columns)) * TAU);
        let x = across * phi.y;
        let y = across * phi.x;
        s.direction = vec3f(
            params.cos_rotation * x - params.sin_rotation * y,
            params.sin_rotation * x + params.cos_rotation * y,
            z,
        );
        s.pdf = cell_pdf(u32(row.x), u32(column.x));
    }
    s.radiance = environment_radiance(s.direction);
    return s;
}

fn environment_pdf(normal: vec3f, direction: vec3f) -> f32 {
    if params.columns == 0u {
        return max(dot(normal, direction), 0.0) / PI;
    }
    let place = panorama_place(direction);
    let column = min(u32(place.x * f32(params.columns)), params.columns - 1u);
    let row = min(u32(place.y * f32(params.rows)), params.rows - 1u);
    return cell_pdf(row, column);
}
