//! The program as its users meet it.

mod bad_input;
mod batch;
mod convert;
mod generate;
mod interrupt;
mod photo;
mod repository;
mod samples;
mod settings;
mod usage;
