//! Weights that are packed once and multiplied often.

use super::{Arithmetic, Init, Packed, TileShape, multiply, pack_b, row_block};
use crate::kernels::pack::{Lines, Strided};
use crate::kernels::scratch::Scratch;

/// The columns of B of products `A·B`, in the order in which the inner loop reads them.
pub(crate) struct PackedWeights {
    how: Arithmetic,
    n: usize,
    k: usize,
    words: Scratch,
}

impl PackedWeights {
    /// Packs row-major weights `n` × `k` of a linear layer.
    ///
    /// # Panics
    /// When the slice is shorter.
    pub(crate) fn new(how: Arithmetic, weight: &[f32], (n, k): (usize, usize)) -> Self {
        let shape = TileShape::of(how.level);
        let mut words = Scratch::new(n.next_multiple_of(shape.columns) * how.words(k));
        if n > 0 && k > 0 {
            let b = Strided::new(weight, (n, k), (k, 1));
            pack_b(how, shape, &b, n, (0, k), &mut words);
        }
        Self { how, n, k, words }
    }

    /// What they were packed for.
    pub(crate) fn arithmetic(&self) -> Arithmetic {
        self.how
    }

    /// Outputs and inputs.
    pub(crate) fn dims(&self) -> (usize, usize) {
        (self.n, self.k)
    }

    fn operand(&self, init: Init<'_>) -> Packed {
        if let Init::Bias(bias) = init {
            assert!(bias.len() >= self.n, "bias of {}", bias.len());
        }
        Packed {
            b: self.words.as_ptr(),
            start: init.start(),
        }
    }

    /// `C = init + A·B` for `m` rows of A and row-major C, on all threads.
    ///
    /// # Panics
    /// When C or the bias is too short, or there are no weights.
    pub(crate) fn multiply(&self, m: usize, a: &impl Lines, c: &mut [f32], init: Init<'_>) {
        assert!(c.len() >= m * self.n && self.n * self.k > 0);
        let packed = self.operand(init);
        multiply(self.how, (m, self.n), a, &packed, (0, self.k), c);
    }

    /// The same for row-major A, on the calling thread alone.
    ///
    /// # Panics
    /// When a slice is too short, or there are no weights.
    pub(crate) fn multiply_rows(&self, m: usize, a: &[f32], c: &mut [f32], init: Init<'_>) {
        assert!(c.len() >= m * self.n && self.n * self.k > 0);
        let a = Strided::new(a, (m, self.k), (self.k, 1));
        let packed = self.operand(init);
        let shape = TileShape::of(self.how.level);
        // SAFETY: C has the rows and is borrowed; B is packed for the whole depth.
        unsafe {
            row_block(
                self.how,
                shape,
                &a,
                &packed,
                (0, m),
                self.n,
                (0, self.k),
                c.as_mut_ptr(),
            );
        }
    }
}
