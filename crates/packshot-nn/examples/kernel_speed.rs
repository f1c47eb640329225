//! Prints the speed of the hot kernels beside the machine's own limit, as a Markdown table.
//!
//! `cargo run --release -p packshot-nn --example kernel_speed`

#![allow(
    clippy::print_stdout,
    reason = "printing a table is what this program does"
)]

use std::time::{Duration, Instant};

use candle_core::{Device, Result, Tensor, Var};
use packshot_nn::ops::{self, QkvLayout};
use packshot_nn::{flop, peak};

/// Something to measure.
type Run = Box<dyn Fn() -> Result<()> + Send + Sync>;

/// A case: what runs, and whether its backward pass runs too.
type Case<'a> = (&'a str, Run);

fn normal(shape: &[usize]) -> Result<Tensor> {
    Tensor::randn(0f32, 1.0, shape, &Device::Cpu)
}

fn variable(shape: &[usize]) -> Result<Var> {
    Var::from_tensor(&normal(shape)?)
}

/// Best GFLOP/s of runs over a third of a second.
fn speed(run: &(dyn Fn() -> Result<()> + Send + Sync)) -> Result<f64> {
    run()?;
    let end = Instant::now() + Duration::from_millis(350);
    let mut best = 0.0f64;
    while Instant::now() < end {
        let (work, start) = (flop::total(), Instant::now());
        run()?;
        best = best.max((flop::total() - work) as f64 / start.elapsed().as_secs_f64() / 1e9);
    }
    Ok(best)
}

fn linear(m: usize, n: usize, k: usize) -> Result<Run> {
    let (x, w, b) = (normal(&[m, k])?, normal(&[n, k])?, normal(&[n])?);
    Ok(Box::new(move || ops::linear(&x, &w, Some(&b)).map(drop)))
}

/// The same layer on candle's own operations.
fn candle_linear(m: usize, n: usize, k: usize) -> Result<Run> {
    let (x, w, b) = (normal(&[m, k])?, normal(&[n, k])?, normal(&[n])?);
    Ok(Box::new(move || {
        // Composed operations count no work themselves.
        flop::add(2 * (m * n * k) as u64);
        ops::composed::linear(&x, &w, Some(&b)).map(drop)
    }))
}

fn linear_training(m: usize, n: usize, k: usize) -> Result<Run> {
    let (x, w, b) = (variable(&[m, k])?, variable(&[n, k])?, variable(&[n])?);
    Ok(Box::new(move || {
        ops::linear(&x, &w, Some(&b))?.backward().map(drop)
    }))
}

fn attention(b: usize, t: usize, heads: usize, d: usize) -> Result<Run> {
    let qkv = normal(&[b, t, 3 * heads * d])?;
    Ok(Box::new(move || {
        ops::self_attention(&qkv, heads, QkvLayout::QkvMajor, Some(1e-5)).map(drop)
    }))
}

fn attention_training(b: usize, t: usize, heads: usize, d: usize) -> Result<Run> {
    let qkv = variable(&[b, t, 3 * heads * d])?;
    Ok(Box::new(move || {
        ops::self_attention(&qkv, heads, QkvLayout::QkvMajor, Some(1e-5))?
            .backward()
            .map(drop)
    }))
}

fn conv(b: usize, side: usize, inputs: usize, outputs: usize) -> Result<Run> {
    let (x, w) = (
        normal(&[b, side, side, inputs])?,
        normal(&[outputs, 9 * inputs])?,
    );
    Ok(Box::new(move || ops::conv3x3(&x, &w, None, 1).map(drop)))
}

fn conv_training(b: usize, side: usize, inputs: usize, outputs: usize) -> Result<Run> {
    let (x, w) = (
        variable(&[b, side, side, inputs])?,
        variable(&[outputs, 9 * inputs])?,
    );
    Ok(Box::new(move || {
        ops::conv3x3(&x, &w, None, 1)?.backward().map(drop)
    }))
}

