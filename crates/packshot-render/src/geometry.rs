//! All triangles of a scene in one list: meshes as they are, points as triangles around discs.

use crate::material::{Attributes, PreparedMaterial};
use crate::scene::{Object, PointSize, Shape};
use crate::texture::Textures;
use crate::vector::{Vec3, ZERO, basis, cross, dot, length, normalize, vec3};
use packshot_core::{Error, Result};
use packshot_geometry::nearest::KdTree;
use packshot_geometry::normals::estimate_normals_unoriented;
use packshot_geometry::{Material, Mesh, PointCloud};
use rayon::prelude::*;

/// Neighbours that a point's normal and size come from.
const NEIGHBOURS: usize = 12;
/// The neighbour whose distance gives a disc's radius, and the share of it.
const SPACING_NEIGHBOUR: usize = 6;
const SPACING_SHARE: f32 = 0.8;
/// Bound of a disc's radius in median radii: outliers stay small.
const MOST_MEDIANS: f32 = 2.5;

/// Triangles of all objects with their vertices' attributes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Geometry {
    pub(crate) positions: Vec<[f32; 3]>,
    pub(crate) triangles: Vec<[u32; 3]>,
    pub(crate) triangle_materials: Vec<u32>,
    pub(crate) normals: Vec<[f32; 3]>,
    pub(crate) uvs: Vec<[f32; 2]>,
    /// Packed sRGB.
    pub(crate) colours: Vec<u32>,
    /// Tangent and the bitangent's sign.
    pub(crate) tangents: Vec<[f32; 4]>,
    pub(crate) materials: Vec<PreparedMaterial>,
    pub(crate) textures: Textures,
}

impl Geometry {
    /// Adds an object.
    pub(crate) fn add(&mut self, object: &Object) -> Result<()> {
        match &object.shape {
            Shape::Mesh(mesh) => self.add_mesh(mesh, object),
            Shape::Points(cloud, size) => self.add_points(cloud, *size, object),
            // No triangles.
            Shape::Volume(_) => Ok(()),
        }
    }

    /// Number that brings the next vertices to the end of a list.
    fn shift(&self, list: usize) -> u32 {
        (list as u32).wrapping_sub(self.positions.len() as u32)
    }

    fn check_room(&self, vertices: usize) -> Result<()> {
        if self.positions.len().saturating_add(vertices) < 1 << 31 {
            Ok(())
        } else {
            Err(
                Error::unsupported("the scene has more than two thousand million vertices")
                    .with_hint("reduce the number of points or triangles"),
            )
        }
    }

    fn add_mesh(&mut self, mesh: &Mesh, object: &Object) -> Result<()> {
        mesh.validate()?;
        self.check_room(mesh.positions.len())?;
        let mut attributes = Attributes {
            normals: None,
            uvs: None,
            colours: None,
            tangents: None,
        };
        if let Some(normals) = &mesh.normals {
            attributes.normals = Some(self.shift(self.normals.len()));
            self.normals.extend_from_slice(normals);
        }
        if let Some(uvs) = &mesh.uvs {
            attributes.uvs = Some(self.shift(self.uvs.len()));
            self.uvs.extend_from_slice(uvs);
        }
        if let Some(colours) = &mesh.colours {
            attributes.colours = Some(self.shift(self.colours.len()));
            let packed = colours.iter().map(|&c| u32::from_le_bytes(c));
            self.colours.extend(packed);
        }
        let bumpy = mesh.materials.iter().any(|m| m.normal_texture.is_some());
        if bumpy && let Some(tangents) = tangents(mesh) {
            attributes.tangents = Some(self.shift(self.tangents.len()));
            self.tangents.extend(tangents);
        }
        let plain = [Material::default()];
        let materials = if mesh.materials.is_empty() {
            &plain[..]
        } else {
            &mesh.materials[..]
        };
        let first_material = self.materials.len() as u32;
        let mut added = vec![None; mesh.textures.len()];
        for material in materials {
            let mut prepared =
                PreparedMaterial::new(material, mesh, &mut self.textures, &mut added);
            prepared.attributes = attributes;
            self.push_material(prepared, &material.name, mesh.uvs.is_some(), object);
        }
        let first_vertex = self.positions.len() as u32;
        self.positions.extend_from_slice(&mesh.positions);
        let shifted = mesh.triangles.iter().map(|t| t.map(|v| v + first_vertex));
        self.triangles.extend(shifted);
        if mesh.materials.is_empty() {
            let n = mesh.triangles.len();
            self.triangle_materials
                .extend(std::iter::repeat_n(first_material, n));
        } else {
            let shifted = mesh.triangle_materials.iter().map(|m| m + first_material);
            self.triangle_materials.extend(shifted);
        }
        Ok(())
    }

    fn push_material(
        &mut self,
        mut material: PreparedMaterial,
        name: &str,
        with_uvs: bool,
        object: &Object,
    ) {
        material.is_product = object.is_product;
        material.shadow_catcher = object.shadow_catcher;
        for change in &object.overrides {
            if change
                .material
                .as_deref()
                .is_none_or(|wanted| wanted == name)
            {
                material.change(change, with_uvs, &mut self.textures);
            }
        }
        self.materials.push(material);
    }

