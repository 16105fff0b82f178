//! What a caller may rely on, whatever the store.

use std::io::Read;

use bytes::Bytes;
use parquet::file::reader::ChunkReader;
use trommel_shards::source::{Input, expand_with};
use trommel_shards::storage::{Settings, Storage};

use super::noise;

/// Runs every promise of `Storage` against an empty place. `part` is the part size that the storage was opened with.
pub(crate) async fn conforms(storage: &Storage, settings: &Settings, part: usize) {
    nothing_is_there(storage).await;
    names_are_kept(storage).await;
    a_large_object_is_whole_or_not_there(storage, settings, part).await;
    one_of_many_gets_a_name(storage).await;
    a_given_up_write_leaves_nothing(storage, part).await;
    listing_has_all_pages(storage).await;
    for entry in storage.list("").await.unwrap() {
        storage.delete(&entry.name).await.unwrap();
    }
    assert_eq!(storage.list("").await.unwrap(), []);
}

async fn nothing_is_there(storage: &Storage) {
    assert_eq!(storage.list("").await.unwrap(), []);
    assert_eq!(storage.get("x").await.unwrap(), None);
    assert_eq!(storage.size("x").await.unwrap(), None);
    assert_eq!(storage.sha256("x").await.unwrap(), None);
    storage.delete("x").await.unwrap();
}

async fn names_are_kept(storage: &Storage) {
    let names = ["plain/00000.tar", "with space/ä ö.txt", "per%20cent/100%.txt", "a+b=c&d<e>'f'.txt", "(x)[y]{z}~!@$,;.json", "empty"];
    for name in names {
        let text = if name == "empty" { Bytes::new() } else { Bytes::from(format!("of {name}")) };
        storage.put(name, "before").await.unwrap();
        let written = storage.put(name, text.clone()).await.unwrap();
        assert_eq!(written.bytes, text.len() as u64);
        assert_eq!(storage.get(name).await.unwrap(), Some(text.clone()), "{name}");
        assert_eq!(storage.size(name).await.unwrap(), Some(text.len() as u64), "{name}");
        assert_eq!(storage.sha256(name).await.unwrap(), Some(written.sha256), "{name}");
    }
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    let listed: Vec<_> = storage.list("").await.unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(listed, sorted);
    let folder = storage.folder("with space");
    assert_eq!(folder.list("").await.unwrap()[0].name, "ä ö.txt");
    assert_eq!(storage.list("with space").await.unwrap()[0].name, "with space/ä ö.txt");
    // A folder is not the beginning of a name.
    assert_eq!(storage.list("with").await.unwrap(), []);
}

async fn a_large_object_is_whole_or_not_there(storage: &Storage, settings: &Settings, part: usize) {
    let bytes = Bytes::from(noise(part * 5 / 2));
    storage.put("large/x.bin", "the one before").await.unwrap();
    let mut writer = storage.create("large/x.bin").await.unwrap();
    for piece in bytes.chunks(part / 3 + 7) {
        writer.write(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    assert_eq!(storage.get("large/x.bin").await.unwrap().unwrap(), "the one before");
    let written = writer.finish().await.unwrap();
    assert_eq!(written.bytes, bytes.len() as u64);
    assert_eq!(storage.get("large/x.bin").await.unwrap().unwrap(), bytes);
    assert_eq!(storage.sha256("large/x.bin").await.unwrap(), Some(written.sha256));
    if storage.uri().contains("://") {
        read_as_input(&storage.uri_of("large"), &storage.uri_of("large/x.bin"), settings, bytes).await;
    }
}

/// The same object, found as an input and read front to back and at a place.
pub(crate) async fn read_as_input(folder: &str, uri: &str, settings: &Settings, bytes: Bytes) {
    for pattern in [folder.to_owned(), format!("{folder}/*.bin"), uri.to_owned()] {
        let files = expand_with(&pattern, settings).await.unwrap();
        assert_eq!(files.len(), 1, "{pattern}");
        assert_eq!((files[0].uri.as_str(), files[0].size), (uri, bytes.len() as u64), "{pattern}");
    }
    let (uri, settings) = (uri.to_owned(), settings.clone());
    tokio::task::spawn_blocking(move || {
        let input = Input::open_with(&uri, &settings).unwrap();
        let middle = bytes.len() / 2;
        assert_eq!(input.get_bytes(middle as u64, 1000).unwrap(), bytes.slice(middle..middle + 1000));
        let mut all = Vec::new();
        input.into_read().read_to_end(&mut all).unwrap();
        assert!(all == bytes, "{uri}");
    })
    .await
    .unwrap();
}

async fn one_of_many_gets_a_name(storage: &Storage) {
    let tries = (0..8).map(|number| {
        let storage = storage.clone();
        tokio::spawn(async move { storage.put_new("lock", format!("{number}")).await.unwrap().then_some(number) })
    });
    let winners: Vec<_> = futures::future::join_all(tries).await.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert_eq!(storage.get("lock").await.unwrap().unwrap(), format!("{}", winners[0]));
    storage.delete("lock").await.unwrap();
    assert!(storage.put_new("lock", "again").await.unwrap());
    storage.put("lock", "replaced").await.unwrap();
    storage.delete("lock").await.unwrap();
}

async fn a_given_up_write_leaves_nothing(storage: &Storage, part: usize) {
    let mut writer = storage.create("given/up").await.unwrap();
    writer.write(Bytes::from(noise(part * 3))).await.unwrap();
    drop(writer);
    let left = tokio::task::spawn_blocking(|| trommel_shards::storage::settle(std::time::Duration::from_secs(30))).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(storage.get("given/up").await.unwrap(), None);
    assert_eq!(storage.sweep_uploads().await.unwrap(), 0);
    // What a killed run leaves: an upload that nobody aborts.
    let mut writer = storage.create("killed").await.unwrap();
    writer.write(Bytes::from(noise(part * 2))).await.unwrap();
    std::mem::forget(writer);
    storage.sweep_uploads().await.unwrap();
    assert_eq!(storage.sweep_uploads().await.unwrap(), 0);
    assert_eq!(storage.get("killed").await.unwrap(), None);
    storage.sweep_temporaries().unwrap();
}

async fn listing_has_all_pages(storage: &Storage) {
    let names: Vec<_> = (0..10).map(|number| format!("pages/{number:05}.json")).collect();
    for name in &names {
        storage.put(name, "{}").await.unwrap();
    }
    let listed: Vec<_> = storage.list("pages").await.unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(listed, names);
}
