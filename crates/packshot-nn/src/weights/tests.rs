use super::testing::{Opcodes, Zip, archive, floats};
use super::*;
use packshot_core::{Context, ErrorKind};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn open(bytes: Vec<u8>) -> Result<WeightFile> {
    WeightFile::from_bytes(bytes)
}

/// Reads everything that a file offers.
fn read_all(bytes: Vec<u8>) -> Result<Weights> {
    open(bytes)?.load()
}

#[test]
fn files_of_pytorch_hold_what_pytorch_reads() {
    for variant in [
        "",
        ".legacy",
        ".nested",
        ".proto2",
        ".proto4",
        ".saved_on_cuda",
    ] {
        let file = format!("edge_cases{variant}.pt");
        let case = crate::parity::run(&data(), &file).unwrap().unwrap();
        assert_eq!(case.tensors.len(), 16, "{file}");
        assert!(case.ok(), "{file}: {:?}", case.worst());
    }
    assert!(crate::parity::run(&data(), "README.md").unwrap().is_none());
}

#[test]
fn kinds_and_sections_are_found_by_content() {
    let open = |name: &str| WeightFile::open(&data().join(name)).unwrap();
    let nested = open("edge_cases.nested.pt");
    assert_eq!(nested.format(), WeightFormat::TorchZip);
    assert_eq!(nested.section(), Some("model_state_dict"));
    assert_eq!(open("edge_cases.pt").section(), None);
    assert_eq!(
        open("edge_cases.legacy.pt").format(),
        WeightFormat::TorchLegacy
    );
    assert_eq!(
        open("edge_cases_expected.safetensors").format(),
        WeightFormat::Safetensors
    );
    let other = WeightFile::open_section(&data().join("edge_cases.nested.pt"), Some("ema"));
    assert_eq!(other.unwrap().tensors().next().unwrap().0, "0.w");
    let none = WeightFile::open_section(&data().join("edge_cases.nested.pt"), Some("emma"));
    let error = none.unwrap_err();
    assert!(
        error.hint().unwrap().contains("model_state_dict"),
        "{error:?}"
    );
    assert!(nested.check_archive().unwrap() > 16);
}

#[test]
fn files_that_end_early_are_errors() {
    for name in [
        "edge_cases.pt",
        "edge_cases.legacy.pt",
        "edge_cases_expected.safetensors",
    ] {
        let bytes = std::fs::read(data().join(name)).unwrap();
        for cut in 0..bytes.len() {
            let error = read_all(bytes[..cut].to_vec()).expect_err(name);
            assert_ne!(error.kind(), ErrorKind::Internal);
        }
    }
}

#[test]
fn a_changed_number_is_found_by_the_checksum() {
    let mut bytes = std::fs::read(data().join("edge_cases.pt")).unwrap();
    let file = open(bytes.clone()).unwrap();
    assert!(file.check_archive().is_ok());
    let number = file.bytes("contiguous").unwrap()[..4].to_vec();
    let at = bytes.windows(4).position(|w| w == number).unwrap();
    bytes[at] ^= 1;
    let error = open(bytes).unwrap().check_archive().unwrap_err();
    assert!(error.to_string().contains("checksum"), "{error}");
}

#[test]
fn torchscript_archives_name_tensors_by_their_attributes() {
    let layer = |o: Opcodes, class: &str, key: &str| {
        o.global(
            &format!("__torch__.torch.nn.modules.linear{class}"),
            "Linear",
        )
        .raw(b")\x81}(")
        .text("weight")
        .tensor(key, 4, 0, &[2, 2], &[2, 1])
        .text("training")
        .raw(b"\x89ub")
    };
    let o = Opcodes::new()
        .global("__torch__", "Multimodal")
        .raw(b")\x81}(");
    let o = layer(o.text("proj"), "", "0");
    let o = o
        .text("blocks")
        .global("__torch__.torch.nn.modules.container", "Sequential");
    let o = layer(o.raw(b")\x81}(").text("0"), ".___torch_mangle_3", "1");
    let pickle = o.raw(b"ubub.").0;
    let bytes = archive(
        &[
            ("clip/data.pkl", &pickle),
            ("clip/data/0", &floats(&[1.0, 2.0, 3.0, 4.0])),
            ("clip/data/1", &floats(&[5.0, 6.0, 7.0, 8.0])),
            ("clip/code/__torch__.py", b"def forward"),
            ("clip/constants.pkl", b"\x80\x02)."),
        ],
        Zip::default(),
    );
    let file = open(bytes).unwrap();
    assert_eq!(file.format(), WeightFormat::TorchScript);
    let names: Vec<&str> = file.tensors().map(|(name, _)| name).collect();
    assert_eq!(names, ["blocks.0.weight", "proj.weight"]);
    assert_eq!(
        file.values("blocks.0.weight").unwrap(),
        [5.0, 6.0, 7.0, 8.0]
    );
}

