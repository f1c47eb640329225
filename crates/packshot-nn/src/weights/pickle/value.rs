//! What a pickle of weights is made of. Nothing here is a Python object: it is the record of one.

use super::super::dtype::StoredDtype;
use super::globals::Global;
use std::sync::Arc;

/// A value. Containers are in the [`Heap`], so that values are small, a value that the pickle uses
/// a thousand times is kept once, and a list that contains itself is no trouble.
#[derive(Clone, Debug)]
pub(in super::super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// An integer of more than 64 bits, as the pickle has it.
    Long(Arc<[u8]>),
    Str(Arc<str>),
    Global(Global),
    Heap(u32),
    /// Something that weights do not depend on: a float, raw bytes, a numpy scalar.
    Opaque,
}

/// A container or a record of PyTorch's.
#[derive(Debug)]
pub(in super::super) enum Node {
    Tuple(Vec<Value>),
    List(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    Storage(Storage),
    Tensor(Tensor),
    /// A module of a TorchScript archive; its attributes are in the state.
    Module(Value),
}

/// A run of numbers, as the pickle refers to it.
#[derive(Clone, Debug)]
pub(in super::super) struct Storage {
    /// Its numbers' format; bytes where the storage has none of its own.
    pub(in super::super) dtype: StoredDtype,
    /// Its name in the file.
    pub(in super::super) key: Arc<str>,
    /// Its number of numbers.
    pub(in super::super) len: u64,
    /// Where it starts in the storage that the file holds, in numbers; not 0 only in legacy files,
    /// where a storage may be a part of another one.
    pub(in super::super) start: u64,
}

/// A view of a storage. Its farthest number lies inside of the storage.
#[derive(Clone, Debug)]
pub(in super::super) struct Tensor {
    pub(in super::super) dtype: StoredDtype,
    pub(in super::super) key: Arc<str>,
    /// Size of the whole storage in bytes, from where the key's bytes start.
    pub(in super::super) storage_bytes: u64,
    /// First number, in bytes from the start of the key's bytes.
    pub(in super::super) offset_bytes: u64,
    pub(in super::super) shape: Vec<usize>,
    /// In numbers, one for each axis.
    pub(in super::super) strides: Vec<u64>,
}

/// All containers of a pickle.
#[derive(Debug, Default)]
pub(in super::super) struct Heap(Vec<Node>);

impl Heap {
    pub(super) fn add(&mut self, node: Node) -> Value {
        self.0.push(node);
        // A pickle has far fewer bytes than 2³², and each opcode adds one node at most.
        Value::Heap(self.0.len() as u32 - 1)
    }

    /// Every storage that the pickle refers to.
    pub(in super::super) fn storages(&self) -> impl Iterator<Item = &Storage> {
        self.0.iter().filter_map(|node| match node {
            Node::Storage(storage) => Some(storage),
            _ => None,
        })
    }

    /// The container of `value`, where it is one.
    pub(in super::super) fn node(&self, value: &Value) -> Option<&Node> {
        match value {
            Value::Heap(index) => self.0.get(*index as usize),
            _ => None,
        }
    }

    pub(super) fn node_mut(&mut self, value: &Value) -> Option<&mut Node> {
        match value {
            Value::Heap(index) => self.0.get_mut(*index as usize),
            _ => None,
        }
    }

    /// The items of a tuple or list.
    pub(in super::super) fn items(&self, value: &Value) -> Option<&[Value]> {
        match self.node(value) {
            Some(Node::Tuple(items) | Node::List(items)) => Some(items),
            _ => None,
        }
    }

    /// The entries of a dictionary.
    pub(in super::super) fn entries(&self, value: &Value) -> Option<&[(Value, Value)]> {
        match self.node(value) {
            Some(Node::Dict(entries)) => Some(entries),
            _ => None,
        }
    }

    /// The value under a text key of a dictionary; the last one where there are several.
    pub(in super::super) fn get(&self, dict: &Value, key: &str) -> Option<&Value> {
        self.entries(dict)?
            .iter()
            .rev()
            .find(|(k, _)| matches!(k, Value::Str(k) if &**k == key))
            .map(|(_, value)| value)
    }
}
