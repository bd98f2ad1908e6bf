//! Faults on order, for tests: the n-th operation on a place fails, and every later one.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{At, StorageError};

/// Counts the operations on a place and fails them from the n-th on, as a full disk or a dead
/// server would.
#[derive(Debug)]
pub struct Faults {
    first: u64,
    fault: Fault,
    seen: AtomicU64,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The disk is full.
    Full,
    /// The server is gone.
    Unreachable,
    /// The credentials were taken back.
    Denied,
}

impl Faults {
    /// Fails the operation number `first`, counted from 1, and all later ones.
    pub fn new(first: u64, fault: Fault) -> Self {
        Self { first, fault, seen: AtomicU64::new(0) }
    }

    /// How many operations were asked so far; a test that walks `first` upwards stops when it is
    /// larger.
    pub fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    pub(crate) fn strike(&self, at: At) -> Result<(), StorageError> {
        if self.seen.fetch_add(1, Ordering::Relaxed) + 1 < self.first {
            return Ok(());
        }
        let cause = Box::new(io::Error::other("a planned fault"));
        Err(match self.fault {
            Fault::Full => StorageError::Full { at, cause },
            Fault::Unreachable => StorageError::Unreachable { at, cause },
            Fault::Denied => StorageError::Denied { at, cause },
        })
    }
}