    fn add_points(&mut self, cloud: &PointCloud, size: PointSize, object: &Object) -> Result<()> {
        cloud.validate()?;
        let mut cloud = cloud.clone();
        let finite: Vec<usize> = (0..cloud.len())
            .filter(|&i| cloud.positions[i].iter().all(|v| v.is_finite()))
            .collect();
        if finite.len() != cloud.len() {
            cloud = cloud.select(&finite);
        }
        self.check_room(cloud.len().saturating_mul(3))?;
        let normals = match cloud.normals.take() {
            Some(normals) => normals,
            None => estimate_normals_unoriented(&cloud.positions, NEIGHBOURS),
        };
        let radii = match size {
            PointSize::Radius(radius) if radius.is_finite() && radius > 0.0 => {
                vec![radius; cloud.len()]
            }
            PointSize::Radius(radius) => {
                return Err(
                    Error::usage(format!("points cannot have a radius of {radius} m"))
                        .with_hint("choose a radius above 0"),
                );
            }
            PointSize::Auto => radii(&cloud.positions),
        };
        let mut attributes = Attributes {
            normals: None,
            uvs: None,
            colours: None,
            tangents: None,
        };
        if let Some(colours) = &cloud.colours {
            attributes.colours = Some(self.shift(self.colours.len()));
            for &[r, g, b] in colours {
                self.colours.extend([u32::from_le_bytes([r, g, b, 255]); 3]);
            }
        }
        let plain = Material::default();
        let mesh = Mesh::default();
        let mut material = PreparedMaterial::new(&plain, &mesh, &mut self.textures, &mut []);
        material.attributes = attributes;
        material.disc = true;
        let index = self.materials.len() as u32;
        self.push_material(material, "", false, object);
        for ((&centre, &normal), &radius) in cloud.positions.iter().zip(&normals).zip(&radii) {
            let normal = Vec3::from(normal);
            let normal = if dot(normal, normal) > 1e-12 && normal.is_finite() {
                normalize(normal)
            } else {
                vec3(0.0, 0.0, 1.0)
            };
            let first = self.positions.len() as u32;
            self.positions
                .extend(around_disc(centre.into(), normal, radius).map(Vec3::array));
            self.triangles.push([first, first + 1, first + 2]);
            self.triangle_materials.push(index);
        }
        Ok(())
    }
}

/// The equilateral triangle whose inscribed circle is the disc: places with barycentric
/// coordinates u² + v² + w² ≤ ½ lie in it.
fn around_disc(centre: Vec3, normal: Vec3, radius: f32) -> [Vec3; 3] {
    let (x, y) = basis(normal);
    let half = 0.5 * 3f32.sqrt();
    [(1.0, 0.0), (-0.5, half), (-0.5, -half)]
        .map(|(u, v)| centre + (x * u + y * v) * (2.0 * radius))
}

/// Radii of discs that close the surface.
fn radii(positions: &[[f32; 3]]) -> Vec<f32> {
    let tree = KdTree::new(positions);
    let mut radii: Vec<f32> = positions
        .par_iter()
        .map_init(Vec::new, |found, &position| {
            tree.k_nearest_into(position, SPACING_NEIGHBOUR + 1, found);
            found
                .last()
                .map_or(0.0, |n| n.distance2.sqrt() * SPACING_SHARE)
        })
        .collect();
    let mut sorted: Vec<f32> = radii.iter().copied().filter(|&r| r > 0.0).collect();
    let middle = sorted.len() / 2;
    let median = if sorted.is_empty() {
        // A single point, or all in one place: a centimetre is as good as anything.
        0.01
    } else {
        *sorted.select_nth_unstable_by(middle, f32::total_cmp).1
    };
    for radius in &mut radii {
        *radius = if *radius > 0.0 {
            radius.min(MOST_MEDIANS * median)
        } else {
            median
        };
    }
    radii
}

/// Tangents of a mesh's vertices from its texture coordinates (Lengyel's method); `None` without
/// coordinates or normals.
fn tangents(mesh: &Mesh) -> Option<Vec<[f32; 4]>> {
    let uvs = mesh.uvs.as_ref()?;
    let normals = mesh.normals.as_ref()?;
    let mut sums = vec![(ZERO, ZERO); mesh.positions.len()];
    for corners in &mesh.triangles {
        let [a, b, c] = corners.map(|i| Vec3::from(mesh.positions[i as usize]));
        let [ua, ub, uc] = corners.map(|i| uvs[i as usize]);
        let (e1, e2) = (b - a, c - a);
        let (du1, dv1) = (ub[0] - ua[0], ub[1] - ua[1]);
        let (du2, dv2) = (uc[0] - ua[0], uc[1] - ua[1]);
        let determinant = du1 * dv2 - du2 * dv1;
        let area = length(cross(e1, e2));
        let tangent = (e1 * dv2 - e2 * dv1) * determinant.signum();
        let bitangent = (e2 * du1 - e1 * du2) * determinant.signum();
        let (t, b) = (length(tangent), length(bitangent));
        if determinant != 0.0 && t > 0.0 && b > 0.0 && (t + b + area).is_finite() {
            for &corner in corners {
                let sum = &mut sums[corner as usize];
                sum.0 += tangent * (area / t);
                sum.1 += bitangent * (area / b);
            }
        }
    }
    let finish = |((tangent, bitangent), &normal): ((Vec3, Vec3), &[f32; 3])| {
        let n = Vec3::from(normal);
        let t = tangent - n * dot(n, tangent);
        let t = if dot(t, t) > 1e-20 {
            normalize(t)
        } else {
            basis(n).0
        };
        // glTF's bitangent points up in the picture, against v.
        let sign = if dot(cross(n, t), bitangent) > 0.0 {
            -1.0
        } else {
            1.0
        };
        [t.x, t.y, t.z, sign]
    };
    Some(sums.into_iter().zip(normals).map(finish).collect())
}
