//! Training on a scene that is made up here: a coloured ball, seen from all sides.

use packshot_core::{CancelToken, Image};
use packshot_geometry::lens::{Intrinsics, LensCamera};
use packshot_geometry::metrics::psnr;
use packshot_nerf::classic::{
    ClassicFile, ClassicShape, ClassicTrainer, ClassicView, classic_plan, render_classic,
};
use packshot_nerf::extract::{Painter, find_crop, surface};
use packshot_nerf::field::{FieldFile, Photo, Plan, Trainer, Viewable, plan, render};
use packshot_nerf::fitted::Fitted;

const SIDE: usize = 24;

/// A ball of radius 0.5 whose colour follows the place on it.
fn photo(index: usize) -> Photo {
    photo_at(index as f64)
}

fn photo_at(index: f64) -> Photo {
    // A spiral from the south to the north.
    let z = -0.8 + 1.6 * (index + 0.5) / 16.0;
    let (sin, cos) = (2.4 * index).sin_cos();
    let flat = (1.0 - z * z).sqrt();
    let back = [flat * cos, flat * sin, z];
    let right = [-sin, cos, 0.0];
    let up = [-z * cos, -z * sin, flat];
    let rows = [0, 1, 2].map(|c| [right[c], up[c], back[c], 3.0 * back[c]]);
    let camera = LensCamera {
        intrinsics: Intrinsics::from_fov_x(SIDE, SIDE, 0.5),
        world_from_camera: rows,
    };
    let mut image = Image::filled(SIDE, SIDE, &[0; 4]);
    for y in 0..SIDE {
        for x in 0..SIDE {
            // As a photo does: the mean of what the pixel covers.
            let (mut sum, mut hits) = ([0.0; 3], 0.0);
            for (u, v) in [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)] {
                let d = camera
                    .direction(x as f64 + u, y as f64 + v)
                    .expect("a scene that can be trained");
                let o = camera.position();
                let b: f64 = (0..3).map(|c| o[c] * d[c]).sum();
                let root = b * b - (9.0 - 0.25);
                if root > 0.0 {
                    let t = -b - root.sqrt();
                    hits += 1.0;
                    for c in 0..3 {
                        sum[c] += 255.0 * (0.5 + (o[c] + t * d[c]) * 0.9);
                    }
                }
            }
            if hits > 0.0 {
                let [r, g, b] = sum.map(|v| (v / hits) as u8);
                let alpha = (255.0 * hits / 4.0) as u8;
                image.pixel_mut(x, y).copy_from_slice(&[r, g, b, alpha]);
            }
        }
    }
    Photo {
        camera,
        image,
        ignored: None,
    }
}

fn small_plan(photos: &[Photo]) -> Plan {
    let mut plan = plan(photos, 7).expect("a scene that can be trained");
    plan.shape.grid.levels = 4;
    plan.shape.grid.log2_entries = 12;
    plan.shape.density_hidden = 16;
    plan.shape.colour_hidden = 16;
    plan.train.samples_per_step = 2048;
    plan.train.occupancy_side = 32;
    plan
}

fn trained(threads: usize, steps: u64) -> (Trainer, Plan) {
    let photos: Vec<Photo> = (0..16).map(photo).collect();
    let plan = small_plan(&photos);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .expect("a scene that can be trained");
    let trainer = pool.install(|| {
        let mut trainer = Trainer::new(plan.shape, plan.scene, plan.march, plan.train, photos)
            .expect("a scene that can be trained");
        for step in 0..steps {
            trainer
                .step(step as f64 / 300.0)
                .expect("a scene that can be trained");
        }
        trainer
    });
    (trainer, plan)
}

