//! The shaders against their twins on the processor, on a software adapter.

mod scenes;

use super::layout::{Part, Uploaded};
use super::*;
use crate::bsdf::Bsdf;
use crate::sampler::Sampler;
use crate::tone_map::ToneMap;
use crate::vector::{basis, normalize, vec3};
use crate::{Object, Scene, Shape, render_cpu, render_rows_cpu};
use packshot_core::Image;
use packshot_geometry::{Material, Texture, Wrap};
use packshot_gpu::Choice;
use scenes::{cut_out, foggy, rich, square};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const SIDE: usize = 48;

/// Drivers that compute on the processor take all of it: side by side they are slower than one
/// after the other.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn software() -> Gpu {
    Gpu::open(Choice::Software).expect("the tests need lavapipe: scripts/test installs it")
}

fn settings() -> Settings {
    Settings {
        width: SIDE,
        height: SIDE,
        max_samples: 8,
        noise_threshold: None,
        max_bounces: 5,
        seed: 3,
        clamp_indirect: Some(10.0),
    }
}

/// Mean and 99th percentile of the differences of two pictures' levels.
fn differences(a: &Image, b: &Image) -> (f64, u8) {
    assert_eq!(a.channels(), b.channels());
    let mut all: Vec<u8> = (a.data().iter().zip(b.data()))
        .map(|(a, b)| a.abs_diff(*b))
        .collect();
    all.sort_unstable();
    let mean = all.iter().map(|&d| f64::from(d)).sum::<f64>() / all.len() as f64;
    (mean, all[all.len() * 99 / 100])
}

#[test]
fn pictures_equal_the_twins_path_by_path() {
    let _turn = turn();
    let renderer = GpuRenderer::new(software()).unwrap();
    let nothing = Scene {
        objects: Vec::new(),
        lights: Vec::new(),
        ..rich()
    };
    for (name, scene) in [
        ("rich", rich()),
        ("cut out", cut_out()),
        ("foggy", foggy()),
        ("nothing", nothing),
    ] {
        let scene = PreparedScene::new(&scene).unwrap();
        let context = Context::silent();
        let cpu = render_cpu(&scene, &settings(), &context).unwrap();
        let before = renderer.rays();
        let gpu = renderer.render(&scene, &settings(), &context).unwrap();
        assert!(renderer.rays() - before >= (SIDE * SIDE * 8) as f64);
        // Bands of a large picture fit together.
        let rows = 7..40;
        let part = render_rows_cpu(&scene, &settings(), rows.clone(), &context).unwrap();
        assert_eq!(part, cpu.rows(rows.clone()));
        let part = renderer.render_rows(&scene, &settings(), rows.clone(), &context);
        assert_eq!(part.unwrap(), gpu.rows(rows));
        let beyond = render_rows_cpu(&scene, &settings(), 40..SIDE + 1, &context);
        assert_eq!(beyond.unwrap_err().place(), Some("rows"));
        let pictures = [&cpu, &gpu].map(|film| film.to_image(ToneMap::PbrNeutral, 0.0));
        let (mean, most) = differences(&pictures[0], &pictures[1]);
        assert!(mean <= 0.25 && most <= 4, "{name}: {mean} {most}");
        assert_eq!(cpu.samples, gpu.samples);
        let guides = |film: &Film| {
            let lists = [&film.object_mask, &film.shadow, &film.depth_m, &film.alpha];
            let numbers = lists.into_iter().flatten().copied();
            let normals = film.normal.iter().chain(&film.albedo).flatten().copied();
            numbers.chain(normals).collect::<Vec<f32>>()
        };
        let (a, b) = (guides(&cpu), guides(&gpu));
        let off = a
            .iter()
            .zip(&b)
            .filter(|&(a, b)| a != b && (a - b).abs() > 1e-3)
            .count();
        assert!(off * 200 <= a.len(), "{name}: {off} of {}", a.len());
    }
}

#[test]
fn films_do_not_depend_on_how_they_are_cut_and_stop_where_the_twin_stops() {
    let _turn = turn();
    let renderer = GpuRenderer::new(software()).unwrap();
    let scene = PreparedScene::new(&cut_out()).unwrap();
    let settings = Settings {
        width: 40,
        height: 24,
        max_samples: 48,
        noise_threshold: Some(0.2),
        ..settings()
    };
    let films = [1 << 12, Pace::LEAST].map(|size| {
        renderer.pace.set(size);
        renderer
            .render(&scene, &settings, &Context::silent())
            .unwrap()
    });
    assert_eq!(films[0], films[1]);
    let cpu = render_cpu(&scene, &settings, &Context::silent()).unwrap();
    assert!(cpu.samples.iter().any(|&n| n < 48));
    let same = cpu
        .samples
        .iter()
        .zip(&films[0].samples)
        .filter(|(a, b)| a == b);
    assert!(same.count() * 100 >= cpu.samples.len() * 97);
    // A lost device is an error, not a picture.
    renderer.gpu().close();
    let lost = renderer.render(&scene, &settings, &Context::silent());
    assert!(lost.unwrap_err().hint().unwrap().contains("--device cpu"));
}

