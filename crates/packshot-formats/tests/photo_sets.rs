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

fn splits(set: &packshot_formats::photo_sets::PhotoSet) -> Vec<Split> {
    set.photos.iter().map(|p| p.split).collect()
}

#[test]
fn sizes_may_be_missing_and_names_may_be_of_windows() {
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir(place.path().join("images")).unwrap();
    let mut frames: Vec<Value> = ["images\\a", "./images/b.png"]
        .iter()
        .map(|n| frame(n))
        .collect();
    frames[1]["camera_angle_y"] = json!(0.7);
    frames[1]["x_fov"] = json!(60.0);
    let set = json!({"fl_x": 9.0, "cx": 3.5, "cy": 2.5, "frames": frames,
        "applied_transform": [[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0]], "applied_scale": 0.5});
    write_set(place.path(), &set, &["images/b.png"]);
    std::fs::copy(
        place.path().join("images/b.png"),
        place.path().join("images/a.PNG"),
    )
    .unwrap();
    let set = read_photo_set(place.path()).unwrap();
    let [a, b] = [0, 1].map(|i| set.photos[i].camera.intrinsics);
    assert_eq!(
        (a.width, a.height, a.focal, a.centre),
        (8, 6, [9.0; 2], [3.5, 2.5])
    );
    assert!((b.focal[0] - 4.0 / 30f64.to_radians().tan()).abs() < 1e-9);
    assert!((b.focal[1] - 3.0 / 0.35f64.tan()).abs() < 1e-9);
}

#[test]
fn lists_name_files_with_and_without_a_dot_and_validation_stands_in_for_tests() {
    let place = tempfile::tempdir().unwrap();
    let names = ["./0.png", "1.png", "2.png"];
    let frames: Vec<Value> = names.iter().map(|n| frame(n)).collect();
    let set = json!({"camera_angle_x": 0.9, "frames": frames, "train_filenames": ["0.png", "./1.png"], "val_filenames": ["2.png"]});
    write_set(place.path(), &set, &names);
    let read = read_photo_set(place.path()).unwrap();
    assert_eq!(splits(&read), [Split::Train, Split::Train, Split::Test]);
    // All of them stand at one place.
    assert!(read.notes.iter().any(|n| n.code == "same-place"));
    let mut other = set.clone();
    other["train_filenames"] = json!(["9.png"]);
    write_set(place.path(), &other, &[]);
    let error = read_photo_set(place.path()).unwrap_err();
    assert!(error.hint().unwrap().contains("train_filenames"), "{error}");
    let mut far = set;
    far["frames"][1]["transform_matrix"][0][3] = json!(1e300);
    write_set(place.path(), &far, &[]);
    let error = read_photo_set(place.path()).unwrap_err();
    assert!(error.to_string().contains("frames[1]"), "{error}");
    far["frames"][1]["transform_matrix"][0][3] = json!(3);
    write_set(place.path(), &far, &[]);
    let read = read_photo_set(place.path()).unwrap();
    assert!(!read.notes.iter().any(|n| n.code == "same-place"));
}

#[test]
fn photos_whose_mask_is_missing_are_left_out_and_masks_may_have_another_size() {
    let place = tempfile::tempdir().unwrap();
    let names = ["a.png", "b.png", "c.png"];
    let mut frames: Vec<Value> = names.iter().map(|n| frame(n)).collect();
    frames[0]["mask_path"] = json!("gone.png");
    frames[1]["mask_path"] = json!("mask.png");
    let set = json!({"camera_angle_x": 0.9, "frames": frames});
    write_set(place.path(), &set, &names);
    // Half as large as the photo; its first pixel is black.
    let mut mask = Image::filled(4, 3, &[255; 3]);
    mask.pixel_mut(0, 0).copy_from_slice(&[0; 3]);
    write_png(&place.path().join("mask.png"), &mask).unwrap();
    let mut moving = Image::filled(8, 6, &[0; 3]);
    moving.pixel_mut(7, 5).copy_from_slice(&[9; 3]);
    write_png(&place.path().join("dynamic_mask_c.png"), &moving).unwrap();
    let set = read_photo_set(place.path()).unwrap();
    assert_eq!(set.photos.len(), 2);
    assert!(
        set.notes
            .iter()
            .any(|n| n.code == "missing-mask" && n.text.contains("gone.png"))
    );
    let ignored = |i: usize, downscale: usize| -> Vec<usize> {
        let ignored = set.photos[i]
            .load(downscale, None)
            .unwrap()
            .ignored
            .unwrap();
        (0..ignored.len()).filter(|p| ignored[*p]).collect()
    };
    assert_eq!(ignored(0, 1), [0, 1, 8, 9]);
    assert_eq!(ignored(0, 2), [0]);
    assert_eq!((ignored(1, 1), ignored(1, 2)), (vec![47], vec![11]));
    // Alpha stays what it is: an ignored pixel is not an empty one.
    assert_eq!(
        set.photos[0].load(1, None).unwrap().image.pixel(0, 0)[3],
        128
    );
}

