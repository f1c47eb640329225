//! From a text or a picture to a cloud with small random networks and a small random CLIP.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use candle_core::{Device, Tensor};
use packshot_core::{Context, ErrorKind, Image, NoiseKey, NoiseStream, Seed, Stage};
use packshot_nn::params::Params;
use packshot_nn::weights::{StoredAs, Weights};
use packshot_points::point_e::{
    ChannelScaling, Condition, InputKind, Method, NetworkFile, PointE, PointEFiles, PointEInput,
    PointESettings, PointTransformer, SolverConfig, StageSettings, TransformerConfig,
    point_e_conditions,
};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

const TEXT_FEATURE: usize = 8;
const WIDTH: usize = 64;

fn noise(index: u32, shape: &[usize], scale: f32) -> Tensor {
    let key = NoiseKey {
        candidate: index,
        stage: Stage::Init,
        step: 0,
    };
    let values = NoiseStream::new(Seed(1), key).normals(shape.iter().product());
    let values: Vec<f32> = values.into_iter().map(|v| v * scale).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).expect("the shape fits")
}

fn write(path: &Path, tensors: HashMap<String, Tensor>) -> PathBuf {
    let weights = Weights {
        tensors,
        ..Weights::default()
    };
    std::fs::write(path, weights.to_bytes(StoredAs::F16).unwrap()).unwrap();
    path.to_owned()
}

/// A CLIP with one block a tower, 8×8 pixels and OpenAI's vocabulary.
fn clip(path: &Path) -> PathBuf {
    let mut tensors = HashMap::new();
    let mut add = |name: &str, shape: &[usize], scale: f32| {
        let index = tensors.len() as u32;
        tensors.insert(name.to_owned(), noise(index, shape, scale));
    };
    for prefix in ["transformer", "visual.transformer"] {
        let name = |part: &str| format!("{prefix}.resblocks.0.{part}");
        add(&name("attn.in_proj_weight"), &[3 * WIDTH, WIDTH], 0.1);
        add(&name("attn.in_proj_bias"), &[3 * WIDTH], 0.1);
        add(&name("attn.out_proj.weight"), &[WIDTH, WIDTH], 0.1);
        add(&name("attn.out_proj.bias"), &[WIDTH], 0.1);
        add(&name("mlp.c_fc.weight"), &[4 * WIDTH, WIDTH], 0.1);
        add(&name("mlp.c_fc.bias"), &[4 * WIDTH], 0.1);
        add(&name("mlp.c_proj.weight"), &[WIDTH, 4 * WIDTH], 0.1);
        add(&name("mlp.c_proj.bias"), &[WIDTH], 0.1);
        for norm in ["ln_1", "ln_2"] {
            add(&name(&format!("{norm}.weight")), &[WIDTH], 1.0);
            add(&name(&format!("{norm}.bias")), &[WIDTH], 0.1);
        }
    }
    for norm in ["ln_final", "visual.ln_pre", "visual.ln_post"] {
        add(&format!("{norm}.weight"), &[WIDTH], 1.0);
        add(&format!("{norm}.bias"), &[WIDTH], 0.1);
    }
    add("token_embedding.weight", &[49408, WIDTH], 0.1);
    add("positional_embedding", &[77, WIDTH], 0.1);
    add("text_projection", &[WIDTH, TEXT_FEATURE], 0.1);
    add("visual.conv1.weight", &[WIDTH, 3, 4, 4], 0.1);
    add("visual.class_embedding", &[WIDTH], 0.1);
    add("visual.positional_embedding", &[5, WIDTH], 0.1);
    add("visual.proj", &[WIDTH, TEXT_FEATURE], 0.1);
    add("logit_scale", &[1], 1.0);
    write(path, tensors)
}

fn network(path: &Path, condition: Condition, points: usize) -> NetworkFile {
    let network = TransformerConfig {
        width: 16,
        layers: 1,
        heads: 2,
        n_ctx: points,
        ..TransformerConfig::base_40m(condition)
    };
    let params = Params::random(Seed(2), &Device::Cpu);
    PointTransformer::new(&params, &network).unwrap();
    let mut tensors: HashMap<String, Tensor> = params
        .vars()
        .into_iter()
        .map(|(name, var)| (name, var.as_tensor().clone()))
        .collect();
    // A fresh network's output layer is zero.
    tensors.insert("output_proj.weight".into(), noise(99, &[12, 16], 0.3));
    if let Condition::GridAndCloud { scaling, .. } = &network.condition {
        for (name, values) in [
            ("channel_scales", &scaling.scales),
            ("channel_biases", &scaling.biases),
        ] {
            let tensor = Tensor::new(values.as_slice(), &Device::Cpu).unwrap();
            tensors.insert(name.into(), tensor);
        }
    }
    NetworkFile {
        weights: write(path, tensors),
        network,
    }
}