#[test]
fn parameters_are_what_the_shader_declares() {
    let _turn = turn();
    let module = naga::front::wgsl::parse_str(&packshot_shaders::path_tracer()).unwrap();
    let (_, params) = (module.types.iter())
        .find(|(_, ty)| ty.name.as_deref() == Some("Params"))
        .unwrap();
    let naga::TypeInner::Struct { members, .. } = &params.inner else {
        panic!("Params is no struct");
    };
    let scene = PreparedScene::new(&cut_out()).unwrap();
    let gpu = software();
    let kernel = gpu
        .kernel("path_trace", &packshot_shaders::path_tracer(), &SLOTS)
        .unwrap();
    let uploaded = Uploaded::new(&gpu, &kernel, &scene, &settings(), 64).unwrap();
    let ours = uploaded
        .params
        .names
        .iter()
        .map(|&(name, at)| (name, 4 * at as u32));
    let theirs = (members.iter()).map(|m| (m.name.as_deref().unwrap(), m.offset));
    let pixels = ("pixels", uploaded.params.words.len() as u32 * 4);
    let ours = ours.chain([pixels]);
    assert_eq!(ours.collect::<Vec<_>>(), theirs.collect::<Vec<_>>());
}

/// Runs an entry point that is added to the path tracer for `n` threads on a scene, and returns
/// `numbers` of each.
fn run_part(scene: &PreparedScene, code: &str, n: usize, numbers: usize) -> Vec<f32> {
    let gpu = software();
    let code = format!("{}\n{code}", packshot_shaders::path_tracer());
    let kernel = gpu.kernel("part", &code, &SLOTS).unwrap();
    let scene = Uploaded::new(&gpu, &kernel, scene, &settings(), n).unwrap();
    let part = Part {
        pixels: &vec![0; n],
        first: 0,
        count: 1,
    };
    scene.write(&gpu, &part).unwrap();
    let groups = [n.div_ceil(GROUP) as u32, 1, 1];
    let run = gpu.run(&kernel, &scene.bindings, groups, &scene.sums, n * numbers);
    gpu.finish(run.unwrap()).unwrap()
}

fn assert_close(found: &[f32], expected: &[f32], relative: f32) {
    assert_eq!(found.len(), expected.len());
    for (i, (&a, &b)) in found.iter().zip(expected).enumerate() {
        let scale = b.abs().max(1.0);
        assert!((a - b).abs() <= relative * scale, "{i}: {a} instead of {b}");
    }
}

#[test]
fn numbers_angles_and_bases_equal_the_twins() {
    let _turn = turn();
    let code = "
        @compute @workgroup_size(64)
        fn part(@builtin(global_invocation_id) id: vec3u) {
            let s = new_sampler(id.x, 7u, id.x * 31u, 5u);
            let u = bounce_pair(s, id.x % 5u, PAIR_LIGHT);
            let v = pair(s, PAIR_LENS);
            let angle = (u.x - 0.4) * 20.0;
            let b = basis(normalize(vec3f(u - vec2f(0.5), v.x - 0.5)));
            let turn = sin_cos(angle);
            let at = id.x * 12u;
            sums[at] = u.x;
            sums[at + 1u] = u.y;
            sums[at + 2u] = coverage(s, 3u, id.x);
            sums[at + 3u] = turn.x;
            sums[at + 4u] = turn.y;
            sums[at + 5u] = arc_cosine(2.0 * v.x - 1.0);
            sums[at + 6u] = arc_tangent(u.x - 0.5, v.y - 0.5);
            put3(at + 7u, b.x);
            sums[at + 10u] = b.y.z;
            sums[at + 11u] = luminance(vec3f(u, v.x));
        }";
    let n = 256;
    let scene = PreparedScene::new(&cut_out()).unwrap();
    let found = run_part(&scene, code, n, 12);
    for i in 0..n as u32 {
        let sampler = Sampler::new(i, 7, i * 31, 5);
        let u = sampler.bounce_pair(i % 5, crate::sampler::PAIR_LIGHT);
        let v = sampler.pair(crate::sampler::PAIR_LENS);
        let (sin, cos) = ((u[0] - 0.4) * 20.0).sin_cos();
        let (x, y) = basis(normalize(vec3(u[0] - 0.5, u[1] - 0.5, v[0] - 0.5)));
        let at = &found[i as usize * 12..][..12];
        assert_eq!(at[..3], [u[0], u[1], sampler.coverage(3, i)]);
        let expected = [
            sin,
            cos,
            (2.0 * v[0] - 1.0).acos(),
            (u[0] - 0.5).atan2(v[1] - 0.5),
            x.x,
            x.y,
            x.z,
            y.z,
            crate::vector::luminance(vec3(u[0], u[1], v[0])),
        ];
        assert_close(&at[3..], &expected, 2e-6);
    }
}

