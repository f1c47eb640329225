//! Packshot diffusion.
