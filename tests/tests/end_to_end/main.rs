//! The program as its users meet it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bad_input;
mod batch;
mod convert;
mod fit;
mod generate;
mod interrupt;
mod mesh;
mod models;
mod photo;
mod point_e;
mod repository;
mod samples;
mod settings;
mod shoot;
mod training;
mod usage;
