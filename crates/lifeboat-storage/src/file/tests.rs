//! A local file, on the real file system.

use std::fs;

use lifeboat_testing::Scratch;

use super::*;

fn scratch() -> Scratch {
    Scratch::new("file").unwrap()
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
