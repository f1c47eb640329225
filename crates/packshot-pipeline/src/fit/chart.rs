//! The course of a training as a picture.

use super::record::CurvePoint;
use packshot_core::Image;

const WIDTH: usize = 480;
const HEIGHT: usize = 240;
const MARGIN: usize = 12;
/// Room for the numbers at the left and below.
const LEFT: usize = 30;
const BELOW: usize = 22;
/// Digits of 3×5 pixels, rows from the top, three bits each; the last is the point.
const DIGITS: [[u8; 5]; 11] = [
    [7, 5, 5, 5, 7],
    [2, 6, 2, 2, 7],
    [7, 1, 7, 4, 7],
    [7, 1, 7, 1, 7],
    [5, 5, 7, 1, 1],
    [7, 4, 7, 1, 7],
    [7, 4, 7, 5, 7],
    [7, 1, 1, 1, 1],
    [7, 5, 7, 5, 7],
    [7, 5, 7, 1, 7],
    [0, 0, 0, 0, 2],
];
/// Pixels of the picture for one of a digit.
const DOT: usize = 2;
const INK: [u8; 3] = [110; 3];

/// PSNR in dB against seconds of training: training rays grey, held-out views red where they were
/// measured. Horizontal lines every 5 dB.
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
        let x = LEFT as f64 + secs / end * (WIDTH - LEFT - MARGIN) as f64;
        let y = MARGIN as f64 + (high - value) / (high - low) * (HEIGHT - MARGIN - BELOW) as f64;
        (x, y)
    };
    let mut level = low;
    while level <= high {
        line(&mut image, place(0.0, level), place(end, level), [225; 3]);
        let (_, y) = place(0.0, level);
        number(
            &mut image,
            (LEFT - 4, y as usize - 5),
            &format!("{level:.0}"),
        );
        level += 5.0;
    }
    for i in 1..=4 {
        let secs = end * f64::from(i) / 4.0;
        let (x, y) = place(secs, low);
        line(&mut image, (x, y), (x, y + 4.0), INK);
        let text = if end < 8.0 {
            format!("{secs:.1}")
        } else {
            format!("{secs:.0}")
        };
        let right = (x as usize + text.len() * DOT * 2).min(WIDTH - 2);
        number(&mut image, (right, y as usize + 7), &text);
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

/// Writes a number that ends at `right`, its upper edge at `top`.
fn number(image: &mut Image, (right, top): (usize, usize), text: &str) {
    let width = 4 * DOT;
    for (i, c) in text.chars().rev().enumerate() {
        let digit = c.to_digit(10).map_or(10, |d| d as usize);
        let Some(left) = right.checked_sub((i + 1) * width) else {
            return;
        };
        for (row, bits) in DIGITS[digit].iter().enumerate() {
            for column in (0..3).filter(|column| bits >> (2 - column) & 1 == 1) {
                for at in 0..DOT * DOT {
                    let x = left + column * DOT + at % DOT;
                    let y = top + row * DOT + at / DOT;
                    if x < image.width() && y < image.height() {
                        image.pixel_mut(x, y).copy_from_slice(&INK);
                    }
                }
            }
        }
    }
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
