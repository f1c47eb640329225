//! Unit normals.

/// How far from 1 a length may be to count as 1.
const TOLERANCE: f64 = 1e-5;

/// Brings normals to length 1; those without direction point up. What has that length already
/// stays as it is to the last bit.
pub(crate) fn unit_normals(mut normals: Vec<[f32; 3]>) -> Vec<[f32; 3]> {
    for normal in &mut normals {
        let length2: f64 = normal.iter().map(|&v| f64::from(v).powi(2)).sum();
        let length = length2.sqrt();
        if !length.is_finite() || length < 1e-30 {
            *normal = [0.0, 0.0, 1.0];
        } else if (length - 1.0).abs() > TOLERANCE {
            *normal = normal.map(|v| (f64::from(v) / length) as f32);
        }
    }
    normals
}
