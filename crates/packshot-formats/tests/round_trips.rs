//! Axes, units and colours survive every way through the formats.

#![allow(clippy::unwrap_used, reason = "what fails to unwrap fails the test")]

use packshot_core::Image;
use packshot_formats::{
    Asset, TextureFormat, decode_gltf, decode_obj, decode_ply, encode_glb, encode_ply, read_asset,
    write_obj,
};
use packshot_geometry::{AlphaMode, Material, Mesh, PointCloud, Texture, TextureSlot, Wrap};

/// 256 points of every grey level and primary, at positions that 32 bits hold exactly or not.
fn cloud() -> PointCloud {
    let n = 256;
    let at = |i: usize| {
        let t = i as f32 / 7.0;
        [t.sin() * 0.3, t.cos() * 1e-3 - 0.1, i as f32 * 0.004]
    };
    let colour = |i: usize| {
        let level = i as u8;
        match i % 4 {
            0 => [level; 3],
            1 => [level, 0, 128],
            2 => [0, level, 2],
            _ => [1, 255 - level, level],
        }
    };
    let normal = |i: usize| {
        let (sin, cos) = (i as f32).sin_cos();
        [0.6 * cos, 0.6 * sin, 0.8]
    };
    PointCloud {
        positions: (0..n).map(at).collect(),
        colours: Some((0..n).map(colour).collect()),
        normals: Some((0..n).map(normal).collect()),
    }
}

/// A cube of 12 triangles with two materials, one of them with a texture.
fn cube() -> Mesh {
    let mut mesh = Mesh {
        normals: Some(Vec::new()),
        uvs: Some(Vec::new()),
        ..Mesh::default()
    };
    for axis in 0..3 {
        for side in [-1.0f32, 1.0] {
            let first = mesh.positions.len() as u32;
            for [u, v] in [[0.0f32, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]] {
                let mut position = [0.0; 3];
                position[axis] = side * 0.05;
                position[(axis + 1) % 3] = (u - 0.5) * 0.1;
                position[(axis + 2) % 3] = (v - 0.5) * 0.3;
                mesh.positions.push(position);
                let mut normal = [0.0; 3];
                normal[axis] = side;
                mesh.normals.as_mut().unwrap().push(normal);
                mesh.uvs.as_mut().unwrap().push([u, v * 0.5]);
            }
            let turn = |corners: [u32; 3]| {
                let [a, b, c] = corners.map(|c| c + first);
                if side > 0.0 { [a, b, c] } else { [a, c, b] }
            };
            mesh.triangles.extend([turn([0, 1, 2]), turn([0, 2, 3])]);
            mesh.triangle_materials.extend([u32::from(axis == 2); 2]);
        }
    }
    mesh.materials = vec![
        Material {
            name: "paint".into(),
            base_colour: [0.5, 0.25, 0.125, 1.0],
            metallic: 0.25,
            roughness: 0.5,
            ..Material::default()
        },
        Material {
            name: "label".into(),
            base_colour_texture: Some(0),
            alpha_mode: AlphaMode::Blend,
            double_sided: true,
            ..Material::default()
        },
    ];
    let data = (0..8 * 4 * 4).map(|i| (i * 29 % 256) as u8).collect();
    mesh.textures = vec![Texture {
        image: Image::from_raw(8, 4, 4, data).unwrap(),
        wrap_u: Wrap::Clamp,
        wrap_v: Wrap::Mirror,
    }];
    mesh
}

fn ply_of_glb(bytes: &[u8]) -> Vec<u8> {
    encode_ply(&decode_gltf(bytes).unwrap()).unwrap()
}

#[test]
fn a_cloud_is_the_same_after_ply_glb_ply() {
    let cloud = cloud();
    let ply = encode_ply(&cloud).unwrap();
    let from_ply = decode_ply(&ply).unwrap();
    let glb = encode_glb(&from_ply, TextureFormat::Png).unwrap();
    assert!(ply_of_glb(&glb) == ply, "every byte, dark colours too");
    let back = decode_gltf(&glb).unwrap().into_cloud().unwrap();
    assert_eq!(back.colours, cloud.colours);
    assert_eq!(back.positions, cloud.positions);
    assert_eq!(encode_glb(&from_ply, TextureFormat::Png).unwrap(), glb);
}

#[test]
fn a_glb_is_y_up_with_its_front_at_z() {
    let cloud = PointCloud {
        positions: vec![[1.0, -2.0, 3.0]],
        colours: Some(vec![[188, 0, 255]]),
        normals: None,
    };
    let glb = encode_glb(&cloud, TextureFormat::Png).unwrap();
    let json = String::from_utf8_lossy(&glb);
    // Right, up, towards the front.
    assert!(
        json.contains(r#""min":[1.0,3.0,2.0],"max":[1.0,3.0,2.0]"#),
        "{json}"
    );
    // sRGB 188 is half the light, as a float; no colour goes through 8 or 16 bits of light.
    let light = ((188.0f64 / 255.0 + 0.055) / 1.055).powf(2.4) as f32;
    let near = |a: f32, b: f32| (a - b).abs() < 1e-6;
    assert!(glb.windows(16).any(|bytes| {
        let (values, _) = bytes.as_chunks::<4>();
        let [r, g, b, a] = [0, 1, 2, 3].map(|i| f32::from_le_bytes(values[i]));
        near(r, light) && near(g, 0.0) && near(b, 1.0) && near(a, 1.0)
    }));
}

#[test]
fn a_mesh_is_the_same_after_obj_glb_obj() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("a.obj"), folder.path().join("b.obj"));
    let mesh = cube();
    write_obj(&first, &mesh).unwrap();
    let from_obj = read_asset(&first).unwrap();
    assert_eq!(from_obj.notes, [""; 0]);
    let glb = encode_glb(&from_obj, TextureFormat::Png).unwrap();
    let from_glb = decode_gltf(&glb).unwrap();
    write_obj(&second, &from_glb).unwrap();
    let again = read_asset(&second).unwrap();
    assert_eq!(again, from_glb);
    // MTL has no word for the back faces and for mirrored textures.
    let mut expected = mesh.clone();
    expected.materials[1].double_sided = false;
    expected.textures[0].wrap_u = Wrap::Repeat;
    expected.textures[0].wrap_v = Wrap::Repeat;
    assert_eq!(from_obj.into_mesh().unwrap(), expected);
    let text = |path| {
        std::fs::read_to_string(path)
            .unwrap()
            .replace("b.mtl", "a.mtl")
    };
    assert_eq!(text(&first), text(&second));
}

