//! From files of meshes to training sets, folders and packs.

use crate::testing::{BLUE, GREEN, GREY, RED, cuboid, write_glb};
use crate::{
    BuildOptions, Filter, FlatRule, PackOptions, Source, Split, TrainingObject, TrainingSet,
    VIEW_SIDE, VIEWS, build, pack,
};
use packshot_core::{CancelToken, Context, ErrorKind, Message, Progress, Seed};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A red cupboard with a green front, a blue sheet, a post and two files that are no meshes.
fn catalogue(folder: &Path) -> [Source; 1] {
    let cupboard = cuboid(
        [1.0, 2.0, 3.0],
        [2.0, 2.8, 5.0],
        [RED, RED, GREEN, RED, RED, RED],
    );
    write_glb(&folder.join("cupboard.glb"), &cupboard);
    let sheet = cuboid([0.0; 3], [1.0, 1.0, 0.01], [BLUE; 6]);
    write_glb(&folder.join("sheet.glb"), &sheet);
    let post = cuboid([0.0; 3], [0.1, 0.1, 1.0], [GREY; 6]);
    write_glb(&folder.join("post.glb"), &post);
    std::fs::write(folder.join("broken.glb"), b"glTF").unwrap();
    let lines = [
        r#"{"id":"cupboard","file":"cupboard.glb","caption":"a red cupboard","captions":["a red and green cupboard"],"category":"storage","colours":["red","green"],"licence":"CC0-1.0","attribution":"A | B","source":"here","split":"train"}"#,
        r#"{"id":"sheet","file":"sheet.glb","caption":"a blue sheet","colours":["blue"],"flat":true,"split":"val"}"#,
        r#"{"id":"broken","file":"broken.glb","caption":"a broken thing"}"#,
        r#"{"id":"post","file":"post.glb","caption":"a post","colours":["grey"],"yaw_deg":45,"split":"train"}"#,
        r#"{"id":"missing","file":"missing.glb","caption":"a missing thing"}"#,
    ];
    std::fs::write(folder.join("objects.jsonl"), lines.join("\n")).unwrap();
    [Source::Folder {
        path: folder.to_owned(),
        captions: None,
        filter: Filter::default(),
    }]
}

fn quick() -> BuildOptions {
    BuildOptions {
        cameras: 6,
        resolution: 64,
        samples_per_side: 2,
        flat: FlatRule::KeepMarked,
        ..BuildOptions::default()
    }
}

/// All files below a folder with their content.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_owned();
                found.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    found
}

fn object<'a>(set: &'a TrainingSet, id: &str) -> &'a TrainingObject {
    set.objects.iter().find(|o| o.id == id).unwrap()
}

#[test]
fn a_folder_of_meshes_becomes_a_training_set() {
    let home = tempfile::tempdir().unwrap();
    let source = catalogue(home.path());
    let out = home.path().join("set");
    let report = build(&source, &out, &quick(), &Context::silent()).unwrap();
    assert_eq!((report.objects, report.train, report.val), (3, 2, 1));
    let skipped: Vec<&str> = report.skipped.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(skipped, ["broken", "missing"]);
    assert!(report.flat_dropped.is_empty());

    let set = TrainingSet::open(&out).unwrap();
    let ids: Vec<&str> = set.objects.iter().map(|o| o.id.as_str()).collect();
    assert_eq!(ids, ["cupboard", "sheet", "post"]);
    let sheet = object(&set, "sheet");
    assert!(sheet.flat && sheet.split == Split::Val);
    assert_eq!(sheet.recolour.as_deref(), Some("blue"));
    let cupboard = object(&set, "cupboard");
    assert!(!cupboard.flat && cupboard.split == Split::Train);
    assert_eq!(cupboard.captions, ["a red and green cupboard"]);
    assert_eq!(cupboard.recolour.as_deref(), Some("red"));
    assert_eq!(object(&set, "post").recolour, None);
    let credits = std::fs::read_to_string(out.join("CREDITS.md")).unwrap();
    assert!(credits.contains("| A \\| B | CC0-1.0 | here | 1 |"));
    assert!(credits.contains("not stated"));
}

