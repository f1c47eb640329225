//! The turn between Packshot's world (+Z up, front −Y) and files that are +Y up, front +Z.

/// World vector of a vector in a +Y up file.
pub(crate) fn world_from_y_up([x, y, z]: [f32; 3]) -> [f32; 3] {
    [x, -z, y]
}

/// Vector in a +Y up file of a world vector.
pub(crate) fn y_up_from_world([x, y, z]: [f32; 3]) -> [f32; 3] {
    [x, z, -y]
}
