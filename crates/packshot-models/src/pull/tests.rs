use super::*;
use crate::{Against, FileState, find, verify};
use packshot_core::CancelToken;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Answers one request each, in this order, and closes the connection; then it is gone.
struct Server {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

type Answer = Vec<u8>;

impl Server {
    fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            for answer in answers {
                let Ok((mut stream, _)) = listener.accept() else {
                    return;
                };
                seen.lock().unwrap().push(read_request(&mut stream));
                let _ = stream.write_all(&answer);
            }
        });
        Self { address, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn read_request(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        text.push(byte[0]);
    }
    String::from_utf8_lossy(&text).to_lowercase()
}

fn answer(head: &str, body: &[u8]) -> Answer {
    let mut bytes = format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").into_bytes();
    bytes.extend(body);
    bytes
}

/// The whole file, or its first `sent` bytes before the line breaks.
fn whole(body: &[u8], tag: &str, sent: usize) -> Answer {
    let head = format!("200 OK\r\nContent-Length: {}\r\nETag: {tag}", body.len());
    answer(&head, &body[..sent])
}

fn rest(body: &[u8], start: usize) -> Answer {
    let head = format!(
        "206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {start}-{}/{}",
        body.len() - start,
        body.len() - 1,
        body.len()
    );
    answer(&head, &body[start..])
}

fn body() -> Vec<u8> {
    (0..100_000u64).map(|i| ((i * i) >> 7) as u8).collect()
}

fn model(sha256: Option<String>) -> Model {
    Model {
        name: "tiny",
        weights_bytes: None,
        file: Some(PublishedFile {
            name: "tiny.pt",
            url: "http://127.0.0.1:9/never-asked",
            bytes: None,
            sha256: sha256.map(|text| &*text.leak()),
        }),
        ..*find("sdf").unwrap()
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

struct Place {
    folder: tempfile::TempDir,
    store: Store,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("models"));
        Self { folder, store }
    }

    fn pull(&self, model: &Model, server: &Server) -> Result<Pulled> {
        pull(model, &self.store, &settings(server), &Context::silent())
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path().join("models")).unwrap();
        let mut names: Vec<String> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn settings(server: &Server) -> PullSettings {
    PullSettings {
        mirror: Some(server.address.clone() + "/"),
        retries: 0,
        timeout: Duration::from_secs(10),
        system_proxy: false,
        ..PullSettings::default()
    }
}

#[test]
fn a_file_arrives_whole_and_is_remembered() {
    let (place, body) = (Place::new(), body());
    let server = Server::start(vec![whole(&body, "\"a\"", body.len())]);
    let pulled = place.pull(&model(None), &server).unwrap();
    assert_eq!(pulled.bytes, body.len() as u64);
    assert_eq!(pulled.sha256, sha256(&body));
    assert!(!pulled.hash_is_published && !pulled.was_there);
    assert_eq!(std::fs::read(&pulled.file).unwrap(), body);
    assert!(server.requests()[0].starts_with("get /tiny.pt "));
    assert_eq!(place.names(), ["tiny.pt", "tiny.pt.json"]);
    // The server is gone: nothing is asked for again.
    assert!(place.pull(&model(None), &server).unwrap().was_there);
    let verified = verify(&model(None), &place.store, &Context::silent()).unwrap();
    assert_eq!(verified.against, Against::Download);

    std::fs::write(&pulled.file, b"changed").unwrap();
    let error = verify(&model(None), &place.store, &Context::silent()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadInput);
    assert!(error.hint().unwrap().contains("models pull tiny --force"));
}

#[test]
fn an_interrupted_transfer_goes_on_where_it_stopped() {
    let (place, body) = (Place::new(), body());
    let server = Server::start(vec![whole(&body, "\"a\"", 40_000), rest(&body, 40_000)]);
    let pulled = place.pull(&model(Some(sha256(&body))), &server).unwrap();
    assert!(pulled.hash_is_published);
    assert_eq!(std::fs::read(&pulled.file).unwrap(), body);
    let requests = server.requests();
    assert!(!requests[0].contains("range:"), "{requests:?}");
    assert!(requests[1].contains("range: bytes=40000-"), "{requests:?}");
    assert!(requests[1].contains("if-range: \"a\""), "{requests:?}");
}

#[test]
fn the_next_call_goes_on_too() {
    let (place, body) = (Place::new(), body());
    // The second connection says nothing at all.
    let server = Server::start(vec![whole(&body, "\"a\"", 40_000), Vec::new()]);
    let error = place.pull(&model(None), &server).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MissingModel);
    assert!(error.to_string().contains("kept"), "{error}");
    assert_eq!(
        place.store.state(&model(None)),
        FileState::Partial { bytes: 40_000 }
    );
    // The test's second server has another port; the note is made to know it.
    let note = place.store.part_note(&model(None).file.unwrap());
    let server = Server::start(vec![rest(&body, 40_000)]);
    let url = format!("{}/tiny.pt", server.address);
    let text = serde_json::json!({ "url": url, "version": "\"a\"" });
    std::fs::write(note, text.to_string()).unwrap();
    let pulled = place.pull(&model(None), &server).unwrap();
    assert_eq!(pulled.resumed_from, 40_000);
    assert_eq!(pulled.sha256, sha256(&body));
    assert_eq!(place.names(), ["tiny.pt", "tiny.pt.json"]);
}

