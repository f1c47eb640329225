//! Sets of photos in every form, whole and broken.

use packshot_core::{ErrorKind, Image};
use packshot_formats::photo_sets::{
    Split, decode_colmap_binary, decode_colmap_text, decode_poses_bounds, decode_transforms,
    read_photo_set,
};
use packshot_formats::write_png;
use serde_json::{Value, json};
use std::path::Path;

fn frame(name: &str) -> Value {
    json!({"file_path": name, "transform_matrix": [[1, 0, 0, 0.5], [0, 1, 0, 0], [0, 0, 1, 4], [0, 0, 0, 1]]})
}

fn write_set(folder: &Path, value: &Value, photos: &[&str]) {
    std::fs::write(folder.join("transforms.json"), value.to_string())
        .expect("a temporary folder can be written");
    for photo in photos {
        write_png(
            &folder.join(photo),
            &Image::filled(8, 6, &[200, 100, 50, 128]),
        )
        .expect("a temporary folder can be written");
    }
}

#[test]
fn missing_photos_are_left_out_and_named() {
    let place = tempfile::tempdir().unwrap();
    let frames: Vec<Value> = ["a.png", "b", "c.png", "gone.jpg"]
        .iter()
        .map(|n| frame(n))
        .collect();
    let set = json!({"camera_angle_x": 0.9, "aabb_scale": 4, "white_transparent": false, "frames": frames});
    write_set(place.path(), &set, &["a.png", "b.png", "c.png"]);
    let set = read_photo_set(place.path()).unwrap();
    assert_eq!(set.photos.len(), 3);
    assert_eq!(set.aabb_scale, Some(4.0));
    assert!(
        set.notes
            .iter()
            .any(|n| n.code == "missing-photo" && n.text.contains("gone.jpg"))
    );
    let intrinsics = set.photos[1].camera.intrinsics;
    assert!((intrinsics.focal[0] - 4.0 / 0.45f64.tan()).abs() < 1e-9 && intrinsics.height == 6);
    let small = set.photos[1].load(2, None).unwrap();
    assert_eq!((small.image.width(), small.image.height()), (4, 3));
    assert!((small.camera.intrinsics.focal[0] - intrinsics.focal[0] / 2.0).abs() < 1e-9);
    assert_eq!(small.image.pixel(0, 0), [200, 100, 50, 128]);
}

#[test]
fn lists_and_intrinsics_of_frames_count() {
    let place = tempfile::tempdir().unwrap();
    let names = ["0.png", "1.png", "2.png", "3.png"];
    let mut frames: Vec<Value> = names.iter().map(|n| frame(n)).collect();
    frames[1]["fl_x"] = json!(16.0);
    frames[1]["k1"] = json!(0.1);
    let set = json!({"fl_x": 8.0, "fl_y": 9.0, "w": 8.0, "h": 6, "cx": 4.5, "cy": 3, "camera_model": "OPENCV",
        "frames": frames, "train_filenames": ["0.png", "1.png"], "test_filenames": ["2.png"]});
    write_set(place.path(), &set, &names);
    let set = read_photo_set(&place.path().join("transforms.json")).unwrap();
    let splits: Vec<Split> = set.photos.iter().map(|p| p.split).collect();
    assert_eq!(
        splits,
        [Split::Train, Split::Train, Split::Test, Split::Validation]
    );
    let [first, second] = [0, 1].map(|i| set.photos[i].camera.intrinsics);
    assert_eq!((first.focal, second.focal), ([8.0, 9.0], [16.0, 9.0]));
    assert_ne!(first.lens, second.lens);
}

