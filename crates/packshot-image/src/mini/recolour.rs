//! Recolours training pictures together with their captions, so that the network learns colours
//! apart from things.

use packshot_core::NoiseStream;

/// Hue words and their hues in degrees.
pub const HUES: [(&str, f32); 8] = [
    ("red", 0.0),
    ("orange", 26.0),
    ("yellow", 52.0),
    ("green", 120.0),
    ("turquoise", 175.0),
    ("blue", 218.0),
    ("purple", 275.0),
    ("pink", 328.0),
];

/// Turns the hue of what is `from` in the picture (64×64 sRGB) to another hue word and the word in
/// the caption with it. `None` when too little of the picture has that hue.
pub fn recolour(
    rgb: &[u8],
    caption: &str,
    from: &str,
    random: &mut NoiseStream,
) -> Option<(Vec<u8>, String)> {
    let source = HUES.iter().find(|(word, _)| *word == from)?.1;
    let (to, target) = HUES[random.below(HUES.len())];
    if !caption.split(' ').any(|word| word == from) {
        return None;
    }
    let near = |hue: f32, other: f32| ((hue - other + 540.0).rem_euclid(360.0) - 180.0).abs();
    let mut offsets: Vec<f32> = Vec::new();
    let pixels: Vec<[f32; 3]> = rgb
        .chunks_exact(3)
        .map(|p| hsv([p[0], p[1], p[2]]))
        .collect();
    for [hue, saturation, _] in &pixels {
        if near(*hue, source) < 40.0 && *saturation > 0.2 {
            offsets.push((hue - source + 540.0).rem_euclid(360.0) - 180.0);
        }
    }
    if offsets.len() < 20 {
        return None;
    }
    offsets.sort_by(f32::total_cmp);
    let own_hue = source + offsets[offsets.len() / 2];
    let lighter = matches!(to, "yellow" | "orange" | "pink");
    let mut out = Vec::with_capacity(rgb.len());
    for (pixel, &[hue, saturation, value]) in rgb.chunks_exact(3).zip(&pixels) {
        if near(hue, own_hue) < 34.0 && saturation > 0.1 {
            let value = if lighter {
                (value * 1.25 + 0.08).min(1.0)
            } else {
                value
            };
            out.extend(rgb_of([
                (hue - own_hue + target).rem_euclid(360.0),
                saturation,
                value,
            ]));
        } else {
            out.extend_from_slice(pixel);
        }
    }
    let article = |word: &str| {
        if word.starts_with(['a', 'e', 'i', 'o', 'u']) {
            "an"
        } else {
            "a"
        }
    };
    let mut words: Vec<&str> = caption.split(' ').collect();
    for i in 0..words.len() {
        if words[i] == from {
            words[i] = to;
            if i > 0 && matches!(words[i - 1], "a" | "an") {
                words[i - 1] = article(to);
            }
            break;
        }
    }
    Some((out, words.join(" ")))
}

/// Hue in degrees, saturation and value in [0, 1].
fn hsv([r, g, b]: [u8; 3]) -> [f32; 3] {
    let [r, g, b] = [r, g, b].map(|v| f32::from(v) / 255.0);
    let value = r.max(g).max(b);
    let chroma = value - r.min(g).min(b);
    if chroma <= 0.0 {
        return [0.0, 0.0, value];
    }
    let sector = if value == r {
        ((g - b) / chroma).rem_euclid(6.0)
    } else if value == g {
        (b - r) / chroma + 2.0
    } else {
        (r - g) / chroma + 4.0
    };
    [60.0 * sector, chroma / value, value]
}

fn rgb_of([hue, saturation, value]: [f32; 3]) -> [u8; 3] {
    let chroma = value * saturation;
    let sector = hue / 60.0;
    let x = chroma * (1.0 - (sector.rem_euclid(2.0) - 1.0).abs());
    let (r, g, b) = match sector as u32 {
        0 => (chroma, x, 0.0),
        1 => (x, chroma, 0.0),
        2 => (0.0, chroma, x),
        3 => (0.0, x, chroma),
        4 => (x, 0.0, chroma),
        _ => (chroma, 0.0, x),
    };
    [r, g, b].map(|v| packshot_core::colour::level(v + value - chroma))
}

#[cfg(test)]
mod tests {
    use super::*;
    use packshot_core::{NoiseKey, Seed, Stage};

    #[test]
    fn hsv_there_and_back() {
        for rgb in [
            [10, 200, 30],
            [255, 0, 0],
            [7, 7, 7],
            [12, 13, 250],
            [250, 128, 129],
        ] {
            let back = rgb_of(hsv(rgb));
            for c in 0..3 {
                assert!(back[c].abs_diff(rgb[c]) <= 1, "{rgb:?} {back:?}");
            }
        }
    }

    #[test]
    fn picture_and_caption_change_together() {
        let rgb = [200u8, 30, 30].repeat(64 * 64);
        for step in 0..40 {
            let key = NoiseKey {
                candidate: 0,
                stage: Stage::Train,
                step,
            };
            let mut random = NoiseStream::new(Seed(1), key);
            let (out, caption) = recolour(&rgb, "a red mug", "red", &mut random).unwrap();
            let word = caption.split(' ').nth(1).unwrap().to_owned();
            let hue = HUES.iter().find(|(w, _)| *w == word).unwrap().1;
            let got = hsv([out[0], out[1], out[2]])[0];
            assert!(
                ((got - hue + 540.0).rem_euclid(360.0) - 180.0).abs() < 4.0,
                "{caption}: {got}"
            );
            assert!(
                caption == "an orange mug" || caption.starts_with("a "),
                "{caption}"
            );
        }
    }

    #[test]
    fn what_has_another_colour_stays() {
        let rgb = [30u8, 30, 200].repeat(64 * 64);
        let key = NoiseKey {
            candidate: 0,
            stage: Stage::Train,
            step: 0,
        };
        let mut random = NoiseStream::new(Seed(1), key);
        assert!(recolour(&rgb, "a red mug", "red", &mut random).is_none());
        assert!(recolour(&rgb, "a mug", "blue", &mut random).is_none());
    }
}
