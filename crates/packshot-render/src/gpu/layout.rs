//! Scenes as the lists of words that `shaders/prepared.wgsl` describes.

use super::SUMS;
use crate::Settings;
use crate::camera::FILTER;
use crate::environment::Panorama;
use crate::geometry::Geometry;
use crate::light::{LightKind, PreparedLight};
use crate::material::{Coverage, NONE, PreparedMaterial, Slot};
use crate::prepared::PreparedScene;
use crate::scene::Background;
use crate::vector::{Vec3, ZERO};
use packshot_core::colour::linear_from_srgb;
use packshot_core::{Error, Result};
use packshot_geometry::Wrap;
use packshot_gpu::{Bindings, Buffer, Gpu, Kernel};
use std::borrow::Cow;

/// Stands for infinity, which WGSL cannot write.
const FAR: f32 = 3.0e38;
/// Words of a light; the last one is unused.
const LIGHT_WORDS: usize = 24;
/// Words of a volume.
const VOLUME_WORDS: usize = 21;
/// Words of a material.
const MATERIAL_WORDS: usize = 45;

/// A scene on the device.
pub(super) struct Uploaded {
    pub(super) params: Params,
    /// Parameters, and behind them the pixels of the run.
    run: Buffer,
    pub(super) sums: Buffer,
    pub(super) bindings: Bindings,
}

/// What one run traces.
pub(super) struct Part<'a> {
    pub(super) pixels: &'a [u32],
    pub(super) first: u32,
    pub(super) count: u32,
}

impl Uploaded {
    /// `most` is the number of pixels of the largest run.
    pub(super) fn new(
        gpu: &Gpu,
        kernel: &Kernel,
        scene: &PreparedScene,
        settings: &Settings,
        most: usize,
    ) -> Result<Self> {
        let geometry = &scene.geometry;
        let tree = scene.bvh.words();
        let node_count = tree.nodes.len() / 28;
        let nodes = gpu.upload("tree", &at_least(tree.nodes, 4))?;
        let blocks = gpu.upload("triangles", &at_least(tree.blocks, 4))?;
        let (vertices, vertices_at) = vertices(geometry)?;
        let vertices = gpu.upload("vertices", &vertices)?;
        let triangles = gpu.upload("corners", &at_least(corners(geometry), 4))?;
        let (tables, tables_at) = tables(scene);
        let tables = gpu.upload("tables", &tables)?;
        let panorama = scene.environment.panorama.as_ref();
        let panorama_at = geometry.textures.texels.len();
        let mut texels = Cow::from(&geometry.textures.texels);
        if let Some(panorama) = panorama {
            let pixels = bytemuck::cast_slice(panorama.map.pixels());
            texels.to_mut().extend_from_slice(pixels);
        }
        for volume in &scene.volumes {
            let voxels = volume.voxels.iter().map(|&v| u32::from_le_bytes(v));
            texels.to_mut().extend(voxels);
        }
        check_words(texels.len())?;
        let texels = gpu.upload("texels", &texels)?;
        let mut params = Params::new(scene, settings);
        params.u32("node_count", node_count as u32);
        params.u32("lets_through", u32::from(scene.lets_through));
        params.u32("light_count", scene.lights.len() as u32);
        params.u32("volume_count", scene.volumes.len() as u32);
        for (name, at) in tables_at.into_iter().chain(vertices_at) {
            params.u32(name, at);
        }
        params.panorama(panorama, panorama_at as u32);
        let run = gpu.upload("pixels", &vec![0; params.words.len() + most])?;
        let sums = gpu.output("sums", most * SUMS)?;
        let bindings = gpu.bind(
            kernel,
            &[
                &run, &nodes, &blocks, &vertices, &triangles, &tables, &texels, &sums,
            ],
        )?;
        Ok(Self {
            params,
            run,
            sums,
            bindings,
        })
    }

    /// Says what the next run traces.
    pub(super) fn write(&self, gpu: &Gpu, part: &Part<'_>) -> Result<()> {
        let mut params = self.params.clone();
        params.set("pixel_count", part.pixels.len() as u32);
        params.set("first_sample", part.first);
        params.set("sample_count", part.count);
        params.words.extend_from_slice(part.pixels);
        gpu.write(&self.run, &params.words)
    }
}

