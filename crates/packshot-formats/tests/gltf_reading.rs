//! What glTF allows and other programs write.

#![allow(clippy::unwrap_used, reason = "what fails to unwrap fails the test")]

use packshot_formats::{Asset, decode_gltf, encode_webp, read_gltf};
use packshot_geometry::{AlphaMode, Mesh, TextureSlot, Wrap};
use serde_json::{Value, json};

/// A document that grows: accessors over one buffer, which is embedded as a `data:` URI.
struct File {
    root: Value,
    buffer: Vec<u8>,
}

impl File {
    fn new() -> Self {
        let empty = || Value::Array(Vec::new());
        Self {
            root: json!({
                "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}],
                "nodes": [{"mesh": 0}], "accessors": empty(), "bufferViews": empty(),
            }),
            buffer: Vec::new(),
        }
    }

    fn view(&mut self, bytes: &[u8]) -> usize {
        self.buffer.resize(self.buffer.len().next_multiple_of(4), 0);
        let view = json!({
            "buffer": 0, "byteOffset": self.buffer.len(), "byteLength": bytes.len(),
        });
        self.buffer.extend_from_slice(bytes);
        let views = self.root["bufferViews"].as_array_mut().unwrap();
        views.push(view);
        views.len() - 1
    }

    fn accessor(&mut self, bytes: &[u8], kind: &str, component: u32, count: usize) -> usize {
        let view = self.view(bytes);
        let accessors = self.root["accessors"].as_array_mut().unwrap();
        accessors.push(json!({
            "bufferView": view, "componentType": component, "count": count, "type": kind,
        }));
        accessors.len() - 1
    }

    fn floats(&mut self, values: &[f32], kind: &str, count: usize) -> usize {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.accessor(&bytes, kind, 5126, count)
    }

    /// A mesh with one primitive.
    fn mesh(mut self, primitive: Value) -> Self {
        self.root["meshes"] = json!([{"primitives": [primitive]}]);
        self
    }

    fn with(mut self, key: &str, value: Value) -> Self {
        self.root[key] = value;
        self
    }

    fn text(mut self) -> Vec<u8> {
        let uri = format!(
            "data:application/octet-stream;base64,{}",
            base64(&self.buffer)
        );
        self.root["buffers"] = json!([{"byteLength": self.buffer.len(), "uri": uri}]);
        self.root.to_string().into_bytes()
    }

    fn read(self) -> Asset {
        decode_gltf(&self.text()).unwrap()
    }

    fn read_mesh(self) -> Mesh {
        self.read().into_mesh().unwrap()
    }
}

fn base64(bytes: &[u8]) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |w, &b| w << 8 | u32::from(b));
        let word = word << (8 * (3 - chunk.len()));
        for i in 0..=chunk.len() {
            let letter = alphabet[(word >> (18 - 6 * i) & 63) as usize];
            out.push(char::from(letter));
        }
    }
    out
}

const TRIANGLE: [f32; 9] = [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0];

fn triangle() -> File {
    let mut file = File::new();
    file.floats(&TRIANGLE, "VEC3", 3);
    file.mesh(json!({"attributes": {"POSITION": 0}}))
}

#[test]
fn transforms_add_up_and_a_mirror_keeps_the_outside_out() {
    let mut file = File::new();
    file.floats(&TRIANGLE, "VEC3", 3);
    file.floats(&[0.0, 0.0, 1.0].repeat(3), "VEC3", 3);
    let half = std::f32::consts::FRAC_1_SQRT_2;
    let mesh = file
        .mesh(json!({"attributes": {"POSITION": 0, "NORMAL": 1}}))
        .with(
            "nodes",
            json!([
                {"children": [1], "translation": [0.0, 10.0, 0.0]},
                // A quarter turn about the file's up axis, then a mirror in x.
                {"mesh": 0, "rotation": [0.0, half, 0.0, half], "scale": [-2.0, 1.0, 1.0]},
            ]),
        )
        .read_mesh();
    // File: (1, 0, 0) → scaled (−2, 0, 0) → turned (0, 0, 2) → moved (0, 10, 2).
    let near = |a: [f32; 3], b: [f32; 3]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
    assert!(
        near(mesh.positions[1], [0.0, -2.0, 10.0]),
        "{:?}",
        mesh.positions
    );
    assert_eq!(mesh.triangles, [[0, 2, 1]]);
    let normal = mesh.normals.as_ref().unwrap()[0];
    assert!(near(normal, [1.0, 0.0, 0.0]), "{normal:?}");
    let face = mesh.face_normal(0).unwrap();
    assert!(near(face.into(), normal), "{face:?}");
}

