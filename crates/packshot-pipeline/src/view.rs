//! `view`: pictures of a fitted field, with depth, opacity and normals.

use crate::field_renderer::FieldRenderer;
use crate::fit::{FIELD_FILE, read_cameras};
use crate::renderer::Device;
use packshot_core::{Context, Error, Image, Message, Result, colour};
use packshot_formats::photo_sets::{CameraList, TransformsFrame, decode_transforms};
use packshot_formats::{PartialFolder, write_file, write_png};
use packshot_geometry::lens::{Intrinsics, Lens, LensCamera};
use packshot_nerf::field::View;
use packshot_nerf::fitted::Fitted;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Largest view in pixels.
const MAX_PIXELS: usize = 1 << 26;

/// Which views to render.
#[derive(Clone, Debug, PartialEq)]
pub enum Views {
    /// Those of the photos that were held out.
    HeldOut,
    /// So many from all round.
    Turntable(usize),
    /// Those of a `transforms.json`, or of a `cameras.json` as a fit has it.
    Cameras(PathBuf),
}

/// What was rendered.
#[derive(Clone, Debug, Serialize)]
pub struct Rendered {
    /// The folder.
    pub folder: PathBuf,
    /// Names of the views, without extension.
    pub views: Vec<String>,
    /// Distances that black and white stand for in each view's depth picture, in world units.
    pub depth_ranges: Vec<[f32; 2]>,
    /// What rendered the last of them: `processor`, or a GPU by name.
    pub device: String,
    /// Samples asked for.
    pub samples: u64,
    /// Seconds of rendering alone.
    pub render_secs: f64,
}

/// Renders views of the fit in `fit` into the folder `target`: `NAME.png` (straight alpha),
/// `NAME_depth.png` (near is dark, nothing is white), `NAME_alpha.png`, `NAME_normal.png` (world
/// axes, from the depth), and `views.json`. Views of a GPU differ from the processor's by rounding.
///
/// # Errors
/// `BadInput` for the fit or the cameras' file, `Usage` for the target, `Cancelled`; for a GPU that
/// was asked for by name, whatever is wrong with it.
pub fn view(
    fit: &Path,
    target: &Path,
    views: &Views,
    device: Device,
    force: bool,
    context: &Context<'_>,
) -> Result<Rendered> {
    let path = fit.join(FIELD_FILE);
    crate::input::check(&path)?;
    let bytes =
        std::fs::read(&path).map_err(|e| Error::io(format!("read {}", path.display()), e))?;
    let fitted = Fitted::decode(&bytes).map_err(|e| e.at(path.display()))?;
    let list = read_cameras(fit)?;
    let cameras = cameras(views, &list, &fitted)?;
    let folder = PartialFolder::create(target, force)?;
    let mut renderer = FieldRenderer::open(device, &fitted, context)?;
    let mut stage = context.stage("render", Some(cameras.len() as u64));
    let mut done = Rendered {
        folder: target.to_owned(),
        views: Vec::new(),
        depth_ranges: Vec::new(),
        device: renderer.name(),
        samples: 0,
        render_secs: 0.0,
    };
    for (name, camera) in &cameras {
        let started = std::time::Instant::now();
        let view = renderer.render(camera, context)?;
        done.render_secs += started.elapsed().as_secs_f64();
        done.samples += view.samples as u64;
        let range = write_view(folder.path(), name, camera, &view)?;
        done.depth_ranges.push(range);
        done.views.push(name.clone());
        stage.step()?;
    }
    stage.finish();
    done.device = renderer.name();
    let json = serde_json::to_vec_pretty(&done)
        .map_err(|e| Error::internal(format!("cannot write views.json: {e}")))?;
    write_file(&folder.path().join("views.json"), &json)?;
    folder.commit()?;
    context.send(Message::Artefact(target.to_owned()));
    Ok(done)
}

