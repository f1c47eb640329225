//! Where light is traced: on a GPU, or on the processor. What chooses a device is shared with
//! [`crate::field_renderer`].

use packshot_core::{Context, Error, ErrorKind, Result};
use packshot_gpu::{AdapterInfo, AdapterKind, Choice, Gpu, adapters};
use packshot_render::{Film, GpuRenderer, PreparedScene, Settings, render_rows_cpu};
use serde::Serialize;
use std::ops::Range;
use std::str::FromStr;

/// Where pictures are asked to be rendered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// On a GPU where one works, else on the processor.
    #[default]
    Auto,
    /// On the processor.
    Cpu,
    /// On a GPU; an error without one.
    Gpu,
    /// On a GPU's driver that computes on the processor: to try the GPU's path without one.
    Software,
}

impl FromStr for Device {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "auto" => Self::Auto,
            "cpu" => Self::Cpu,
            "gpu" => Self::Gpu,
            "software" => Self::Software,
            _ => {
                return Err(
                    Error::usage(format!("\"{}\" is no device", text.escape_debug()))
                        .with_hint("choose from auto, cpu, gpu, software"),
                );
            }
        })
    }
}

/// What traces light.
pub struct Renderer {
    gpu: Option<GpuRenderer>,
    /// Whether the processor may take over.
    may_fall_back: bool,
}

impl Renderer {
    /// Opens what was asked for. `Auto` never fails: a GPU that does not work is a warning.
    ///
    /// # Errors
    /// As [`Gpu::open`], for a GPU that was asked for by name.
    pub fn open(device: Device, context: &Context<'_>) -> Result<Self> {
        let opened = open_on(device, context, GpuRenderer::new)?;
        Ok(Self {
            gpu: opened,
            may_fall_back: device == Device::Auto,
        })
    }

    /// What is in use, for people and records.
    pub fn name(&self) -> String {
        match &self.gpu {
            Some(renderer) => name_of(renderer.gpu()),
            None => PROCESSOR.to_owned(),
        }
    }

    /// Rays that a GPU has cast so far; the processor does not count them.
    pub(crate) fn rays(&self) -> Option<f64> {
        self.gpu.as_ref().map(GpuRenderer::rays)
    }

    /// Some rows of a picture of the scene. A GPU that fails on the way is given up for the processor when the
    /// choice was automatic.
    ///
    /// # Errors
    /// As [`GpuRenderer::render_rows`] and [`render_rows_cpu`].
    pub fn render(
        &mut self,
        scene: &PreparedScene,
        settings: &Settings,
        rows: Range<usize>,
        context: &Context<'_>,
    ) -> Result<Film> {
        if let Some(renderer) = &self.gpu {
            match renderer.render_rows(scene, settings, rows.clone(), context) {
                Err(error) if self.may_fall_back && is_of_device(&error) => {
                    warn(&error, context);
                    // Limits are those of one scene; what is broken stays broken.
                    if renderer.gpu().check().is_err() || error.kind() == ErrorKind::Io {
                        self.gpu = None;
                    }
                }
                result => return result,
            }
        }
        render_rows_cpu(scene, settings, rows, context)
    }
}

/// Opens what was asked for and makes it ready; `None` for the processor. `Auto` never fails: a GPU
/// that does not work is a warning.
///
/// # Errors
/// As [`Gpu::open`] and `make`, for a GPU that was asked for by name.
pub(crate) fn open_on<T>(
    device: Device,
    context: &Context<'_>,
    make: impl FnOnce(Gpu) -> Result<T>,
) -> Result<Option<T>> {
    let open = |choice| Gpu::open(choice).and_then(make);
    match device {
        Device::Cpu => Ok(None),
        Device::Gpu => open(Choice::Hardware).map(Some),
        Device::Software => open(Choice::Software).map(Some),
        Device::Auto if !plan(&adapters()).use_gpu => Ok(None),
        Device::Auto => match open(Choice::Hardware) {
            Ok(made) => Ok(Some(made)),
            Err(error) => {
                warn(&error, context);
                Ok(None)
            }
        },
    }
}

/// The name of the path that needs no GPU.
pub(crate) const PROCESSOR: &str = "processor";

/// A device for people and records.
pub(crate) fn name_of(gpu: &Gpu) -> String {
    let info = gpu.info();
    format!("{} ({})", info.name, info.interface)
}

/// Whether another device may do better.
pub(crate) fn is_of_device(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Io | ErrorKind::Unsupported | ErrorKind::OutOfMemory
    )
}

pub(crate) fn warn(error: &Error, context: &Context<'_>) {
    context.warn(
        "gpu",
        format!("{error}; the processor renders instead"),
        Some("choose the processor with --device cpu"),
    );
}

/// A GPU adapter as `doctor` reports it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GpuAdapter {
    /// What its driver calls it.
    pub name: String,
    /// What it is driven through.
    pub interface: String,
    /// What kind of processor it is.
    pub kind: &'static str,
    /// The driver with its version.
    pub driver: String,
    /// Whether it computes on the processor.
    pub is_software: bool,
    /// Largest list of a scene in bytes.
    pub largest_binding_bytes: u64,
    /// What it lacks to be used.
    pub lacks: Option<String>,
}

