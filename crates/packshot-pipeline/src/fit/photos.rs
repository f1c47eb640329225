//! The photos of a set in memory.

use packshot_core::{Context, Error, Image, Result};
use packshot_formats::photo_sets::{LoadedPhoto, Note, PhotoEntry, PhotoSet, Split};
use packshot_nerf::field::Photo;
use rayon::prelude::*;
use std::sync::Mutex;

/// A photo with its name.
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) photo: Photo,
}

/// Loads the photos of a split, several at a time, and notes what is odd about them.
pub(crate) fn load(
    set: &PhotoSet,
    split: Split,
    downscale: usize,
    notes: &mut Vec<Note>,
    context: &Context<'_>,
) -> Result<Vec<Named>> {
    let mut note = |code: &'static str, text: String, hint: Option<&str>| {
        context.warn(code, text.clone(), hint);
        notes.push(Note { code, text });
    };
    let entries: Vec<&PhotoEntry> = set.photos.iter().filter(|p| p.split == split).collect();
    let stage = Mutex::new(context.stage("load", Some(entries.len() as u64)));
    let mut loaded = entries
        .par_iter()
        .map(|entry| {
            context.check()?;
            let photo = entry.load(downscale, set.transparent)?;
            if let Ok(mut stage) = stage.lock() {
                stage.step()?;
            }
            Ok((entry.name.clone(), photo))
        })
        .collect::<Result<Vec<_>>>()?;
    if let Ok(stage) = stage.into_inner() {
        stage.finish();
    }
    if let Some((name, _)) = loaded.iter().find(|(_, p)| p.proportions_differ) {
        note(
            "photo-size",
            format!(
                "the proportions of {name} are not those that its camera states; it is stretched to them"
            ),
            Some("give the photos that the cameras were found with"),
        );
    }
    let hidden = |p: &LoadedPhoto| p.ignored.as_ref().is_some_and(|m| m.iter().all(|i| *i));
    if let Some((name, _)) = loaded.iter().find(|(_, p)| hidden(p)) {
        note(
            "all-masked",
            format!("the mask of {name} leaves nothing of it"),
            Some("black pixels of a mask are left out, white ones count"),
        );
    }
    let first = loaded
        .first()
        .map(|(_, p)| (p.image.width(), p.image.height()));
    let other = loaded
        .iter()
        .find(|(_, p)| Some((p.image.width(), p.image.height())) != first);
    if let Some((name, _)) = other {
        note(
            "two-sizes",
            format!("the photos differ in size (such as {name}); each counts with its own"),
            None,
        );
    }
    Ok(loaded
        .drain(..)
        .map(|(name, p)| Named {
            name,
            photo: Photo {
                camera: p.camera,
                image: p.image,
                ignored: p.ignored,
            },
        })
        .collect())
}

/// A photo on white, composited on sRGB values as the benchmarks do.
pub(crate) fn on_white(image: &Image) -> Result<Image> {
    if image.channels() == 3 {
        return Ok(image.clone());
    }
    let data = image
        .data()
        .chunks_exact(4)
        .flat_map(|p| {
            let alpha = f32::from(p[3]) / 255.0;
            [0, 1, 2].map(|c| (f32::from(p[c]) * alpha + 255.0 * (1.0 - alpha)).round() as u8)
        })
        .collect();
    Image::from_raw(image.width(), image.height(), 3, data)
        .ok_or_else(|| Error::internal("a picture has the wrong length"))
}
