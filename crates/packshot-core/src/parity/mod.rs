//! Comparisons with reference implementations, as `packshot parity` prints them.

mod tensor_file;

pub use tensor_file::TensorFile;

/// One tensor beside its reference.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct TensorResult {
    /// Name of the tensor in the reference file.
    pub name: String,
    /// Largest absolute difference; infinite where shapes differ or a value is not a number.
    pub largest_error: f64,
    /// What the difference may be.
    pub tolerance: f64,
}

impl TensorResult {
    /// Whether the difference is within the tolerance.
    pub fn ok(&self) -> bool {
        self.largest_error <= self.tolerance
    }
}

/// One case: all its tensors.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct CaseResult {
    /// Name of the case: its file, and the entry in it where a file holds several.
    pub name: String,
    /// Its tensors; none is a failure.
    pub tensors: Vec<TensorResult>,
    /// Tensors of methods that Packshot does not have; they count for nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_applicable: Vec<String>,
    /// Why the case could not be run, which is a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl CaseResult {
    /// A case without tensors so far.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            tensors: Vec::new(),
            not_applicable: Vec::new(),
            error: None,
        }
    }

    /// A case that could not be run.
    pub fn failed(name: impl Into<String>, error: impl std::fmt::Display) -> Self {
        Self {
            error: Some(error.to_string()),
            ..Self::new(name)
        }
    }

    /// Whether every tensor is within its tolerance, and there is at least one.
    pub fn ok(&self) -> bool {
        self.error.is_none()
            && !self.tensors.is_empty()
            && self.tensors.iter().all(TensorResult::ok)
    }

    /// The tensor that is furthest out in units of its tolerance.
    pub fn worst(&self) -> Option<&TensorResult> {
        let share = |t: &TensorResult| {
            if t.largest_error == 0.0 {
                0.0
            } else {
                t.largest_error / t.tolerance
            }
        };
        self.tensors
            .iter()
            .max_by(|a, b| share(a).total_cmp(&share(b)))
    }

    /// Adds the comparison of `got` with `expected`, by absolute difference.
    pub fn compare(
        &mut self,
        name: impl Into<String>,
        got: impl IntoIterator<Item = f64>,
        expected: impl IntoIterator<Item = f64>,
        tolerance: f64,
    ) {
        self.push(name, largest_difference(got, expected, |_| 1.0), tolerance);
    }

    /// Adds the comparison of `got` with `expected`, by difference relative to the expected value;
    /// values below `floor` count as `floor`.
    pub fn compare_relative(
        &mut self,
        name: impl Into<String>,
        got: impl IntoIterator<Item = f64>,
        expected: impl IntoIterator<Item = f64>,
        floor: f64,
        tolerance: f64,
    ) {
        let error = largest_difference(got, expected, |e| e.abs().max(floor));
        self.push(name, error, tolerance);
    }

    /// Adds a tensor whose largest error is known.
    pub fn push(&mut self, name: impl Into<String>, largest_error: f64, tolerance: f64) {
        self.tensors.push(TensorResult {
            name: name.into(),
            largest_error,
            tolerance,
        });
    }
}

fn largest_difference(
    got: impl IntoIterator<Item = f64>,
    expected: impl IntoIterator<Item = f64>,
    unit: impl Fn(f64) -> f64,
) -> f64 {
    let (mut got, mut expected) = (got.into_iter(), expected.into_iter());
    let mut largest = 0.0f64;
    loop {
        match (got.next(), expected.next()) {
            (None, None) => return largest,
            (Some(g), Some(e)) if g == e => {}
            (Some(g), Some(e)) => {
                let error = (g - e).abs() / unit(e);
                if error.is_nan() {
                    return f64::INFINITY;
                }
                largest = largest.max(error);
            }
            _ => return f64::INFINITY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_lengths_and_nan() {
        let mut case = CaseResult::new("a");
        assert!(!case.ok());
        case.compare("x", [1.0, 2.0], [1.0, 2.5], 0.6);
        assert!(case.ok());
        case.compare_relative("y", [10.0], [11.0], 1e-9, 0.1);
        assert!(case.ok());
        assert_eq!(case.worst().map(|t| t.name.as_str()), Some("y"));
        case.compare("z", [1.0], [1.0, 2.0], 9.0);
        assert!(!case.ok());
        let mut case = CaseResult::new("b");
        case.compare("x", [f64::NAN], [0.0], 9.0);
        assert_eq!(case.tensors[0].largest_error, f64::INFINITY);
        assert!(!CaseResult::failed("c", "no file").ok());
        case.tensors.clear();
        case.compare("x", [f64::INFINITY], [f64::INFINITY], 0.0);
        assert!(case.ok());
    }
}
