//! The course of a training as a picture.

use super::record::CurvePoint;
use packshot_core::Image;

const WIDTH: usize = 480;
const HEIGHT: usize = 240;
const MARGIN: usize = 12;

/// PSNR against training time: training rays grey, held-out views red where they were measured.
/// Horizontal lines every 5 dB.
pub(super) fn chart(curve: &[CurvePoint]) -> Image {
    let mut image = Image::filled(WIDTH, HEIGHT, &[255; 3]);
    let values = || {
        curve
            .iter()
            .flat_map(|p| [Some(p.train_psnr), p.held_out_psnr])
            .flatten()
    };
    let low = (values().fold(f64::INFINITY, f64::min).min(40.0) / 5.0).floor() * 5.0;
    let high = ((values().fold(0.0, f64::max) / 5.0).ceil() * 5.0).max(low + 5.0);
    let end = curve.last().map_or(1.0, |p| p.secs).max(1e-3);
    let place = |secs: f64, value: f64| {
        let x = MARGIN as f64 + secs / end * (WIDTH - 2 * MARGIN) as f64;
        let y = MARGIN as f64 + (high - value) / (high - low) * (HEIGHT - 2 * MARGIN) as f64;
        (x, y)
    };
    let mut level = low;
    while level <= high {
        line(&mut image, place(0.0, level), place(end, level), [225; 3]);
        level += 5.0;
    }
    let mut draw = |points: Vec<(f64, f64)>, colour| {
        for pair in points.windows(2) {
            let [a, b] = [pair[0], pair[1]].map(|(secs, value)| place(secs, value));
            line(&mut image, a, b, colour);
            line(&mut image, (a.0, a.1 + 1.0), (b.0, b.1 + 1.0), colour);
        }
    };
    draw(
        curve.iter().map(|p| (p.secs, p.train_psnr)).collect(),
        [150, 150, 150],
    );
    draw(
        curve
            .iter()
            .filter_map(|p| Some((p.secs, p.held_out_psnr?)))
            .collect(),
        [200, 40, 40],
    );
    image
}

fn line(image: &mut Image, a: (f64, f64), b: (f64, f64), colour: [u8; 3]) {
    let steps = (b.0 - a.0)
        .abs()
        .max((b.1 - a.1).abs())
        .ceil()
        .clamp(1.0, 4096.0) as usize;
    for i in 0..=steps {
        let t = i as f64 / steps as f64;
        let (x, y) = (
            (a.0 + t * (b.0 - a.0)) as usize,
            (a.1 + t * (b.1 - a.1)) as usize,
        );
        if x < image.width() && y < image.height() {
            image.pixel_mut(x, y).copy_from_slice(&colour);
        }
    }
}
