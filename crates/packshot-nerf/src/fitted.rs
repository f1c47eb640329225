//! A fitted field of either kind, as views, meshes and clouds need it.

use crate::classic::block::{Block as ClassicBlock, Prepared as ClassicPrepared};
use crate::classic::{ClassicFile, ClassicView, render_classic};
use crate::encoding::spherical;
use crate::field::block::{Block, Prepared};
use crate::field::{FieldFile, GpuField, Scene, View, Viewable, render};
use packshot_core::{CancelToken, Error, Result};
use packshot_geometry::lens::LensCamera;
use packshot_gpu::Gpu;
use rayon::prelude::*;
use std::sync::Mutex;

/// Points that go through a field together.
const TOGETHER: usize = 512;

/// What the file of a fit holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Fitted {
    /// A hash grid with small networks.
    Hash(Box<FieldFile>),
    /// The classic networks.
    Classic(Box<ClassicFile>),
}

impl Fitted {
    /// Reads the bytes of either kind of file.
    ///
    /// # Errors
    /// `BadInput` when they are something else.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        if ClassicFile::is_one(bytes) {
            return Ok(Self::Classic(Box::new(ClassicFile::decode(bytes)?)));
        }
        Ok(Self::Hash(Box::new(FieldFile::decode(bytes)?)))
    }

    /// Renders what a camera sees.
    ///
    /// # Errors
    /// `Cancelled`.
    pub fn render(&self, camera: &LensCamera, cancel: &CancelToken) -> Result<View> {
        self.render_with(camera, self.pixel_rays(), cancel)
    }

    /// Rays through each pixel of a view: as many as it was trained with.
    pub fn pixel_rays(&self) -> usize {
        match self {
            Self::Hash(file) => file.plan.train.pixel_rays,
            Self::Classic(_) => 1,
        }
    }

    /// Renders what a camera sees along one ray a pixel, as depth maps want it: the mean of two
    /// distances lies on neither surface.
    ///
    /// # Errors
    /// `Cancelled`.
    pub fn render_middles(&self, camera: &LensCamera, cancel: &CancelToken) -> Result<View> {
        self.render_with(camera, 1, cancel)
    }

    fn render_with(
        &self,
        camera: &LensCamera,
        pixel_rays: usize,
        cancel: &CancelToken,
    ) -> Result<View> {
        match self {
            Self::Hash(file) => {
                let appearance = file.mean_appearance();
                let what = Viewable {
                    field: &file.field,
                    scene: file.plan.scene,
                    march: file.plan.march,
                    occupancy: &file.occupancy,
                    appearance: &appearance,
                    pixel_rays,
                };
                render(&what, camera, cancel)
            }
            Self::Classic(file) => {
                let what = ClassicView {
                    networks: &file.networks,
                    plan: &file.plan,
                };
                render_classic(&what, camera, cancel)
            }
        }
    }

    /// Puts the field on a GPU, for views.
    ///
    /// # Errors
    /// `Unsupported` for the classic networks and for a field beyond the device's limits, and as
    /// [`Gpu::check`].
    pub fn on_gpu(&self, gpu: Gpu) -> Result<GpuField> {
        let Self::Hash(file) = self else {
            return Err(
                Error::unsupported("a classic field is rendered on the processor alone")
                    .with_hint("use --device cpu"),
            );
        };
        let appearance = file.mean_appearance();
        let what = Viewable {
            field: &file.field,
            scene: file.plan.scene,
            march: file.plan.march,
            occupancy: &file.occupancy,
            appearance: &appearance,
            pixel_rays: self.pixel_rays(),
        };
        GpuField::new(gpu, &what)
    }

    /// Middle and half a side of the cube in which the object stands: all that there is for an
    /// object that stands free, else as far as the cameras are away.
    pub fn cube(&self) -> ([f32; 3], f32) {
        match self {
            Self::Hash(file) => file.plan.scene.cube(),
            Self::Classic(file) => {
                let scene = &file.plan.scene;
                let reach = if file.plan.white {
                    0.5 * (scene.far - scene.near) / 3f32.sqrt()
                } else {
                    4.0
                };
                (scene.centre.map(|v| v as f32), reach / scene.scale as f32)
            }
        }
    }

    /// Whether the object stands free: nothing lies outside the [`Fitted::cube`].
    pub fn stands_free(&self) -> bool {
        match self {
            Self::Hash(file) => matches!(file.plan.scene, Scene::Box { .. }),
            Self::Classic(file) => file.plan.white,
        }
    }

    /// Makes the field ready for questions.
    ///
    /// # Errors
    /// `Unsupported` for a field in normalised device coordinates.
    pub fn query(&self) -> Result<Query<'_>> {
        let kind = match self {
            Self::Hash(file) => Kind::Hash {
                file,
                prepared: Box::new(Prepared::new(&file.field)),
                appearance: file.mean_appearance(),
                pool: Mutex::default(),
            },
            Self::Classic(file) if file.plan.scene.device.is_some() => {
                return Err(Error::unsupported(
                    "a forward-facing field has depths without a scale, so it has no surface in the world",
                )
                .with_hint("fit with --field hash"));
            }
            Self::Classic(file) => Kind::Classic {
                file,
                prepared: ClassicPrepared::new(&file.networks[1]),
                pool: Mutex::default(),
            },
        };
        Ok(Query { kind })
    }
}

