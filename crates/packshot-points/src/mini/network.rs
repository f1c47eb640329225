//! The small image-conditioned point network: several points a token, adaLN blocks over point tokens
//! and picture tokens, picture features looked up at each point.

use super::inputs::{CHANNELS, MAP_SIDES, PICTURE, POINT_FEATURES};
use super::relief::Relief;
use candle_core::{Result, Tensor};
use packshot_diffusion::LinearPosterior;
use packshot_nn::layers::{AdaLnStack, Conv3x3, Linear, NORM_EPS};
use packshot_nn::ops;
use packshot_nn::params::{Init, Params};
use packshot_nn::with_team_for;

/// Sizes of a [`PointNetwork`].
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PointNetworkConfig {
    /// Token width.
    pub width: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Points in a token.
    pub points_per_token: usize,
    /// Numbers that are given for each token beside those of its points.
    pub extra_features: usize,
    /// Numbers read at each point.
    pub point_features: usize,
    /// Channels of the three picture maps.
    pub map_channels: [usize; 3],
    /// Channels of the relief, a map of the surfaces that the picture shows; 0 for networks without.
    #[serde(default)]
    pub relief_channels: usize,
    /// Preconditioning of x, y, z, R, G, B.
    pub channels: [LinearPosterior; CHANNELS],
}

impl PointNetworkConfig {
    /// The embedded model's first stage.
    pub fn points() -> Self {
        let position = |deviation| LinearPosterior {
            deviation,
            correlation: 0.83,
        };
        let colour = LinearPosterior {
            deviation: 0.55,
            correlation: 0.0,
        };
        Self {
            width: 192,
            layers: 8,
            heads: 4,
            points_per_token: 4,
            extra_features: 0,
            point_features: POINT_FEATURES,
            map_channels: [32, 64, 128],
            relief_channels: 64,
            channels: [
                position(1.0),
                position(0.95),
                position(0.95),
                colour,
                colour,
                colour,
            ],
        }
    }
}

/// What the network reads of a picture.
pub struct PictureFeatures {
    /// `[B·32², C]` and `[B·16², C]`.
    maps: [Tensor; 2],
    /// `[B, 64, W]`.
    tokens: Tensor,
    /// `[B, 32, 32, C]`.
    relief: Option<Tensor>,
    batch: usize,
}

impl PictureFeatures {
    /// The features of the only picture, as a batch of `batch`.
    pub fn repeat(&self, batch: usize) -> Result<Self> {
        let map = |m: &Tensor| m.repeat((batch, 1));
        Ok(Self {
            maps: [map(&self.maps[0])?, map(&self.maps[1])?],
            tokens: self.tokens.repeat((batch, 1, 1))?,
            relief: self
                .relief
                .as_ref()
                .map(|map| map.repeat((batch, 1, 1, 1)))
                .transpose()?,
            batch: self.batch * batch,
        })
    }
}

/// A batch of noisy points, as plain numbers.
#[derive(Clone, Debug, Default)]
pub struct PointBatch {
    /// `[B, N, point_features]`.
    pub features: Vec<f32>,
    /// `[B, N/G, extra_features]`.
    pub extra: Vec<f32>,
    /// `[B, N]`: cells of the two picture maps, within the picture's own map.
    pub cells: [Vec<u32>; 2],
    /// `[B, N]`: places in the picture, right and down as shares of its sides; read by networks with
    /// a relief alone.
    pub places: Vec<[f32; 2]>,
    /// Flow time of each batch entry.
    pub t: Vec<f32>,
}

impl PointBatch {
    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.features.clear();
        self.extra.clear();
        self.cells.iter_mut().for_each(Vec::clear);
        self.places.clear();
        self.t.clear();
    }
}

/// See the module.
pub struct PointNetwork {
    config: PointNetworkConfig,
    convs: [Conv3x3; 3],
    context: Linear,
    position: Tensor,
    input: Linear,
    lookup: Linear,
    relief: Option<(Relief, Linear)>,
    stack: AdaLnStack,
    output: Linear,
}

impl PointNetwork {
    /// Builds the network on `params`.
    pub fn new(config: PointNetworkConfig, params: &Params) -> Result<Self> {
        let [c1, c2, c3] = config.map_channels;
        let (w, g) = (config.width, config.points_per_token);
        let side = PICTURE / 8;
        let relief = (config.relief_channels > 0)
            .then(|| -> Result<_> {
                let c = config.relief_channels;
                let own = params.sub("relief");
                let relief = Relief::new(&own, w, config.heads, [c1, c2], c)?;
                Ok((relief, Linear::zeros(&own.sub("lookup"), c * g, w)?))
            })
            .transpose()?;
        Ok(Self {
            relief,
            convs: [
                Conv3x3::new(&params.sub("conv1"), 3, c1, 2)?,
                Conv3x3::new(&params.sub("conv2"), c1, c2, 2)?,
                Conv3x3::new(&params.sub("conv3"), c2, c3, 2)?,
            ],
            context: Linear::new(&params.sub("context"), c3, w)?,
            position: params.get("position", &[side * side, w], Init::Normal { std: 0.02 })?,
            input: Linear::new(
                &params.sub("input"),
                config.point_features * g + config.extra_features,
                w,
            )?,
            lookup: Linear::new(&params.sub("lookup"), (c1 + c2) * g, w)?,
            stack: AdaLnStack::new(params, w, config.heads, config.layers)?,
            output: Linear::zeros(&params.sub("output"), w, CHANNELS * g)?,
            config,
        })
    }

