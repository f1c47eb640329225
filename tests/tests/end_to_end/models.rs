//! Downloading, checking and converting models, without any network but this machine's own.

use packshot_tests::{Outcome, Place, repository};
use std::io::{Read, Write};
use std::net::TcpListener;

/// A weight file that PyTorch wrote.
fn weights(name: &str) -> Vec<u8> {
    std::fs::read(
        repository()
            .join("crates/packshot-nn/tests/data")
            .join(name),
    )
    .unwrap()
}

/// Serves each answer once; returns the address.
fn serve(answers: Vec<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for answer in answers {
            let Ok((mut stream, _)) = listener.accept() else {
                return;
            };
            let (mut request, mut byte) = (Vec::new(), [0]);
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                request.push(byte[0]);
            }
            let _ = stream.write_all(&answer);
        }
    });
    address
}

fn answer(status: &str, length: usize, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nETag: \"a\"\r\nConnection: close\r\n"
    )
    .into_bytes();
    if status.starts_with("206") {
        let start = length - body.len();
        bytes = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\
             Content-Range: bytes {start}-{}/{length}\r\n",
            body.len(),
            length - 1
        )
        .into_bytes();
    }
    bytes.extend(b"\r\n");
    bytes.extend(body);
    bytes
}

/// Runs a `models` command with its downloads in this place, and no proxy between.
fn models(place: &Place, arguments: &[&str]) -> Outcome {
    let mut command = place.command();
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command.arg("models").args(arguments);
    packshot_tests::finish(command)
}

#[test]
fn a_model_is_pulled_verified_and_listed() {
    let place = Place::new();
    let body = weights("edge_cases.nested.pt");
    // The first transfer breaks in the middle.
    let mirror = serve(vec![
        answer("200 OK", body.len(), &body[..3000]),
        answer("206 Partial Content", body.len(), &body[3000..]),
    ]);
    let pulled = models(&place, &["pull", "pointnet", "--mirror", &mirror, "--json"]);
    let report = pulled.expect(0).json();
    assert_eq!(report["models"][0]["bytes"], body.len());
    assert_eq!(
        std::fs::read(place.path("home/models/pointnet.pt")).unwrap(),
        body
    );
    let again = models(&place, &["pull", "pointnet"]);
    assert!(
        again.expect(0).stdout.contains("already"),
        "{}",
        again.stdout
    );

    let list = models(&place, &["list", "--json"]).expect(0).json();
    let pointnet = list["models"].as_array().unwrap().iter();
    let pointnet = pointnet.clone().find(|m| m["name"] == "pointnet").unwrap();
    assert_eq!(pointnet["where"], "here");
    assert_eq!(pointnet["noted_sha256"], report["models"][0]["sha256"]);
    models(&place, &["verify"]).expect(0);

    std::fs::write(place.path("home/models/pointnet.pt"), &body[..100]).unwrap();
    models(&place, &["verify", "pointnet"]).expect_error(3, "SHA-256");
    models(&place, &["verify", "base40M"]).expect_error(4, "not on this machine");
    for missing in [
        models(&place, &["convert", "base40M", "x.safetensors"]),
        place.run(["generate", "a chair", "--model", "base40M"]),
    ] {
        missing.expect_error(4, "base40M");
        let command = "packshot models pull base40M";
        assert!(missing.stderr.contains(command), "{}", missing.stderr);
    }
}

