//! What a render leaves: linear light and what compositing asks for.

use packshot_core::{Error, ErrorKind, Result};
use std::ops::Range;

/// A finished picture in linear light; every list holds a value a pixel, rows from the top.
#[derive(Clone, Debug, PartialEq)]
pub struct Film {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Linear RGB radiance, premultiplied with alpha.
    pub radiance: Vec<[f32; 3]>,
    /// 0 transparent, 1 opaque.
    pub alpha: Vec<f32>,
    /// Linear base colour of what is seen, premultiplied with coverage: a guide for denoising.
    pub albedo: Vec<[f32; 3]>,
    /// Mean unit normal of what is seen, world space, premultiplied with coverage.
    pub normal: Vec<[f32; 3]>,
    /// Distance in front of the camera, along its axis, of what is seen: the mean over the samples
    /// that meet something; infinite where none does.
    pub depth_m: Vec<f32>,
    /// Share of the pixel that products cover.
    pub object_mask: Vec<f32>,
    /// Share of the light that shadows take from catchers, times the share of the pixel that
    /// catchers cover. It is part of `radiance` and `alpha` already.
    pub shadow: Vec<f32>,
    /// Paths that were traced.
    pub samples: Vec<u32>,
}

impl Film {
    /// A black, transparent picture.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfMemory`] when it does not fit into memory.
    pub fn new(width: usize, height: usize) -> Result<Self> {
        fn list<T: Clone>(n: usize, value: T) -> Result<Vec<T>> {
            let mut list = Vec::new();
            list.try_reserve_exact(n).map_err(|e| {
                Error::new(
                    ErrorKind::OutOfMemory,
                    format!("there is no memory for a picture of {n} pixels"),
                )
                .with_hint("choose a smaller picture")
                .with_source(e)
            })?;
            list.resize(n, value);
            Ok(list)
        }
        let n = width.saturating_mul(height);
        Ok(Self {
            width,
            height,
            radiance: list(n, [0.0; 3])?,
            alpha: list(n, 0.0)?,
            albedo: list(n, [0.0; 3])?,
            normal: list(n, [0.0; 3])?,
            depth_m: list(n, f32::INFINITY)?,
            object_mask: list(n, 0.0)?,
            shadow: list(n, 0.0)?,
            samples: list(n, 0)?,
        })
    }

    /// A copy of some rows.
    ///
    /// # Panics
    /// When the film does not have them.
    pub fn rows(&self, rows: Range<usize>) -> Self {
        let part = rows.start * self.width..rows.end * self.width;
        Self {
            width: self.width,
            height: rows.len(),
            radiance: self.radiance[part.clone()].to_vec(),
            alpha: self.alpha[part.clone()].to_vec(),
            albedo: self.albedo[part.clone()].to_vec(),
            normal: self.normal[part.clone()].to_vec(),
            depth_m: self.depth_m[part.clone()].to_vec(),
            object_mask: self.object_mask[part.clone()].to_vec(),
            shadow: self.shadow[part.clone()].to_vec(),
            samples: self.samples[part].to_vec(),
        }
    }

    /// Mean number of paths a pixel.
    pub fn mean_samples(&self) -> f64 {
        let sum: u64 = self.samples.iter().map(|&n| u64::from(n)).sum();
        sum as f64 / self.samples.len().max(1) as f64
    }
}