#[test]
fn a_matrix_is_stored_by_columns() {
    let mesh = triangle()
        .with(
            "nodes",
            json!([{"mesh": 0, "matrix": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 5, 6, 7, 1]}]),
        )
        .read_mesh();
    assert_eq!(mesh.positions[0], [5.0, -7.0, 6.0]);
}

#[test]
fn strips_and_fans_keep_the_winding() {
    let square = [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0];
    for (mode, order, expected) in [
        (5, [0u8, 1, 2, 3], [[0, 1, 2], [2, 1, 3]]),
        (6, [0, 1, 3, 2], [[0, 1, 3], [0, 3, 2]]),
    ] {
        let mut file = File::new();
        file.floats(&square, "VEC3", 4);
        file.accessor(&order, "SCALAR", 5121, 4);
        let mesh = file
            .mesh(json!({"attributes": {"POSITION": 0}, "indices": 1, "mode": mode}))
            .read_mesh();
        assert_eq!(mesh.triangles, expected);
        for triangle in 0..2 {
            assert!(mesh.face_normal(triangle).unwrap().y < -0.9, "mode {mode}");
        }
    }
}

#[test]
fn colours_of_every_type_become_srgb() {
    // Linear 0.2140 is sRGB 127.5 to 128; a quarter is 137.
    let levels = |kind: &str, component: u32, bytes: &[u8]| {
        let mut file = File::new();
        file.floats(&[0.0, 0.0, 0.0, 1.0, 0.0, 0.0], "VEC3", 2);
        file.accessor(bytes, kind, component, 2);
        let file = file.mesh(json!({"attributes": {"POSITION": 0, "COLOR_0": 1}, "mode": 0}));
        file.read().into_cloud().unwrap().colours.unwrap()
    };
    let shorts: Vec<u8> = [14_147u16, 0, 65_535, 16_384, 1, 20, 40, 60]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    assert_eq!(levels("VEC4", 5123, &shorts), [[128, 0, 255], [0, 1, 2]]);
    assert_eq!(
        levels("VEC3", 5121, &[55, 0, 255, 64, 64, 64]),
        [[128, 0, 255], [137; 3]]
    );
    let floats: Vec<u8> = [0.2159f32, -1.0, 7.0, 0.25, 0.25, f32::NAN]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    assert_eq!(
        levels("VEC3", 5126, &floats),
        [[128, 0, 255], [137, 137, 0]]
    );
}

#[test]
fn sparse_strided_and_quantised_accessors_are_read() {
    let mut file = File::new();
    // Shorts with two bytes of padding after each position.
    let shorts: Vec<u8> = [0i16, 0, 0, 9, 32_767, 0, 0, 9, 0, -32_768, 0, 9]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    file.accessor(&shorts, "VEC3", 5122, 3);
    let index = file.view(&1u16.to_le_bytes());
    let value: Vec<u8> = [0i16, 0, 16_384]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    let value = file.view(&value);
    file.root["bufferViews"][0]["byteStride"] = json!(8);
    file.root["accessors"][0]["normalized"] = json!(true);
    file.root["accessors"][0]["sparse"] = json!({
        "count": 1, "indices": {"bufferView": index, "componentType": 5123},
        "values": {"bufferView": value},
    });
    let mesh = file
        .mesh(json!({"attributes": {"POSITION": 0}}))
        .with("extensionsRequired", json!(["KHR_mesh_quantization"]))
        .read_mesh();
    let half = 16_384.0 / 32_767.0;
    assert_eq!(
        mesh.positions,
        [[0.0, 0.0, 0.0], [0.0, -half, 0.0], [0.0, 0.0, -1.0]]
    );
}

