//! What turns positions and directions into inputs of a network.

pub mod positional;
pub mod spherical;
