//! The open device.

use crate::adapter::{AdapterInfo, Choice, candidates};
use crate::fault::{Fault, Faults};
use packshot_core::{Error, ErrorKind, Result};
use std::sync::Arc;
use wgpu::{
    DeviceDescriptor, DeviceLostReason, ExperimentalFeatures, Features, MemoryHints, Trace,
};

/// A device that kernels run on.
pub struct Gpu {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    pub(crate) faults: Faults,
    info: AdapterInfo,
}

impl Gpu {
    /// Opens the best adapter of the wanted kind that its driver lets be opened.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] without such an adapter, or with the driver's words when all of
    /// them refuse.
    pub fn open(choice: Choice) -> Result<Self> {
        let mut refused = None;
        for (adapter, info) in candidates(choice)? {
            match Self::open_adapter(&adapter, info) {
                Ok(gpu) => return Ok(gpu),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.unwrap_or_else(|| Error::internal("no adapter was tried")))
    }

    fn open_adapter(adapter: &wgpu::Adapter, info: AdapterInfo) -> Result<Self> {
        let request = adapter.request_device(&DeviceDescriptor {
            label: Some("packshot"),
            required_features: Features::empty(),
            // All that the adapter has: scenes are large.
            required_limits: adapter.limits(),
            experimental_features: ExperimentalFeatures::disabled(),
            memory_hints: MemoryHints::Performance,
            trace: Trace::Off,
        });
        let (device, queue) = pollster::block_on(request).map_err(|e| {
            Error::new(
                ErrorKind::Unsupported,
                format!("the driver does not open the device: {e}"),
            )
            .at(&info.name)
            .with_hint("update the driver or use --device cpu")
            .with_source(e)
        })?;
        let faults = Faults::default();
        let uncaptured = faults.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            uncaptured.put(error.into());
        }));
        let lost = faults.clone();
        device.set_device_lost_callback(move |reason, why| {
            let why = match reason {
                DeviceLostReason::Destroyed => "it was closed".to_owned(),
                DeviceLostReason::Unknown => why,
            };
            lost.put(Fault::Lost(why));
        });
        Ok(Self {
            device,
            queue,
            faults,
            info,
        })
    }

    /// The adapter.
    pub fn info(&self) -> &AdapterInfo {
        &self.info
    }

    /// Fails when anything has gone wrong on the device since the last call.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when the device is lost, [`ErrorKind::OutOfMemory`],
    /// [`ErrorKind::Unsupported`] with the driver's words.
    pub fn check(&self) -> Result<()> {
        self.faults.take(&self.info.name).map_or(Ok(()), Err)
    }

    /// Closes the device, as if it were lost; for tests of what happens then.
    pub fn close(&self) {
        self.device.destroy();
        // Its callbacks are called from here; how that ends is in `faults`.
        let _ = self.device.poll(wgpu::PollType::Poll);
    }
}
