//! The shaders against their twins on the processor, on a software adapter.

use super::*;
use crate::encoding::spherical;
use crate::field::block::{Block, Prepared};
use crate::field::{Occupancy, Samples, march, render};
use crate::grid::{GridShape, Lattice, encode};
use packshot_core::{Image, NoiseKey, NoiseStream, Seed, Stage};
use packshot_geometry::lens::{Intrinsics, Lens};
use packshot_gpu::Choice;
use std::sync::{Mutex, MutexGuard, PoisonError};

const BOX: Scene = Scene::Box {
    centre: [0.5, -1.0, 2.0],
    radius: 1.5,
};
const CONTRACTED: Scene = Scene::Contracted {
    centre: [0.5, -1.0, 2.0],
    radius: 1.5,
};

/// Drivers that compute on the processor take all of it: side by side they are slower than one
/// after the other.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn software() -> Gpu {
    Gpu::open(Choice::Software).expect("the tests need lavapipe: scripts/test installs it")
}

fn noise(seed: u64) -> NoiseStream {
    let key = NoiseKey {
        candidate: 0,
        stage: Stage::Init,
        step: 0,
    };
    NoiseStream::new(Seed(seed), key)
}

/// A field of random entries and weights, dense in some places and clear in others.
struct Made {
    field: HashField,
    scene: Scene,
    occupancy: Occupancy,
    appearance: Vec<f32>,
}

impl Made {
    fn new(scene: Scene, features: usize, lattice: Lattice) -> Self {
        let unbounded = scene.is_unbounded();
        let shape = FieldShape {
            grid: GridShape {
                levels: 4,
                features,
                log2_entries: 12,
                coarsest: 6.0,
                growth: 1.9,
                lattice,
            },
            density_hidden: 16,
            colour_hidden: if unbounded { 12 } else { 16 },
            appearance: if unbounded { 3 } else { 0 },
        };
        let mut field = HashField::new(shape, Seed(5)).unwrap();
        let mut noise = noise(features as u64);
        // Finer levels say less.
        for (l, level) in field.levels.iter().enumerate() {
            let part = level.offset * features..(level.offset + level.size) * features;
            for v in &mut field.table[part] {
                *v = noise.uniform_in(-1.0, 1.0) / (1.0 + l as f32);
            }
        }
        for v in &mut field.network {
            *v *= 2.0;
        }
        // The first of the density network's outputs is the density's logarithm.
        let d1 = shape.matrix_range(1).start;
        for v in &mut field.network[d1..d1 + shape.density_hidden] {
            *v *= 4.0;
        }
        let mut occupancy = Occupancy::full(24);
        occupancy.restrict(&|cell| {
            let from_middle: f32 = cell.iter().map(|&c| (c as f32 - 11.5).powi(2)).sum();
            from_middle < 81.0 && (cell[0] / 4 + cell[1] / 2) % 5 != 1
        });
        Self {
            field,
            scene,
            occupancy,
            appearance: (0..shape.appearance).map(|i| i as f32 - 0.7).collect(),
        }
    }

    fn viewable(&self) -> Viewable<'_> {
        let unbounded = self.scene.is_unbounded();
        Viewable {
            field: &self.field,
            scene: self.scene,
            march: March {
                step: if unbounded { 1.0 / 64.0 } else { 1.0 / 128.0 },
                cone: if unbounded { 1.0 / 48.0 } else { 0.0 },
                near: if unbounded { 0.05 } else { 0.0 },
                far: 1000.0,
                limit: 300,
            },
            occupancy: &self.occupancy,
            appearance: &self.appearance,
            pixel_rays: 1,
        }
    }
}

/// Looks at the scene's middle from some way off.
fn camera(side: usize, away: f64, lens: Lens) -> LensCamera {
    let mut intrinsics = Intrinsics::from_fov_x(side, side, 0.7);
    intrinsics.lens = lens;
    let back = [0.48, -0.64, 0.6];
    let right = [0.8, 0.6, 0.0];
    let up = [-0.36, 0.48, 0.8];
    let centre = [0.5, -1.0, 2.0];
    LensCamera {
        intrinsics,
        world_from_camera: [0, 1, 2]
            .map(|c| [right[c], up[c], back[c], centre[c] + away * back[c]]),
    }
}

