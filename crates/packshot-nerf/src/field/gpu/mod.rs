//! Views on a GPU: the processor's twin in WGSL (`packshot-shaders`), which gets the directions of
//! rays and leaves what they meet. Lenses and the pixels that rays become are one code for both.

#[cfg(test)]
mod tests;

use super::march::March;
use super::render::{Pixel, unit_direction};
use super::scene::Scene;
use super::sub_pixels::places;
use super::{FieldShape, HashField, View, Viewable};
use packshot_core::{CancelToken, Error, Result};
use packshot_geometry::lens::LensCamera;
use packshot_gpu::{AdapterKind, Bindings, Buffer, Gpu, Kernel, Pace, Run, Slot};
use packshot_shaders::{FieldSizes, field_renderer};
use rayon::prelude::*;
use std::ops::Range;
use std::time::Instant;

/// Threads of a workgroup.
const GROUP: usize = 64;
/// Numbers of a ray's result: colour, light that is left, median distance, samples, distance to go
/// on from.
const RESULTS: usize = 7;
/// Turns after which drivers that compute on the processor end a loop of a thread, a little below
/// Mesa's 65,536.
const MOST_TURNS: usize = 60_000;
/// Stands for infinity, which WGSL cannot write.
const FAR: f32 = 3.0e38;
/// Words of the shader's `Params`, whole rows of four.
const PARAMS: usize = 16;

/// What the kernel binds: parameters, levels, table, network, appearance, occupancy, directions,
/// results.
const SLOTS: [Slot; 8] = [
    Slot::Uniform,
    Slot::Read,
    Slot::Read,
    Slot::Read,
    Slot::Read,
    Slot::Read,
    Slot::Read,
    Slot::Write,
];

/// A field on a GPU. Table and networks lie there as in [`HashField`], so that gradients and
/// moments of the same layout can be put beside them.
pub struct GpuField {
    gpu: Gpu,
    kernel: Kernel,
    scene: Scene,
    march: March,
    occupancy_side: usize,
    coarse_at: usize,
    pixel_rays: usize,
    /// Samples of a ray in one run at most.
    together: usize,
    params: Buffer,
    directions: Buffer,
    results: Buffer,
    bindings: Bindings,
    /// Rays a run.
    pace: Pace,
}

/// Rays under way.
struct Batch {
    run: Run,
    rays: Range<usize>,
    started: Instant,
}

impl GpuField {
    /// Compiles the renderer for the sizes of a field and uploads the field.
    ///
    /// # Errors
    /// `Unsupported` for a field beyond the device's limits, and as [`Gpu::check`].
    pub fn new(gpu: Gpu, what: &Viewable<'_>) -> Result<Self> {
        let code = field_renderer(&sizes(&what.field.shape));
        Self::with_code(gpu, what, "render_field", &code)
    }

    fn with_code(gpu: Gpu, what: &Viewable<'_>, entry: &str, code: &str) -> Result<Self> {
        if what.appearance.len() != what.field.shape.appearance {
            return Err(Error::internal("an appearance of another size"));
        }
        let together = if gpu.info().kind == AdapterKind::Software {
            samples_together(&what.field.shape)
        } else {
            what.march.limit.max(1)
        };
        let kernel = gpu.kernel(entry, code, &SLOTS)?;
        let params = gpu.uniform("parameters", PARAMS)?;
        let levels = gpu.upload("levels", &level_words(what.field))?;
        let table = gpu.upload("entries", bytemuck::cast_slice(&what.field.table))?;
        let network = gpu.upload("weights", bytemuck::cast_slice(&what.field.network))?;
        let appearance = gpu.upload("appearance", bytemuck::cast_slice(what.appearance))?;
        let (bits, coarse_at) = what.occupancy.words();
        let occupied = gpu.upload("cells", &bits)?;
        let directions = gpu.upload("rays", &vec![0; 3 * Pace::MOST])?;
        let results = gpu.output("results", RESULTS * Pace::MOST)?;
        let bindings = gpu.bind(
            &kernel,
            &[
                &params,
                &levels,
                &table,
                &network,
                &appearance,
                &occupied,
                &directions,
                &results,
            ],
        )?;
        Ok(Self {
            gpu,
            kernel,
            scene: what.scene,
            march: what.march,
            occupancy_side: what.occupancy.side(),
            coarse_at,
            pixel_rays: what.pixel_rays,
            together,
            params,
            directions,
            results,
            bindings,
            pace: Pace::default(),
        })
    }

    /// The device.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Renders what a camera sees: what [`render`](super::render()) makes, but for rounding; fewer
    /// samples are asked for, since none behind opaque surfaces is.
    ///
    /// The view is cut into runs of about a tenth of a second, and does not depend on how it is
    /// cut.
    ///
    /// # Errors
    /// `Cancelled`, and as [`Gpu::check`].
    pub fn render(&self, camera: &LensCamera, cancel: &CancelToken) -> Result<View> {
        let (width, height) = (camera.intrinsics.width, camera.intrinsics.height);
        let places = places(self.pixel_rays);
        let all = width * height * places.len();
        let mut params = self.params(camera.position().map(|v| v as f32));
        let mut met = Vec::with_capacity(all);
        let mut samples = 0;
        let mut before: Option<Batch> = None;
        let mut finished = Instant::now();
        let mut next = 0;
        // Rays that go on in a further run need their directions kept, so that the next rays wait.
        let overlap = self.together >= self.march.limit;
        loop {
            if cancel.is_cancelled() {
                return Err(Error::cancelled());
            }
            // The next run is under way while the results of the last one are read.
            let range = next..(next + self.pace.size()).min(all);
            next = range.end;
            let batch = if range.is_empty() {
                None
            } else {
                Some(self.start(camera, &places, range, &mut params)?)
            };
            let last = batch.is_none();
            let mut ready = std::mem::replace(&mut before, batch);
            if !overlap {
                ready = before.take();
            }
            if let Some(batch) = ready {
                let since = batch.started.max(finished);
                let rays = batch.rays.len();
                for [r, g, b, light, distance, asked, _] in
                    self.finish(batch, &mut params)?.as_chunks::<RESULTS>().0
                {
                    met.push(Pixel {
                        rgb: [*r, *g, *b],
                        opacity: 1.0 - light,
                        distance: if *distance < FAR {
                            *distance
                        } else {
                            f32::INFINITY
                        },
                    });
                    samples += *asked as usize;
                }
                finished = Instant::now();
                self.pace.keep(rays, finished - since);
            }
            if last && before.is_none() {
                break;
            }
        }
        let pixels: Vec<Pixel> = met.chunks(places.len()).map(Pixel::mean).collect();
        Ok(View::of(width, height, &pixels, samples))
    }