#[test]
fn a_pixel_is_the_mean_of_the_rays_through_it() {
    let (trainer, plan) = trained(2, 40);
    let what = |pixel_rays| Viewable {
        field: trainer.field(),
        scene: plan.scene,
        march: plan.march,
        occupancy: trainer.occupancy(),
        appearance: &[],
        pixel_rays,
    };
    let camera = photo_at(3.5).camera;
    let larger = LensCamera {
        intrinsics: camera.intrinsics.resized(4 * SIDE, 4 * SIDE),
        ..camera
    };
    let view = render(&what(4), &camera, &CancelToken::default()).unwrap();
    let large = render(&what(1), &larger, &CancelToken::default()).unwrap();
    for (pixel, (rgb, opacity)) in view.rgb.iter().zip(&view.opacity).enumerate() {
        let (x, y) = (pixel % SIDE, pixel / SIDE);
        // Four of the sixteen smaller pixels, one in each row and column.
        let four = [0, 2, 1, 3].into_iter().enumerate();
        let four: Vec<usize> = four
            .map(|(i, j)| (4 * y + j) * 4 * SIDE + 4 * x + i)
            .collect();
        let mean = |of: &dyn Fn(usize) -> f32| four.iter().map(|i| of(*i)).sum::<f32>() / 4.0;
        assert!((opacity - mean(&|i| large.opacity[i])).abs() < 1e-4);
        for (c, value) in rgb.iter().enumerate() {
            assert!((value - mean(&|i| large.rgb[i][c])).abs() < 1e-4);
        }
    }
    // The middle one of the nearer distances, never a mean of near and far.
    let near = view.distance.iter().filter(|d| d.is_finite());
    assert!(near.clone().count() > 0);
    assert!(near.clone().all(|d| large.distance.contains(d)));
}

#[test]
fn a_ball_is_learnt_and_empty_space_is_left_alone() {
    let (trainer, plan) = trained(2, 300);
    let (_, radius) = plan.scene.cube();
    assert!(
        (0.45..1.0).contains(&radius),
        "the box should hug the ball: {radius}"
    );
    let what = Viewable {
        field: trainer.field(),
        scene: plan.scene,
        march: plan.march,
        occupancy: trainer.occupancy(),
        appearance: &[],
        pixel_rays: plan.train.pixel_rays,
    };
    // Not one of the training cameras: half a place on along the spiral.
    let held_out = photo_at(7.5);
    let view = render(&what, &held_out.camera, &CancelToken::default()).unwrap();
    let picture = view.on([1.0; 3]);
    let decibels = psnr(&picture, &held_out.image.on_background([255; 3])).unwrap();
    assert!(decibels > 24.0, "{decibels}");
    // The surface is at 2.5; so short a training leaves it soft.
    let middle = SIDE / 2 * SIDE + SIDE / 2;
    assert!(
        (2.4..2.8).contains(&view.distance[middle]),
        "{}",
        view.distance[middle]
    );
    assert!(view.opacity[0] < 0.01 && view.distance[0].is_infinite());
}

#[test]
fn the_result_does_not_depend_on_threads_and_a_checkpoint_goes_on_as_if_nothing_had_been() {
    let (mut one, plan) = trained(1, 40);
    let (two, _) = trained(3, 40);
    assert_eq!(one.field(), two.field());
    let file = FieldFile {
        plan,
        field: two.field().clone(),
        occupancy: two.occupancy().clone(),
        appearance: two.appearance().to_vec(),
        state: Some(two.state()),
    };
    let bytes = file.encode().unwrap();
    let back = FieldFile::decode(&bytes).unwrap();
    assert_eq!(back, file);
    let photos: Vec<Photo> = (0..16).map(photo).collect();
    let mut resumed = Trainer::new(plan.shape, plan.scene, plan.march, plan.train, photos).unwrap();
    resumed
        .restore(
            back.field,
            back.appearance,
            back.occupancy,
            back.state.unwrap(),
        )
        .unwrap();
    for step in 40..60 {
        let progress = step as f64 / 200.0;
        assert_eq!(
            one.step(progress).unwrap().mse,
            resumed.step(progress).unwrap().mse
        );
    }
    assert_eq!(one.field(), resumed.field());
    for end in [0, 7, 100, bytes.len() / 2, bytes.len() - 1] {
        assert!(FieldFile::decode(&bytes[..end]).is_err());
    }
}

