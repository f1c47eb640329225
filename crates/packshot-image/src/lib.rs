//! Packshot image.
