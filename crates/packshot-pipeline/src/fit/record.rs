//! `report.json` and `report.md`.

use super::measure::ViewScore;
use super::product::Kept;
use super::refined::PoseChange;
use super::registration::Registration;
use super::trainers::PlanRecord;
use super::{Effort, FitSettings, REPORT_FILE};
use packshot_core::{CpuLevel, Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::path::Path;

/// A moment of the training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Training time.
    pub secs: f64,
    /// Steps done.
    pub step: u64,
    /// PSNR of the training rays of late, in dB, on their random backgrounds.
    pub train_psnr: f64,
    /// Mean PSNR of the held-out views, where it was measured.
    pub held_out_psnr: Option<f64>,
}

/// The content of `report.json`.
#[derive(Clone, Debug, Serialize)]
pub struct FitReport {
    /// Version of this form.
    pub schema: u32,
    /// Mean over the held-out views in dB; `None` where none were held out.
    pub psnr: Option<f64>,
    /// Mean SSIM, likewise.
    pub ssim: Option<f64>,
    /// The held-out views.
    pub views: Vec<ViewScore>,
    /// Seconds of training alone.
    pub train_secs: f64,
    /// Steps.
    pub steps: u64,
    /// Rays trained.
    pub rays: u64,
    /// Samples whose density was asked for.
    pub samples: u64,
    /// Samples that were shaded and trained.
    pub shaded_samples: u64,
    /// Photos trained on.
    pub photos: usize,
    /// Photos less than half as sharp as the middle one, by the set's own word or their pixels.
    pub blurred: Vec<String>,
    /// How far the poses were corrected, with `--refine-poses`; held-out photos were then measured
    /// at the poses that the field gives them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pose_change: Option<PoseChange>,
    /// What was noticed about the set, such as photos that are not there.
    pub notes: Vec<String>,
    /// With `--poses colmap`: how many photos have a camera, and why others have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration: Option<Registration>,
    /// Share of the scene's cells that hold anything, where the field keeps count.
    pub occupied: Option<f64>,
    /// Threads.
    pub threads: usize,
    /// Instruction set.
    pub cpu_level: CpuLevel,
    /// What was asked for.
    pub settings: FitSettings,
    /// What followed from the photos.
    pub plan: PlanRecord,
    /// What was kept of the scene, with `--crop`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<Kept>,
    /// The course of the training.
    pub curve: Vec<CurvePoint>,
    /// Version of the program.
    pub version: &'static str,
}

impl FitReport {
    /// Writes both files; the one for programs comes last.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        packshot_formats::write_file(&folder.join("report.md"), self.markdown().as_bytes())?;
        let json = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::internal(format!("cannot write the report: {e}")))?;
        packshot_formats::write_file(&folder.join(REPORT_FILE), &json)
    }

    fn markdown(&self) -> String {
        let mut text = String::from("# Fit\n\n");
        // Writing to a string cannot fail.
        let _ = match (self.psnr, self.ssim) {
            (Some(psnr), Some(ssim)) => writeln!(
                text,
                "**{psnr:.2} dB, SSIM {ssim:.4}** over {} held-out photos after {:.0} s of training.\n",
                self.views.len(),
                self.train_secs
            ),
            (Some(psnr), None) => writeln!(
                text,
                "**{psnr:.2} dB** over {} held-out photos.\n",
                self.views.len()
            ),
            _ => writeln!(text, "No photo was held out, so nothing was measured.\n"),
        };
        let effort = match self.settings.effort {
            Effort::Steps(steps) => format!("{steps} steps"),
            Effort::Secs(secs) => format!("{secs:.0} s"),
        };
        let _ = writeln!(
            text,
            "| | |\n|---|---|\n| field | {}, for {effort}, photos {}× smaller, seed {} |\n| photos trained on | {} |\n| steps | {} |\n| rays | {} ({:.0} a second) |\n| samples | {} ({:.2} M a second) |\n| threads | {}, {} |\n",
            self.settings.field.name(),
            self.settings.downscale,
            self.settings.seed,
            self.photos,
            self.steps,
            self.rays,
            self.rays as f64 / self.train_secs.max(1e-9),
            self.samples,
            self.samples as f64 / self.train_secs.max(1e-9) / 1e6,
            self.threads,
            self.cpu_level.name(),
        );
        if let Some(share) = self.occupied {
            let _ = writeln!(
                text,
                "{:.2} % of the scene's cells hold anything.\n",
                100.0 * share
            );
        }
        if let Some(change) = &self.pose_change {
            let _ = writeln!(
                text,
                "Poses were corrected by {:.2}° and {:.4} units on the mean, {:.2}° and {:.4} at most; held-out photos are measured at the poses that the field gives them.\n",
                change.mean_turn_deg, change.mean_way, change.largest_turn_deg, change.longest_way
            );
        }
        if let Some(kept) = &self.kept {
            let [x, y, z] = kept.size_m;
            let ground = if kept.on_ground {
                "what it stands on is cut away"
            } else {
                "no surface under it was found"
            };
            let _ = writeln!(
                text,
                "The product, {x:.3} × {y:.3} × {z:.3} m; {ground}.\n\n![the product from four sides](product.png)\n"
            );
        }
        text.push_str("![PSNR against time](loss.png)\n\nPSNR in dB against seconds of training. Grey: training rays. Red: held-out photos.\n");
        self.photos_in_words(&mut text);
        if !self.views.is_empty() {
            text.push_str("\n## Held-out photos\n\nLeft the photo, right the field.\n\n| photo | PSNR | SSIM | |\n|---|---|---|---|\n");
            for (i, view) in self.views.iter().enumerate() {
                let ssim = view
                    .ssim
                    .map_or_else(|| "–".to_owned(), |s| format!("{s:.4}"));
                let _ = writeln!(
                    text,
                    "| {} | {:.2} | {ssim} | ![](views/{i:03}.png) |",
                    view.name, view.psnr
                );
            }
        }
        text
    }

    /// What was noticed about the photos.
    fn photos_in_words(&self, text: &mut String) {
        if let Some(found) = &self.registration {
            let _ = writeln!(
                text,
                "\n## Cameras\n\nCOLMAP placed {} of {} photos.\n",
                found.registered, found.photos
            );
            for photo in &found.missing {
                let _ = writeln!(text, "- {}: {}", photo.name, photo.why);
            }
        }
        if !self.notes.is_empty() || !self.blurred.is_empty() {
            text.push_str("\n## Photos\n\n");
        }
        for note in &self.notes {
            let _ = writeln!(text, "- {note}");
        }
        if !self.blurred.is_empty() {
            let _ = writeln!(
                text,
                "- less than half as sharp as most: {}",
                self.blurred.join(", ")
            );
        }
    }
}
