//! How a picture is made.

use packshot_core::{Error, Result};

/// Largest side of a picture in pixels.
const MAX_SIDE: usize = 65_536;

/// Size, effort and seed of a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Most light paths a pixel.
    pub max_samples: u32,
    /// Stops a pixel when its estimated noise is below this, on Cycles' scale: the same value gives
    /// about the same noise (its default is 0.01). `None` takes all samples everywhere.
    pub noise_threshold: Option<f32>,
    /// Most surfaces that a path meets after the first one: 0 is direct light alone.
    pub max_bounces: u32,
    /// Seed of the sampling pattern.
    pub seed: u32,
    /// Largest linear value that light over a bounce may add to a sample; takes away sparks (and
    /// some light). `None` keeps all.
    pub clamp_indirect: Option<f32>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            width: 1024,
            height: 1024,
            max_samples: 256,
            noise_threshold: Some(0.01),
            max_bounces: 8,
            seed: 0,
            clamp_indirect: Some(10.0),
        }
    }
}

impl Settings {
    /// Checks sizes and ranges.
    ///
    /// # Errors
    /// [`packshot_core::ErrorKind::Usage`] that names the setting.
    pub fn validate(&self) -> Result<()> {
        for (name, side) in [("width", self.width), ("height", self.height)] {
            if side == 0 || side > MAX_SIDE {
                return Err(Error::usage(format!("{side} pixels cannot be rendered"))
                    .at(name)
                    .with_hint(format!("choose 1 to {MAX_SIDE}")));
            }
        }
        if self.max_samples == 0 {
            return Err(Error::usage("no samples make no picture")
                .at("samples")
                .with_hint("choose at least 1"));
        }
        let positive = |v: Option<f32>| v.is_none_or(|v| v.is_finite() && v > 0.0);
        if !positive(self.noise_threshold) {
            return Err(Error::usage("the noise threshold must be above 0").at("noise threshold"));
        }
        if !positive(self.clamp_indirect) {
            return Err(Error::usage("the limit must be above 0").at("clamp indirect"));
        }
        Ok(())
    }
}
