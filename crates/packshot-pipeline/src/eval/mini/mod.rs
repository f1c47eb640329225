//! `eval mini`: how good the embedded model is, on prompts and objects that it was not trained on.

mod classes;
mod colours;
mod objects;
mod prompts;
mod sheet;

use crate::generate::{Job, Needs, Networks, PointCount, Preset, Settings, Source, loaded, make};
use crate::output::check_file;
use classes::{CLASSES, class_of};
pub use objects::{SingleView, Upsampling};
use packshot_core::{Context, Error, Message, Result, Seed};
use packshot_data::{Split, TrainingObject, TrainingSet};
use packshot_formats::write_png;
use packshot_geometry::PointCloud;
pub use packshot_points::classifier::ClassifierSettings;
use packshot_points::classifier::{CloudClassifier, Labelled};
use prompts::Asked;
use serde::Serialize;
use sheet::Sheet;
pub use sheet::ShownObject;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What [`eval_mini`] measures with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MiniSettings {
    /// Training sets with the held-out objects and with clouds for the classifier.
    pub data: Vec<PathBuf>,
    /// At most so many prompts or objects a row; all when `None`.
    pub limit: Option<usize>,
    /// Seed of the results; candidates number them.
    pub seed: Seed,
    /// Where to write a contact sheet of single views, and whether over an older one.
    #[serde(skip)]
    pub sheet: Option<(PathBuf, bool)>,
    /// Steps of the model's stages.
    pub preset: Preset,
    /// The judge.
    pub classifier: ClassifierSettings,
}

/// The measures, row by row. Shares lie in 0..=1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MiniReport {
    /// What was measured with.
    pub settings: MiniSettings,
    /// The judge of categories.
    pub classifier: ClassifierReport,
    /// Prompts "a {colour} {noun}".
    pub category: CategoryReport,
    /// Colours of the same clouds.
    pub colour: ColourReport,
    /// Prompts in words that no training caption has.
    pub other_words: OtherWordsReport,
    /// Clouds from the captions of held-out objects against those objects.
    pub distribution: DistributionReport,
    /// Clouds from one picture.
    pub single_view: SingleView,
    /// What the upsampler adds.
    pub upsampling: Upsampling,
    /// Work of `generate`, in GFLOP.
    pub gflop: f64,
    /// Bytes of the embedded weights.
    pub weight_bytes: usize,
}

/// How good the judge itself is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassifierReport {
    /// Clouds it was trained on.
    pub trained_on: usize,
    /// Held-out clouds.
    pub held_out: usize,
    /// Share of these that it gets right.
    pub accuracy: f64,
}

/// Shares of clouds that the classifier takes for what was asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CategoryReport {
    /// Prompts.
    pub prompts: usize,
    /// Of all.
    pub right: f64,
    /// Of the classes that the catalogue has.
    pub right_catalogue: f64,
    /// Of the classes that only recipes have.
    pub right_recipes: f64,
    /// Of each class.
    pub by_noun: BTreeMap<&'static str, f64>,
}

/// Shares of clouds with the colour that was asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ColourReport {
    /// The most frequent colour name of the cloud.
    pub first: f64,
    /// Among the two most frequent.
    pub among_two: f64,
    /// The same for held-out recipes and the colour of their captions: what the naming itself can
    /// reach.
    pub naming_among_two: f64,
}

/// As [`CategoryReport`], for words that the captions lack.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OtherWordsReport {
    /// Prompts.
    pub prompts: usize,
    /// Share that is right.
    pub right: f64,
}

/// How two sets of clouds compare.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DistributionReport {
    /// Clouds of each set.
    pub clouds: usize,
    /// 0.5 when the sets cannot be told apart.
    pub one_nn_accuracy: f64,
    /// Share of the held-out objects that are nearest to some generated cloud.
    pub coverage: f64,
}

