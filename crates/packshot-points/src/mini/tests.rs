//! The small point networks on a world of coloured balls.

use super::inputs::PICTURE;
use super::*;
use candle_core::Device;
use packshot_core::{Context, ErrorKind, Image, NoiseStream, Seed};
use packshot_nn::optim::{Optimiser, OptimiserConfig};
use packshot_nn::params::Params;
use packshot_nn::train_loop::Task;
use packshot_nn::weights::{StoredAs, Weights};

/// Balls of many colours and sizes.
struct Balls;

fn ball(radius: f32, colour: [u8; 3]) -> Example {
    let mut rgb = vec![255u8; PICTURE * PICTURE * 3];
    for (i, pixel) in rgb.chunks_exact_mut(3).enumerate() {
        let x = ((i % PICTURE) as f32 + 0.5) / PICTURE as f32 - 0.5;
        let y = 0.5 - ((i / PICTURE) as f32 + 0.5) / PICTURE as f32;
        if x * x + y * y < radius * radius {
            pixel.copy_from_slice(&colour);
        }
    }
    let n = 4096;
    // A Fibonacci sphere, shuffled by a fixed stride so that a prefix is spread too.
    let positions = (0..n)
        .map(|i| {
            let i = (i * 1597) % n;
            let z = 1.0 - 2.0 * (i as f32 + 0.5) / n as f32;
            let (sin, cos) = (i as f32 * 2.399_963_2).sin_cos();
            let side = (1.0 - z * z).sqrt();
            [side * cos * radius, side * sin * radius, z * radius]
        })
        .collect();
    Example {
        rgb,
        positions,
        colours: vec![colour; n],
    }
}

impl ExampleSource for Balls {
    fn draw(&self, random: &mut NoiseStream) -> Example {
        let colour = [0; 3].map(|_: u8| random.below(256) as u8);
        ball(random.uniform_in(0.25, 0.45), colour)
    }

    fn held_out(&self) -> Vec<Example> {
        vec![ball(0.3, [200, 30, 30]), ball(0.42, [20, 30, 220])]
    }
}

fn small(mut config: PointNetworkConfig) -> PointNetworkConfig {
    config.width = 32;
    config.layers = 2;
    config.heads = 2;
    config.map_channels = [8, 8, 16];
    config.relief_channels = config.relief_channels.min(8);
    config
}

/// Trains for a few steps and returns the held-out loss before and after, and the weights.
fn trained<T: Task>(mut task: T, steps: u64, batch: usize) -> (f64, f64, Weights) {
    let params = Params::random(Seed(1), &Device::Cpu);
    let network = task.build(&params).unwrap();
    let rule = |name: &str, shape: &[usize]| packshot_nn::layers::small_network_rule(name, shape);
    let mut optimiser = Optimiser::new(params.vars(), OptimiserConfig::default(), rule).unwrap();
    let before = task.held_out(&network).unwrap()[0].1;
    for step in 0..steps {
        let loss = task.loss(&network, step, 0..batch).unwrap();
        optimiser.step(&loss.backward().unwrap(), 1.0).unwrap();
    }
    let after = task.held_out(&network).unwrap()[0].1;
    let tensors = params
        .vars()
        .into_iter()
        .map(|(name, var)| (name, var.as_tensor().clone()))
        .collect();
    (
        before,
        after,
        Weights {
            tensors,
            metadata: task.metadata().unwrap(),
        },
    )
}

fn red_disc() -> Image {
    Image::from_raw(PICTURE, PICTURE, 3, ball(0.3, [200, 30, 30]).rgb).unwrap()
}

