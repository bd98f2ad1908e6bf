//! Compressed frames that wait for others of their shelf, in one stretch of memory: frames come and
//! go in all sizes, and the holes that many small pieces leave would stay with the process.

#![expect(clippy::arithmetic_side_effects, reason = "sums of lengths of what is in memory")]

use std::collections::BTreeMap;

use super::About;
use crate::flow::Shelf;
use crate::id::EntryPath;

/// Bytes of a block; a shelf fills its blocks one after the other.
const BLOCK: usize = 64 << 10;
/// Bytes that are reserved, though not used: the allocator gives back at once what is larger than
/// 32 MiB.
const RESERVED: usize = 33 << 20;

/// A frame as the writer takes it.
pub type Frame = (EntryPath, About, Vec<u8>);

/// Compressed frames that wait for others of their shelf and its neighbours.
pub struct Held {
    shelves: BTreeMap<Shelf, HeldShelf>,
    memory: Vec<u8>,
    free: Vec<usize>,
    bytes: usize,
    limit: usize,
}

/// What is held of one shelf, one frame behind the other.
#[derive(Default)]
struct HeldShelf {
    /// Where its blocks begin.
    blocks: Vec<usize>,
    bytes: usize,
    frames: Vec<(EntryPath, About, usize)>,
}

impl Held {
    /// Holds about `limit` bytes.
    pub fn new(limit: usize) -> Self {
        let (shelves, memory, free) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { shelves, memory, free, bytes: 0, limit }
    }

    /// Takes a frame in.
    pub fn add(&mut self, place: Shelf, (path, about): (EntryPath, About), frame: &[u8]) {
        let held = self.shelves.entry(place).or_default();
        held.frames.push((path, about, frame.len()));
        let mut rest = frame;
        while !rest.is_empty() {
            let within = held.bytes % BLOCK;
            if within == 0 {
                held.blocks.push(self.free.pop().unwrap_or_else(|| reserve(&mut self.memory)));
            }
            let (now, later) = rest.split_at(rest.len().min(BLOCK - within));
            let block = held.blocks.last().map_or(0, |block| block + within);
            if let Some(gap) = self.memory.get_mut(block..block + now.len()) {
                gap.copy_from_slice(now);
            }
            held.bytes += now.len();
            rest = later;
        }
        self.bytes += frame.len();
    }

    /// The shelf that has to go, when there is more than may be held: the fullest. What several
    /// share goes last, since who wants one room needs some of it of every table.
    pub fn overflow(&self) -> Option<Shelf> {
        let fullness = |(shelf, held): &(&Shelf, &HeldShelf)| (!shelf.is_shared, held.bytes);
        let fullest = || self.shelves.iter().max_by_key(fullness);
        if self.bytes > self.limit { fullest().map(|(shelf, _)| *shelf) } else { None }
    }

    /// All shelves, in order.
    pub fn shelves(&self) -> Vec<Shelf> {
        self.shelves.keys().copied().collect()
    }

    /// Lets go of a shelf: its frames, in order.
    pub fn take(&mut self, place: Shelf) -> impl Iterator<Item = Frame> {
        let held = self.shelves.remove(&place).unwrap_or_default();
        self.bytes -= held.bytes;
        self.free.extend(&held.blocks);
        let (memory, blocks) = (&self.memory, held.blocks);
        let mut at = 0;
        held.frames.into_iter().map(move |(path, about, length)| {
            let end = at + length;
            let mut frame = Vec::with_capacity(length);
            while at < end {
                let until = end.min(at - at % BLOCK + BLOCK);
                let block = blocks.get(at / BLOCK).map_or(0, |block| block + at % BLOCK);
                frame.extend_from_slice(memory.get(block..block + until - at).unwrap_or_default());
                at = until;
            }
            (path, about, frame)
        })
    }
}

/// Where a further block begins.
fn reserve(memory: &mut Vec<u8>) -> usize {
    if memory.is_empty() {
        memory.reserve_exact(RESERVED);
    }
    let begin = memory.len();
    memory.resize(begin + BLOCK, 0);
    begin
}

#[cfg(test)]
mod tests;
