//! Every scene against its golden picture.

use super::*;
use crate::renderer::Device;
use packshot_core::Image;
use packshot_core::colour::linear_from_srgb;

/// Accepts what is made now.
const UPDATE: &str = "PACKSHOT_TEST_UPDATE";
/// Side of the pictures.
const SIDE: usize = 80;
/// Pixels around each that are averaged.
const RADIUS: usize = 2;
/// Largest mean distance in OKLab; 0.02 is about what the eye can tell side by side. Another pattern of
/// noise alone makes up to half of it with so few light paths.
const MEAN: f64 = 0.02;
/// Largest distance of 99 % of the pixels.
const MOST: f64 = 0.15;

/// OKLab (Ottosson, 2020) of a linear sRGB colour.
fn oklab([r, g, b]: [f64; 3]) -> [f64; 3] {
    let l = (0.412_221_47 * r + 0.536_332_54 * g + 0.051_445_99 * b).cbrt();
    let m = (0.211_903_5 * r + 0.680_699_55 * g + 0.107_396_96 * b).cbrt();
    let s = (0.088_302_46 * r + 0.281_718_84 * g + 0.629_978_7 * b).cbrt();
    [
        0.210_454_26 * l + 0.793_617_78 * m - 0.004_072_05 * s,
        1.977_998_5 * l - 2.428_592_2 * m + 0.450_593_7 * s,
        0.025_904_04 * l + 0.782_771_77 * m - 0.808_675_77 * s,
    ]
}

/// Means of 5×5 pixels in linear light on mid grey, so that single sparks do not count: what the
/// eye sees from a step back.
fn smooth(image: &Image) -> Vec<[f64; 3]> {
    let image = image.on_background([128; 3]);
    let (w, h) = (image.width(), image.height());
    let linear = |v: u8| f64::from(linear_from_srgb(f32::from(v) / 255.0));
    let mut out = Vec::with_capacity(w * h);
    for y in 0..h {
        for x in 0..w {
            let (mut sum, mut count) = ([0.0; 3], 0.0);
            for yy in y.saturating_sub(RADIUS)..(y + RADIUS + 1).min(h) {
                for xx in x.saturating_sub(RADIUS)..(x + RADIUS + 1).min(w) {
                    for (sum, &v) in sum.iter_mut().zip(image.pixel(xx, yy)) {
                        *sum += linear(v);
                    }
                    count += 1.0;
                }
            }
            out.push(oklab(sum.map(|v| v / count)));
        }
    }
    out
}

/// Mean and 99th percentile of the distances.
fn distance(a: &Image, b: &Image) -> (f64, f64) {
    assert_eq!(
        (a.width(), a.height(), a.channels()),
        (b.width(), b.height(), b.channels())
    );
    let mut distances: Vec<f64> = (smooth(a).iter().zip(smooth(b)))
        .map(|(a, b)| (0..3).map(|c| (a[c] - b[c]).powi(2)).sum::<f64>().sqrt())
        .collect();
    distances.sort_by(f64::total_cmp);
    let mean = distances.iter().sum::<f64>() / distances.len() as f64;
    (mean, distances[distances.len() * 99 / 100])
}

#[test]
fn the_measure_tells_noise_from_change() {
    let grey = Image::filled(20, 20, &[120; 3]);
    let mut noisy = grey.clone();
    for (i, v) in noisy.data_mut().iter_mut().enumerate() {
        *v = if i % 2 == 0 { 124 } else { 116 };
    }
    assert!(distance(&grey, &noisy).0 < MEAN);
    for other in [[132; 3], [120, 120, 150]] {
        assert!(distance(&grey, &Image::filled(20, 20, &other)).0 > MEAN);
    }
}

#[test]
fn every_scene_looks_as_it_did() {
    hold_against_golden(Device::Cpu);
}

#[test]
fn every_scene_looks_as_it_did_on_a_software_adapter() {
    hold_against_golden(Device::Software);
}

fn hold_against_golden(device: Device) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("armchair.glb");
    write_asset(&path, &object("armchair", 2), &WriteOptions::default()).unwrap();
    let mut job = job(place.path(), tiny());
    job.assets = vec![path];
    job.scenes = packshot_scenes::SCENES
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    job.settings.device = device;
    job.settings.width = SIDE;
    job.settings.height = SIDE;
    job.settings.samples = 24;
    let shots = shoot(&job, &Context::silent()).unwrap();
    let mut faults = Vec::new();
    for shot in &shots.shots {
        let made = job.target.join(&shot.files[0]);
        let golden = folder.join(format!("{}.png", shot.scene));
        if std::env::var_os(UPDATE).is_some() {
            // The processor's are kept.
            if device == Device::Cpu {
                std::fs::create_dir_all(&folder).unwrap();
                packshot_formats::write_png(&golden, &read_picture(&made).unwrap()).unwrap();
            }
            continue;
        }
        let now = read_picture(&made).unwrap();
        let (mean, most) = distance(&read_picture(&golden).unwrap(), &now);
        if mean > MEAN || most > MOST {
            let kept = std::env::temp_dir().join(format!("packshot-{}-{device:?}.png", shot.scene));
            packshot_formats::write_png(&kept, &now).unwrap();
            faults.push(format!(
                "{}: mean {mean:.4} (at most {MEAN}), 99th percentile {most:.4} (at most {MOST}); now {}",
                shot.scene,
                kept.display()
            ));
        }
    }
    assert!(
        faults.is_empty(),
        "{}\nSet {UPDATE}=1 to accept the new pictures.",
        faults.join("\n")
    );
}
