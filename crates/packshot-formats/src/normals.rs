//! Unit normals.

/// Brings normals to length 1; those without direction point up.
pub(crate) fn unit_normals(mut normals: Vec<[f32; 3]>) -> Vec<[f32; 3]> {
    for normal in &mut normals {
        let length = normal
            .iter()
            .map(|&v| f64::from(v).powi(2))
            .sum::<f64>()
            .sqrt();
        *normal = if length.is_finite() && length > 1e-30 {
            normal.map(|v| (f64::from(v) / length) as f32)
        } else {
            [0.0, 0.0, 1.0]
        };
    }
    normals
}
