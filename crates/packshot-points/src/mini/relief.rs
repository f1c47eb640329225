//! What a picture says of the object as a whole, laid out over the picture: where it is, and how far
//! its front and its back lie.
//!
//! The first convolutions see a few pixels. Here the picture's tokens exchange what they know, and the
//! result is carried back to 32×32 cells, so that a noisy point that looks up its place learns of the
//! surfaces there. Training asks for these surfaces directly: all cells of a picture teach at once,
//! where the points of a cloud teach through their own noise.

use super::inputs::{MAP_SIDES, POSITION_SCALE, cell};
use candle_core::{Result, Tensor};
use packshot_nn::layers::{AdaLnBlock, Conv3x3, Linear};
use packshot_nn::ops;
use packshot_nn::params::Params;

/// Side of the map in cells.
const SIDE: usize = MAP_SIDES[0];
/// Channels at 16×16 cells.
const MIDDLE: usize = 64;

/// See the module.
pub(super) struct Relief {
    block: AdaLnBlock,
    narrow: Linear,
    middle: Conv3x3,
    fine: Conv3x3,
    last: Conv3x3,
    surfaces: Linear,
    width: usize,
}

/// The parts of a [`Relief`].
pub(super) struct ReliefFeatures {
    /// `[B, 64, W]`.
    pub(super) tokens: Tensor,
    /// `[B, 32, 32, C]`.
    pub(super) map: Tensor,
}

impl Relief {
    /// A relief of `channels` channels over tokens of `width`, from the picture's features of
    /// `map_channels` channels at 32×32 and 16×16.
    pub(super) fn new(
        params: &Params,
        width: usize,
        heads: usize,
        map_channels: [usize; 2],
        channels: usize,
    ) -> Result<Self> {
        let [c1, c2] = map_channels;
        let conv = |name: &str, inputs: usize, outputs: usize| {
            Conv3x3::new(&params.sub(name), inputs, outputs, 1)
        };
        Ok(Self {
            block: AdaLnBlock::new(&params.sub("blocks").sub("0"), width, heads)?,
            narrow: Linear::new(&params.sub("narrow"), width, MIDDLE)?,
            middle: conv("conv_middle", MIDDLE + c2, MIDDLE)?,
            fine: conv("conv_fine", MIDDLE + c1, channels)?,
            last: conv("conv_last", channels, channels)?,
            surfaces: Linear::new(&params.sub("surfaces"), channels, SURFACES)?,
            width,
        })
    }

    /// `fine` `[B, 32, 32, c1]`, `middle` `[B, 16, 16, c2]`, `tokens` `[B, 64, W]`.
    pub(super) fn read(
        &self,
        fine: &Tensor,
        middle: &Tensor,
        tokens: &Tensor,
    ) -> Result<ReliefFeatures> {
        let (batch, _, _) = tokens.dims3()?;
        // Time modulates the other blocks; a picture is read once for all times.
        let still = Tensor::zeros((batch, 6, self.width), tokens.dtype(), tokens.device())?;
        let tokens = self.block.forward(tokens, &still)?;
        let coarse = self.narrow.forward(&tokens)?;
        let side = SIDE / 4;
        let coarse = coarse.reshape((batch, side, side, MIDDLE))?;
        let with = |small: &Tensor, large: &Tensor| Tensor::cat(&[&doubled(small)?, large], 3);
        let x = ops::gelu_tanh(&self.middle.forward(&with(&coarse, middle)?)?)?;
        let x = ops::gelu_tanh(&self.fine.forward(&with(&x, fine)?)?)?;
        let map = ops::gelu_tanh(&self.last.forward(&x)?)?;
        Ok(ReliefFeatures { tokens, map })
    }

    /// How far what the map says of the surfaces is from `truth`: the batch's [`surfaces`], one after
    /// the other.
    pub(super) fn loss(&self, map: &Tensor, truth: &[[f32; SURFACES]]) -> Result<Tensor> {
        let told = self.surfaces.forward(map)?.reshape(((), SURFACES))?;
        let occupied = truth.iter().filter(|t| t[0] > 0.0).count().max(1);
        // Depths count where there is a surface, as a mean over such cells; occupancy everywhere.
        let depth = truth.len() as f32 / occupied as f32;
        let weights: Vec<f32> = truth
            .iter()
            .flat_map(|t| [1.0, t[0] * depth, t[0] * depth])
            .collect();
        let tensor = |values: Vec<f32>| Tensor::from_vec(values, told.shape(), told.device());
        let error = (&told - tensor(truth.as_flattened().to_vec())?)?.sqr()?;
        (error * tensor(weights)?)?.mean_all()
    }
}

/// Numbers of a cell's surfaces.
pub(super) const SURFACES: usize = 3;

/// For each cell of the map whether a cloud in the picture's frame has points there, and the depths
/// of the nearest and the farthest, in the network's scale (larger is nearer to the viewer).
pub(super) fn surfaces(positions: &[[f32; 3]]) -> Vec<[f32; SURFACES]> {
    let mut cells = vec![[0.0, f32::NEG_INFINITY, f32::INFINITY]; SIDE * SIDE];
    for p in positions {
        let (x, y) = cell(p[0], p[1], SIDE);
        let z = p[2] * POSITION_SCALE;
        let [occupied, front, back] = &mut cells[y * SIDE + x];
        (*occupied, *front, *back) = (1.0, front.max(z), back.min(z));
    }
    for cell in &mut cells {
        if cell[0] == 0.0 {
            *cell = [0.0; SURFACES];
        }
    }
    cells
}

/// `[B, H, W, C]` with every cell four times: `[B, 2H, 2W, C]`.
fn doubled(x: &Tensor) -> Result<Tensor> {
    let (b, h, w, c) = x.dims4()?;
    x.reshape((b, h, 1, w, 1, c))?
        .broadcast_as((b, h, 2, w, 2, c))?
        .contiguous()?
        .reshape((b, 2 * h, 2 * w, c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surfaces_are_the_nearest_and_farthest_points_of_a_cell() {
        let cloud = [
            [0.0, 0.0, 0.1],
            [0.001, 0.0, -0.2],
            [0.001, -0.001, 0.0],
            [0.4, 0.4, 0.3],
        ];
        let cells = surfaces(&cloud);
        assert_eq!(cells[15 * SIDE + 16], [0.0; 3]);
        assert_eq!(cells[16 * SIDE + 16], [1.0, 0.5, -1.0]);
        let corner = cells[3 * SIDE + 28];
        assert_eq!((corner[0], corner[1]), (1.0, corner[2]));
        assert_eq!(cells.iter().filter(|cell| cell[0] > 0.0).count(), 2);
    }

    #[test]
    fn doubling_repeats_cells() {
        let x = Tensor::new(&[[[[1f32], [2.0]]]], &candle_core::Device::Cpu).unwrap();
        let y: Vec<f32> = doubled(&x)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        assert_eq!(y, [1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0]);
    }
}
