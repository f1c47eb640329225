//! Passes over all pixels until they are done, on the processor or another device.

use crate::accumulator::{Accumulator, BLOCK};
use crate::prepared::PreparedScene;
use crate::sampler::Sampler;
use crate::trace::Limits;
use crate::{Film, Settings};
use packshot_core::{Context, Error, ErrorKind, Result};
use rayon::prelude::*;
use std::ops::Range;

/// Side of the squares of pixels that threads take.
const TILE: usize = 16;
/// Factor of the threshold that gives the noise that Cycles leaves at the same one, measured with
/// `tests/external/check_cycles.py --speed`.
const NOISE_SCALE: f32 = 1.75;
/// Paths a pixel in a pass, but for the last.
const PASS: u32 = BLOCK;

/// A picture of the scene, traced on all threads of the current rayon pool.
///
/// Pixels stop when their noise is below the threshold, at the earliest after as many paths as
/// Cycles takes for it. The same scene, settings and CPU architecture give the same film whatever the number of threads.
/// Progress is one stage `render` with a step a path of the whole picture.
///
/// # Errors
/// [`ErrorKind::Usage`] for settings out of range, [`ErrorKind::OutOfMemory`] for a picture that
/// does not fit into memory (about 200 bytes a pixel), [`ErrorKind::Cancelled`].
pub fn render_cpu(
    scene: &PreparedScene,
    settings: &Settings,
    context: &Context<'_>,
) -> Result<Film> {
    render_rows_cpu(scene, settings, 0..settings.height, context)
}

/// Some rows of the picture that [`render_cpu`] makes, as a film of their own: what does not fit
/// into memory as a whole is made band by band. With a noise threshold the paths of the pixels at a
/// band's edge may end earlier or later than in the whole picture.
///
/// # Errors
/// As [`render_cpu`], for a picture of these rows; [`ErrorKind::Usage`] for rows outside of it.
pub fn render_rows_cpu(
    scene: &PreparedScene,
    settings: &Settings,
    rows: Range<usize>,
    context: &Context<'_>,
) -> Result<Film> {
    render_with(settings, rows, context, |canvas, first, count| {
        canvas.trace(scene, settings, first, count, context)
    })
}

/// Passes over `rows` by `trace`, which adds `count` paths from number `first` on to every pixel that is not
/// done. A pass never reaches over the end of a block of paths.
pub(crate) fn render_with(
    settings: &Settings,
    rows: Range<usize>,
    context: &Context<'_>,
    mut trace: impl FnMut(&mut Canvas, u32, u32) -> Result<()>,
) -> Result<Film> {
    settings.validate()?;
    if rows.is_empty() || rows.end > settings.height {
        return Err(Error::usage(format!("the picture has no rows {rows:?}")).at("rows"));
    }
    let pixels = settings.width * rows.len();
    let mut canvas = Canvas::new(settings.width, rows)?;
    let mut stage = context.stage("render", Some(u64::from(settings.max_samples)));
    let mut done = 0;
    while done < settings.max_samples && canvas.active > 0 {
        let pass = settings.pass_after(done);
        trace(&mut canvas, done, pass)?;
        done += pass;
        if let Some(threshold) = settings.noise_threshold
            && done >= settings.min_samples()
        {
            canvas.find_done(threshold);
        }
        let share = 100.0 * canvas.active as f64 / pixels as f64;
        stage.advance(
            u64::from(pass),
            Some(format!("{share:.0} % of pixels left")),
        )?;
    }
    let film = canvas.film()?;
    stage.finish();
    Ok(film)
}

impl Settings {
    /// Paths before noise is estimated (Cycles' rule for its own threshold).
    pub(crate) fn min_samples(&self) -> u32 {
        let threshold = self.noise_threshold.unwrap_or(0.01).max(1e-4);
        let least = libm::ceilf(16.0 / libm::powf(threshold, 0.3)) as u32;
        // Whole pairs of blocks.
        least.next_multiple_of(2 * PASS).min(self.max_samples)
    }

    /// Paths a pixel of the next pass.
    fn pass_after(&self, done: u32) -> u32 {
        let mut pass = PASS.min(self.max_samples - done);
        if self.noise_threshold.is_some() && done < self.min_samples() {
            pass = pass.min(self.min_samples() - done);
        }
        pass
    }
}

/// The picture, or a band of it, in squares, each pixel with its sums.
pub(crate) struct Canvas {
    width: usize,
    height: usize,
    /// Row of the picture that is its first.
    top: usize,
    columns: usize,
    pub(crate) pixels: Vec<Accumulator>,
    /// Pixels that still get paths.
    pub(crate) active: usize,
}