fn main() -> Result<()> {
    let cases: Vec<Case<'_>> = vec![
        ("linear 64×768×192", linear(64, 768, 192)?),
        ("linear 320×768×192", linear(320, 768, 192)?),
        ("linear 320×192×768", linear(320, 192, 768)?),
        ("linear 1088×1536×512", linear(1088, 1536, 512)?),
        (
            "candle's linear 5120×768×192",
            candle_linear(5120, 768, 192)?,
        ),
        ("linear 5120×576×192", linear(5120, 576, 192)?),
        ("linear 5120×768×192", linear(5120, 768, 192)?),
        ("linear 5120×192×768", linear(5120, 192, 768)?),
        ("linear 4096×1024×1024", linear(4096, 1024, 1024)?),
        ("linear 2562×1536×512", linear(2562, 1536, 512)?),
        ("linear 2562×512×512", linear(2562, 512, 512)?),
        ("linear 2562×2048×512", linear(2562, 2048, 512)?),
        ("linear 2562×512×2048", linear(2562, 512, 2048)?),
        ("linear 2562×4096×1024", linear(2562, 4096, 1024)?),
        (
            "linear 5120×768×192, forward and backward",
            linear_training(5120, 768, 192)?,
        ),
        (
            "linear 5120×192×768, forward and backward",
            linear_training(5120, 192, 768)?,
        ),
        (
            "linear 4096×1024×1024, forward and backward",
            linear_training(4096, 1024, 1024)?,
        ),
        ("attention 1×320, 4 heads of 48", attention(1, 320, 4, 48)?),
        (
            "attention 16×320, 4 heads of 48",
            attention(16, 320, 4, 48)?,
        ),
        (
            "attention 1×1088, 8 heads of 64",
            attention(1, 1088, 8, 64)?,
        ),
        (
            "attention 2×1281, 8 heads of 64",
            attention(2, 1281, 8, 64)?,
        ),
        (
            "attention 1×4353, 8 heads of 64",
            attention(1, 4353, 8, 64)?,
        ),
        (
            "attention 4×1088, 8 heads of 32",
            attention(4, 1088, 8, 32)?,
        ),
        (
            "attention 16×320, 4 heads of 48, forward and backward",
            attention_training(16, 320, 4, 48)?,
        ),
        (
            "attention 2×1088, 8 heads of 64, forward and backward",
            attention_training(2, 1088, 8, 64)?,
        ),
        ("conv 1×64×64, 64 to 64", conv(1, 64, 64, 64)?),
        ("conv 1×32×32, 128 to 128", conv(1, 32, 128, 128)?),
        ("conv 16×16×16, 192 to 192", conv(16, 16, 192, 192)?),
        (
            "conv 16×32×32, 64 to 64, forward and backward",
            conv_training(16, 32, 64, 64)?,
        ),
        (
            "conv 16×16×16, 128 to 128, forward and backward",
            conv_training(16, 16, 128, 128)?,
        ),
    ];
    println!("| kernel | 1 thread: GFLOP/s | of peak | 2 threads: GFLOP/s | of peak |");
    println!("|---|---|---|---|---|");
    let pools: Vec<_> = [1, 2]
        .into_iter()
        .filter_map(|n| rayon::ThreadPoolBuilder::new().num_threads(n).build().ok())
        .collect();
    packshot_nn::keep_freed_memory();
    if std::env::args().nth(2).as_deref() == Some("bf16") {
        packshot_nn::set_matmul_precision(packshot_nn::MatmulPrecision::Bf16);
    }
    let mut peaks = [0.0f64; 2];
    let filter = std::env::args().nth(1).unwrap_or_default();
    for (name, run) in cases.iter().filter(|(name, _)| name.contains(&filter)) {
        let mut row = format!("| {name} |");
        for (pool, peak) in pools.iter().zip(&mut peaks) {
            // The best so far: a limit that another program disturbed is none.
            *peak = peak.max(peak::fma_peak_gflops(pool.current_num_threads()));
            let speed = pool.install(|| speed(run.as_ref()))?;
            row += &format!(
                " {speed:.0} | {:.0} % of {peak:.0} |",
                100.0 * speed / *peak
            );
        }
        println!("{row}");
    }
    Ok(())
}
