//! Packshot formats.
