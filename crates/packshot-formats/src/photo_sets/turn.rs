//! Cameras of photos that their EXIF orientation turns.
//!
//! COLMAP and the programs around it find cameras for the pixels as they lie in the file. Photos are
//! read upright, so such a camera is turned with its photo.

use super::PhotoEntry;
use crate::picture_in::{PictureHeader, picture_header};
use packshot_core::Result;
use packshot_geometry::lens::{Intrinsics, Lens, LensCamera};

/// Largest difference of proportions that counts as the same.
const SAME: f64 = 0.02;

/// Turns the camera of a photo when the size that the set states is that of the pixels as they lie in
/// the file.
///
/// # Errors
/// Those of reading the photo's header.
pub(super) fn with_orientation(photo: &mut PhotoEntry) -> Result<()> {
    let header = picture_header(&photo.path)?;
    photo.turned = turns(&header, &photo.camera.intrinsics);
    for _ in 0..photo.turned {
        photo.camera = quarter_turn(photo.camera);
    }
    Ok(())
}

fn turns(header: &PictureHeader, stated: &Intrinsics) -> u8 {
    let fits = |[w, h]: [usize; 2]| {
        let ratio = (w * stated.height) as f64 / ((h * stated.width) as f64).max(1.0);
        (ratio - 1.0).abs() <= SAME
    };
    match header.turns {
        Some(turns) if fits(header.stored) => turns,
        _ => 0,
    }
}

/// The camera of a photo that is turned clockwise by a quarter: what was up is now right.
pub(super) fn quarter_turn(camera: LensCamera) -> LensCamera {
    let i = camera.intrinsics;
    // A place (x, y) from the principal point comes to (−y, x), and so do vectors on the plane.
    let vector = |[x, y]: [f64; 2]| [-y, x];
    // Brown's tangential terms are r²·q + 2v·(q·v) with q = (p2, p1).
    let tangential = |[p1, p2]: [f64; 2]| {
        let [x, y] = vector([p2, p1]);
        [y, x]
    };
    let lens = match i.lens {
        Lens::Brown { k, p } => Lens::Brown {
            k,
            p: tangential(p),
        },
        Lens::ThinPrismFisheye { k, p, s } => Lens::ThinPrismFisheye {
            k,
            p: tangential(p),
            s: vector(s),
        },
        same => same,
    };
    LensCamera {
        intrinsics: Intrinsics {
            width: i.height,
            height: i.width,
            focal: [i.focal[1], i.focal[0]],
            centre: [i.height as f64 - i.centre[1], i.centre[0]],
            lens,
        },
        world_from_camera: camera
            .world_from_camera
            .map(|[right, up, back, t]| [up, -right, back, t]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(lens: Lens) -> LensCamera {
        LensCamera {
            intrinsics: Intrinsics {
                width: 40,
                height: 30,
                focal: [33.0, 35.0],
                centre: [21.0, 14.0],
                lens,
            },
            world_from_camera: [
                [0.8, 0.0, 0.6, 1.0],
                [0.0, 1.0, 0.0, 2.0],
                [-0.6, 0.0, 0.8, 3.0],
            ],
        }
    }

    #[test]
    fn a_turned_camera_sees_the_same_light_at_the_turned_place() {
        for lens in [
            Lens::Pinhole,
            Lens::Brown {
                k: [0.1, -0.02, 0.0, 0.0, 0.0, 0.0],
                p: [0.01, -0.02],
            },
            Lens::Fisheye {
                k: [0.02, 0.01, 0.0, 0.0],
            },
            Lens::ThinPrismFisheye {
                k: [0.02, 0.01, 0.0, 0.0],
                p: [0.01, -0.02],
                s: [0.03, -0.01],
            },
        ] {
            let before = camera(lens);
            let after = quarter_turn(before);
            for (x, y) in [(3.5, 4.5), (30.0, 7.0), (12.0, 29.0)] {
                let a = before.direction(x, y).unwrap();
                let b = after.direction(30.0 - y, x).unwrap();
                for c in 0..3 {
                    assert!((a[c] - b[c]).abs() < 1e-9, "{lens:?} {a:?} {b:?}");
                }
            }
            let round = (0..4).fold(before, |c, _| quarter_turn(c));
            assert!((round.intrinsics.centre[0] - 21.0).abs() < 1e-12);
            assert_eq!(round.world_from_camera, before.world_from_camera);
        }
    }

    #[test]
    fn cameras_turn_only_with_pixels_that_they_are_for() {
        let header = PictureHeader {
            stored: [80, 60],
            upright: [60, 80],
            turns: Some(1),
        };
        assert_eq!(turns(&header, &camera(Lens::Pinhole).intrinsics), 1);
        let upright = quarter_turn(camera(Lens::Pinhole)).intrinsics;
        assert_eq!(turns(&header, &upright), 0);
        let mirrored = PictureHeader {
            turns: None,
            ..header
        };
        assert_eq!(turns(&mirrored, &camera(Lens::Pinhole).intrinsics), 0);
    }
}