/// Judges the embedded model.
///
/// # Errors
/// `BadInput` when a training set cannot be read or lacks what a row needs; `Cancelled`.
pub fn eval_mini(settings: &MiniSettings, context: &Context<'_>) -> Result<MiniReport> {
    if let Some((path, force)) = &settings.sheet {
        check_file(path, *force)?;
    }
    let mut all = Vec::new();
    for path in &settings.data {
        all.extend(TrainingSet::open(path)?.objects);
    }
    let (held_out, training): (Vec<&TrainingObject>, Vec<&TrainingObject>) =
        all.iter().partition(|o| o.split == Split::Val);
    let catalogue_held_out: Vec<&TrainingObject> = held_out
        .iter()
        .filter(|o| !is_recipe(o))
        .take(settings.limit.unwrap_or(usize::MAX))
        .copied()
        .collect();
    if catalogue_held_out.is_empty() {
        return Err(Error::bad_input("no held-out object that is no recipe")
            .with_hint("give a set that `packshot dataset build` made of meshes"));
    }
    let (judge, classifier) = judge(&training, &held_out, settings, context)?;
    let needs = Needs {
        image: true,
        points: true,
        upsampler: true,
    };
    let networks = Networks::load(packshot_models::MINI, needs, context)?;
    let mut chain = Chain {
        networks: &networks,
        settings,
        next: 0,
        flop: 0,
    };

    let asked = limited(prompts::plain(), settings.limit);
    let clouds = chain.clouds(asked.iter().map(|a| a.prompt.as_str()), "prompts", context)?;
    let gflop = chain.flop as f64 / 1e9 / asked.len() as f64;
    let right = rightness(&judge, &asked, &clouds)?;
    let category = category(&asked, &right);
    let colour = colour(&asked, &clouds, &held_out);

    let words = caption_words(&training);
    let asked = limited(prompts::other_words(&words), settings.limit);
    let clouds = chain.clouds(
        asked.iter().map(|a| a.prompt.as_str()),
        "other words",
        context,
    )?;
    let right = rightness(&judge, &asked, &clouds)?;
    let other_words = OtherWordsReport {
        prompts: asked.len(),
        right: share(right.iter().copied()),
    };

    let captions = catalogue_held_out.iter().map(|o| o.caption.as_str());
    let clouds = chain.clouds(captions, "captions", context)?;
    let clouds: Vec<Vec<[f32; 3]>> = clouds
        .into_iter()
        .map(|cloud| cloud.positions.into_iter().take(objects::POINTS).collect())
        .collect();
    let sets = objects::compare(&clouds, &catalogue_held_out)?;
    let mut stage = context.stage("pictures", Some(catalogue_held_out.len() as u64));
    let steps = Settings::of(settings.preset);
    let mut sheet = Sheet::new(catalogue_held_out.len(), settings.seed);
    let (single_view, upsampling) = objects::from_pictures(
        loaded(&networks.points, "points")?,
        loaded(&networks.upsampler, "upsampler")?,
        &catalogue_held_out,
        &training,
        (steps.points_steps, steps.upsampler_steps, settings.seed),
        &mut sheet,
        &mut stage,
    )?;
    stage.finish();
    if let Some((path, _)) = &settings.sheet {
        write_png(path, &sheet.picture())?;
        context.send(Message::Artefact(path.clone()));
    }
    let parts = packshot_models::find(packshot_models::MINI)?.parts();
    Ok(MiniReport {
        settings: settings.clone(),
        classifier,
        category,
        colour,
        other_words,
        distribution: DistributionReport {
            clouds: clouds.len(),
            one_nn_accuracy: sets.one_nn_accuracy,
            coverage: sets.coverage,
        },
        single_view,
        upsampling,
        gflop,
        weight_bytes: parts.iter().map(|part| part.weights.len()).sum(),
    })
}

fn is_recipe(object: &TrainingObject) -> bool {
    object.source.starts_with("recipe ")
}

fn limited<T>(mut all: Vec<T>, limit: Option<usize>) -> Vec<T> {
    all.truncate(limit.unwrap_or(usize::MAX));
    all
}

fn share(right: impl ExactSizeIterator<Item = bool>) -> f64 {
    let n = right.len().max(1) as f64;
    right.filter(|r| *r).count() as f64 / n
}

/// Every word of the training captions, in lower case.
fn caption_words(training: &[&TrainingObject]) -> BTreeSet<String> {
    let captions = training
        .iter()
        .flat_map(|o| std::iter::once(&o.caption).chain(&o.captions));
    captions
        .flat_map(|caption| caption.split(|c: char| !c.is_alphanumeric()))
        .map(str::to_lowercase)
        .collect()
}

