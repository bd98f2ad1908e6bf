//! Content on its way into the package: named by its sum, and sent where the vault lacks it.

use std::io::{self, Read};

use lifeboat_engine::failure::Failure;
use lifeboat_engine::writer::sink::PartSink;
use lifeboat_package::digest::Digest;

use super::{Poured, flow};
use crate::known::Known;

/// Sends a segment that the vault lacks; gives its name.
///
/// # Errors
/// [`Failure`] when the package cannot be written.
pub async fn segment(
    content: Vec<u8>,
    known: &Known,
    (poured, sink): (&mut Poured, &mut PartSink),
) -> Result<Digest, Failure> {
    let digest = Digest::of(&content);
    if known.is_wanted(digest.as_bytes(), 1) {
        poured.new_bytes += content.len() as u64;
        sink.segment(digest.as_bytes(), content).await.map_err(flow)?;
    }
    Ok(digest)
}

/// Sends what is read, in segments of so many bytes; gives their names and the bytes read. An error
/// of the reading is within.
///
/// # Errors
/// [`Failure`] when the package cannot be written.
pub async fn segments(
    (mut file, bytes): (impl Read, usize),
    known: &Known,
    (poured, sink): (&mut Poured, &mut PartSink),
) -> Result<io::Result<(Vec<Digest>, u64)>, Failure> {
    let (mut digests, mut read) = (Vec::new(), 0);
    loop {
        let mut piece = Vec::new();
        if let Err(e) = file.by_ref().take(bytes as u64).read_to_end(&mut piece) {
            return Ok(Err(e));
        }
        if piece.is_empty() {
            return Ok(Ok((digests, read)));
        }
        read += piece.len() as u64;
        digests.push(segment(piece, known, (poured, sink)).await?);
        // Of what is known nothing is awaited, and a file can be long: a stop must be heard.
        tokio::task::yield_now().await;
    }
}
