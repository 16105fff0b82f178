use super::*;

fn stores() -> Vec<(Storage, Option<tempfile::TempDir>)> {
    let dir = tempfile::tempdir().unwrap();
    let local = Storage::open(dir.path().to_str().unwrap()).unwrap();
    vec![(local, Some(dir)), (Storage::in_memory(Arc::new(InMemory::new()), "test"), None)]
}

#[tokio::test]
async fn an_object_is_invisible_until_it_is_finished() {
    for (storage, _dir) in stores() {
        let mut writer = storage.create("a/b.bin").await.unwrap();
        writer.write(Bytes::from(vec![7; 20 << 20])).await.unwrap();
        assert_eq!(storage.get("a/b.bin").await.unwrap(), None);
        assert_eq!(storage.list("").await.unwrap(), vec![]);
        let written = writer.finish().await.unwrap();
        assert_eq!(written.bytes, 20 << 20);
        assert_eq!(storage.size("a/b.bin").await.unwrap(), Some(20 << 20));
        assert_eq!(storage.list("a").await.unwrap(), vec![Entry { name: "a/b.bin".into(), size: 20 << 20 }]);
    }
}

#[tokio::test]
async fn a_dropped_writer_leaves_nothing() {
    for (storage, dir) in stores() {
        let mut writer = storage.create("x").await.unwrap();
        writer.write(Bytes::from_static(b"half")).await.unwrap();
        drop(writer);
        assert_eq!(storage.list("").await.unwrap(), vec![]);
        if let Some(dir) = dir {
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        }
    }
}

#[tokio::test]
async fn what_a_killed_run_left_is_swept() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(dir.path().to_str().unwrap()).unwrap();
    std::mem::forget(storage.create("deep/er/x").await.unwrap());
    storage.put("deep/er/y", "kept").await.unwrap();
    assert_eq!(storage.sweep_temporaries().unwrap(), 1);
    assert_eq!(std::fs::read_dir(dir.path().join("deep/er")).unwrap().count(), 1);
}

#[tokio::test]
async fn the_digest_is_that_of_the_content() {
    for (storage, _dir) in stores() {
        // SHA-256 of "abc", FIPS 180-4 appendix.
        let written = storage.put("abc", "abc").await.unwrap();
        assert_eq!(written.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}

#[tokio::test]
async fn a_taken_name_is_not_put_again() {
    for (storage, _dir) in stores() {
        assert!(storage.put_new("lock", "1").await.unwrap());
        assert!(!storage.put_new("lock", "2").await.unwrap());
        assert_eq!(storage.get("lock").await.unwrap().unwrap(), "1");
        storage.delete("lock").await.unwrap();
        storage.delete("lock").await.unwrap();
    }
}
