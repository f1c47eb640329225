//! Point-E's diffusion transformer with every kind of condition.

use super::blocks::{Block, LayerNorm, Mlp, NORM_EPS};
use super::config::{Condition, TransformerConfig};
use candle_core::{Device, Result, Tensor, bail};
use packshot_nn::layers::{Linear, plain_blocks};
use packshot_nn::params::{Init, Params};
use packshot_nn::with_team_for;

/// Is shown a tensor by name.
type Tap<'a> = &'a mut dyn FnMut(&str, &Tensor) -> Result<()>;

/// Sees intermediate tensors by name, for comparisons.
#[derive(Default)]
pub struct Taps<'a>(Option<Tap<'a>>);

impl<'a> Taps<'a> {
    /// Nobody looks.
    pub fn none() -> Self {
        Self(None)
    }

    /// `see` is called with each tensor.
    pub fn new(see: &'a mut dyn FnMut(&str, &Tensor) -> Result<()>) -> Self {
        Self(Some(see))
    }

    /// Whether nobody looks, so that blocks need not be taken apart.
    fn are_none(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn see(&mut self, name: &str, tensor: &Tensor) -> Result<()> {
        match &mut self.0 {
            Some(see) => see(name, tensor),
            None => Ok(()),
        }
    }
}

/// The condition of a batch. What the network needs and is not here counts as zeros of its shape,
/// which is the unconditional input.
#[derive(Clone, Debug, Default)]
pub struct ConditionInput {
    /// `[B, feature_dim]` of a vector, `[B, feature_dim, tokens]` of a grid.
    pub embedding: Option<Tensor>,
    /// `[B, channels, points]`, user space: the cloud to be filled up.
    pub low_res: Option<Tensor>,
}

impl ConditionInput {
    /// This condition for the first half of a doubled batch and zeros for the second
    /// (classifier-free guidance); also the cloud to be filled up becomes zeros, as in Point-E.
    ///
    /// # Errors
    /// Those of the device.
    pub fn with_unconditional_half(&self) -> Result<Self> {
        let double = |t: &Option<Tensor>| match t {
            Some(t) => Tensor::cat(&[t, &t.zeros_like()?], 0).map(Some),
            None => Ok(None),
        };
        Ok(Self {
            embedding: double(&self.embedding)?,
            low_res: double(&self.low_res)?,
        })
    }
}

/// A condition after its embedding: computed once, used at every step.
#[derive(Clone, Debug)]
pub struct ConditionTokens {
    batch: usize,
    /// `[B, n, W]`, in front of the time token.
    pub(super) before_time: Option<Tensor>,
    /// `[B, n, W]`, behind it.
    pub(super) after_time: Option<Tensor>,
    /// `[B, 1, W]`, added to every point.
    pub(super) added: Option<Tensor>,
}

impl ConditionTokens {
    /// Samples in the batch.
    pub fn batch(&self) -> usize {
        self.batch
    }
}

enum Embedding {
    None,
    Vector(Linear),
    Grid(LayerNorm, Linear),
}

/// The network. Its parameters have the names and shapes of Point-E's files.
pub struct PointTransformer {
    pub(super) config: TransformerConfig,
    device: Device,
    pub(super) time_embed: Mlp,
    pub(super) input_proj: Linear,
    embedding: Embedding,
    /// Projection, scales and biases of the cloud to be filled up.
    low_res: Option<(Linear, Tensor, Tensor)>,
    pub(super) ln_pre: LayerNorm,
    pub(super) blocks: Vec<Block>,
    pub(super) ln_post: LayerNorm,
    pub(super) output_proj: Linear,
}

impl PointTransformer {
    /// The network of `config` with `params`; a fresh one starts as Point-E's do.
    ///
    /// # Errors
    /// When the sizes do not go together, or a parameter is missing or has another shape.
    pub fn new(params: &Params, config: &TransformerConfig) -> Result<Self> {
        config
            .validate()
            .map_err(|e| candle_core::Error::Msg(e.to_string()))?;
        let width = config.width;
        let init = Init::Normal {
            std: config.init_scale / (width as f64).sqrt(),
        };
        let embed = params.sub("clip_embed");
        let grid = |feature_dim: usize| -> Result<Embedding> {
            Ok(Embedding::Grid(
                LayerNorm::new(&embed.sub("0"), feature_dim)?,
                Linear::new(&embed.sub("1"), feature_dim, width)?,
            ))
        };
        let (embedding, low_res) = match &config.condition {
            Condition::None => (Embedding::None, None),
            Condition::Vector { feature_dim, .. } => (
                Embedding::Vector(Linear::new(&embed, *feature_dim, width)?),
                None,
            ),
            Condition::Grid { feature_dim, .. } => (grid(*feature_dim)?, None),
            Condition::GridAndCloud {
                feature_dim,
                scaling,
                ..
            } => {
                let project = params.sub("cond_point_proj");
                let project = Linear::new(&project, config.input_channels, width)?;
                let column =
                    |name: &str, values: &[f32]| params.buffer(name, values)?.reshape((1, (), 1));
                let scales = column("channel_scales", &scaling.scales)?;
                let biases = column("channel_biases", &scaling.biases)?;
                (grid(*feature_dim)?, Some((project, scales, biases)))
            }
        };
        let blocks = params.sub("backbone").sub("resblocks");
        Ok(Self {
            device: params.device(),
            time_embed: Mlp::new(&params.sub("time_embed"), width, init)?,
            input_proj: Linear::new(&params.sub("input_proj"), config.input_channels, width)?,
            embedding,
            low_res,
            ln_pre: LayerNorm::new(&params.sub("ln_pre"), width)?,
            blocks: (0..config.layers)
                .map(|i| Block::new(&blocks.sub(&i.to_string()), width, config.heads, init))
                .collect::<Result<_>>()?,
            ln_post: LayerNorm::new(&params.sub("ln_post"), width)?,
            output_proj: Linear::zeros(&params.sub("output_proj"), width, config.output_channels)?,
            config: config.clone(),
        })
    }

