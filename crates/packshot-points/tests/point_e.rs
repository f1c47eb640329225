//! Point-E's networks and samplers beside the official code (see `data/point_e/README.md`).

use candle_core::{Device, Tensor};
use packshot_core::Seed;
use packshot_core::parity::TensorFile;
use packshot_geometry::PointCloud;
use packshot_nn::params::Params;
use packshot_points::point_e::{
    ChannelScaling, Condition, ConditionInput, PointTransformer, SdfMeshSettings, Taps,
    TransformerConfig, parity, sdf_mesh,
};
use std::path::PathBuf;

fn data() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/point_e")
}

fn assert_within_tolerance(name: &str, tensors: usize) {
    assert_file_within_tolerance(&format!("sample_{name}"), tensors);
}

fn assert_file_within_tolerance(name: &str, tensors: usize) {
    let case = parity::run(&data(), &format!("{name}.safetensors"))
        .expect("the case can be read")
        .expect("the case is of this crate");
    assert_eq!(case.tensors.len(), tensors, "{name}");
    for tensor in &case.tensors {
        assert!(tensor.ok(), "{name}: {tensor:?}");
    }
}

#[test]
fn karras_runs_with_a_vector_and_a_grid() {
    assert_within_tolerance("karras_short_vec_g3_churn", 7);
    assert_within_tolerance("karras_short_grid_g3_nochurn", 7);
}

#[test]
fn midpoint_and_ancestral_runs() {
    assert_within_tolerance("dpm_short_grid_g3", 7);
    assert_within_tolerance("ancestral_short_grid_g3", 7);
}

#[test]
fn discrete_runs_guide_positions_alone() {
    assert_within_tolerance("ddpm_g3", 5);
    assert_within_tolerance("ddim_g0_eta05", 5);
}

#[test]
fn both_stages_for_a_text_and_for_a_batch_of_images() {
    assert_within_tolerance("two_stage_text_short", 7);
    assert_within_tolerance("two_stage_image_short_b2", 7);
}

#[test]
fn signed_distances_and_their_meshes() {
    assert_file_within_tolerance("fwd_sdf", 1);
    assert_file_within_tolerance("sdf_mesh", 16);
}

#[test]
fn coarse_to_fine_meshes_equal_dense_ones() {
    let file = TensorFile::open(&data().join("sdf_mesh.safetensors")).expect("it can be read");
    let coords = file.f32s("coords").expect("they are there");
    let cloud = PointCloud::new(coords.chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect());
    let raw = file.f32s("sdf_raw").expect("it is there");
    let mean = raw.iter().sum::<f32>() / raw.len() as f32;
    let settings = |dense| SdfMeshSettings { grid: 33, dense };
    let raw_network = || parity::load_sdf_model(&data(), "sdf").expect("it can be loaded");
    let network = raw_network().with_offset(-mean);
    let dense = sdf_mesh(&network, &cloud, settings(true)).expect("there is a surface");
    let fine = sdf_mesh(&network, &cloud, settings(false)).expect("there is a surface");
    assert!(dense.mesh.triangles.len() > 1000);
    assert_eq!(fine.mesh, dense.mesh);
    assert_eq!(dense.evaluated, 33 * 33 * 33);
    assert!(fine.evaluated * 2 < dense.evaluated, "{}", fine.evaluated);
    // A field of one sign is moved to its mean, as the reference does.
    let one_sign = sdf_mesh(&raw_network(), &cloud, settings(false)).expect("it is moved");
    assert!(one_sign.shift != 0.0 && !one_sign.mesh.triangles.is_empty());
    assert!(sdf_mesh(&network, &PointCloud::default(), settings(true)).is_err());
}

#[test]
fn files_of_others_are_left_to_others() {
    let dir = data();
    for file in ["README.md", "schedules.safetensors"] {
        assert_eq!(parity::run(&dir, file).unwrap(), None, "{file}");
    }
    assert!(parity::run(&dir, "fwd_unknown.safetensors").is_err());
}

