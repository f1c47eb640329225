//! Where samples lie: contraction of unbounded scenes, normalised device coordinates, boxes.

/// Scene contraction (Barron et al., "Mip-NeRF 360", 2022, equation 10): `x` inside the unit ball
/// of the norm, `(2 − 1/|x|)·x/|x|` outside, so that all of space lies within radius 2.
pub fn contract(x: [f64; 3], norm: Norm) -> [f64; 3] {
    let length = norm.of(x);
    if length <= 1.0 {
        return x;
    }
    x.map(|v| (2.0 - 1.0 / length) * v / length)
}

/// Which ball a contraction keeps as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// A sphere.
    Euclidean,
    /// A cube (as in nerfacto).
    Largest,
}

impl Norm {
    fn of(self, x: [f64; 3]) -> f64 {
        match self {
            Self::Euclidean => x.iter().map(|v| v * v).sum::<f64>().sqrt(),
            Self::Largest => x.iter().fold(0.0, |m: f64, v| m.max(v.abs())),
        }
    }
}

/// The Jacobian `∂out[i]/∂x[j]` of the Euclidean [`contract`].
pub fn contract_jacobian(x: [f64; 3]) -> [[f64; 3]; 3] {
    let length = Norm::Euclidean.of(x);
    let mut jacobian = [[0.0; 3]; 3];
    for (i, row) in jacobian.iter_mut().enumerate() {
        for (j, entry) in row.iter_mut().enumerate() {
            let same = f64::from(u8::from(i == j));
            *entry = if length <= 1.0 {
                same
            } else {
                let scale = (2.0 - 1.0 / length) / length;
                // d scale / d length
                let slope = (2.0 / length - 2.0) / (length * length);
                same * scale + slope * x[i] * x[j] / length
            };
        }
    }
    jacobian
}

/// Moves a ray of a forward-facing camera (looking along −z) into normalised device coordinates,
/// where it runs from the near plane (t = 0) to infinity (t = 1) (Mildenhall et al., "NeRF", 2020,
/// appendix C). `focal` is in pixels.
pub fn normalised_device_ray(
    origin: [f64; 3],
    direction: [f64; 3],
    (height, width, focal, near): (f64, f64, f64, f64),
) -> ([f64; 3], [f64; 3]) {
    let ([mut ox, mut oy, mut oz], [dx, dy, dz]) = (origin, direction);
    let t = -(near + oz) / dz;
    ox += t * dx;
    oy += t * dy;
    oz += t * dz;
    let (sx, sy) = (-focal / (0.5 * width), -focal / (0.5 * height));
    (
        [sx * ox / oz, sy * oy / oz, 1.0 + 2.0 * near / oz],
        [
            sx * (dx / dz - ox / oz),
            sy * (dy / dz - oy / oz),
            -2.0 * near / oz,
        ],
    )
}

/// Where a ray enters and leaves the box: `(near, far)`, missed unless `far > max(near, 0)`.
pub fn through_box(
    origin: [f32; 3],
    direction: [f32; 3],
    min: [f32; 3],
    max: [f32; 3],
) -> (f32, f32) {
    let (mut near, mut far) = (f32::NEG_INFINITY, f32::INFINITY);
    for c in 0..3 {
        let inverse = 1.0 / direction[c];
        let (a, b) = (
            (min[c] - origin[c]) * inverse,
            (max[c] - origin[c]) * inverse,
        );
        // `f32::min` and `max` pass over NaN: a ray within a face counts as inside.
        near = near.max(a.min(b));
        far = far.min(a.max(b));
    }
    (near, far)
}

/// Nerfacto's spacing: half of the samples evenly up to t = 1, half evenly in 1/t beyond.
pub fn piecewise_spacing(t: f64) -> f64 {
    if t < 1.0 {
        t / 2.0
    } else {
        1.0 - 1.0 / (2.0 * t)
    }
}

/// Morton code of a cell: the bits of x, y, z in turn, x lowest; 10 bits each.
pub fn morton([x, y, z]: [u32; 3]) -> u32 {
    fn spread(v: u32) -> u32 {
        let mut v = v & 0x3ff;
        v = (v | v << 16) & 0x0300_00ff;
        v = (v | v << 8) & 0x0300_f00f;
        v = (v | v << 4) & 0x030c_30c3;
        (v | v << 2) & 0x0924_9249
    }
    spread(x) | spread(y) << 1 | spread(z) << 2
}

/// The rotation `exp(ω)` (Rodrigues), row by row: what refining a camera's pose turns it by, while
/// the translation is added as it is (nerfstudio's SO3×R3).
pub fn rotation_exp(omega: [f64; 3]) -> [[f64; 3]; 3] {
    let [x, y, z] = omega;
    let square = x * x + y * y + z * z;
    let angle = square.sqrt();
    // sin θ/θ and (1 − cos θ)/θ², by their series where the quotient loses digits.
    let (a, b) = if angle < 1e-4 {
        (1.0 - square / 6.0, 0.5 - square / 24.0)
    } else {
        let half = (0.5 * angle).sin();
        (angle.sin() / angle, 2.0 * half * half / square)
    };
    let cross = [[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]];
    std::array::from_fn(|i| {
        std::array::from_fn(|j| {
            let squared: f64 = (0..3).map(|k| cross[i][k] * cross[k][j]).sum();
            f64::from(u8::from(i == j)) + a * cross[i][j] + b * squared
        })
    })
}
