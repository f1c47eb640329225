//! Kernels that data building and evaluation spend their time in.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use nalgebra::{Point3, Vector3};
use packshot_core::{NoiseKey, NoiseStream, Seed, Stage};
use packshot_geometry::nearest::KdTree;
use packshot_geometry::normals::{NEIGHBOURS, estimate_normals};
use packshot_geometry::sampling::farthest_point_sample;
use packshot_geometry::splat::{SplatOptions, render_preview};
use packshot_geometry::{Bvh, Camera, Mesh, PointCloud, look_at};

fn main() {
    divan::main();
}

/// A sphere with bumps: `rings` rings of 2 · `rings` quads.
fn bumpy_sphere(rings: usize) -> Mesh {
    let columns = 2 * rings;
    let mut mesh = Mesh::default();
    for ring in 0..=rings {
        for column in 0..columns {
            let theta = std::f32::consts::PI * ring as f32 / rings as f32;
            let phi = std::f32::consts::TAU * column as f32 / columns as f32;
            let radius = 0.5 + 0.05 * (11.0 * theta).sin() * theta.sin() * (9.0 * phi).cos();
            mesh.positions.push([
                radius * theta.sin() * phi.cos(),
                radius * theta.sin() * phi.sin(),
                radius * theta.cos(),
            ]);
        }
    }
    let index = |ring: usize, column: usize| (ring * columns + column % columns) as u32;
    for ring in 0..rings {
        for column in 0..columns {
            let [a, b] = [index(ring, column), index(ring, column + 1)];
            let [c, d] = [index(ring + 1, column), index(ring + 1, column + 1)];
            mesh.triangles.extend([[a, c, d], [a, d, b]]);
        }
    }
    mesh
}

fn surface(count: usize) -> Vec<[f32; 3]> {
    let mesh = bumpy_sphere(61);
    let key = NoiseKey {
        candidate: 0,
        stage: Stage::Eval,
        step: 0,
    };
    mesh.sample_surface(count, &mut NoiseStream::new(Seed(1), key))
        .into_iter()
        .filter_map(|place| mesh.position_at(place).map(Into::into))
        .collect()
}

#[divan::bench(args = [1, 2], sample_count = 10)]
fn farthest_4096_of_200_000(bencher: Bencher, threads: usize) {
    let points = surface(200_000);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .expect("a thread pool");
    bencher.bench_local(|| pool.install(|| farthest_point_sample(black_box(&points), 4096, 0)));
}

#[divan::bench(sample_count = 10)]
fn bvh_build_15k_triangles(bencher: Bencher) {
    let mesh = bumpy_sphere(61);
    bencher.bench_local(|| Bvh::new(black_box(&mesh)));
}

/// Rays of a 512 × 512 view, one thread.
#[divan::bench(args = [15_000, 150_000], sample_count = 10)]
fn bvh_coherent_rays(bencher: Bencher, triangles: usize) {
    let bvh = Bvh::new(&bumpy_sphere(((triangles / 4) as f32).sqrt() as usize));
    let pose = look_at(Point3::new(0.9, -1.4, 0.7), Point3::origin(), Vector3::z());
    let camera = Camera::perspective(pose, 0.6, 512, 512);
    bencher
        .counter(ItemsCount::new(512usize * 512))
        .bench_local(|| {
            let mut hits = 0;
            for y in 0..512 {
                for x in 0..512 {
                    let ray = camera.ray(x as f32 + 0.5, y as f32 + 0.5);
                    hits += usize::from(bvh.nearest_hit(&ray, 0.0..f32::INFINITY).is_some());
                }
            }
            hits
        });
}

#[divan::bench(args = [4096, 200_000], sample_count = 10)]
fn kd_tree_build(bencher: Bencher, count: usize) {
    let points = surface(count);
    bencher.bench_local(|| KdTree::new(black_box(&points)));
}

/// One thread.
#[divan::bench(args = [4096, 200_000], sample_count = 10)]
fn kd_tree_nearest(bencher: Bencher, count: usize) {
    let tree = KdTree::new(&surface(count));
    let queries = surface(4096 + 999).split_off(999);
    bencher
        .counter(ItemsCount::new(queries.len()))
        .bench_local(|| {
            let found = queries.iter().filter_map(|&q| tree.nearest(q));
            found.map(|n| n.index).sum::<usize>()
        });
}

#[divan::bench(sample_count = 10)]
fn normals_of_4096(bencher: Bencher) {
    let points = surface(4096);
    bencher.bench_local(|| estimate_normals(black_box(&points), NEIGHBOURS));
}

#[divan::bench(args = [1, 2], sample_count = 10)]
fn preview_512_of_4096(bencher: Bencher, threads: usize) {
    let dense = surface(40_000);
    let cloud = PointCloud::new(dense.clone()).select(&farthest_point_sample(&dense, 4096, 0));
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .expect("a thread pool");
    let options = SplatOptions::default();
    bencher.bench_local(|| pool.install(|| render_preview(black_box(&cloud), &options)));
}
