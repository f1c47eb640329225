//! Names and shapes of the tensors in Point-E's weight files.

use super::config::{Condition, TransformerConfig};
use packshot_nn::weights::TensorSpec;

/// The tensors of one network, as they are added.
struct List(Vec<TensorSpec>);

impl List {
    fn add(&mut self, name: impl Into<String>, shape: &[usize]) {
        self.0.push(TensorSpec::new(name, shape));
    }

    fn linear(&mut self, name: &str, inputs: usize, outputs: usize) {
        self.add(format!("{name}.weight"), &[outputs, inputs]);
        self.add(format!("{name}.bias"), &[outputs]);
    }

    fn norm(&mut self, name: &str, width: usize) {
        self.add(format!("{name}.weight"), &[width]);
        self.add(format!("{name}.bias"), &[width]);
    }

    fn mlp(&mut self, name: &str, width: usize) {
        self.linear(&format!("{name}.c_fc"), width, 4 * width);
        self.linear(&format!("{name}.c_proj"), 4 * width, width);
    }

    /// A block of self-attention.
    fn block(&mut self, name: &str, width: usize) {
        self.linear(&format!("{name}.attn.c_qkv"), width, 3 * width);
        self.linear(&format!("{name}.attn.c_proj"), width, width);
        self.norm(&format!("{name}.ln_1"), width);
        self.mlp(&format!("{name}.mlp"), width);
        self.norm(&format!("{name}.ln_2"), width);
    }
}

/// Those of a diffusion transformer.
pub(super) fn transformer(config: &TransformerConfig) -> Vec<TensorSpec> {
    let width = config.width;
    let mut list = List(Vec::new());
    list.mlp("time_embed", width);
    list.norm("ln_pre", width);
    for i in 0..config.layers {
        list.block(&format!("backbone.resblocks.{i}"), width);
    }
    list.norm("ln_post", width);
    list.linear("input_proj", config.input_channels, width);
    list.linear("output_proj", width, config.output_channels);
    match &config.condition {
        Condition::None => {}
        Condition::Vector { feature_dim, .. } => list.linear("clip_embed", *feature_dim, width),
        Condition::Grid { feature_dim, .. } | Condition::GridAndCloud { feature_dim, .. } => {
            list.norm("clip_embed.0", *feature_dim);
            list.linear("clip_embed.1", *feature_dim, width);
        }
    }
    if matches!(config.condition, Condition::GridAndCloud { .. }) {
        list.linear("cond_point_proj", config.input_channels, width);
        list.add("channel_scales", &[config.input_channels]);
        list.add("channel_biases", &[config.input_channels]);
    }
    list.0
}

/// Those of the signed distance network: self-attention over the cloud, cross-attention of the
/// queries.
pub(super) fn sdf(width: usize, encoder_layers: usize, decoder_layers: usize) -> Vec<TensorSpec> {
    let mut list = List(Vec::new());
    list.linear("encoder_input_proj", 3, width);
    for i in 0..encoder_layers {
        list.block(&format!("encoder.resblocks.{i}"), width);
    }
    list.linear("decoder_input_proj", 3, width);
    for i in 0..decoder_layers {
        let block = format!("decoder.resblocks.{i}");
        list.linear(&format!("{block}.attn.c_q"), width, width);
        list.linear(&format!("{block}.attn.c_kv"), width, 2 * width);
        list.linear(&format!("{block}.attn.c_proj"), width, width);
        for norm in ["ln_1", "ln_2", "ln_3"] {
            list.norm(&format!("{block}.{norm}"), width);
        }
        list.mlp(&format!("{block}.mlp"), width);
    }
    list.norm("ln_post", width);
    list.linear("output_proj", width, 1);
    list.0
}
