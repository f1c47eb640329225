//! Points as small shapes, for viewers that show triangles only.

use crate::normals::{NEIGHBOURS, estimate_normals};
use crate::{Material, Mesh, PointCloud};
use nalgebra::Vector3;

/// Corners of a disc.
const SIDES: usize = 6;

/// A double-sided hexagon of `radius` metres (to its corners) at each point, across its normal;
/// normals are estimated where the cloud has none. 6 vertices and 4 triangles a point, coloured
/// like the points. Points that are not finite are left out.
pub fn points_as_discs(cloud: &PointCloud, radius: f32) -> Mesh {
    let estimated;
    let normals = match &cloud.normals {
        Some(normals) => normals,
        None => {
            estimated = estimate_normals(&cloud.positions, NEIGHBOURS);
            &estimated
        }
    };
    let triangles: Vec<[u32; 3]> = (1..SIDES as u32 - 1).map(|i| [0, i, i + 1]).collect();
    let mut mesh = glyphs(cloud, &triangles, |i| {
        let normal = normals.get(i).map(|&n| Vector3::from(n));
        let normal = normal
            .and_then(|n| n.try_normalize(1e-12))
            .unwrap_or_else(Vector3::z);
        // Across the axis that the normal is least along.
        let across = Vector3::ith(normal.iamin(), 1.0).cross(&normal).normalize();
        let along = normal.cross(&across);
        (0..SIDES).map(move |corner| {
            let angle = std::f32::consts::TAU * corner as f32 / SIDES as f32;
            let offset = (across * angle.cos() + along * angle.sin()) * radius;
            (offset, normal)
        })
    });
    for material in &mut mesh.materials {
        material.double_sided = true;
    }
    mesh
}

/// An icosahedron of `radius` metres with smooth normals at each point: 12 vertices and 20
/// triangles a point, coloured like the points. Points that are not finite are left out.
pub fn points_as_spheres(cloud: &PointCloud, radius: f32) -> Mesh {
    let (vertices, triangles) = icosahedron();
    glyphs(cloud, &triangles, |_| {
        vertices
            .iter()
            .map(|&direction| (direction * radius, direction))
    })
}

/// Repeats a shape, given as offsets with normals, at each point.
fn glyphs<V: Iterator<Item = (Vector3<f32>, Vector3<f32>)>>(
    cloud: &PointCloud,
    triangles: &[[u32; 3]],
    shape: impl Fn(usize) -> V,
) -> Mesh {
    let mut mesh = Mesh::default();
    let mut normals = Vec::new();
    let mut colours = Vec::new();
    for (i, &point) in cloud.positions.iter().enumerate() {
        if !point.iter().all(|v| v.is_finite()) {
            continue;
        }
        let first = mesh.positions.len() as u32;
        let colour = cloud.colours.as_ref().and_then(|list| list.get(i));
        for (offset, normal) in shape(i) {
            mesh.positions.push((Vector3::from(point) + offset).into());
            normals.push(normal.into());
            if let Some(&[r, g, b]) = colour {
                colours.push([r, g, b, 255]);
            }
        }
        let shifted = triangles.iter().map(|t| t.map(|corner| first + corner));
        mesh.triangles.extend(shifted);
    }
    mesh.colours = (colours.len() == normals.len() && cloud.colours.is_some()).then_some(colours);
    mesh.normals = Some(normals);
    mesh.triangle_materials = vec![0; mesh.triangles.len()];
    mesh.materials = vec![Material {
        name: "points".to_owned(),
        ..Material::default()
    }];
    mesh
}

/// Unit vertices and outward triangles.
fn icosahedron() -> ([Vector3<f32>; 12], Vec<[u32; 3]>) {
    let golden = (1.0 + 5f32.sqrt()) / 2.0;
    let vertices: [Vector3<f32>; 12] = std::array::from_fn(|i| {
        let sign = |bit: usize| if i >> bit & 1 == 1 { -1.0 } else { 1.0 };
        let (short, long) = (sign(0), sign(1) * golden);
        match i / 4 {
            0 => Vector3::new(0.0, short, long),
            1 => Vector3::new(short, long, 0.0),
            _ => Vector3::new(long, 0.0, short),
        }
        .normalize()
    });
    // Faces join vertices that are an edge apart, whose cosine is 1/√5.
    let joined = |a: usize, b: usize| vertices[a].dot(&vertices[b]) > 0.4;
    let mut triangles = Vec::with_capacity(20);
    for a in 0..12 {
        for b in a + 1..12 {
            for c in b + 1..12 {
                if joined(a, b) && joined(b, c) && joined(c, a) {
                    let outward = vertices[a].dot(&vertices[b].cross(&vertices[c])) > 0.0;
                    let (b, c) = if outward { (b, c) } else { (c, b) };
                    triangles.push([a as u32, b as u32, c as u32]);
                }
            }
        }
    }
    (vertices, triangles)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud() -> PointCloud {
        PointCloud {
            positions: vec![[0.0; 3], [3.0, 0.0, 0.0], [f32::NAN; 3], [0.0, 3.0, 1.0]],
            colours: Some(vec![[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12]]),
            normals: Some(vec![
                [0.0, 0.0, 1.0],
                [1.0, 0.0, 0.0],
                [0.0; 3],
                [0.0, 0.6, -0.8],
            ]),
        }
    }

    #[test]
    fn discs_lie_across_their_normals() {
        let mesh = points_as_discs(&cloud(), 0.25);
        mesh.validate().unwrap();
        assert_eq!((mesh.positions.len(), mesh.triangles.len()), (18, 12));
        assert!(mesh.materials[0].double_sided);
        assert_eq!(mesh.colours.as_ref().unwrap()[17], [10, 11, 12, 255]);
        let hexagon = 1.5 * 3f64.sqrt() * 0.25f64.powi(2);
        assert!((mesh.surface_area() - 3.0 * hexagon).abs() < 1e-6);
        for triangle in 0..12 {
            let vertex = mesh.triangles[triangle as usize][0] as usize;
            let normal = Vector3::from(mesh.normals.as_ref().unwrap()[vertex]);
            assert!((mesh.face_normal(triangle).unwrap() - normal).norm() < 1e-5);
        }
    }

    #[test]
    fn spheres_are_closed_and_face_outward() {
        let mesh = points_as_spheres(&cloud(), 0.5);
        mesh.validate().unwrap();
        assert_eq!((mesh.positions.len(), mesh.triangles.len()), (36, 60));
        let mut edges: Vec<[u32; 2]> = mesh
            .triangles
            .iter()
            .flat_map(|&[a, b, c]| [[a, b], [b, c], [c, a]])
            .collect();
        // Closed and consistent: each edge is there once in each direction.
        edges.sort_unstable();
        for [a, b] in &edges {
            assert!(edges.binary_search(&[*b, *a]).is_ok());
        }
        edges.dedup();
        assert_eq!(edges.len(), 180);
        // The volume by the divergence theorem is positive: outward.
        let volume: f32 = (0..20)
            .map(|i| {
                let [a, b, c] = mesh.corners(i).unwrap().map(|p| p.coords);
                a.dot(&b.cross(&c)) / 6.0
            })
            .sum();
        assert!((volume - 2.536_15 * 0.125).abs() < 1e-3, "{volume}");
    }

    #[test]
    fn a_cloud_without_colours_or_points() {
        let bare = PointCloud::new(vec![[0.0; 3]]);
        let mesh = points_as_discs(&bare, 1.0);
        mesh.validate().unwrap();
        assert_eq!(mesh.colours, None);
        points_as_spheres(&PointCloud::default(), 1.0)
            .validate()
            .unwrap();
    }
}