const POINTS: usize = 9;

fn small(condition: Condition, layers: usize, time_token_cond: bool) -> TransformerConfig {
    TransformerConfig {
        width: 16,
        layers,
        heads: 2,
        time_token_cond,
        // Large starts, so that what should not matter would show.
        init_scale: 4.0,
        ..TransformerConfig::base_40m(condition)
    }
}

fn upsampler_condition() -> Condition {
    Condition::GridAndCloud {
        feature_dim: 5,
        tokens: 4,
        points: 7,
        scaling: ChannelScaling::published(),
    }
}

fn numbers(shape: &[usize], phase: f32) -> Tensor {
    let n: usize = shape.iter().product();
    let values: Vec<f32> = (0..n).map(|i| (i as f32 * 0.73 + phase).sin()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).expect("the shape fits")
}

/// A random network whose output layer, zero in a fresh one, says something.
fn network(config: &TransformerConfig) -> PointTransformer {
    let params = Params::random(Seed(3), &Device::Cpu);
    let network = PointTransformer::new(&params, config).expect("the sizes fit");
    let (_, weight) = params
        .vars()
        .into_iter()
        .find(|(name, _)| name == "output_proj.weight")
        .expect("the network has an output layer");
    weight
        .set(&numbers(weight.dims(), 0.4))
        .expect("the shape is the same");
    network
}

fn output(network: &PointTransformer, x: &Tensor, t: &[f32], input: &ConditionInput) -> Vec<f32> {
    network
        .embed(t.len(), input, &mut Taps::none())
        .and_then(|tokens| network.forward(x, t, &tokens)?.flatten_all()?.to_vec1())
        .expect("the shapes fit")
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max)
}

#[test]
fn permuting_points_permutes_the_output_and_conditions_have_no_order() {
    let network = network(&small(upsampler_condition(), 2, true));
    let input = ConditionInput {
        embedding: Some(numbers(&[1, 5, 4], 0.1)),
        low_res: Some((numbers(&[1, 6, 7], 0.2) * 100.0).unwrap()),
    };
    let x = numbers(&[1, 6, POINTS], 0.3);
    let plain = output(&network, &x, &[700.0], &input);

    let order: Vec<u32> = vec![4, 0, 8, 2, 7, 1, 6, 3, 5];
    let index = Tensor::new(order.as_slice(), &Device::Cpu).unwrap();
    let shuffled = x.index_select(&index, 2).unwrap();
    let got = output(&network, &shuffled, &[700.0], &input);
    let expected: Vec<f32> = plain
        .chunks(POINTS)
        .flat_map(|channel| order.iter().map(|&i| channel[i as usize]))
        .collect();
    assert!(largest_difference(&got, &expected) < 1e-4);
    assert!(largest_difference(&got, &plain) > 1e-2);

    let turned = |t: &Option<Tensor>| {
        let t = t.as_ref().unwrap();
        let back: Vec<u32> = (0..t.dim(2).unwrap() as u32).rev().collect();
        let back = Tensor::new(back.as_slice(), &Device::Cpu).unwrap();
        Some(t.index_select(&back, 2).unwrap())
    };
    let turned = ConditionInput {
        embedding: turned(&input.embedding),
        low_res: turned(&input.low_res),
    };
    let got = output(&network, &x, &[700.0], &turned);
    assert!(largest_difference(&got, &plain) < 1e-4);
    let without = ConditionInput {
        embedding: None,
        ..input
    };
    assert!(largest_difference(&output(&network, &x, &[700.0], &without), &plain) > 1e-3);
}