#[test]
fn materials_and_texture_transforms_are_read() {
    let picture = packshot_core::Image::filled(2, 1, &[10, 200, 30, 255]);
    let mut file = File::new();
    file.floats(&TRIANGLE, "VEC3", 3);
    file.floats(&[0.1, 0.2, 0.7, 0.3, 0.25, 0.9], "VEC2", 3);
    let view = file.view(&encode_webp(&picture).unwrap());
    let transform = json!({"offset": [0.3, 0.15], "rotation": 0.4, "scale": [2.0, 0.5]});
    let mesh = file
        .mesh(json!({"attributes": {"POSITION": 0, "TEXCOORD_1": 1}, "material": 0}))
        .with(
            "materials",
            json!([{
                "name": "glass", "alphaMode": "MASK", "alphaCutoff": 0.25, "doubleSided": true,
                "extensions": {"KHR_materials_unlit": {}},
                "pbrMetallicRoughness": {
                    "baseColorFactor": [0.5, 2.0, 0.25, 1.0], "metallicFactor": 0.75,
                    "roughnessFactor": 0.5, "metallicRoughnessTexture": {"index": 0},
                    "baseColorTexture": {"index": 0, "texCoord": 1,
                        "extensions": {"KHR_texture_transform": transform}},
                },
            }]),
        )
        .with("samplers", json!([{"wrapS": 33071, "wrapT": 33648}]))
        .with(
            "images",
            json!([{"bufferView": view, "mimeType": "image/webp"}]),
        )
        .with(
            "textures",
            json!([{"sampler": 0, "extensions": {"EXT_texture_webp": {"source": 0}}}]),
        )
        .with(
            "extensionsRequired",
            json!(["EXT_texture_webp", "KHR_texture_transform"]),
        )
        .read_mesh();
    let material = &mesh.materials[0];
    assert_eq!(material.name, "glass");
    assert_eq!(material.base_colour, [0.5, 1.0, 0.25, 1.0]);
    assert_eq!(material.alpha_mode, AlphaMode::Mask { cutoff: 0.25 });
    assert!(material.unlit && material.double_sided);
    // Factors times the means of the blue and green channels.
    assert!((material.metallic - 0.75 * 30.0 / 255.0).abs() < 1e-6);
    assert!((material.roughness - 0.5 * 200.0 / 255.0).abs() < 1e-6);
    let texture = &mesh.textures[0];
    assert_eq!(
        (texture.wrap_u, texture.wrap_v),
        (Wrap::Clamp, Wrap::Mirror)
    );
    assert_eq!(texture.image.pixel(1, 0)[..3], [10, 200, 30]);
    // What Blender 4.5 computes for the first two corners.
    let uvs = mesh.uvs.unwrap();
    let wanted = [[0.523_154, 0.164_222], [1.647_898, -0.257_027]];
    for (uv, wanted) in uvs.iter().zip(wanted) {
        let off = (uv[0] - wanted[0]).abs().max((uv[1] - wanted[1]).abs());
        assert!(off < 1e-5, "{uv:?}");
    }
}