    /// The sizes.
    pub fn config(&self) -> &TransformerConfig {
        &self.config
    }

    /// Where the network computes.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Embeds the condition of `batch` samples.
    ///
    /// # Errors
    /// When a tensor has another shape than the network's.
    pub fn embed(
        &self,
        batch: usize,
        input: &ConditionInput,
        taps: &mut Taps<'_>,
    ) -> Result<ConditionTokens> {
        let mut tokens = ConditionTokens {
            batch,
            before_time: None,
            after_time: None,
            added: None,
        };
        let or_zeros = |given: &Option<Tensor>, shape: &[usize]| match given {
            Some(t) if t.dims() == shape => t.to_device(&self.device),
            Some(t) => bail!("a condition of shape {:?} for {shape:?}", t.dims()),
            None => Tensor::zeros(shape, candle_core::DType::F32, &self.device),
        };
        match (&self.config.condition, &self.embedding) {
            (
                Condition::Vector {
                    feature_dim,
                    as_token,
                },
                Embedding::Vector(project),
            ) => {
                let vector = or_zeros(&input.embedding, &[batch, *feature_dim])?;
                let scaled = (vector * (*feature_dim as f64).sqrt())?;
                let embedded = project.forward(&scaled)?;
                taps.see("clip_embed", &embedded)?;
                let embedded = Some(embedded.unsqueeze(1)?);
                if *as_token {
                    tokens.before_time = embedded;
                } else {
                    tokens.added = embedded;
                }
            }
            (
                Condition::Grid {
                    feature_dim,
                    tokens: n,
                }
                | Condition::GridAndCloud {
                    feature_dim,
                    tokens: n,
                    ..
                },
                Embedding::Grid(norm, project),
            ) => {
                let grid = or_zeros(&input.embedding, &[batch, *feature_dim, *n])?;
                let grid = grid.transpose(1, 2)?.contiguous()?;
                let embedded = project.forward(&norm.forward(&grid)?)?;
                taps.see("clip_embed", &embedded)?;
                tokens.after_time = Some(embedded);
            }
            _ => {}
        }
        if let (Condition::GridAndCloud { points, .. }, Some((project, scales, biases))) =
            (&self.config.condition, &self.low_res)
        {
            let Some(cloud) = &input.low_res else {
                bail!("the upsampler was given no cloud to fill up");
            };
            let shape = [batch, self.config.input_channels, *points];
            let cloud = or_zeros(&Some(cloud.clone()), &shape)?;
            let scaled = cloud.broadcast_mul(scales)?.broadcast_add(biases)?;
            let embedded = project.forward(&scaled.transpose(1, 2)?.contiguous()?)?;
            taps.see("low_res_embed", &embedded)?;
            tokens.after_time = Some(match tokens.after_time {
                Some(grid) => Tensor::cat(&[&grid, &embedded], 1)?,
                None => embedded,
            });
        }
        Ok(tokens)
    }

    /// The prediction for noisy points `x` `[B, input_channels, N]` at the timesteps `t` (one for
    /// each sample): `[B, output_channels, N]`.
    ///
    /// The network treats points alike: permuting them permutes the output.
    ///
    /// # Errors
    /// When shapes do not agree.
    pub fn forward(&self, x: &Tensor, t: &[f32], condition: &ConditionTokens) -> Result<Tensor> {
        with_team_for(x, || {
            self.forward_with_taps(x, t, condition, &mut Taps::none())
        })
    }

