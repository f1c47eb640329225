use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use packshot_core::ErrorKind;
use packshot_geometry::framing::Framing;

use super::*;

const SMALL: &str = r##"
category = "stool"
nouns = ["stool", { text = "tall stool", if = "height > 0.5" }]
details = ["with {legs} legs"]

[params]
height = [0.4, 0.6]
legs_out = "height / 4"

[colours]
legs = ["wood", "black"]

[[parts]]
name = "seat"
shape = "cylinder"
radius = 0.2
height = 0.1
at = [0, 0, "height - 0.1"]

[[parts]]
name = "leg"
shape = "box"
colour = "legs"
size = [0.04, 0.04, "height - 0.09"]
at = ["legs_out", "legs_out", 0]
mirror = "xy"
"##;

/// The error of a recipe that differs from [`SMALL`] in one place.
fn fault(from: &str, to: &str) -> Error {
    assert!(SMALL.contains(from), "{from}");
    let text = SMALL.replace(from, to);
    match Recipe::from_toml("small", &text) {
        Err(error) => error,
        Ok(recipe) => recipe.instance(0).unwrap_err(),
    }
}

#[test]
fn a_recipe_gives_what_it_says() {
    let recipe = Recipe::from_toml("small", SMALL).unwrap();
    assert_eq!((recipe.name(), recipe.category()), ("small", "stool"));
    let stool = recipe.instance(5).unwrap();
    assert_eq!(stool.category, "stool");
    assert_eq!(stool.mesh.materials.len(), 2);
    // A seat of 20 sides with two fans, and four legs.
    assert_eq!(stool.mesh.triangles.len(), 20 * 4 + 4 * 12);
    let height = stool.mesh.positions.iter().fold(0.0f32, |h, p| h.max(p[2]));
    assert!((0.4..=0.6).contains(&height));
    assert!(
        stool
            .caption
            .starts_with(&format!("a {} ", stool.colours[0]))
            || stool.colours[0] == "orange"
    );
    let tall = stool
        .captions
        .iter()
        .any(|caption| caption.contains("tall stool"));
    assert_eq!(tall, height > 0.5, "{:?}", stool.captions);
}

#[test]
fn an_instance_depends_on_name_and_seed_alone() {
    let recipe = Recipe::from_toml("small", SMALL).unwrap();
    let again = Recipe::from_toml("small", SMALL).unwrap();
    for seed in [0, 1, 77, u64::MAX] {
        assert_eq!(
            recipe.instance(seed).unwrap(),
            again.instance(seed).unwrap()
        );
    }
    assert_ne!(
        recipe.instance(1).unwrap().mesh,
        recipe.instance(2).unwrap().mesh
    );
    let other = Recipe::from_toml("other", SMALL).unwrap();
    assert_ne!(
        recipe.instance(1).unwrap().mesh,
        other.instance(1).unwrap().mesh
    );
    // A parameter more leaves the others as they were.
    let wider = SMALL.replace("[params]", "[params]\nunused = [0, 1]");
    let wider = Recipe::from_toml("small", &wider).unwrap();
    assert_eq!(
        recipe.instance(3).unwrap().mesh,
        wider.instance(3).unwrap().mesh
    );
}

#[test]
fn main_colours_are_uniform() {
    let recipe = Recipe::from_toml("small", SMALL).unwrap();
    let mut counts = BTreeMap::new();
    for seed in 0..13 * 6 {
        *counts.entry(recipe.main_word(seed)).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), COLOUR_WORDS.len());
    assert!(counts.values().all(|&count| count == 6), "{counts:?}");
}