/// The parameters' words by name, in the order of the shader's `Params`.
#[derive(Clone, Default)]
pub(super) struct Params {
    pub(super) words: Vec<u32>,
    /// Name and first word of each.
    pub(super) names: Vec<(&'static str, usize)>,
}

impl Params {
    fn new(scene: &PreparedScene, settings: &Settings) -> Self {
        let mut p = Self::default();
        let camera = &scene.camera;
        p.vec3("camera_origin", camera.origin);
        p.f32("camera_height", camera.height);
        p.vec3("camera_right", camera.right);
        p.f32("aperture_radius", camera.aperture_radius_m);
        p.vec3("camera_up", camera.up);
        p.f32("focus_distance", camera.focus_distance_m);
        p.vec3("camera_forward", camera.forward);
        p.f32("least_offset", scene.least_offset_m);
        let (background, kind) = match scene.background {
            Background::Environment => (ZERO, 0),
            Background::Colour(colour) => (colour.into(), 1),
            Background::Transparent => (ZERO, 2),
        };
        p.vec3("background", background);
        p.u32("background_kind", kind);
        let [below, horizon, above] = scene.environment.gradient;
        p.vec3("below", below);
        p.f32("environment_mean", scene.environment.mean);
        p.vec3("horizon", horizon);
        p.f32(
            "clamp_indirect",
            settings.clamp_indirect.unwrap_or(FAR).min(FAR),
        );
        p.vec3("above", above);
        p.u32("parallel", u32::from(camera.parallel));
        p.u32("width", settings.width as u32);
        p.u32("height", settings.height as u32);
        p.u32("pixel_count", 0);
        p.u32("first_sample", 0);
        p.u32("sample_count", 0);
        p.u32("seed", settings.seed);
        p.u32("max_bounces", settings.max_bounces);
        p
    }

    fn panorama(&mut self, panorama: Option<&Panorama>, at: u32) {
        let number = |f: fn(&Panorama) -> usize| panorama.map_or(0, |p| f(p) as u32);
        let part = |f: fn(&Panorama) -> f32| panorama.map_or(0.0, f);
        self.u32("panorama_at", at);
        self.u32("panorama_width", number(|p| p.map.width()));
        self.u32("panorama_height", number(|p| p.map.height()));
        self.u32("columns", number(|p| p.columns));
        self.u32("rows", number(|p| p.rows));
        self.f32("strength", part(|p| p.strength));
        self.f32("cos_rotation", part(|p| p.cos));
        self.f32("sin_rotation", part(|p| p.sin));
    }

    fn u32(&mut self, name: &'static str, value: u32) {
        self.names.push((name, self.words.len()));
        self.words.push(value);
    }

    fn f32(&mut self, name: &'static str, value: f32) {
        self.u32(name, value.to_bits());
    }

    fn vec3(&mut self, name: &'static str, value: Vec3) {
        self.names.push((name, self.words.len()));
        self.words.extend(bits(value));
    }

