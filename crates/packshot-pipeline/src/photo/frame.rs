//! Pictures in linear light with premultiplied alpha, reduced and framed by area.

use packshot_core::Image;
use packshot_core::colour::{level, linear_from_srgb, srgb_from_linear};
use packshot_geometry::framing::FILL;

/// A picture in linear light, premultiplied, rows from the top.
pub(super) struct Linear {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Red, green, blue, alpha.
    pub(super) pixels: Vec<[f32; 4]>,
}

/// Columns x0..x1 and rows y0..y1 of a picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    x0: usize,
    x1: usize,
    y0: usize,
    y1: usize,
}

impl Linear {
    /// `image`, reduced by area averages so that no side is longer than `longest`.
    pub(super) fn reduced(image: &Image, longest: usize) -> Self {
        let linear: Vec<f32> = (0..=255u8)
            .map(|v| linear_from_srgb(f32::from(v) / 255.0))
            .collect();
        let full = Self {
            width: image.width(),
            height: image.height(),
            pixels: image
                .data()
                .chunks_exact(image.channels())
                .map(|p| {
                    let alpha = p.get(3).map_or(1.0, |&a| f32::from(a) / 255.0);
                    let [r, g, b] = [0, 1, 2].map(|c| alpha * linear[usize::from(p[c])]);
                    [r, g, b, alpha]
                })
                .collect(),
        };
        let side = full.width.max(full.height);
        if side <= longest {
            return full;
        }
        let scale = side as f64 / longest as f64;
        let size = |n: usize| ((n as f64 / scale).round() as usize).max(1);
        let (width, height) = (size(full.width), size(full.height));
        full.resampled(
            width,
            height,
            [0.0, 0.0],
            [
                full.width as f64 / width as f64,
                full.height as f64 / height as f64,
            ],
        )
    }

    pub(super) fn len(&self) -> usize {
        self.pixels.len()
    }

    pub(super) fn alpha(&self) -> impl Iterator<Item = f32> + '_ {
        self.pixels.iter().map(|p| p[3])
    }

    /// Makes everything outside of `mask` transparent.
    pub(super) fn cut(&mut self, mask: &[bool]) {
        for (pixel, &inside) in self.pixels.iter_mut().zip(mask) {
            if !inside {
                *pixel = [0.0; 4];
            }
        }
    }

    /// The box of what is at least half opaque; `None` when nothing is.
    pub(super) fn bounds(&self) -> Option<Area> {
        let mut area: Option<Area> = None;
        for (i, alpha) in self.alpha().enumerate() {
            if alpha >= 0.5 {
                let (x, y) = (i % self.width, i / self.width);
                let a = area.get_or_insert(Area {
                    x0: x,
                    x1: x + 1,
                    y0: y,
                    y1: y + 1,
                });
                a.x0 = a.x0.min(x);
                a.x1 = a.x1.max(x + 1);
                a.y1 = y + 1;
            }
        }
        area
    }

    /// The `area` centred in a square of `side` pixels, its longer side [`FILL`] of it, on white.
    pub(super) fn framed(&self, area: Area, side: usize) -> Image {
        let longer = (area.x1 - area.x0).max(area.y1 - area.y0) as f64;
        // Source pixels per pixel of the result.
        let step = longer / (f64::from(FILL) * side as f64);
        let half = step * side as f64 / 2.0;
        let start = |low: usize, high: usize| (low + high) as f64 / 2.0 - half;
        let picture = self.resampled(
            side,
            side,
            [start(area.x0, area.x1), start(area.y0, area.y1)],
            [step, step],
        );
        let mut image = Image::filled(side, side, &[255; 3]);
        for (out, p) in image.data_mut().chunks_exact_mut(3).zip(&picture.pixels) {
            for c in 0..3 {
                out[c] = level(srgb_from_linear(p[c] + 1.0 - p[3]));
            }
        }
        image
    }

    /// Area averages: pixel (i, j) of the result covers `step` source pixels from
    /// `start + (i, j)·step`; outside of the source is transparent.
    fn resampled(&self, width: usize, height: usize, start: [f64; 2], step: [f64; 2]) -> Self {
        let columns = spans(width, start[0], step[0], self.width);
        let rows = spans(height, start[1], step[1], self.height);
        // Columns first: one narrow picture of all rows.
        let mut narrow = vec![[0.0f32; 4]; width * self.height];
        for y in 0..self.height {
            let source = &self.pixels[y * self.width..(y + 1) * self.width];
            for (x, span) in columns.iter().enumerate() {
                narrow[y * width + x] = span.mean(|i| source[i]);
            }
        }
        let pixels = (0..width * height)
            .map(|i| rows[i / width].mean(|y| narrow[y * width + i % width]))
            .collect();
        Self {
            width,
            height,
            pixels,
        }
    }
}

/// The source pixels that one pixel of a result covers along an axis.
struct Span {
    first: usize,
    weights: Vec<f32>,
}

impl Span {
    fn mean(&self, pixel: impl Fn(usize) -> [f32; 4]) -> [f32; 4] {
        let mut sum = [0.0; 4];
        for (i, weight) in self.weights.iter().enumerate() {
            let p = pixel(self.first + i);
            for c in 0..4 {
                sum[c] += weight * p[c];
            }
        }
        sum
    }
}

fn spans(count: usize, start: f64, step: f64, source: usize) -> Vec<Span> {
    (0..count)
        .map(|i| {
            let low = start + i as f64 * step;
            let high = low + step;
            let first = low.floor().clamp(0.0, source as f64) as usize;
            let last = high.ceil().clamp(first as f64, source as f64) as usize;
            let weights = (first..last)
                .map(|p| {
                    let covered = high.min(p as f64 + 1.0) - low.max(p as f64);
                    (covered.max(0.0) / step) as f32
                })
                .collect();
            Span { first, weights }
        })
        .collect()
}