#[test]
fn scattering_equals_the_twins() {
    let _turn = turn();
    let code = "
        @compute @workgroup_size(64)
        fn part(@builtin(global_invocation_id) id: vec3u) {
            let s = new_sampler(id.x, 0u, 1u, 2u);
            let a = pair(s, 0u);
            let m = pair(s, 2u);
            let metallic = select(select(m.x, 1.0, id.x % 3u == 1u), 0.0, id.x % 3u == 2u);
            var b = new_bsdf(cosine_hemisphere(a), vec3f(m, a.x), metallic, m.y);
            if id.x % 2u == 1u {
                b = with_smooth_normal(b, normalize(vec3f(0.3, -0.2, 1.0)));
            }
            let wi = sample_bsdf(b, pair(s, 1u));
            let drawn = evaluate(b, wi);
            let other = evaluate(b, cosine_hemisphere(pair(s, 3u)));
            let at = id.x * 11u;
            put3(at, wi);
            put3(at + 3u, drawn.value * (1.0 / max(drawn.pdf, 1e-3)));
            put3(at + 6u, other.value);
            sums[at + 9u] = other.pdf;
            sums[at + 10u] = b.facets;
        }";
    let n = 512;
    let scene = PreparedScene::new(&cut_out()).unwrap();
    let found = run_part(&scene, code, n, 11);
    for i in 0..n as u32 {
        let s = Sampler::new(i, 0, 1, 2);
        let (a, m) = (s.pair(0), s.pair(2));
        let metallic = [m[0], 1.0, 0.0][i as usize % 3];
        let wo = crate::bsdf::cosine_hemisphere(a);
        let mut b = Bsdf::new(wo, vec3(m[0], m[1], a[0]), metallic, m[1], scene.albedos);
        if i % 2 == 1 {
            b = b.with_smooth_normal(normalize(vec3(0.3, -0.2, 1.0)));
        }
        let at = &found[i as usize * 11..][..11];
        let other = b.evaluate(crate::bsdf::cosine_hemisphere(s.pair(3)));
        assert_close(
            &at[6..10],
            &[other.value.x, other.value.y, other.value.z, other.pdf],
            1e-3,
        );
        let Some(wi) = b.sample(s.pair(1)) else {
            assert!(at[2] <= 1e-5);
            continue;
        };
        assert_close(&at[..3], &wi.array(), 2e-5);
        let drawn = b.evaluate(wi);
        let value = drawn.value * (1.0 / drawn.pdf.max(1e-3));
        assert_close(&at[3..6], &value.array(), 5e-3);
    }
}

#[test]
fn lights_equal_the_twins() {
    let _turn = turn();
    let code = "
        @compute @workgroup_size(64)
        fn part(@builtin(global_invocation_id) id: vec3u) {
            let s = new_sampler(id.x, 1u, 1u, 2u);
            let a = pair(s, 0u);
            let point = vec3f(4.0 * a - vec2f(2.0), 0.1);
            let normal = cosine_hemisphere(pair(s, 1u));
            var drawn = sample_environment(normal, pair(s, 2u));
            var own = environment_importance();
            var pdf = environment_pdf(normal, drawn.direction);
            let which = id.x % 5u;
            if which < 4u {
                let light = load_light(which);
                drawn = sample_light(light, point, pair(s, 2u));
                own = light_importance(light, point, normal);
                pdf = 0.0;
                let met = meet_light(light, point, drawn.direction);
                if met.found {
                    pdf = light_pdf(light, point, met.t);
                }
            }
            let at = id.x * 9u;
            put3(at, drawn.direction);
            put3(at + 3u, drawn.radiance);
            sums[at + 6u] = drawn.pdf;
            sums[at + 7u] = own;
            sums[at + 8u] = pdf;
        }";
    let n = 640;
    let scene = PreparedScene::new(&rich()).unwrap();
    let found = run_part(&scene, code, n, 9);
    let mut densities = 0;
    for i in 0..n as u32 {
        let s = Sampler::new(i, 1, 1, 2);
        let [x, y] = s.pair(0);
        let point = vec3(4.0 * x - 2.0, 4.0 * y - 2.0, 0.1);
        let normal = crate::bsdf::cosine_hemisphere(s.pair(1));
        let at = &found[i as usize * 9..][..9];
        let (drawn, own, pdf) = match scene.lights.get(i as usize % 5) {
            Some(light) => {
                let Some(drawn) = light.sample(point, s.pair(2)) else {
                    continue;
                };
                let met = light.meet(point, drawn.direction);
                let pdf = met.map_or(0.0, |(t, _)| light.pdf(point, t));
                (drawn, light.importance(point, normal), pdf)
            }
            None => {
                let environment = &scene.environment;
                let drawn = environment.sample(normal, s.pair(2));
                let pdf = environment.pdf(normal, drawn.direction);
                (drawn, environment.importance(), pdf)
            }
        };
        assert_close(&at[..3], &drawn.direction.array(), 1e-4);
        assert_close(&at[3..6], &drawn.radiance.array(), 2e-3);
        assert_close(&at[6..8], &[drawn.pdf, own], 2e-3);
        // At an edge rounding may decide whether the light is met.
        densities += usize::from((at[8] - pdf).abs() <= 2e-3 * pdf.max(1.0));
    }
    assert!(densities >= n * 9 / 10, "{densities}");
}

