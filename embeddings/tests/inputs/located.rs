//! Folders, the hub's cache, and a hub on the loopback.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use trommel_embeddings::ModelError;
use trommel_embeddings::checkpoint::locate::Hub;
use trommel_embeddings::checkpoint::{Layout, expect_sha256, locate, sha256_of};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn write(folder: &Path, files: &[(&str, &str)]) {
    std::fs::create_dir_all(folder).unwrap();
    for (name, content) in files {
        std::fs::write(folder.join(name), content).unwrap();
    }
}

fn message(result: Result<trommel_embeddings::checkpoint::ModelFiles, ModelError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn a_folder_is_a_model_in_either_layout() {
    let folder = tempfile::tempdir().unwrap();
    let find = || locate(folder.path().to_str().unwrap(), None, None);
    assert!(message(find()).contains("neither `config.json` nor `open_clip_config.json`"));
    write(folder.path(), &[("config.json", "{}"), ("pytorch_model.bin", "")]);
    let missing = message(find());
    assert!(missing.contains("model.safetensors") && missing.contains("pytorch_model.bin"), "{missing}");
    write(folder.path(), &[("open_clip_config.json", "{}"), ("open_clip_model.safetensors", "o")]);
    assert_eq!(find().unwrap().layout, Layout::OpenClip);
    write(folder.path(), &[("model.safetensors", "w")]);
    // A `config.json` that names no type of model is timm's, of the image tower alone.
    assert_eq!(find().unwrap().layout, Layout::OpenClip);
    write(folder.path(), &[("config.json", r#"{"model_type": "clip"}"#)]);
    let found = find().unwrap();
    assert_eq!((found.layout, found.revision, found.weights.len()), (Layout::Transformers, None, 1));
}

#[test]
fn shards_are_found_by_their_index() {
    let folder = tempfile::tempdir().unwrap();
    let find = || locate(folder.path().to_str().unwrap(), None, None);
    let index = r#"{"weight_map": {"b": "m-2.safetensors", "a": "m-1.safetensors", "c": "m-1.safetensors"}}"#;
    write(folder.path(), &[("config.json", "{}"), ("model.safetensors.index.json", index), ("m-1.safetensors", "1")]);
    let missing = message(find());
    assert!(missing.contains("1 of 2 shards") && missing.contains("m-2.safetensors"), "{missing}");
    write(folder.path(), &[("m-2.safetensors", "2")]);
    let found = find().unwrap();
    assert_eq!(found.weights, [folder.path().join("m-1.safetensors"), folder.path().join("m-2.safetensors")]);
    found.expect_weights(&found.weights_sha256().unwrap()).unwrap();
    for index in [r#"{"weight_map": {"a": "../x.safetensors"}}"#, r#"{"weight_map": {}}"#, "{}", "[", r#"{"weight_map": {"a": 1}}"#] {
        write(folder.path(), &[("model.safetensors.index.json", index)]);
        assert!(message(find()).contains("index.json"), "{index}");
    }
}

#[test]
fn weights_with_another_digest_are_an_error_with_both() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[("w", "abc")]);
    let path = folder.path().join("w");
    // FIPS 180-2, appendix B.1.
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(sha256_of(&path).unwrap(), abc);
    expect_sha256(&path, &abc.to_uppercase()).unwrap();
    let error = expect_sha256(&path, "00").unwrap_err().to_string();
    assert!(error.contains(abc) && error.contains("expected 00"), "{error}");
}

fn hub(cache: &Path, endpoint: Option<&str>, offline: bool) -> Hub {
    // A port that nobody listens on, so that a test never leaves the machine.
    let endpoint = Some(endpoint.unwrap_or("http://127.0.0.1:1").to_owned());
    Hub { cache: cache.to_path_buf(), endpoint, token: None, offline }
}

#[test]
fn the_cache_answers_without_a_network() {
    let cache = tempfile::tempdir().unwrap();
    let repo = cache.path().join("models--owner--name");
    let snapshot = repo.join("snapshots").join(COMMIT);
    write(&repo.join("refs"), &[("main", COMMIT)]);
    write(&snapshot, &[("config.json", "{}"), ("model.safetensors", "w"), ("tokenizer.json", "{}")]);
    for offline in [true, false] {
        let hub = hub(cache.path(), None, offline);
        for (id, revision) in [("owner/name", None), ("owner/name@main", None), ("hf-hub:owner/name", Some("main"))] {
            let found = hub.locate(id, revision).unwrap();
            assert_eq!((found.revision.as_deref(), found.model.as_str()), (Some(COMMIT), "owner/name"));
        }
        assert_eq!(hub.locate(&format!("owner/name@{COMMIT}"), None).unwrap().folder, snapshot);
    }
    let offline = message(hub(cache.path(), None, true).locate("owner/name@other", None));
    assert!(offline.contains("`other` is not in the cache") && offline.contains("HF_HUB_OFFLINE"), "{offline}");
    let unreachable = message(hub(cache.path(), None, false).locate("owner/name@other", None));
    assert!(unreachable.contains("the hub did not give it"), "{unreachable}");
}

#[test]
fn a_half_filled_cache_says_what_is_missing() {
    let cache = tempfile::tempdir().unwrap();
    let repo = cache.path().join("models--owner--name");
    let snapshot = repo.join("snapshots").join(COMMIT);
    write(&repo.join("refs"), &[("main", COMMIT)]);
    write(&snapshot, &[("config.json", "{}")]);
    // A link to a blob that is gone is not a file.
    #[cfg(unix)]
    std::os::unix::fs::symlink("../../blobs/gone", snapshot.join("model.safetensors")).unwrap();
    assert!(message(hub(cache.path(), None, true).locate("owner/name", None)).contains("no weights"));
}

#[test]
fn what_is_neither_a_folder_nor_an_id_is_refused_before_any_request() {
    let cache = tempfile::tempdir().unwrap();
    let hub = hub(cache.path(), None, false);
    for id in ["name", "a/b/c", "../x", "/no/such/folder", "a/..", "a b/c", "", "owner/name@", "owner/name@../../x", "o/n@a b"] {
        let message = message(hub.locate(id, None));
        assert!(message.contains("no such folder") || message.contains("is not a revision"), "{id}: {message}");
    }
    assert!(message(hub.locate("a/b@x", Some("y"))).contains("two revisions"));
}

/// A hub with one repository: answers, and remembers what was asked.
fn serve(files: &[(&str, &str)], short: bool) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let files: BTreeMap<String, String> = files.iter().map(|(name, content)| ((*name).to_owned(), (*content).to_owned())).collect();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (files, log) = (files.clone(), Arc::clone(&log));
            std::thread::spawn(move || answer(stream.unwrap(), &files, &log, short));
        }
    });
    (endpoint, asked)
}