#[test]
fn what_is_no_model_is_not_kept() {
    let place = Place::new();
    let page = b"<!DOCTYPE html><html>please log in</html>";
    let mirror = serve(vec![answer("200 OK", page.len(), page)]);
    models(&place, &["pull", "base40M", "--mirror", &mirror]).expect_error(3, "web page");
    // Another network under this name.
    let body = weights("edge_cases.pt");
    let mirror = serve(vec![answer("200 OK", body.len(), &body)]);
    let other = models(&place, &["pull", "base40M", "--mirror", &mirror]);
    other.expect_error(3, "not base40M");
    assert!(other.stderr.contains("160 missing"), "{}", other.stderr);
    // A hash that is published.
    let mirror = serve(vec![answer("200 OK", body.len(), &body)]);
    models(&place, &["pull", "clip-vit-l14", "--mirror", &mirror]).expect_error(3, "SHA-256");
    let mirror = serve(vec![answer("404 Not Found", 0, b"")]);
    models(&place, &["pull", "sdf", "--mirror", &mirror]).expect_error(4, "404");
    let left = packshot_tests::names(&place.path("home/models"));
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn without_network_the_message_says_what_to_do() {
    let place = Place::new();
    let mirror = serve(Vec::new());
    let outcome = models(&place, &["pull", "base40M", "--mirror", &mirror]);
    outcome.expect_error(4, "cannot get base40M");
    assert!(
        outcome.stderr.contains("another machine"),
        "{}",
        outcome.stderr
    );
    models(&place, &["pull", "base41M"]).expect_error(4, "base41M");
    models(&place, &["pull", "packshot-mini"]).expect_error(2, "part of the program");
    models(&place, &["pull", "sdf", "--mirror", "ftp://x"]).expect_error(2, "--mirror");
}

#[test]
fn weight_files_become_safetensors_with_their_history() {
    let place = Place::new();
    place.write("a.pt", weights("edge_cases.legacy.pt"));
    let arguments = [
        "convert",
        "a.pt",
        "a.safetensors",
        "--dtype",
        "f16",
        "--licence",
        "MIT",
        "--origin",
        "me",
        "--json",
    ];
    let report = models(&place, &arguments).expect(0).json();
    let metadata = &report["metadata"];
    assert_eq!(metadata["licence"], "MIT");
    assert_eq!(metadata["source_format"], "PyTorch legacy file");
    assert_eq!(metadata["source_sha256"].as_str().unwrap().len(), 64);
    models(&place, &arguments).expect_error(2, "exists");

    let verified = models(&place, &["verify", "a.safetensors", "--json"]);
    let file = &verified.expect(0).json()["files"][0];
    assert_eq!(file["format"], "safetensors");
    assert_eq!(file["tensors"], 16);
    // What the file says of itself stays known.
    let again = models(
        &place,
        &["convert", "a.safetensors", "b.safetensors", "--json"],
    );
    assert_eq!(again.expect(0).json()["metadata"]["licence"], "MIT");
    let unknown = models(&place, &["convert", "a.pt", "c.safetensors", "--json"]);
    let unknown = unknown.expect(0).json();
    assert_eq!(unknown["metadata"]["licence"], "unknown");
    assert_eq!(unknown["warnings"][0]["code"], "unknown-provenance");
    models(&place, &["convert", "a.pt", "c.bin"]).expect_error(2, "safetensors");
}

#[test]
fn files_are_checked_against_a_network() {
    let place = Place::new();
    place.write("a.pt", weights("edge_cases.pt"));
    let wrong = models(&place, &["verify", "a.pt", "--as", "upsample"]);
    wrong.expect_error(3, "not those of upsample");
    assert!(wrong.stderr.contains("164 missing"), "{}", wrong.stderr);
    assert!(wrong.stderr.contains("16 extra"), "{}", wrong.stderr);
    place.write(
        "net.toml",
        "width = 64\nlayers = 2\nheads = 3\nn_ctx = 128\ncondition = { kind = \"none\" }\n",
    );
    models(&place, &["verify", "a.pt", "--config", "net.toml"]).expect_error(3, "heads");
    models(&place, &["verify", "nothing.pt"]).expect_error(3, "no such file");
    place.write("b.pt", b"\x80\x02cos\nsystem\n)R.");
    let hostile = models(&place, &["verify", "b.pt"]);
    hostile.expect_error(3, "os.system");
    place.write("c.pt", &weights("edge_cases.pt")[..4000]);
    models(&place, &["verify", "c.pt"]).expect_error(3, "c.pt");
}