impl Canvas {
    fn new(width: usize, rows: Range<usize>) -> Result<Self> {
        let columns = width.div_ceil(TILE);
        let n = columns * rows.len().div_ceil(TILE) * TILE * TILE;
        let mut pixels = Vec::new();
        pixels.try_reserve_exact(n).map_err(|e| {
            let text = format!("there is no memory for a picture of {n} pixels");
            Error::new(ErrorKind::OutOfMemory, text)
                .with_hint("choose a smaller picture")
                .with_source(e)
        })?;
        pixels.resize(n, Accumulator::default());
        Ok(Self {
            width,
            height: rows.len(),
            top: rows.start,
            columns,
            pixels,
            active: width * rows.len(),
        })
    }

    /// Place in the list of a pixel.
    fn at(&self, x: usize, y: usize) -> usize {
        let tile = (y / TILE) * self.columns + x / TILE;
        (tile * TILE + y % TILE) * TILE + x % TILE
    }

    /// Column and row in the picture of a place in the list, if it is one of the canvas.
    pub(crate) fn place(&self, at: usize) -> Option<[usize; 2]> {
        let (tile, within) = (at / (TILE * TILE), at % (TILE * TILE));
        let x = tile % self.columns * TILE + within % TILE;
        let y = tile / self.columns * TILE + within / TILE;
        (x < self.width && y < self.height).then_some([x, y + self.top])
    }

    fn trace(
        &mut self,
        scene: &PreparedScene,
        settings: &Settings,
        first: u32,
        count: u32,
        context: &Context<'_>,
    ) -> Result<()> {
        let limits = Limits {
            max_bounces: settings.max_bounces,
            clamp_indirect: settings.clamp_indirect.unwrap_or(f32::INFINITY),
        };
        let size = [settings.width as u32, settings.height as u32];
        let (width, height, columns) = (self.width, self.height, self.columns);
        let first_row = self.top as u32;
        self.pixels
            .par_chunks_exact_mut(TILE * TILE)
            .enumerate()
            .try_for_each(|(tile, pixels)| {
                context.check()?;
                let (left, top) = (tile % columns * TILE, tile / columns * TILE);
                for (i, pixel) in pixels.iter_mut().enumerate() {
                    let (x, y) = (left + i % TILE, top + i / TILE);
                    if pixel.done || x >= width || y >= height {
                        continue;
                    }
                    let (x, y) = (x as u32, y as u32 + first_row);
                    for index in first..first + count {
                        let sampler = Sampler::new(x, y, index, settings.seed);
                        let (origin, direction) = scene.camera.ray([x, y], size, &sampler);
                        pixel.add(&scene.trace(origin, direction, &sampler, limits));
                    }
                }
                Ok(())
            })
    }

    /// Marks pixels whose noise is below the threshold. A single pixel's estimate is itself noisy:
    /// the root mean square over the pixel and its eight neighbours decides.
    fn find_done(&mut self, threshold: f32) {
        let limit = (threshold * NOISE_SCALE) * (threshold * NOISE_SCALE);
        let squares: Vec<f32> = (0..self.width * self.height)
            .into_par_iter()
            .map(|i| {
                let pixel = &self.pixels[self.at(i % self.width, i / self.width)];
                let square = pixel.noise() * pixel.noise();
                // What was left behind with a high estimate must not hold up its neighbours.
                if pixel.done {
                    square.min(limit)
                } else {
                    square
                }
            })
            .collect();
        let mut active = 0;
        for y in 0..self.height {
            for x in 0..self.width {
                let (mut sum, mut count) = (0.0, 0.0);
                for ny in y.saturating_sub(1)..(y + 2).min(self.height) {
                    for nx in x.saturating_sub(1)..(x + 2).min(self.width) {
                        sum += squares[ny * self.width + nx];
                        count += 1.0;
                    }
                }
                let at = self.at(x, y);
                let pixel = &mut self.pixels[at];
                pixel.done |= sum <= limit * count;
                active += usize::from(!pixel.done);
            }
        }
        self.active = active;
    }

    fn film(&self) -> Result<Film> {
        let mut film = Film::new(self.width, self.height)?;
        for y in 0..self.height {
            for x in 0..self.width {
                self.pixels[self.at(x, y)].resolve(&mut film, y * self.width + x);
            }
        }
        Ok(film)
    }
}
