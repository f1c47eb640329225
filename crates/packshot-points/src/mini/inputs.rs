//! What the small networks read at each point: the noisy point itself, the present guess of where
//! it belongs, and the picture at that place.

use packshot_diffusion::Factors;

/// Side of the conditioning picture in pixels.
pub const PICTURE: usize = 64;
/// Points are scaled from the frame's [−0.5, 0.5] by this, which gives them about unit deviation.
pub(super) const POSITION_SCALE: f32 = 5.0;
/// Channels of a point: x, y, z, R, G, B.
pub(super) const CHANNELS: usize = 6;
/// Numbers that [`point_features`] writes for each point.
pub(super) const POINT_FEATURES: usize = CHANNELS + 3 + 18 + PATCH * PATCH * 3;
const PATCH: usize = 3;
/// Sides of the two feature maps that are looked up at each point.
pub(super) const MAP_SIDES: [usize; 2] = [32, 16];

/// The frame's side that the picture's pixels cover, as values in [−1, 1]: `[64, 64, 3]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Rows from the top, channels interleaved.
    pub values: Vec<f32>,
}

impl Picture {
    /// From 8-bit sRGB, rows from the top. The slice must hold 64·64·3 bytes; what is missing is
    /// white.
    pub fn from_srgb(rgb: &[u8]) -> Self {
        let mut values = vec![1.0; PICTURE * PICTURE * 3];
        for (value, &level) in values.iter_mut().zip(rgb) {
            *value = f32::from(level) / 127.5 - 1.0;
        }
        Self { values }
    }

    fn pixel(&self, x: isize, y: isize) -> &[f32] {
        let last = PICTURE as isize - 1;
        let at = (y.clamp(0, last) as usize * PICTURE + x.clamp(0, last) as usize) * 3;
        &self.values[at..at + 3]
    }
}

/// Place in a square map of `side` cells of a point whose frame coordinates are `x`, `y`.
pub(super) fn cell(x: f32, y: f32, side: usize) -> (usize, usize) {
    let clamp = |v: f32| ((v * side as f32) as isize).clamp(0, side as isize - 1) as usize;
    (clamp((x + 0.5).max(0.0)), clamp((0.5 - y).max(0.0)))
}

/// Indices (row-major) of a point's cells in the two feature maps.
pub(super) fn map_cells(guess: [f32; 3]) -> [u32; 2] {
    MAP_SIDES.map(|side| {
        let (x, y) = cell(guess[0] / POSITION_SCALE, guess[1] / POSITION_SCALE, side);
        (y * side + x) as u32
    })
}

/// Place of a point in the picture: right and down, as shares of the picture's sides.
pub(super) fn picture_place(guess: [f32; 3]) -> [f32; 2] {
    [
        guess[0] / POSITION_SCALE + 0.5,
        0.5 - guess[1] / POSITION_SCALE,
    ]
}

/// Appends the features of one noisy point to `out`: `x_t` as the diffusion sees it, brought to unit
/// variance by `coefficients`, and what stands at `guess`, the present guess of its clean position in
/// the frame times [`POSITION_SCALE`].
pub(super) fn point_features(
    x_t: &[f32; CHANNELS],
    coefficients: &[Factors; CHANNELS],
    guess: [f32; 3],
    picture: &Picture,
    out: &mut Vec<f32>,
) {
    for i in 0..CHANNELS {
        out.push(x_t[i] * coefficients[i].input);
    }
    out.extend(guess);
    for octave in [0.8, 1.6, 3.2] {
        for value in guess {
            let (sin, cos) = libm::sincosf(value * octave);
            out.extend([sin, cos]);
        }
    }
    patch(
        picture,
        guess[0] / POSITION_SCALE,
        guess[1] / POSITION_SCALE,
        out,
    );
}

/// Appends the 3×3 pixels around a place in the frame.
fn patch(picture: &Picture, x: f32, y: f32, out: &mut Vec<f32>) {
    let (px, py) = cell(x, y, PICTURE);
    for dy in -1..=1 {
        for dx in -1..=1 {
            out.extend_from_slice(picture.pixel(px as isize + dx, py as isize + dy));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_is_read_where_the_point_is() {
        let mut rgb = vec![255u8; PICTURE * PICTURE * 3];
        // A black pixel near the upper right corner.
        rgb[(10 * PICTURE + 50) * 3..][..3].fill(0);
        let picture = Picture::from_srgb(&rgb);
        let coefficients = [Factors {
            skip: 1.0,
            out: 1.0,
            input: 1.0,
        }; CHANNELS];
        let x = (50.5 / 64.0 - 0.5) * POSITION_SCALE;
        let y = (0.5 - 10.5 / 64.0) * POSITION_SCALE;
        let mut out = Vec::new();
        let guess = [x, y, 0.3];
        point_features(
            &[x, y, 0.3, 0.0, 0.0, 0.0],
            &coefficients,
            guess,
            &picture,
            &mut out,
        );
        assert_eq!(out.len(), POINT_FEATURES);
        let centre = &out[POINT_FEATURES - 27 + 12..][..3];
        assert_eq!(centre, [-1.0; 3]);
        assert_eq!(
            out[POINT_FEATURES - 27..]
                .iter()
                .filter(|&&v| v < 0.0)
                .count(),
            3
        );
        assert_eq!(map_cells(guess), [5 * 32 + 25, 2 * 16 + 12]);
    }

    #[test]
    fn points_outside_the_frame_read_its_edge() {
        assert_eq!(map_cells([-99.0, 99.0, 0.0]), [0, 0]);
        assert_eq!(map_cells([99.0, -99.0, 0.0]), [1023, 255]);
        assert_eq!(map_cells([f32::NAN, f32::NAN, 0.0]), [0, 0]);
    }
}