/// A field that is ready for questions.
pub struct Query<'a> {
    kind: Kind<'a>,
}

enum Kind<'a> {
    Hash {
        file: &'a FieldFile,
        prepared: Box<Prepared>,
        appearance: Vec<f32>,
        pool: Mutex<Vec<Block>>,
    },
    Classic {
        file: &'a ClassicFile,
        prepared: ClassicPrepared,
        pool: Mutex<Vec<ClassicBlock>>,
    },
}

impl Query<'_> {
    /// Densities at points of the world, per unit of length of the world; zero where no ray would
    /// be sampled.
    ///
    /// # Errors
    /// `Cancelled`.
    pub fn densities(&self, points: &[[f32; 3]], cancel: &CancelToken) -> Result<Vec<f32>> {
        let parts: Vec<Vec<f32>> = points
            .par_chunks(TOGETHER)
            .map(|points| {
                if cancel.is_cancelled() {
                    return Err(Error::cancelled());
                }
                Ok(self
                    .ask(points, None)
                    .into_iter()
                    .map(|s| s.density)
                    .collect())
            })
            .collect::<Result<_>>()?;
        Ok(parts.concat())
    }

    /// Density and colour of a few points of the world, seen along a unit direction; without one,
    /// black.
    pub fn ask(&self, points: &[[f32; 3]], direction: Option<[f32; 3]>) -> Vec<Sample> {
        match &self.kind {
            Kind::Hash {
                file,
                prepared,
                appearance,
                pool,
            } => {
                let mut block = take(pool);
                let samples = ask_hash(file, prepared, appearance, &mut block, points, direction);
                give_back(pool, block);
                samples
            }
            Kind::Classic {
                file,
                prepared,
                pool,
            } => {
                let mut block = take(pool);
                let samples = ask_classic(file, prepared, &mut block, points, direction);
                give_back(pool, block);
                samples
            }
        }
    }
}

/// What a field says of a point.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// Per unit of length of the world.
    pub density: f32,
    /// sRGB values.
    pub colour: [f32; 3],
}

fn take<T: Default>(pool: &Mutex<Vec<T>>) -> T {
    let block = pool.lock().ok().and_then(|mut pool| pool.pop());
    block.unwrap_or_default()
}

fn give_back<T>(pool: &Mutex<Vec<T>>, block: T) {
    if let Ok(mut pool) = pool.lock() {
        pool.push(block);
    }
}

fn ask_hash(
    file: &FieldFile,
    prepared: &Prepared,
    appearance: &[f32],
    block: &mut Block,
    points: &[[f32; 3]],
    direction: Option<[f32; 3]>,
) -> Vec<Sample> {
    let (scene, shape) = (file.plan.scene, file.field.shape);
    let mut samples = vec![Sample::default(); points.len()];
    let mut inside = Vec::with_capacity(points.len());
    let mut columns = [const { Vec::new() }; 3];
    for (i, point) in points.iter().enumerate() {
        let unit = scene.to_unit(*point);
        let covered = unit.iter().all(|v| (0.0..=1.0).contains(v));
        if covered && file.occupancy.empty_cell(unit).is_none() {
            inside.push(i);
            for (to, v) in columns.iter_mut().zip(unit) {
                to.push(v);
            }
        }
    }
    block.density(
        &file.field,
        prepared,
        [0, 1, 2].map(|c: usize| &columns[c][..]),
    );
    for (i, density) in inside.iter().zip(&block.density) {
        samples[*i].density = density / scene.unit();
    }
    let Some(direction) = direction.filter(|_| !inside.is_empty()) else {
        return samples;
    };
    let harmonics = spherical::encode(direction);
    for row in 0..inside.len() {
        let inputs = block.view_inputs(&shape, row);
        inputs[..harmonics.len()].copy_from_slice(&harmonics);
        inputs[harmonics.len()..].copy_from_slice(appearance);
    }
    block.colour(&file.field, prepared);
    for (i, [r, g, b, _]) in inside.iter().zip(block.colours.as_chunks::<4>().0) {
        samples[*i].colour = [*r, *g, *b];
    }
    samples
}

fn ask_classic(
    file: &ClassicFile,
    prepared: &ClassicPrepared,
    block: &mut ClassicBlock,
    points: &[[f32; 3]],
    direction: Option<[f32; 3]>,
) -> Vec<Sample> {
    let scene = &file.plan.scene;
    let at: Vec<[f32; 3]> = points.iter().map(|p| scene.point(*p)).collect();
    let d = direction.unwrap_or([0.0, 0.0, -1.0]);
    let turned = scene
        .axes
        .map(|axis| (0..3).map(|c| axis[c] as f32 * d[c]).sum::<f32>());
    let sigmoid = |v: f32| 1.0 / (1.0 + (-v).exp());
    block
        .forward(&file.networks[1], prepared, &at, &[turned], at.len())
        .iter()
        .map(|[r, g, b, density]| Sample {
            density: density.max(0.0) * scene.scale as f32,
            colour: if direction.is_some() {
                [*r, *g, *b].map(sigmoid)
            } else {
                [0.0; 3]
            },
        })
        .collect()
}
