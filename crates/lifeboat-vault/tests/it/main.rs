//! The vault through its verbs, on folders.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod berth;
mod histories;
mod trees;
