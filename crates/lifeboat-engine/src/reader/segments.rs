//! The segments that were opened last: entries are smaller than a segment or straddle two, and are
//! read in the order they lie in, so each segment is opened once and not once for each entry.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use lifeboat_package::seal::RangeKey;
use lifeboat_storage::Ahead;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

/// Segments that are kept, a mebibyte each: some for each of the lanes that read side by side.
const SEGMENTS: usize = 16;
/// Segments that are read before they are asked for, one for each lane and some that nobody wants.
const AHEAD: usize = 8;
/// Keys of volumes that are kept.
const KEYS: usize = 16;

/// The plaintext of one segment, empty until the first who wants it has opened it.
pub(super) type Segment = Arc<OnceCell<Zeroizing<Vec<u8>>>>;

/// What was opened last.
#[derive(Default)]
pub(super) struct Segments {
    /// By volume and first plaintext byte, the latest used last.
    opened: Mutex<VecDeque<((u32, u64), Segment)>>,
    keys: Mutex<VecDeque<(u32, Arc<RangeKey>)>>,
    /// By volume and first plaintext byte, the first begun first.
    ahead: Mutex<VecDeque<((u32, u64), Ahead)>>,
}

impl Segments {
    /// The segment of `volume` that begins at `offset`, opened or to be opened.
    pub(super) fn segment(&self, volume: u32, offset: u64) -> Segment {
        let make = || Some(Segment::default());
        latest(&self.opened, (volume, offset), SEGMENTS, make).unwrap_or_default()
    }

    /// Whether the segment of `volume` that begins at `offset` was wanted lately.
    pub(super) fn is_kept(&self, volume: u32, offset: u64) -> bool {
        let kept = self.opened.lock();
        kept.is_ok_and(|kept| kept.iter().any(|(key, _)| *key == (volume, offset)))
    }

    /// What was begun to be read of `volume` at `offset`, if it was.
    pub(super) fn take_ahead(&self, volume: u32, offset: u64) -> Option<Ahead> {
        let mut ahead = self.ahead.lock().ok()?;
        let at = ahead.iter().position(|(key, _)| *key == (volume, offset))?;
        ahead.remove(at).map(|(_, reading)| reading)
    }

    /// Keeps what was begun to be read.
    pub(super) fn keep_ahead(&self, volume: u32, offset: u64, reading: Ahead) {
        let Ok(mut ahead) = self.ahead.lock() else { return };
        ahead.push_back(((volume, offset), reading));
        if ahead.len() > AHEAD {
            ahead.pop_front();
        }
    }

    /// The key of `volume`, if it was used lately.
    pub(super) fn key(&self, volume: u32) -> Option<Arc<RangeKey>> {
        latest(&self.keys, volume, KEYS, || None)
    }

    /// Keeps the key of `volume`.
    pub(super) fn keep_key(&self, volume: u32, key: &Arc<RangeKey>) {
        latest(&self.keys, volume, KEYS, || Some(key.clone()));
    }
}

/// The value of `key`, or the one that `make` makes, which is then the latest used of at most
/// `limit`.
fn latest<K: PartialEq, V: Clone>(
    kept: &Mutex<VecDeque<(K, V)>>,
    key: K,
    limit: usize,
    make: impl FnOnce() -> Option<V>,
) -> Option<V> {
    let mut kept = kept.lock().ok()?;
    let found = kept.iter().position(|(other, _)| *other == key).and_then(|at| kept.remove(at));
    let (key, value) = match found {
        Some(found) => found,
        None => (key, make()?),
    };
    kept.push_back((key, value.clone()));
    if kept.len() > limit {
        kept.pop_front();
    }
    Some(value)
}
