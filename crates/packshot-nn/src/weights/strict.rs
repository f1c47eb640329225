//! Strict loading: a file must hold exactly the tensors that a network needs.

use super::WeightFile;
use packshot_core::{Error, Result};
use std::collections::BTreeMap;

/// Tensors of each kind that a message names.
const NAMED: usize = 10;

/// Name and shape of a tensor that a network needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its dotted name.
    pub name: String,
    /// Its size along each axis.
    pub shape: Vec<usize>,
}

impl TensorSpec {
    /// A tensor called `name`.
    pub fn new(name: impl Into<String>, shape: impl Into<Vec<usize>>) -> Self {
        Self {
            name: name.into(),
            shape: shape.into(),
        }
    }
}

/// How the tensors of a file differ from those that a network needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TensorMismatch {
    /// Needed and not there, with the needed shapes.
    pub missing: Vec<TensorSpec>,
    /// There and not needed, with their shapes.
    pub extra: Vec<TensorSpec>,
    /// There in another shape: as needed, and the shape in the file.
    pub misshapen: Vec<(TensorSpec, Vec<usize>)>,
}

impl TensorMismatch {
    /// Compares `file` with what is `needed`.
    pub fn find(file: &WeightFile, needed: &[TensorSpec]) -> Self {
        let mut extra: BTreeMap<&str, &[usize]> = file
            .tensors()
            .map(|(name, info)| (name, &*info.shape))
            .collect();
        let mut mismatch = Self::default();
        for spec in needed {
            match extra.remove(&*spec.name) {
                None => mismatch.missing.push(spec.clone()),
                Some(shape) if shape != spec.shape => {
                    mismatch.misshapen.push((spec.clone(), shape.to_vec()));
                }
                Some(_) => {}
            }
        }
        mismatch.extra = extra
            .into_iter()
            .map(|(name, shape)| TensorSpec::new(name, shape))
            .collect();
        mismatch
    }

    /// Whether there is no difference.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && self.misshapen.is_empty()
    }

    /// Number of differences.
    pub fn len(&self) -> usize {
        self.missing.len() + self.extra.len() + self.misshapen.len()
    }

    /// The error that lists the differences, the first ten of each kind, for a file that should be
    /// `what`. No difference is no error.
    ///
    /// # Errors
    /// `BadInput` when there are differences.
    pub fn into_result(self, file: &WeightFile, what: &str, hint: &str) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let mut text = format!("the tensors are not those of {what}");
        let spec = |spec: &TensorSpec| format!("{} {:?}", spec.name, spec.shape);
        list(&mut text, "missing", &self.missing, spec);
        list(&mut text, "extra", &self.extra, spec);
        list(
            &mut text,
            "of another shape",
            &self.misshapen,
            |(spec, shape)| format!("{} {shape:?} instead of {:?}", spec.name, spec.shape),
        );
        let error = Error::bad_input(text).with_hint(hint);
        Err(if file.label().is_empty() {
            error
        } else {
            error.at(file.label())
        })
    }
}

fn list<T>(text: &mut String, kind: &str, items: &[T], show: impl Fn(&T) -> String) {
    if items.is_empty() {
        return;
    }
    let shown: Vec<String> = items.iter().take(NAMED).map(show).collect();
    text.push_str(&format!("\n  {} {kind}: {}", items.len(), shown.join(", ")));
    if items.len() > NAMED {
        text.push_str(&format!(", and {} more", items.len() - NAMED));
    }
}
