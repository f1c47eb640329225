//! Where views of fitted fields are rendered: on a GPU, or on the processor.

use crate::renderer::{Device, PROCESSOR, is_of_device, name_of, open_on, warn};
use packshot_core::{Context, ErrorKind, Result};
use packshot_geometry::lens::LensCamera;
use packshot_nerf::field::{GpuField, View};
use packshot_nerf::fitted::Fitted;

/// What renders views of a fit.
pub(crate) struct FieldRenderer<'a> {
    fitted: &'a Fitted,
    gpu: Option<GpuField>,
    /// Whether the processor may take over.
    may_fall_back: bool,
}

impl<'a> FieldRenderer<'a> {
    /// Opens what was asked for. `Auto` never fails: a GPU that does not work is a warning.
    ///
    /// # Errors
    /// As [`Fitted::on_gpu`] and `Gpu::open`, for a GPU that was asked for by name.
    pub(crate) fn open(device: Device, fitted: &'a Fitted, context: &Context<'_>) -> Result<Self> {
        let automatic = device == Device::Auto;
        // No GPU renders classic fields, so that one there is no reason to warn.
        let processor = automatic && matches!(fitted, Fitted::Classic(_));
        let device = if processor { Device::Cpu } else { device };
        Ok(Self {
            fitted,
            gpu: open_on(device, context, |gpu| fitted.on_gpu(gpu))?,
            may_fall_back: automatic,
        })
    }

    /// What is in use, for people and records.
    pub(crate) fn name(&self) -> String {
        match &self.gpu {
            Some(field) => name_of(field.gpu()),
            None => PROCESSOR.to_owned(),
        }
    }

    /// Renders what a camera sees. A GPU that fails on the way is given up for the processor when
    /// the choice was automatic.
    ///
    /// # Errors
    /// As [`GpuField::render`] and [`Fitted::render`].
    pub(crate) fn render(&mut self, camera: &LensCamera, context: &Context<'_>) -> Result<View> {
        if let Some(field) = &self.gpu {
            match field.render(camera, context.cancel_token()) {
                Err(error) if self.may_fall_back && is_of_device(&error) => {
                    warn(&error, context);
                    // Limits may be those of one view; what is broken stays broken.
                    if field.gpu().check().is_err() || error.kind() == ErrorKind::Io {
                        self.gpu = None;
                    }
                }
                result => return result,
            }
        }
        self.fitted.render(camera, context.cancel_token())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_core::Seed;
    use packshot_geometry::lens::Intrinsics;
    use packshot_nerf::field::{
        FieldFile, FieldShape, HashField, March, Occupancy, Plan, Scene, TrainConfig,
    };
    use packshot_nerf::grid::{GridShape, Lattice};

    fn made() -> Fitted {
        let shape = FieldShape {
            grid: GridShape {
                levels: 2,
                features: 2,
                log2_entries: 8,
                coarsest: 4.0,
                growth: 2.0,
                lattice: Lattice::Staggered,
            },
            density_hidden: 8,
            colour_hidden: 8,
            appearance: 0,
        };
        let field = HashField::new(shape, Seed(1)).unwrap();
        Fitted::Hash(Box::new(FieldFile {
            plan: Plan {
                shape,
                scene: Scene::Box {
                    centre: [0.0; 3],
                    radius: 1.0,
                },
                march: March {
                    step: 0.02,
                    cone: 0.0,
                    near: 0.0,
                    far: 100.0,
                    limit: 128,
                },
                train: TrainConfig::default(),
            },
            field,
            occupancy: Occupancy::full(8),
            appearance: Vec::new(),
            state: None,
        }))
    }

    #[test]
    fn an_automatic_choice_falls_back_and_a_named_one_does_not() {
        let fitted = made();
        let camera = LensCamera {
            intrinsics: Intrinsics::from_fov_x(8, 6, 0.8),
            world_from_camera: [
                [1.0, 0.0, 0.0, 0.0],
                [0.0, 1.0, 0.0, 0.0],
                [0.0, 0.0, 1.0, 4.0],
            ],
        };
        let context = Context::silent();
        let mut renderer = FieldRenderer::open(Device::Software, &fitted, &context).unwrap();
        assert!(renderer.name().contains("Vulkan"));
        let view = renderer.render(&camera, &context).unwrap();
        let cpu = fitted.render(&camera, context.cancel_token()).unwrap();
        assert!((view.opacity[20] - cpu.opacity[20]).abs() < 1e-4 && cpu.opacity[20] > 0.1);
        if let Some(field) = &renderer.gpu {
            field.gpu().close();
        }
        let error = renderer.render(&camera, &context).unwrap_err();
        assert!(error.hint().unwrap().contains("--device cpu"));
        renderer.may_fall_back = true;
        assert_eq!(renderer.render(&camera, &context).unwrap(), cpu);
        assert_eq!(renderer.name(), PROCESSOR);
    }
}
