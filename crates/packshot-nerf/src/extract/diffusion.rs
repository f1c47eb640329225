//! Values that spread over a graph.

use packshot_core::{CancelToken, Error, Result};

/// Rounds at most.
const ROUNDS: usize = 1000;
/// Share of the first residual at which a solution is good enough.
const ENOUGH: f64 = 1e-3;

/// Nodes joined by weighted links, and what each of them is drawn to.
pub(super) struct Graph {
    starts: Vec<u32>,
    links: Vec<(u32, f32)>,
}

impl Graph {
    /// `count` nodes with links that go both ways; each pair once.
    pub(super) fn new(count: usize, pairs: &[(u32, u32, f32)]) -> Self {
        let mut starts = vec![0u32; count + 1];
        for (a, b, _) in pairs {
            starts[*a as usize + 1] += 1;
            starts[*b as usize + 1] += 1;
        }
        for i in 0..count {
            starts[i + 1] += starts[i];
        }
        let mut next = starts.clone();
        let mut links = vec![(0, 0.0); 2 * pairs.len()];
        for (a, b, weight) in pairs {
            for (from, to) in [(*a, *b), (*b, *a)] {
                let place = &mut next[from as usize];
                links[*place as usize] = (to, *weight);
                *place += 1;
            }
        }
        Self { starts, links }
    }

    /// The nodes that a node is linked with.
    pub(super) fn of(&self, node: usize) -> &[(u32, f32)] {
        &self.links[self.starts[node] as usize..self.starts[node + 1] as usize]
    }

    /// The values that are as equal along links, and as near to `wanted` as `pull` says, as can be:
    /// the least of Σ w (xᵢ − xⱼ)² + Σ pullᵢ (xᵢ − wantedᵢ)². Where all pulls are a node's own, this
    /// is the random walker (Grady, "Random walks for image segmentation", 2006), with priors.
    /// `values` are where the search (conjugate gradients) begins, and the result.
    ///
    /// # Errors
    /// `Cancelled`.
    pub(super) fn spread(
        &self,
        wanted: &[f32],
        pull: &[f32],
        values: &mut [f32],
        cancel: &CancelToken,
    ) -> Result<()> {
        let count = values.len();
        let diagonal: Vec<f64> = (0..count)
            .map(|i| {
                let sum: f64 = self.of(i).iter().map(|l| f64::from(l.1)).sum();
                // A node that nothing holds keeps what it has.
                (sum + f64::from(pull[i])).max(1e-12)
            })
            .collect();
        let times = |x: &[f64], out: &mut [f64]| {
            for (i, out) in out.iter_mut().enumerate() {
                let drawn = self.of(i).iter();
                let drawn: f64 = drawn.map(|(j, w)| f64::from(*w) * x[*j as usize]).sum();
                *out = diagonal[i] * x[i] - drawn;
            }
        };
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let mut x: Vec<f64> = values.iter().map(|v| f64::from(*v)).collect();
        let mut product = vec![0.0; count];
        times(&x, &mut product);
        let mut residual: Vec<f64> = (0..count)
            .map(|i| f64::from(pull[i]) * f64::from(wanted[i]) - product[i])
            .collect();
        let scaled =
            |r: &[f64]| -> Vec<f64> { r.iter().zip(&diagonal).map(|(r, d)| r / d).collect() };
        let mut z = scaled(&residual);
        let mut direction = z.clone();
        let mut size = dot(&residual, &z);
        let enough = size * ENOUGH * ENOUGH;
        for _ in 0..ROUNDS {
            if size <= enough || size < 1e-20 {
                break;
            }
            if cancel.is_cancelled() {
                return Err(Error::cancelled());
            }
            times(&direction, &mut product);
            let step = size / dot(&direction, &product).max(1e-300);
            for i in 0..count {
                x[i] += step * direction[i];
                residual[i] -= step * product[i];
            }
            z = scaled(&residual);
            let next = dot(&residual, &z);
            let keep = next / size;
            for (direction, z) in direction.iter_mut().zip(&z) {
                *direction = z + keep * *direction;
            }
            size = next;
        }
        for (value, x) in values.iter_mut().zip(x) {
            *value = x as f32;
        }
        Ok(())
    }

    /// The connected part of each node among those that `within` holds; `u32::MAX` elsewhere.
    /// Parts are numbered in the order of their first nodes.
    pub(super) fn parts(&self, within: &[bool]) -> (Vec<u32>, usize) {
        let mut parts = vec![u32::MAX; within.len()];
        let (mut count, mut stack) = (0, Vec::new());
        for start in 0..within.len() {
            if !within[start] || parts[start] != u32::MAX {
                continue;
            }
            parts[start] = count;
            stack.push(start as u32);
            while let Some(node) = stack.pop() {
                for (next, _) in self.of(node as usize) {
                    if within[*next as usize] && parts[*next as usize] == u32::MAX {
                        parts[*next as usize] = count;
                        stack.push(*next);
                    }
                }
            }
            count += 1;
        }
        (parts, count as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_between_two_ends_lie_on_a_line() {
        let pairs: Vec<(u32, u32, f32)> = (0..10).map(|i| (i, i + 1, 1.0)).collect();
        let graph = Graph::new(11, &pairs);
        let mut pull = [0.0; 11];
        (pull[0], pull[10]) = (1e4, 1e4);
        let mut wanted = [0.0; 11];
        wanted[10] = 1.0;
        let mut values = [0.5; 11];
        graph
            .spread(&wanted, &pull, &mut values, &CancelToken::default())
            .unwrap();
        for (i, value) in values.iter().enumerate() {
            assert!((value - i as f32 / 10.0).abs() < 2e-3, "{values:?}");
        }
        let (parts, count) = graph.parts(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map(|i| i != 4));
        assert_eq!((count, parts[0], parts[4], parts[10]), (2, 0, u32::MAX, 1));
    }
}
