//! The sRGB transfer function (IEC 61966-2-1).

/// Linear value in [0, 1] of an sRGB value in [0, 1].
pub fn linear_from_srgb(srgb: f32) -> f32 {
    if srgb <= 0.040_45 {
        srgb / 12.92
    } else {
        libm::powf((srgb + 0.055) / 1.055, 2.4)
    }
}

/// sRGB value in [0, 1] of a linear value in [0, 1].
pub fn srgb_from_linear(linear: f32) -> f32 {
    if linear <= 0.003_130_8 {
        12.92 * linear
    } else {
        1.055 * libm::powf(linear, 1.0 / 2.4) - 0.055
    }
}

/// The 8-bit level of a value in [0, 1], rounded; values outside are clamped.
pub fn level(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0).round_ties_even() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_survives_the_way_through_linear() {
        for i in 0..=255u8 {
            let linear = linear_from_srgb(f32::from(i) / 255.0);
            assert_eq!(level(srgb_from_linear(linear)), i);
        }
    }
}
