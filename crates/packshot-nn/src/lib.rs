//! Packshot nn.
