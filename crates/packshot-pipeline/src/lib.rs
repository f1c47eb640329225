//! Packshot pipeline.
