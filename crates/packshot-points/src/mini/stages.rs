//! The two stages as a caller sees them.

use super::cloud::FramedCloud;
use super::depth::deepen;
use super::examples::ScaledPoint;
use super::flow::{sample, walk};
use super::inputs::{CHANNELS, PICTURE, POSITION_SCALE, Picture};
use super::network::{PointBatch, PointNetwork, PointNetworkConfig};
use super::spread::{OVERSAMPLING, denser, spread};
use super::upsampler::{CHILDREN, PARENTS, child, grouped, read_token};
use candle_core::{Device, Tensor};
use packshot_core::{
    Context, Error, Image, NoiseKey, NoiseStream, Result, Seed, Stage, StageTimer,
};
use packshot_diffusion::Factors;
use packshot_nn::params::Params;
use packshot_nn::weights::{Weights, candle_error};

/// Settings of [`MiniPoints::generate`].
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct PointsSettings {
    /// Euler steps.
    pub steps: usize,
    /// Number of points; a multiple of the points per token times a power of two (1,024).
    pub points: usize,
    /// Seed of the noise.
    pub seed: Seed,
    /// Which candidate of the seed.
    pub candidate: u32,
}

/// Settings of [`MiniUpsampler::upsample`].
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct UpsamplerSettings {
    /// Euler steps.
    pub steps: usize,
    /// Seed of the noise.
    pub seed: Seed,
    /// Which candidate of the seed.
    pub candidate: u32,
}

/// The first stage: a 64×64 picture to points.
pub struct MiniPoints {
    network: PointNetwork,
}

/// The second stage: points and their picture to four times as many.
pub struct MiniUpsampler {
    network: PointNetwork,
}

fn load(bytes: &[u8], kind: &str) -> Result<PointNetwork> {
    let weights = Weights::from_bytes(bytes)?;
    if weights.metadata.get("kind").map(String::as_str) != Some(kind) {
        return Err(Error::bad_input(format!(
            "the weight file holds no network of kind \"{kind}\""
        )));
    }
    let config: PointNetworkConfig = weights.json("config")?;
    let params = Params::loaded(weights.tensors, &Device::Cpu);
    PointNetwork::new(config, &params)
        .map_err(|e| Error::bad_input(format!("the weights do not fit the network: {e}")))
}

fn picture_of(image: &Image) -> Result<Picture> {
    if (image.width(), image.height()) != (PICTURE, PICTURE) {
        return Err(Error::internal(format!(
            "the point network reads {PICTURE}×{PICTURE} pictures, not {}×{}",
            image.width(),
            image.height()
        )));
    }
    Ok(Picture::from_srgb(image.on_background([255; 3]).data()))
}

fn features(
    network: &PointNetwork,
    device: &Device,
    picture: &Picture,
) -> Result<super::network::PictureFeatures> {
    Tensor::from_slice(&picture.values, (1, PICTURE, PICTURE, 3), device)
        .and_then(|t| network.picture(&t))
        .map_err(candle_error)
}

impl MiniPoints {
    /// Reads a weight file.
    pub fn load(bytes: &[u8]) -> Result<Self> {
        Ok(Self {
            network: load(bytes, "points")?,
        })
    }

    /// Tokens of an evaluation on the way to `points` points.
    pub fn tokens(&self, points: usize) -> usize {
        self.network.tokens(points * OVERSAMPLING)
    }

    /// Points for a 64×64 picture of an object on white, framed as the three-quarter view is.
    pub fn generate(
        &self,
        image: &Image,
        settings: PointsSettings,
        context: &Context<'_>,
    ) -> Result<FramedCloud> {
        let picture = picture_of(image)?;
        let key = NoiseKey {
            candidate: settings.candidate,
            stage: Stage::Points,
            step: 0,
        };
        let mut random = NoiseStream::new(settings.seed, key);
        let noise: Vec<ScaledPoint> = (0..settings.points * OVERSAMPLING)
            .map(|_| std::array::from_fn(|_| random.normal()))
            .collect();
        let mut stage = context.stage("points", Some(settings.steps as u64));
        let flop = packshot_nn::flop::total();
        let features = features(&self.network, &Device::Cpu, &picture)?;
        let mut points = sample(
            &self.network,
            &features,
            &picture,
            &noise,
            settings.steps,
            Some(&mut stage),
        )?;
        stage.add_flop((packshot_nn::flop::total() - flop) as f64);
        stage.finish();
        deepen(&mut points);
        Ok(framed(&spread(&points, settings.points)))
    }
}

