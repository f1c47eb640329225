//! Compute shaders: compiled once, run on buffers.

use crate::buffer::Buffer;
use crate::device::Gpu;
use packshot_core::{Error, ErrorKind, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use wgpu::{
    BindGroupDescriptor, BindGroupEntry, BindGroupLayoutDescriptor, BindGroupLayoutEntry,
    BindingType, BufferBindingType, CommandEncoderDescriptor, ComputePassDescriptor,
    ComputePipelineDescriptor, MapMode, PipelineCompilationOptions, PipelineLayoutDescriptor,
    PollType, ShaderModuleDescriptor, ShaderSource, ShaderStages,
};

/// How long a run may take before the device counts as lost. Runs are made short; this is for
/// drivers that never answer.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a kernel does with a buffer that it binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// A uniform buffer.
    Uniform,
    /// A storage buffer that it reads.
    Read,
    /// A storage buffer that it reads and writes.
    Write,
}

/// A compiled compute shader.
pub struct Kernel {
    pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
}

/// The buffers of a kernel's runs.
pub struct Bindings(wgpu::BindGroup);

/// A run that was started and leaves its output in memory that the processor can read.
pub struct Run {
    submission: wgpu::SubmissionIndex,
    readable: Buffer,
    words: usize,
    mapped: Arc<AtomicBool>,
}

