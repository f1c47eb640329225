//! Product recipes and studio scenes, as text, so that an installed binary needs no file beside it.
//!
//! `README.md` beside this crate describes the recipes, which packshot-data reads; `docs/scenes.md` describes the scenes, which
//! packshot-pipeline reads.

/// Colours and materials that recipes paint with, TOML.
pub const PALETTE: &str = include_str!("../palette.toml");

macro_rules! recipes {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../recipes/", $name, ".toml")))),*]
    };
}

/// Product recipes: name and TOML text, sorted by name.
pub const RECIPES: &[(&str, &str)] = recipes![
    "armchair",
    "backpack",
    "ball",
    "barrel",
    "bed",
    "bench",
    "book",
    "bookshelf",
    "bottle",
    "bowl",
    "box",
    "cabinet",
    "can",
    "candle",
    "car",
    "chair",
    "clock",
    "cup",
    "desk",
    "floor_lamp",
    "glass",
    "handbag",
    "hat",
    "headphones",
    "jar",
    "laptop",
    "lipstick",
    "mug",
    "pen",
    "perfume_bottle",
    "phone",
    "plant_pot",
    "refrigerator",
    "shoe",
    "sofa",
    "speaker",
    "stool",
    "suitcase",
    "sunglasses",
    "table",
    "table_lamp",
    "teapot",
    "television",
    "tube",
    "umbrella",
    "vase",
    "wardrobe",
    "watch",
];

macro_rules! scenes {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../studio/", $name, ".toml")))),*]
    };
}

/// Studio scenes: name and TOML text, in the order in which they are listed.
pub const SCENES: &[(&str, &str)] = scenes![
    "white-sweep",
    "cut-out",
    "cut-out-shadow",
    "dark-luxury",
    "pastel-pedestal",
    "marble-pedestal",
    "wooden-table",
    "window-light",
    "colour-splash",
    "flat-lay",
];

/// The text of the studio scene `name`.
pub fn scene(name: &str) -> Option<&'static str> {
    let found = SCENES.iter().find(|(known, _)| *known == name);
    found.map(|(_, text)| *text)
}

/// The text of the recipe `name`.
pub fn recipe(name: &str) -> Option<&'static str> {
    RECIPES
        .binary_search_by(|(known, _)| known.cmp(&name))
        .ok()
        .map(|k| RECIPES[k].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_built_in_under_its_name() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/recipes");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let known: Vec<String> = RECIPES
            .iter()
            .map(|(name, _)| format!("{name}.toml"))
            .collect();
        assert_eq!(files, known);
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/studio");
        let scenes = std::fs::read_dir(folder).unwrap();
        assert_eq!(scenes.count(), SCENES.len());
        assert!(scene("white-sweep").is_some());
        assert!(scene("no such thing").is_none());
        assert!(recipe(RECIPES[0].0).is_some());
        assert!(recipe("no such thing").is_none());
    }
}
