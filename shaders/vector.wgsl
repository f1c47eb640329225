// Twin of packshot-render/src/vector.rs, and the functions of angles that Rust has in its standard
// library. The built-in ones may be off by 2^-11 here, which tells two pictures apart; these keep
// single precision (polynomials of Moshier's Cephes library).

const PI: f32 = 3.14159265358979;
const TAU: f32 = 6.28318530717959;
// Stands for infinity, which WGSL cannot write.
const FAR: f32 = 3.0e38;
// Stands for Rust's smallest positive number.
const TINY: f32 = 1.2e-38;

// Reads the exponent: compilers may take comparisons with what is no number for granted.
fn finite(v: f32) -> bool {
    return (bitcast<u32>(v) & 0x7f800000u) != 0x7f800000u;
}

fn is_finite(v: vec3f) -> bool {
    return finite(v.x) && finite(v.y) && finite(v.z);
}

// A unit vector, or `other` for what has no length.
fn normalize_or(v: vec3f, other: vec3f) -> vec3f {
    let squared = dot(v, v);
    if finite(squared) && squared > 0.0 {
        return v * (1.0 / sqrt(squared));
    }
    return other;
}

fn max_component(v: vec3f) -> f32 {
    return max(v.x, max(v.y, v.z));
}

fn luminance(c: vec3f) -> f32 {
    return 0.2126 * c.x + 0.7152 * c.y + 0.0722 * c.z;
}

struct Basis {
    x: vec3f,
    y: vec3f,
}

fn basis(n: vec3f) -> Basis {
    let sign = select(1.0, -1.0, n.z < -0.1);
    let a = -1.0 / (sign + n.z);
    let b = n.x * n.y * a;
    return Basis(
        vec3f(1.0 + sign * n.x * n.x * a, sign * b, -sign * n.x),
        vec3f(b, sign + n.y * n.y * a, -n.y),
    );
}

// Sine and cosine of an angle of a few turns.
fn sin_cos(angle: f32) -> vec2f {
    let quarter = floor(angle * (2.0 / PI) + 0.5);
    let x = ((angle - quarter * 1.5703125) - quarter * 4.837512969970703e-4)
        - quarter * 7.549789948768648e-8;
    let z = x * x;
    let s = x + x * z * ((-1.9515295891e-4 * z + 8.3321608736e-3) * z - 1.6666654611e-1);
    let c = 1.0 - 0.5 * z
        + z * z * ((2.443315711809948e-5 * z - 1.388731625493765e-3) * z + 4.166664568298827e-2);
    let turn = u32(i32(quarter)) & 3u;
    let swapped = select(vec2f(s, c), vec2f(c, s), (turn & 1u) == 1u);
    return vec2f(
        select(swapped.x, -swapped.x, turn >= 2u),
        select(swapped.y, -swapped.y, turn == 1u || turn == 2u),
    );
}

// Arc sine from -1/2 to 1/2.
fn small_arc_sine(x: f32) -> f32 {
    let z = x * x;
    let p = (((4.2163199048e-2 * z + 2.4181311049e-2) * z + 4.5470025998e-2) * z
        + 7.4953002686e-2) * z + 1.6666752422e-1;
    return x + x * z * p;
}

fn arc_cosine(x: f32) -> f32 {
    if x > 0.5 {
        return 2.0 * small_arc_sine(sqrt(0.5 * (1.0 - x)));
    }
    if x < -0.5 {
        return PI - 2.0 * small_arc_sine(sqrt(0.5 * (1.0 + x)));
    }
    return 0.5 * PI - small_arc_sine(x);
}

// The angle of (x, y) from the x axis, -π to π.
fn arc_tangent(y: f32, x: f32) -> f32 {
    let high = max(abs(x), abs(y));
    let low = min(abs(x), abs(y));
    var t = 0.0;
    if high > 0.0 {
        t = low / high;
    }
    var angle = 0.0;
    if t > 0.41421356 {
        angle = 0.25 * PI;
        t = (t - 1.0) / (t + 1.0);
    }
    let z = t * t;
    angle += (((8.05374449538e-2 * z - 1.38776856032e-1) * z + 1.99777106478e-1) * z
        - 3.33329491539e-1) * z * t + t;
    if abs(y) > abs(x) {
        angle = 0.5 * PI - angle;
    }
    if x < 0.0 {
        angle = PI - angle;
    }
    return select(angle, -angle, y < 0.0);
}
