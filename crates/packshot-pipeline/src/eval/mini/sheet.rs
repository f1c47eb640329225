//! A contact sheet of held-out objects: their picture, the cloud made from it, and the true one.

use packshot_core::{Image, NoiseKey, NoiseStream, Result, Seed, Stage};
use packshot_geometry::contact_sheet;
use packshot_geometry::splat::{SplatOptions, render_preview};
use packshot_points::mini::FramedCloud;
use serde::Serialize;
use std::collections::BTreeSet;

/// Objects on a sheet.
const SHOWN: usize = 24;
/// Objects in a row of a sheet.
const ACROSS: usize = 4;
/// Side of a cell in pixels.
const CELL: usize = 128;
/// Pixels around the three cells of an object.
const GAP: usize = 16;
const WHITE: [u8; 3] = [255; 3];

/// An object on the sheet, in reading order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShownObject {
    /// Its name in the training set.
    pub id: String,
    /// What the training set says of it.
    pub caption: String,
    /// SPDX expression of its licence.
    pub licence: String,
    /// Who made it.
    pub attribution: String,
    /// Where it comes from.
    pub source: String,
    /// Distance of the cloud made from its picture, as [`super::SingleView::mean_distance`].
    pub distance: f64,
    /// The same for the retrieved one.
    pub retrieval_distance: f64,
}

/// A sheet in the making.
pub(super) struct Sheet {
    chosen: BTreeSet<usize>,
    /// Three cells side by side for each.
    drawn: Vec<Image>,
    objects: Vec<ShownObject>,
}

impl Sheet {
    /// A sheet of some of `count` objects, drawn by `seed`.
    pub(super) fn new(count: usize, seed: Seed) -> Self {
        let key = NoiseKey {
            candidate: 0,
            stage: Stage::Eval,
            step: SHOWN as u32,
        };
        let mut order: Vec<usize> = (0..count).collect();
        NoiseStream::new(seed, key).shuffle(&mut order);
        order.truncate(SHOWN);
        Self {
            chosen: order.into_iter().collect(),
            drawn: Vec::new(),
            objects: Vec::new(),
        }
    }

    /// Whether object `i` is to be shown.
    pub(super) fn shows(&self, i: usize) -> bool {
        self.chosen.contains(&i)
    }

    /// Adds an object: its picture, the cloud made from it, and its own.
    pub(super) fn add(
        &mut self,
        object: ShownObject,
        picture: &Image,
        made: &FramedCloud,
        truth: &FramedCloud,
    ) -> Result<()> {
        let options = SplatOptions {
            size: CELL,
            ..SplatOptions::default()
        };
        let preview = |cloud: &FramedCloud| Ok(render_preview(&cloud.upright()?, &options));
        let cells = [enlarged(picture), preview(made)?, preview(truth)?];
        self.drawn.push(contact_sheet(&cells, 3, 0, WHITE));
        self.objects.push(object);
        Ok(())
    }

    /// What is on the sheet.
    pub(super) fn objects(&self) -> &[ShownObject] {
        &self.objects
    }

    /// The picture.
    pub(super) fn picture(&self) -> Image {
        contact_sheet(&self.drawn, ACROSS, GAP, WHITE)
    }
}

/// The picture at the size of a cell, each pixel as a square.
fn enlarged(picture: &Image) -> Image {
    let mut cell = Image::filled(CELL, CELL, &WHITE);
    for y in 0..CELL {
        for x in 0..CELL {
            let from = picture.pixel(x * picture.width() / CELL, y * picture.height() / CELL);
            cell.pixel_mut(x, y).copy_from_slice(&from[..3]);
        }
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_is_drawn_by_its_seed_and_holds_what_is_there() {
        let chosen = |count: usize, seed: u64| Sheet::new(count, Seed(seed)).chosen;
        assert_eq!(chosen(120, 1), chosen(120, 1));
        assert_ne!(chosen(120, 1), chosen(120, 2));
        assert_eq!(chosen(120, 1).len(), SHOWN);
        assert_eq!(chosen(5, 1), (0..5).collect());

        let cloud = FramedCloud {
            positions: (0..60)
                .map(|i| {
                    [
                        (i % 4) as f32 * 0.1,
                        (i / 4 % 4) as f32 * 0.1,
                        (i / 16) as f32 * 0.1,
                    ]
                })
                .collect(),
            colours: vec![[1.0, -1.0, -1.0]; 60],
        };
        let object = ShownObject {
            id: "a".to_owned(),
            caption: "a red block".to_owned(),
            licence: "CC0-1.0".to_owned(),
            attribution: "nobody".to_owned(),
            source: "a test".to_owned(),
            distance: 0.0,
            retrieval_distance: 0.0,
        };
        let mut sheet = Sheet::new(1, Seed(0));
        assert!(sheet.shows(0) && !sheet.shows(1));
        let picture = Image::filled(64, 64, &[0, 0, 255]);
        sheet.add(object, &picture, &cloud, &cloud).unwrap();
        let image = sheet.picture();
        assert_eq!(image.height(), CELL + 2 * GAP);
        assert_eq!(image.pixel(GAP + 5, GAP + 5), [0, 0, 255]);
        for cell in 1..3 {
            let middle = image.pixel(GAP + cell * CELL + CELL / 2, GAP + CELL / 2);
            assert!(middle[0] > middle[2] + 50, "{middle:?}");
        }
    }
}
