use super::*;
use packshot_core::ErrorKind;

fn failure(bytes: &[u8]) -> Error {
    parse(bytes).expect_err("this is no good pickle")
}

#[test]
fn values_of_protocol_2_and_4() {
    // {'a': (1, -2, None)} with a frame and a memo.
    let pickle = parse(
        b"\x80\x04\x95\x10\0\0\0\0\0\0\0}\x94\x8c\x01a\x94K\x01J\xfe\xff\xff\xffN\x87\x94s.rest",
    )
    .unwrap();
    let items = pickle.heap.get(&pickle.root, "a").unwrap();
    let items = pickle.heap.items(items).unwrap();
    assert!(matches!(
        items,
        [Value::Int(1), Value::Int(-2), Value::None]
    ));
    assert_eq!(pickle.len, 29);
    let long = parse(b"\x80\x02\x8a\x02\x00\xff.").unwrap();
    assert!(matches!(long.root, Value::Int(-256)));
    let magic = parse(b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.").unwrap();
    assert!(matches!(magic.root, Value::Long(_)));
}

#[test]
fn names_outside_of_the_list_are_refused_by_name() {
    for bytes in [
        &b"\x80\x02cos\nsystem\n(X\x02\0\0\0lstR."[..],
        b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
    ] {
        let error = failure(bytes);
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("os.system"), "{error}");
        assert!(error.to_string().contains("pickle byte"), "{error}");
        assert!(error.hint().unwrap().contains("state_dict"));
    }
    let eval = failure(b"\x80\x02cbuiltins\neval\n.");
    assert!(eval.to_string().contains("builtins.eval"), "{eval}");
    let class = failure(b"\x80\x02cpoint_e.models.transformer\nPointDiffusionTransformer\n)\x81.");
    assert!(class.to_string().contains("PointDiffusionTransformer"));
}

#[test]
fn opcodes_outside_of_the_list_are_refused_by_name() {
    for (bytes, name) in [
        (&b"\x80\x02P1\n."[..], "PERSID"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"\x80\x02(ios\nsystem\n.", "INST"),
        (b"\x80\x05\x97.", "NEXT_BUFFER"),
    ] {
        let error = failure(bytes);
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{name}");
        assert!(error.to_string().contains(name), "{error}");
    }
    assert!(failure(b"\x80\x02\xff.").to_string().contains("0xff"));
    assert!(failure(b"\x80\x09.").to_string().contains("protocol 9"));
}

#[test]
fn broken_pickles_are_errors() {
    for bytes in [
        &b""[..],
        b"\x80",
        b".",
        b"\x80\x02K",
        b"\x80\x02h\x05.",
        b"\x80\x02t.",
        b"\x80\x02(0.",
        b"\x80\x02X\xff\xff\xff\xffab.",
        b"\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\xffab.",
        b"\x80\x02]K\x01K\x02s.",
        b"\x80\x02}(K\x01u.",
        b"\x80\x02K\x01Q.",
        b"\x80\x02K\x01K\x02b.",
        b"\x80\x02K\x01)R.",
        b"\x80\x02ccollections\nOrderedDict\nK\x01R.",
        b"\x80\x02ctorch\nSize\n)R.",
    ] {
        assert_ne!(failure(bytes).kind(), ErrorKind::Internal);
    }
    // A value below a mark belongs to what was opened.
    assert!(parse(b"\x80\x02K\x01(a.").is_err());
}

#[test]
fn a_list_that_holds_itself_is_no_trouble() {
    let pickle = parse(b"\x80\x02]q\0h\0a.").unwrap();
    assert_eq!(pickle.heap.items(&pickle.root).unwrap().len(), 1);
}

#[test]
fn copies_are_bounded_by_the_length() {
    // A list of 1,000 pairs that is made a dictionary 1,000 times.
    let mut bytes = b"\x80\x02ccollections\nOrderedDict\nq\0](".to_vec();
    for _ in 0..1000 {
        bytes.extend(b"K\x01K\x02\x86");
    }
    bytes.extend(b"eq\x01");
    for _ in 0..1000 {
        bytes.extend(b"h\0h\x01\x85R0");
    }
    bytes.push(b'.');
    assert!(failure(&bytes).to_string().contains("copies itself"));
}

#[test]
fn tensors_stay_in_their_storage() {
    let tensor = |offset: u8, shape: [u8; 2], strides: [u8; 2]| {
        let mut bytes = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x06\0\0\0cuda:0K\x0ctQ".to_vec();
        bytes.extend([b'K', offset]);
        for [a, b] in [shape, strides] {
            bytes.extend([b'K', a, b'K', b, 0x86]);
        }
        bytes.extend(b"\x89NtR.");
        parse(&bytes)
    };
    let good = tensor(0, [3, 4], [4, 1]).unwrap();
    let Some(Node::Tensor(view)) = good.heap.node(&good.root) else {
        panic!("{good:?}")
    };
    assert_eq!((view.shape.as_slice(), view.offset_bytes), (&[3, 4][..], 0));
    assert_eq!(view.storage_bytes, 48);
    assert!(tensor(1, [3, 4], [4, 1]).is_err());
    assert!(tensor(0, [3, 4], [4, 2]).is_err());
    assert!(tensor(11, [200, 4], [0, 0]).is_ok());
    assert!(tensor(255, [0, 4], [4, 1]).is_ok());
}
