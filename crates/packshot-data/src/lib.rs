//! Packshot data.