#[test]
fn hits_and_surfaces_equal_the_twins() {
    let _turn = turn();
    let code = "
        @compute @workgroup_size(64)
        fn part(@builtin(global_invocation_id) id: vec3u) {
            let s = new_sampler(id.x, 3u, 0u, 1u);
            let first = camera_ray(id.x % 48u, (id.x / 48u) % 48u, s);
            let hit = traverse(first.origin, first.direction, FAR, false, s, 2u);
            let at = id.x * 13u;
            sums[at] = bitcast<f32>(hit.triangle & 0xffffffu);
            sums[at + 1u] = hit.t;
            if hit.triangle != NONE {
                let found = surface_at(hit, first.direction);
                put3(at + 2u, found.normal);
                put3(at + 5u, found.base);
                put3(at + 8u, found.start);
                sums[at + 11u] = found.metallic + found.roughness;
                let free = traverse(found.start, found.normal, 9.0, true, s, 4u).triangle == NONE;
                sums[at + 12u] = select(0.0, 1.0, free);
            }
        }";
    let n = SIDE * SIDE;
    let scene = PreparedScene::new(&rich()).unwrap();
    let found = run_part(&scene, code, n, 13);
    let (mut hits, mut other) = (0, 0);
    for i in 0..n as u32 {
        let s = Sampler::new(i, 3, 0, 1);
        let pixel = [i % 48, i / 48 % 48];
        let (origin, direction) = scene.camera.ray(pixel, [SIDE as u32; 2], &s);
        let at = &found[i as usize * 13..][..13];
        let hit = scene.nearest(origin, direction, &s, 2);
        let triangle = hit.map_or(0xff_ffff, |hit| hit.triangle);
        if at[0].to_bits() != triangle {
            other += 1;
            continue;
        }
        let Some(hit) = hit else { continue };
        hits += 1;
        assert_close(&at[1..2], &[hit.t], 1e-5);
        let surface = scene.surface(&hit, direction);
        assert_close(&at[2..5], &surface.normal.array(), 2e-4);
        assert_close(&at[5..8], &surface.base.array(), 2e-4);
        assert_close(&at[8..11], &surface.start.array(), 1e-5);
        assert_close(&at[11..12], &[surface.metallic + surface.roughness], 2e-4);
        let free = scene.is_free(surface.start, surface.normal, 9.0, &s, 4);
        other += usize::from((at[12] > 0.5) != free);
    }
    assert!(hits > n / 4 && other * 200 <= n, "{hits} {other}");
}

#[test]
fn a_scene_beyond_the_limits_is_an_error() {
    let _turn = turn();
    let renderer = GpuRenderer::new(software()).unwrap();
    let side = ((renderer.gpu().info().largest_binding_bytes / 4) as f64).sqrt() as usize + 1;
    let image = Image::filled(side, side, &[9; 3]);
    let mut mesh = square(Material {
        base_colour_texture: Some(0),
        ..Material::default()
    });
    mesh.textures = vec![Texture {
        image,
        wrap_u: Wrap::Clamp,
        wrap_v: Wrap::Clamp,
    }];
    let scene = Scene {
        objects: vec![Object::product(Shape::Mesh(Arc::new(mesh)))],
        ..cut_out()
    };
    let scene = PreparedScene::new(&scene).unwrap();
    let error = renderer.render(&scene, &settings(), &Context::silent());
    let error = error.unwrap_err();
    assert!(error.to_string().contains("texels"), "{error}");
    assert!(error.hint().unwrap().contains("--device cpu"));
}
