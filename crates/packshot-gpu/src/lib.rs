//! One wgpu device.
//!
//! [`adapters`] lists what the machine has, [`Gpu::open`] opens one of them, [`Gpu::kernel`] compiles
//! a compute shader, and [`Gpu::run`] runs it and reads back what it wrote. Whatever goes wrong on
//! the way (no adapter, a buffer over the limits, a device that is lost) is an
//! [`Error`](packshot_core::Error) with a hint; nothing panics.

mod adapter;
mod buffer;
mod device;
mod fault;
mod kernel;
mod pace;

pub use adapter::{AdapterInfo, AdapterKind, Choice, adapters};
pub use buffer::Buffer;
pub use device::Gpu;
pub use kernel::{Bindings, Kernel, Run, Slot};
pub use pace::Pace;
