//! Packed weights that a layer keeps.

use std::sync::OnceLock;

use candle_core::{Result, Tensor};

use super::{Floats, takes};
use crate::kernels::gemm::{Arithmetic, PackedWeights};

/// Weights of more numbers are packed for each call: with the many rows that networks of such sizes
/// have that costs little, and a second copy of all weights would cost much memory.
const MAX_KEPT: usize = 1 << 19;

/// The packed weights of one layer, made at its first call.
#[derive(Default)]
pub(crate) struct KeptWeights(OnceLock<PackedWeights>);

impl KeptWeights {
    /// The packed form of `weight` `[N, K]` for the present arithmetic, or nothing where it is not
    /// kept: large weights, weights in training, and a change of precision after the first call.
    ///
    /// # Errors
    /// A bias of another length than N.
    pub(crate) fn get(&self, weight: &Tensor, bias: &Tensor) -> Result<Option<&PackedWeights>> {
        let (n, k) = weight.dims2()?;
        if bias.dims() != [n] {
            candle_core::bail!("bias {:?} for {n} outputs", bias.shape());
        }
        let constant = !weight.track_op() && !bias.track_op();
        if !constant || n * k == 0 || n * k > MAX_KEPT || !takes(weight) || !takes(bias) {
            return Ok(None);
        }
        let how = Arithmetic::current();
        let packed = match self.0.get() {
            Some(packed) => packed,
            None => {
                let weight = weight.contiguous()?;
                let packed = PackedWeights::new(how, Floats::of(&weight).get()?, (n, k));
                self.0.get_or_init(|| packed)
            }
        };
        Ok((packed.arithmetic() == how).then_some(packed))
    }
}