    /// The sizes.
    pub fn config(&self) -> &PointNetworkConfig {
        &self.config
    }

    /// Tokens of `points` points and of their picture.
    pub(super) fn tokens(&self, points: usize) -> usize {
        points / self.config.points_per_token + (PICTURE / 8) * (PICTURE / 8)
    }

    /// Reads pictures `[B, 64, 64, 3]` with values in [−1, 1].
    pub fn picture(&self, pictures: &Tensor) -> Result<PictureFeatures> {
        with_team_for(&self.position, || self.read(pictures))
    }

    fn read(&self, pictures: &Tensor) -> Result<PictureFeatures> {
        let batch = pictures.dim(0)?;
        let f1 = ops::gelu_tanh(&self.convs[0].forward(pictures)?)?;
        let f2 = ops::gelu_tanh(&self.convs[1].forward(&f1)?)?;
        let f3 = ops::gelu_tanh(&self.convs[2].forward(&f2)?)?;
        let flat = |f: &Tensor| {
            let (b, h, w, c) = f.dims4()?;
            f.reshape((b * h * w, c))
        };
        let (_, h, w, c) = f3.dims4()?;
        let tokens = self.context.forward(&f3.reshape((batch, h * w, c))?)?;
        let tokens = tokens.broadcast_add(&self.position)?;
        let (tokens, relief) = match &self.relief {
            Some((relief, _)) => {
                let read = relief.read(&f1, &f2, &tokens)?;
                (read.tokens, Some(read.map))
            }
            None => (tokens, None),
        };
        Ok(PictureFeatures {
            maps: [flat(&f1)?, flat(&f2)?],
            tokens,
            relief,
            batch,
        })
    }

    /// How far what the network read of pictures is from the [`surfaces`] of their objects, one after
    /// the other; nothing for networks without a relief.
    ///
    /// [`surfaces`]: super::relief::surfaces
    pub(super) fn relief_loss(
        &self,
        picture: &PictureFeatures,
        surfaces: &[[f32; 3]],
    ) -> Result<Option<Tensor>> {
        match (&self.relief, &picture.relief) {
            (Some((relief, _)), Some(map)) => relief.loss(map, surfaces).map(Some),
            _ => Ok(None),
        }
    }

    /// The network's output F for a batch of noisy points: `[B, N, 6]`. The estimate of the clean
    /// points is c_skip·x_t + c_out·F.
    pub fn forward(&self, points: &PointBatch, picture: &PictureFeatures) -> Result<Tensor> {
        with_team_for(&self.position, || self.evaluate(points, picture))
    }

    fn evaluate(&self, points: &PointBatch, picture: &PictureFeatures) -> Result<Tensor> {
        let device = picture.tokens.device();
        let g = self.config.points_per_token;
        let batch = picture.batch;
        let n = points.cells[0].len() / batch.max(1);
        let tokens = n / g;
        let own = Tensor::from_slice(
            &points.features,
            (batch, tokens, self.config.point_features * g),
            device,
        )?;
        let own = if self.config.extra_features > 0 {
            let extra = Tensor::from_slice(
                &points.extra,
                (batch, tokens, self.config.extra_features),
                device,
            )?;
            Tensor::cat(&[own, extra], 2)?
        } else {
            own
        };
        let mut looked_up = Vec::with_capacity(2);
        for ((map, cells), side) in picture.maps.iter().zip(&points.cells).zip(MAP_SIDES) {
            let index: Vec<u32> = cells
                .chunks_exact(n.max(1))
                .enumerate()
                .flat_map(|(b, cells)| cells.iter().map(move |&c| c + (b * side * side) as u32))
                .collect();
            let index = Tensor::from_vec(index, batch * n, device)?;
            looked_up.push(map.index_select(&index, 0)?);
        }
        let looked_up = Tensor::cat(&looked_up, 1)?;
        let channels = looked_up.dim(1)?;
        let looked_up = looked_up.reshape((batch, tokens, channels * g))?;
        let h = ops::add(
            &self.input.forward(&own)?,
            &self.lookup.forward(&looked_up)?,
        )?;
        let h = match (&self.relief, &picture.relief) {
            (Some((_, lookup)), Some(map)) => {
                let read = ops::bilinear_lookup(map, &points.places)?;
                let read = read.reshape((batch, tokens, self.config.relief_channels * g))?;
                ops::add(&h, &lookup.forward(&read)?)?
            }
            _ => h,
        };
        let x = Tensor::cat(&[&h, &picture.tokens], 1)?;
        let embedding = self.stack.embed_time(&points.t, device)?;
        let x = self.stack.forward(&x, &embedding)?;
        let x = x.narrow(1, 0, tokens)?.contiguous()?;
        let x = ops::layer_norm(&x, None, None, NORM_EPS)?;
        self.output.forward(&x)?.reshape((batch, n, CHANNELS))
    }
}
