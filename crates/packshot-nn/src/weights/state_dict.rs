//! From the value of a pickle to named tensors.

use super::pickle::{Heap, Node, Tensor, Value};
use packshot_core::{Error, Result};
use std::collections::BTreeMap;

/// Keys under which training programs put the weights beside other things, in order of preference.
const SECTIONS: [&str; 8] = [
    "state_dict",
    "model_state_dict",
    "model",
    "module",
    "net",
    "network",
    "params",
    "weights",
];
/// Deepest nesting; modules of TorchScript archives nest ten deep.
const MAX_DEPTH: usize = 64;
/// Longest name of a tensor.
const MAX_NAME: usize = 1024;

/// Tensors by their dotted names, and the key that they were found under.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) tensors: BTreeMap<String, Tensor>,
    pub(super) section: Option<String>,
}

/// Finds the weights in `root`: under `section` where one is asked for, else under one of the usual
/// keys, else all there are. `pickle_len` bounds the work.
pub(super) fn collect(
    heap: &Heap,
    root: &Value,
    section: Option<&str>,
    pickle_len: usize,
) -> Result<Named> {
    let mut walk = Walk {
        heap,
        budget: 16 * pickle_len + 4096,
    };
    if let Some(key) = section {
        let value = heap.get(root, key).ok_or_else(|| {
            let keys = text_keys(heap, root).join(", ");
            Error::bad_input(format!("the file has nothing under \"{key}\""))
                .with_hint(format!("it has {keys}"))
        })?;
        return walk.named(value, Some(key));
    }
    for key in SECTIONS {
        if let Some(value) = heap.get(root, key)
            && is_container(heap, value)
        {
            let named = walk.named(value, Some(key))?;
            if !named.tensors.is_empty() {
                return Ok(named);
            }
        }
    }
    walk.named(root, None)
}

fn is_container(heap: &Heap, value: &Value) -> bool {
    matches!(
        heap.node(value),
        Some(Node::Dict(_) | Node::Module(_) | Node::List(_))
    )
}

/// The first text keys of a dictionary, for messages.
fn text_keys<'a>(heap: &'a Heap, value: &Value) -> Vec<&'a str> {
    let entries = heap.entries(value).unwrap_or_default();
    entries
        .iter()
        .filter_map(|(key, _)| match key {
            Value::Str(key) => Some(&**key),
            _ => None,
        })
        .take(10)
        .collect()
}

struct Walk<'a> {
    heap: &'a Heap,
    /// Visits and bytes of names that are left. Without it, a small file in which dictionaries
    /// share their children could name more tensors than any memory holds.
    budget: usize,
}

impl Walk<'_> {
    fn named(&mut self, value: &Value, section: Option<&str>) -> Result<Named> {
        let mut tensors = BTreeMap::new();
        self.visit(value, &mut String::new(), 0, &mut tensors)?;
        Ok(Named {
            tensors,
            section: section.map(str::to_owned),
        })
    }

    fn visit(
        &mut self,
        value: &Value,
        name: &mut String,
        depth: usize,
        out: &mut BTreeMap<String, Tensor>,
    ) -> Result<()> {
        self.spend(1)?;
        let heap = self.heap;
        let Some(node) = heap.node(value) else {
            return Ok(());
        };
        if depth > MAX_DEPTH {
            return Err(Error::unsupported("the file's dictionaries nest too deep"));
        }
        match node {
            Node::Tensor(tensor) => {
                self.spend(name.len() + 64)?;
                let name = if name.is_empty() { "tensor" } else { name };
                out.insert(name.to_owned(), tensor.clone());
            }
            Node::Module(attributes) => self.visit(attributes, name, depth + 1, out)?,
            Node::Dict(entries) => {
                for (key, value) in entries {
                    match key {
                        Value::Str(key) => self.child(value, key, name, depth, out)?,
                        Value::Int(key) => {
                            self.child(value, &key.to_string(), name, depth, out)?;
                        }
                        _ => self.spend(1)?,
                    }
                }
            }
            Node::Tuple(items) | Node::List(items) => {
                for (i, value) in items.iter().enumerate() {
                    // Most lists hold plain numbers.
                    if heap.node(value).is_some() {
                        self.child(value, &i.to_string(), name, depth, out)?;
                    } else {
                        self.spend(1)?;
                    }
                }
            }
            Node::Storage(_) => {}
        }
        Ok(())
    }

    fn child(
        &mut self,
        value: &Value,
        key: &str,
        name: &mut String,
        depth: usize,
        out: &mut BTreeMap<String, Tensor>,
    ) -> Result<()> {
        let length = name.len();
        if length + key.len() >= MAX_NAME {
            return Err(Error::unsupported("a tensor's name is too long"));
        }
        if length > 0 {
            name.push('.');
        }
        name.push_str(key);
        self.visit(value, name, depth + 1, out)?;
        name.truncate(length);
        Ok(())
    }

    fn spend(&mut self, n: usize) -> Result<()> {
        self.budget = self
            .budget
            .checked_sub(n)
            .ok_or_else(|| Error::bad_input("the file names the same tensors over and over"))?;
        Ok(())
    }
}
