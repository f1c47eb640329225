//! Packshot models.
