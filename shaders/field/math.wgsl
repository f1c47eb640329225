// Twin of packshot-nerf/src/math.rs. The built-in exponential may be off by some units more.

const LOG2_E: f32 = 1.44269504088896;

fn exponential(v: f32) -> f32 {
    let x = clamp(v, -87.0, 88.0);
    let n = round(x * LOG2_E);
    let f = (x - n * 0.6933594) + n * 2.1219444e-4;
    var p = 0.0013836843;
    p = p * f + 0.008374818;
    p = p * f + 0.041668225;
    p = p * f + 0.1666642;
    p = p * f + 0.4999999;
    p = p * f + 1.0;
    p = p * f + 1.0;
    return p * bitcast<f32>(u32(i32(n) + 127) << 23u);
}

fn sigmoid(x: f32) -> f32 {
    return 1.0 / (1.0 + exponential(-x));
}
