//! A dataset's objects as the networks want to see them.

use packshot_core::NoiseStream;
use packshot_data::{Split, TrainingObject, TrainingView};
use packshot_image::mini::{CaptionedPicture, PictureSource, recolour};
use packshot_points::mini::{Example, ExampleSource};
use std::collections::BTreeMap;

/// Draws objects so that neither large nor tiny categories rule: a category's share goes with the
/// square root of its size.
struct Draw {
    objects: Vec<TrainingObject>,
    /// Training objects by category, with the running sum of the categories' weights.
    categories: Vec<(f32, Vec<usize>)>,
    held_out: Vec<usize>,
}

impl Draw {
    fn new(objects: Vec<TrainingObject>) -> Self {
        let mut by_category: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut held_out = Vec::new();
        for (i, object) in objects.iter().enumerate() {
            if object.views.is_empty() {
                continue;
            }
            match object.split {
                Split::Train => by_category.entry(&object.category).or_default().push(i),
                Split::Val => held_out.push(i),
            }
        }
        let mut sum = 0.0;
        let categories = by_category
            .into_values()
            .map(|members| {
                sum += (members.len() as f32).sqrt();
                (sum, members)
            })
            .collect();
        // Held-out objects in an order that mixes categories and sources, the same every time.
        held_out.sort_by_key(|&i| {
            objects[i]
                .id
                .bytes()
                .fold(0u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193))
        });
        Self {
            objects,
            categories,
            held_out,
        }
    }

    /// Whether there is nothing to train on.
    fn is_empty(&self) -> bool {
        self.categories.is_empty()
    }

    fn random(&self, random: &mut NoiseStream) -> &TrainingObject {
        let total = self.categories.last().map_or(0.0, |(sum, _)| *sum);
        let at = random.uniform() * total;
        let index = self.categories.partition_point(|(sum, _)| *sum <= at);
        let members = &self.categories[index.min(self.categories.len() - 1)].1;
        &self.objects[members[random.below(members.len())]]
    }
}

/// Share of the point stage's examples that are no recipes, where there are both: recipes of a shape
/// resemble each other, other objects are each their own.
const FOUND: f32 = 0.7;
/// Share of the point stage's pictures that are the three-quarter view itself, and of those near it:
/// it is what the image stage draws and what a photo is taken for. Where the picture's camera is
/// known, the depth of an upright box is as well.
const THREE_QUARTER: f32 = 0.65;
const NEAR: f32 = 0.25;

/// Objects with their clouds.
pub(super) struct Objects {
    found: Draw,
    recipes: Draw,
    held_out: Vec<Example>,
}

impl Objects {
    pub(super) fn new(objects: Vec<TrainingObject>) -> Self {
        let all = Draw::new(objects);
        let held_out = all.held_out.iter().map(|&i| &all.objects[i]);
        let held_out = held_out
            .take(64)
            .map(|object| example(object, &object.views[0]))
            .collect();
        let (recipes, found) = all
            .objects
            .into_iter()
            .partition(|o| o.source.starts_with("recipe "));
        Self {
            found: Draw::new(found),
            recipes: Draw::new(recipes),
            held_out,
        }
    }
}

/// Views of an object whose azimuth is near that of its three-quarter view, which is the first.
fn near_views(object: &TrainingObject) -> Vec<&TrainingView> {
    let canonical = object.views[0].azimuth_deg;
    let turn = |v: &TrainingView| (v.azimuth_deg - canonical + 540.0).rem_euclid(360.0) - 180.0;
    let views = object.views.iter();
    views.filter(|v| turn(v).abs() < NEAR_DEG).collect()
}

fn example(object: &TrainingObject, view: &TrainingView) -> Example {
    Example {
        rgb: view.rgb.clone(),
        positions: object
            .positions
            .iter()
            .map(|&p| view.framing.frame_from_world(p))
            .collect(),
        colours: object.colours_srgb.clone(),
    }
}

impl ExampleSource for Objects {
    fn draw(&self, random: &mut NoiseStream) -> Example {
        let found = match (self.found.is_empty(), self.recipes.is_empty()) {
            (false, false) => random.uniform() < FOUND,
            (none, _) => !none,
        };
        let object = if found { &self.found } else { &self.recipes }.random(random);
        let at = random.uniform();
        let view = if at < THREE_QUARTER {
            &object.views[0]
        } else if at < THREE_QUARTER + NEAR {
            let near = near_views(object);
            near[random.below(near.len())]
        } else {
            &object.views[random.below(object.views.len())]
        };
        example(object, view)
    }

    fn held_out(&self) -> Vec<Example> {
        self.held_out.clone()
    }
}

/// Views near the three-quarter view: what the image stage is to draw.
const NEAR_DEG: f32 = 21.0;
/// Share of recolourable pictures that are recoloured.
const RECOLOUR: f32 = 0.4;

/// Objects with their captions.
pub(super) struct Captions(Draw);

impl Captions {
    pub(super) fn new(objects: Vec<TrainingObject>) -> Self {
        Self(Draw::new(objects))
    }
}

fn all_captions(object: &TrainingObject) -> impl Iterator<Item = &String> {
    std::iter::once(&object.caption).chain(&object.captions)
}

impl PictureSource for Captions {
    fn captions(&self) -> Vec<String> {
        let objects = self.0.objects.iter().filter(|o| o.split == Split::Train);
        objects.flat_map(|o| all_captions(o).cloned()).collect()
    }

    fn draw(&self, random: &mut NoiseStream) -> CaptionedPicture {
        let object = self.0.random(random);
        let near = near_views(object);
        // Half of the pictures are the three-quarter view itself: it is the one to draw.
        let view = if random.uniform() < 0.5 {
            near[0]
        } else {
            near[random.below(near.len())]
        };
        let captions: Vec<&String> = all_captions(object).collect();
        let caption = captions[random.below(captions.len())];
        if let Some(hue) = &object.recolour
            && random.uniform() < RECOLOUR
        {
            let coloured = captions.iter().find(|c| c.split(' ').any(|w| w == hue));
            if let Some((rgb, caption)) =
                coloured.and_then(|caption| recolour(&view.rgb, caption, hue, random))
            {
                return CaptionedPicture { rgb, caption };
            }
        }
        CaptionedPicture {
            rgb: view.rgb.clone(),
            caption: caption.clone(),
        }
    }

    fn held_out(&self) -> Vec<CaptionedPicture> {
        let objects = self.0.held_out.iter().map(|&i| &self.0.objects[i]);
        objects
            .take(96)
            .map(|o| CaptionedPicture {
                rgb: o.views[0].rgb.clone(),
                caption: o.captions.first().unwrap_or(&o.caption).clone(),
            })
            .collect()
    }
}