/// A small classic field learns the ball; its file gives it back, and goes on.
#[test]
fn a_classic_field_learns_and_its_file_gives_it_back() {
    let photos: Vec<Photo> = (0..16).map(photo).collect();
    let mut plan = classic_plan(&photos, 3, false, None).unwrap();
    assert!(
        plan.white && plan.scene.near > 1.5 && plan.scene.far < 8.0,
        "{plan:?}"
    );
    plan.shape = ClassicShape {
        depth: 3,
        width: 48,
        skip_after: 0,
        position_octaves: 4,
        direction_octaves: 2,
    };
    (plan.rays, plan.coarse, plan.fine) = (128, 16, 16);
    let mut trainer = ClassicTrainer::new(plan, photos.clone()).unwrap();
    let mut last = 1.0;
    for step in 0..300 {
        last = trainer.step(f64::from(step) / 300.0).unwrap().mse;
    }
    assert!(last < 0.01, "{last}");
    let file = |trainer: &ClassicTrainer| ClassicFile {
        plan,
        networks: trainer.networks().clone(),
        state: Some(trainer.state()),
    };
    let bytes = file(&trainer).encode().unwrap();
    let back = ClassicFile::decode(&bytes).unwrap();
    assert_eq!(back, file(&trainer));
    assert!(ClassicFile::decode(&bytes[..bytes.len() - 4]).is_err());

    let unseen = photo_at(4.5);
    let what = ClassicView {
        networks: trainer.networks(),
        plan: &plan,
    };
    let view = render_classic(&what, &unseen.camera, &CancelToken::default()).unwrap();
    let mut truth = Image::filled(SIDE, SIDE, &[255; 3]);
    for y in 0..SIDE {
        for x in 0..SIDE {
            let [r, g, b, a] = unseen.image.pixel(x, y) else {
                panic!("four channels")
            };
            if *a > 0 {
                truth.pixel_mut(x, y).copy_from_slice(&[*r, *g, *b]);
            }
        }
    }
    let decibels = psnr(&view.on([1.0; 3]), &truth).unwrap();
    assert!(decibels > 18.0, "{decibels}");
    let middle = view.distance[SIDE / 2 * SIDE + SIDE / 2];
    assert!((middle - 2.5).abs() < 0.25, "{middle}");

    // Going on from the file is going on.
    let state = back.state.clone().unwrap();
    let mut other = ClassicTrainer::new(plan, photos).unwrap();
    other.restore(back.networks.clone(), state).unwrap();
    trainer.step(0.5).unwrap();
    other.step(0.5).unwrap();
    assert_eq!(trainer.networks(), other.networks());
}

/// The surface of the ball's field is a closed ball with the ball's colours.
#[test]
fn a_field_becomes_a_coloured_surface() {
    let photos: Vec<Photo> = (0..16).map(photo).collect();
    let plan = plan(&photos, 3).unwrap();
    let cameras: Vec<LensCamera> = photos.iter().map(|p| p.camera).collect();
    let mut trainer = Trainer::new(plan.shape, plan.scene, plan.march, plan.train, photos).unwrap();
    for step in 0..120 {
        trainer.step(f64::from(step) / 120.0).unwrap();
    }
    let fitted = Fitted::Hash(Box::new(FieldFile {
        plan,
        field: trainer.field().clone(),
        occupancy: trainer.occupancy().clone(),
        appearance: Vec::new(),
        state: None,
    }));
    let query = fitted.query().unwrap();
    let cancel = CancelToken::default();
    let (crop, shape) = find_crop(&fitted, &cameras, &cancel).unwrap();
    assert!(shape.is_none(), "all of it is the product");
    let (mesh, seen) = surface(&fitted, &cameras, &crop, None, 32, &cancel).unwrap();
    let topology = mesh.topology();
    assert!(topology.is_closed(), "{topology:?}");
    let volume = mesh.signed_volume();
    let ball = 4.0 / 3.0 * std::f64::consts::PI * 0.125;
    assert!((volume / ball - 1.0).abs() < 0.2, "{volume} {ball}");
    let places: Vec<[f64; 3]> = cameras.iter().map(LensCamera::position).collect();
    let painter = Painter::new(&query, &places, 0.05).with_seen(seen);
    let normals = mesh.normals.as_ref().unwrap();
    let mut error = 0.0;
    for (p, n) in mesh.positions.iter().zip(normals) {
        let colour = painter.colour(*p, *n);
        for c in 0..3 {
            error += f64::from((colour[c] - (0.5 + p[c] * 0.9)).abs());
        }
    }
    error /= (3 * mesh.positions.len()) as f64;
    assert!(error < 0.08, "{error}");
}