    fn set(&mut self, name: &str, value: u32) {
        if let Some((_, at)) = self.names.iter().find(|(n, _)| *n == name) {
            self.words[*at] = value;
        }
    }
}

fn bits(v: Vec3) -> [u32; 3] {
    v.array().map(f32::to_bits)
}

/// A list that is never shorter than a row of what the shader reads.
fn at_least(mut words: Vec<u32>, least: usize) -> Vec<u32> {
    if words.len() < least {
        words.resize(least, 0);
    }
    words
}

fn check_words(words: usize) -> Result<()> {
    if u32::try_from(words).is_ok() {
        return Ok(());
    }
    Err(Error::unsupported("the scene is too large for a GPU")
        .with_hint("use --device cpu, or an asset with fewer triangles or smaller textures"))
}

/// Names and places of parts of a list.
type Places<const N: usize> = [(&'static str, u32); N];

/// Positions and attributes, one list after the other.
fn vertices(geometry: &Geometry) -> Result<(Vec<u32>, Places<4>)> {
    let words = geometry.positions.len() * 3
        + geometry.normals.len() * 3
        + geometry.uvs.len() * 2
        + geometry.colours.len()
        + geometry.tangents.len() * 4;
    check_words(words)?;
    let mut list: Vec<u32> = Vec::with_capacity(words);
    list.extend_from_slice(bytemuck::cast_slice(&geometry.positions));
    let normals_at = list.len() as u32;
    list.extend_from_slice(bytemuck::cast_slice(&geometry.normals));
    let uvs_at = list.len() as u32;
    list.extend_from_slice(bytemuck::cast_slice(&geometry.uvs));
    let colours_at = list.len() as u32;
    list.extend_from_slice(&geometry.colours);
    let tangents_at = list.len() as u32;
    list.extend_from_slice(bytemuck::cast_slice(&geometry.tangents));
    let places = [
        ("normals_at", normals_at),
        ("uvs_at", uvs_at),
        ("colours_at", colours_at),
        ("tangents_at", tangents_at),
    ];
    Ok((list, places))
}

/// Corners and material of every triangle.
fn corners(geometry: &Geometry) -> Vec<u32> {
    let mut list = Vec::with_capacity(geometry.triangles.len() * 4);
    for (&[a, b, c], &material) in geometry.triangles.iter().zip(&geometry.triangle_materials) {
        list.extend([a, b, c, material]);
    }
    list
}

/// Materials, lights and tables.
fn tables(scene: &PreparedScene) -> (Vec<u32>, Places<9>) {
    let geometry = &scene.geometry;
    let mut list = Vec::new();
    for material in &geometry.materials {
        list.extend(material_words(material));
    }
    let lights_at = list.len() as u32;
    for light in &scene.lights {
        list.extend(light_words(light));
    }
    let headers_at = list.len() as u32;
    for header in &geometry.textures.headers {
        let wrap = |mode: Wrap| match mode {
            Wrap::Repeat => 0,
            Wrap::Mirror => 1,
            Wrap::Clamp => 2,
        };
        list.extend([header.first, header.width, header.height]);
        list.extend([wrap(header.wrap_u), wrap(header.wrap_v)]);
    }
    let floats = |list: &mut Vec<u32>, values: &[f32]| {
        let at = list.len() as u32;
        list.extend(values.iter().map(|v| v.to_bits()));
        at
    };
    let linear: Vec<f32> = (0..256u16)
        .map(|level| linear_from_srgb(f32::from(level) / 255.0))
        .collect();
    let linear_at = floats(&mut list, &linear);
    let albedos_at = floats(&mut list, &scene.albedos.mirror);
    floats(&mut list, &scene.albedos.dielectric);
    floats(&mut list, &scene.albedos.mirror_mean);
    let filter_at = floats(&mut list, &FILTER[..]);
    let panorama = scene.environment.panorama.as_ref();
    let rows_at = floats(&mut list, panorama.map_or(&[], |p| &p.row_sums));
    let columns_at = floats(&mut list, panorama.map_or(&[], |p| &p.column_sums));
    let volumes_at = list.len() as u32;
    let panorama_words = panorama.map_or(0, |p| 3 * p.map.pixels().len());
    let mut voxels_at = geometry.textures.texels.len() + panorama_words;
    let mut majorants_at = list.len() + VOLUME_WORDS * scene.volumes.len();
    for volume in &scene.volumes {
        let matrix = volume.lattice_from_world.as_flattened();
        list.extend(matrix.iter().map(|v| v.to_bits()));
        let sizes = volume.size.iter().chain(&volume.blocks);
        list.extend(sizes.map(|&v| v as u32));
        list.extend([voxels_at as u32, majorants_at as u32]);
        list.push(u32::from(volume.is_product));
        voxels_at += volume.voxels.len();
        majorants_at += volume.majorants.len();
    }
    for volume in &scene.volumes {
        floats(&mut list, &volume.majorants);
    }
    let places = [
        ("materials_at", 0),
        ("lights_at", lights_at),
        ("headers_at", headers_at),
        ("linear_at", linear_at),
        ("albedos_at", albedos_at),
        ("filter_at", filter_at),
        ("rows_at", rows_at),
        ("columns_at", columns_at),
        ("volumes_at", volumes_at),
    ];
    (list, places)
}

fn light_words(light: &PreparedLight) -> [u32; LIGHT_WORDS] {
    let [rx, ry, rz] = bits(light.radiance);
    let [cx, cy, cz] = bits(light.centre);
    let [ux, uy, uz] = bits(light.axis_u);
    let [vx, vy, vz] = bits(light.axis_v);
    let [nx, ny, nz] = bits(light.normal);
    let kind = match light.kind {
        LightKind::Rectangle => 0,
        LightKind::Sphere => 1,
        LightKind::Directional => 2,
    };
    [
        kind,
        rx,
        ry,
        rz,
        light.luminance.to_bits(),
        u32::from(light.visible_to_camera),
        cx,
        cy,
        cz,
        ux,
        uy,
        uz,
        vx,
        vy,
        vz,
        nx,
        ny,
        nz,
        light.half[0].to_bits(),
        light.half[1].to_bits(),
        light.soft_edge.to_bits(),
        light.radius.to_bits(),
        light.cap.to_bits(),
        0,
    ]
}

/// As `shaders/material.wgsl` reads them.
fn material_words(material: &PreparedMaterial) -> Vec<u32> {
    let attributes = &material.attributes;
    let flags = [
        material.unlit,
        material.is_product,
        material.shadow_catcher,
        material.disc,
        material.metallic_texture,
        material.roughness_texture,
        attributes.normals.is_some(),
        attributes.uvs.is_some(),
        attributes.colours.is_some(),
        attributes.tangents.is_some(),
    ];
    let flags = (0..).zip(flags).map(|(bit, set)| u32::from(set) << bit);
    let coverage = match material.coverage {
        Coverage::Opaque => 0,
        Coverage::Mask => 1,
        Coverage::Blend => 2,
    };
    let mut words = Vec::with_capacity(MATERIAL_WORDS);
    words.extend(bits(material.base));
    words.push(material.alpha.to_bits());
    words.push(coverage);
    words.push(material.cutoff.to_bits());
    words.push(material.metallic.to_bits());
    words.push(material.roughness.to_bits());
    words.push(material.normal_scale.to_bits());
    words.push(flags.sum());
    words.extend(bits(material.emissive));
    for shift in [
        attributes.normals,
        attributes.uvs,
        attributes.colours,
        attributes.tangents,
    ] {
        words.push(shift.unwrap_or(NONE));
    }
    for slot in [
        &material.base_texture,
        &material.metallic_roughness_texture,
        &material.normal_texture,
        &material.emissive_texture,
    ] {
        let Slot { texture, transform } = slot;
        words.push(*texture);
        words.extend(transform.as_flattened().iter().map(|v| v.to_bits()));
    }
    words
}
