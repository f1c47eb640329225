//! Contact sheets of held-out objects: picture, sampled cloud, true cloud.

use super::examples::{Example, ScaledPoint};
use super::inputs::{PICTURE, POSITION_SCALE};
use packshot_core::{Image, colour};
use packshot_geometry::contact_sheet;

const CELL: usize = 2 * PICTURE;

/// The cells of one object: its picture, the sampled cloud from the picture's side and from its
/// right, and the true cloud from both.
pub(super) fn row(rgb: &[u8], points: &[ScaledPoint], truth: &Example) -> Vec<Image> {
    let sampled: Vec<([f32; 3], [u8; 3])> = points
        .iter()
        .map(|p| {
            let position = [p[0], p[1], p[2]].map(|v| v / POSITION_SCALE);
            (
                position,
                [p[3], p[4], p[5]].map(|v| colour::level(v * 0.5 + 0.5)),
            )
        })
        .collect();
    let step = (truth.positions.len() / points.len().max(1)).max(1);
    let real: Vec<([f32; 3], [u8; 3])> = truth
        .positions
        .iter()
        .zip(&truth.colours)
        .step_by(if step > 1 { 1 } else { step })
        .take(points.len())
        .map(|(&p, &c)| (p, c))
        .collect();
    let side = |cloud: &[([f32; 3], [u8; 3])]| -> Vec<([f32; 3], [u8; 3])> {
        cloud
            .iter()
            .map(|&([x, y, z], c)| ([z, y, -x], c))
            .collect()
    };
    let mut cells = vec![enlarged(rgb)];
    for cloud in [&sampled, &real] {
        cells.push(dots(cloud));
        cells.push(dots(&side(cloud)));
    }
    cells
}

/// Puts cells side by side, five a row and two rows beside each other. `None` without cells.
pub(super) fn sheet(cells: &[Image]) -> Option<Image> {
    const COLUMNS: usize = 10;
    if cells.is_empty() {
        return None;
    }
    Some(contact_sheet(cells, COLUMNS, 0, [255; 3]))
}

fn enlarged(rgb: &[u8]) -> Image {
    let mut image = Image::filled(CELL, CELL, &[255; 3]);
    for y in 0..CELL {
        for x in 0..CELL {
            let at = (y / 2 * PICTURE + x / 2) * 3;
            if let Some(pixel) = rgb.get(at..at + 3) {
                image.pixel_mut(x, y).copy_from_slice(pixel);
            }
        }
    }
    image
}

/// Small squares, nearer ones over farther ones and a little lighter.
fn dots(cloud: &[([f32; 3], [u8; 3])]) -> Image {
    let mut image = Image::filled(CELL, CELL, &[255; 3]);
    let mut order: Vec<usize> = (0..cloud.len()).collect();
    order.sort_by(|&a, &b| cloud[a].0[2].total_cmp(&cloud[b].0[2]));
    let radius: isize = if cloud.len() > 1500 { 1 } else { 2 };
    for i in order {
        let ([x, y, z], rgb) = cloud[i];
        let light = (0.8 + 0.4 * z).clamp(0.55, 1.0);
        let rgb = rgb.map(|v| (f32::from(v) * light) as u8);
        let (px, py) = (
            ((x + 0.5) * CELL as f32) as isize,
            ((0.5 - y) * CELL as f32) as isize,
        );
        for dy in 1 - radius..radius {
            for dx in 1 - radius..radius {
                let (px, py) = (px + dx, py + dy);
                if (0..CELL as isize).contains(&px) && (0..CELL as isize).contains(&py) {
                    image
                        .pixel_mut(px as usize, py as usize)
                        .copy_from_slice(&rgb);
                }
            }
        }
    }
    image
}
