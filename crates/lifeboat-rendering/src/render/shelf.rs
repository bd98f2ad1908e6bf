//! Media files beside the pages, each once, under harmless names.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use lifeboat_package::digest::Digest;
use lifeboat_pages::event::MediaWish;
use lifeboat_pages::place;

use super::RenderOutcome;
use super::known::Lists;
use lifeboat_engine::failure::Failure;
use lifeboat_engine::reader::places::ContentPlaces;
use lifeboat_engine::reader::{Package, damaged};
use lifeboat_engine::roomkeys::FileCipher;
use lifeboat_engine::unpack::{cannot_write, create};

/// Characters of a digest that keep files apart.
const MARK: usize = 16;

/// The media of a package, and which of them were written.
pub(super) struct Shelf<'a> {
    package: &'a Package,
    /// Nothing, where no media are to come along.
    blobs: Option<ContentPlaces>,
    /// By digest, and whether it was opened: the path below the archive.
    written: HashMap<(String, bool), String>,
}

impl<'a> Shelf<'a> {
    /// Finds the blobs, if files are to be written.
    pub(super) async fn open(package: &'a Package, wanted: bool) -> Result<Self, Failure> {
        let blobs = if wanted { Some(ContentPlaces::of(package).await?) } else { None };
        Ok(Self { package, blobs, written: HashMap::new() })
    }

    /// The path of a file below the archive, which it is written to now unless it is there.
    pub(super) async fn place(
        &mut self,
        folder: &Path,
        wish: &MediaWish,
        lists: &Lists,
        outcome: &mut RenderOutcome,
    ) -> Result<Option<String>, Failure> {
        let Some(blobs) = &self.blobs else { return Ok(None) };
        let found = lists.media.get(&wish.mxc).and_then(|sha256| {
            let digest: Digest = sha256.parse().ok()?;
            Some((sha256, digest, blobs.pieces(&digest)?))
        });
        let Some((sha256, digest, pieces)) = found else {
            outcome.media_missing += 1;
            return Ok(None);
        };
        let known = (sha256.clone(), wish.sealed.is_some());
        if let Some(path) = self.written.get(&known) {
            return Ok(Some(path.clone()));
        }
        let cipher = wish.sealed.as_ref().map(|file| FileCipher::new(file, &digest));
        // A file whose key does not fit stays away: nobody could read it.
        let Ok(mut cipher) = cipher.map(|cipher| cipher.ok_or(())).transpose() else {
            outcome.media_missing += 1;
            return Ok(None);
        };
        let mark = sha256.get(..MARK).unwrap_or_default();
        let mark = if cipher.is_some() { format!("{mark}-opened") } else { mark.to_owned() };
        let name = place::file_name(&mark, &wish.name, wish.media_type.as_deref());
        let path = folder.join("media").join(&name);
        let mut file = create(&path).map_err(|e| cannot_write(&path, e))?;
        for piece in pieces {
            let mut bytes = self.package.content(&piece).await?;
            if let Some(cipher) = &mut cipher {
                bytes = cipher.open(&bytes).ok_or_else(|| damaged(&wish.mxc))?;
            }
            file.write_all(&bytes).map_err(|e| cannot_write(&path, e))?;
            outcome.bytes += bytes.len() as u64;
        }
        outcome.media_files += 1;
        let path = format!("media/{name}");
        self.written.insert(known, path.clone());
        Ok(Some(path))
    }
}