fn cameras(views: &Views, list: &CameraList, fitted: &Fitted) -> Result<Vec<(String, LensCamera)>> {
    match views {
        Views::HeldOut => {
            let held_out: Vec<_> = list.cameras.iter().filter(|c| c.held_out).collect();
            if held_out.is_empty() {
                return Err(Error::bad_input("no photo of this fit was held out")
                    .with_hint("use --turntable or --cameras"));
            }
            held_out
                .iter()
                .enumerate()
                .map(|(i, c)| Ok((format!("{i:03}"), c.camera()?)))
                .collect()
        }
        Views::Turntable(count) => turntable(*count, list, fitted),
        Views::Cameras(path) => {
            crate::input::check(path)?;
            let bytes = std::fs::read(path)
                .map_err(|e| Error::io(format!("read {}", path.display()), e))?;
            let at = |e: Error| e.at(path.display());
            let cameras: Vec<LensCamera> = if CameraList::is_one(&bytes) {
                let own = CameraList::decode(&bytes).map_err(at)?;
                let cameras = own.cameras.iter().map(|c| c.camera());
                cameras.collect::<Result<_>>().map_err(at)?
            } else {
                let set = decode_transforms(&bytes).map_err(at)?;
                let first = list
                    .cameras
                    .first()
                    .map_or([256, 256], |c| [c.width, c.height]);
                let camera = |frame: &TransformsFrame| {
                    let [width, height] = frame.size.unwrap_or(first);
                    LensCamera {
                        intrinsics: frame.intrinsics(width, height),
                        world_from_camera: frame.world_from_camera,
                    }
                };
                set.frames.iter().map(camera).collect()
            };
            if cameras.is_empty() {
                return Err(at(Error::bad_input("there are no cameras in this file")
                    .with_hint(
                        "give a transforms.json with frames, or a cameras.json",
                    )));
            }
            let named = cameras.into_iter().enumerate().map(|(i, camera)| {
                check(&camera.intrinsics).map_err(|e| at(e.at(format!("camera {i}"))))?;
                Ok((format!("{i:03}"), camera))
            });
            named.collect()
        }
    }
}

/// Refuses views that no one can want.
fn check(intrinsics: &Intrinsics) -> Result<()> {
    let Intrinsics {
        width,
        height,
        focal,
        ..
    } = *intrinsics;
    if width == 0 || height == 0 || width.saturating_mul(height) > MAX_PIXELS {
        return Err(
            Error::bad_input(format!("a view of {width}×{height} pixels cannot be made"))
                .with_hint("state a smaller w and h"),
        );
    }
    if focal.iter().any(|f| !f.is_finite() || *f <= 0.0) {
        return Err(Error::bad_input("the focal length of a view is absurd")
            .with_hint("fl_x is in pixels, camera_angle_x in radians"));
    }
    Ok(())
}

/// Cameras on a circle around the scene's middle: the photos' median distance and height.
fn turntable(
    count: usize,
    list: &CameraList,
    fitted: &Fitted,
) -> Result<Vec<(String, LensCamera)>> {
    if !(1..=10_000).contains(&count) {
        return Err(Error::usage("--turntable must be between 1 and 10000"));
    }
    let first = list
        .cameras
        .first()
        .ok_or_else(|| Error::bad_input("the fit has no cameras").with_hint("fit again"))?
        .camera()?
        .intrinsics;
    // A lens without faults, whose middle is that of the picture.
    let focal = match first.lens {
        Lens::Equirectangular => [0.5 * first.width as f64; 2],
        _ => first.focal,
    };
    let intrinsics = Intrinsics {
        focal,
        centre: [0.5 * first.width as f64, 0.5 * first.height as f64],
        lens: Lens::Pinhole,
        ..first
    };
    let (centre, _) = fitted.cube();
    let centre = centre.map(f64::from);
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let away: Vec<[f64; 3]> = list
        .cameras
        .iter()
        .map(|c| std::array::from_fn(|i| c.world_from_camera[i][3] - centre[i]))
        .collect();
    let distance = median(
        away.iter()
            .map(|d| d.iter().map(|v| v * v).sum::<f64>().sqrt())
            .collect(),
    );
    let height =
        median(away.iter().map(|d| d[2]).collect()).clamp(-0.95 * distance, 0.95 * distance);
    let flat = (distance * distance - height * height).sqrt();
    let cameras = (0..count).map(|i| {
        let (sin, cos) = (i as f64 / count as f64 * std::f64::consts::TAU).sin_cos();
        // From the front (−y) on, anticlockwise seen from above.
        let back = [
            sin * flat / distance,
            -cos * flat / distance,
            height / distance,
        ];
        let right = [cos, sin, 0.0];
        let up = [
            back[1] * right[2] - back[2] * right[1],
            back[2] * right[0] - back[0] * right[2],
            back[0] * right[1] - back[1] * right[0],
        ];
        let rows =
            std::array::from_fn(|c| [right[c], up[c], back[c], centre[c] + distance * back[c]]);
        (
            format!("{i:03}"),
            LensCamera {
                intrinsics,
                world_from_camera: rows,
            },
        )
    });
    Ok(cameras.collect())
}