#[test]
fn both_stages_learn_and_turn_a_picture_into_a_cloud() {
    let training = PointsTraining {
        network: small(PointNetworkConfig::points()),
        points: 64,
        eval_objects: 1,
        ..PointsTraining::default()
    };
    let (before, after, weights) = trained(PointsTask::new(training, Balls, Device::Cpu), 60, 8);
    assert!(after < 0.7 * before, "points: {before} -> {after}");
    let points = MiniPoints::load(&weights.to_bytes(StoredAs::F16).unwrap()).unwrap();

    let mut network = small(PointNetworkConfig::upsampler());
    for channel in &mut network.channels[..3] {
        // So few points lie far apart.
        channel.deviation = 2.5;
    }
    let training = UpsamplerTraining {
        network,
        points: 64,
        eval_objects: 1,
        ..UpsamplerTraining::default()
    };
    let (before, after, weights) = trained(UpsamplerTask::new(training, Balls, Device::Cpu), 80, 4);
    assert!(after < 0.98 * before, "upsampler: {before} -> {after}");
    let upsampler = MiniUpsampler::load(&weights.to_bytes(StoredAs::F16).unwrap()).unwrap();

    let image = red_disc();
    let context = Context::silent();
    let settings = PointsSettings {
        steps: 6,
        points: 256,
        seed: Seed(3),
        candidate: 0,
    };
    let coarse = points.generate(&image, settings, &context).unwrap();
    let fine = upsampler
        .upsample(
            &image,
            &coarse,
            UpsamplerSettings {
                steps: 3,
                seed: Seed(3),
                candidate: 0,
            },
            &context,
        )
        .unwrap();
    assert_eq!(fine.positions.len(), 1024);
    assert_eq!(fine.positions[..256], coarse.positions);
    // The cloud has the picture's size and colour.
    let radius = fine.positions.iter().map(|p| p[0].hypot(p[1])).sum::<f32>() / 1024.0;
    assert!((0.12..0.35).contains(&radius), "{radius}");
    let cloud = fine.upright().unwrap();
    let mean = |c: usize| -> f64 {
        let colours = cloud.colours.as_ref().unwrap();
        colours.iter().map(|rgb| f64::from(rgb[c])).sum::<f64>() / colours.len() as f64
    };
    assert!(mean(0) > mean(1) + 50.0 && mean(0) > mean(2) + 50.0);
    // Same seed, same bytes, whatever the number of threads; another seed, another cloud.
    let one = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    let again = one
        .install(|| points.generate(&image, settings, &context))
        .unwrap();
    assert_eq!(again, coarse);
    let other = PointsSettings {
        seed: Seed(4),
        ..settings
    };
    assert_ne!(points.generate(&image, other, &context).unwrap(), coarse);
}

#[test]
fn wrong_weights_and_pictures_are_refused() {
    let params = Params::random(Seed(1), &Device::Cpu);
    let config = small(PointNetworkConfig::points());
    PointNetwork::new(config.clone(), &params).unwrap();
    let tensors = params
        .vars()
        .into_iter()
        .map(|(name, var)| (name, var.as_tensor().clone()))
        .collect();
    let mut weights = Weights {
        tensors,
        metadata: metadata("points", &config).unwrap(),
    };
    let bytes = weights.to_bytes(StoredAs::F16).unwrap();
    let kind = |bytes: &[u8]| MiniUpsampler::load(bytes).err().map(|e| e.kind());
    assert_eq!(kind(&bytes), Some(ErrorKind::BadInput));
    assert_eq!(kind(&bytes[..bytes.len() / 2]), Some(ErrorKind::BadInput));
    weights.tensors.remove("output.weight");
    let fewer = weights.to_bytes(StoredAs::F16).unwrap();
    assert!(MiniPoints::load(&fewer).is_err_and(|e| e.to_string().contains("output.weight")));

    let points = MiniPoints::load(&bytes).unwrap();
    let settings = PointsSettings {
        steps: 2,
        points: 64,
        seed: Seed(3),
        candidate: 0,
    };
    let wide = Image::filled(65, 64, &[255; 3]);
    assert!(
        points
            .generate(&wide, settings, &Context::silent())
            .is_err()
    );
    let uneven = PointsSettings {
        points: 63,
        ..settings
    };
    assert!(
        points
            .generate(&red_disc(), uneven, &Context::silent())
            .is_err()
    );
}
