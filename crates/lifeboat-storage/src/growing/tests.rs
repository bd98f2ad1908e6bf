//! A growing file, on the real file system.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use lifeboat_testing::Scratch;

use super::*;
use crate::LocalFile;
use crate::direct::tests::noise;

fn scratch() -> Scratch {
    Scratch::new("growing").unwrap()
}

#[tokio::test]
async fn what_is_appended_and_patched_is_read_back() {
    let scratch = scratch();
    let path = scratch.path().join("a.partial");
    let mut file = GrowingFile::create(&path).await.unwrap();
    file.append(Bytes::from(vec![0; 512])).await.unwrap();
    file.append(Bytes::from_static(b"volume")).await.unwrap();
    assert_eq!(file.len(), 518);
    file.patch(0, Bytes::from_static(b"header")).await.unwrap();
    assert_eq!(file.len(), 518);
    let read = LocalFile::open(&path).await.unwrap();
    assert_eq!(read.read_at(0..6).await.unwrap(), "header");
    assert_eq!(read.read_at(512..518).await.unwrap(), "volume");
    file.truncate(515).await.unwrap();
    assert_eq!((file.len(), read.read_at(512..515).await.unwrap()), (515, "vol".into()));
    assert!(matches!(read.read_at(512..516).await, Err(StorageError::Damaged { .. })));
    drop(file);

    let mut file = GrowingFile::open(&path).await.unwrap();
    file.append(Bytes::from_static(b"!")).await.unwrap();
    file.sync().await.unwrap();
    assert_eq!(fs::read(&path).unwrap()[512..], *b"vol!");
    file.patch(518, Bytes::from_static(b"+")).await.unwrap();
    file.append(Bytes::from_static(b"-")).await.unwrap();
    file.sync().await.unwrap();
    assert_eq!(fs::read(&path).unwrap()[512..], *b"vol!\0\0+-");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

/// Pieces of all sizes, and patches, so that blocks begin and end anywhere.
#[tokio::test]
async fn large_files_are_as_they_were_given_past_the_cache_and_through_it() {
    let scratch = scratch();
    for is_direct in [true, false] {
        let path = scratch.path().join(format!("{is_direct}"));
        let mut file = GrowingFile::create(&path).await.unwrap();
        file.is_direct = is_direct;
        let mut wanted = Vec::new();
        let sizes = [1, 4095, 3 << 20, 4096, 700_001, 12, 1 << 20, 300_000, (1 << 20) + 7, 0, 9];
        for (at, size) in sizes.into_iter().chain([4096; 600]).enumerate() {
            let piece = noise(size, at as u64);
            file.append(Bytes::from(piece.clone())).await.unwrap();
            wanted.extend_from_slice(&piece);
            assert_eq!(file.len(), wanted.len() as u64);
            if at % 4 == 3 {
                let over = noise(512, 99 + at as u64);
                let place = wanted.len() / 3;
                wanted[place..place + 512].copy_from_slice(&over);
                file.patch(place as u64, Bytes::from(over)).await.unwrap();
                assert!(fs::read(&path).unwrap() == wanted, "{at}");
            }
        }
        file.truncate(2_000_003).await.unwrap();
        wanted.truncate(2_000_003);
        let more = noise(5 << 20, 7);
        wanted.extend_from_slice(&more);
        file.append(Bytes::from(more)).await.unwrap();
        file.sync().await.unwrap();
        assert!(fs::read(&path).unwrap() == wanted);
    }
}

#[tokio::test]
async fn a_file_that_could_not_be_written_once_is_never_called_written() {
    let scratch = scratch();
    let mut file = GrowingFile::create(&scratch.path().join("a")).await.unwrap();
    file.append(Bytes::from_static(b"one")).await.unwrap();
    let full = StorageError::from_io(at("write", file.path()), io::ErrorKind::StorageFull.into());
    file.writing = Some(tokio::spawn(async { Err(full) }));
    let error = file.append(Bytes::from(vec![1; 2 << 20])).await.unwrap_err();
    assert!(matches!(error, StorageError::Full { .. }), "{error}");
    for _ in 0..2 {
        assert!(file.sync().await.is_err());
        assert!(file.patch(0, Bytes::from_static(b"two")).await.is_err());
        assert!(file.persist_as(&scratch.path().join("b")).await.is_err());
    }
    assert!(!scratch.path().join("b").exists());
}

#[tokio::test]
async fn a_file_gets_its_final_name_but_never_over_another() {
    let scratch = scratch();
    let (partial, taken) = (scratch.path().join("a.partial"), scratch.path().join("taken"));
    fs::write(&taken, "precious").unwrap();
    let mut file = GrowingFile::create(&partial).await.unwrap();
    file.append(Bytes::from_static(b"ours")).await.unwrap();
    let error = file.persist_as(&taken).await.unwrap_err();
    assert!(matches!(error, StorageError::Exists { .. }), "{error}");
    assert_eq!(fs::read(&taken).unwrap(), b"precious");
    let last = scratch.path().join("last");
    file.persist_as(&last).await.unwrap();
    assert_eq!((file.path(), fs::read(&last).unwrap()), (last.as_path(), b"ours".to_vec()));
    assert!(!partial.exists());
    file.remove().await.unwrap();
    assert!(!last.exists());
}

#[tokio::test]
async fn a_second_writer_is_told_to_wait_and_a_reader_is_not() {
    let scratch = scratch();
    let path = scratch.path().join("a");
    let first = GrowingFile::create(&path).await.unwrap();
    let error = GrowingFile::open(&path).await.unwrap_err();
    assert!(matches!(error, StorageError::Busy { .. }), "{error}");
    assert!(LocalFile::open(&path).await.is_ok());
    drop(first);
    assert!(GrowingFile::open(&path).await.is_ok());
}

#[tokio::test]
async fn what_is_there_is_not_created_and_what_is_missing_is_not_opened() {
    let scratch = scratch();
    let path = scratch.path().join("a");
    assert!(matches!(LocalFile::open(&path).await, Err(StorageError::NotFound { .. })));
    fs::write(&path, "x").unwrap();
    assert!(matches!(GrowingFile::create(&path).await, Err(StorageError::Exists { .. })));
    assert!(LocalFile::open(scratch.path()).await.is_err(), "a folder is no file");
}
