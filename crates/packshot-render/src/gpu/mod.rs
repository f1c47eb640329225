//! Rendering on a GPU: the processor's twin in WGSL (`packshot-shaders`), which gets lists of
//! pixels and leaves sums of paths. Which pixels go on and what becomes of the sums is decided by
//! the same code for both.

mod layout;
#[cfg(test)]
mod tests;

use crate::accumulator::SUMS;
use crate::prepared::PreparedScene;
use crate::render::{Canvas, render_with};
use crate::{Film, Settings};
use layout::{Part, Uploaded};
use packshot_core::{Context, Result};
use packshot_gpu::{Gpu, Kernel, Pace, Run, Slot};
use std::cell::Cell;
use std::ops::Range;
use std::time::Instant;

/// Threads of a workgroup.
const GROUP: usize = 64;

/// What the kernel binds.
const SLOTS: [Slot; 8] = [
    Slot::Read,
    Slot::Read,
    Slot::Read,
    Slot::Read,
    Slot::Read,
    Slot::Read,
    Slot::Read,
    Slot::Write,
];

/// A path tracer on a GPU.
pub struct GpuRenderer {
    gpu: Gpu,
    kernel: Kernel,
    /// Pixels a run.
    pace: Pace,
    rays: Cell<f64>,
}

/// A run under way, and the pixels that it is for.
struct Batch {
    run: Run,
    places: Vec<usize>,
    started: Instant,
}

impl GpuRenderer {
    /// Compiles the path tracer for a device.
    ///
    /// # Errors
    /// As [`Gpu::check`].
    pub fn new(gpu: Gpu) -> Result<Self> {
        let code = packshot_shaders::path_tracer();
        let kernel = gpu.kernel("path_trace", &code, &SLOTS)?;
        Ok(Self {
            gpu,
            kernel,
            pace: Pace::default(),
            rays: Cell::new(0.0),
        })
    }

    /// The device.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Rays that all renders have cast so far. [`render_cpu`](crate::render_cpu) casts as many for
    /// the same picture.
    pub fn rays(&self) -> f64 {
        self.rays.get()
    }

    /// A picture of the scene: what [`render_cpu`](crate::render_cpu) makes, but for rounding.
    ///
    /// The picture is cut into runs of about a tenth of a second, so that it may be of any size.
    /// The film does not depend on how it is cut.
    ///
    /// # Errors
    /// As [`render_cpu`](crate::render_cpu), and [`packshot_core::ErrorKind::Unsupported`] for a
    /// scene beyond the device's limits, and as [`Gpu::check`].
    pub fn render(
        &self,
        scene: &PreparedScene,
        settings: &Settings,
        context: &Context<'_>,
    ) -> Result<Film> {
        self.render_rows(scene, settings, 0..settings.height, context)
    }

    /// Some rows of the picture: what [`render_rows_cpu`](crate::render_rows_cpu) makes, but for
    /// rounding.
    ///
    /// # Errors
    /// As [`Self::render`] and [`render_rows_cpu`](crate::render_rows_cpu).
    pub fn render_rows(
        &self,
        scene: &PreparedScene,
        settings: &Settings,
        rows: Range<usize>,
        context: &Context<'_>,
    ) -> Result<Film> {
        settings.validate()?;
        let most = self.most_batch(settings);
        let scene = Uploaded::new(&self.gpu, &self.kernel, scene, settings, most)?;
        render_with(settings, rows, context, |canvas, first, count| {
            self.pass(&scene, canvas, [first, count], most, context)
        })
    }

    /// Pixels of the largest run.
    fn most_batch(&self, settings: &Settings) -> usize {
        let fit = self.gpu.info().largest_binding_bytes / (4 * SUMS as u64);
        let fit = usize::try_from(fit).unwrap_or(Pace::MOST).min(Pace::MOST);
        let all = settings.width.saturating_mul(settings.height);
        fit.min(all).max(1)
    }

    /// Adds paths to all pixels that are not done; the next run is under way while the results of
    /// the last one are added.
    fn pass(
        &self,
        scene: &Uploaded,
        canvas: &mut Canvas,
        paths: [u32; 2],
        most: usize,
        context: &Context<'_>,
    ) -> Result<()> {
        let mut next = 0;
        let mut before: Option<Batch> = None;
        let mut finished = Instant::now();
        loop {
            context.check()?;
            let batch = self.start(scene, canvas, &mut next, paths, most)?;
            let all = batch.is_none();
            if let Some(batch) = std::mem::replace(&mut before, batch) {
                let since = batch.started.max(finished);
                let size = batch.places.len();
                self.collect(canvas, batch, paths)?;
                finished = Instant::now();
                self.pace.keep(size, finished - since);
            }
            if all && before.is_none() {
                return Ok(());
            }
        }
    }

    /// Starts a run for the next pixels from place `next` on; `None` when there are no more.
    fn start(
        &self,
        scene: &Uploaded,
        canvas: &Canvas,
        next: &mut usize,
        [first, count]: [u32; 2],
        most: usize,
    ) -> Result<Option<Batch>> {
        let size = self.pace.size().min(most);
        let (mut places, mut pixels) = (Vec::with_capacity(size), Vec::with_capacity(size));
        while places.len() < size && *next < canvas.pixels.len() {
            if !canvas.pixels[*next].done
                && let Some([x, y]) = canvas.place(*next)
            {
                places.push(*next);
                pixels.push(x as u32 | (y as u32) << 16);
            }
            *next += 1;
        }
        if places.is_empty() {
            return Ok(None);
        }
        scene.write(
            &self.gpu,
            &Part {
                pixels: &pixels,
                first,
                count,
            },
        )?;
        let groups = [pixels.len().div_ceil(GROUP) as u32, 1, 1];
        let words = pixels.len() * SUMS;
        let run = (self.gpu).run(&self.kernel, &scene.bindings, groups, &scene.sums, words)?;
        Ok(Some(Batch {
            run,
            places,
            started: Instant::now(),
        }))
    }

    fn collect(&self, canvas: &mut Canvas, batch: Batch, [first, count]: [u32; 2]) -> Result<()> {
        let sums = self.gpu.finish(batch.run)?;
        let (pixels, _) = sums.as_chunks::<SUMS>();
        let mut rays = 0.0;
        for (&place, sums) in batch.places.iter().zip(pixels) {
            rays += f64::from(canvas.pixels[place].add_sums(sums, first, count));
        }
        self.rays.set(self.rays.get() + rays);
        Ok(())
    }
}