#[test]
fn deflated_and_64_bit_archives_are_read() {
    let pickle = Opcodes::one("w", 3);
    let numbers = floats(&[1.0, -2.0, 0.5]);
    for deflate in [false, true] {
        for wide in [false, true] {
            let entries = [("a/data.pkl", &pickle[..]), ("a/data/0", &numbers)];
            let file = open(archive(&entries, Zip { deflate, wide })).unwrap();
            assert_eq!(file.values("w").unwrap(), [1.0, -2.0, 0.5]);
            assert_eq!(file.check_archive().unwrap(), 2);
        }
    }
}

#[test]
fn archives_that_lie_are_refused() {
    let pickle = Opcodes::one("w", 3);
    let numbers = floats(&[1.0, -2.0, 0.5]);
    let good = archive(
        &[("a/data.pkl", &pickle), ("a/data/0", &numbers)],
        Zip::default(),
    );
    assert!(open(good.clone()).is_ok());
    let expect = |bytes: Vec<u8>, text: &str| {
        let error = read_all(bytes).unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
    };
    let central = |bytes: &[u8], nth: usize| {
        let mut places = bytes
            .windows(4)
            .enumerate()
            .filter(|(_, w)| w == b"PK\x01\x02");
        places.nth(nth).unwrap().0
    };
    let mut encrypted = good.clone();
    encrypted[central(&good, 1) + 8] = 1;
    expect(encrypted, "encrypted");
    let mut packed = good.clone();
    packed[central(&good, 1) + 10] = 14;
    expect(packed, "method 14");
    let mut outside = good.clone();
    outside[central(&good, 1) + 44] = 0x7f;
    expect(outside, "outside");
    // The second entry starts where the first one does.
    let mut overlapping = good.clone();
    let at = central(&good, 1) + 42;
    overlapping[at..at + 4].copy_from_slice(&[0; 4]);
    expect(overlapping, "overlap");
    let same = [("a/data.pkl", &pickle[..]), ("a/data.pkl", &pickle)];
    expect(archive(&same, Zip::default()), "two entries");
    expect(
        archive(&[("a/model.json", b"{}")], Zip::default()),
        "without data.pkl",
    );
    let short = [("a/data.pkl", &pickle[..]), ("a/data/0", &numbers[..8])];
    expect(archive(&short, Zip::default()), "8 bytes instead of 12");
    expect(
        archive(&[("a/data.pkl", &pickle)], Zip::default()),
        "not in the file",
    );
    let big = [
        ("a/byteorder", &b"big"[..]),
        ("a/data.pkl", &pickle),
        ("a/data/0", &numbers),
    ];
    expect(archive(&big, Zip::default()), "big-endian");
}

#[test]
fn bombs_do_not_go_off() {
    // 64 MB of zeros in 64 KB.
    let zeros = vec![0; 64 << 20];
    let pickle = Opcodes::one("w", 16 << 20);
    let bytes = archive(
        &[("a/data.pkl", &pickle), ("a/data/0", &zeros)],
        Zip {
            deflate: true,
            wide: false,
        },
    );
    assert!(bytes.len() < 100_000);
    assert!(read_all(bytes).is_err());
    // A pickle of zeros.
    let bytes = archive(
        &[("a/data.pkl", &zeros[..40 << 20])],
        Zip {
            deflate: true,
            wide: false,
        },
    );
    assert!(open(bytes).is_err());
    // One number, seen a thousand million times.
    let pickle = Opcodes::new()
        .raw(b"}")
        .text("w")
        .tensor("0", 1, 0, &[1 << 15, 1 << 15], &[0, 0])
        .raw(b"s.")
        .0;
    let bytes = archive(
        &[("a/data.pkl", &pickle), ("a/data/0", &[0; 4])],
        Zip::default(),
    );
    let error = open(bytes).unwrap_err();
    assert!(error.to_string().contains("claims to hold"), "{error}");
}

#[test]
fn dictionaries_that_share_their_children_do_not_explode() {
    // 40 levels, each holding the one below twice: 2⁴⁰ tensors.
    let mut o = Opcodes::new().tensor("0", 1, 0, &[1], &[1]).raw(b"q\0");
    for _ in 0..40 {
        o = o.raw(b"}(").text("a").raw(b"h\0").text("b").raw(b"h\0uq\0");
    }
    let pickle = o.raw(b".").0;
    let bytes = archive(
        &[("a/data.pkl", &pickle), ("a/data/0", &[0; 4])],
        Zip::default(),
    );
    let error = open(bytes).unwrap_err();
    assert!(error.to_string().contains("over and over"), "{error}");
    // A dictionary that holds itself.
    let pickle = Opcodes::new().raw(b"}q\0").text("a").raw(b"h\0s.").0;
    let bytes = archive(&[("a/data.pkl", &pickle)], Zip::default());
    assert!(open(bytes).unwrap_err().to_string().contains("too deep"));
}

