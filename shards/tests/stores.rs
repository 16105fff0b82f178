//! Object stores that fail: nothing is lost, nothing is double, no upload stays open, and the error says what it was.

#[cfg(test)]
mod support;

use std::time::Duration;

use bytes::Bytes;
use support::{Act, Answer, BUCKET, Server, conformance, limits, noise};
use trommel_shards::source::{Input, SourceError, expand_with};
use trommel_shards::storage::{Limits, Settings, Storage, StorageError, settle};

const PART: usize = 64 << 10;

/// What could not be aborted is told once, to whoever asks first: those who ask take turns.
static SETTLING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Status, code, and whether an error is what it should be.
type Case = (u16, &'static str, fn(&StorageError) -> bool);

async fn write(storage: &Storage, name: &str, bytes: &[u8]) -> Result<(), StorageError> {
    let mut writer = storage.create(name).await?;
    for piece in bytes.chunks(10_000) {
        writer.write(Bytes::copy_from_slice(piece)).await?;
    }
    writer.finish().await.map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_and_memory_and_a_folder_keep_the_promises() {
    let _turn = SETTLING.lock().await;
    let server = Server::start();
    conformance::conforms(&server.storage(), &server.settings(), PART).await;
    let settings = Settings::default();
    conformance::conforms(&Storage::open_with("memory://conformance/x", &settings).unwrap(), &settings, PART).await;
    let folder = tempfile::tempdir().unwrap();
    conformance::conforms(&Storage::open(folder.path().to_str().unwrap()).unwrap(), &settings, PART).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passing_fault_on_any_request_costs_nothing_but_time() {
    let faults = [
        Act::Answer(Answer::error(429, "TooManyRequests")),
        Act::Answer(Answer::error(500, "InternalError")),
        Act::Answer(Answer::of(502, "<html>bad gateway</html>")),
        Act::Answer(Answer::error(503, "SlowDown").with("retry-after", 0)),
        Act::Silence,
        Act::Hang,
        Act::DoAndHang,
        Act::Cut(3),
    ];
    let bytes = noise(PART * 3 + 5);
    for act in faults {
        for (method, part) in [
            ("POST", "uploads"),
            ("PUT", "partNumber=2"),
            ("POST", "uploadId"),
            ("GET", "/large"),
            ("HEAD", "/large"),
            ("GET", "list-type"),
            ("PUT", "/small"),
            ("DELETE", "/small"),
            ("POST", "delete"),
        ] {
            let server = Server::start();
            server.fault(method, part, 2, act.clone());
            let (storage, context) = (server.storage(), format!("{act:?} on {method} {part}"));
            write(&storage, "large", &bytes).await.unwrap_or_else(|e| panic!("{context}: {e}"));
            storage.put("small", "s").await.unwrap();
            assert!(storage.get("large").await.unwrap_or_else(|e| panic!("{context}: {e}")).unwrap() == bytes, "{context}");
            assert_eq!(storage.size("large").await.unwrap(), Some(bytes.len() as u64), "{context}");
            assert!(storage.sha256("large").await.unwrap().is_some(), "{context}");
            assert_eq!(storage.list("").await.unwrap().len(), 2, "{context}");
            storage.delete("small").await.unwrap_or_else(|e| panic!("{context}: {e}"));
            assert_eq!(server.state().objects.keys().collect::<Vec<_>>(), ["out/large"], "{context}");
            // An upload whose begin was answered into the void cannot be known of; it can be found.
            storage.sweep_uploads().await.unwrap();
            assert!(server.state().uploads.is_empty(), "{context}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_does_not_make_a_taken_name_of_our_own() {
    for act in [
        Act::DoAndHang,
        Act::Hang,
        Act::Answer(Answer::error(500, "InternalError")),
        Act::Answer(Answer::error(409, "ConditionalRequestConflict")),
    ] {
        let server = Server::start();
        server.fault("PUT", "lock", 1, act.clone());
        let storage = server.storage();
        assert!(storage.put_new("lock", "mine").await.unwrap(), "{act:?}");
        assert!(!storage.put_new("lock", "yours").await.unwrap(), "{act:?}");
        assert_eq!(storage.get("lock").await.unwrap().unwrap(), "mine", "{act:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_conditional_writes_is_looked_at_first() {
    let server = Server::start();
    server.fault("PUT", "lock", 1, Act::Answer(Answer::error(501, "NotImplemented")));
    let storage = server.storage();
    assert!(storage.put_new("lock", "mine").await.unwrap());
    server.fault("PUT", "lock", 1, Act::Answer(Answer::error(501, "NotImplemented")));
    assert!(!storage.put_new("lock", "yours").await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_fails_anywhere_is_aborted_before_the_error_is_told() {
    let stop = Act::Answer(Answer::error(400, "InvalidRequest"));
    for (method, part) in [("PUT", "partNumber=1"), ("PUT", "partNumber=3"), ("POST", "uploadId")] {
        let server = Server::start();
        server.fault(method, part, 100, stop.clone());
        let storage = server.storage();
        let error = write(&storage, "x", &noise(PART * 4)).await.unwrap_err();
        assert!(error.to_string().contains("InvalidRequest"), "{error}");
        assert!(!error.is_transient());
        let state = server.state();
        assert!(state.uploads.is_empty() && state.objects.is_empty(), "{method} {part}");
        assert_eq!(state.log.iter().filter(|(method, ..)| method == "DELETE").count(), 1, "{method} {part}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_in_the_background_is_said_at_the_end_and_only_fails() {
    let server = Server::start();
    server.fault("PUT", "partNumber=1", 100, Act::Answer(Answer::error(507, "")));
    let storage = server.storage();
    let mut writer = storage.create("x").await.unwrap();
    let mut failed = false;
    // However late the failure is noticed, no later call succeeds.
    for _ in 0..8 {
        let outcome = writer.write(Bytes::from(noise(PART))).await;
        assert!(!failed || outcome.is_err());
        failed |= outcome.is_err();
    }
    assert!(writer.finish().await.is_err());
    assert!(server.state().objects.is_empty() && server.state().uploads.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_that_fails_is_not_forgotten() {
    let _turn = SETTLING.lock().await;
    let server = Server::start();
    server.fault("DELETE", "uploadId", 100, Act::Answer(Answer::error(403, "AccessDenied")));
    let storage = server.storage();
    let mut writer = storage.create("never/aborted").await.unwrap();
    writer.write(Bytes::from(noise(PART * 2))).await.unwrap();
    drop(writer);
    let left = support::settled().await;
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].to_string().starts_with("`s3://bucket/out/never/aborted`: access is denied"), "{}", left[0]);
    assert_eq!(server.state().uploads.len(), 1);
    server.state().faults.clear();
    assert_eq!(storage.sweep_uploads().await.unwrap(), 1);
    assert!(server.state().uploads.is_empty());
}

#[test]
fn a_writer_that_dies_with_its_runtime_leaves_nothing() {
    let server = Server::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let storage = server.storage();
    runtime.block_on(async {
        let mut writer = storage.create("x").await.unwrap();
        writer.write(Bytes::from(noise(PART * 3))).await.unwrap();
        // Held by a task that never ends: only the end of the runtime drops it.
        tokio::spawn(async move {
            std::future::pending::<()>().await;
            drop(writer);
        });
        assert_eq!(server.state().uploads.len(), 1);
    });
    drop(runtime);
    let left = {
        let _turn = SETTLING.blocking_lock();
        settle(Duration::from_secs(30))
    };
    assert!(left.is_empty(), "{left:?}");
    assert!(server.state().uploads.is_empty());
    assert!(server.state().objects.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_names_and_are_not_repeated() {
    let cases: [Case; 7] = [
        (403, "SignatureDoesNotMatch", |e| matches!(e, StorageError::Credentials { .. }) && e.is_denied()),
        (403, "InvalidAccessKeyId", |e| matches!(e, StorageError::Credentials { .. })),
        (400, "ExpiredToken", |e| matches!(e, StorageError::Credentials { .. })),
        (403, "AccessDenied", |e| matches!(e, StorageError::Denied { .. }) && e.is_denied()),
        (404, "NoSuchBucket", |e| matches!(e, StorageError::NoBucket { .. })),
        (507, "InsufficientStorage", |e| e.is_full()),
        (403, "QuotaExceeded", |e| e.is_full()),
    ];
    for (status, code, is_it) in cases {
        let server = Server::start();
        server.fault("PUT", "", 100, Act::Answer(Answer::error(status, code)));
        server.fault("GET", "", 100, Act::Answer(Answer::error(status, code)));
        let storage = server.storage();
        for error in [
            storage.put("x", "1").await.unwrap_err(),
            storage.get("x").await.unwrap_err(),
            storage.list("").await.unwrap_err(),
            storage.put_new("x", "1").await.unwrap_err(),
        ] {
            assert!(is_it(&error), "{code}: {error:?}");
            assert!(!error.is_transient() && !error.is_not_found(), "{code}");
            assert!(error.to_string().contains(code) && error.to_string().contains("s3://bucket/out"), "{error}");
        }
        assert_eq!(server.state().log.len(), 4, "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_name_the_variables_and_no_secret() {
    let server = Server::start();
    server.state().keys.push("other".to_owned());
    let error = server.storage().put("x", "1").await.unwrap_err().to_string();
    assert!(
        error.starts_with("`s3://bucket/out/x`: the credentials are refused: answer 403 InvalidAccessKeyId (as told); looked at "),
        "{error}"
    );
    for words in ["AWS_ACCESS_KEY_ID (set)", "AWS_SECRET_ACCESS_KEY (set)", "AWS_SESSION_TOKEN (not set)"] {
        assert!(error.contains(words), "{error}");
    }
    assert!(!error.contains("secret"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_not_there_is_named() {
    let server = Server::start();
    let storage = Storage::open_with("s3://nowhere/out", &server.settings()).unwrap();
    let error = storage.get("x").await.unwrap_err().to_string();
    assert!(error.starts_with("`s3://nowhere/out/x`: there is no bucket or container `nowhere`"), "{error}");
    let error = expand_with("s3://nowhere/in/*.tar", &server.settings()).await.unwrap_err();
    assert!(!error.is_not_found() && error.to_string().contains("`nowhere`"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_elsewhere_names_its_region() {
    let server = Server::start();
    server.fault("GET", "", 100, Act::Answer(Answer::error(301, "PermanentRedirect").with("x-amz-bucket-region", "eu-west-1")));
    let error = server.storage().get("x").await.unwrap_err().to_string();
    assert_eq!(error, "`s3://bucket/out/x`: the bucket `bucket` is not in region `us-east-1`; set AWS_REGION to `eu-west-1`");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_never_recovers_is_given_up_within_its_bounds() {
    for (act, status) in [
        (Act::Answer(Answer::error(503, "SlowDown")), "503 SlowDown"),
        (Act::Answer(Answer::error(500, "InternalError")), "500 InternalError"),
        (Act::Answer(Answer::of(429, "")), "429"),
    ] {
        let server = Server::start();
        server.fault("GET", "/x", 1000, act);
        let error = server.storage().get("x").await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(status) && text.contains("given up after 6 tries") && text.contains("`s3://bucket/out/x`"), "{text}");
        assert_eq!(server.count("GET", "/x"), 6);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_where_nobody_is_is_given_up_soon() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut patient = limits();
    patient.retries = 1000;
    let settings = Settings::of([
        ("AWS_ENDPOINT_URL", format!("http://{free}")),
        ("AWS_ACCESS_KEY_ID", "k".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "s".to_owned()),
    ])
    .with_limits(patient);
    let error = Storage::open_with("s3://bucket", &settings).unwrap().get("x").await.unwrap_err();
    assert!(matches!(error, StorageError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("after 4 tries") && error.to_string().contains("refused"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_to_be_left_alone_is_heeded_by_all() {
    let server = Server::start();
    let storage = server.storage();
    storage.put("x", "1").await.unwrap();
    server.fault("GET", "/x", 1, Act::Answer(Answer::error(503, "SlowDown").with("retry-after", 1)));
    server.state().log.clear();
    let first = tokio::spawn({
        let storage = storage.clone();
        async move { storage.get("x").await.unwrap() }
    });
    while !first.is_finished() {
        assert_eq!(storage.size("x").await.unwrap(), Some(1));
    }
    first.await.unwrap();
    let state = server.state();
    let complaint = state.log.iter().find(|(method, ..)| method == "GET").unwrap().2;
    // Until the complaint is read others may pass; from then on, for the rest of the second, none does.
    let quiet = Duration::from_millis(500)..Duration::from_millis(950);
    assert!(!state.log.iter().any(|(.., at)| quiet.contains(&at.saturating_duration_since(complaint))));
    assert!(state.log.len() > 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_longer_than_patience_is_told_and_not_waited_for() {
    let server = Server::start();
    server.fault("GET", "/x", 1, Act::Answer(Answer::error(503, "SlowDown").with("retry-after", 86_400)));
    let error = server.storage().get("x").await.unwrap_err().to_string();
    assert!(error.contains("asks to be left alone for 86400 s"), "{error}");
    assert_eq!(server.count("GET", "/x"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_a_store_are_bounded_over_all_openings() {
    let server = Server::start();
    server.state().pause = Duration::from_millis(5);
    let mut few = limits();
    few.connections = 3;
    let works = (0..40).map(|number| {
        // Opened anew each time: it is one store all the same.
        let storage = server.storage_with(few.clone());
        tokio::spawn(async move {
            storage.put(&format!("{number}"), "x").await.unwrap();
            storage.get(&format!("{number}")).await.unwrap().unwrap()
        })
    });
    assert!(futures::future::join_all(works).await.into_iter().all(|got| got.unwrap() == "x"));
    assert!(server.state().busiest <= 3, "{}", server.state().busiest);
    assert!(server.state().busiest > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn common_crawl_is_left_alone_on_403_and_read_in_the_end() {
    let server = Server::start();
    let mut polite = Limits::common_crawl();
    assert_eq!((polite.connections, polite.spacing, polite.forbidden_retries), (10, Duration::from_secs(1), 3));
    // The manners, at a speed that a test can wait for.
    (polite.first_pause, polite.longest_pause, polite.spacing) =
        (Duration::from_millis(2), Duration::from_millis(20), Duration::from_millis(5));
    polite.forbidden_pause = Duration::from_millis(5);
    polite.connections = 2;
    let settings = Settings::default().with_limits(polite);
    let bytes = noise(3 << 20);
    server
        .state()
        .objects
        .insert("crawl/a.wat.gz".to_owned(), support::Object { bytes: bytes.clone(), e_tag: "\"1\"".to_owned(), metadata: vec![] });
    let uri = format!("http://{}/{BUCKET}/crawl/a.wat.gz", server.address);
    server.fault("GET", "a.wat.gz", 2, Act::Answer(Answer::of(403, "<html>Forbidden</html>")));
    server.fault("GET", "a.wat.gz", 2, Act::Answer(Answer::of(503, "Slow Down").with("retry-after", 0)));
    let read = {
        let (uri, settings) = (uri.clone(), settings.clone());
        tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            std::io::Read::read_to_end(&mut Input::open_with(&uri, &settings).unwrap().into_read(), &mut all).map(|_| all)
        })
    };
    assert!(read.await.unwrap().unwrap() == bytes);
    assert!(server.state().busiest <= 2);

    // And for one who is blocked: three more tries, then silence.
    server.state().log.clear();
    server.fault("HEAD", "a.wat.gz", 1000, Act::Answer(Answer::of(403, "")));
    server.fault("GET", "a.wat.gz", 1000, Act::Answer(Answer::of(403, "")));
    let error = expand_with(&uri, &settings).await.unwrap_err();
    assert!(error.to_string().contains("403") && error.to_string().contains("4 tries"), "{error}");
    assert_eq!(server.count("HEAD", ""), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_is_read_on_from_there() {
    let server = Server::start();
    let storage = server.storage();
    let bytes = noise(2 << 20);
    write(&storage, "x", &bytes).await.unwrap();
    server.fault("GET", "/x", 3, Act::Cut(100_000));
    assert!(storage.get("x").await.unwrap().unwrap() == bytes);
    server.fault("GET", "/x", 3, Act::Cut(100_000));
    let sha256 = storage.sha256("x").await.unwrap();
    assert_eq!(sha256, storage.sha256("x").await.unwrap());
    // One that never comes whole is an error, and no shorter file.
    server.fault("GET", "/x", 1000, Act::Cut(10));
    let error = storage.get("x").await.unwrap_err();
    assert!(matches!(error, StorageError::BrokeOff { .. }) && error.is_transient(), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_that_changes_under_the_reader_is_an_error() {
    let server = Server::start();
    let storage = server.storage();
    storage.put("x", noise(1 << 20)).await.unwrap();
    let (uri, settings) = (storage.uri_of("x"), server.settings());
    let open = tokio::task::spawn_blocking(move || Input::open_with(&uri, &settings).unwrap());
    let input = open.await.unwrap();
    storage.put("x", noise((1 << 20) - 1)).await.unwrap();
    let error =
        tokio::task::spawn_blocking(move || std::io::copy(&mut input.into_read(), &mut std::io::sink()).unwrap_err()).await.unwrap();
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<StorageError>()).unwrap();
    assert!(matches!(inner, StorageError::Changed { .. }), "{inner:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn web_servers_are_read_with_and_without_ranges_and_head() {
    for (ranges, head) in [(true, true), (false, true), (true, false), (false, false)] {
        let server = Server::start();
        let bytes = Bytes::from(noise(3_000_000));
        server
            .state()
            .objects
            .insert("in/a b.bin".to_owned(), support::Object { bytes: bytes.to_vec(), e_tag: "\"1\"".to_owned(), metadata: vec![] });
        server.state().no_ranges = !ranges;
        if !head {
            server.fault("HEAD", "", 1000, Act::Answer(Answer::of(405, "")));
        }
        let settings = Settings::default().with_limits(limits());
        // The query is sent along: it may be a signature.
        let uri = format!("http://{}/{BUCKET}/in/a%20b.bin?signature=a%2Fb", server.address);
        let files = expand_with(&uri, &settings).await.unwrap();
        assert_eq!((files.len(), files[0].size), (1, bytes.len() as u64));
        let expected = bytes.clone();
        tokio::task::spawn_blocking(move || {
            use parquet::file::reader::ChunkReader;
            let input = Input::open_with(&uri, &settings).unwrap();
            assert_eq!(input.get_bytes(2_000_000, 100).unwrap(), expected.slice(2_000_000..2_000_100));
            let mut all = Vec::new();
            std::io::Read::read_to_end(&mut input.into_read(), &mut all).unwrap();
            assert!(all == expected, "ranges {ranges}, head {head}");
        })
        .await
        .unwrap();
        assert!(server.state().log.iter().all(|(_, target, _)| target.ends_with("?signature=a%2Fb")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_to_a_web_server() {
    let server = Server::start();
    let storage = Storage::open_with(&format!("http://{}/{BUCKET}", server.address), &Settings::default()).unwrap();
    for error in
        [storage.put("x", "1").await.unwrap_err(), storage.put_new("x", "1").await.unwrap_err(), storage.delete("x").await.unwrap_err()]
    {
        assert!(matches!(error, StorageError::ReadOnly { .. }), "{error:?}");
    }
    assert!(server.state().log.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_as_input_leaves_out_a_jobs_own_files_and_empty_objects() {
    let server = Server::start();
    let storage = server.storage();
    for name in ["a.parquet", "b/c.parquet", "_trommel/job.json", "b/.hidden/x", "_SUCCESS"] {
        storage.put(name, "x").await.unwrap();
    }
    storage.put("b", "").await.unwrap();
    let uris: Vec<_> = expand_with("s3://bucket/out", &server.settings()).await.unwrap().into_iter().map(|file| file.uri).collect();
    assert_eq!(uris, ["s3://bucket/out/a.parquet", "s3://bucket/out/b/c.parquet"]);
    assert!(matches!(expand_with("s3://bucket/none", &server.settings()).await, Err(SourceError::NoMatch(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn public_buckets_are_read_without_a_name() {
    let server = Server::start();
    server.storage().put("x", "public").await.unwrap();
    let settings = Settings::of([("AWS_ENDPOINT_URL", format!("http://{}", server.address)), ("AWS_SKIP_SIGNATURE", "true".to_owned())]);
    let storage = Storage::open_with("s3://bucket/out", &settings.with_limits(limits())).unwrap();
    assert_eq!(storage.get("x").await.unwrap().unwrap(), "public");
}
