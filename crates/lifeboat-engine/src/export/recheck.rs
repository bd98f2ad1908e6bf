//! Before going on: are the volumes an earlier run finished still what it wrote?

use std::collections::BTreeMap;

use lifeboat_components::synapse::read::media::KnownBlobs;
use lifeboat_package::digest::Hasher;
use lifeboat_package::id::{PackageId, parse_volume_name};
use lifeboat_package::key::PackageKey;
use lifeboat_package::manifest::Volume;
use lifeboat_package::unpack::{Entry, VolumeUnpacker};
use lifeboat_storage::{Access, LocalFile, Location, Pieces, Place, StorageError};

use super::ExportRequest;
use crate::context::{Context, Unit};
use crate::failure::Failure;
use crate::files::{Target, archive_members, beside, storage};

/// Reads every finished volume, checks it, and gives the blobs and pieces it holds.
///
/// # Errors
/// [`Failure`] when one is damaged or gone.
pub async fn check(
    cx: &Context,
    request: &ExportRequest,
    access: &Access,
    (package, key, volumes): (&PackageId, &PackageKey, &[Volume]),
) -> Result<KnownBlobs, Failure> {
    cx.stage("check of finished volumes", volumes.iter().map(|v| v.size).sum(), Unit::Bytes);
    let place = Finished::open(request, access).await?;
    let mut blobs = Blobs::default();
    for volume in volumes {
        let number = parse_volume_name(&volume.name).unwrap_or_default();
        let mut unpacker = VolumeUnpacker::begin(key, package, number);
        let mut pieces = place.stream(volume).await.map_err(|e| storage(unusable(volume), e))?;
        let mut entries = Vec::new();
        while let Some(piece) = pieces.next().await.map_err(|e| storage(unusable(volume), e))? {
            unpacker.feed(&piece, &mut entries).map_err(|e| unusable(volume).because(e))?;
            cx.advance(piece.len() as u64);
            entries.drain(..).for_each(|entry| blobs.take(&entry));
        }
        let check = unpacker.finish(&mut entries).map_err(|e| unusable(volume).because(e))?;
        entries.drain(..).for_each(|entry| blobs.take(&entry));
        if check.volume != *volume {
            return Err(unusable(volume));
        }
    }
    Ok(blobs.known)
}

/// The blobs that finished volumes hold. One of several pieces may lack the last of them; then
/// those that are missing are still to come.
#[derive(Default)]
struct Blobs {
    known: KnownBlobs,
    /// Of each blob in pieces the number of the last piece, and the sum so far.
    begun: BTreeMap<[u8; 32], (u32, Hasher)>,
}

impl Blobs {
    /// Pieces come in order; the first one again is another run's beginning.
    fn take(&mut self, entry: &Entry) {
        let (sha256, piece) = match entry.path.blob() {
            None => return,
            Some((sha256, None)) => return self.known.whole.push(sha256),
            Some((sha256, Some(piece))) => (sha256, piece),
        };
        self.known.pieces.push(((sha256, piece), entry.sha256));
        let last = self.begun.remove(&sha256);
        let mut sum = match last {
            _ if piece == 1 => Hasher::new(),
            Some((last, sum)) if last + 1 == piece => sum,
            _ => return,
        };
        sum.update(&entry.content);
        if sum.clone().finish().as_bytes() == &sha256 {
            self.known.whole.push(sha256);
        } else {
            self.begun.insert(sha256, (piece, sum));
        }
    }
}

fn unusable(volume: &Volume) -> Failure {
    Failure::failed(
        format!("{}, which an earlier run finished, is damaged or gone", volume.name),
        "remove the .partial and .journal files and run the command again",
    )
}

/// The volumes that are finished while the package is not.
enum Finished {
    Archive { file: LocalFile, members: Vec<(String, u64)> },
    Files(Place),
}

impl Finished {
    async fn open(request: &ExportRequest, access: &Access) -> Result<Self, Failure> {
        let cannot = || Failure::failed("cannot read the unfinished package", "");
        if let Some(path) = Target::archive_at(&request.target) {
            let file = LocalFile::open(&beside(&path, ".partial")).await;
            let file = file.map_err(|e| storage(cannot(), e))?;
            let members = archive_members(&file).await.map_err(|e| storage(cannot(), e))?;
            return Ok(Self::Archive { file, members });
        }
        let location = Location::parse(&request.target).map_err(|e| cannot().because(e))?;
        let place = Place::open(&location, access).await.map_err(|e| storage(cannot(), e))?;
        Ok(Self::Files(place))
    }

    async fn stream(&self, volume: &Volume) -> Result<Pieces, StorageError> {
        match self {
            Self::Files(place) => place.stream(&volume.name).await,
            Self::Archive { file, members } => {
                let found = members.iter().find(|(name, _)| *name == volume.name);
                let start = found.map_or(file.len(), |(_, offset)| *offset);
                file.stream(start..start + volume.size)
            }
        }
    }
}