#[test]
fn what_people_take_for_weights_is_named() {
    for (bytes, text) in [
        (&b""[..], "empty"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid",
            "Git LFS",
        ),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"GGUF\x03\0\0\0", "GGUF"),
        (b"\x80\x04]q\0.", "torch.save"),
        (b"some text", "known format"),
    ] {
        let error = open(bytes.to_vec()).unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
        assert!(error.hint().is_some(), "{error}");
    }
    let missing = WeightFile::open(Path::new("no/such.pt")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::BadInput);
    assert!(missing.to_string().contains("no/such.pt"), "{missing}");
    assert!(WeightFile::open(&data()).is_err());
}

#[test]
fn differences_are_listed_by_kind_with_their_counts() {
    let file = WeightFile::open(&data().join("edge_cases.pt")).unwrap();
    let mut needed: Vec<TensorSpec> = file
        .tensors()
        .map(|(name, info)| TensorSpec::new(name, info.shape.clone()))
        .collect();
    assert!(TensorMismatch::find(&file, &needed).is_empty());
    needed.retain(|spec| spec.name != "bool");
    needed[0].shape = vec![9, 9];
    let name = needed[0].name.clone();
    needed.extend((0..12).map(|i| TensorSpec::new(format!("layer{i:02}"), [2, 3])));
    let mismatch = TensorMismatch::find(&file, &needed);
    assert_eq!(mismatch.len(), 14);
    let error = mismatch.into_result(&file, "base40M", "see").unwrap_err();
    let text = error.to_string();
    for part in [
        "those of base40M",
        "12 missing: layer00 [2, 3], ",
        "layer09 [2, 3], and 2 more",
        "1 extra: bool [3]",
        "1 of another shape: ",
        "instead of [9, 9]",
        &name,
        "edge_cases.pt",
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    assert_eq!(error.hint(), Some("see"));
}

#[test]
fn converted_files_are_the_same_everywhere_and_keep_what_they_can() {
    let file = WeightFile::open(&data().join("edge_cases.nested.pt")).unwrap();
    let metadata: BTreeMap<String, String> = [("licence", "MIT"), ("format", "pt"), ("a", "b")]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into();
    let convert = |floats: Option<FloatFormat>| {
        let mut out = Vec::new();
        let lost =
            write_safetensors(&file, floats, &metadata, &mut out, &Context::silent()).unwrap();
        assert_eq!(lost, 0);
        out
    };
    let bytes = convert(None);
    assert_eq!(bytes, convert(None));
    // The library's own reader takes it.
    let theirs = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(theirs.len(), file.tensors().len());
    let ours = open(bytes.clone()).unwrap();
    assert_eq!(ours.metadata()["licence"], "MIT");
    for (name, info) in file.tensors() {
        assert_eq!(ours.info(name), Some(info), "{name}");
        assert_eq!(ours.bytes(name).unwrap(), file.bytes(name).unwrap());
        assert_eq!(
            theirs.tensor(name).unwrap().data(),
            ours.bytes(name).unwrap()
        );
    }
    let half = open(convert(Some(FloatFormat::F16))).unwrap();
    assert_eq!(half.info("f64").unwrap().dtype, StoredDtype::F16);
    assert_eq!(half.info("i64").unwrap().dtype, StoredDtype::I64);
    for (a, b) in half
        .values("f64")
        .unwrap()
        .iter()
        .zip(file.values("f64").unwrap())
    {
        assert!((a - b).abs() <= b.abs() / 1024.0, "{a} {b}");
    }
}

#[test]
fn numbers_too_large_for_half_precision_are_counted() {
    let pickle = Opcodes::one("w", 2);
    let entries = [
        ("a/data.pkl", &pickle[..]),
        ("a/data/0", &floats(&[1e6, 1.0])),
    ];
    let file = open(archive(&entries, Zip::default())).unwrap();
    let lost = |format| {
        write_safetensors(
            &file,
            Some(format),
            &BTreeMap::new(),
            &mut Vec::new(),
            &Context::silent(),
        )
        .unwrap()
    };
    assert_eq!(lost(FloatFormat::F16), 1);
    assert_eq!(lost(FloatFormat::BF16), 0);
}

#[test]
fn weights_survive_half_precision() {
    let t = Tensor::new(&[[1.0f32, -0.5], [0.25, 1e-3]], &Device::Cpu).unwrap();
    let weights = Weights {
        tensors: HashMap::from([("a.b".to_owned(), t)]),
        metadata: HashMap::from([("config".to_owned(), "{\"w\":3}".to_owned())]),
    };
    let bytes = weights.to_bytes(StoredAs::F16).unwrap();
    let back = Weights::from_bytes(&bytes).unwrap();
    let values: Vec<Vec<f32>> = back.tensors["a.b"].to_vec2().unwrap();
    assert_eq!(values[0], [1.0, -0.5]);
    assert!((values[1][1] - 1e-3).abs() < 1e-6);
    let config: HashMap<String, u32> = back.json("config").unwrap();
    assert_eq!(config["w"], 3);
    for cut in 0..bytes.len() {
        assert!(Weights::from_bytes(&bytes[..cut]).is_err());
    }
}