#[test]
fn variations_have_other_proportions_and_nothing_held_out() {
    let home = tempfile::tempdir().unwrap();
    let source = catalogue(home.path());
    let sides = |name: &str, vary: f32, seed: u64| {
        let out = home.path().join(name);
        let options = BuildOptions {
            vary,
            seed: Seed(seed),
            ..quick()
        };
        let report = build(&source, &out, &options, &Context::silent()).unwrap();
        let set = TrainingSet::open(&out).unwrap();
        let bounds = packshot_geometry::Bounds::of(object(&set, "cupboard").positions.clone());
        (report.val, bounds.unwrap().size())
    };
    let (held_out, plain) = sides("plain", 0.0, 1);
    let (none, varied) = sides("varied", 0.5, 1);
    let (_, other) = sides("other", 0.5, 2);
    assert_eq!((held_out, none), (1, 0));
    for (a, b) in [(plain, varied), (plain, other), (varied, other)] {
        assert!((a - b).norm() > 0.02, "{a} {b}");
    }
    let wrong = BuildOptions {
        vary: 2.0,
        ..quick()
    };
    let error = build(&source, &home.path().join("x"), &wrong, &Context::silent());
    assert_eq!(error.unwrap_err().place(), Some("--vary"));
}

#[test]
fn a_folder_of_obj_files_and_recipes_mix() {
    let home = tempfile::tempdir().unwrap();
    let obj = "v 0 0 0\nv 1 0 0\nv 0 2 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n";
    std::fs::create_dir(home.path().join("m")).unwrap();
    std::fs::write(home.path().join("m/corner.obj"), obj).unwrap();
    let table = "file,caption,category\nm/corner.obj,a tall corner,shape\nm/x.stl,a part,shape\n";
    std::fs::write(home.path().join("captions.csv"), table).unwrap();
    let sources = [
        Source::Folder {
            path: home.path().to_owned(),
            captions: None,
            filter: Filter::default(),
        },
        Source::Recipes {
            names: vec!["mug".to_owned()],
            count: 1,
        },
    ];
    let out = home.path().join("set");
    let report = build(&sources, &out, &quick(), &Context::silent()).unwrap();
    assert_eq!(report.skipped.len(), 1);
    assert_eq!(report.skipped[0].id, "m-x");
    let set = TrainingSet::open(&out).unwrap();
    let ids: Vec<&str> = set.objects.iter().map(|o| o.id.as_str()).collect();
    assert_eq!(ids, ["m-corner", "recipe-mug-0"]);
    // OBJ is +Y up: the longest side stands.
    let corner = object(&set, "m-corner");
    let heights = corner.positions.iter().map(|p| p[2]);
    assert!(heights.fold(0.0, f32::max) > 0.45);
    let mug = object(&set, "recipe-mug-0");
    assert!(mug.caption.contains("mug") && !mug.captions.is_empty());
    assert_eq!(mug.licence, "CC0-1.0");
    let unknown = [Source::Recipes {
        names: vec!["anvil".to_owned()],
        count: 1,
    }];
    let other = home.path().join("other");
    let error = build(&unknown, &other, &quick(), &Context::silent()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.hint().unwrap().contains("mug"));
}

