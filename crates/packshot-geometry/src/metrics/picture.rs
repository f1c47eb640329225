//! How far pictures are from each other.

use packshot_core::{Error, Image, Result};

/// Peak signal-to-noise ratio in dB over the colour channels, sRGB levels against a peak of 255.
/// Infinite for equal pictures. Alpha is left out: put pictures on a background first.
///
/// # Errors
/// [`packshot_core::ErrorKind::BadInput`] when the sizes differ or there are no pixels.
pub fn psnr(a: &Image, b: &Image) -> Result<f64> {
    check_sizes(a, b)?;
    let pixels = |image: &Image| {
        let channels = image.channels();
        image
            .data()
            .chunks_exact(channels)
            .map(|p| [p[0], p[1], p[2]])
            .collect::<Vec<_>>()
    };
    let (a, b) = (pixels(a), pixels(b));
    // Whole numbers: exact.
    let squares: u64 = (a.as_flattened().iter().zip(b.as_flattened()))
        .map(|(&a, &b)| u64::from(a.abs_diff(b)).pow(2))
        .sum();
    let mean = squares as f64 / (a.len() * 3) as f64;
    Ok(10.0 * (255.0f64.powi(2) / mean).log10())
}

/// What a windowed measure does where the window reaches over the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// Leaves out places whose window is not inside the picture (as scikit-image).
    Valid,
    /// Takes what is outside as zero (as the training code of 3D Gaussian splatting).
    Zero,
}

/// Half the width of SSIM's window.
const RADIUS: usize = 5;

/// Structural similarity (Wang et al., 2004) of the colour channels: an 11×11 Gaussian window with
/// σ = 1.5, K1 = 0.01, K2 = 0.03, variances over the whole window, levels of 0 to 1; the mean over
/// pixels and channels. 1 for equal pictures.
///
/// # Errors
/// As [`psnr`]; also when a picture is smaller than the window and the edge is [`Edge::Valid`].
pub fn ssim(a: &Image, b: &Image, edge: Edge) -> Result<f64> {
    let channels = ssim_channels(a, b, edge)?;
    Ok(channels.iter().sum::<f64>() / 3.0)
}

/// [`ssim`] of each channel.
///
/// # Errors
/// As [`ssim`].
pub fn ssim_channels(a: &Image, b: &Image, edge: Edge) -> Result<[f64; 3]> {
    check_sizes(a, b)?;
    let (width, height) = (a.width(), a.height());
    if edge == Edge::Valid && width.min(height) <= 2 * RADIUS {
        return Err(Error::bad_input(format!(
            "SSIM needs pictures of at least 11×11 pixels, these have {width}×{height}"
        )));
    }
    let mut window = [0.0f64; 2 * RADIUS + 1];
    for (i, w) in window.iter_mut().enumerate() {
        let distance = i as f64 - RADIUS as f64;
        *w = (-distance * distance / (2.0 * 1.5 * 1.5)).exp();
    }
    let total: f64 = window.iter().sum();
    window.iter_mut().for_each(|w| *w /= total);

    let plane = |image: &Image, channel: usize| -> Vec<f64> {
        (image.data().chunks_exact(image.channels()))
            .map(|p| f64::from(p[channel]) / 255.0)
            .collect()
    };
    let product =
        |x: &[f64], y: &[f64]| -> Vec<f64> { x.iter().zip(y).map(|(x, y)| x * y).collect() };
    let mut out = [0.0; 3];
    for (channel, out) in out.iter_mut().enumerate() {
        let (x, y) = (plane(a, channel), plane(b, channel));
        let [mx, my, mxx, myy, mxy] = [
            x.clone(),
            y.clone(),
            product(&x, &x),
            product(&y, &y),
            product(&x, &y),
        ]
        .map(|values| blurred(&values, width, height, &window));
        let (c1, c2) = (0.01f64.powi(2), 0.03f64.powi(2));
        let margin = if edge == Edge::Valid { RADIUS } else { 0 };
        let mut sum = 0.0;
        for row in margin..height - margin {
            for i in row * width + margin..(row + 1) * width - margin {
                let (vx, vy) = (mxx[i] - mx[i] * mx[i], myy[i] - my[i] * my[i]);
                let covariance = mxy[i] - mx[i] * my[i];
                sum += (2.0 * mx[i] * my[i] + c1) * (2.0 * covariance + c2)
                    / ((mx[i] * mx[i] + my[i] * my[i] + c1) * (vx + vy + c2));
            }
        }
        *out = sum / ((width - 2 * margin) * (height - 2 * margin)) as f64;
    }
    Ok(out)
}

/// A separable blur with zeros outside.
fn blurred(values: &[f64], width: usize, height: usize, window: &[f64]) -> Vec<f64> {
    let mut across = vec![0.0; values.len()];
    for (row, out) in values
        .chunks_exact(width)
        .zip(across.chunks_exact_mut(width))
    {
        for (x, out) in out.iter_mut().enumerate() {
            for (i, w) in window.iter().enumerate() {
                if let Some(value) = (x + i).checked_sub(RADIUS).and_then(|at| row.get(at)) {
                    *out += w * value;
                }
            }
        }
    }
    let mut out = vec![0.0; values.len()];
    for (y, out) in out.chunks_exact_mut(width).enumerate() {
        for (i, w) in window.iter().enumerate() {
            let Some(from) = (y + i).checked_sub(RADIUS).filter(|at| *at < height) else {
                continue;
            };
            for (out, value) in out.iter_mut().zip(&across[from * width..]) {
                *out += w * value;
            }
        }
    }
    out
}

fn check_sizes(a: &Image, b: &Image) -> Result<()> {
    let size = |image: &Image| (image.width(), image.height());
    if size(a) != size(b) {
        let ((aw, ah), (bw, bh)) = (size(a), size(b));
        return Err(Error::bad_input(format!(
            "pictures of {aw}×{ah} and {bw}×{bh} pixels cannot be compared"
        )));
    }
    if a.data().is_empty() {
        return Err(Error::bad_input("a picture without pixels"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn psnr_of_known_differences() {
        let a = Image::filled(4, 3, &[10, 20, 30]);
        assert_eq!(psnr(&a, &a).unwrap(), f64::INFINITY);
        let b = Image::filled(4, 3, &[11, 19, 31, 7]);
        assert!((psnr(&a, &b).unwrap() - 48.130_803_608_679).abs() < 1e-9);
        assert!(psnr(&a, &Image::filled(3, 4, &[0; 3])).is_err());
        assert!(psnr(&Image::filled(0, 0, &[0; 3]), &Image::filled(0, 0, &[0; 3])).is_err());
    }

    #[test]
    fn ssim_is_one_for_equal_pictures_and_falls_with_noise() {
        let data: Vec<u8> = (0..24 * 20 * 3).map(|i| (i * 7 % 251) as u8).collect();
        let a = Image::from_raw(24, 20, 3, data.clone()).unwrap();
        let noisy = data.iter().enumerate().map(|(i, v)| v ^ (i % 13) as u8);
        let b = Image::from_raw(24, 20, 3, noisy.collect()).unwrap();
        for edge in [Edge::Valid, Edge::Zero] {
            assert!((ssim(&a, &a, edge).unwrap() - 1.0).abs() < 1e-12);
            let similarity = ssim(&a, &b, edge).unwrap();
            assert!(similarity < 0.999 && similarity > 0.5, "{similarity}");
        }
        let small = Image::filled(10, 30, &[1; 3]);
        assert!(ssim(&small, &small, Edge::Valid).is_err());
        assert!(ssim(&small, &small, Edge::Zero).is_ok());
    }
}
