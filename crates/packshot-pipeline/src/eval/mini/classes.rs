//! The twenty things that the embedded model is judged by.

use packshot_data::TrainingObject;

/// A thing that is asked for, and other words for it.
pub(super) struct Class {
    /// The noun of the prompts.
    pub(super) noun: &'static str,
    /// Words for it that may not occur in the training captions; those that do are not used.
    pub(super) other_words: &'static [&'static str],
    /// Whether it is judged with the catalogue's half; the other half are recipes.
    pub(super) catalogue: bool,
}

const fn class(noun: &'static str, catalogue: bool, other_words: &'static [&'static str]) -> Class {
    Class {
        noun,
        other_words,
        catalogue,
    }
}

/// All classes; their order numbers them.
pub(super) const CLASSES: [Class; 20] = [
    class("chair", true, &["seat", "side chair", "straight chair"]),
    class(
        "sofa",
        true,
        &["couch", "settee", "davenport", "divan", "lounge"],
    ),
    class(
        "table",
        true,
        &["tabletop", "trestle table", "console table"],
    ),
    class("bed", true, &["bedstead", "bunk", "berth", "cot"]),
    class(
        "lamp",
        true,
        &["lantern", "luminaire", "reading lamp", "desk light"],
    ),
    class(
        "bottle",
        true,
        &["flask", "carafe", "flagon", "decanter", "phial"],
    ),
    class(
        "cabinet",
        true,
        &["cupboard", "locker", "closet", "sideboard"],
    ),
    class(
        "car",
        true,
        &["automobile", "auto", "motorcar", "sedan", "hatchback"],
    ),
    class("vase", true, &["urn", "flower vase", "amphora"]),
    class(
        "stool",
        true,
        &["bar stool", "footstool", "tabouret", "barstool"],
    ),
    class(
        "watch",
        false,
        &["wristwatch", "timepiece", "chronograph", "ticker"],
    ),
    class(
        "sunglasses",
        false,
        &["shades", "dark glasses", "eyeglasses", "spectacles"],
    ),
    class(
        "shoe",
        false,
        &["sneaker", "trainer", "loafer", "footwear", "plimsoll"],
    ),
    class(
        "headphones",
        false,
        &["earphones", "headset", "earphone", "phones"],
    ),
    class(
        "lipstick",
        false,
        &["lip rouge", "lip balm", "lip stick", "rouge"],
    ),
    class(
        "perfume bottle",
        false,
        &["fragrance bottle", "cologne bottle", "scent bottle"],
    ),
    class("mug", false, &["beaker", "tankard", "coffee cup", "stein"]),
    class(
        "laptop",
        false,
        &["notebook computer", "laptop computer", "netbook"],
    ),
    class(
        "phone",
        false,
        &["telephone", "cellphone", "mobile", "handset", "smartphone"],
    ),
    class(
        "can",
        false,
        &["tin", "tin can", "soda can", "beer can", "canister"],
    ),
];

/// The words of a phrase before what qualifies it: "a wooden table" of "a wooden table with legs".
fn head(caption: &str) -> &str {
    let ends = [
        " with ", " and ", " on ", " in ", " of ", " for ", " that ", ", ",
    ];
    let end = ends.iter().filter_map(|word| caption.find(word)).min();
    &caption[..end.unwrap_or(caption.len())]
}

/// The class of a training object: its category's name for recipes, the noun of its first caption
/// for catalogue objects.
pub(super) fn class_of(object: &TrainingObject) -> Option<usize> {
    named(&object.category).or_else(|| class_of_caption(&object.caption))
}

fn named(category: &str) -> Option<usize> {
    CLASSES.iter().position(|class| class.noun == category)
}

fn class_of_caption(caption: &str) -> Option<usize> {
    let head = head(caption);
    // A trash can is no can, a police car is a car.
    if ["trash can", "watering can"]
        .iter()
        .any(|o| head.ends_with(o))
    {
        return None;
    }
    let ends_head = |class: &Class| {
        let rest = head.strip_suffix(class.noun);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with(' '))
    };
    // The longest noun says most: a perfume bottle is no bottle.
    (0..CLASSES.len())
        .filter(|&i| ends_head(&CLASSES[i]))
        .max_by_key(|&i| CLASSES[i].noun.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_noun_stands_before_what_qualifies_it() {
        assert_eq!(head("a kitchen table with wooden legs"), "a kitchen table");
        assert_eq!(head("a bottle of milk on a table"), "a bottle");
        assert_eq!(head("a car"), "a car");
    }

    #[test]
    fn captions_have_the_class_of_their_noun() {
        for (caption, noun) in [
            ("a blue perfume bottle with a cap", Some("perfume bottle")),
            ("a ketchup bottle", Some("bottle")),
            ("a police car", Some("car")),
            ("a pedal trash can", None),
            ("a scar", None),
            ("a pillow on a bed", None),
        ] {
            assert_eq!(
                class_of_caption(caption).map(|i| CLASSES[i].noun),
                noun,
                "{caption}"
            );
        }
        assert_eq!(named("perfume bottle"), class_of_caption("perfume bottle"));
    }

    #[test]
    fn half_of_the_classes_are_the_catalogues() {
        let catalogue = CLASSES.iter().filter(|c| c.catalogue).count();
        assert_eq!((catalogue, CLASSES.len()), (10, 20));
    }
}