impl From<&AdapterInfo> for GpuAdapter {
    fn from(info: &AdapterInfo) -> Self {
        Self {
            name: info.name.clone(),
            interface: info.interface.clone(),
            kind: info.kind.name(),
            driver: info.driver.clone(),
            is_software: info.kind == AdapterKind::Software,
            largest_binding_bytes: info.largest_binding_bytes,
            lacks: info.lacks.clone(),
        }
    }
}

/// What `--device auto` comes to, and why.
#[derive(Clone, Debug, PartialEq)]
struct Plan {
    use_gpu: bool,
    /// Name of the path.
    path: String,
    why: String,
}

/// The choice among adapters, best first.
fn plan(adapters: &[AdapterInfo]) -> Plan {
    let hardware = || adapters.iter().filter(|a| a.kind != AdapterKind::Software);
    let processor = |why: String| Plan {
        use_gpu: false,
        path: PROCESSOR.to_owned(),
        why,
    };
    if let Some(best) = hardware().find(|a| a.lacks.is_none()) {
        Plan {
            use_gpu: true,
            path: format!("{} ({})", best.name, best.interface),
            why: "the best GPU with a working driver".to_owned(),
        }
    } else if let Some(poor) = hardware().next() {
        let lacks = poor.lacks.as_deref().unwrap_or_default();
        processor(format!("{} lacks {lacks}", poor.name))
    } else if let Some(software) = adapters.first() {
        processor(format!(
            "{} is software, which is slower than Packshot's own path; --device software uses it",
            software.name
        ))
    } else {
        processor("there is no GPU with a driver for Vulkan, Metal or DirectX 12".to_owned())
    }
}

/// The adapters of this machine, the path that `shoot` takes, and why.
pub(crate) fn survey() -> (Vec<GpuAdapter>, String, String) {
    let found = adapters();
    let mut plan = plan(&found);
    if plan.use_gpu
        && let Err(error) = Gpu::open(Choice::Hardware).and_then(GpuRenderer::new)
    {
        plan.path = PROCESSOR.to_owned();
        plan.why = error.to_string();
    }
    (
        found.iter().map(GpuAdapter::from).collect(),
        plan.path,
        plan.why,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(name: &str, kind: AdapterKind, lacks: Option<&str>) -> AdapterInfo {
        AdapterInfo {
            name: name.to_owned(),
            interface: "Vulkan".to_owned(),
            kind,
            driver: String::new(),
            largest_binding_bytes: 1 << 27,
            lacks: lacks.map(str::to_owned),
        }
    }

    #[test]
    fn a_real_gpu_is_taken_and_software_is_not() {
        let card = adapter("card", AdapterKind::Discrete, None);
        let old = adapter("old", AdapterKind::Integrated, Some("8 storage buffers"));
        let software = adapter("llvmpipe", AdapterKind::Software, None);
        let found = plan(&[card, software.clone()]);
        assert!(found.use_gpu && found.path == "card (Vulkan)");
        let found = plan(&[software.clone(), old]);
        assert!(!found.use_gpu && found.why.contains("old lacks 8"));
        let found = plan(&[software]);
        assert!(!found.use_gpu && found.why.contains("--device software"));
        assert!(plan(&[]).why.contains("no GPU"));
        for word in ["auto", "CPU", "gpu", "software"] {
            word.parse::<Device>().unwrap();
        }
        assert!("cuda".parse::<Device>().unwrap_err().hint().is_some());
    }

    #[test]
    fn an_automatic_choice_falls_back_and_a_named_one_does_not() {
        let scene = PreparedScene::new(&packshot_render::Scene {
            camera: packshot_render::StudioCamera {
                camera: packshot_geometry::Camera::orthographic(
                    nalgebra::Isometry3::identity(),
                    1.0,
                    4,
                    4,
                ),
                lens: None,
            },
            objects: Vec::new(),
            lights: Vec::new(),
            environment: packshot_render::Environment::Uniform([0.5; 3]),
            background: packshot_render::Background::Environment,
        })
        .unwrap();
        let settings = Settings {
            width: 4,
            height: 4,
            max_samples: 1,
            noise_threshold: None,
            ..Settings::default()
        };
        let context = Context::silent();
        let mut renderer = Renderer::open(Device::Software, &context).unwrap();
        assert!(renderer.name().contains("Vulkan"));
        renderer
            .render(&scene, &settings, 0..settings.height, &context)
            .unwrap();
        if let Some(gpu) = &renderer.gpu {
            gpu.gpu().close();
        }
        let error = renderer
            .render(&scene, &settings, 0..settings.height, &context)
            .unwrap_err();
        assert!(error.hint().unwrap().contains("--device cpu"));
        renderer.may_fall_back = true;
        let film = renderer
            .render(&scene, &settings, 0..settings.height, &context)
            .unwrap();
        assert_eq!(film.radiance[0], [0.5; 3]);
        assert_eq!(renderer.name(), "processor");
    }
}