fn files(folder: &Path, input: InputKind) -> PointEFiles {
    let condition = match input {
        InputKind::Picture => Condition::Grid {
            feature_dim: WIDTH,
            tokens: 4,
        },
        _ => Condition::Vector {
            feature_dim: TEXT_FEATURE,
            as_token: true,
        },
    };
    let upsampler = Condition::GridAndCloud {
        feature_dim: WIDTH,
        tokens: 4,
        points: 12,
        scaling: ChannelScaling::published(),
    };
    PointEFiles {
        input,
        base: network(&folder.join("base.safetensors"), condition, 12),
        upsampler: Some(network(&folder.join("upsample.safetensors"), upsampler, 20)),
        clip: Some(clip(&folder.join("clip.safetensors"))),
        sdf: None,
    }
}

fn settings(guidance: f32) -> PointESettings {
    let method = Method::Solver(SolverConfig::base(3));
    PointESettings {
        base: StageSettings {
            points: 12,
            guidance,
            method: method.clone(),
            ..StageSettings::base()
        },
        upsampler: Some(StageSettings {
            points: 20,
            method,
            ..StageSettings::upsampler(0.0)
        }),
        respacing: None,
    }
}

fn cloud(files: &PointEFiles, input: PointEInput, seed: u64) -> Vec<[f32; 3]> {
    let context = Context::silent();
    let conditions = point_e_conditions(files, &[input], &context).unwrap();
    let networks = PointE::load(files, true).unwrap();
    assert_eq!(networks.coarse_points(), Some(12));
    let cloud = networks
        .generate(&conditions[0], &settings(3.0), Seed(seed), 0, &context)
        .unwrap();
    assert_eq!(cloud.colours.as_ref().map(Vec::len), Some(32));
    assert!(cloud.positions.iter().flatten().all(|v| v.is_finite()));
    cloud.positions
}

#[test]
fn a_text_decides_the_cloud() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path(), InputKind::Text);
    let text = |text: &str| PointEInput::Text(text.to_owned());
    let chair = cloud(&files, text("a red chair"), 1);
    assert_eq!(chair, cloud(&files, text(" A  Red chair"), 1));
    assert_ne!(chair, cloud(&files, text("a blue car"), 1));
    assert_ne!(chair, cloud(&files, text("a red chair"), 2));
}

#[test]
fn a_picture_decides_the_cloud() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path(), InputKind::Picture);
    let picture = |level: u8| {
        let mut picture = Image::filled(20, 30, &[255, 255, 255]);
        for x in 5..15 {
            picture.pixel_mut(x, 15).copy_from_slice(&[level, 40, 90]);
        }
        PointEInput::Picture(picture)
    };
    let first = cloud(&files, picture(10), 1);
    assert_eq!(first, cloud(&files, picture(10), 1));
    assert_ne!(first, cloud(&files, picture(250), 1));
}

#[test]
fn a_clip_of_other_sizes_and_wrong_inputs_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = files(folder.path(), InputKind::Text);
    let context = Context::silent();
    let text = [PointEInput::Text("a chair".to_owned())];
    let picture = [PointEInput::Picture(Image::filled(9, 9, &[1; 3]))];
    let kind = |files: &PointEFiles, inputs: &[PointEInput]| {
        point_e_conditions(files, inputs, &context)
            .unwrap_err()
            .kind()
    };
    assert_eq!(kind(&files, &picture), ErrorKind::Usage);
    files.base.network.condition = Condition::Vector {
        feature_dim: 9,
        as_token: true,
    };
    assert_eq!(kind(&files, &text), ErrorKind::BadInput);
    // The network's file still has the other size.
    let error = PointE::load(&files, false).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::BadInput);
    files.clip = None;
    assert_eq!(kind(&files, &text), ErrorKind::MissingModel);
}
