//! The transformer on buffers of its own: what a sampling run evaluates again and again.

use super::blocks::{Block, NORM_EPS};
use super::transformer::{ConditionTokens, PointTransformer, frequencies, write_sinusoid};
use candle_core::{Result, Tensor, bail};
use packshot_nn::layers::{
    HeldBlocks, HeldLinear, HeldNorm, ReadyBlocks, ReadyLinear, ReadyNorm, gelu_erf_in_place,
};
use packshot_nn::with_team;

/// A network whose weights are locked for reading.
pub(super) struct HeldTransformer<'a> {
    network: &'a PointTransformer,
    time: [HeldLinear<'a>; 2],
    input: HeldLinear<'a>,
    norms: [HeldNorm<'a>; 2],
    blocks: HeldBlocks<'a>,
    output: HeldLinear<'a>,
}

impl<'a> HeldTransformer<'a> {
    /// Holds `network`; nothing where a gradient may be asked for, or on other devices than the CPU.
    ///
    /// # Errors
    /// Weights of shapes that do not agree.
    pub(super) fn of(network: &'a PointTransformer) -> Result<Option<Self>> {
        let blocks: Vec<_> = network.blocks.iter().map(Block::layers).collect();
        let Some(blocks) = HeldBlocks::of(network.config.heads, NORM_EPS, &blocks)? else {
            return Ok(None);
        };
        let [fc, proj] = network.time_embed.layers().map(HeldLinear::of);
        let [before, after] = [&network.ln_pre, &network.ln_post].map(|norm| norm.held());
        let input = HeldLinear::of(&network.input_proj);
        let output = HeldLinear::of(&network.output_proj);
        let (Some(fc), Some(proj), Some(input), Some(before), Some(after), Some(output)) =
            (fc, proj, input, before, after, output)
        else {
            return Ok(None);
        };
        Ok(Some(Self {
            network,
            time: [fc, proj],
            input,
            norms: [before, after],
            blocks,
            output,
        }))
    }

    /// An evaluator for `points` points a sample and a condition.
    ///
    /// # Errors
    /// Those of the device, and tensors that do not fit the network.
    pub(super) fn evaluator(
        &self,
        condition: &ConditionTokens,
        points: usize,
    ) -> Result<Evaluator<'_>> {
        let config = &self.network.config;
        let (batch, width) = (condition.batch(), config.width);
        let rows = |t: &Option<Tensor>| -> Result<(usize, Vec<f32>)> {
            match t {
                Some(t) if t.dims3()? == (batch, t.dim(1)?, width) => {
                    Ok((t.dim(1)?, t.flatten_all()?.to_vec1()?))
                }
                Some(t) => bail!("condition tokens {:?} of width {width}", t.dims()),
                None => Ok((0, Vec::new())),
            }
        };
        let (before, before_rows) = rows(&condition.before_time)?;
        let (after, after_rows) = rows(&condition.after_time)?;
        let (added, added_rows) = rows(&condition.added)?;
        let at_time = config.time_token_cond.then_some(before);
        let first_point = before + usize::from(at_time.is_some()) + after;
        let tokens = first_point + points;
        let mut inputs = vec![0.0; batch * tokens * width];
        // The condition's tokens stay where they are from one evaluation to the next.
        for (b, sample) in inputs.chunks_exact_mut((tokens * width).max(1)).enumerate() {
            let part = |rows: &[f32], n: usize| rows[b * n * width..(b + 1) * n * width].to_vec();
            sample[..before * width].copy_from_slice(&part(&before_rows, before));
            let start = first_point - after;
            sample[start * width..first_point * width].copy_from_slice(&part(&after_rows, after));
        }
        let [fc, proj] = [self.time[0].ready()?, self.time[1].ready()?];
        let channels = [config.input_channels, config.output_channels];
        Ok(Evaluator {
            batch,
            points,
            width,
            channels,
            at_time,
            first_point,
            added: (added > 0).then_some(added_rows),
            frequencies: frequencies(width),
            sinusoid: vec![0.0; width],
            hidden: vec![0.0; fc.sizes().1],
            time: vec![0.0; width],
            point_inputs: vec![0.0; points * channels[0]],
            point_outputs: vec![0.0; points * channels[1]],
            activations: vec![0.0; inputs.len()],
            inputs,
            time_embed: [fc, proj],
            input: self.input.ready()?,
            norms: [self.norms[0].ready()?, self.norms[1].ready()?],
            blocks: self.blocks.ready()?,
            output: self.output.ready()?,
        })
    }
}