fn write_view(folder: &Path, name: &str, camera: &LensCamera, view: &View) -> Result<[f32; 2]> {
    let (width, height) = (view.width, view.height);
    let mut picture = Image::filled(width, height, &[0; 4]);
    let mut alpha = Image::filled(width, height, &[0; 3]);
    let mut depth = Image::filled(width, height, &[255; 3]);
    let seen = view.distance.iter().copied().filter(|d| d.is_finite());
    let (near, far) = seen.fold((f32::INFINITY, 0.0f32), |(a, b), d| (a.min(d), b.max(d)));
    let far = far.max(near + 1e-6);
    for y in 0..height {
        for x in 0..width {
            let i = y * width + x;
            let opacity = view.opacity[i];
            let straight = view.rgb[i].map(|v| colour::level(v / opacity.max(1e-4)));
            let a = colour::level(opacity);
            let [r, g, b] = straight;
            picture.pixel_mut(x, y).copy_from_slice(&[r, g, b, a]);
            alpha.pixel_mut(x, y).copy_from_slice(&[a; 3]);
            if view.distance[i].is_finite() {
                // White is kept for nothing.
                let level = ((view.distance[i] - near) / (far - near) * 250.0) as u8;
                depth.pixel_mut(x, y).copy_from_slice(&[level; 3]);
            }
        }
    }
    write_png(&folder.join(format!("{name}.png")), &picture)?;
    write_png(&folder.join(format!("{name}_alpha.png")), &alpha)?;
    write_png(&folder.join(format!("{name}_depth.png")), &depth)?;
    write_png(
        &folder.join(format!("{name}_normal.png")),
        &normals(camera, view),
    )?;
    Ok(if near.is_finite() {
        [near, far]
    } else {
        [0.0; 2]
    })
}

/// Normals of the surface that the depth describes, `0.5·n + 0.5` as colours; grey where nothing is.
fn normals(camera: &LensCamera, view: &View) -> Image {
    let (width, height) = (view.width, view.height);
    let point = |x: usize, y: usize| -> Option<[f64; 3]> {
        let distance = f64::from(*view.distance.get(y * width + x)?);
        let d = camera.direction(x as f64 + 0.5, y as f64 + 0.5)?;
        let length = d.iter().map(|v| v * v).sum::<f64>().sqrt();
        let position = camera.position();
        distance
            .is_finite()
            .then(|| std::array::from_fn(|c| position[c] + distance * d[c] / length))
    };
    let mut image = Image::filled(width, height, &[128; 3]);
    for y in 0..height {
        for x in 0..width {
            let here = point(x, y);
            // The nearer of both neighbours along each axis, so that edges are not bridged.
            let along = |dx: usize, dy: usize| -> Option<[f64; 3]> {
                let here = here?;
                let towards = |from: Option<[f64; 3]>, sign: f64| {
                    from.map(|p| -> [f64; 3] { std::array::from_fn(|c| sign * (p[c] - here[c])) })
                };
                let after = (x + dx < width && y + dy < height)
                    .then(|| point(x + dx, y + dy))
                    .flatten();
                let before = (x >= dx && y >= dy)
                    .then(|| point(x - dx, y - dy))
                    .flatten();
                let square = |v: &[f64; 3]| v.iter().map(|v| v * v).sum::<f64>();
                [towards(after, 1.0), towards(before, -1.0)]
                    .into_iter()
                    .flatten()
                    .min_by(|a, b| square(a).total_cmp(&square(b)))
            };
            let (Some(a), Some(b)) = (along(1, 0), along(0, 1)) else {
                continue;
            };
            // Right times down points away from the camera.
            let n = [
                b[1] * a[2] - b[2] * a[1],
                b[2] * a[0] - b[0] * a[2],
                b[0] * a[1] - b[1] * a[0],
            ];
            let length = n.iter().map(|v| v * v).sum::<f64>().sqrt();
            if length > 0.0 {
                let level = n.map(|v| colour::level((0.5 + 0.5 * v / length) as f32));
                image.pixel_mut(x, y).copy_from_slice(&level);
            }
        }
    }
    image
}