#[test]
fn points_are_the_surface_in_its_own_colours() {
    let home = tempfile::tempdir().unwrap();
    let source = catalogue(home.path());
    let out = home.path().join("set");
    let options = BuildOptions {
        cameras: 20,
        resolution: 128,
        ..quick()
    };
    build(&source, &out, &options, &Context::silent()).unwrap();
    let set = TrainingSet::open(&out).unwrap();
    let cupboard = object(&set, "cupboard");
    assert_eq!(cupboard.positions.len(), crate::POINTS);
    assert_eq!(cupboard.colours_srgb.len(), crate::POINTS);
    // 1 × 0.8 × 2 metres, scaled to half.
    let half = [0.25f32, 0.2, 0.5];
    let mut sides = [0; 6];
    for (position, colour) in cupboard.positions.iter().zip(&cupboard.colours_srgb) {
        let axis = (0..3)
            .find(|&axis| (position[axis].abs() - half[axis]).abs() < 1e-4)
            .expect("a point off the surface");
        let side = axis * 2 + usize::from(position[axis] > 0.0);
        sides[side] += 1;
        let on_edge = (0..3)
            .filter(|&axis| (position[axis].abs() - half[axis]).abs() < 0.02)
            .count()
            > 1;
        if !on_edge {
            let expected = if side == 2 { [0, 255, 0] } else { [255, 0, 0] };
            assert_eq!(*colour, expected, "at {position:?}");
        }
    }
    // Farthest-point clouds are even: each side has its share of the 8.8 m².
    for (count, area) in sides.iter().zip([1.6, 1.6, 2.0, 2.0, 0.8, 0.8]) {
        let share = area / 8.8 * crate::POINTS as f64;
        assert!((*count as f64 / share - 1.0).abs() < 0.12, "{sides:?}");
    }
    // A prefix covers the object too: every point has one of the first 256 near it.
    let farthest = cupboard
        .positions
        .iter()
        .map(|p| {
            cupboard.positions[..256]
                .iter()
                .map(|q| (0..3).map(|i| (p[i] - q[i]).powi(2)).sum::<f32>())
                .fold(f32::INFINITY, f32::min)
        })
        .fold(0.0, f32::max);
    assert!(farthest.sqrt() < 0.12, "{}", farthest.sqrt());
}

#[test]
fn views_are_framed_lit_and_fit_their_clouds() {
    let home = tempfile::tempdir().unwrap();
    let source = catalogue(home.path());
    let out = home.path().join("set");
    build(&source, &out, &quick(), &Context::silent()).unwrap();
    let set = TrainingSet::open(&out).unwrap();
    for object in &set.objects {
        assert_eq!(object.views.len(), VIEWS);
        assert_eq!(object.views[0].azimuth_deg, 35.0);
        assert!(
            object.views[..6]
                .iter()
                .all(|v| (v.azimuth_deg - 35.0).abs() <= 20.0)
        );
        assert!(object.views.iter().all(|v| v.elevation_deg == 25.0));
        for view in &object.views {
            let seen: Vec<usize> = (0..VIEW_SIDE * VIEW_SIDE)
                .filter(|&i| view.alpha[i] > 0)
                .collect();
            let span = |values: &mut dyn Iterator<Item = usize>| {
                let values: Vec<usize> = values.collect();
                values.iter().max().unwrap() + 1 - values.iter().min().unwrap()
            };
            let width = span(&mut seen.iter().map(|i| i % VIEW_SIDE));
            let height = span(&mut seen.iter().map(|i| i / VIEW_SIDE));
            assert!((57..=60).contains(&width.max(height)), "{width} × {height}");
            for i in (0..VIEW_SIDE * VIEW_SIDE).filter(|&i| view.alpha[i] == 0) {
                assert_eq!(view.rgb[i * 3..i * 3 + 3], [255; 3]);
            }
            // Every point lies on a pixel that the object covers, or beside one.
            for &position in &object.positions {
                let [x, y, z] = view.framing.frame_from_world(position);
                assert!(z.abs() < 1.0);
                let pixel = |v: f32| ((v + 0.5) * VIEW_SIDE as f32) as usize;
                let (x, y) = (pixel(x), pixel(-y));
                let covered = (y - 1..=y + 1)
                    .flat_map(|y| (x - 1..=x + 1).map(move |x| y * VIEW_SIDE + x))
                    .any(|i| view.alpha[i] > 0);
                assert!(covered, "{x} {y}");
            }
        }
    }
    // From 35° to the right of the front: the green front on the left, the red side on the right.
    let view = &object(&set, "cupboard").views[0];
    let pixel = |x: usize, y: usize| &view.rgb[(y * VIEW_SIDE + x) * 3..][..3];
    let (left, right) = (pixel(26, 36), pixel(42, 36));
    assert!(left[1] > 100 && left[0] == 0, "{left:?}");
    assert!(right[0] > 100 && right[1] == 0, "{right:?}");
    // The light comes from the upper left.
    let top = view.rgb.chunks_exact(3).map(|p| p[0]).filter(|&v| v < 255);
    assert!(left[1] > right[0] && top.max().unwrap() > right[0]);
}

