//! Files of a shoot.

use super::develop::Development;
use super::plate::{BAND_PIXELS, Exposure, Plate};
use super::recolour::Variant;
use super::record::ShotRecord;
use super::settings::{Format, ShootSettings};
use super::studio::Studio;
use super::{NamesInUse, asset::Product, movie};
use packshot_core::{Error, Image, Result};
use packshot_formats::{ExrPicture, write_apng, write_described, write_exr, write_gif, write_png};
use packshot_geometry::contact_sheet;
use packshot_render::Settings;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Side of a picture on the contact sheet.
pub(super) const THUMBNAIL: usize = 384;
/// Name of the contact sheet.
const SHEET: &str = "contact-sheet.png";
/// Most pictures in a row of it.
const SHEET_COLUMNS: usize = 6;
/// The program, as files name it.
const SOFTWARE: &str = concat!("Packshot ", env!("CARGO_PKG_VERSION"));

/// One asset in one scene and look.
pub(super) struct Shot {
    /// Name of its files.
    pub name: String,
    asset: String,
    scene: String,
    variant: Option<String>,
    development: Development,
    settings: ShootSettings,
    formats: Vec<Format>,
    depth_scale: f32,
}

impl Shot {
    pub(super) fn new(
        studio: &Studio,
        product: &Product,
        variant: &Variant,
        settings: &ShootSettings,
        formats: &[Format],
        names: &mut NamesInUse,
    ) -> Self {
        let slug = variant.slug();
        let mut name = format!("{}_{}", product.name, studio.name);
        if let Some(slug) = &slug {
            name = format!("{name}_{slug}");
        }
        Self {
            name: names.take(&name),
            asset: product.name.clone(),
            scene: studio.name.clone(),
            variant: slug.map(|_| variant.text.clone()),
            development: studio.development(settings.stops),
            settings: settings.clone(),
            formats: formats.to_vec(),
            depth_scale: product.length_m,
        }
    }

    /// How its pictures are made with `settings`.
    pub(super) fn exposure<'a>(&'a self, settings: &'a Settings) -> Exposure<'a> {
        Exposure {
            development: &self.development,
            settings,
            smooth: self.settings.preview,
            keep_light: self.formats.contains(&Format::Exr),
            band_pixels: BAND_PIXELS,
        }
    }

    /// Makes room for its files in `folder`.
    pub(super) fn begin<'a>(&'a self, folder: &'a Path) -> Result<Sequence<'a>> {
        let frames_in = self.settings.turntable.map(|_| folder.join(&self.name));
        if let Some(inner) = &frames_in {
            std::fs::create_dir(inner)
                .map_err(|e| Error::io(format!("create {}", inner.display()), e))?;
        }
        Ok(Sequence {
            shot: self,
            folder,
            frames_in,
            written: 0,
            frames: Vec::new(),
            files: Vec::new(),
            samples: 0.0,
            started: Instant::now(),
        })
    }

    /// What the files say about themselves.
    fn text(&self, frame: Option<usize>) -> Vec<(&'static str, String)> {
        let mut text = vec![
            ("Software", SOFTWARE.to_owned()),
            ("packshot:asset", self.asset.clone()),
            ("packshot:scene", self.scene.clone()),
            ("packshot:seed", self.settings.seed.0.to_string()),
            ("packshot:samples", self.settings.samples.to_string()),
        ];
        if let Some(variant) = &self.variant {
            text.push(("packshot:recolour", variant.clone()));
        }
        if let (Some(frame), Some(frames)) = (frame, self.settings.turntable) {
            text.push(("packshot:frame", format!("{frame} of {frames}")));
        }
        text
    }
}

/// The pictures of a shot, as they are made.
pub(super) struct Sequence<'a> {
    shot: &'a Shot,
    folder: &'a Path,
    /// The folder of a turntable's pictures.
    frames_in: Option<PathBuf>,
    /// Pictures so far.
    written: usize,
    /// PNG files of a turntable that animations are made of.
    frames: Vec<PathBuf>,
    /// All files, seen from the target.
    files: Vec<String>,
    samples: f64,
    started: Instant,
}

