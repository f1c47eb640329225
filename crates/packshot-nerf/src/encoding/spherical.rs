//! Real spherical harmonics up to degree 3: sixteen numbers of a direction (as in Müller et al.,
//! "Instant neural graphics primitives", 2022), in the order l = 0..3, m = -l..l, with the
//! Condon–Shortley phase.

/// Numbers of the encoding.
pub const CHANNELS: usize = 16;

const L1: f32 = 0.488_602_5;
const L2: [f32; 4] = [1.092_548_4, 0.946_174_7, 0.315_391_57, 0.546_274_2];
const L3: [f32; 5] = [
    0.590_043_6,
    2.890_611_4,
    0.457_045_8,
    0.373_176_33,
    1.445_305_7,
];

/// The harmonics of a unit direction, as polynomials of its coordinates.
#[inline(always)]
pub fn encode([x, y, z]: [f32; 3]) -> [f32; CHANNELS] {
    let (xx, yy, zz) = (x * x, y * y, z * z);
    [
        0.282_094_8,
        -L1 * y,
        L1 * z,
        -L1 * x,
        L2[0] * x * y,
        -L2[0] * y * z,
        L2[1] * zz - L2[2],
        -L2[0] * x * z,
        L2[3] * (xx - yy),
        L3[0] * y * (yy - 3.0 * xx),
        L3[1] * x * y * z,
        L3[2] * y * (1.0 - 5.0 * zz),
        L3[3] * z * (5.0 * zz - 3.0),
        L3[2] * x * (1.0 - 5.0 * zz),
        L3[4] * z * (xx - yy),
        L3[0] * x * (3.0 * yy - xx),
    ]
}

/// Gradient of `cot · encode(d)` with respect to `d`, whose coordinates count as independent.
pub fn encode_backward([x, y, z]: [f32; 3], cot: &[f32; CHANNELS]) -> [f32; 3] {
    let (xx, yy, zz) = (x * x, y * y, z * z);
    let c = cot;
    let dx = -L1 * c[3] + L2[0] * (y * c[4] - z * c[7]) + 2.0 * L2[3] * x * c[8]
        - 6.0 * L3[0] * x * y * c[9]
        + L3[1] * y * z * c[10]
        + L3[2] * (1.0 - 5.0 * zz) * c[13]
        + 2.0 * L3[4] * x * z * c[14]
        + 3.0 * L3[0] * (yy - xx) * c[15];
    let dy = -L1 * c[1] + L2[0] * (x * c[4] - z * c[5]) - 2.0 * L2[3] * y * c[8]
        + 3.0 * L3[0] * (yy - xx) * c[9]
        + L3[1] * x * z * c[10]
        + L3[2] * (1.0 - 5.0 * zz) * c[11]
        - 2.0 * L3[4] * y * z * c[14]
        + 6.0 * L3[0] * x * y * c[15];
    let dz =
        L1 * c[2] - L2[0] * (y * c[5] + x * c[7]) + 2.0 * L2[1] * z * c[6] + L3[1] * x * y * c[10]
            - 10.0 * L3[2] * z * (y * c[11] + x * c[13])
            + L3[3] * (15.0 * zz - 3.0) * c[12]
            + L3[4] * (xx - yy) * c[14];
    [dx, dy, dz]
}
