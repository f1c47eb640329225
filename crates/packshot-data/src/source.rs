//! Where the objects of a training set come from.

use crate::catalogue::{CatalogueEntry, Filter, check_id, hash, read_catalogue};
use crate::recipes::{Recipe, catalogue};
use crate::record::{Record, Split, recolour_word};
use packshot_core::{Error, Result};
use packshot_formats::{read_gltf, read_obj};
use packshot_geometry::Mesh;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One in so many instances of a recipe is held out.
const RECIPE_VAL_SHARE: u64 = 12;

/// A source of objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A folder of meshes with a captions file; see [`read_catalogue`].
    Folder {
        /// The folder.
        path: PathBuf,
        /// The captions file, if it is not in the folder.
        captions: Option<PathBuf>,
        /// Which objects to take.
        filter: Filter,
    },
    /// Procedural shapes.
    Recipes {
        /// Names of recipes; empty for all.
        names: Vec<String>,
        /// Instances of each recipe.
        count: u64,
    },
}

/// An object to be made.
pub(crate) struct Job {
    /// Without file and captions where a recipe makes the object.
    entry: CatalogueEntry,
    recipe: Option<(Arc<Recipe>, u64)>,
}

/// A mesh with what is known about it before it is rendered.
pub(crate) struct Loaded {
    pub(crate) mesh: Mesh,
    pub(crate) yaw_deg: f32,
    /// Whether the captions file says that the thing is flat.
    pub(crate) marked_flat: bool,
    /// The record without measured values and views.
    pub(crate) record: Record,
}

/// The jobs of all sources in order.
///
/// # Errors
/// Those of [`read_catalogue`]; `Usage` for an unknown recipe, for an id that two sources share,
/// and when nothing passes the filters.
pub(crate) fn jobs(sources: &[Source]) -> Result<Vec<Job>> {
    let mut jobs = Vec::new();
    for source in sources {
        match source {
            Source::Folder {
                path,
                captions,
                filter,
            } => jobs.extend(
                read_catalogue(path, captions.as_deref())?
                    .into_iter()
                    .filter(|entry| filter.matches(entry))
                    .map(|entry| Job {
                        entry,
                        recipe: None,
                    }),
            ),
            Source::Recipes { names, count } => recipe_jobs(names, *count, &mut jobs)?,
        }
    }
    let mut seen = HashSet::new();
    if let Some(twice) = jobs.iter().find(|job| !seen.insert(job.id().to_owned())) {
        return Err(Error::usage(format!(
            "two sources have an object with the id {}",
            twice.id()
        ))
        .with_hint("give the objects other ids or leave one source out"));
    }
    if jobs.is_empty() {
        return Err(Error::usage("no object passes the filters")
            .with_hint("take fewer categories, words or ids away"));
    }
    Ok(jobs)
}

fn recipe_jobs(names: &[String], count: u64, jobs: &mut Vec<Job>) -> Result<()> {
    let recipes = catalogue()?;
    if let Some(unknown) = names
        .iter()
        .find(|name| !recipes.iter().any(|r| r.name() == name.as_str()))
    {
        let known: Vec<&str> = recipes.iter().map(Recipe::name).collect();
        return Err(Error::usage(format!("there is no recipe {unknown}"))
            .with_hint(format!("the recipes are {}", known.join(", "))));
    }
    for recipe in recipes {
        if !names.is_empty() && !names.iter().any(|name| name == recipe.name()) {
            continue;
        }
        let recipe = Arc::new(recipe);
        for seed in 0..count {
            let id = format!("recipe-{}-{seed}", recipe.name());
            check_id(&id)?;
            jobs.push(Job {
                entry: CatalogueEntry {
                    id,
                    file: PathBuf::new(),
                    caption: String::new(),
                    captions: Vec::new(),
                    category: String::new(),
                    colours: Vec::new(),
                    flat: false,
                    split: if seed % RECIPE_VAL_SHARE == RECIPE_VAL_SHARE - 1 {
                        Split::Val
                    } else {
                        Split::Train
                    },
                    yaw_deg: 0.0,
                    licence: "CC0-1.0".to_owned(),
                    attribution: "Packshot recipes".to_owned(),
                    source: format!("recipe {}", recipe.name()),
                },
                recipe: Some((Arc::clone(&recipe), seed)),
            });
        }
    }
    Ok(())
}

impl Job {
    pub(crate) fn id(&self) -> &str {
        &self.entry.id
    }

    /// What the object's noise is keyed by: the same whatever else is in the set.
    pub(crate) fn noise_key(&self) -> u32 {
        let hash = hash(self.id());
        (hash ^ (hash >> 32)) as u32
    }

    /// Reads or makes the mesh.
    pub(crate) fn load(&self) -> Result<Loaded> {
        let mut entry = self.entry.clone();
        let mesh = match &self.recipe {
            None => read_mesh(&entry.file)?,
            Some((recipe, seed)) => {
                let instance = recipe.instance(*seed)?;
                entry.caption = instance.caption;
                entry.captions = instance.captions;
                entry.category = instance.category;
                entry.colours = instance.colours;
                instance.mesh
            }
        };
        let captions = std::iter::once(&entry.caption).chain(&entry.captions);
        let recolour = recolour_word(&entry.colours, captions.map(String::as_str));
        Ok(Loaded {
            mesh,
            yaw_deg: entry.yaw_deg,
            marked_flat: entry.flat,
            record: Record {
                id: entry.id,
                caption: entry.caption,
                captions: entry.captions,
                category: entry.category,
                colours: entry.colours,
                recolour,
                split: entry.split,
                flat: false,
                flatness: 0.0,
                source: entry.source,
                licence: entry.licence,
                attribution: entry.attribution,
                views: Vec::new(),
            },
        })
    }
}

/// Reads a mesh by the extension of its file.
fn read_mesh(path: &Path) -> Result<Mesh> {
    let extension = path
        .extension()
        .map(|e| e.to_string_lossy().to_ascii_lowercase())
        .unwrap_or_default();
    match extension.as_str() {
        "glb" | "gltf" => read_gltf(path)?.into_mesh(),
        "obj" => read_obj(path)?.into_mesh(),
        _ => Err(Error::unsupported("this is no mesh that can be read")
            .at(path.display())
            .with_hint("give GLB, glTF or OBJ files")),
    }
}
