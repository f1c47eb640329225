//! The examples of a step, cut into shards whose gradients are computed side by side.
//!
//! Shards depend on the batch alone, never on the machine, and are summed in their order: the same
//! run gives the same bytes with any number of threads.

use crate::optim::Optimiser;
use crate::weights::candle_error;
use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor};
use packshot_core::{Error, Result};
use rayon::ThreadPool;
use std::ops::Range;

/// Examples of a shard: enough that packing the weights is little beside using them.
const EXAMPLES: usize = 16;

/// See the module.
pub(crate) struct Shards {
    ranges: Vec<Range<usize>>,
    /// One for each shard that runs at the same time, with the threads that are its share; none where
    /// there is nothing to share out.
    pools: Vec<ThreadPool>,
}

impl Shards {
    /// Shards of a batch, on the threads of the present pool. Other devices than processors take a
    /// batch whole.
    pub(crate) fn new(batch: usize, device: &Device) -> Result<Self> {
        let each = if device.is_cpu() { EXAMPLES } else { batch };
        Self::on(batch, each, rayon::current_num_threads())
    }

    fn on(batch: usize, each: usize, threads: usize) -> Result<Self> {
        let count = batch.div_ceil(each.max(1)).max(1);
        let ranges: Vec<_> = (0..count)
            .map(|i| batch * i / count..batch * (i + 1) / count)
            .collect();
        let together = count.min(threads);
        let pool = |i: usize| {
            let own = threads * (i + 1) / together - threads * i / together;
            let name = move |thread| format!("shard-{i}-{thread}");
            let built = rayon::ThreadPoolBuilder::new().num_threads(own);
            built
                .thread_name(name)
                .build()
                .map_err(|e| Error::internal(format!("cannot start threads: {e}")))
        };
        let pools = if together > 1 {
            (0..together).map(pool).collect::<Result<_>>()?
        } else {
            Vec::new()
        };
        Ok(Self { ranges, pools })
    }

    /// The mean loss over all examples and its gradients for the variables of `optimiser`; `loss`
    /// gives the mean over a shard's.
    pub(crate) fn gradients(
        &self,
        optimiser: &Optimiser,
        loss: impl Fn(Range<usize>) -> Result<Tensor> + Sync,
    ) -> Result<(f64, GradStore)> {
        let total = self.ranges.last().map_or(1, |last| last.end.max(1)) as f64;
        let one = |range: &Range<usize>| -> Result<(f64, GradStore)> {
            let share = range.len() as f64 / total;
            let of = || (loss(range.clone())? * share).map_err(candle_error);
            let loss = of()?;
            let value = loss.to_scalar::<f32>().map_err(candle_error)?;
            Ok((f64::from(value), loss.backward().map_err(candle_error)?))
        };
        let parts: Vec<_> = if self.pools.is_empty() {
            self.ranges.iter().map(one).collect::<Result<_>>()?
        } else {
            self.side_by_side(&one)?
        };
        sum(optimiser, parts)
    }

    /// Calls `one` for every shard; each pool takes every so-many-th of them.
    fn side_by_side<R: Send>(
        &self,
        one: &(impl Fn(&Range<usize>) -> Result<R> + Sync),
    ) -> Result<Vec<R>> {
        let mut done: Vec<Option<Result<R>>> = self.ranges.iter().map(|_| None).collect();
        let mut own: Vec<Vec<_>> = self.pools.iter().map(|_| Vec::new()).collect();
        for (i, slot) in self.ranges.iter().zip(&mut done).enumerate() {
            own[i % self.pools.len()].push(slot);
        }
        std::thread::scope(|scope| {
            for (pool, own) in self.pools.iter().zip(own) {
                scope.spawn(move || {
                    pool.install(|| {
                        for (range, slot) in own {
                            *slot = Some(one(range));
                        }
                    });
                });
            }
        });
        let missing = || Err(Error::internal("a shard was left out"));
        done.into_iter()
            .map(|r| r.unwrap_or_else(missing))
            .collect()
    }
}

/// Sums losses and gradients in their order.
fn sum(optimiser: &Optimiser, parts: Vec<(f64, GradStore)>) -> Result<(f64, GradStore)> {
    let mut parts = parts.into_iter();
    let (mut value, mut all) = parts
        .next()
        .ok_or_else(|| Error::internal("a batch without shards"))?;
    for (more, grads) in parts {
        value += more;
        for variable in optimiser.variables() {
            let added = match (all.get(variable), grads.get(variable)) {
                (Some(sum), Some(more)) => sum.add(more).map_err(candle_error)?,
                (None, Some(more)) => more.clone(),
                _ => continue,
            };
            all.insert(variable, added.detach());
        }
    }
    Ok((value, all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::{OptimiserConfig, Rule};
    use crate::params::{Init, Params};
    use packshot_core::Seed;

    #[test]
    fn shards_cover_a_batch_once() {
        for (batch, count) in [(1, 1), (16, 1), (17, 2), (40, 3)] {
            for threads in [1, 2, 5] {
                let shards = Shards::on(batch, 16, threads).unwrap();
                assert_eq!(shards.ranges.len(), count);
                let all: Vec<usize> = shards.ranges.iter().flat_map(Clone::clone).collect();
                assert_eq!(all, (0..batch).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn gradients_are_the_same_bytes_for_any_threads_and_those_of_the_whole_batch() {
        let params = Params::random(Seed(1), &Device::Cpu);
        let w = params.get("w", &[3], Init::Normal { std: 1.0 }).unwrap();
        let optimiser =
            Optimiser::new(params.vars(), OptimiserConfig::default(), |_, _| Rule::Adam).unwrap();
        let loss = |examples: Range<usize>| -> Result<Tensor> {
            let n = examples.len() as f64;
            let of = |i: usize| (&w * (0.1 + i as f64))?.sin()?.sum_all();
            let losses: Vec<Tensor> = examples
                .map(of)
                .collect::<candle_core::Result<_>>()
                .map_err(candle_error)?;
            let sum = Tensor::stack(&losses, 0).and_then(|l| l.sum_all()? / n);
            sum.map_err(candle_error)
        };
        let run = |threads: usize| {
            let shards = Shards::on(40, 16, threads).unwrap();
            let (value, grads) = shards.gradients(&optimiser, loss).unwrap();
            let grad: Vec<f32> = grads.get(&w).unwrap().to_vec1().unwrap();
            (value, grad)
        };
        let (value, grad) = run(1);
        assert_eq!(run(2), (value, grad.clone()));
        assert_eq!(run(3), (value, grad.clone()));
        let whole = loss(0..40).unwrap();
        assert!((value - f64::from(whole.to_scalar::<f32>().unwrap())).abs() < 1e-5);
        let whole = whole.backward().unwrap();
        let whole: Vec<f32> = whole.get(&w).unwrap().to_vec1().unwrap();
        for (a, b) in grad.iter().zip(whole) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }
}
