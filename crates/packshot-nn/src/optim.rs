//! Optimisers: Muon for the matrices of a network's body, AdamW for everything else.

use crate::ops;
use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var};
use rayon::prelude::*;
use std::collections::HashMap;

/// Settings of [`Optimiser`].
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct OptimiserConfig {
    /// Learning rate of AdamW.
    pub adam_lr: f64,
    /// Decay rates of AdamW's moments.
    pub adam_betas: (f64, f64),
    /// Learning rate of Muon.
    pub muon_lr: f64,
    /// Momentum of Muon (Nesterov).
    pub muon_momentum: f64,
    /// Decoupled weight decay of both.
    pub weight_decay: f64,
    /// The gradient's global norm is cut to this.
    pub clip_norm: f64,
}

impl Default for OptimiserConfig {
    fn default() -> Self {
        Self {
            adam_lr: 1e-3,
            adam_betas: (0.9, 0.99),
            muon_lr: 0.02,
            muon_momentum: 0.95,
            weight_decay: 0.01,
            clip_norm: 1.0,
        }
    }
}

/// Which rule a parameter follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// AdamW.
    Adam,
    /// Muon on the matrix cut in `parts` along its rows (q, k and v are three matrices).
    Muon {
        /// Number of equal row blocks.
        parts: usize,
    },
}

struct Slot {
    name: String,
    var: Var,
    rule: Rule,
    first: Tensor,
    second: Option<Tensor>,
}

/// Muon (Jordan et al. 2024) and AdamW (Loshchilov & Hutter 2019) side by side.
pub struct Optimiser {
    config: OptimiserConfig,
    slots: Vec<Slot>,
    step: u64,
}

