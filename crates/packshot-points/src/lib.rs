//! Packshot points.