impl Sequence<'_> {
    /// Writes the next picture in every format.
    pub(super) fn write(&mut self, plate: &Plate) -> Result<()> {
        let shot = self.shot;
        self.samples += plate.mean_samples;
        let (folder, stem, frame) = match &self.frames_in {
            Some(folder) => {
                let frame = self.written;
                (folder.as_path(), format!("{frame:03}"), Some(frame))
            }
            None => (self.folder, shot.name.clone(), None),
        };
        let text = shot.text(frame);
        let pairs: Vec<(&str, &str)> = text.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let path = |format: Format| folder.join(format!("{stem}.{}", format.extension()));
        let needs_frames = shot.formats.iter().any(|f| f.is_animation());
        let mut stills: Vec<Format> = shot.formats.clone();
        stills.retain(|f| !f.is_animation());
        if needs_frames && frame.is_some() && !stills.contains(&Format::Png) {
            stills.push(Format::Png);
        }
        for format in stills {
            let path = path(format);
            match format {
                Format::Exr => self.write_exr(&path, plate, &pairs)?,
                _ => write_described(&path, &plate.image, shot.settings.jpeg_quality, &pairs)?,
            }
            if format == Format::Png && frame.is_some() {
                self.frames.push(path.clone());
            }
            if shot.formats.contains(&format) {
                let inner = frame.map_or(String::new(), |_| format!("{}/", shot.name));
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                self.files.push(format!("{inner}{name}"));
            }
        }
        self.written += 1;
        Ok(())
    }

    fn write_exr(&self, path: &Path, plate: &Plate, text: &[(&str, &str)]) -> Result<()> {
        let light = (plate.light.as_ref())
            .ok_or_else(|| Error::internal("the light of a picture was not kept"))?;
        // The studio works in product lengths.
        let depth_m: Vec<f32> = (light.depth.iter())
            .map(|d| d * self.shot.depth_scale)
            .collect();
        let comment: Vec<String> = text.iter().map(|(k, v)| format!("{k}: {v}")).collect();
        write_exr(
            path,
            &ExrPicture {
                width: plate.image.width(),
                height: plate.image.height(),
                premultiplied: &light.premultiplied,
                depth_m: &depth_m,
                mask: &light.mask,
                comment: &comment.join("\n"),
                software: SOFTWARE,
            },
        )
    }

    /// Writes what a turntable makes of its pictures.
    pub(super) fn finish(mut self, length_m: f32) -> Result<ShotRecord> {
        let shot = self.shot;
        let delay = shot.settings.frame_ms;
        let text = shot.text(None);
        let pairs: Vec<(&str, &str)> = text.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let comment: Vec<String> = text.iter().map(|(k, v)| format!("{k}: {v}")).collect();
        for &format in shot.formats.iter().filter(|f| f.is_animation()) {
            let name = format!("{}.{}", shot.name, format.extension());
            let path = self.folder.join(&name);
            match format {
                Format::Apng => write_apng(&path, &self.frames, delay, &pairs)?,
                Format::Gif => write_gif(&path, &self.frames, delay, &comment.join("\n"))?,
                _ => movie::write_mp4(&path, &self.frames, delay)?,
            }
            self.files.push(name);
        }
        if let Some(inner) = &self.frames_in
            && !shot.formats.contains(&Format::Png)
        {
            // They were made for the films alone.
            let removed = if shot.formats.iter().all(|f| f.is_animation()) {
                std::fs::remove_dir_all(inner)
            } else {
                self.frames.iter().try_for_each(std::fs::remove_file)
            };
            removed.map_err(|e| Error::io(format!("tidy up {}", inner.display()), e))?;
        }
        let pictures = shot.settings.turntable.unwrap_or(1);
        Ok(ShotRecord {
            name: shot.name.clone(),
            asset: shot.asset.clone(),
            scene: shot.scene.clone(),
            recolour: shot.variant.clone(),
            length_m,
            pictures,
            mean_samples: self.samples / pictures as f64,
            files: self.files,
            seconds: self.started.elapsed().as_secs_f64(),
        })
    }
}

/// Writes the contact sheet where there are several pictures; returns its name.
pub(super) fn write_sheet(folder: &Path, thumbnails: &[Image]) -> Result<Option<&'static str>> {
    if thumbnails.len() < 2 {
        return Ok(None);
    }
    // As square as the number allows.
    let columns = (1..=SHEET_COLUMNS)
        .find(|c| c * c >= thumbnails.len())
        .unwrap_or(SHEET_COLUMNS);
    let sheet = contact_sheet(thumbnails, columns, 12, [255; 3]);
    write_png(&folder.join(SHEET), &sheet)?;
    Ok(Some(SHEET))
}
