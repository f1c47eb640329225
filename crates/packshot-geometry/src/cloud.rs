//! Point clouds.

/// Points with optional colours and normals; each optional list is as long as `positions`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PointCloud {
    /// Positions in metres, world space.
    pub positions: Vec<[f32; 3]>,
    /// sRGB, 8 bits a channel.
    pub colours: Option<Vec<[u8; 3]>>,
    /// Unit normals.
    pub normals: Option<Vec<[f32; 3]>>,
}