    /// [`PointTransformer::forward`], showing intermediate tensors to `taps`.
    ///
    /// # Errors
    /// Those of [`PointTransformer::forward`] and of the taps.
    pub fn forward_with_taps(
        &self,
        x: &Tensor,
        t: &[f32],
        condition: &ConditionTokens,
        taps: &mut Taps<'_>,
    ) -> Result<Tensor> {
        let (batch, channels, points) = x.dims3()?;
        if channels != self.config.input_channels || batch != t.len() || batch != condition.batch {
            bail!(
                "points {:?} with {} times and conditions for {}",
                x.dims(),
                t.len(),
                condition.batch
            );
        }
        let time = sinusoid(t, self.config.width, &self.device)?;
        taps.see("time_sinusoid", &time)?;
        let time = self.time_embed.forward(&time, &mut Taps::none(), "")?;
        taps.see("time_embed", &time)?;
        let time = time.unsqueeze(1)?;

        let mut h = self.input_proj.forward(&x.transpose(1, 2)?.contiguous()?)?;
        if let Some(added) = &condition.added {
            h = h.broadcast_add(added)?;
        }
        if !self.config.time_token_cond {
            h = h.broadcast_add(&time)?;
        }
        let tokens: Vec<&Tensor> = [
            condition.before_time.as_ref(),
            self.config.time_token_cond.then_some(&time),
            condition.after_time.as_ref(),
            Some(&h),
        ]
        .into_iter()
        .flatten()
        .collect();
        let mut h = Tensor::cat(&tokens, 1)?;
        taps.see("tokens_before_ln_pre", &h)?;
        h = self.ln_pre.forward(&h)?;
        taps.see("tokens_after_ln_pre", &h)?;
        h = self.backbone(h, taps)?;
        taps.see("backbone_out", &h)?;
        h = self.ln_post.forward(&h)?;
        taps.see("ln_post_out", &h)?;
        let before = h.dim(1)? - points;
        let h = h.narrow(1, before, points)?.contiguous()?;
        self.output_proj.forward(&h)?.transpose(1, 2)?.contiguous()
    }
}

impl PointTransformer {
    /// All blocks: in one go where nobody looks and nobody trains.
    fn backbone(&self, mut h: Tensor, taps: &mut Taps<'_>) -> Result<Tensor> {
        if taps.are_none() {
            let blocks: Vec<_> = self.blocks.iter().map(Block::layers).collect();
            if let Some(h) = plain_blocks(&h, self.config.heads, NORM_EPS, &blocks)? {
                return Ok(h);
            }
        }
        for (i, block) in self.blocks.iter().enumerate() {
            h = block.forward(&h, i, taps)?;
        }
        Ok(h)
    }
}

/// cos and sin of t at `width`/2 frequencies from 1 to 1/10000: `[B, width]`, all cosines first.
fn sinusoid(t: &[f32], width: usize, device: &Device) -> Result<Tensor> {
    let frequencies = frequencies(width);
    let mut values = vec![0.0; t.len() * width];
    for (&t, row) in t.iter().zip(values.chunks_exact_mut(width.max(1))) {
        write_sinusoid(t, &frequencies, row);
    }
    Tensor::from_vec(values, (t.len(), width), device)
}

/// The frequencies of a network of `width`.
pub(super) fn frequencies(width: usize) -> Vec<f32> {
    let half = width / 2;
    (0..half).map(|i| frequency(i, half)).collect()
}

/// cos and sin of t at all frequencies, all cosines first.
pub(super) fn write_sinusoid(t: f32, frequencies: &[f32], row: &mut [f32]) {
    let (cosines, sines) = row.split_at_mut(frequencies.len());
    for ((f, cosine), sine) in frequencies.iter().zip(cosines).zip(sines) {
        // The reference multiplies in f32.
        let angle = f64::from(t * f);
        *cosine = libm::cos(angle) as f32;
        *sine = libm::sin(angle) as f32;
    }
}

/// exp(−ln(10000)·i/half), rounded as the reference rounds it: at t = 1000 the last bit of an f32
/// frequency moves the network's output by the tolerance of a comparison.
fn frequency(i: usize, half: usize) -> f32 {
    let exponent = -(libm::log(10_000.0) as f32) * i as f32 / half as f32;
    let nearest = libm::exp(f64::from(exponent)) as f32;
    // The reference's exp errs by up to 0.52 of the last bit. Of the frequencies of widths 48 and
    // 64 (and of every width that is 64 times a power of two) that shows at one alone, 3/32 of
    // the way.
    if 32 * i == 3 * half {
        nearest.next_up()
    } else {
        nearest
    }
}
