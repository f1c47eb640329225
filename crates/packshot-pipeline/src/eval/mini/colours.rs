//! Names of the colours of a cloud.

use packshot_core::colour::linear_from_srgb;
use std::collections::BTreeMap;

/// Colours that anyone calls by these words. Most names have a light and a dark one.
const ANCHORS: [(&str, [u8; 3]); 34] = [
    ("white", [250, 250, 250]),
    ("white", [225, 225, 225]),
    ("grey", [150, 150, 150]),
    ("grey", [105, 105, 105]),
    ("black", [22, 22, 22]),
    ("black", [48, 48, 48]),
    ("red", [210, 30, 35]),
    ("red", [130, 15, 20]),
    ("red", [235, 70, 70]),
    ("orange", [240, 125, 30]),
    ("orange", [200, 100, 20]),
    ("orange", [250, 160, 80]),
    ("yellow", [245, 210, 50]),
    ("yellow", [200, 165, 30]),
    ("yellow", [250, 230, 130]),
    ("green", [55, 150, 65]),
    ("green", [25, 80, 35]),
    ("green", [120, 200, 110]),
    ("turquoise", [45, 185, 175]),
    ("turquoise", [20, 110, 105]),
    ("turquoise", [130, 220, 215]),
    ("blue", [45, 100, 200]),
    ("blue", [20, 45, 110]),
    ("blue", [120, 170, 235]),
    ("purple", [115, 65, 165]),
    ("purple", [65, 30, 95]),
    ("purple", [170, 130, 215]),
    ("pink", [240, 140, 185]),
    ("pink", [225, 90, 150]),
    ("pink", [250, 195, 210]),
    ("brown", [110, 70, 40]),
    ("brown", [75, 45, 25]),
    ("beige", [220, 195, 155]),
    ("beige", [190, 165, 130]),
];

/// OKLab (Ottosson 2020) of an sRGB colour, lightness halved: shading changes it most.
fn lab([r, g, b]: [u8; 3]) -> [f32; 3] {
    let [r, g, b] = [r, g, b].map(|v| linear_from_srgb(f32::from(v) / 255.0));
    let l = (0.412_221_46 * r + 0.536_332_55 * g + 0.051_445_995 * b).cbrt();
    let m = (0.211_903_5 * r + 0.680_699_5 * g + 0.107_396_96 * b).cbrt();
    let s = (0.088_302_46 * r + 0.281_718_85 * g + 0.629_978_7 * b).cbrt();
    [
        0.5 * (0.210_454_26 * l + 0.793_617_8 * m - 0.004_072_047 * s),
        1.977_998_5 * l - 2.428_592_2 * m + 0.450_593_7 * s,
        0.025_904_037 * l + 0.782_771_77 * m - 0.808_675_77 * s,
    ]
}

/// The word for a colour.
pub(super) fn name(colour: [u8; 3]) -> &'static str {
    let own = lab(colour);
    let far = |anchor: &(&str, [u8; 3])| {
        let other = lab(anchor.1);
        (0..3).map(|c| (own[c] - other[c]).powi(2)).sum::<f32>()
    };
    ANCHORS
        .iter()
        .min_by(|a, b| far(a).total_cmp(&far(b)))
        .map_or("grey", |anchor| anchor.0)
}

/// The names of a cloud's colours, most frequent first.
pub(super) fn names(colours: &[[u8; 3]]) -> Vec<&'static str> {
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    for &colour in colours {
        *counts.entry(name(colour)).or_default() += 1;
    }
    let mut names: Vec<_> = counts.into_iter().collect();
    names.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    names.into_iter().map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_colours_have_their_names() {
        for (colour, word) in [
            ([255, 0, 0], "red"),
            ([0, 0, 255], "blue"),
            ([255, 255, 255], "white"),
            ([0, 0, 0], "black"),
            ([128, 128, 128], "grey"),
            ([255, 255, 0], "yellow"),
            ([0, 128, 0], "green"),
            ([255, 165, 0], "orange"),
            ([255, 192, 203], "pink"),
            ([128, 0, 128], "purple"),
            ([64, 224, 208], "turquoise"),
            ([101, 67, 33], "brown"),
            ([245, 222, 179], "beige"),
        ] {
            assert_eq!(name(colour), word, "{colour:?}");
        }
        let cloud = [[200, 20, 20], [250, 250, 250], [190, 10, 25]];
        assert_eq!(names(&cloud), ["red", "white"]);
    }
}