impl Optimiser {
    /// An optimiser of `vars`; `rule` chooses by name and shape.
    pub fn new(
        vars: Vec<(String, Var)>,
        config: OptimiserConfig,
        rule: impl Fn(&str, &[usize]) -> Rule,
    ) -> Result<Self> {
        let slots = vars
            .into_iter()
            .map(|(name, var)| {
                let rule = rule(&name, var.dims());
                let first = var.zeros_like()?;
                let second = match rule {
                    Rule::Adam => Some(var.zeros_like()?),
                    Rule::Muon { .. } => None,
                };
                Ok(Slot {
                    name,
                    var,
                    rule,
                    first,
                    second,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            config,
            slots,
            step: 0,
        })
    }

    /// Applies one step of the gradients, with both learning rates times `lr_factor`. Returns the
    /// gradient's global norm before it was cut; a step whose norm is not finite changes nothing.
    pub fn step(&mut self, grads: &GradStore, lr_factor: f64) -> Result<f64> {
        let mut square_sum = 0.0;
        for slot in &self.slots {
            if let Some(grad) = grads.get(slot.var.as_tensor()) {
                square_sum += f64::from(grad.sqr()?.sum_all()?.to_scalar::<f32>()?);
            }
        }
        let norm = square_sum.sqrt();
        if !norm.is_finite() {
            return Ok(norm);
        }
        let clip = (self.config.clip_norm / (norm + 1e-6)).min(1.0);
        self.step += 1;
        let c = self.config;
        let step = self.step;
        // Parameters know nothing of each other.
        self.slots.par_iter_mut().try_for_each(|slot| {
            let Some(grad) = grads.get(slot.var.as_tensor()) else {
                return Ok(());
            };
            let grad = (grad * clip)?.detach();
            let new = match slot.rule {
                Rule::Adam => adam(slot, &grad, &c, lr_factor, step)?,
                Rule::Muon { parts } => muon(slot, &grad, &c, lr_factor, parts)?,
            };
            slot.var.set(&new)
        })?;
        Ok(norm)
    }

    /// The trained variables.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &Tensor> {
        self.slots.iter().map(|slot| slot.var.as_tensor())
    }

    /// The state, to go on from later.
    pub fn state(&self) -> (u64, HashMap<String, Tensor>) {
        let mut tensors = HashMap::new();
        for slot in &self.slots {
            tensors.insert(format!("{}/first", slot.name), slot.first.clone());
            if let Some(second) = &slot.second {
                tensors.insert(format!("{}/second", slot.name), second.clone());
            }
        }
        (self.step, tensors)
    }

    /// Takes over a state from [`Optimiser::state`]; entries without a match stay at zero.
    pub fn restore(&mut self, step: u64, tensors: &HashMap<String, Tensor>) -> Result<()> {
        self.step = step;
        for slot in &mut self.slots {
            let fits = |suffix: &str| -> Option<Tensor> {
                let tensor = tensors.get(&format!("{}/{suffix}", slot.name))?;
                (tensor.dims() == slot.var.dims()).then(|| tensor.clone())
            };
            if let Some(first) = fits("first") {
                slot.first = first.to_device(slot.var.device())?;
            }
            if let (Some(second), Some(state)) = (fits("second"), slot.second.as_mut()) {
                *state = second.to_device(slot.var.device())?;
            }
        }
        Ok(())
    }
}

fn adam(
    slot: &mut Slot,
    grad: &Tensor,
    c: &OptimiserConfig,
    factor: f64,
    step: u64,
) -> Result<Tensor> {
    let (b1, b2) = c.adam_betas;
    let lr = c.adam_lr * factor;
    slot.first = ((&slot.first * b1)? + (grad * (1.0 - b1))?)?.detach();
    let second = slot
        .second
        .as_ref()
        .map_or_else(|| grad.zeros_like(), |t| Ok(t.clone()))?;
    let second = ((second * b2)? + (grad.sqr()? * (1.0 - b2))?)?.detach();
    let steps = i32::try_from(step).unwrap_or(i32::MAX);
    let m_hat = (&slot.first / (1.0 - b1.powi(steps)))?;
    let v_hat = (&second / (1.0 - b2.powi(steps)))?;
    slot.second = Some(second);
    let update = (m_hat / (v_hat.sqrt()? + 1e-8)?)?;
    (slot.var.as_tensor() * (1.0 - lr * c.weight_decay))? - (update * lr)?
}

fn muon(
    slot: &mut Slot,
    grad: &Tensor,
    c: &OptimiserConfig,
    factor: f64,
    parts: usize,
) -> Result<Tensor> {
    let lr = c.muon_lr * factor;
    slot.first = ((&slot.first * c.muon_momentum)? + grad)?.detach();
    let direction = (grad + (&slot.first * c.muon_momentum)?)?;
    let update = if parts <= 1 {
        orthogonalised(&direction)?
    } else {
        let pieces: Vec<Tensor> = direction
            .chunk(parts, 0)?
            .iter()
            .map(orthogonalised)
            .collect::<Result<_>>()?;
        Tensor::cat(&pieces, 0)?
    };
    (slot.var.as_tensor() * (1.0 - lr * c.weight_decay))? - (update * lr)?
}

/// Five Newton–Schulz steps towards the nearest matrix with singular values of one (Muon's quintic
/// coefficients), times √max(1, rows/columns).
fn orthogonalised(matrix: &Tensor) -> Result<Tensor> {
    const A: f64 = 3.4445;
    const B: f64 = -4.7750;
    const C: f64 = 2.0315;
    let (rows, columns) = matrix.dims2()?;
    let norm = f64::from(matrix.sqr()?.sum_all()?.to_scalar::<f32>()?).sqrt();
    let tall = rows > columns;
    let mut x = (matrix / (norm + 1e-7))?;
    if tall {
        x = x.t()?.contiguous()?;
    }
    for _ in 0..5 {
        let gram = ops::linear(&x, &x, None)?;
        // The Gram matrix is symmetric, so it is its own transpose.
        let polynomial = ((&gram * B)? + (ops::linear(&gram, &gram, None)? * C)?)?;
        x = ((&x * A)? + ops::linear(&polynomial, &x.t()?.contiguous()?, None)?)?;
    }
    if tall {
        x = x.t()?.contiguous()?;
    }
    x * (rows as f64 / columns as f64).max(1.0).sqrt()
}

/// Warm-up, plateau and linear decay of the learning rate.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LrSchedule {
    /// Steps from zero to the full rate.
    pub warmup_steps: u64,
    /// Share of the run after which the rate falls.
    pub decay_from: f64,
    /// Share of the rate that is left at the end.
    pub floor: f64,
}