#[test]
fn faults_name_the_recipe_and_the_field() {
    for (from, to, said) in [
        (
            "radius = 0.2",
            "radios = 0.2",
            "parts[0] (seat): field `radius`",
        ),
        (
            "radius = 0.2",
            "radius = 0.2\nred = 1",
            "parts[0] (seat): field `red`",
        ),
        ("radius = 0.2", "radius = -0.2", "parts[0] (seat)"),
        (
            "radius = 0.2",
            "radius = \"0.2 +\"",
            "field `radius`: `0.2 +`",
        ),
        (
            "\"height - 0.1\"",
            "\"heigth - 0.1\"",
            "no parameter `heigth`",
        ),
        ("\"legs_out\", 0]", "\"legs_out / 0\", 0]", "parts[1] (leg)"),
        ("[0.4, 0.6]", "[0.4, \"legs_out\"]", "depends on itself"),
        ("[0.4, 0.6]", "[0.4, 0.5, 0.6]", "params: field `height`"),
        ("[0.4, 0.6]", "{ pick = [] }", "params.height: field `pick`"),
        ("\"black\"]", "\"blakc\"]", "colours: field `legs`"),
        ("colour = \"legs\"", "colour = \"lags\"", "field `colour`"),
        ("{legs} legs", "{lags} legs", "no colour role `lags`"),
        ("mirror = \"xy\"", "mirror = \"yx\"", "field `mirror`"),
        ("mirror = \"xy\"", "in = \"top\"", "no frame `top`"),
        ("mirror = \"xy\"", "count = 1000", "count of 1000"),
        ("shape = \"box\"", "shape = \"bax\"", "no shape `bax`"),
        ("category = \"stool\"", "kind = 3", "field `category`"),
        ("category = \"stool\"", "category = \"stool", "line 2"),
        ("[\"stool\", ", "[", "field `nouns`"),
        ("[colours]", "[frames.a]\nin = \"a\"\n[colours]", "frames.a"),
    ] {
        let error = fault(from, to);
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::BadInput, "{text}");
        assert!(text.starts_with("recipe `small`"), "{text}");
        assert!(text.contains(said), "{to}: {text}");
    }
    let error = fault("radius = 0.2", "radius = 0.2\nred = 1");
    assert!(
        error.hint().unwrap().contains("radius"),
        "{:?}",
        error.hint()
    );
}

/// An instance of a built-in recipe: its name and seed for messages, the colour asked for.
struct Sample {
    label: String,
    main: &'static str,
    instance: Instance,
}

/// Every built-in recipe in each of the 13 main colours, made once for all tests.
fn samples() -> &'static [Sample] {
    static SAMPLES: OnceLock<Vec<Sample>> = OnceLock::new();
    SAMPLES.get_or_init(|| {
        let recipes = catalogue().unwrap();
        (recipes.iter())
            .flat_map(|recipe| (0..13).map(move |seed| (recipe, seed)))
            .map(|(recipe, seed)| Sample {
                label: format!("{} {seed}", recipe.name()),
                main: recipe.main_word(seed),
                instance: recipe.instance(seed).unwrap(),
            })
            .collect()
    })
}

#[test]
fn built_in_recipes_give_sound_meshes_and_honest_captions() {
    for Sample {
        label,
        main,
        instance,
    } in samples()
    {
        let mesh = &instance.mesh;
        assert!(
            (8..=MAX_TRIANGLES).contains(&mesh.triangles.len()),
            "{label}"
        );
        let finite = mesh.positions.iter().flatten().all(|x| x.is_finite());
        assert!(finite, "{label}");
        let count = mesh.positions.len() as u32;
        assert!(
            mesh.triangles.iter().flatten().all(|&k| k < count),
            "{label}"
        );
        assert_eq!(
            mesh.triangles.len(),
            mesh.triangle_materials.len(),
            "{label}"
        );
        let materials = mesh.materials.len() as u32;
        assert!(
            mesh.triangle_materials.iter().all(|&m| m < materials),
            "{label}"
        );
        let rgba = mesh.materials.iter().flat_map(|m| m.base_colour);
        assert!(
            rgba.into_iter().all(|x| (0.0..=1.0).contains(&x)),
            "{label}"
        );

        assert_eq!(instance.colours[0], *main, "{label}");
        assert!(instance.colours.len() <= 2, "{label}");
        let named = |text: &str| text.split(' ').any(|word| word == instance.colours[0]);
        assert!(named(&instance.caption), "{label}: {}", instance.caption);
        assert!((2..=4).contains(&instance.captions.len()), "{label}");
        let distinct: BTreeSet<&String> = instance.captions.iter().collect();
        assert_eq!(distinct.len(), instance.captions.len(), "{label}");
        assert!(!instance.captions.contains(&instance.caption), "{label}");
        let plain = instance.captions.iter().any(|text| !named(text));
        assert!(plain, "{label}: {:?}", instance.captions);
    }
}

/// Every edge of a closed surface is passed once in each direction.
#[test]
fn built_in_parts_are_closed() {
    for Sample {
        label, instance, ..
    } in samples()
    {
        let mut edges: BTreeMap<(u32, u32), i32> = BTreeMap::new();
        for &[a, b, c] in &instance.mesh.triangles {
            for (from, to) in [(a, b), (b, c), (c, a)] {
                *edges.entry((from.min(to), from.max(to))).or_insert(0) +=
                    if from < to { 1 } else { -1 };
            }
        }
        let open = edges.values().filter(|balance| **balance != 0).count();
        assert_eq!(open, 0, "{label}: {open} open edges");
        assert!(surface::volume(&instance.mesh.positions, &instance.mesh.triangles) > 0.0);
    }
}

