// Twin of packshot-render/src/texture.rs.

// A texture's first texel, width, height, and how it is continued to the sides and up and down.
const HEADER_WORDS: u32 = 5u;
const WRAP_REPEAT: u32 = 0u;
const WRAP_CLAMP: u32 = 2u;

// Linear RGB and alpha of packed sRGB, by the table of all levels.
fn linear_rgba(bits: u32) -> vec4f {
    let at = params.linear_at;
    return vec4f(
        word_f32(at + (bits & 0xffu)),
        word_f32(at + ((bits >> 8u) & 0xffu)),
        word_f32(at + ((bits >> 16u) & 0xffu)),
        f32(bits >> 24u) / 255.0,
    );
}

fn plain_rgba(bits: u32) -> vec4f {
    let levels = vec4u(bits, bits >> 8u, bits >> 16u, bits >> 24u) & vec4u(0xffu);
    return vec4f(levels) / 255.0;
}

fn modulo(at: i32, size: i32) -> i32 {
    let rest = at % size;
    return select(rest, rest + size, rest < 0);
}

fn wrap(at: i32, size: i32, mode: u32) -> i32 {
    if mode == WRAP_CLAMP {
        return clamp(at, 0, size - 1);
    }
    if mode == WRAP_REPEAT {
        return modulo(at, size);
    }
    let twice = modulo(at, 2 * size);
    return select(2 * size - 1 - twice, twice, twice < size);
}

fn texel(header: u32, x: i32, y: i32, srgb: bool) -> vec4f {
    let width = i32(words[header + 1u]);
    let column = wrap(x, width, words[header + 3u]);
    let row = wrap(y, i32(words[header + 2u]), words[header + 4u]);
    let bits = texels[words[header] + u32(row * width + column)];
    if srgb {
        return linear_rgba(bits);
    }
    return plain_rgba(bits);
}

fn bilinear(texture: u32, uv: vec2f, srgb: bool) -> vec4f {
    let header = params.headers_at + texture * HEADER_WORDS;
    var x = uv.x * f32(words[header + 1u]) - 0.5;
    var y = uv.y * f32(words[header + 2u]) - 0.5;
    if !(finite(x) && finite(y) && abs(x) < 1e9 && abs(y) < 1e9) {
        x = 0.0;
        y = 0.0;
    }
    let x0 = i32(floor(x));
    let y0 = i32(floor(y));
    let s = x - floor(x);
    let t = y - floor(y);
    let near = mix(texel(header, x0, y0, srgb), texel(header, x0 + 1, y0, srgb), s);
    let away = mix(texel(header, x0, y0 + 1, srgb), texel(header, x0 + 1, y0 + 1, srgb), s);
    return mix(near, away, t);
}