#[test]
fn other_textures_find_their_places_from_the_base_colours() {
    let picture = packshot_core::Image::filled(2, 1, &[10, 200, 30, 255]);
    let mut file = File::new();
    file.floats(&TRIANGLE, "VEC3", 3);
    file.floats(&[0.1, 0.2, 0.7, 0.3, 0.25, 0.9], "VEC2", 3);
    let view = file.view(&encode_webp(&picture).unwrap());
    let turned = json!({"offset": [0.3, 0.15], "rotation": 0.4, "scale": [2.0, 0.5]});
    let moved = json!({"offset": [0.25, 0.5]});
    let with = |transform: &serde_json::Value| json!({"KHR_texture_transform": transform});
    let mesh = file
        .mesh(json!({"attributes": {"POSITION": 0, "TEXCOORD_0": 1}, "material": 0}))
        .with(
            "materials",
            json!([{
                "pbrMetallicRoughness": {
                    "metallicFactor": 0.75, "metallicRoughnessTexture": {"index": 0},
                    "baseColorTexture": {"index": 0, "extensions": with(&turned)},
                },
                "normalTexture": {"index": 0, "scale": 0.5, "extensions": with(&turned)},
                "emissiveTexture": {"index": 0, "extensions": with(&moved)},
                "emissiveFactor": [0.5, 0.25, 1.0],
                "extensions": {"KHR_materials_emissive_strength": {"emissiveStrength": 4.0}},
            }]),
        )
        .with(
            "images",
            json!([{"bufferView": view, "mimeType": "image/webp"}]),
        )
        .with(
            "textures",
            json!([{"extensions": {"EXT_texture_webp": {"source": 0}}}]),
        )
        .read_mesh();
    let material = &mesh.materials[0];
    assert_eq!((material.metallic, material.roughness), (0.75, 1.0));
    assert_eq!(material.emissive, [2.0, 1.0, 4.0]);
    assert_eq!(material.normal_scale, 0.5);
    assert_eq!(mesh.textures.len(), 1);
    // The same transform as the base colour's needs no way of its own.
    assert_eq!(material.normal_texture, Some(TextureSlot::plain(0)));
    let corners = [[0.1, 0.2], [0.7, 0.3], [0.25, 0.9]];
    let uvs = mesh.uvs.as_ref().unwrap();
    let slots = [
        (material.metallic_roughness_texture, [0.0, 0.0]),
        (material.emissive_texture, [0.25, 0.5]),
    ];
    for (slot, shift) in slots {
        for ([u, v], wanted) in uvs.iter().zip(corners) {
            let rows = slot.unwrap().transform;
            for (row, wanted) in rows
                .iter()
                .zip([wanted[0] + shift[0], wanted[1] + shift[1]])
            {
                let got = row[0] * u + row[1] * v + row[2];
                assert!((got - wanted).abs() < 1e-5, "{got} {wanted}");
            }
        }
    }
}

#[test]
fn missing_normals_beside_given_ones_are_flat() {
    let mut file = File::new();
    file.floats(&TRIANGLE, "VEC3", 3);
    file.floats(&[0.0, 1.0, 0.0].repeat(3), "VEC3", 3);
    let mesh = file
        .with(
            "meshes",
            json!([{"primitives": [
                {"attributes": {"POSITION": 0, "NORMAL": 1}},
                {"attributes": {"POSITION": 0}, "material": 0},
            ]}]),
        )
        .with("materials", json!([{}]))
        .read_mesh();
    mesh.validate().unwrap();
    assert_eq!(mesh.positions.len(), 6);
    let normals = mesh.normals.unwrap();
    assert_eq!(normals[0], [0.0, 0.0, 1.0]);
    assert_eq!(normals[5], [0.0, -1.0, 0.0]);
    assert_eq!(mesh.triangle_materials, [0, 1]);
    // glTF's default material is a metal, and `{}` says so.
    assert_eq!(
        [mesh.materials[0].metallic, mesh.materials[1].metallic],
        [0.0, 1.0]
    );
}

#[test]
fn what_is_left_out_is_said() {
    let mut file = File::new();
    file.floats(&TRIANGLE, "VEC3", 3);
    let asset = file
        .with(
            "meshes",
            json!([{"primitives": [
                {"attributes": {"POSITION": 0}},
                {"attributes": {"POSITION": 0}, "mode": 3},
            ]}]),
        )
        .with("skins", json!([{"joints": [0]}]))
        .read();
    assert_eq!(asset.notes.len(), 2);
    assert!(asset.notes[0].contains("lines"));
    assert_eq!(asset.into_mesh().unwrap().triangles.len(), 1);
}

#[test]
fn buffers_and_pictures_may_lie_beside_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = TRIANGLE.iter().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(folder.path().join("my data.bin"), &bytes).unwrap();
    let mut root = triangle().root;
    root["buffers"] = json!([{"byteLength": 36, "uri": "my%20data.bin"}]);
    let path = folder.path().join("a.gltf");
    std::fs::write(&path, root.to_string()).unwrap();
    assert_eq!(
        read_gltf(&path)
            .unwrap()
            .into_mesh()
            .unwrap()
            .triangles
            .len(),
        1
    );
    let in_memory = decode_gltf(root.to_string().as_bytes()).unwrap_err();
    assert_eq!(in_memory.kind(), packshot_core::ErrorKind::Unsupported);
    std::fs::remove_file(folder.path().join("my data.bin")).unwrap();
    let missing = read_gltf(&path).unwrap_err();
    assert_eq!(missing.kind(), packshot_core::ErrorKind::Io);
    assert!(missing.to_string().contains("my data.bin"), "{missing}");
}
