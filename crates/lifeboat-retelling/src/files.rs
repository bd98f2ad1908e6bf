//! Files that messages name, uploaded before the messages: each once, decrypted where they were
//! encrypted.

use std::io;
use std::sync::atomic::Ordering;

use crate::server::client::Upload;
use futures_util::stream::unfold;
use lifeboat_package::digest::Digest;
use lifeboat_transcript::files::FileWish;
use lifeboat_transcript::ids::IdLine;
use tokio::sync::mpsc;

use crate::run::Run;
use crate::{answer_of, stuck};
use lifeboat_engine::failure::Failure;
use lifeboat_engine::reader::EntryPlace;
use lifeboat_engine::roomkeys::FileCipher;
use lifeboat_transcript::outcome::RoomTold;

/// How often an upload is tried, where the server asks us to wait.
const TRIES: usize = 30;

/// What a file is, where nobody says.
const UNKNOWN: &str = "application/octet-stream";

impl Run<'_> {
    /// Uploads a file unless it is there; counts it as missing where that cannot be.
    pub(crate) async fn file(&self, wish: &FileWish, told: &mut RoomTold) -> Result<(), Failure> {
        let opened = wish.sealed.is_some();
        let _one = self.uploading.lock().await;
        if self.stage.ids().file(&wish.mxc, opened).is_some() {
            return Ok(());
        }
        let found = self.media.get(&wish.mxc).and_then(|sha256| {
            let digest: Digest = sha256.parse().ok()?;
            Some((digest, self.blobs.pieces(&digest)?))
        });
        let Some((digest, pieces)) = found else {
            told.files_missing += 1;
            return Ok(());
        };
        let length = pieces.iter().map(|piece| piece.record.length).sum();
        let fits = self.upload_limit.is_none_or(|limit| length <= limit);
        // A file whose key does not fit stays away: nobody could read it.
        let opens =
            wish.sealed.as_ref().is_none_or(|file| FileCipher::new(file, &digest).is_some());
        if !fits || !opens {
            if !fits {
                told.refused(format!("a file of {length} bytes is larger than the server takes"));
            }
            told.files_missing += 1;
            return Ok(());
        }
        let new = if self.stage.is_dry() {
            Some(format!("mxc://{}/{}", self.stage.ids().server(), self.stage.imagine()))
        } else {
            self.upload(wish, (&digest, &pieces, length), told).await?
        };
        let Some(new) = new else {
            told.files_missing += 1;
            return Ok(());
        };
        self.files.fetch_add(1, Ordering::Relaxed);
        let line = IdLine::Media { old: wish.mxc.clone(), new, opened };
        self.stage.learn(line).map_err(stuck)
    }

    async fn upload(
        &self,
        wish: &FileWish,
        (digest, pieces, length): (&Digest, &[EntryPlace], u64),
        told: &mut RoomTold,
    ) -> Result<Option<String>, Failure> {
        let media_type = wish.media_type.as_deref().unwrap_or(UNKNOWN);
        let file = Upload { name: wish.name.as_deref(), media_type, length };
        for _ in 0..TRIES {
            let (sender, receiver) = mpsc::channel(1);
            let stream =
                unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });
            let cipher = wish.sealed.as_ref().and_then(|file| FileCipher::new(file, digest));
            let fed = self.feed(pieces, cipher, sender);
            let (fed, sent) = tokio::join!(fed, self.stage.client.upload(file, stream));
            fed?;
            match sent {
                Ok(Ok(address)) => return Ok(Some(address)),
                Ok(Err(wait)) => tokio::time::sleep(wait).await,
                Err(error) if error.is_about_this() => {
                    told.refused(error.to_string());
                    return Ok(None);
                }
                Err(error) => return Err(answer_of(error)),
            }
        }
        told.refused("the server takes too few files in a time".to_owned());
        Ok(None)
    }

    /// Hands the pieces of a file over, one at a time.
    async fn feed(
        &self,
        pieces: &[EntryPlace],
        mut cipher: Option<FileCipher>,
        sender: mpsc::Sender<Result<Vec<u8>, io::Error>>,
    ) -> Result<(), Failure> {
        for piece in pieces {
            let read = self.package.content(piece).await;
            let bytes = match (read, &mut cipher) {
                (Err(failure), _) => {
                    // A body that only ended would be taken for the whole file.
                    sender.send(Err(io::Error::other("the package cannot be read"))).await.ok();
                    return Err(failure);
                }
                (Ok(bytes), None) => bytes,
                (Ok(bytes), Some(cipher)) => cipher.open(&bytes).unwrap_or_default(),
            };
            // The server answered before it had everything: its answer says why.
            if sender.send(Ok(bytes)).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}
