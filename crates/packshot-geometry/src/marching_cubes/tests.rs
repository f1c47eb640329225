use super::*;
use crate::testing::noise;
use std::cell::Cell;

fn lattice(side: usize) -> Lattice {
    Lattice {
        origin: [-1.0; 3],
        spacing: 2.0 / (side - 1) as f32,
        size: [side; 3],
    }
}

fn values(lattice: &Lattice, field: impl Fn([f32; 3]) -> f32) -> Vec<f32> {
    (0..lattice.len())
        .map(|i| field(lattice.position(lattice.at(i))))
        .collect()
}

fn norm(p: [f32; 3]) -> f32 {
    p.iter().map(|v| v * v).sum::<f32>().sqrt()
}

fn torus([x, y, z]: [f32; 3]) -> f32 {
    let ring = (x * x + y * y).sqrt() - 0.6;
    0.25 - (ring * ring + z * z).sqrt()
}

#[test]
fn spheres_and_tori_have_their_area_volume_and_handles() {
    let grid = lattice(40);
    let sphere = marching_cubes(&grid, &values(&grid, |p| 0.8 - norm(p)), 0.0).unwrap();
    let topology = sphere.topology();
    assert!(topology.is_closed());
    assert_eq!((topology.components, topology.euler), (1, 2));
    let pi = std::f64::consts::PI;
    assert!((sphere.signed_volume() / (4.0 / 3.0 * pi * 0.512) - 1.0).abs() < 5e-3);
    assert!((sphere.surface_area() / (4.0 * pi * 0.64) - 1.0).abs() < 5e-3);
    for &p in &sphere.positions {
        assert!((norm(p) - 0.8).abs() < 2e-3);
    }
    let ring = marching_cubes(&grid, &values(&grid, torus), 0.0).unwrap();
    assert!(ring.topology().is_closed());
    assert_eq!(ring.topology().euler, 0);
    assert!(ring.signed_volume() > 0.0);
}

#[test]
fn noise_gives_a_closed_surface_without_wrong_edges() {
    let grid = lattice(14);
    let mut random = noise(3);
    let mut field = values(&grid, |_| 0.0);
    for (i, value) in field.iter_mut().enumerate() {
        let at = grid.at(i);
        let border = at.iter().any(|&v| v == 0 || v == 13);
        // Coarse steps, so that many values equal the level and many faces are undecided.
        *value = (random.normal() * 2.0).round() * 0.5;
        if border {
            *value = -1.0;
        }
    }
    let mesh = marching_cubes(&grid, &field, 0.0).unwrap();
    assert!(mesh.triangles.len() > 3000);
    assert!(mesh.topology().is_closed(), "{:?}", mesh.topology());
    assert!(mesh.signed_volume() > 0.0);
    let tiny = (0..mesh.triangles.len() as u32).find(|&t| mesh.triangle_area(t) <= 0.0);
    assert_eq!(tiny, None);
    let negated: Vec<f32> = field.iter().map(|v| -v).collect();
    let inside_out = marching_cubes(&grid, &negated, 0.0).unwrap();
    assert!(inside_out.signed_volume() < 0.0 || inside_out.topology().open_edges > 0);
}

#[test]
fn following_the_surface_gives_the_dense_mesh_with_fewer_points() {
    let grid = lattice(61);
    let lump = |[x, y, z]: [f32; 3]| 0.08 - norm([x - 0.8, y - 0.8, z - 0.8]);
    let slab = |[x, y, z]: [f32; 3]| {
        (0.05 - z.abs())
            .min(0.9 - x.abs())
            .min(0.4 - (y + 0.4).abs())
    };
    let field = |p| torus(p).max(lump(p)).max(slab(p));
    let dense = marching_cubes(&grid, &values(&grid, field), 0.0).unwrap();
    let calls = Cell::new(0);
    let found = follow_surface(&grid, 0.0, |points| {
        calls.set(calls.get() + points.len());
        Ok(points.iter().map(|&at| field(grid.position(at))).collect())
    })
    .unwrap();
    assert_eq!(found.mesh, dense);
    assert_eq!(found.evaluated, calls.get());
    assert!(found.evaluated * 4 < grid.len(), "{}", found.evaluated);
    assert_eq!(dense.topology().components, 2);
}

#[test]
fn a_field_that_crosses_nothing_has_no_surface_and_what_does_not_fit_is_refused() {
    let grid = lattice(9);
    let empty = follow_surface(&grid, 0.0, |points| Ok(vec![-1.0; points.len()])).unwrap();
    assert!(empty.mesh.triangles.is_empty());
    assert!(marching_cubes(&grid, &[0.0; 5], 0.0).is_err());
    assert!(
        marching_cubes(
            &Lattice {
                size: [1; 3],
                ..grid
            },
            &[0.0],
            0.0
        )
        .is_err()
    );
    let infinite = values(&grid, |p| {
        if norm(p) < 0.5 {
            f32::INFINITY
        } else {
            f32::NAN
        }
    });
    let mesh = marching_cubes(&grid, &infinite, 0.0).unwrap();
    assert!(mesh.topology().is_closed());
    assert!(mesh.positions.iter().flatten().all(|v| v.is_finite()));
    let around = Lattice::around([0.0; 3], [1.0, 2.0, 4.0], 0.1, 42).unwrap();
    assert_eq!(around.size, [13, 23, 43]);
    assert!(around.origin.iter().all(|&v| v <= -0.1 + 1e-5));
    assert!(Lattice::around([0.0; 3], [0.0; 3], 0.0, 42).is_err());
}