#[test]
fn wrong_fields_are_named_with_their_place() {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut set = json!({"camera_angle_x": 0.9, "frames": [frame("a"), frame("b")]});
        change(&mut set);
        decode_transforms(set.to_string().as_bytes()).unwrap_err()
    };
    for (change, place) in [
        (
            &(|v: &mut Value| v["frames"][1]["transform_matrix"][0][0] = json!("x"))
                as &dyn Fn(&mut Value),
            "frames[1]",
        ),
        (
            &|v| v["frames"][1]["transform_matrix"] = json!([[1, 0], [0, 1]]),
            "frames[1]",
        ),
        (
            &|v| v["frames"][0]["transform_matrix"][2] = json!([0, 0, 0, 0]),
            "frames[0]",
        ),
        (
            &|v| v["frames"][0]["transform_matrix"][2][2] = json!(-1),
            "frames[0]",
        ),
        (&|v| v["frames"][0]["file_path"] = json!(7), "frames[0]"),
        (&|v| v["frames"] = json!({}), "frames"),
        (&|v| v["camera_angle_x"] = json!("wide"), "camera_angle_x"),
        (&|v| v["camera_angle_x"] = json!(7.0), "camera_angle_x"),
        (&|v| v["w"] = json!(0), "w and h"),
    ] {
        let error = with(change);
        assert_eq!(error.kind(), ErrorKind::BadInput);
        assert!(
            error.to_string().contains(place),
            "{error} should name {place}"
        );
        assert!(error.hint().is_some(), "{error}");
    }
    assert!(decode_transforms(b"{\"frames\": [NaN]}").is_err());
    let unknown =
        json!({"camera_angle_x": 0.9, "camera_model": "PUSHBROOM", "frames": [frame("a")]});
    let error = decode_transforms(unknown.to_string().as_bytes()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn folders_without_a_set_say_what_is_missing() {
    let place = tempfile::tempdir().unwrap();
    let error = read_photo_set(place.path()).unwrap_err();
    assert!(error.to_string().contains("no photos"), "{error}");
    write_png(&place.path().join("a.png"), &Image::filled(4, 4, &[0; 3])).unwrap();
    let error = read_photo_set(place.path()).unwrap_err();
    assert!(error.hint().unwrap().contains("COLMAP"), "{error}");
    let one = json!({"camera_angle_x": 0.9, "frames": [frame("a")]});
    write_set(place.path(), &one, &[]);
    assert!(
        read_photo_set(place.path())
            .unwrap_err()
            .to_string()
            .contains("two are the least")
    );
    let absurd = json!({"fl_x": 0.001, "w": 4, "h": 4, "frames": [frame("a"), frame("a")]});
    write_set(place.path(), &absurd, &[]);
    assert!(
        read_photo_set(place.path())
            .unwrap_err()
            .to_string()
            .contains("focal length")
    );
    let gone = json!({"camera_angle_x": 0.9, "frames": [frame("x"), frame("y")]});
    write_set(place.path(), &gone, &[]);
    assert!(
        read_photo_set(place.path())
            .unwrap_err()
            .to_string()
            .contains("none of its 2 photos")
    );
}

#[test]
fn colmap_models_are_the_same_from_both_forms_and_as_expected() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/colmap_sparse");
    let bytes = |name: &str| std::fs::read(dir.join(name)).unwrap();
    let text = |name: &str| String::from_utf8(bytes(name)).unwrap();
    let binary = decode_colmap_binary(&bytes("cameras.bin"), &bytes("images.bin")).unwrap();
    let plain = decode_colmap_text(&text("cameras.txt"), &text("images.txt")).unwrap();
    let expected: Value = serde_json::from_str(&text("expected.json")).unwrap();
    for model in [&binary, &plain] {
        assert_eq!(
            model.cameras.len(),
            expected["cameras"].as_array().unwrap().len()
        );
        assert_eq!(
            model.images.len(),
            expected["images"].as_array().unwrap().len()
        );
        for (camera, want) in model
            .cameras
            .iter()
            .zip(expected["cameras"].as_array().unwrap())
        {
            assert_eq!(json!(camera.id), want["id"]);
            assert_eq!(camera.model, want["model"].as_str().unwrap());
            assert_eq!(json!(camera.params), want["params"]);
        }
        for (image, want) in model
            .images
            .iter()
            .zip(expected["images"].as_array().unwrap())
        {
            assert_eq!(image.name, want["name"].as_str().unwrap());
        }
    }
    for (a, b) in binary.images.iter().zip(&plain.images) {
        assert_eq!((&a.name, a.camera, a.points), (&b.name, b.camera, b.points));
        assert!(
            a.rotation
                .iter()
                .zip(b.rotation)
                .all(|(a, b)| (a - b).abs() < 1e-12)
        );
    }
    // Cut anywhere, a model is an error and never more memory than it has bytes.
    let images = bytes("images.bin");
    for end in 0..images.len() {
        assert!(decode_colmap_binary(&bytes("cameras.bin"), &images[..end]).is_err());
    }
    let mut huge = images.clone();
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(decode_colmap_binary(&bytes("cameras.bin"), &huge).is_err());
    let error = decode_colmap_text("1 PINHOLE 640 480 1 2 3\n", "").unwrap_err();
    assert!(error.to_string().contains("line 1"), "{error}");
}

#[test]
fn llff_poses_turn_to_our_axes_and_cut_files_are_errors() {
    let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 17), }\n";
    // Axes down, right, back of a camera that stands at (1, 2, 3) and looks along −z.
    let row = [
        0.0, 1.0, 0.0, 1.0, 30.0, -1.0, 0.0, 0.0, 2.0, 40.0, 0.0, 0.0, 1.0, 3.0, 50.0, 2.0, 9.0,
    ];
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(row.iter().flat_map(|v: &f64| v.to_le_bytes()));
    let views = decode_poses_bounds(&bytes).unwrap();
    let identity = [
        [1.0, 0.0, 0.0, 1.0],
        [0.0, 1.0, 0.0, 2.0],
        [0.0, 0.0, 1.0, 3.0],
    ];
    assert_eq!(views[0].world_from_camera, identity);
    assert_eq!((views[0].size, views[0].bounds), ([40, 30], [2.0, 9.0]));
    for end in 0..bytes.len() {
        assert!(decode_poses_bounds(&bytes[..end]).is_err());
    }
}

#[test]
fn reference_cameras_are_within_their_tolerance() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    for name in ["poses.safetensors", "colmap_sparse"] {
        let case = packshot_formats::parity::run(&dir, name).unwrap().unwrap();
        let bad: Vec<_> = case.tensors.iter().filter(|t| !t.ok()).collect();
        assert!(case.ok(), "{name}: {bad:?}");
    }
}
