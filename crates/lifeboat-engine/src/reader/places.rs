//! Where the content of packages is: blobs, and the segments of a backup.

use std::num::NonZeroU32;

use lifeboat_package::digest::Digest;
use lifeboat_package::id::{blob_path, segment_path};
use lifeboat_package::index::IndexRecord;

use super::{EntryPlace, Package};
use crate::failure::Failure;

/// The entries of content, pieces in order, in one package or several. There are as many as files,
/// and a large media store has millions: what an index says of one is kept in 64 bytes, or in 112
/// where its name does not say all of it.
#[derive(Default)]
pub struct ContentPlaces {
    spots: Vec<Spot>,
    more: Vec<More>,
}

struct Spot {
    sha256: [u8; 32],
    offset: u64,
    length: u64,
    /// The number, from 1, of what its name does not say; `None` for a blob of one piece, as it
    /// should be.
    more: Option<NonZeroU32>,
    package: u32,
    volume: u32,
    /// The number of a piece; 0 for what is whole.
    piece: u32,
}

/// What else an index says of an entry.
struct More {
    is_segment: bool,
    sha256: Digest,
    /// Content has no records; whatever is said otherwise stays otherwise.
    records: u32,
    raw: u64,
}

impl ContentPlaces {
    /// Reads the indexes of all volumes of a package.
    ///
    /// # Errors
    /// [`Failure`] when one is damaged.
    pub async fn of(package: &Package) -> Result<Self, Failure> {
        let mut places = Self::default();
        for volume in 0..package.manifest.volumes.len() {
            places.add(package, (0, volume)).await?;
        }
        places.settle();
        Ok(places)
    }

    /// Reads the index of a volume of a package, which the caller numbers. After the last one
    /// [`Self::settle`] is needed.
    ///
    /// # Errors
    /// [`Failure`] when it is damaged.
    pub async fn add(
        &mut self,
        package: &Package,
        (number, volume): (u32, usize),
    ) -> Result<(), Failure> {
        let Some(listed) = package.manifest.volumes.get(volume) else { return Ok(()) };
        let volume = u32::try_from(volume).unwrap_or(u32::MAX);
        for record in package.index(listed).await? {
            self.take(&record?, (number, volume))?;
        }
        Ok(())
    }

    fn take(&mut self, record: &IndexRecord, (package, volume): (u32, u32)) -> Result<(), Failure> {
        let IndexRecord { offset, length, sha256: stored, records, raw, .. } = *record;
        let blob = record.path.blob();
        let segment = || record.path.segment().map(|sha256| (sha256, None));
        let Some((sha256, piece)) = blob.or_else(segment) else { return Ok(()) };
        let is_plain = piece.is_none() && blob.is_some() && stored == Digest::from_bytes(sha256);
        let mut more = None;
        if !is_plain || (records, raw) != (0, 0) {
            let records = u32::try_from(records).unwrap_or(u32::MAX);
            self.more.push(More { is_segment: blob.is_none(), sha256: stored, records, raw });
            let number = u32::try_from(self.more.len()).ok().and_then(NonZeroU32::new);
            more = Some(number.ok_or_else(too_many)?);
        }
        let piece = piece.unwrap_or_default();
        self.spots.push(Spot { sha256, offset, length, more, package, volume, piece });
        Ok(())
    }

    /// Puts what was added into order.
    pub fn settle(&mut self) {
        self.spots.sort_unstable_by_key(|spot| (spot.key(), spot.volume, spot.offset));
        // A run that was cut short can leave a piece that a later one stored again.
        self.spots.dedup_by_key(|spot| spot.key());
        self.spots.shrink_to_fit();
        self.more.shrink_to_fit();
    }

    /// Whether content is there.
    pub fn holds(&self, sha256: &Digest) -> bool {
        !self.spots(sha256).is_empty()
    }

    /// The entries that hold content, in order, and the number of the package that they are in;
    /// `None` where there is none.
    pub fn find(&self, sha256: &Digest) -> Option<(u32, Vec<EntryPlace>)> {
        let spots = self.spots(sha256);
        let package = spots.first()?.package;
        Some((package, spots.iter().map(|spot| self.entry(spot)).collect()))
    }

    /// As [`Self::find`], where there is one package only.
    pub fn pieces(&self, sha256: &Digest) -> Option<Vec<EntryPlace>> {
        self.find(sha256).map(|(_, pieces)| pieces)
    }

    /// What the first package that has it has of content.
    fn spots(&self, sha256: &Digest) -> &[Spot] {
        let from = self.spots.partition_point(|spot| spot.sha256 < *sha256.as_bytes());
        let rest = self.spots.get(from..).unwrap_or_default();
        let Some(first) = rest.first() else { return rest };
        let is_of_it =
            |spot: &Spot| (&spot.sha256, spot.package) == (sha256.as_bytes(), first.package);
        rest.get(..rest.partition_point(is_of_it)).unwrap_or_default()
    }

    fn entry(&self, spot: &Spot) -> EntryPlace {
        let at = spot.more.and_then(|number| usize::try_from(number.get()).ok());
        let more = at.and_then(|number| self.more.get(number.saturating_sub(1)));
        let path = match more {
            Some(more) if more.is_segment => segment_path(&spot.sha256),
            _ => blob_path(&spot.sha256, Some(spot.piece).filter(|piece| *piece > 0)),
        };
        let record = IndexRecord {
            path,
            offset: spot.offset,
            length: spot.length,
            sha256: more.map_or(Digest::from_bytes(spot.sha256), |more| more.sha256),
            records: more.map_or(0, |more| u64::from(more.records)),
            raw: more.map_or(0, |more| more.raw),
            rooms: None,
        };
        EntryPlace { volume: spot.volume as usize, record }
    }
}

impl Spot {
    fn key(&self) -> ([u8; 32], u32, u32) {
        (self.sha256, self.package, self.piece)
    }
}

fn too_many() -> Failure {
    Failure::not_valid(
        "the package has more than four thousand million entries of content",
        "look for another copy of it",
    )
}
