//! `eval clouds`: results against references.

pub mod mini;
pub mod sets;

use packshot_core::{Context, Error, Result};
use packshot_geometry::PointCloud;
use packshot_geometry::metrics::CloudDistances;
use packshot_geometry::nearest::KdTree;
use rayon::prelude::*;
use serde::Serialize;
use sets::Positions;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Settings of [`eval_clouds`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EvalSettings {
    /// F-scores are given at these shares of the reference's longest side.
    pub f_score_at: Vec<f64>,
    /// Whether both clouds are centred and scaled to a longest side of 1 first.
    pub normalise: bool,
    /// Weights of Point-E's evaluation network: sets are compared as distributions too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointnet: Option<PathBuf>,
}

impl Default for EvalSettings {
    fn default() -> Self {
        Self {
            f_score_at: vec![0.01, 0.02, 0.05],
            normalise: false,
            pointnet: None,
        }
    }
}

/// How far one cloud is from its reference. Distances are in the unit of the files (metres), or
/// of the longest side when normalised.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CloudScore {
    /// Name of the pair: the file's stem, or that of its folder for asset folders.
    pub name: String,
    /// Points of the cloud.
    pub points: usize,
    /// Points of the reference.
    pub reference_points: usize,
    /// Sum of the two mean squared nearest distances.
    pub chamfer: f64,
    /// Mean of the two mean nearest distances.
    pub chamfer_l1: f64,
    /// Largest nearest distance.
    pub hausdorff: f64,
    /// F-score at each share, in the order of the settings.
    pub f_score: Vec<f64>,
    /// Mean absolute difference of sRGB (0..1) between each point and the nearest one of the
    /// reference, where both have colours.
    pub colour_error: Option<f64>,
}

/// Scores and their means.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EvalReport {
    /// What was measured.
    pub settings: EvalSettings,
    /// One entry a pair.
    pub clouds: Vec<CloudScore>,
    /// Means over the pairs, where there are any.
    pub mean: Option<Means>,
    /// The sets as distributions, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sets: Option<sets::SetScore>,
}

/// Means over pairs; the names are those of [`CloudScore`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Means {
    /// Mean of [`CloudScore::chamfer`].
    pub chamfer: f64,
    /// Mean of [`CloudScore::chamfer_l1`].
    pub chamfer_l1: f64,
    /// Mean of [`CloudScore::hausdorff`].
    pub hausdorff: f64,
    /// Means of [`CloudScore::f_score`], share by share.
    pub f_score: Vec<f64>,
    /// Mean of [`CloudScore::colour_error`] over the pairs that have one.
    pub colour_error: Option<f64>,
}

/// Measures a cloud file against a reference, or each cloud of a folder against the reference of
/// the same name in another folder. In a folder, files (PLY, GLB, glTF, OBJ, NPZ) and asset folders
/// (their `cloud.ply`) count.
///
/// With the weights of an evaluation network, the two sets are compared as distributions; names
/// need not agree then, and a set may also be one NPZ file with an array `arr_0` `[N, K, 3]`.
///
/// # Errors
/// `Usage` when a file is compared with a folder; `BadInput` when a file cannot be read, holds no
/// points, or has no partner.
pub fn eval_clouds(
    clouds: &Path,
    references: &Path,
    settings: &EvalSettings,
    context: &Context<'_>,
) -> Result<EvalReport> {
    if settings.f_score_at.is_empty()
        || settings
            .f_score_at
            .iter()
            .any(|s| !(s.is_finite() && *s > 0.0 && *s <= 1.0))
    {
        return Err(
            Error::usage("shares for the F-score lie above 0 and up to 1")
                .at("--f-score-at")
                .with_hint("such as --f-score-at 0.01,0.02"),
        );
    }
    let (pairs, sets) = match &settings.pointnet {
        None => (pairs(clouds, references)?, None),
        Some(pointnet) => {
            let [own, theirs] = [clouds, references].map(positions_of);
            let sets = sets::compare(&own?, &theirs?, pointnet, context)?;
            let is_stack = sets::is_stack(clouds) || sets::is_stack(references);
            let matching = pairs(clouds, references).ok().filter(|_| !is_stack);
            (matching.unwrap_or_default(), Some(sets))
        }
    };
    let stage = std::sync::Mutex::new(context.stage("eval", Some(pairs.len() as u64)));
    let scores: Vec<CloudScore> = pairs
        .par_iter()
        .map(|pair| {
            context.check()?;
            let score = score(pair, settings)?;
            match stage.lock() {
                Ok(mut stage) => stage.step()?,
                Err(_) => return Err(Error::internal("a thread has failed")),
            }
            Ok(score)
        })
        .collect::<Result<_>>()?;
    if let Ok(stage) = stage.into_inner() {
        stage.finish();
    }
    Ok(EvalReport {
        settings: settings.clone(),
        mean: (!scores.is_empty()).then(|| means(&scores)),
        clouds: scores,
        sets,
    })
}