/// Two surfaces of different colours in one place would flicker: the picture would depend on
/// rounding.
#[test]
fn built_in_parts_do_not_fight_for_pixels() {
    let side = visible::SIDE * visible::SIDE;
    let mut faults = Vec::new();
    for Sample {
        label, instance, ..
    } in samples()
    {
        for (azimuth, elevation, _) in visible::VIEWS {
            let framing = Framing::of(&instance.mesh.positions, azimuth, elevation).unwrap();
            let mut nearest = vec![f32::NEG_INFINITY; side];
            visible::fragments(&instance.mesh, &framing, |pixel, z, _| {
                nearest[pixel] = nearest[pixel].max(z);
            });
            let mut first = vec![None; side];
            let mut fights = BTreeMap::new();
            visible::fragments(&instance.mesh, &framing, |pixel, z, material| {
                if z > nearest[pixel] - 1e-4 {
                    let other = *first[pixel].get_or_insert(material);
                    if other != material {
                        fights.insert(pixel, [other, material]);
                    }
                }
            });
            // Where surfaces merely cross, the line of pixels between them is as near to both.
            let wide = (fights.iter()).find(|(pixel, _)| {
                [1, visible::SIDE, visible::SIDE + 1]
                    .iter()
                    .all(|step| fights.contains_key(&(**pixel + step)))
            });
            if let Some((pixel, pair)) = wide {
                let names = pair.map(|material| &instance.mesh.materials[material as usize].name);
                faults.push(format!(
                    "{label}, azimuth {azimuth}, pixel {pixel}: {names:?}"
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Nothing floats: on a grid of 1/60 of the longest side, the surface is one piece.
#[test]
fn built_in_objects_are_one_piece() {
    let mut faults = Vec::new();
    for Sample {
        label, instance, ..
    } in samples()
    {
        let pieces = pieces(&instance.mesh);
        if pieces != 1 {
            faults.push(format!("{label}: {pieces} pieces"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Connected groups of grid cells that the surface passes through.
fn pieces(mesh: &Mesh) -> usize {
    const CELLS: usize = 60;
    /// One empty cell on each side, so that neighbours never leave the grid.
    const SIDE: usize = CELLS + 3;
    let end = |pick: fn(f32, f32) -> f32| {
        [0, 1, 2].map(|k| mesh.positions.iter().map(|p| p[k]).reduce(pick).unwrap())
    };
    let (low, high) = (end(f32::min), end(f32::max));
    let longest = (0..3).map(|k| high[k] - low[k]).fold(0.0, f32::max);
    let cell = longest / CELLS as f32;
    let mut filled = vec![false; SIDE * SIDE * SIDE];
    for triangle in &mesh.triangles {
        let [a, b, c] = triangle.map(|k| mesh.positions[k as usize]);
        let along = |p: [f32; 3], q: [f32; 3]| {
            (0..3).map(|k| (p[k] - q[k]).abs()).fold(0.0f32, f32::max) / cell
        };
        let steps = 1 + (2.0 * along(a, b).max(along(b, c)).max(along(c, a))) as usize;
        for i in 0..=steps {
            for j in 0..=steps - i {
                let (u, v) = (i as f32 / steps as f32, j as f32 / steps as f32);
                let [x, y, z] = [0, 1, 2].map(|k| {
                    let x = a[k] + (b[k] - a[k]) * u + (c[k] - a[k]) * v;
                    ((x - low[k]) / cell) as usize + 1
                });
                filled[(z * SIDE + y) * SIDE + x] = true;
            }
        }
    }
    let mut pieces = 0;
    for start in 0..filled.len() {
        if !std::mem::take(&mut filled[start]) {
            continue;
        }
        pieces += 1;
        let mut open = vec![start];
        while let Some(at) = open.pop() {
            for near in 0..27 {
                let step = near % 3 + (near / 3 % 3) * SIDE + near / 9 * SIDE * SIDE;
                let next = at + step - (1 + SIDE + SIDE * SIDE);
                if std::mem::take(&mut filled[next]) {
                    open.push(next);
                }
            }
        }
    }
    pieces
}
