//! The adapters of the machine and the choice between them.

use packshot_core::{Error, Result};
use wgpu::{Backends, DeviceType, Instance, InstanceDescriptor, InstanceFlags};

/// Storage buffers that a kernel may bind.
const STORAGE_BUFFERS: u32 = 8;

/// What kind of processor an adapter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AdapterKind {
    /// A graphics card of its own.
    Discrete,
    /// Part of the processor's chip.
    Integrated,
    /// A share of a card that a virtual machine was given.
    Virtual,
    /// The driver does not say.
    Other,
    /// No GPU: a driver that computes on the processor, such as Mesa's lavapipe.
    Software,
}

impl AdapterKind {
    /// A word for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Discrete => "graphics card",
            Self::Integrated => "integrated",
            Self::Virtual => "virtual",
            Self::Other => "unknown kind",
            Self::Software => "software, on the processor",
        }
    }
}

/// An adapter of this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterInfo {
    /// What the driver calls it.
    pub name: String,
    /// The interface that it is driven through: Vulkan, Metal or DirectX 12.
    pub interface: String,
    /// What it is.
    pub kind: AdapterKind,
    /// The driver with its version, as far as it tells.
    pub driver: String,
    /// Largest part of a buffer that a kernel can see, in bytes: what bounds the size of scenes.
    pub largest_binding_bytes: u64,
    /// What it lacks for Packshot's kernels; `None` when it can be used.
    pub lacks: Option<String>,
}

/// Which adapter is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The best real GPU.
    Hardware,
    /// An adapter that computes on the processor: for tests, and where it is asked for.
    Software,
}

impl Choice {
    fn takes(self, kind: AdapterKind) -> bool {
        (kind == AdapterKind::Software) == (self == Self::Software)
    }
}

/// Every adapter of this machine, the ones that are preferred first; empty where there is no driver.
pub fn adapters() -> Vec<AdapterInfo> {
    found().iter().map(|(_, info)| info.clone()).collect()
}

/// The adapters that can be used for a choice, best first.
pub(crate) fn candidates(choice: Choice) -> Result<Vec<(wgpu::Adapter, AdapterInfo)>> {
    let all = found();
    let fitting: Vec<_> = all
        .into_iter()
        .filter(|(_, info)| choice.takes(info.kind))
        .collect();
    let Some((_, first)) = fitting.first() else {
        return Err(missing(choice));
    };
    let lacks = first.lacks.clone();
    let name = first.name.clone();
    let usable: Vec<_> = fitting
        .into_iter()
        .filter(|(_, info)| info.lacks.is_none())
        .collect();
    if usable.is_empty() {
        let lacks = lacks.unwrap_or_default();
        return Err(Error::unsupported(format!("{name} lacks {lacks}"))
            .at("GPU")
            .with_hint("use --device cpu"));
    }
    Ok(usable)
}

/// The error of a machine without a fitting adapter.
fn missing(choice: Choice) -> Error {
    let (text, hint) = match choice {
        Choice::Hardware => (
            "there is no GPU with a driver for Vulkan, Metal or DirectX 12",
            "`packshot doctor` lists what there is; use --device cpu",
        ),
        Choice::Software => (
            "there is no software adapter",
            "install Mesa's lavapipe (Debian: mesa-vulkan-drivers and libvulkan1), or use --device cpu",
        ),
    };
    Error::unsupported(text).at("GPU").with_hint(hint)
}

fn found() -> Vec<(wgpu::Adapter, AdapterInfo)> {
    let instance = Instance::new(InstanceDescriptor {
        backends: Backends::VULKAN | Backends::METAL | Backends::DX12,
        flags: InstanceFlags::empty(),
        ..InstanceDescriptor::new_without_display_handle()
    });
    let list = pollster::block_on(instance.enumerate_adapters(Backends::all()));
    let mut found: Vec<_> = list
        .into_iter()
        .map(|adapter| {
            let info = describe(&adapter);
            (adapter, info)
        })
        .collect();
    // Stable: drivers list their first choice first.
    found.sort_by_key(|(_, info)| (info.lacks.is_some(), info.kind));
    found
}

fn describe(adapter: &wgpu::Adapter) -> AdapterInfo {
    let info = adapter.get_info();
    let limits = adapter.limits();
    let lacks = if limits.max_storage_buffers_per_shader_stage < STORAGE_BUFFERS {
        Some(format!("{STORAGE_BUFFERS} storage buffers a kernel"))
    } else if limits.max_compute_invocations_per_workgroup < 64 {
        Some("workgroups of 64".to_owned())
    } else {
        None
    };
    let driver = format!("{} {}", info.driver, info.driver_info);
    AdapterInfo {
        name: info.name,
        interface: match info.backend {
            wgpu::Backend::Dx12 => "DirectX 12".to_owned(),
            other => format!("{other:?}"),
        },
        kind: match info.device_type {
            DeviceType::DiscreteGpu => AdapterKind::Discrete,
            DeviceType::IntegratedGpu => AdapterKind::Integrated,
            DeviceType::VirtualGpu => AdapterKind::Virtual,
            DeviceType::Cpu => AdapterKind::Software,
            DeviceType::Other => AdapterKind::Other,
        },
        driver: driver.trim().to_owned(),
        largest_binding_bytes: limits
            .max_storage_buffer_binding_size
            .min(limits.max_buffer_size),
        lacks,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_is_taken_on_request_alone() {
        assert!(Choice::Software.takes(AdapterKind::Software));
        for kind in [
            AdapterKind::Discrete,
            AdapterKind::Integrated,
            AdapterKind::Virtual,
            AdapterKind::Other,
        ] {
            assert!(Choice::Hardware.takes(kind) && !Choice::Software.takes(kind));
            assert!(kind < AdapterKind::Software);
        }
        assert!(!Choice::Hardware.takes(AdapterKind::Software));
    }

    #[test]
    fn a_software_adapter_is_listed_and_named_as_such() {
        let list = adapters();
        let software = list.iter().find(|a| a.kind == AdapterKind::Software);
        let software = software.expect(
            "these tests need a software adapter: install mesa-vulkan-drivers and libvulkan1 (scripts/test does)",
        );
        assert_eq!(software.lacks, None);
        assert!(software.kind.name().contains("software"));
        assert!(software.largest_binding_bytes >= 1 << 27);
    }
}