fn answer(mut stream: TcpStream, files: &BTreeMap<String, String>, log: &Mutex<Vec<String>>, short: bool) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    log.lock().unwrap().push(path.clone());
    let probe = headers.iter().any(|header| header.eq_ignore_ascii_case("range: bytes=0-0"));
    let (status, body, range) = if path.starts_with("/api/models/owner/name/revision/") {
        let siblings: Vec<_> = files.keys().map(|name| serde_json::json!({"rfilename": name})).collect();
        ("200 OK", serde_json::json!({"sha": COMMIT, "siblings": siblings}).to_string(), None)
    } else if let Some(content) = path.strip_prefix(&format!("/owner/name/resolve/{COMMIT}/")).and_then(|name| files.get(name)) {
        let body = if probe {
            &content[..1]
        } else if short {
            &content[..content.len() - 1]
        } else {
            content
        };
        ("206 Partial Content", body.to_owned(), Some(format!("bytes 0-{}/{}", body.len() - 1, content.len())))
    } else {
        ("404 Not Found", String::new(), None)
    };
    let range = range.map_or_else(String::new, |range| {
        // The blob's name: any text that differs between files.
        let etag = path.replace(['/', '.'], "-");
        format!("content-range: {range}\r\netag: \"{etag}\"\r\nx-repo-commit: {COMMIT}\r\n")
    });
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{range}connection: close\r\n\r\n", body.len());
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}

const FILES: [(&str, &str); 6] = [
    ("README.md", "not fetched"),
    ("config.json", "{}"),
    ("model.safetensors", "weights"),
    ("pytorch_model.bin", "not fetched"),
    ("tokenizer.json", "{}"),
    ("preprocessor_config.json", "{}"),
];

#[test]
fn a_model_of_the_hub_is_fetched_once_by_its_commit() {
    let cache = tempfile::tempdir().unwrap();
    let (endpoint, asked) = serve(&FILES, false);
    let hub = hub(cache.path(), Some(&endpoint), false);
    let found = hub.locate("owner/name", Some("main")).unwrap();
    assert_eq!(found.revision.as_deref(), Some(COMMIT));
    assert_eq!(std::fs::read_to_string(&found.weights[0]).unwrap(), "weights");
    assert!(found.folder.join("preprocessor_config.json").is_file() && !found.folder.join("pytorch_model.bin").exists());
    let requests = asked.lock().unwrap().len();
    assert!(asked.lock().unwrap().iter().skip(1).all(|path| path.contains(COMMIT)));
    // The second time, also by branch, nothing is asked.
    assert_eq!(hub.locate("owner/name@main", None).unwrap(), found);
    assert_eq!(asked.lock().unwrap().len(), requests);
}

#[test]
fn a_hub_that_lacks_the_model_or_its_weights_is_named() {
    let cache = tempfile::tempdir().unwrap();
    let (endpoint, _) = serve(&[("config.json", "{}"), ("pytorch_model.bin", "x")], false);
    let hub = hub(cache.path(), Some(&endpoint), false);
    assert!(message(hub.locate("owner/other", None)).contains("404"));
    assert!(message(hub.locate("owner/name", None)).contains("no weights"));
}

#[test]
fn a_truncated_download_is_not_kept() {
    let cache = tempfile::tempdir().unwrap();
    let (endpoint, _) = serve(&FILES, true);
    let found = message(hub(cache.path(), Some(&endpoint), false).locate("owner/name", None));
    assert!(found.contains("bytes"), "{found}");
    let (endpoint, _) = serve(&FILES, false);
    hub(cache.path(), Some(&endpoint), false).locate("owner/name", None).unwrap();
}