/// Turns a camera in the world and moves it.
fn disturbed(camera: &LensCamera, turn: f64, way: [f64; 3]) -> LensCamera {
    let (sin, cos) = turn.sin_cos();
    let [x, y, z] = camera.world_from_camera;
    let mixed = |a: f64, b: f64, from: [f64; 4], to: [f64; 4]| -> [f64; 4] {
        std::array::from_fn(|c| a * from[c] + b * to[c])
    };
    let mut rows = [mixed(cos, -sin, x, y), mixed(sin, cos, x, y), z];
    for r in 0..3 {
        rows[r][3] = camera.world_from_camera[r][3] + way[r];
    }
    LensCamera {
        world_from_camera: rows,
        ..*camera
    }
}

/// Mean distance between where cameras put the picture's middle, at the ball's distance.
fn apart(a: &[LensCamera], b: &[LensCamera]) -> f64 {
    let middle = |c: &LensCamera| -> [f64; 3] {
        let (at, ahead) = (c.position(), c.forward());
        std::array::from_fn(|i| at[i] + 2.5 * ahead[i])
    };
    let each = a.iter().zip(b).map(|(a, b)| {
        let (a, b) = (middle(a), middle(b));
        (0..3).map(|c| (a[c] - b[c]).powi(2)).sum::<f64>().sqrt()
    });
    each.sum::<f64>() / a.len() as f64
}

#[test]
fn wrong_poses_are_corrected_and_a_photo_from_outside_finds_its_place() {
    let right: Vec<Photo> = (0..16).map(photo).collect();
    let true_cameras: Vec<LensCamera> = right.iter().map(|p| p.camera).collect();
    let photos: Vec<Photo> = right
        .iter()
        .enumerate()
        .map(|(i, p)| {
            let sign = if i % 2 == 0 { 1.0 } else { -1.0 };
            let way = [[0.05, 0.0, 0.0], [0.0, 0.05, 0.0], [0.0, 0.0, 0.05]][i / 2 % 3];
            Photo {
                camera: disturbed(&p.camera, 0.02 * sign, way.map(|v| v * sign)),
                ..p.clone()
            }
        })
        .collect();
    let wrong_cameras: Vec<LensCamera> = photos.iter().map(|p| p.camera).collect();
    let mut plan = small_plan(&photos);
    plan.train.carve = false;
    plan.train.pose_rate = 2e-3;
    plan.train.pixel_rays = 1;
    let mut trainer = Trainer::new(plan.shape, plan.scene, plan.march, plan.train, photos).unwrap();
    for step in 0..600 {
        trainer.step(f64::from(step) / 600.0).unwrap();
    }
    let before = apart(&wrong_cameras, &true_cameras);
    let after = apart(&trainer.cameras(), &true_cameras);
    assert!(after < 0.6 * before, "{before} {after}");
    let held_out = photo_at(7.5);
    let astray = Photo {
        camera: disturbed(&held_out.camera, 0.02, [0.03, 0.0, -0.03]),
        ..held_out.clone()
    };
    let given = apart(&[astray.camera], &[held_out.camera]);
    let found = apart(&[trainer.align(astray).unwrap()], &[held_out.camera]);
    assert!(found < 0.7 * given, "{given} {found}");
}
