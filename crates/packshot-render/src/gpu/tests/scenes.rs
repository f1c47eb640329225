//! Scenes that use everything that the shaders know.

use super::SIDE;
use crate::sampler::Sampler;
use crate::{
    Background, Environment, EnvironmentMap, Light, LightShape, Object, PointSize, Scene, Shape,
    StudioCamera, ThinLens, Volume,
};
use nalgebra::{Matrix4, Point3, Vector3};
use packshot_core::Image;
use packshot_geometry::{
    AlphaMode, Camera, Material, Mesh, PointCloud, Texture, TextureSlot, Wrap, look_at,
};
use std::sync::Arc;

/// A square of 2 metres with texture coordinates, normals and a material, facing +Z.
pub(super) fn square(material: Material) -> Mesh {
    Mesh {
        positions: vec![
            [-1.0, -1.0, 0.0],
            [1.0, -1.0, 0.0],
            [1.0, 1.0, 0.0],
            [-1.0, 1.0, 0.0],
        ],
        normals: Some(vec![[0.0, 0.0, 1.0]; 4]),
        uvs: Some(vec![[-0.7, 1.6], [1.6, 1.6], [1.6, -0.7], [-0.7, -0.7]]),
        triangles: vec![[0, 1, 2], [0, 2, 3]],
        triangle_materials: vec![0, 0],
        materials: vec![material],
        ..Mesh::default()
    }
}

/// A ring that lies a little above the floor.
fn ring(material: Material) -> Mesh {
    moved(
        Mesh::torus(0.5, 0.2, [24, 12], material),
        [0.0, 0.0, 0.3],
        1.0,
    )
}

fn moved(mut mesh: Mesh, by: [f32; 3], scale: f32) -> Mesh {
    for p in &mut mesh.positions {
        for axis in 0..3 {
            p[axis] = p[axis] * scale + by[axis];
        }
    }
    mesh
}

/// A picture of pseudo-random texels.
fn texture(channels: usize, wrap: Wrap) -> Texture {
    let data = (0..16 * 8 * channels as u32)
        .map(|i| (crate::sampler::hash(i) >> 24) as u8 / 2 + 90)
        .collect();
    Texture {
        image: Image::from_raw(16, 8, channels, data).unwrap(),
        wrap_u: wrap,
        wrap_v: Wrap::Repeat,
    }
}

fn camera(lens: Option<ThinLens>) -> StudioCamera {
    let pose = look_at(
        Point3::new(1.2, -2.6, 1.5),
        Point3::new(0.0, 0.0, 0.2),
        Vector3::z(),
    );
    StudioCamera {
        camera: Camera::perspective(pose, 0.7, SIDE, SIDE),
        lens,
    }
}

fn panorama() -> Environment {
    let (w, h) = (32, 16);
    let pixels = (0..w * h)
        .map(|i| {
            let bright = if i == 5 * w + 9 { 40.0 } else { 0.3 };
            [bright, 0.25 + 0.01 * (i % w) as f32, 0.4]
        })
        .collect();
    Environment::Map {
        map: Arc::new(EnvironmentMap::new(w, h, pixels).unwrap()),
        rotation_rad: 0.8,
        strength: 1.3,
    }
}

