//! A sampler's step with Point-E's network allocates nothing.

use candle_core::{Device, Tensor};
use packshot_core::Seed;
use packshot_diffusion::SeededNoise;
use packshot_nn::params::Params;
use packshot_points::point_e::{
    ConditionInput, KarrasConfig, Method, PointDiffusion, PointTransformer, SolverConfig, Stage,
    StageSettings, TransformerConfig, sample_stage,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// The system's allocator, counted.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

fn count(bytes: usize) {
    ALLOCATIONS.fetch_add(1, SeqCst);
    BYTES.fetch_add(bytes, SeqCst);
}

// SAFETY: every call is the system allocator's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: the caller's contract.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const POINTS: usize = 192;

/// Allocations and bytes of each evaluation of a run on `threads` threads, with the sampler's work
/// between it and the one before.
fn allocations(method: Method, threads: usize) -> Vec<(usize, usize)> {
    let config = TransformerConfig {
        width: 64,
        layers: 2,
        heads: 2,
        n_ctx: POINTS,
        ..TransformerConfig::published("base40M").expect("a name")
    };
    let weights = config.tensors().into_iter().map(|spec| {
        let n = spec.shape.iter().product();
        let values: Vec<f32> = (0..n).map(|i| (i as f32 * 0.7).sin() * 0.1).collect();
        let tensor = Tensor::from_vec(values, &*spec.shape, &Device::Cpu);
        (spec.name, tensor.expect("a tensor"))
    });
    let params = Params::loaded(weights.collect(), &Device::Cpu);
    let network = PointTransformer::new(&params, &config).expect("a network");
    let diffusion = PointDiffusion::base()
        .respaced("ddim10")
        .expect("a respacing");
    let settings = StageSettings {
        points: POINTS,
        method,
        ..StageSettings::base()
    };
    let grid = Tensor::ones((1, 1024, 256), candle_core::DType::F32, &Device::Cpu);
    let condition = ConditionInput {
        embedding: Some(grid.expect("a tensor")),
        low_res: None,
    };
    let mut counts = Vec::with_capacity(100);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.expect("threads").install(|| {
        let mut noise = SeededNoise {
            seed: Seed(1),
            first_candidate: 0,
            batch: 1,
            stage: packshot_core::Stage::Points,
        };
        let stage = Stage {
            network: &network,
            diffusion: &diffusion,
        };
        let mut last = (0, 0);
        sample_stage(stage, &settings, 1, &condition, &mut noise, &mut |_| {
            let now = (ALLOCATIONS.load(SeqCst), BYTES.load(SeqCst));
            counts.push((now.0 - last.0, now.1 - last.1));
            last = now;
            Ok(())
        })
        .expect("a cloud");
    });
    counts
}

#[test]
fn steps_allocate_nothing() {
    let karras = KarrasConfig {
        steps: 8,
        ..KarrasConfig::default()
    };
    for method in [
        Method::Karras(karras),
        Method::Solver(SolverConfig::base(8)),
        Method::Ddim { eta: 0.5 },
    ] {
        // The first evaluations fill the threads' stores of buffers.
        let counts = allocations(method.clone(), 1);
        assert!(counts.len() >= 8, "{counts:?}");
        assert!(
            counts[0].1 > 4 * 64 * POINTS,
            "the counter counts: {counts:?}"
        );
        for (i, count) in counts.iter().enumerate().skip(3) {
            assert_eq!(*count, (0, 0), "evaluation {i} of {method:?}");
        }
        // Several threads are handed the work of each evaluation in a few small blocks; no buffer
        // is among them. A thread that the machine lets in late fills its store late, so that any one
        // evaluation may be larger, but not all of them.
        let counts = allocations(method.clone(), 2);
        let least = counts.iter().skip(3).map(|(_, bytes)| *bytes).min();
        assert!(
            least.is_some_and(|bytes| bytes < 2048),
            "{counts:?} in {method:?}"
        );
    }
}