/// Trains the classifier on real clouds and measures it on held-out ones.
fn judge(
    training: &[&TrainingObject],
    held_out: &[&TrainingObject],
    settings: &MiniSettings,
    context: &Context<'_>,
) -> Result<(CloudClassifier, ClassifierReport)> {
    let labelled = |objects: &[&'_ TrainingObject]| -> Vec<(usize, usize)> {
        let classes = objects.iter().enumerate();
        classes
            .filter_map(|(i, object)| Some((i, class_of(object)?)))
            .collect()
    };
    let own = labelled(training);
    let missing: Vec<&str> = (0..CLASSES.len())
        .filter(|class| own.iter().all(|(_, c)| c != class))
        .map(|class| CLASSES[class].noun)
        .collect();
    if !missing.is_empty() {
        return Err(
            Error::bad_input(format!("the data holds no {}", missing.join(", no "))).with_hint(
                "add recipes: packshot dataset build --recipes 100 -o DIR, and --data DIR",
            ),
        );
    }
    let clouds: Vec<Labelled<'_>> = own
        .iter()
        .map(|&(i, class)| Labelled {
            positions: &training[i].positions[..objects::POINTS.min(training[i].positions.len())],
            class,
        })
        .collect();
    let judge = CloudClassifier::train(&clouds, CLASSES.len(), settings.classifier, context)?;
    let unseen = labelled(held_out);
    let mut right = 0;
    for &(i, class) in &unseen {
        right += usize::from(judge.classify(&held_out[i].positions)? == class);
    }
    let report = ClassifierReport {
        trained_on: clouds.len(),
        held_out: unseen.len(),
        accuracy: right as f64 / unseen.len().max(1) as f64,
    };
    Ok((judge, report))
}

/// Prompt to cloud, one candidate after the other.
struct Chain<'a> {
    networks: &'a Networks,
    settings: &'a MiniSettings,
    next: u32,
    flop: u64,
}

impl Chain<'_> {
    fn clouds<'p>(
        &mut self,
        prompts: impl ExactSizeIterator<Item = &'p str>,
        stage: &str,
        context: &Context<'_>,
    ) -> Result<Vec<PointCloud>> {
        let mut stage = context.stage(stage, Some(prompts.len() as u64));
        let before = packshot_nn::flop::total();
        let mut clouds = Vec::new();
        for prompt in prompts {
            let job = Job {
                source: Source::Prompt(prompt.to_owned()),
                seed: self.settings.seed,
                candidate: self.next,
                settings: Settings {
                    points: PointCount::Full,
                    ..Settings::of(self.settings.preset)
                },
            };
            self.next += 1;
            // What is wrong with a prompt is no news here.
            clouds.push(make(self.networks, &job, &Context::silent())?.cloud);
            stage.step()?;
        }
        self.flop = packshot_nn::flop::total() - before;
        stage.finish();
        Ok(clouds)
    }
}

fn rightness(judge: &CloudClassifier, asked: &[Asked], clouds: &[PointCloud]) -> Result<Vec<bool>> {
    let pairs = asked.iter().zip(clouds);
    pairs
        .map(|(asked, cloud)| Ok(judge.classify(&cloud.positions)? == asked.class))
        .collect()
}

fn category(asked: &[Asked], right: &[bool]) -> CategoryReport {
    let of = |wanted: &dyn Fn(&Asked) -> bool| {
        let chosen: Vec<bool> = asked
            .iter()
            .zip(right)
            .filter(|(asked, _)| wanted(asked))
            .map(|(_, right)| *right)
            .collect();
        share(chosen.into_iter())
    };
    CategoryReport {
        prompts: asked.len(),
        right: of(&|_| true),
        right_catalogue: of(&|a| CLASSES[a.class].catalogue),
        right_recipes: of(&|a| !CLASSES[a.class].catalogue),
        by_noun: (0..CLASSES.len())
            .filter(|&class| asked.iter().any(|a| a.class == class))
            .map(|class| (CLASSES[class].noun, of(&|a| a.class == class)))
            .collect(),
    }
}

fn colour(asked: &[Asked], clouds: &[PointCloud], held_out: &[&TrainingObject]) -> ColourReport {
    let names: Vec<Vec<&str>> = clouds
        .iter()
        .map(|cloud| colours::names(cloud.colours.as_deref().unwrap_or_default()))
        .collect();
    let among = |first: usize| {
        let pairs = asked.iter().zip(&names);
        share(pairs.map(|(a, names)| names.iter().take(first).any(|name| *name == a.colour)))
    };
    let named: Vec<bool> = held_out
        .iter()
        .filter(|o| is_recipe(o))
        .filter_map(|object| {
            let wanted = prompts::COLOURS
                .iter()
                .find(|c| Some(**c) == object.recolour.as_deref())?;
            let names = colours::names(&object.colours_srgb);
            Some(names.iter().take(2).any(|name| name == wanted))
        })
        .collect();
    ColourReport {
        first: among(1),
        among_two: among(2),
        naming_among_two: share(named.into_iter()),
    }
}
