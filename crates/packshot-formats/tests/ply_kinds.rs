//! PLY in all its encodings.

#![allow(clippy::unwrap_used, reason = "what fails to unwrap fails the test")]

use packshot_formats::decode_ply;

/// The same two points and triangle-and-quad in one of the three encodings, with properties that
/// nobody knows between those that count.
fn file(encoding: &str) -> Vec<u8> {
    let mut out = format!(
        "ply\r\nformat {encoding} 1.0\ncomment made by hand\nobj_info x\nelement camera 1\n\
         property list uchar short odd\nproperty int id\nelement vertex 5\nproperty uchar blue\n\
         property double z\nproperty float confidence\nproperty float x\nproperty uchar red\n\
         property short y\nproperty uchar green\nelement face 2\nproperty uchar flags\n\
         property list int uint vertex_index\nproperty list uchar float texcoord\nend_header\n"
    )
    .into_bytes();
    let mut number = |value: f64, kind: char| match (encoding, kind) {
        ("ascii", _) => out.extend(format!("{value}\n ").bytes()),
        ("binary_big_endian", 'c') | (_, 'c') => out.push(value as u8),
        ("binary_big_endian", 's') => out.extend((value as i16).to_be_bytes()),
        (_, 's') => out.extend((value as i16).to_le_bytes()),
        ("binary_big_endian", 'i') => out.extend((value as i32).to_be_bytes()),
        (_, 'i') => out.extend((value as i32).to_le_bytes()),
        ("binary_big_endian", 'f') => out.extend((value as f32).to_be_bytes()),
        (_, 'f') => out.extend((value as f32).to_le_bytes()),
        ("binary_big_endian", _) => out.extend(value.to_be_bytes()),
        _ => out.extend(value.to_le_bytes()),
    };
    for (value, kind) in [(2.0, 'c'), (-5.0, 's'), (7.0, 's'), (9.0, 'i')] {
        number(value, kind);
    }
    for i in 0..5 {
        let i = f64::from(i);
        for (value, kind) in [
            (i, 'c'),
            (0.125 * i, 'd'),
            (0.9, 'f'),
            (0.1 * i * i, 'f'),
            (200.0 + i, 'c'),
            (-i, 's'),
            (100.0, 'c'),
        ] {
            number(value, kind);
        }
    }
    for face in [&[0, 1, 2][..], &[0, 2, 3, 4]] {
        number(1.0, 'c');
        number(face.len() as f64, 'i');
        face.iter()
            .for_each(|&corner| number(f64::from(corner), 'i'));
        number(1.0, 'c');
        number(0.5, 'f');
    }
    out
}

#[test]
fn every_encoding_and_order_of_properties_gives_the_same() {
    let ascii = decode_ply(&file("ascii")).unwrap();
    let mesh = ascii.mesh.as_ref().unwrap();
    assert_eq!(mesh.positions[2], [0.1f32 * 4.0, -2.0, 0.25]);
    assert_eq!(mesh.colours.as_ref().unwrap()[3], [203, 100, 3, 255]);
    assert_eq!(mesh.triangles.len(), 3);
    for encoding in ["binary_little_endian", "binary_big_endian"] {
        assert_eq!(decode_ply(&file(encoding)).unwrap(), ascii, "{encoding}");
    }
}

#[test]
fn every_cut_is_an_error_with_a_place() {
    for encoding in ["ascii", "binary_little_endian", "binary_big_endian"] {
        let whole = file(encoding);
        // The last number of a text may lose digits and still be one.
        let most = whole.len() - 6;
        for end in 0..most {
            let error = decode_ply(&whole[..end]).unwrap_err();
            assert!(error.hint().is_some(), "{encoding} cut at {end}: {error}");
        }
    }
}

#[test]
fn colours_as_fractions_and_normals_of_any_length_are_read() {
    let text = b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\n\
        property float z\nproperty float nx\nproperty float ny\nproperty float nz\n\
        property float red\nproperty float green\nproperty float blue\nend_header\n\
        1 2 3 0 0 -4 0.5 1.5 nan";
    let cloud = decode_ply(text).unwrap().into_cloud().unwrap();
    assert_eq!(cloud.positions, [[1.0, 2.0, 3.0]]);
    assert_eq!(cloud.normals, Some(vec![[0.0, 0.0, -1.0]]));
    assert_eq!(cloud.colours, Some(vec![[128, 255, 0]]));
}

#[test]
fn errors_name_line_vertex_and_face() {
    let head = "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\n\
        property float z\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n";
    for (body, wanted) in [
        ("0 0 0\n1 0 zero\n0 1 0\n3 0 1 2\n", "line 11"),
        ("0 0 0\n1 0 0\n0 inf 0\n3 0 1 2\n", "vertex 2"),
        ("0 0 0\n1 0 0\n0 1 0\n3 0 1 7\n", "face 0"),
        ("0 0 0\n1 0 0\n0 1 0\n3 0 1 -2\n", "line 13"),
        ("0 0 0\n1 0 0\n0 1 0\n300 0 1 2\n", "line 13"),
    ] {
        let error = decode_ply(format!("{head}{body}").as_bytes()).unwrap_err();
        assert!(error.to_string().contains(wanted), "{body}: {error}");
    }
}
