//! Shapes with the noise that generated clouds have.

use crate::PointCloud;
use crate::metrics::CloudDistances;
use crate::reconstruct::{ReconstructSettings, Surface, reconstruct};
use crate::testing::noise;
use packshot_core::NoiseStream;
use std::f32::consts::TAU;

/// Of points, in metres; the shapes are about one metre long.
const NOISE: f32 = 0.009;

fn shaken(random: &mut NoiseStream, place: [f32; 3]) -> [f32; 3] {
    place.map(|v| v + NOISE * random.normal())
}

fn made(positions: Vec<[f32; 3]>, colours: Option<Vec<[u8; 3]>>, tidy: bool) -> Surface {
    let cloud = PointCloud {
        positions,
        colours,
        normals: None,
    };
    let settings = ReconstructSettings {
        cells: 72,
        mend: true,
        tidy,
        ..Default::default()
    };
    reconstruct(&cloud, &settings).unwrap()
}

/// Places on a vase: a base, a belly that narrows to a neck, an open mouth.
fn vase(random: &mut NoiseStream, count: usize) -> Vec<[f32; 3]> {
    let radius = |z: f32| 0.3 - 0.2 * (3.0 * (z - 0.45)).tanh() * f32::from(u8::from(z > 0.45));
    let mut places = Vec::new();
    while places.len() < count {
        let angle = TAU * random.uniform();
        let (r, z) = if random.uniform() < 0.15 {
            (0.3 * random.uniform().sqrt(), 0.0)
        } else {
            let z = random.uniform();
            // As many as there is surface.
            if random.uniform() * 0.3 > radius(z) {
                continue;
            }
            (radius(z), z)
        };
        places.push([r * angle.cos() + 0.1, r * angle.sin() - 0.2, z]);
    }
    places
}

/// Mean distance of vertices from places on the shape.
fn error(surface: &Surface, truth: &[[f32; 3]]) -> f64 {
    CloudDistances::new(&surface.mesh.positions, truth)
        .unwrap()
        .chamfer_l1()
}

#[test]
fn a_noisy_vase_turns_and_comes_out_closer_to_the_truth() {
    let mut random = noise(21);
    let truth = vase(&mut random, 30_000);
    let cloud: Vec<[f32; 3]> = vase(&mut random, 4096)
        .into_iter()
        .map(|p| shaken(&mut random, p))
        .collect();
    let [as_is, tidied] = [false, true].map(|tidy| made(cloud.clone(), None, tidy));
    let found = tidied.findings.unwrap();
    assert!(found.used && found.legs == 0, "{found:?}");
    assert!(found.turning > 0.8 && found.aspect < 1.05, "{found:?}");
    assert!(as_is.findings.is_none());
    assert!(tidied.mesh.topology().is_closed());
    // Outer walls alone: the truth has no thickness.
    let outer = |surface: &Surface| {
        let tree = crate::nearest::KdTree::new(&surface.mesh.positions);
        let sum: f64 = truth
            .iter()
            .filter_map(|&p| tree.nearest(p))
            .map(|n| f64::from(n.distance2.sqrt()))
            .sum();
        sum / truth.len() as f64
    };
    assert!(
        outer(&tidied) < outer(&as_is),
        "{} {}",
        outer(&tidied),
        outer(&as_is)
    );
}