impl Default for LrSchedule {
    fn default() -> Self {
        Self {
            warmup_steps: 100,
            decay_from: 0.3,
            floor: 0.03,
        }
    }
}

impl LrSchedule {
    /// Factor of the rate at `step`, when `progress` (0..1) of the run is done.
    pub fn factor(&self, step: u64, progress: f64) -> f64 {
        let warm = ((step + 1) as f64 / self.warmup_steps.max(1) as f64).min(1.0);
        let after = ((progress - self.decay_from) / (1.0 - self.decay_from)).clamp(0.0, 1.0);
        warm * (1.0 - after * (1.0 - self.floor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn newton_schulz_brings_singular_values_near_one() {
        let mut noise = packshot_core::NoiseStream::new(
            packshot_core::Seed(1),
            packshot_core::NoiseKey {
                candidate: 0,
                stage: packshot_core::Stage::Eval,
                step: 0,
            },
        );
        for (rows, columns) in [(24usize, 40usize), (40, 24), (32, 32)] {
            let m = Tensor::from_vec(noise.normals(rows * columns), (rows, columns), &Device::Cpu)
                .unwrap();
            let o = orthogonalised(&m).unwrap();
            let scale = (rows as f64 / columns as f64).max(1.0);
            let side = rows.min(columns) as f64;
            let energy = f64::from(
                o.sqr()
                    .unwrap()
                    .sum_all()
                    .unwrap()
                    .to_scalar::<f32>()
                    .unwrap(),
            );
            let mean_square = energy / scale / side;
            assert!(
                (0.5..1.5).contains(&mean_square),
                "{rows}x{columns}: {mean_square}"
            );
        }
    }

    #[test]
    fn both_rules_find_the_minimum_of_a_quadratic() {
        for rule in [Rule::Adam, Rule::Muon { parts: 2 }] {
            let var = Var::zeros((4, 2), candle_core::DType::F32, &Device::Cpu).unwrap();
            let target = Tensor::from_vec(
                (0..8u8).map(|i| f32::from(i) / 8.0).collect(),
                (4, 2),
                &Device::Cpu,
            )
            .unwrap();
            let config = OptimiserConfig {
                adam_lr: 0.05,
                weight_decay: 0.0,
                ..OptimiserConfig::default()
            };
            let mut optimiser =
                Optimiser::new(vec![("w".to_owned(), var.clone())], config, |_, _| rule).unwrap();
            let loss = || {
                (var.as_tensor() - &target)
                    .unwrap()
                    .sqr()
                    .unwrap()
                    .sum_all()
                    .unwrap()
            };
            let start = loss().to_scalar::<f32>().unwrap();
            for step in 0..300u32 {
                let grads = loss().backward().unwrap();
                optimiser
                    .step(&grads, 1.0 - f64::from(step) / 300.0)
                    .unwrap();
            }
            let end = loss().to_scalar::<f32>().unwrap();
            assert!(end < start * 0.01, "{rule:?}: {start} -> {end}");
        }
    }

    #[test]
    fn a_broken_gradient_changes_nothing() {
        let var = Var::ones(2, candle_core::DType::F32, &Device::Cpu).unwrap();
        let mut optimiser = Optimiser::new(
            vec![("w".to_owned(), var.clone())],
            OptimiserConfig::default(),
            |_, _| Rule::Adam,
        )
        .unwrap();
        let loss = (var.as_tensor() * f64::NAN).unwrap().sum_all().unwrap();
        let norm = optimiser.step(&loss.backward().unwrap(), 1.0).unwrap();
        assert!(norm.is_nan());
        assert_eq!(var.to_vec1::<f32>().unwrap(), [1.0, 1.0]);
    }
}
