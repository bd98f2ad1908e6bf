//! Where the blobs of a package are.

use std::collections::HashMap;

use lifeboat_package::digest::Digest;

use super::{EntryPlace, Package};
use crate::failure::Failure;

/// The entries of every blob, pieces in order.
#[derive(Default)]
pub struct BlobPlaces(HashMap<[u8; 32], Vec<EntryPlace>>);

impl BlobPlaces {
    /// Reads the indexes of all volumes.
    ///
    /// # Errors
    /// [`Failure`] when one is damaged.
    pub async fn of(package: &Package) -> Result<Self, Failure> {
        let mut blobs: HashMap<[u8; 32], Vec<EntryPlace>> = HashMap::new();
        for (volume, listed) in package.manifest.volumes.iter().enumerate() {
            for record in package.index(listed).await? {
                if let Some((sha256, _)) = record.path.blob() {
                    blobs.entry(sha256).or_default().push(EntryPlace { volume, record });
                }
            }
        }
        for pieces in blobs.values_mut() {
            // A run that was cut short can leave a piece that a later one stored again.
            pieces.sort_by_key(|piece| piece.record.path.blob().and_then(|(_, number)| number));
            pieces.dedup_by(|a, b| a.record.path == b.record.path);
        }
        Ok(Self(blobs))
    }

    /// The entries that hold a blob, in order; `None` when the package does not hold it.
    pub fn pieces(&self, sha256: &Digest) -> Option<&[EntryPlace]> {
        self.0.get(sha256.as_bytes()).map(Vec::as_slice)
    }
}