#[test]
fn a_stool_stands_on_four_even_legs() {
    let mut random = noise(22);
    let mut cloud = Vec::new();
    for i in 0..4096 {
        let angle = TAU * random.uniform();
        let place = if i % 2 == 0 {
            let leg = TAU * (0.125 + 0.25 * random.below(4) as f32);
            let z = 0.85 * random.uniform();
            // They splay, and each is a little off.
            let out = 0.33 - 0.1 * z + if leg > 4.0 { 0.02 } else { 0.0 };
            let around = TAU * random.uniform();
            [
                out * leg.cos() + 0.03 * around.cos(),
                out * leg.sin() + 0.03 * around.sin(),
                z,
            ]
        } else {
            let r = 0.35 * random.uniform().sqrt();
            [
                r * angle.cos(),
                r * angle.sin(),
                if i % 4 == 1 { 0.9 } else { 0.85 },
            ]
        };
        cloud.push(shaken(&mut random, place));
    }
    let surface = made(cloud, None, true);
    let found = surface.findings.unwrap();
    assert!(found.used && found.legs == 4, "{found:?}");
    assert!(surface.mesh.topology().is_closed());
    // All four legs end on one level ground.
    let low = surface
        .mesh
        .positions
        .iter()
        .map(|p| p[2])
        .fold(f32::INFINITY, f32::min);
    for quarter in 0..4 {
        let feet = surface.mesh.positions.iter().filter(|p| {
            let side = (p[0] > 0.0, p[1] > 0.0);
            side == (quarter % 2 == 0, quarter < 2) && p[2] < low + 0.02
        });
        assert!(feet.count() > 10, "{quarter}");
    }
}

#[test]
fn what_does_not_turn_is_left_alone() {
    let mut random = noise(23);
    // An L of three boxes' faces.
    let cloud: Vec<[f32; 3]> = (0..4096)
        .map(|_| {
            let upright = random.uniform() < 0.5;
            let size: [f32; 3] = if upright {
                [0.25, 0.4, 1.0]
            } else {
                [0.9, 0.4, 0.2]
            };
            let mut at = size.map(|s| s * random.uniform());
            let axis = random.below(3);
            at[axis] = if random.uniform() < 0.5 {
                0.0
            } else {
                size[axis]
            };
            shaken(&mut random, at)
        })
        .collect();
    let tidied = made(cloud.clone(), None, true);
    let found = tidied.findings.unwrap();
    assert!(!found.used, "{found:?}");
    let as_is = made(cloud, None, false);
    assert_eq!(tidied.mesh.positions, as_is.mesh.positions);
}

#[test]
fn a_bottle_of_two_colours_has_an_even_border() {
    let mut random = noise(24);
    let truth = vase(&mut random, 4096);
    let colours: Vec<[u8; 3]> = truth
        .iter()
        .map(|p| {
            let base: [f32; 3] = if p[2] > 0.7 {
                [160.0, 110.0, 60.0]
            } else {
                [20.0, 30.0, 90.0]
            };
            // Blurred at the border, as a network does.
            let blur = (12.0 * (p[2] - 0.7) + 0.5).clamp(0.0, 1.0);
            let low = [20.0, 30.0, 90.0];
            let high = [160.0, 110.0, 60.0];
            let mixed: [f32; 3] = std::array::from_fn(|a| {
                if (0.0..1.0).contains(&blur) {
                    low[a] + (high[a] - low[a]) * blur
                } else {
                    base[a]
                }
            });
            mixed.map(|v| (v + 6.0 * random.normal()).clamp(0.0, 255.0) as u8)
        })
        .collect();
    let cloud: Vec<[f32; 3]> = truth.iter().map(|&p| shaken(&mut random, p)).collect();
    let surface = made(cloud, Some(colours), true);
    assert_eq!(surface.findings.unwrap().colours, 2);
    let painted = surface.mesh.colours.as_ref().unwrap();
    let mut kinds = painted.clone();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds.len(), 2);
    for (place, [r, _, b, _]) in surface.mesh.positions.iter().zip(painted) {
        let above = place[2] > 0.7;
        assert!(
            (place[2] - 0.7).abs() < 0.06 || (r > b) == above,
            "{place:?}"
        );
    }
}

#[test]
fn clean_clouds_are_followed_as_they_are() {
    let mut random = noise(25);
    let clean = vase(&mut random, 4096);
    let [as_is, tidied] = [false, true].map(|tidy| made(clean.clone(), None, tidy));
    assert!(tidied.findings.is_none());
    assert_eq!(as_is.mesh, tidied.mesh);
    assert!(error(&tidied, &clean) < 0.02);
}