#[test]
fn a_server_that_sends_all_again_is_taken_at_its_word() {
    let (place, body) = (Place::new(), body());
    let other: Vec<u8> = body.iter().map(|b| !b).collect();
    let server = Server::start(vec![
        whole(&body, "\"a\"", 40_000),
        whole(&other, "\"b\"", other.len()),
    ]);
    let pulled = place.pull(&model(None), &server).unwrap();
    assert_eq!(std::fs::read(&pulled.file).unwrap(), other);
    assert_eq!(pulled.sha256, sha256(&other));
}

#[test]
fn a_wrong_hash_leaves_nothing() {
    let (place, body) = (Place::new(), body());
    let server = Server::start(vec![whole(&body, "\"a\"", body.len())]);
    let error = place
        .pull(&model(Some(sha256(b"other"))), &server)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadInput);
    assert!(error.to_string().contains(&sha256(&body)), "{error}");
    assert!(error.hint().is_some());
    assert!(place.names().is_empty(), "{:?}", place.names());
}

#[test]
fn what_the_server_does_not_have_is_a_missing_model() {
    let place = Place::new();
    let server = Server::start(vec![answer("404 Not Found\r\nContent-Length: 0", b"")]);
    let error = place.pull(&model(None), &server).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MissingModel);
    assert!(error.to_string().contains("404"), "{error}");
    assert_eq!(place.store.state(&model(None)), FileState::Absent);
}

#[test]
fn a_busy_server_is_asked_again() {
    let (place, body) = (Place::new(), body());
    let server = Server::start(vec![
        answer("503 Service Unavailable\r\nContent-Length: 0", b""),
        whole(&body, "\"a\"", body.len()),
    ]);
    let settings = PullSettings {
        retries: 1,
        ..settings(&server)
    };
    let pulled = pull(&model(None), &place.store, &settings, &Context::silent());
    assert_eq!(pulled.unwrap().sha256, sha256(&body));
}

#[test]
fn without_network_the_message_says_what_to_do() {
    let place = Place::new();
    let server = Server::start(Vec::new());
    let error = place.pull(&model(None), &server).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MissingModel);
    let hint = error.hint().unwrap();
    assert!(
        hint.contains("tiny.pt") && hint.contains("another machine"),
        "{hint}"
    );
}

#[test]
fn a_stop_keeps_what_came() {
    let (place, body) = (Place::new(), body());
    let server = Server::start(vec![whole(&body, "\"a\"", body.len())]);
    let cancel = CancelToken::default();
    struct CancelOnStep(CancelToken);
    impl packshot_core::Progress for CancelOnStep {
        fn send(&self, message: packshot_core::Message) {
            if let packshot_core::Message::Step {
                note: Some(note), ..
            } = message
                && note != "0.0 MB"
            {
                self.0.cancel();
            }
        }
    }
    let progress = CancelOnStep(cancel.clone());
    let context = Context::new(&progress, cancel);
    let error = pull(&model(None), &place.store, &settings(&server), &context).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(matches!(
        place.store.state(&model(None)),
        FileState::Partial { .. }
    ));
}

#[test]
fn two_downloads_of_one_model_do_not_mix() {
    let place = Place::new();
    let server = Server::start(Vec::new());
    let file = model(None).file.unwrap();
    std::fs::create_dir_all(place.store.folder()).unwrap();
    let held = Part::open(&place.store, &file, "http://x").unwrap();
    let error = place.pull(&model(None), &server).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    drop(held);
}

#[test]
fn embedded_models_need_no_download() {
    let place = Place::new();
    let server = Server::start(Vec::new());
    let error = place.pull(find(crate::MINI).unwrap(), &server).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
}
