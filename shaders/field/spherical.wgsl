// Twin of packshot-nerf/src/encoding/spherical.rs.

const HARMONICS: u32 = 16u;

fn harmonics(d: vec3f) -> array<f32, HARMONICS> {
    let s = d * d;
    return array<f32, HARMONICS>(
        0.2820948,
        -0.4886025 * d.y,
        0.4886025 * d.z,
        -0.4886025 * d.x,
        1.0925484 * d.x * d.y,
        -1.0925484 * d.y * d.z,
        0.9461747 * s.z - 0.31539157,
        -1.0925484 * d.x * d.z,
        0.5462742 * (s.x - s.y),
        0.5900436 * d.y * (s.y - 3.0 * s.x),
        2.8906114 * d.x * d.y * d.z,
        0.4570458 * d.y * (1.0 - 5.0 * s.z),
        0.37317633 * d.z * (5.0 * s.z - 3.0),
        0.4570458 * d.x * (1.0 - 5.0 * s.z),
        1.4453057 * d.z * (s.x - s.y),
        0.5900436 * d.x * (3.0 * s.y - s.x),
    );
}