/// Textures of all kinds, a normal map, alpha, points, every light, a lens.
pub(super) fn rich() -> Scene {
    let slot = |texture| {
        Some(TextureSlot {
            texture,
            transform: [[1.5, 0.2, 0.1], [-0.2, 0.9, 0.3]],
        })
    };
    let mut floor = square(Material {
        base_colour: [0.8, 0.7, 0.6, 1.0],
        base_colour_texture: Some(0),
        metallic: 0.4,
        roughness: 0.7,
        metallic_roughness_texture: slot(1),
        normal_texture: slot(2),
        normal_scale: 0.8,
        emissive: [0.1, 0.0, 0.0],
        emissive_texture: slot(0),
        ..Material::default()
    });
    floor.textures = vec![
        texture(3, Wrap::Mirror),
        texture(3, Wrap::Clamp),
        texture(3, Wrap::Repeat),
    ];
    let mut screen = moved(
        square(Material {
            base_colour_texture: Some(0),
            alpha_mode: AlphaMode::Mask { cutoff: 0.6 },
            ..Material::default()
        }),
        [-0.3, 0.4, 0.5],
        0.3,
    );
    screen.textures = vec![texture(4, Wrap::Repeat)];
    let mut veil = moved(
        square(Material {
            base_colour: [0.2, 0.4, 0.9, 0.5],
            alpha_mode: AlphaMode::Blend,
            ..Material::default()
        }),
        [0.5, -0.4, 0.7],
        0.25,
    );
    veil.colours = Some(vec![[255, 200, 100, 255]; 4]);
    let sign = moved(
        square(Material {
            base_colour: [0.1, 0.6, 0.2, 1.0],
            unlit: true,
            ..Material::default()
        }),
        [0.7, 0.6, 0.1],
        0.15,
    );
    let points: Vec<[f32; 3]> = (0..60)
        .map(|i| {
            let [u, v] = Sampler::new(0, 0, i, 9).pair(0);
            [0.25 * u - 0.8, 0.25 * v - 0.3, 0.15]
        })
        .collect();
    let mut cloud = PointCloud::new(points);
    cloud.colours = Some(vec![[220, 120, 40]; cloud.len()]);
    Scene {
        camera: camera(Some(ThinLens {
            aperture_radius_m: 0.03,
            focus_distance_m: 3.0,
        })),
        objects: vec![
            Object::prop(Shape::Mesh(Arc::new(floor))),
            Object::product(Shape::Mesh(Arc::new(ring(Material {
                base_colour: [0.9, 0.6, 0.3, 1.0],
                metallic: 1.0,
                roughness: 0.35,
                ..Material::default()
            })))),
            Object::product(Shape::Mesh(Arc::new(screen))),
            Object::product(Shape::Mesh(Arc::new(veil))),
            Object::product(Shape::Mesh(Arc::new(sign))),
            Object::product(Shape::Points(Arc::new(cloud), PointSize::Auto)),
        ],
        lights: vec![
            Light {
                shape: LightShape::Rectangle {
                    centre: [-1.2, -1.0, 2.0],
                    half_u: [0.5, 0.0, 0.0],
                    half_v: [0.0, -0.4, 0.1],
                    soft_edge: 0.6,
                },
                radiance: [9.0, 8.0, 7.0],
                visible_to_camera: false,
            },
            Light {
                shape: LightShape::Sphere {
                    centre: [0.6, 1.0, 0.6],
                    radius_m: 0.15,
                },
                radiance: [6.0; 3],
                visible_to_camera: true,
            },
            Light {
                shape: LightShape::Directional {
                    towards: [0.5, -0.5, 1.0],
                    angular_diameter_rad: 0.1,
                },
                radiance: [40.0, 40.0, 30.0],
                visible_to_camera: true,
            },
            Light {
                shape: LightShape::Directional {
                    towards: [-1.0, 0.2, 1.0],
                    angular_diameter_rad: 0.0,
                },
                radiance: [0.3; 3],
                visible_to_camera: false,
            },
        ],
        environment: panorama(),
        background: Background::Environment,
    }
}

/// A plastic ring over a catcher, on nothing, seen without perspective.
pub(super) fn cut_out() -> Scene {
    let mut camera = camera(None);
    camera.camera = Camera::orthographic(camera.camera.world_from_camera, 2.2, SIDE, SIDE);
    Scene {
        camera,
        objects: vec![
            Object::product(Shape::Mesh(Arc::new(ring(Material {
                base_colour: [0.1, 0.3, 0.7, 1.0],
                roughness: 0.2,
                ..Material::default()
            })))),
            Object::shadow_catcher(Shape::Mesh(Arc::new(square(Material::default())))),
        ],
        lights: vec![Light {
            shape: LightShape::panel_towards([-1.6, -1.0, 2.6], [0.0; 3], 1.4, 0.9),
            radiance: [9.0; 3],
            visible_to_camera: false,
        }],
        environment: Environment::Gradient {
            below: [0.1; 3],
            horizon: [0.4; 3],
            above: [0.7, 0.8, 0.9],
        },
        background: Background::Transparent,
    }
}

/// A turned cloud of glowing voxels on a floor that mirrors it, a second one that is no product, and a
/// ring that goes through the first.
pub(super) fn foggy() -> Scene {
    let size = [20, 17, 24];
    let voxels = (0..20 * 17 * 24u32)
        .map(|i| {
            let [x, y, z] = [i % 20, i / 20 % 17, i / 340].map(|v| v as f32);
            let away = (x - 9.5).powi(2) + (y - 8.0).powi(2) + (z - 11.5).powi(2);
            let opacity = if away < 40.0 { 255 } else { 8 };
            let opacity = if away < 64.0 { opacity } else { 0 };
            [
                (12.0 * x) as u8,
                (14.0 * y) as u8,
                (10.0 * z) as u8,
                opacity,
            ]
        })
        .collect();
    let turn = Matrix4::from_euler_angles(0.3, -0.2, 0.5);
    let place = Matrix4::new_translation(&Vector3::new(-0.4, -0.7, 0.1)) * turn;
    let cloud = Volume::new(size, voxels, place * Matrix4::new_scaling(0.05)).unwrap();
    let mut other = cloud.clone();
    other.transform(&Matrix4::new_translation(&Vector3::new(-0.8, 0.6, -0.1)));
    let mut scene = cut_out();
    let mirror = Material {
        base_colour: [0.8, 0.8, 0.8, 1.0],
        metallic: 1.0,
        roughness: 0.2,
        ..Material::default()
    };
    scene.objects = vec![
        Object::product(Shape::Volume(cloud)),
        Object::prop(Shape::Volume(other)),
        Object::prop(Shape::Mesh(Arc::new(square(mirror)))),
        Object::product(Shape::Mesh(Arc::new(ring(Material::default())))),
    ];
    scene
}
