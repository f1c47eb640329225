use super::*;
use crate::metrics::CloudDistances;
use crate::testing::{bumpy_sphere, noise};

/// A box between two corners.
fn cuboid(low: [f32; 3], high: [f32; 3]) -> Mesh {
    let corner = |i: u32| std::array::from_fn(|a| if i >> a & 1 == 1 { high[a] } else { low[a] });
    let quads = [
        [0, 4, 6, 2],
        [1, 3, 7, 5],
        [0, 1, 5, 4],
        [2, 6, 7, 3],
        [0, 2, 3, 1],
        [4, 5, 7, 6],
    ];
    Mesh {
        positions: (0..8).map(corner).collect(),
        triangles: quads
            .iter()
            .flat_map(|&[a, b, c, d]| [[a, b, c], [a, c, d]])
            .collect(),
        ..Mesh::default()
    }
}

fn join(parts: impl IntoIterator<Item = Mesh>) -> Mesh {
    let mut all = Mesh::default();
    for part in parts {
        let first = all.positions.len() as u32;
        all.positions.extend(part.positions);
        all.triangles
            .extend(part.triangles.iter().map(|t| t.map(|c| c + first)));
    }
    all
}

fn cloud_of(mesh: &Mesh, n: usize, noise_m: f32, seed: u64) -> PointCloud {
    let mut random = noise(seed);
    let places = mesh.sample_surface(n, &mut random);
    let mut cloud = PointCloud::default();
    let mut colours = Vec::new();
    for place in places {
        let p = mesh.position_at(place).unwrap();
        cloud
            .positions
            .push([0, 1, 2].map(|a| p[a] + noise_m * random.normal()));
        colours.push(if p.x > 0.0 {
            [200, 30, 30]
        } else {
            [30, 30, 200]
        });
    }
    cloud.colours = Some(colours);
    cloud
}

fn distance(a: &Mesh, b: &Mesh) -> f64 {
    let points = |mesh: &Mesh| -> Vec<[f32; 3]> {
        mesh.sample_surface(6000, &mut noise(9))
            .iter()
            .map(|&p| mesh.position_at(p).unwrap().into())
            .collect()
    };
    CloudDistances::new(&points(a), &points(b))
        .unwrap()
        .chamfer_l1()
}

#[test]
fn a_lumpy_ball_comes_back_closed_coloured_and_in_place() {
    let truth = bumpy_sphere(30);
    let settings = ReconstructSettings {
        cells: 48,
        ..Default::default()
    };
    for noise_m in [0.0, 0.02] {
        let cloud = cloud_of(&truth, 1000, noise_m, 1);
        let mesh = reconstruct(&cloud, &settings).unwrap().mesh;
        mesh.validate().unwrap();
        let topology = mesh.topology();
        assert!(topology.is_closed(), "{topology:?}");
        assert_eq!((topology.components, topology.euler), (1, 2));
        let off = distance(&mesh, &truth);
        assert!(off < 0.04, "{off} with noise of {noise_m}");
        let volume = mesh.signed_volume() / truth.signed_volume();
        assert!((volume - 1.0).abs() < 0.07, "{volume}");
        let colours = mesh.colours.as_ref().unwrap();
        for (p, c) in mesh.positions.iter().zip(colours) {
            assert!(p[0].abs() < 0.3 || (c[0] > c[2]) == (p[0] > 0.0));
        }
    }
}

#[test]
fn thin_legs_and_a_thin_top_stay() {
    let leg = |x: f32, y: f32| cuboid([x - 0.02, y - 0.02, 0.0], [x + 0.02, y + 0.02, 0.71]);
    let top = cuboid([-0.5, -0.3, 0.7], [0.5, 0.3, 0.73]);
    let table = join([
        leg(-0.45, -0.25),
        leg(0.45, -0.25),
        leg(-0.45, 0.25),
        leg(0.45, 0.25),
        top,
    ]);
    let cloud = cloud_of(&table, 2000, 0.002, 2);
    let settings = ReconstructSettings {
        cells: 80,
        ..Default::default()
    };
    let mesh = reconstruct(&cloud, &settings).unwrap().mesh;
    let topology = mesh.topology();
    assert!(topology.is_closed(), "{topology:?}");
    assert_eq!(topology.components, 1);
    assert!(
        distance(&mesh, &table) < 0.014,
        "{}",
        distance(&mesh, &table)
    );
}

#[test]
fn a_sheet_gets_a_thickness_and_too_little_is_refused() {
    let sheet = PointCloud::new(
        (0..900)
            .map(|i| [(i % 30) as f32 / 30.0, (i / 30) as f32 / 30.0, 0.0])
            .collect(),
    );
    let settings = ReconstructSettings {
        cells: 40,
        ..Default::default()
    };
    let mesh = reconstruct(&sheet, &settings).unwrap().mesh;
    assert!(mesh.topology().is_closed());
    assert!(mesh.colours.is_none());
    for points in [vec![], vec![[0.0; 3]; 50], vec![[f32::NAN; 3]; 50]] {
        let error = reconstruct(&PointCloud::new(points), &settings)
            .err()
            .unwrap();
        assert_eq!(error.kind(), packshot_core::ErrorKind::BadInput);
    }
}

#[test]
fn rough_clouds_are_mended() {
    // A wall that is rolled up, as a generated cup's: a few hundred points, a little off.
    let mut random = noise(5);
    let points = (0..2500).map(|_| {
        let angle = std::f32::consts::TAU * random.uniform();
        let radius = 0.5 + 0.015 * random.normal();
        let z = random.uniform();
        [radius * angle.cos(), radius * angle.sin(), z]
    });
    let cloud = PointCloud::new(points.collect());
    let [torn, mended] = [false, true].map(|mend| {
        let settings = ReconstructSettings {
            cells: 64,
            mend,
            ..Default::default()
        };
        reconstruct(&cloud, &settings).unwrap().mesh.topology()
    });
    assert!(mended.is_closed(), "{mended:?}");
    // No holes: those would count −2 each.
    assert!(mended.components == 1 && mended.euler >= 0, "{mended:?}");
    assert!(torn.euler < 0, "{torn:?}");
}