#[test]
fn a_mesh_comes_back_from_a_glb_as_it_was() {
    let mut mesh = cube();
    let label = &mut mesh.materials[1];
    label.metallic_roughness_texture = Some(TextureSlot::plain(0));
    label.normal_texture = Some(TextureSlot::plain(0));
    label.normal_scale = 0.5;
    label.emissive = [0.25, 0.5, 1.0];
    label.emissive_texture = Some(TextureSlot::plain(0));
    let glb = encode_glb(&mesh, TextureFormat::Png).unwrap();
    assert_eq!(decode_gltf(&glb).unwrap(), Asset::from(mesh.clone()));
    let mut coloured = mesh;
    let levels = (0..coloured.positions.len()).map(|i| [i as u8, 3, 255, 7 * i as u8]);
    coloured.colours = Some(levels.collect());
    let glb = encode_glb(&coloured, TextureFormat::Png).unwrap();
    assert_eq!(decode_gltf(&glb).unwrap(), Asset::from(coloured));
}

#[test]
fn ply_puts_materials_on_the_vertices() {
    let mesh = cube();
    let back = decode_ply(&encode_ply(&mesh).unwrap())
        .unwrap()
        .into_mesh()
        .unwrap();
    assert_eq!(back.triangles, mesh.triangles);
    assert_eq!(back.normals, mesh.normals);
    // Linear 0.5, 0.25, 0.125 as sRGB.
    assert_eq!(back.colours.unwrap()[0], [188, 137, 99, 255]);
}

#[test]
fn both_kinds_stand_together_in_a_glb_only() {
    let asset = Asset {
        mesh: Some(cube()),
        cloud: Some(cloud()),
        ..Asset::default()
    };
    let glb = encode_glb(&asset, TextureFormat::Png).unwrap();
    assert_eq!(decode_gltf(&glb).unwrap(), asset);
    assert!(encode_ply(&asset).unwrap_err().hint().is_some());
}

#[test]
fn a_position_that_is_no_number_is_named() {
    let mut cloud = cloud();
    cloud.positions[17][1] = f32::NAN;
    for error in [
        encode_ply(&cloud).unwrap_err(),
        encode_glb(&cloud, TextureFormat::Png).unwrap_err(),
    ] {
        assert!(error.to_string().contains("point 17"), "{error}");
        assert!(error.hint().is_some());
    }
    cloud.positions.clear();
    cloud.colours = None;
    cloud.normals = None;
    assert!(encode_ply(&cloud).is_err());
}

#[test]
fn jpeg_textures_are_smaller_and_close() {
    let mut mesh = cube();
    let data: Vec<u8> = (0..64 * 64)
        .flat_map(|i| [(i % 64) * 4, i / 64 * 4, 90])
        .map(|v| v as u8)
        .collect();
    mesh.textures[0].image = Image::from_raw(64, 64, 3, data).unwrap();
    let glb = encode_glb(&mesh, TextureFormat::Jpeg { quality: 90 }).unwrap();
    assert!(String::from_utf8_lossy(&glb).contains("image/jpeg"));
    let back = decode_gltf(&glb).unwrap().into_mesh().unwrap();
    let (was, is) = (&mesh.textures[0].image, &back.textures[0].image);
    let far = was
        .data()
        .iter()
        .zip(is.data())
        .map(|(a, b)| a.abs_diff(*b))
        .max();
    assert!(far.unwrap() < 16, "{far:?}");
}

#[test]
fn obj_reads_what_people_write() {
    let text = b"v 0 0 0 1 0 0\nv 1 0 0 0 1 0\nv 1 1 0 0 0 1\nv 0 1 0 0.5 0.5 0.5\n\
        vt 0 0\nvt 1 1\ng side\nf -4/1 -3/1 -2/2 -1\nl 1 2\n";
    let asset = decode_obj(text).unwrap();
    assert_eq!(asset.notes, ["lines and curves are left out"]);
    let mesh = asset.into_mesh().unwrap();
    assert_eq!(mesh.triangles, [[0, 1, 2], [0, 2, 3]]);
    assert_eq!(mesh.positions[3], [0.0, 0.0, 1.0]);
    assert_eq!(
        mesh.uvs.unwrap(),
        [[0.0, 1.0], [0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]
    );
    assert_eq!(mesh.colours.unwrap()[3], [128, 128, 128, 255]);
    let bytes_as_levels = decode_obj(b"v 0 0 0 255 128 0\nv 0 0 1 1 0 0\n").unwrap();
    let cloud = bytes_as_levels.into_cloud().unwrap();
    assert_eq!(cloud.colours.unwrap(), [[255, 128, 0], [1, 0, 0]]);
}