/// A network and a condition ready for evaluations, which allocate nothing.
pub(super) struct Evaluator<'h> {
    batch: usize,
    points: usize,
    width: usize,
    /// Of a point's input and output.
    channels: [usize; 2],
    /// Index of the time token; time is added to the points where there is none.
    at_time: Option<usize>,
    /// Index of the first point's token.
    first_point: usize,
    /// `[B, W]`, added to every point.
    added: Option<Vec<f32>>,
    frequencies: Vec<f32>,
    sinusoid: Vec<f32>,
    hidden: Vec<f32>,
    time: Vec<f32>,
    /// Channels last, of one sample.
    point_inputs: Vec<f32>,
    point_outputs: Vec<f32>,
    /// Tokens before the first norm, `[B, T, W]`.
    inputs: Vec<f32>,
    /// Tokens after it, and through all blocks.
    activations: Vec<f32>,
    time_embed: [ReadyLinear<'h>; 2],
    input: ReadyLinear<'h>,
    norms: [ReadyNorm<'h>; 2],
    blocks: ReadyBlocks<'h>,
    output: ReadyLinear<'h>,
}

impl Evaluator<'_> {
    /// The prediction for `x` `[B, input_channels, points]` at the timestep `time` of all samples,
    /// to `out` `[B, output_channels, points]`.
    ///
    /// # Errors
    /// When the slices have other lengths.
    pub(super) fn evaluate(&mut self, x: &[f32], time: f32, out: &mut [f32]) -> Result<()> {
        let samples = self.batch * self.points;
        if x.len() != samples * self.channels[0] || out.len() != samples * self.channels[1] {
            bail!(
                "{} values to {} for {} samples of {} points",
                x.len(),
                out.len(),
                self.batch,
                self.points
            );
        }
        if samples > 0 {
            with_team(|| self.run(x, time, out));
        }
        Ok(())
    }

    fn run(&mut self, x: &[f32], time: f32, out: &mut [f32]) {
        self.embed_time(time);
        let w = self.width;
        let tokens = self.first_point + self.points;
        let [channels_in, channels_out] = self.channels;
        let sample = |b: usize| b * tokens * w..(b + 1) * tokens * w;
        for (b, x) in x.chunks_exact(self.points * channels_in).enumerate() {
            to_channels_last(x, channels_in, &mut self.point_inputs);
            let inputs = &mut self.inputs[sample(b)];
            let rows = &mut inputs[self.first_point * w..];
            self.input.forward(&self.point_inputs, rows);
            if let Some(added) = &self.added {
                add_to_rows(rows, &added[b * w..(b + 1) * w]);
            }
            match self.at_time {
                Some(i) => inputs[i * w..(i + 1) * w].copy_from_slice(&self.time),
                None => add_to_rows(rows, &self.time),
            }
        }
        let [before, after] = &self.norms;
        before.forward(&self.inputs, &mut self.activations);
        self.blocks.run(self.batch, tokens, &mut self.activations);
        for (b, out) in out.chunks_exact_mut(self.points * channels_out).enumerate() {
            let point_rows =
                |all: std::ops::Range<usize>| all.start + self.first_point * w..all.end;
            // The points' inputs are written anew by the next evaluation.
            let normed = &mut self.inputs[point_rows(sample(b))];
            after.forward(&self.activations[point_rows(sample(b))], normed);
            self.output.forward(normed, &mut self.point_outputs);
            to_channels_first(&self.point_outputs, channels_out, out);
        }
    }

    fn embed_time(&mut self, time: f32) {
        write_sinusoid(time, &self.frequencies, &mut self.sinusoid);
        let [fc, proj] = &self.time_embed;
        fc.forward(&self.sinusoid, &mut self.hidden);
        gelu_erf_in_place(&mut self.hidden);
        proj.forward(&self.hidden, &mut self.time);
    }
}

fn add_to_rows(rows: &mut [f32], row: &[f32]) {
    for to in rows.chunks_exact_mut(row.len()) {
        for (to, add) in to.iter_mut().zip(row) {
            *to += add;
        }
    }
}

/// `[channels, n]` to `[n, channels]`.
fn to_channels_last(x: &[f32], channels: usize, out: &mut [f32]) {
    let n = x.len() / channels;
    for (i, out) in out.chunks_exact_mut(channels).enumerate() {
        for (c, out) in out.iter_mut().enumerate() {
            *out = x[c * n + i];
        }
    }
}

/// `[n, channels]` to `[channels, n]`.
fn to_channels_first(x: &[f32], channels: usize, out: &mut [f32]) {
    let n = x.len() / channels;
    for (i, x) in x.chunks_exact(channels).enumerate() {
        for (c, x) in x.iter().enumerate() {
            out[c * n + i] = *x;
        }
    }
}
