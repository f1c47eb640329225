use super::*;
use crate::look_at;
use crate::testing::{bumpy_sphere, noise};
use nalgebra::{Point3, Vector3};

const ALL: Range<f32> = 0.0..f32::INFINITY;

/// Möller–Trumbore in f64 against every triangle.
fn nearest_by_brute_force(mesh: &Mesh, ray: &Ray) -> Option<(f64, u32)> {
    let origin = ray.origin.cast::<f64>();
    let direction = ray.direction.cast::<f64>();
    let mut best: Option<(f64, u32)> = None;
    for triangle in 0..mesh.triangles.len() as u32 {
        let Some(corners) = mesh.corners(triangle) else {
            continue;
        };
        let [a, b, c] = corners.map(|p| p.cast::<f64>());
        let (e1, e2) = (b - a, c - a);
        let p = direction.cross(&e2);
        let inverse = 1.0 / e1.dot(&p);
        let s = origin - a;
        let q = s.cross(&e1);
        let (u, v, t) = (
            s.dot(&p) * inverse,
            direction.dot(&q) * inverse,
            e2.dot(&q) * inverse,
        );
        if u >= 0.0 && v >= 0.0 && u + v <= 1.0 && t >= 0.0 && best.is_none_or(|b| t < b.0) {
            best = Some((t, triangle));
        }
    }
    best
}

fn random_mesh(triangles: usize, size: f32) -> Mesh {
    let mut noise = noise(triangles as u64);
    let mut mesh = Mesh::default();
    for i in 0..triangles as u32 {
        let centre: [f32; 3] = std::array::from_fn(|_| noise.uniform_in(-1.0, 1.0));
        for _ in 0..3 {
            mesh.positions
                .push(centre.map(|v| v + noise.uniform_in(-size, size)));
        }
        mesh.triangles.push([3 * i, 3 * i + 1, 3 * i + 2]);
    }
    mesh
}

#[test]
fn hits_equal_brute_force() {
    for (triangles, size) in [(1, 1.0), (5, 0.7), (60, 0.3), (900, 0.1), (300, 1.5)] {
        let mesh = random_mesh(triangles, size);
        let bvh = Bvh::new(&mesh);
        let mut noise = noise(99);
        let mut hits = 0;
        for i in 0..400 {
            let mut direction = Vector3::from_fn(|_, _| noise.normal());
            // Rays along an axis, too.
            for axis in 0..i % 3 {
                direction[axis] = 0.0;
            }
            let ray = Ray {
                origin: Point3::from(Vector3::from_fn(|_, _| noise.uniform_in(-1.5, 1.5))),
                direction,
            };
            let expected = nearest_by_brute_force(&mesh, &ray);
            let hit = bvh.nearest_hit(&ray, ALL);
            assert_eq!(bvh.any_hit(&ray, ALL), hit.is_some());
            // A ray through an edge may differ by rounding; none of these does.
            assert_eq!(hit.map(|h| h.triangle), expected.map(|e| e.1));
            if let (Some(hit), Some((t, _))) = (hit, expected) {
                hits += 1;
                assert!((f64::from(hit.t) - t).abs() < 1e-4 * t.max(1.0));
                let place = mesh.position_at(hit.place()).unwrap();
                assert!((place - ray.at(hit.t)).norm() < 1e-4 * (1.0 + hit.t));
                assert!(!bvh.any_hit(&ray, 0.0..hit.t));
                assert!(bvh.any_hit(&ray, hit.t..f32::INFINITY));
            }
        }
        assert!(hits > 0);
    }
}

