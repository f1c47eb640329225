//! Packshot encoders.
