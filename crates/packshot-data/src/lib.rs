//! Training sets: from captioned meshes and procedural shapes to small shaded views and coloured
//! clouds.
//!
//! [`build()`] goes Point-E's way (Nichol et al. 2022, section 3): each mesh is normalised,
//! rendered as RGBA and depth from random cameras, back-projected to a dense cloud and reduced by
//! farthest-point sampling. [`pack()`] makes one small file of the result, and
//! [`TrainingSet::open`] reads both.

mod build;
mod catalogue;
mod cloud_code;
mod credits;
mod folder;
mod object;
mod pack;
pub mod recipes;
mod record;
mod scan;
mod shape;
mod source;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod training;
mod unpack;
mod views;

pub use build::{BuildOptions, BuildReport, FlatRule, Skipped, build};
pub use catalogue::{CatalogueEntry, Filter, read_catalogue};
pub use credits::{Credit, credits};
pub use object::POINTS;
pub use pack::{PackOptions, PackReport, pack};
pub use record::{Record, Split, ViewRecord, recolour_word};
pub use source::Source;
pub use training::{TrainingObject, TrainingSet, TrainingView};
pub use views::{NEAR_DEG, NEAR_VIEWS, VIEW_SIDE, VIEWS};