#[test]
fn rejected_hits_let_the_ray_through() {
    let mesh = random_mesh(500, 0.4);
    let bvh = Bvh::new(&mesh);
    let mut noise = noise(5);
    for _ in 0..200 {
        let ray = Ray {
            origin: Point3::from(Vector3::from_fn(|_, _| noise.uniform_in(-1.5, 1.5))),
            direction: Vector3::from_fn(|_, _| noise.normal()),
        };
        // Peeling layer by layer meets the same triangles as asking for the next even one.
        let mut start = 0.0;
        let expected = loop {
            match bvh.nearest_hit(&ray, start..f32::INFINITY) {
                Some(hit) if hit.triangle % 2 == 1 => start = hit.t.next_up(),
                other => break other,
            }
        };
        let even = |hit: &Hit| hit.triangle.is_multiple_of(2);
        assert_eq!(bvh.nearest_hit_where(&ray, ALL, even), expected);
        assert_eq!(bvh.any_hit_where(&ray, ALL, even), expected.is_some());
        let mut seen = Vec::new();
        bvh.nearest_hit_where(&ray, ALL, |hit| {
            seen.push(hit.triangle);
            false
        });
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count);
    }
}

#[test]
fn no_ray_slips_through_edges_and_vertices_of_a_closed_mesh() {
    let mesh = bumpy_sphere(24);
    let bvh = Bvh::new(&mesh);
    let inside = Point3::new(0.013, -0.007, 0.021);
    let mut noise = noise(3);
    for corners in &mesh.triangles {
        let [a, b, _] = corners.map(|i| Vector3::from(mesh.positions[i as usize]));
        let along = noise.uniform();
        for target in [a, a + (b - a) * along] {
            let ray = Ray {
                origin: inside,
                direction: target - inside.coords,
            };
            assert!(bvh.any_hit(&ray, ALL));
        }
    }
}

#[test]
fn nothing_and_hostile_triangles_are_no_trouble() {
    let ray = look_at(Point3::new(0.0, 0.0, 3.0), Point3::origin(), Vector3::y());
    let ray = Ray {
        origin: ray.translation.vector.into(),
        direction: -Vector3::z(),
    };
    assert_eq!(Bvh::new(&Mesh::default()).nearest_hit(&ray, ALL), None);
    let nan = f32::NAN;
    let mesh = Mesh {
        positions: vec![
            [-1.0, -1.0, 0.0],
            [1.0, -1.0, 0.0],
            [0.0, 2.0, 0.0],
            [nan, 0.0, 0.0],
            [f32::INFINITY, 0.0, 0.0],
            [0.0, 0.0, 1.0],
            [0.0, 0.0, 2.0],
            [3e38, 3e38, -3e38],
        ],
        triangles: vec![
            [0, 1, 3],
            [0, 1, 4],
            [0, 0, 1],
            [2, 2, 2],
            [0, 1, 77],
            [0, 5, 6],
            [0, 1, 7],
            [0, 1, 2],
        ],
        ..Mesh::default()
    };
    let hit = Bvh::new(&mesh).nearest_hit(&ray, ALL).unwrap();
    assert_eq!((hit.triangle, hit.t), (7, 3.0));
    let bvh = Bvh::new(&mesh);
    for broken in [
        Vector3::zeros(),
        Vector3::new(nan, 0.0, 1.0),
        Vector3::repeat(nan),
        Vector3::new(f32::INFINITY, 0.0, 0.0),
    ] {
        let ray = Ray {
            direction: broken,
            ..ray
        };
        assert_eq!(bvh.nearest_hit(&ray, ALL), None);
    }
}

#[test]
fn a_thousand_triangles_in_one_place_end_in_a_tree_of_bounded_depth() {
    let one = random_mesh(1, 1.0);
    let mut mesh = one.clone();
    mesh.triangles = one.triangles.repeat(1000);
    // Sizes that halve make the heuristic peel one triangle at a time.
    for i in 0..120 {
        let at = mesh.positions.len() as u32;
        let size = 0.5f32.powi(i);
        mesh.positions
            .extend([[size, 0.0, 0.0], [size, size, 0.0], [size, 0.0, size]]);
        mesh.triangles.push([at, at + 1, at + 2]);
    }
    let bvh = Bvh::new(&mesh);
    let ray = Ray {
        origin: Point3::new(2.0, 0.1, 0.1),
        direction: -Vector3::x(),
    };
    let mut count = 0;
    bvh.nearest_hit_where(&ray, ALL, |_| {
        count += 1;
        false
    });
    assert!(count >= 3, "{count}");
    assert!(bvh.nearest_hit(&ray, ALL).is_some());
}