/// Runs an entry point that is added to the renderer for each triple of `inputs`, which it finds
/// in `directions`, and returns `numbers` of each.
fn run_part(what: &Viewable<'_>, code: &str, inputs: &[[f32; 3]], numbers: usize) -> Vec<f32> {
    let code = format!(
        "{}
        fn input3(i: u32) -> vec3f {{
            return vec3f(directions[3u * i], directions[3u * i + 1u], directions[3u * i + 2u]);
        }}
        {code}",
        field_renderer(&sizes(&what.field.shape))
    );
    let field = GpuField::with_code(software(), what, "part", &code).unwrap();
    let mut params = field.params([2.0, -3.0, 4.0]);
    params.set("ray_count", inputs.len() as u32);
    field.gpu.write(&field.params, &params.words()).unwrap();
    let words: &[u32] = bytemuck::cast_slice(inputs.as_flattened());
    field.gpu.write(&field.directions, words).unwrap();
    let groups = [inputs.len().div_ceil(GROUP) as u32, 1, 1];
    let count = inputs.len() * numbers;
    let run = (field.gpu).run(
        &field.kernel,
        &field.bindings,
        groups,
        &field.results,
        count,
    );
    field.gpu.finish(run.unwrap()).unwrap()
}

fn assert_close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    for (i, (&a, &b)) in found.iter().zip(expected).enumerate() {
        let scale = b.abs().max(1.0);
        assert!(
            (a - b).abs() <= tolerance * scale,
            "{i}: {a} instead of {b}"
        );
    }
}

/// Positions inside, on faces, edges and vertices, and outside of the unit cube.
fn positions(count: usize) -> Vec<[f32; 3]> {
    let mut noise = noise(77);
    let mut all: Vec<[f32; 3]> = (0..count)
        .map(|_| [0; 3].map(|_| noise.uniform_in(0.0, 1.0)))
        .collect();
    for i in 0..64u32 {
        let edge = |i: u32| [0.0, 1.0, 0.5, 1.0 - 1e-7][(i % 4) as usize];
        all.push([edge(i), edge(i / 4), edge(i / 16)]);
    }
    all.extend([[-0.3, 0.2, 1.7], [2.0, -1.0, 0.4], [1.0 / 6.0, 0.5, 1.0]]);
    all
}

fn columns(rows: &[[f32; 3]]) -> [Vec<f32>; 3] {
    [0, 1, 2].map(|c| rows.iter().map(|row| row[c]).collect())
}

#[test]
fn the_grid_equals_its_twin() {
    let _turn = turn();
    let code = "
        @compute @workgroup_size(64)
        fn part(@builtin(global_invocation_id) id: vec3u) {
            if id.x < params.ray_count {
                encode(input3(id.x));
                for (var c = 0u; c < CHANNELS; c++) {
                    results[CHANNELS * id.x + c] = features[c];
                }
            }
        }";
    for (features, lattice) in [
        (1, Lattice::Plain),
        (2, Lattice::Staggered),
        (4, Lattice::Staggered),
        (4, Lattice::Plain),
        (8, Lattice::Staggered),
    ] {
        let made = Made::new(BOX, features, lattice);
        let levels = &made.field.levels;
        assert!(levels[0].dense && !levels[3].dense);
        let at = positions(1000);
        let channels = made.field.shape.grid.channels();
        let found = run_part(&made.viewable(), code, &at, channels);
        let [x, y, z] = columns(&at);
        let mut expected = vec![0.0; at.len() * channels];
        encode(
            levels,
            features,
            &made.field.table,
            [&x, &y, &z],
            &mut expected,
            channels,
        );
        assert_close(&found, &expected, 2e-5);
    }
}