impl MiniUpsampler {
    /// Reads a weight file.
    pub fn load(bytes: &[u8]) -> Result<Self> {
        Ok(Self {
            network: load(bytes, "upsampler")?,
        })
    }

    /// Tokens of an evaluation for `points` given points.
    pub fn tokens(&self, points: usize) -> usize {
        self.network.tokens(points * CHILDREN)
    }

    /// The given points, unchanged and first, followed by three new ones for each.
    pub fn upsample(
        &self,
        image: &Image,
        cloud: &FramedCloud,
        settings: UpsamplerSettings,
        context: &Context<'_>,
    ) -> Result<FramedCloud> {
        let picture = picture_of(image)?;
        let key = NoiseKey {
            candidate: settings.candidate,
            stage: Stage::Upsampler,
            step: 0,
        };
        let mut random = NoiseStream::new(settings.seed, key);
        let parents = scaled(cloud);
        let mut stage = context.stage("upsampler", Some(settings.steps as u64));
        let flop = packshot_nn::flop::total();
        let children = sample_children(
            &self.network,
            &Device::Cpu,
            &picture,
            &parents,
            settings.steps,
            &mut random,
            Some(&mut stage),
        )?;
        stage.add_flop((packshot_nn::flop::total() - flop) as f64);
        stage.finish();
        let mut all = cloud.clone();
        let new = framed(&denser(&parents, &children, parents.len() * CHILDREN));
        all.positions.extend(new.positions);
        all.colours.extend(new.colours);
        Ok(all)
    }
}

fn framed(points: &[ScaledPoint]) -> FramedCloud {
    FramedCloud {
        positions: points
            .iter()
            .map(|p| [p[0], p[1], p[2]].map(|v| v / POSITION_SCALE))
            .collect(),
        colours: points.iter().map(|p| [p[3], p[4], p[5]]).collect(),
    }
}

fn scaled(cloud: &FramedCloud) -> Vec<ScaledPoint> {
    cloud
        .positions
        .iter()
        .zip(&cloud.colours)
        .map(|(p, c)| {
            let p = p.map(|v| v * POSITION_SCALE);
            [p[0], p[1], p[2], c[0], c[1], c[2]]
        })
        .collect()
}

/// Samples three children for each parent by Euler steps; the children come in token order.
pub(super) fn sample_children(
    network: &PointNetwork,
    device: &Device,
    picture: &Picture,
    parents: &[ScaledPoint],
    steps: usize,
    random: &mut NoiseStream,
    mut stage: Option<&mut StageTimer<'_>>,
) -> Result<Vec<ScaledPoint>> {
    if parents.is_empty() || !parents.len().is_multiple_of(PARENTS) {
        return Err(Error::internal(
            "the upsampler was given a broken number of points",
        ));
    }
    let features = features(network, device, picture)?;
    let order = grouped(parents);
    let parents: Vec<ScaledPoint> = order.iter().map(|&i| parents[i as usize]).collect();
    let noise: Vec<[f32; CHANNELS]> = (0..parents.len() * CHILDREN)
        .map(|_| std::array::from_fn(|_| random.normal()))
        .collect();
    let mut read = |x: &[[f32; CHANNELS]], k: &[Factors; CHANNELS], batch: &mut PointBatch| {
        let offsets = x.chunks_exact(PARENTS * CHILDREN);
        for (own, offsets) in parents.chunks_exact(PARENTS).zip(offsets) {
            read_token(own, offsets, k, picture, batch);
        }
    };
    let offsets = walk(network, &features, &noise, steps, &mut read, || {
        stage.as_deref_mut().map_or(Ok(()), StageTimer::step)
    })?;
    Ok(offsets
        .iter()
        .enumerate()
        .map(|(i, offset)| child(&parents[i / CHILDREN], offset))
        .collect())
}
