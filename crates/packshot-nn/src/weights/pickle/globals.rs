//! The names that a pickle of weights may refer to. Every other one is refused: nothing is ever
//! looked up or called.

use super::super::dtype::StoredDtype as D;
use std::sync::Arc;

/// A name of the allow-list, by what it means here.
#[derive(Clone, Debug)]
pub(in super::super) enum Global {
    /// `collections.OrderedDict` and other dictionaries.
    Dict,
    /// `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`.
    RebuildTensor,
    /// `torch._utils._rebuild_tensor_v3`, which names the format itself.
    RebuildTensorV3,
    /// A function whose first argument is the value: `_rebuild_parameter`, `torch.Size`.
    First,
    /// `torch._tensor._rebuild_from_type_v2`: a function, a class, arguments, a state.
    RebuildFromType,
    /// A class of storages.
    Storage(D),
    /// A format such as `torch.float16`.
    Dtype(D),
    /// A class of tensors, as an argument of [`Global::RebuildFromType`].
    TensorClass,
    /// A class of a TorchScript archive.
    Script,
    /// What weights do not depend on: numpy's scalars, devices.
    Ignored,
}

/// The meaning of `module.name`; `None` when it is not on the list.
pub(super) fn find(module: &str, name: &str) -> Option<Global> {
    if module == "__torch__" || module.starts_with("__torch__.") {
        return Some(Global::Script);
    }
    Some(match (module, name) {
        ("collections", "OrderedDict" | "defaultdict" | "Counter") => Global::Dict,
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Global::RebuildTensor,
        ("torch._utils", "_rebuild_tensor_v3") => Global::RebuildTensorV3,
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => Global::First,
        ("torch._tensor", "_rebuild_from_type_v2") => Global::RebuildFromType,
        ("torch", "Tensor") | ("torch.nn.parameter", "Parameter" | "Buffer") => Global::TensorClass,
        ("torch", "Size") => Global::First,
        (
            "torch.jit._pickle",
            "build_intlist" | "build_doublelist" | "build_boollist" | "build_tensorlist"
            | "restore_type_tag",
        ) => Global::First,
        ("torch", name) => return storage(name).or_else(|| dtype(name)).or(other(name)),
        ("torch.storage", "UntypedStorage" | "_UntypedStorage") => Global::Storage(D::U8),
        ("torch.cuda", name) => return storage(name),
        ("numpy", "dtype" | "ndarray")
        | ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar" | "_reconstruct")
        | ("_codecs", "encode")
        | (
            "builtins" | "__builtin__",
            "set" | "frozenset" | "slice" | "complex" | "bytearray" | "int" | "float" | "bool"
            | "str" | "list" | "tuple" | "dict" | "bytes" | "object",
        )
        | ("argparse", "Namespace")
        | ("types", "SimpleNamespace")
        | ("datetime", "datetime" | "timedelta" | "date")
        | ("pathlib" | "pathlib._local", "Path" | "PosixPath" | "WindowsPath" | "PurePosixPath") => {
            Global::Ignored
        }
        _ => return None,
    })
}

fn storage(name: &str) -> Option<Global> {
    Some(Global::Storage(match name {
        "FloatStorage" => D::F32,
        "DoubleStorage" => D::F64,
        "HalfStorage" => D::F16,
        "BFloat16Storage" => D::BF16,
        "LongStorage" => D::I64,
        "IntStorage" => D::I32,
        "ShortStorage" => D::I16,
        "CharStorage" => D::I8,
        "ByteStorage" | "UntypedStorage" => D::U8,
        "BoolStorage" => D::Bool,
        _ => return None,
    }))
}

fn dtype(name: &str) -> Option<Global> {
    Some(Global::Dtype(match name {
        "float32" | "float" => D::F32,
        "float64" | "double" => D::F64,
        "float16" | "half" => D::F16,
        "bfloat16" => D::BF16,
        "int64" | "long" => D::I64,
        "int32" | "int" => D::I32,
        "int16" | "short" => D::I16,
        "int8" => D::I8,
        "uint8" => D::U8,
        "uint16" => D::U16,
        "uint32" => D::U32,
        "uint64" => D::U64,
        "bool" => D::Bool,
        _ => return None,
    }))
}

fn other(name: &str) -> Option<Global> {
    matches!(name, "device" | "strided" | "contiguous_format").then_some(Global::Ignored)
}

/// `module.name`, shortened to what fits into a message.
pub(super) fn full_name(module: &str, name: &str) -> Arc<str> {
    let full = format!("{module}.{name}");
    full.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .take(120)
        .collect::<String>()
        .into()
}
