//! 8-bit image buffers.

/// An 8-bit image, rows from the top, channels interleaved: 3 (sRGB) or 4 (sRGB and straight
/// alpha).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    width: usize,
    height: usize,
    channels: usize,
    data: Vec<u8>,
}

impl Image {
    /// An image filled with `pixel`, whose length is the number of channels.
    ///
    /// # Panics
    /// When `pixel` has neither 3 nor 4 channels.
    pub fn filled(width: usize, height: usize, pixel: &[u8]) -> Self {
        assert!(matches!(pixel.len(), 3 | 4), "an image has 3 or 4 channels");
        Self {
            width,
            height,
            channels: pixel.len(),
            data: pixel.repeat(width * height),
        }
    }

    /// Wraps `data`; `None` when its length does not fit or the channels are neither 3 nor 4.
    pub fn from_raw(width: usize, height: usize, channels: usize, data: Vec<u8>) -> Option<Self> {
        let fits = width
            .checked_mul(height)
            .and_then(|n| n.checked_mul(channels));
        (matches!(channels, 3 | 4) && fits == Some(data.len())).then_some(Self {
            width,
            height,
            channels,
            data,
        })
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// 3 or 4.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The bytes, rows from the top.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The bytes, to write to.
    pub fn data_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }

    /// The channels of a pixel.
    pub fn pixel(&self, x: usize, y: usize) -> &[u8] {
        let at = (y * self.width + x) * self.channels;
        &self.data[at..at + self.channels]
    }

    /// The channels of a pixel, to write to.
    pub fn pixel_mut(&mut self, x: usize, y: usize) -> &mut [u8] {
        let at = (y * self.width + x) * self.channels;
        &mut self.data[at..at + self.channels]
    }

    /// The image on a plain background, without alpha. Blending is done on linear light.
    #[must_use]
    pub fn on_background(&self, background: [u8; 3]) -> Self {
        if self.channels == 3 {
            return self.clone();
        }
        let linear = |level: u8| crate::colour::linear_from_srgb(f32::from(level) / 255.0);
        let mut data = Vec::with_capacity(self.width * self.height * 3);
        for pixel in self.data.chunks_exact(4) {
            for c in 0..3 {
                data.push(match pixel[3] {
                    255 => pixel[c],
                    0 => background[c],
                    alpha => {
                        let alpha = f32::from(alpha) / 255.0;
                        let mix = alpha * linear(pixel[c]) + (1.0 - alpha) * linear(background[c]);
                        crate::colour::level(crate::colour::srgb_from_linear(mix))
                    }
                });
            }
        }
        Self {
            width: self.width,
            height: self.height,
            channels: 3,
            data,
        }
    }
}