    /// Starts the rays `range`, which are numbered pixel by pixel.
    fn start(
        &self,
        camera: &LensCamera,
        places: &[[f64; 2]],
        range: Range<usize>,
        params: &mut Params,
    ) -> Result<Batch> {
        let width = camera.intrinsics.width;
        let directions: Vec<[u32; 3]> = range
            .clone()
            .into_par_iter()
            .map(|ray| {
                let (pixel, [x, y]) = (ray / places.len(), places[ray % places.len()]);
                let (x, y) = ((pixel % width) as f64 + x, (pixel / width) as f64 + y);
                let direction = unit_direction(camera.direction(x, y));
                direction.unwrap_or([0.0; 3]).map(f32::to_bits)
            })
            .collect();
        params.set("ray_count", range.len() as u32);
        params.set("resumed", 0);
        self.gpu
            .write(&self.directions, directions.as_flattened())?;
        Ok(Batch {
            run: self.run(range.len(), params)?,
            rays: range,
            started: Instant::now(),
        })
    }

    /// Starts a run over the first rays of the buffers.
    fn run(&self, rays: usize, params: &Params) -> Result<Run> {
        self.gpu.write(&self.params, &params.words())?;
        let groups = [rays.div_ceil(GROUP) as u32, 1, 1];
        let words = rays * RESULTS;
        (self.gpu).run(&self.kernel, &self.bindings, groups, &self.results, words)
    }

    /// Waits for a batch, and goes on with it until all of its rays are done.
    fn finish(&self, batch: Batch, params: &mut Params) -> Result<Vec<f32>> {
        let mut words = self.gpu.finish(batch.run)?;
        while words
            .iter()
            .skip(RESULTS - 1)
            .step_by(RESULTS)
            .any(|next| *next >= 0.0)
        {
            params.set("resumed", 1);
            words = self.gpu.finish(self.run(batch.rays.len(), params)?)?;
        }
        Ok(words)
    }

    /// The parameters of a view from a place in the world.
    fn params(&self, origin: [f32; 3]) -> Params {
        let (centre, radius) = self.scene.cube();
        let origin = match self.scene {
            Scene::Box { .. } => self.scene.to_unit(origin),
            Scene::Contracted { .. } => std::array::from_fn(|c| (origin[c] - centre[c]) / radius),
        };
        let march = &self.march;
        Params(vec![
            ("origin", origin.map(f32::to_bits).to_vec()),
            ("step", vec![march.step.to_bits()]),
            ("cone", vec![march.cone.to_bits()]),
            ("near", vec![march.near.to_bits()]),
            ("far", vec![march.far.min(FAR).to_bits()]),
            ("limit", vec![march.limit as u32]),
            ("unit", vec![self.scene.unit().to_bits()]),
            ("contracted", vec![u32::from(self.scene.is_unbounded())]),
            ("occupancy_side", vec![self.occupancy_side as u32]),
            ("coarse_at", vec![self.coarse_at as u32]),
            ("ray_count", vec![0]),
            ("together", vec![self.together as u32]),
            ("resumed", vec![0]),
        ])
    }
}

/// Names and words, in the order of the shader's `Params`.
#[derive(Clone)]
struct Params(Vec<(&'static str, Vec<u32>)>);

impl Params {
    fn set(&mut self, name: &str, value: u32) {
        if let Some((_, words)) = self.0.iter_mut().find(|(n, _)| *n == name) {
            *words = vec![value];
        }
    }

    fn words(&self) -> Vec<u32> {
        let mut words: Vec<u32> = self.0.iter().flat_map(|(_, w)| w).copied().collect();
        words.resize(PARAMS, 0);
        words
    }
}

/// Samples of a ray that keep each loop of the shader below [`MOST_TURNS`].
fn samples_together(shape: &FieldShape) -> usize {
    let [density, _, colour_in, colour, _] = shape.matrices().map(|(rows, columns)| rows * columns);
    let most = [density, colour_in, colour, 8 * shape.grid.channels()];
    let most = most.into_iter().fold(1, usize::max);
    (MOST_TURNS / most).max(1)
}

fn sizes(shape: &FieldShape) -> FieldSizes {
    FieldSizes {
        levels: shape.grid.levels,
        features: shape.grid.features,
        density_hidden: shape.density_hidden,
        colour_hidden: shape.colour_hidden,
        appearance: shape.appearance,
    }
}

/// As the shader's `Level`.
fn level_words(field: &HashField) -> Vec<u32> {
    let words = field.levels.iter().flat_map(|level| {
        [
            level.offset as u32,
            level.size as u32,
            level.scale.to_bits(),
            level.shift.to_bits(),
            level.side,
            u32::from(level.dense),
        ]
    });
    words.collect()
}