/// The clouds of a set: a folder, a stack, or one file.
fn positions_of(path: &Path) -> Result<Vec<Positions>> {
    if sets::is_stack(path) {
        return sets::read_stack(path);
    }
    let files = if is_set(path) {
        set(path)?.into_values().collect()
    } else {
        vec![file_of(path)]
    };
    let positions = |file: &PathBuf| read(file, false).map(|cloud| cloud.positions);
    files.par_iter().map(positions).collect()
}

struct Pair {
    name: String,
    cloud: PathBuf,
    reference: PathBuf,
}

fn pairs(clouds: &Path, references: &Path) -> Result<Vec<Pair>> {
    match (is_set(clouds), is_set(references)) {
        (false, false) => Ok(vec![Pair {
            name: name_of(clouds),
            cloud: file_of(clouds),
            reference: file_of(references),
        }]),
        (true, true) => {
            let clouds = set(clouds)?;
            let mut known = set(references)?;
            clouds
                .into_iter()
                .map(|(name, cloud)| {
                    let reference = known.remove(&name).ok_or_else(|| {
                        Error::bad_input(format!("there is no reference called \"{name}\""))
                            .at(references.display())
                            .with_hint(
                                "a cloud and its reference have the same name up to the extension",
                            )
                    })?;
                    Ok(Pair {
                        name,
                        cloud,
                        reference,
                    })
                })
                .collect()
        }
        _ => Err(Error::usage("a file cannot be compared with a folder")
            .with_hint("give two files or two folders")),
    }
}

/// Whether the path is a folder of clouds, not a file or an asset folder.
fn is_set(path: &Path) -> bool {
    path.is_dir() && !path.join("cloud.ply").is_file()
}

fn file_of(path: &Path) -> PathBuf {
    if path.is_dir() {
        path.join("cloud.ply")
    } else {
        path.to_owned()
    }
}

fn name_of(path: &Path) -> String {
    let name = if path.is_dir() {
        path.file_name()
    } else {
        path.file_stem()
    };
    name.map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// The clouds of a folder by name.
fn set(folder: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let failed = |e| Error::io(format!("read {}", folder.display()), e);
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        let is_cloud = if path.is_dir() {
            path.join("cloud.ply").is_file()
        } else {
            matches!(
                extension.as_deref(),
                Some("ply" | "glb" | "gltf" | "obj" | "npz")
            )
        };
        if is_cloud && files.insert(name_of(&path), file_of(&path)).is_some() {
            return Err(
                Error::bad_input(format!("two files are called \"{}\"", name_of(&path)))
                    .at(folder.display()),
            );
        }
    }
    if files.is_empty() {
        return Err(Error::bad_input("the folder holds no clouds")
            .at(folder.display())
            .with_hint("clouds are PLY, GLB, glTF, OBJ or NPZ files, or asset folders"));
    }
    Ok(files)
}

fn read(path: &Path, normalise: bool) -> Result<PointCloud> {
    crate::input::check(path)?;
    let at = |e: Error| {
        if e.place().is_some() {
            e
        } else {
            e.at(path.display())
        }
    };
    let mut cloud = packshot_formats::read_asset(path)
        .and_then(packshot_formats::Asset::into_cloud)
        .map_err(at)?;
    if normalise && cloud.normalise().is_none() {
        return Err(Error::bad_input("the cloud has no extent").at(path.display()));
    }
    Ok(cloud)
}

fn score(pair: &Pair, settings: &EvalSettings) -> Result<CloudScore> {
    let cloud = read(&pair.cloud, settings.normalise)?;
    let reference = read(&pair.reference, settings.normalise)?;
    let distances = CloudDistances::new(&cloud.positions, &reference.positions)
        .ok_or_else(|| Error::bad_input("a cloud has no points").at(&pair.name))?;
    Ok(CloudScore {
        name: pair.name.clone(),
        points: cloud.len(),
        reference_points: reference.len(),
        chamfer: distances.chamfer(),
        chamfer_l1: distances.chamfer_l1(),
        hausdorff: distances.hausdorff(),
        f_score: settings
            .f_score_at
            .iter()
            .map(|&share| distances.f_score(share))
            .collect(),
        colour_error: colour_error(&cloud, &reference),
    })
}