#[test]
fn flat_objects_are_dropped_unless_wanted() {
    let home = tempfile::tempdir().unwrap();
    let source = catalogue(home.path());
    for (flat, dropped) in [
        (FlatRule::Drop, vec!["sheet"]),
        (FlatRule::KeepMarked, vec![]),
        (FlatRule::Keep, vec![]),
    ] {
        let out = home.path().join(format!("{flat:?}"));
        let options = BuildOptions { flat, ..quick() };
        let report = build(&source, &out, &options, &Context::silent()).unwrap();
        assert_eq!(report.flat_dropped, dropped);
        assert_eq!(report.objects, 3 - dropped.len());
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let source = catalogue(home.path());
    let options = BuildOptions {
        keep_views: true,
        ..quick()
    };
    let made: Vec<_> = [1, 3]
        .map(|threads| {
            let out = home.path().join(threads.to_string());
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap()
                .install(|| build(&source, &out, &options, &Context::silent()))
                .unwrap();
            files(&out)
        })
        .into();
    assert!(made[0].keys().any(|k| k.ends_with("scan.safetensors")));
    assert!(made[0] == made[1]);
    let other = home.path().join("other");
    let options = BuildOptions {
        seed: packshot_core::Seed(1),
        ..options
    };
    build(&source, &other, &options, &Context::silent()).unwrap();
    let cloud = Path::new("objects/cupboard/cloud.ply");
    assert!(files(&other)[cloud] != made[0][cloud]);
}

/// Cancels at the first finished object.
struct Impatient(CancelToken);

impl Progress for Impatient {
    fn send(&self, message: Message) {
        if matches!(message, Message::Step { .. }) {
            self.0.cancel();
        }
    }
}

#[test]
fn an_interrupted_build_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let source = catalogue(home.path());
    let whole = home.path().join("whole");
    build(&source, &whole, &quick(), &Context::silent()).unwrap();

    let out = home.path().join("set");
    let token = CancelToken::default();
    let impatient = Impatient(token.clone());
    let error = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap()
        .install(|| {
            let context = Context::new(&impatient, token);
            build(&source, &out, &quick(), &context)
        })
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(error.hint().unwrap().contains(".set.partial"));
    assert!(!out.exists());
    // An object that was in the captions file then and is no more.
    let gone = home.path().join(".set.partial/objects/gone");
    std::fs::create_dir(&gone).unwrap();
    let report = build(&source, &out, &quick(), &Context::silent()).unwrap();
    assert_eq!((report.objects, report.resumed), (3, 1));
    assert!(files(&out) == files(&whole));

    let error = build(&source, &out, &quick(), &Context::silent()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    // What other settings have left is not mixed in, nor thrown away.
    let left = home.path().join(".new.partial");
    std::fs::create_dir(&left).unwrap();
    std::fs::write(left.join("settings.json"), "{}").unwrap();
    let new = home.path().join("new");
    let error = build(&source, &new, &quick(), &Context::silent()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(left.join("settings.json").exists());
    let force = BuildOptions {
        force: true,
        ..quick()
    };
    build(&source, &out, &force, &Context::silent()).unwrap();
    assert!(files(&out) == files(&whole));
}

#[test]
fn a_pack_holds_the_set() {
    let home = tempfile::tempdir().unwrap();
    let source = catalogue(home.path());
    let (out, file) = (home.path().join("set"), home.path().join("set.pack"));
    build(&source, &out, &quick(), &Context::silent()).unwrap();
    let set = TrainingSet::open(&out).unwrap();
    let options = PackOptions::default();
    let report = pack(&out, &file, &options, &Context::silent()).unwrap();
    assert_eq!((report.objects, report.views), (3, VIEWS));
    assert_eq!(report.bytes, std::fs::metadata(&file).unwrap().len());
    let packed = TrainingSet::open(&file).unwrap();
    for (a, b) in set.objects.iter().zip(&packed.objects) {
        assert_eq!(a.views, b.views);
        assert_eq!(
            (&a.id, &a.caption, &a.captions, &a.category, &a.colours),
            (&b.id, &b.caption, &b.captions, &b.category, &b.colours)
        );
        assert_eq!(
            (a.split, a.flat, &a.recolour, &a.source, &a.licence),
            (b.split, b.flat, &b.recolour, &b.source, &b.licence)
        );
        assert_eq!(a.positions.len(), b.positions.len());
        let close = |i: usize| (0..3).all(|c| (a.positions[i][c] - b.positions[i][c]).abs() < 2e-4);
        assert!((0..16).all(close));
    }

    // A smaller file has fewer views of everything, the three-quarter view always first.
    let options = PackOptions {
        max_bytes: report.bytes * 3 / 4,
        points: 1024,
        ..options
    };
    let error = pack(&out, &file, &options, &Context::silent()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    let options = PackOptions {
        force: true,
        views: 6,
        ..options
    };
    let smaller = pack(&out, &file, &options, &Context::silent()).unwrap();
    assert!(smaller.views <= 6 && smaller.bytes <= options.max_bytes);
    let packed = TrainingSet::open(&file).unwrap();
    for (a, b) in set.objects.iter().zip(&packed.objects) {
        assert_eq!((b.views.len(), b.positions.len()), (smaller.views, 1024));
        assert_eq!(a.views[0], b.views[0]);
        assert!(b.views.iter().all(|view| a.views.contains(view)));
    }
    let options = PackOptions {
        max_bytes: 1000,
        ..options
    };
    let error = pack(&out, &file, &options, &Context::silent()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
}

#[test]
fn hostile_packs_give_errors() {
    let home = tempfile::tempdir().unwrap();
    let source = catalogue(home.path());
    let (out, file) = (home.path().join("set"), home.path().join("set.pack"));
    build(&source, &out, &quick(), &Context::silent()).unwrap();
    let options = PackOptions {
        points: 64,
        views: 1,
        ..PackOptions::default()
    };
    pack(&out, &file, &options, &Context::silent()).unwrap();
    let bytes = std::fs::read(&file).unwrap();
    assert_eq!(crate::unpack::read(&bytes).unwrap().len(), 3);
    for length in (0..bytes.len()).step_by(61) {
        assert!(crate::unpack::read(&bytes[..length]).is_err(), "{length}");
    }
    // Whatever a changed byte does, it is an error or a set whose parts fit together.
    for i in (0..bytes.len()).step_by(7) {
        let mut bytes = bytes.clone();
        bytes[i] ^= 0x55;
        for object in crate::unpack::read(&bytes).unwrap_or_default() {
            assert_eq!(object.positions.len(), object.colours_srgb.len());
            assert!(object.positions.iter().flatten().all(|v| v.is_finite()));
            assert!(!object.views.is_empty());
        }
    }
    for (name, text) in [("empty", &b""[..]), ("text", b"no pack at all")] {
        let path = home.path().join(name);
        std::fs::write(&path, text).unwrap();
        let error = TrainingSet::open(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadInput);
        assert!(error.hint().is_some());
    }
    let error = TrainingSet::open(&home.path().join("nothing")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
}

#[test]
fn broken_sets_name_the_file() {
    let home = tempfile::tempdir().unwrap();
    let source = catalogue(home.path());
    let out = home.path().join("set");
    build(&source, &out, &quick(), &Context::silent()).unwrap();
    let views = out.join("objects/post/views.png");
    std::fs::copy(out.join("objects/post/cloud.ply"), &views).unwrap();
    let error = TrainingSet::open(&out).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadInput);
    assert!(error.place().unwrap().contains("views.png"), "{error}");
    std::fs::write(out.join("objects.jsonl"), "{}\n").unwrap();
    let error = TrainingSet::open(&out).unwrap_err();
    assert!(error.place().unwrap().contains("line 1"), "{error}");
}