#[test]
fn heic_and_no_numbers_have_hints() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("IMG_1.HEIC"), b"\0\0\0\x18ftypheic").unwrap();
    let error = read_photo_set(place.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.hint().unwrap().contains("JPEG"), "{error}");
    let error = packshot_formats::photo_sets::photos_in(place.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let files = ["a.png", "b.png", "broken.png", "c.png"].map(|n| place.path().join(n));
    for (file, width) in files.iter().zip([4, 4, 0, 5]) {
        if width > 0 {
            write_png(file, &Image::filled(width, 4, &[0; 3])).unwrap();
        } else {
            std::fs::write(file, "no picture").unwrap();
        }
    }
    assert!(packshot_formats::photo_sets::same_size(&files[..3]));
    assert!(!packshot_formats::photo_sets::same_size(&files));
    let error = decode_transforms(b"{\"frames\": [{\"transform_matrix\": [[NaN]]}]}").unwrap_err();
    assert!(error.hint().unwrap().contains("NaN"), "{error}");
}

#[test]
fn a_synthetic_set_without_its_test_views_holds_out_some_others() {
    let place = tempfile::tempdir().unwrap();
    let frames: Vec<Value> = (0..9).map(|i| frame(&format!("./{i}"))).collect();
    let names: Vec<String> = (0..9).map(|i| format!("{i}.png")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    write_set(
        place.path(),
        &json!({"camera_angle_x": 0.9, "frames": frames}),
        &names,
    );
    std::fs::rename(
        place.path().join("transforms.json"),
        place.path().join("transforms_train.json"),
    )
    .unwrap();
    let gone = json!({"camera_angle_x": 0.9, "frames": [frame("./gone")]});
    std::fs::write(place.path().join("transforms_test.json"), gone.to_string()).unwrap();
    let set = read_photo_set(place.path()).unwrap();
    assert_eq!(
        splits(&set).iter().filter(|s| **s == Split::Test).count(),
        2
    );
    assert!(set.notes.iter().any(|n| n.code == "no-test"));
    std::fs::write(place.path().join("transforms_test.json"), "{\"frames\": 3}").unwrap();
    assert!(read_photo_set(place.path()).is_err());
}

/// A `poses_bounds.npy` of so many equal rows for photos of 32×24 pixels.
fn poses_bounds(rows: usize) -> Vec<u8> {
    let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({rows}, 17), }}\n");
    let row = [
        0.0, 1.0, 0.0, 1.0, 24.0, -1.0, 0.0, 0.0, 2.0, 32.0, 0.0, 0.0, 1.0, 3.0, 40.0, 2.0, 9.0,
    ];
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    for _ in 0..rows {
        bytes.extend(row.iter().flat_map(|v: &f64| v.to_le_bytes()));
    }
    bytes
}

#[test]
fn llff_sets_take_the_smaller_files_that_they_have() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("poses_bounds.npy"), poses_bounds(9)).unwrap();
    let write = |folder: &str, name: &dyn Fn(usize) -> String, size: (usize, usize), level: u8| {
        std::fs::create_dir(place.path().join(folder)).unwrap();
        for i in 0..9 {
            let path = place.path().join(folder).join(name(i));
            write_png(&path, &Image::filled(size.0, size.1, &[level; 3])).unwrap();
        }
    };
    // Names of the small files differ, as LLFF's do.
    write("images_4", &|i| format!("image{i:03}.png"), (8, 6), 40);
    let set = read_photo_set(place.path()).unwrap();
    let held_out: Vec<usize> = (0..9)
        .filter(|i| set.photos[*i].split == Split::Test)
        .collect();
    assert_eq!(held_out, [0, 8]);
    // The small files alone: 1 and 4 are what is there, 8 is half of it.
    for (downscale, width) in [(1, 8), (4, 8), (8, 4)] {
        let photo = set.photos[0].load(downscale, None).unwrap();
        assert_eq!(photo.image.width(), width);
        assert!((photo.camera.intrinsics.focal[0] - 40.0 * width as f64 / 32.0).abs() < 1e-9);
    }
    write("images", &|i| format!("IMG_{i}.png"), (32, 24), 200);
    let set = read_photo_set(place.path()).unwrap();
    for (downscale, width, level) in [(1, 32, 200), (2, 16, 200), (4, 8, 40), (8, 4, 40)] {
        let photo = set.photos[0].load(downscale, None).unwrap();
        assert_eq!(
            (photo.image.width(), photo.image.pixel(0, 0)[0]),
            (width, level)
        );
    }
    std::fs::write(place.path().join("poses_bounds.npy"), poses_bounds(3)).unwrap();
    let error = read_photo_set(place.path()).unwrap_err();
    assert!(
        error.to_string().contains("3 cameras") && error.hint().is_some(),
        "{error}"
    );
}