#[test]
fn harmonics_equal_their_twin() {
    let _turn = turn();
    let code = "
        @compute @workgroup_size(64)
        fn part(@builtin(global_invocation_id) id: vec3u) {
            if id.x < params.ray_count {
                var found = harmonics(input3(id.x));
                for (var c = 0u; c < HARMONICS; c++) {
                    results[HARMONICS * id.x + c] = found[c];
                }
            }
        }";
    let mut noise = noise(3);
    let directions: Vec<[f32; 3]> = (0..500)
        .map(|_| {
            let d = [0; 3].map(|_| f64::from(noise.uniform_in(-1.0, 1.0)));
            unit_direction(Some(d)).unwrap()
        })
        .chain([[0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
        .collect();
    let made = Made::new(BOX, 2, Lattice::Staggered);
    let found = run_part(&made.viewable(), code, &directions, spherical::CHANNELS);
    let expected: Vec<f32> = directions.into_iter().flat_map(spherical::encode).collect();
    assert_close(&found, &expected, 1e-6);
}

#[test]
fn the_networks_equal_their_twins() {
    let _turn = turn();
    let code = "
        @compute @workgroup_size(64)
        fn part(@builtin(global_invocation_id) id: vec3u) {
            if id.x < params.ray_count {
                view_inputs(vec3f(0.48, -0.6, 0.64));
                let found = density(input3(id.x));
                let shade = colour();
                let at = 5u * id.x;
                results[at] = found;
                results[at + 1u] = geometry[15];
                results[at + 2u] = shade.x;
                results[at + 3u] = shade.y;
                results[at + 4u] = shade.z;
            }
        }";
    for (scene, features) in [(BOX, 4), (CONTRACTED, 2)] {
        let made = Made::new(scene, features, Lattice::Staggered);
        let at = positions(1000);
        let found = run_part(&made.viewable(), code, &at, 5);
        let shape = made.field.shape;
        let (mut block, prepared) = (Block::default(), Prepared::new(&made.field));
        let [x, y, z] = columns(&at);
        block.density(&made.field, &prepared, [&x, &y, &z]);
        let mut geometry = Vec::new();
        for i in 0..at.len() {
            let inputs = block.view_inputs(&shape, i);
            inputs[..16].copy_from_slice(&spherical::encode([0.48, -0.6, 0.64]));
            inputs[16..].copy_from_slice(&made.appearance);
            geometry.push(block.geometry(&shape, i)[15]);
        }
        block.colour(&made.field, &prepared);
        let (mut low, mut high) = (f32::INFINITY, 0.0f32);
        for (i, found) in found.as_chunks::<5>().0.iter().enumerate() {
            let density = block.density[i];
            (low, high) = (low.min(density), high.max(density));
            let [r, g, b] = [0, 1, 2].map(|c| block.colours[4 * i + c]);
            // A density is the exponential of a sum.
            assert_close(&found[..1], &[density], 1e-4);
            assert_close(&found[1..], &[geometry[i], r, g, b], 3e-5);
        }
        assert!(low < 0.2 && high > 10.0, "{low} {high}");
    }
}

#[test]
fn rays_are_sampled_where_their_twins_are() {
    let _turn = turn();
    let code = "
        @compute @workgroup_size(64)
        fn part(@builtin(global_invocation_id) id: vec3u) {
            if id.x < params.ray_count {
                var ray = start_ray(input3(id.x));
                var n = 0.0;
                var sums = array<f32, 5>();
                loop {
                    let sample = next_sample(&ray);
                    if !sample.found {
                        break;
                    }
                    n += 1.0;
                    sums[0] += sample.t;
                    sums[1] += sample.dt;
                    sums[2] += sample.unit.x;
                    sums[3] += sample.unit.y;
                    sums[4] += sample.unit.z;
                }
                results[6u * id.x] = n;
                for (var c = 0u; c < 5u; c++) {
                    results[6u * id.x + c + 1u] = sums[c] / max(n, 1.0);
                }
            }
        }";
    let mut noise = noise(9);
    // From where `run_part` stands; some along the axes, some away from the scene.
    let towards = [0.5 - 2.0, -1.0 + 3.0, 2.0 - 4.0];
    let mut directions: Vec<[f32; 3]> = (0..500)
        .map(|_| {
            let d = towards.map(|v| v + f64::from(noise.uniform_in(-1.5, 1.5)));
            unit_direction(Some(d)).unwrap()
        })
        .collect();
    directions.extend([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [0.8, -0.6, 0.0]]);
    for scene in [BOX, CONTRACTED] {
        let made = Made::new(scene, 2, Lattice::Staggered);
        let what = made.viewable();
        let found = run_part(&what, code, &directions, 6);
        let (mut met, mut other) = (0, 0);
        for (direction, found) in directions.iter().zip(found.as_chunks::<6>().0) {
            let mut samples = Samples::default();
            let n = march(
                &scene,
                &what.march,
                what.occupancy,
                [2.0, -3.0, 4.0],
                *direction,
                0.5,
                &mut samples,
            );
            met += usize::from(n > 0);
            // At a cell's face, rounding may decide.
            if found[0] != n as f32 {
                other += 1;
                assert!((found[0] - n as f32).abs() <= 3.0, "{} {n}", found[0]);
                continue;
            }
            let mean = |values: &[f32]| values.iter().sum::<f32>() / n.max(1) as f32;
            let [x, y, z] = &samples.unit;
            let expected = [&samples.t, &samples.dt, x, y, z].map(|v| mean(v));
            assert_close(&found[1..], &expected, 2e-4);
        }
        assert!(met > 150 && other * 50 <= directions.len(), "{met} {other}");
    }
}

/// Mean and 99th percentile of the differences of two pictures' levels.
fn differences(a: &Image, b: &Image) -> (f64, u8) {
    let mut all: Vec<u8> = (a.data().iter().zip(b.data()))
        .map(|(a, b)| a.abs_diff(*b))
        .collect();
    all.sort_unstable();
    let mean = all.iter().map(|&d| f64::from(d)).sum::<f64>() / all.len() as f64;
    (mean, all[all.len() * 99 / 100])
}

fn assert_same(gpu: &View, cpu: &View) {
    let (mean, most) = differences(&gpu.on([1.0, 0.0, 0.5]), &cpu.on([1.0, 0.0, 0.5]));
    assert!(mean <= 0.25 && most <= 1, "{mean} {most}");
    let pixels = cpu.rgb.len();
    let off = (0..pixels)
        .filter(|&i| {
            let (a, b) = (gpu.distance[i], cpu.distance[i]);
            (gpu.opacity[i] - cpu.opacity[i]).abs() > 2e-3 || a != b && (a - b).abs() > 0.1
        })
        .count();
    assert!(off * 100 <= pixels, "{off} of {pixels}");
    // There is something to see and, but from within, something to see through.
    let seen = cpu.distance.iter().filter(|d| d.is_finite()).count();
    let clear = cpu.opacity.iter().filter(|o| **o < 0.2).count();
    assert!(
        seen * 8 > pixels && (clear > 0 || seen > pixels / 2),
        "{seen} {clear}"
    );
}

#[test]
fn views_equal_the_processors() {
    let _turn = turn();
    let fisheye = Lens::Fisheye {
        k: [-1.0, 0.0, 0.0, 0.0],
    };
    for (scene, features, away, lens) in [
        (BOX, 4, 4.5, Lens::Pinhole),
        (BOX, 1, 1.0, fisheye),
        (CONTRACTED, 4, 3.0, Lens::Pinhole),
        (CONTRACTED, 8, 0.2, Lens::Equirectangular),
    ] {
        let made = Made::new(scene, features, Lattice::Staggered);
        let what = made.viewable();
        let camera = camera(40, away, lens);
        let cancel = CancelToken::default();
        let cpu = render(&what, &camera, &cancel).unwrap();
        let field = GpuField::new(software(), &what).unwrap();
        let gpu = field.render(&camera, &cancel).unwrap();
        assert_same(&gpu, &cpu);
        assert!(gpu.samples > 0 && gpu.samples <= cpu.samples);
        // It does not matter how it is cut.
        field.pace.set(Pace::LEAST);
        assert_eq!(field.render(&camera, &cancel).unwrap(), gpu);
    }
}

#[test]
fn several_rays_of_a_pixel_are_averaged() {
    let _turn = turn();
    let made = Made::new(BOX, 2, Lattice::Staggered);
    let one = made.viewable();
    let three = Viewable {
        pixel_rays: 3,
        ..one
    };
    let camera = camera(20, 4.5, Lens::Pinhole);
    let cancel = CancelToken::default();
    let view = |what: &Viewable<'_>| {
        let field = GpuField::new(software(), what).unwrap();
        field.render(&camera, &cancel).unwrap()
    };
    let gpu = view(&three);
    assert_same(&gpu, &render(&three, &camera, &cancel).unwrap());
    assert_ne!(gpu, view(&one));
}

/// Mist, so that rays have many samples, and networks as wide as fits have them: drivers that compute
/// on the processor end long loops.
#[test]
fn long_rays_through_mist_are_not_cut_off() {
    let _turn = turn();
    let shape = FieldShape {
        grid: GridShape {
            levels: 4,
            features: 4,
            log2_entries: 10,
            coarsest: 4.0,
            growth: 1.5,
            lattice: Lattice::Staggered,
        },
        density_hidden: 32,
        colour_hidden: 64,
        appearance: 0,
    };
    let field = HashField::new(shape, Seed(9)).unwrap();
    let what = Viewable {
        field: &field,
        scene: BOX,
        march: March {
            step: 1.0 / 100.0,
            cone: 0.0,
            near: 0.0,
            far: 100.0,
            limit: 1024,
        },
        occupancy: &Occupancy::full(16),
        appearance: &[],
        pixel_rays: 2,
    };
    let camera = camera(6, 4.5, Lens::Pinhole);
    let cancel = CancelToken::default();
    let gpu = GpuField::new(software(), &what).unwrap();
    let view = gpu.render(&camera, &cancel).unwrap();
    assert!(view.samples > 6 * 6 * 2 * 50, "{}", view.samples);
    assert_same(&view, &render(&what, &camera, &cancel).unwrap());
}

#[test]
fn parameters_are_what_the_shader_declares() {
    let _turn = turn();
    let made = Made::new(BOX, 2, Lattice::Staggered);
    let what = made.viewable();
    let module = naga::front::wgsl::parse_str(&field_renderer(&sizes(&what.field.shape))).unwrap();
    let (_, params) = (module.types.iter())
        .find(|(_, ty)| ty.name.as_deref() == Some("Params"))
        .unwrap();
    let naga::TypeInner::Struct { members, span } = &params.inner else {
        panic!("Params is no struct");
    };
    let field = GpuField::new(software(), &what).unwrap();
    let mut at = 0;
    let ours = field.params([0.0; 3]).0.into_iter().map(|(name, words)| {
        at += 4 * words.len() as u32;
        (name, at - 4 * words.len() as u32)
    });
    let theirs = members
        .iter()
        .map(|m| (m.name.as_deref().unwrap(), m.offset));
    assert_eq!(ours.collect::<Vec<_>>(), theirs.collect::<Vec<_>>());
    assert_eq!(*span as usize, 4 * PARAMS);
}

#[test]
fn what_goes_wrong_is_an_error() {
    let _turn = turn();
    let made = Made::new(CONTRACTED, 2, Lattice::Staggered);
    let camera = camera(16, 3.0, Lens::Pinhole);
    let what = made.viewable();
    let wrong = Viewable {
        appearance: &[],
        ..what
    };
    assert!(GpuField::new(software(), &wrong).is_err());
    let field = GpuField::new(software(), &what).unwrap();
    let cancelled = CancelToken::default();
    cancelled.cancel();
    let error = field.render(&camera, &cancelled).unwrap_err();
    assert_eq!(error.kind(), packshot_core::ErrorKind::Cancelled);
    // A lost device is an error, not a view.
    field.gpu().close();
    let lost = field.render(&camera, &CancelToken::default());
    assert!(lost.unwrap_err().hint().unwrap().contains("--device cpu"));
}