fn colour_error(cloud: &PointCloud, reference: &PointCloud) -> Option<f64> {
    let (own, theirs) = (cloud.colours.as_ref()?, reference.colours.as_ref()?);
    let nearest = KdTree::new(&reference.positions).nearest_to_each(&cloud.positions);
    let mut sum = 0.0;
    let mut count = 0.0;
    for (colour, neighbour) in own.iter().zip(nearest) {
        let Some(other) = neighbour.and_then(|n| theirs.get(n.index)) else {
            continue;
        };
        for (a, b) in colour.iter().zip(other) {
            sum += f64::from(a.abs_diff(*b)) / 255.0;
            count += 1.0;
        }
    }
    (count > 0.0).then(|| sum / count)
}

fn means(scores: &[CloudScore]) -> Means {
    let n = scores.len() as f64;
    let mean = |value: &dyn Fn(&CloudScore) -> f64| scores.iter().map(value).sum::<f64>() / n;
    let shares = scores.first().map_or(0, |s| s.f_score.len());
    let coloured: Vec<f64> = scores.iter().filter_map(|s| s.colour_error).collect();
    Means {
        chamfer: mean(&|s| s.chamfer),
        chamfer_l1: mean(&|s| s.chamfer_l1),
        hausdorff: mean(&|s| s.hausdorff),
        f_score: (0..shares).map(|i| mean(&|s| s.f_score[i])).collect(),
        colour_error: (!coloured.is_empty())
            .then(|| coloured.iter().sum::<f64>() / coloured.len() as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud(offset: f32, colour: u8) -> PointCloud {
        let positions = (0..8)
            .map(|i| {
                [
                    (i & 1) as f32 + offset,
                    (i >> 1 & 1) as f32,
                    (i >> 2) as f32,
                ]
            })
            .collect();
        PointCloud {
            positions,
            colours: Some(vec![[colour; 3]; 8]),
            normals: None,
        }
    }

    fn write(path: &Path, cloud: PointCloud) {
        packshot_formats::write_ply(path, &cloud).unwrap();
    }

    #[test]
    fn files_and_folders_are_measured_alike() {
        let place = tempfile::tempdir().unwrap();
        let [made, truth] = ["made", "truth"].map(|name| {
            let path = place.path().join(name);
            std::fs::create_dir(&path).unwrap();
            path
        });
        write(&made.join("a.ply"), cloud(0.1, 51));
        write(&truth.join("a.ply"), cloud(0.0, 0));
        std::fs::create_dir(made.join("b")).unwrap();
        write(&made.join("b/cloud.ply"), cloud(0.0, 0));
        write(&truth.join("b.ply"), cloud(0.0, 0));
        let settings = EvalSettings {
            f_score_at: vec![0.05, 0.2],
            ..EvalSettings::default()
        };
        let context = Context::silent();
        let report = eval_clouds(&made, &truth, &settings, &context).unwrap();
        let names: Vec<&str> = report.clouds.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        let a = &report.clouds[0];
        assert!(
            (a.chamfer - 0.02).abs() < 1e-6 && (a.chamfer_l1 - 0.1).abs() < 1e-6,
            "{a:?}"
        );
        assert_eq!(a.f_score, [0.0, 1.0]);
        assert!((a.colour_error.unwrap() - 0.2).abs() < 1e-9);
        assert!((report.mean.unwrap().chamfer - 0.01).abs() < 1e-6);
        let alone = eval_clouds(
            &made.join("a.ply"),
            &truth.join("a.ply"),
            &settings,
            &context,
        )
        .unwrap();
        assert_eq!(&alone.clouds[0], a);
        let normalised = EvalSettings {
            normalise: true,
            ..settings
        };
        let alone = eval_clouds(
            &made.join("a.ply"),
            &truth.join("a.ply"),
            &normalised,
            &context,
        );
        assert!(alone.unwrap().clouds[0].chamfer < 1e-9);
    }

    #[test]
    fn a_missing_partner_is_named() {
        let place = tempfile::tempdir().unwrap();
        for (folder, file) in [("made", "x.ply"), ("truth", "y.ply")] {
            std::fs::create_dir(place.path().join(folder)).unwrap();
            write(&place.path().join(folder).join(file), cloud(0.0, 0));
        }
        let error = eval_clouds(
            &place.path().join("made"),
            &place.path().join("truth"),
            &EvalSettings::default(),
            &Context::silent(),
        )
        .unwrap_err();
        assert!(error.to_string().contains("\"x\""), "{error}");
    }
}
