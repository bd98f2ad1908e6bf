//! A local file, on the real file system.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use lifeboat_testing::Scratch;

use super::*;

fn scratch() -> Scratch {
    Scratch::new("file").unwrap()
}

#[tokio::test]
async fn what_is_appended_and_patched_is_read_back() {
    let scratch = scratch();
    let path = scratch.path().join("a.partial");
    let mut file = LocalFile::create(&path).await.unwrap();
    file.append(Bytes::from(vec![0; 512])).await.unwrap();
    file.append(Bytes::from_static(b"volume")).await.unwrap();
    file.write_at(0, Bytes::from_static(b"header")).await.unwrap();
    assert_eq!(file.len(), 518);
    assert_eq!(file.read_at(0..6).await.unwrap(), "header");
    assert_eq!(file.read_at(512..518).await.unwrap(), "volume");
    file.truncate(515).await.unwrap();
    assert_eq!((file.len(), file.read_at(512..515).await.unwrap()), (515, "vol".into()));
    assert!(matches!(file.read_at(512..516).await, Err(StorageError::Damaged { .. })));
    drop(file);

    let mut file = LocalFile::open_writable(&path).await.unwrap();
    file.append(Bytes::from_static(b"!")).await.unwrap();
    assert_eq!(fs::read(&path).unwrap()[512..], *b"vol!");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_pipe_is_refused_and_not_waited_for() {
    let scratch = scratch();
    let path = scratch.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let refused = LocalFile::open(&path).await.unwrap_err();
    assert!(format!("{refused:?}").contains("not a regular file"), "{refused:?}");
}

#[tokio::test]
async fn a_range_is_streamed_in_pieces() {
    let scratch = scratch();
    let path = scratch.path().join("a");
    let content: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    fs::write(&path, &content).unwrap();
    let file = LocalFile::open(&path).await.unwrap();
    let mut pieces = file.stream(1000..2_900_000).unwrap();
    let (mut read, mut sizes) = (Vec::new(), Vec::new());
    while let Some(piece) = pieces.next().await.unwrap() {
        sizes.push(piece.len());
        read.extend_from_slice(&piece);
    }
    assert_eq!(sizes, [1 << 20, 1 << 20, 2_899_000 - (2 << 20)]);
    assert!(read == content[1000..2_900_000]);
    assert!(file.stream(0..3_000_001).is_err());
}

#[tokio::test]
async fn a_file_gets_its_final_name_but_never_over_another() {
    let scratch = scratch();
    let (partial, taken) = (scratch.path().join("a.partial"), scratch.path().join("taken"));
    fs::write(&taken, "precious").unwrap();
    let mut file = LocalFile::create(&partial).await.unwrap();
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
    let first = LocalFile::create(&path).await.unwrap();
    let error = LocalFile::open_writable(&path).await.unwrap_err();
    assert!(matches!(error, StorageError::Busy { .. }), "{error}");
    assert!(LocalFile::open(&path).await.is_ok());
    drop(first);
    assert!(LocalFile::open_writable(&path).await.is_ok());
}

#[tokio::test]
async fn what_is_there_is_not_created_and_what_is_missing_is_not_opened() {
    let scratch = scratch();
    let path = scratch.path().join("a");
    assert!(matches!(LocalFile::open(&path).await, Err(StorageError::NotFound { .. })));
    fs::write(&path, "x").unwrap();
    assert!(matches!(LocalFile::create(&path).await, Err(StorageError::Exists { .. })));
    assert!(LocalFile::open(scratch.path()).await.is_err(), "a folder is no file");
}