#[test]
fn samples_of_a_batch_do_not_see_each_other() {
    let vector = Condition::Vector {
        feature_dim: 6,
        as_token: true,
    };
    let network = network(&small(vector, 2, true));
    let (x, embedding) = (numbers(&[2, 6, POINTS], 0.0), numbers(&[2, 6], 0.5));
    let input = |e: &Tensor| ConditionInput {
        embedding: Some(e.clone()),
        low_res: None,
    };
    let both = output(&network, &x, &[3.0, 900.0], &input(&embedding));
    let one = output(
        &network,
        &x.narrow(0, 1, 1).unwrap(),
        &[900.0],
        &input(&embedding.narrow(0, 1, 1).unwrap()),
    );
    assert!(largest_difference(&both[both.len() / 2..], &one) < 1e-4);
}

#[test]
fn without_tokens_time_and_vector_are_added_to_every_point() {
    // Without blocks the tokens do not meet: only what is added to a point can move it.
    let outputs = |as_token: bool, t: f32, phase: f32| {
        let vector = Condition::Vector {
            feature_dim: 6,
            as_token,
        };
        let network = network(&small(vector, 0, as_token));
        let input = ConditionInput {
            embedding: Some(numbers(&[1, 6], phase)),
            low_res: None,
        };
        output(&network, &numbers(&[1, 6, POINTS], 0.0), &[t], &input)
    };
    let token = outputs(true, 10.0, 0.0);
    assert_eq!(token, outputs(true, 500.0, 1.0));
    let added = outputs(false, 10.0, 0.0);
    assert!(largest_difference(&added, &outputs(false, 500.0, 0.0)) > 1e-3);
    assert!(largest_difference(&added, &outputs(false, 10.0, 1.0)) > 1e-3);
}

#[test]
fn parameters_have_the_published_names_and_numbers() {
    let names = |condition: Condition| -> Vec<String> {
        let params = Params::random(Seed(0), &Device::Cpu);
        PointTransformer::new(&params, &small(condition, 12, true)).unwrap();
        params.vars().into_iter().map(|(name, _)| name).collect()
    };
    let vector = Condition::Vector {
        feature_dim: 6,
        as_token: true,
    };
    let grid = Condition::Grid {
        feature_dim: 5,
        tokens: 4,
    };
    assert_eq!(names(Condition::None).len(), 156);
    assert_eq!(names(vector).len(), 158);
    assert_eq!(names(grid).len(), 160);
    let upsampler = names(upsampler_condition());
    // Two more are buffers: channel_scales and channel_biases.
    assert_eq!(upsampler.len(), 162);
    for name in [
        "backbone.resblocks.11.attn.c_qkv.weight",
        "backbone.resblocks.0.mlp.c_proj.bias",
        "clip_embed.0.weight",
        "clip_embed.1.bias",
        "cond_point_proj.weight",
        "time_embed.c_fc.weight",
        "ln_post.bias",
    ] {
        assert!(upsampler.iter().any(|n| n == name), "{name}");
    }
}

#[test]
fn wrong_shapes_are_errors() {
    let network = network(&small(upsampler_condition(), 1, true));
    let embed = |embedding: &[usize], low_res: Option<&[usize]>| {
        let input = ConditionInput {
            embedding: Some(numbers(embedding, 0.0)),
            low_res: low_res.map(|shape| numbers(shape, 0.0)),
        };
        network.embed(1, &input, &mut Taps::none())
    };
    assert!(embed(&[1, 5, 4], Some(&[1, 6, 7])).is_ok());
    assert!(embed(&[1, 5, 4], Some(&[1, 6, 8])).is_err());
    assert!(embed(&[1, 4, 5], Some(&[1, 6, 7])).is_err());
    assert!(embed(&[1, 5, 4], None).is_err());
    let tokens = embed(&[1, 5, 4], Some(&[1, 6, 7])).unwrap();
    let x = numbers(&[1, 5, POINTS], 0.0);
    assert!(network.forward(&x, &[1.0], &tokens).is_err());
    let x = numbers(&[1, 6, POINTS], 0.0);
    assert!(network.forward(&x, &[1.0, 2.0], &tokens).is_err());
}