impl Gpu {
    /// Compiles the entry point `name` of WGSL code, whose buffers are bound in group 0, numbered
    /// as in `slots`.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn kernel(&self, name: &str, code: &str, slots: &[Slot]) -> Result<Kernel> {
        let entries: Vec<_> = (0..)
            .zip(slots)
            .map(|(binding, slot)| BindGroupLayoutEntry {
                binding,
                visibility: ShaderStages::COMPUTE,
                ty: BindingType::Buffer {
                    ty: match slot {
                        Slot::Uniform => BufferBindingType::Uniform,
                        Slot::Read => BufferBindingType::Storage { read_only: true },
                        Slot::Write => BufferBindingType::Storage { read_only: false },
                    },
                    has_dynamic_offset: false,
                    min_binding_size: None,
                },
                count: None,
            })
            .collect();
        let layout = self
            .device
            .create_bind_group_layout(&BindGroupLayoutDescriptor {
                label: Some(name),
                entries: &entries,
            });
        let pipeline_layout = self
            .device
            .create_pipeline_layout(&PipelineLayoutDescriptor {
                label: Some(name),
                bind_group_layouts: &[Some(&layout)],
                immediate_size: 0,
            });
        let module = self.device.create_shader_module(ShaderModuleDescriptor {
            label: Some(name),
            source: ShaderSource::Wgsl(code.into()),
        });
        let pipeline = self
            .device
            .create_compute_pipeline(&ComputePipelineDescriptor {
                label: Some(name),
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some(name),
                compilation_options: PipelineCompilationOptions::default(),
                cache: None,
            });
        self.check()?;
        Ok(Kernel { pipeline, layout })
    }

    /// Binds buffers, one for each slot of the kernel.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn bind(&self, kernel: &Kernel, buffers: &[&Buffer]) -> Result<Bindings> {
        let entries: Vec<_> = (0..)
            .zip(buffers)
            .map(|(binding, buffer)| BindGroupEntry {
                binding,
                resource: buffer.buffer.as_entire_binding(),
            })
            .collect();
        let group = self.device.create_bind_group(&BindGroupDescriptor {
            label: None,
            layout: &kernel.layout,
            entries: &entries,
        });
        self.check()?;
        Ok(Bindings(group))
    }

    /// Starts `groups` workgroups of a kernel; the first `words` words of `output` are copied to
    /// where [`finish`](Self::finish) reads them.
    ///
    /// # Errors
    /// As [`check`](Self::check) and [`upload`](Self::upload).
    pub fn run(
        &self,
        kernel: &Kernel,
        bindings: &Bindings,
        groups: [u32; 3],
        output: &Buffer,
        words: usize,
    ) -> Result<Run> {
        let bytes = words as u64 * 4;
        let readable = self.readable("results", words)?;
        let mut encoder = self
            .device
            .create_command_encoder(&CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&ComputePassDescriptor::default());
            pass.set_pipeline(&kernel.pipeline);
            pass.set_bind_group(0, &bindings.0, &[]);
            pass.dispatch_workgroups(groups[0], groups[1], groups[2]);
        }
        encoder.copy_buffer_to_buffer(&output.buffer, 0, &readable.buffer, 0, Some(bytes));
        let submission = self.queue.submit([encoder.finish()]);
        let mapped = Arc::new(AtomicBool::new(false));
        let told = mapped.clone();
        readable
            .buffer
            .slice(..)
            .map_async(MapMode::Read, move |result| {
                told.store(result.is_ok(), Ordering::Release);
            });
        self.check()?;
        Ok(Run {
            submission,
            readable,
            words,
            mapped,
        })
    }

    /// Waits for a run and returns what it wrote.
    ///
    /// # Errors
    /// As [`check`](Self::check); a device that does not answer counts as lost.
    pub fn finish(&self, run: Run) -> Result<Vec<f32>> {
        let answer = self.device.poll(PollType::Wait {
            submission_index: Some(run.submission),
            timeout: Some(PATIENCE),
        });
        self.check()?;
        if answer.is_err() || !run.mapped.load(Ordering::Acquire) {
            return Err(self.silent());
        }
        let view = (run.readable.buffer.slice(..).get_mapped_range()).map_err(|_| self.silent())?;
        let mut words = Vec::new();
        words.try_reserve_exact(run.words).map_err(|e| {
            Error::new(ErrorKind::OutOfMemory, "there is no memory for a picture").with_source(e)
        })?;
        let bytes = view.chunks_exact(4);
        words.extend(bytes.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
        Ok(words)
    }

    fn silent(&self) -> Error {
        Error::new(ErrorKind::Io, "the device does not answer")
            .at(&self.info().name)
            .with_hint("start again; if it stays so, update the driver or use --device cpu")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Choice;

    const DOUBLE: &str = "
        @group(0) @binding(0) var<uniform> factor: vec4f;
        @group(0) @binding(1) var<storage, read> numbers: array<u32>;
        @group(0) @binding(2) var<storage, read_write> results: array<f32>;
        @compute @workgroup_size(64)
        fn scale(@builtin(global_invocation_id) id: vec3u) {
            if id.x < arrayLength(&numbers) {
                results[id.x] = bitcast<f32>(numbers[id.x]) * factor.x;
            }
        }";

    fn software() -> Gpu {
        Gpu::open(Choice::Software).expect("the tests need lavapipe: scripts/test installs it")
    }

    #[test]
    fn kernels_run_and_their_results_come_back() {
        let gpu = software();
        let slots = [Slot::Uniform, Slot::Read, Slot::Write];
        let kernel = gpu.kernel("scale", DOUBLE, &slots).unwrap();
        let numbers: Vec<u32> = (0..1000).map(|i| (i as f32).to_bits()).collect();
        let numbers = gpu.upload("numbers", &numbers).unwrap();
        let factor = gpu.uniform("factor", 4).unwrap();
        let results = gpu.output("results", 1000).unwrap();
        let bindings = gpu.bind(&kernel, &[&factor, &numbers, &results]).unwrap();
        for times in [3.0f32, -0.5] {
            gpu.write(&factor, &[times.to_bits(), 0, 0, 0]).unwrap();
            let run = gpu.run(&kernel, &bindings, [16, 1, 1], &results, 1000);
            let found = gpu.finish(run.unwrap()).unwrap();
            assert!((0..1000).all(|i| found[i] == i as f32 * times));
        }
        // A device that is closed while it is in use tells so, every time.
        gpu.close();
        for _ in 0..2 {
            let error = gpu
                .run(&kernel, &bindings, [16, 1, 1], &results, 1000)
                .and_then(|run| gpu.finish(run))
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io, "{error}");
            assert!(error.to_string().contains("lost"), "{error}");
        }
    }

    #[test]
    fn broken_shaders_and_oversized_buffers_are_errors() {
        let gpu = software();
        let broken = gpu.kernel("scale", "fn scale( {", &[]).err().unwrap();
        assert!(broken.to_string().contains("refused"), "{broken}");
        let words = (gpu.info().largest_binding_bytes / 4) as usize + 1;
        let large = gpu.output("texels", words).unwrap_err();
        assert_eq!(large.kind(), ErrorKind::Unsupported);
        assert!(large.hint().unwrap().contains("--device cpu"));
        // The device is still good.
        assert!(gpu.uniform("few", 4).is_ok());
    }
}