#[test]
fn cameras_for_pixels_as_they_lie_turn_upright_with_the_photo() {
    let place = tempfile::tempdir().unwrap();
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures");
    for i in [1, 6] {
        let name = format!("orientation-{i}.jpg");
        std::fs::copy(pictures.join(&name), place.path().join(&name)).unwrap();
    }
    let size = |i: usize| {
        let image = packshot_formats::read_picture(&pictures.join(format!("orientation-{i}.jpg")));
        let image = image.unwrap();
        (image.width(), image.height())
    };
    let (w, h) = size(1);
    assert_eq!(size(6), (w, h), "both are the same picture, upright");
    // The sixth lies on its side in the file, and its camera is for that.
    let mut frames = vec![frame("orientation-1.jpg"), frame("orientation-6.jpg")];
    for (frame, [w, h]) in frames.iter_mut().zip([[w, h], [h, w]]) {
        frame["w"] = json!(w);
        frame["h"] = json!(h);
        frame["fl_x"] = json!(2 * w);
        frame["fl_y"] = json!(3 * w);
    }
    write_set(place.path(), &json!({"frames": frames}), &[]);
    let set = read_photo_set(place.path()).unwrap();
    let turned = &set.photos[1];
    assert_eq!(turned.turned, 1);
    let i = turned.camera.intrinsics;
    assert_eq!((i.width, i.height), (w, h));
    assert_eq!(i.focal, [3.0 * h as f64, 2.0 * h as f64]);
    // What was up in the file is right now.
    let right = turned.camera.world_from_camera.map(|row| row[0]);
    assert_eq!(right, [0.0, 1.0, 0.0]);
    assert!(!turned.load(1, None).unwrap().proportions_differ);
}

const CAMERAS: &str = "# a comment\n7 SIMPLE_RADIAL 8 6 9 4 3 0.01\n";

#[test]
fn the_largest_colmap_model_counts_and_newer_lenses_are_refused_by_name() {
    let place = tempfile::tempdir().unwrap();
    let image = |id: usize, name: &str| format!("{id} 1 0 0 0 0 0 {id} 7 {name}\n\n");
    for (model, count) in [("0", 2), ("1", 9)] {
        let folder = place.path().join("sparse").join(model);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("cameras.txt"), CAMERAS).unwrap();
        std::fs::write(folder.join("rigs.bin"), b"newer than this").unwrap();
        let images: String = (1..=count)
            .map(|i| image(i, &format!("a set/photo {i}.png")))
            .collect();
        std::fs::write(folder.join("images.txt"), images).unwrap();
    }
    std::fs::create_dir_all(place.path().join("images/a set")).unwrap();
    for i in 1..=9 {
        let path = place.path().join(format!("images/a set/photo {i}.png"));
        write_png(&path, &Image::filled(8, 6, &[50; 3])).unwrap();
    }
    let set = read_photo_set(place.path()).unwrap();
    assert_eq!(set.photos.len(), 9);
    assert_eq!(set.photos[1].name, "a set/photo 2.png");
    assert!(set.notes.iter().any(|n| n.code == "several-models"));
    assert_eq!(
        splits(&set).iter().filter(|s| **s == Split::Test).count(),
        2
    );
    let error = decode_colmap_text("1 RAD_TAN_THIN_PRISM_FISHEYE 640 480 1\n", "").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(
        error.to_string().contains("RAD_TAN_THIN_PRISM_FISHEYE"),
        "{error}"
    );
    let mut newer = 1u64.to_le_bytes().to_vec();
    newer.extend(1u32.to_le_bytes());
    newer.extend(11u32.to_le_bytes());
    newer.extend([0; 64]);
    let error = decode_colmap_binary(&newer, &0u64.to_le_bytes()).unwrap_err();
    assert!(
        error.to_string().contains("11") && error.hint().is_some(),
        "{error}"
    );
    // A pose that is no number.
    let folder = place.path().join("sparse/1");
    let images = std::fs::read_to_string(folder.join("images.txt")).unwrap();
    std::fs::write(
        folder.join("images.txt"),
        images.replacen("1 0 0 0 0 0 4", "nan 0 0 0 0 0 4", 1),
    )
    .unwrap();
    let error = read_photo_set(place.path()).unwrap_err();
    assert!(error.to_string().contains("photo 4.png"), "{error}");
}
