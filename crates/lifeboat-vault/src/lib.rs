//! The vault: a place with backups that borrow from one another, and the verbs that make, look at,
//! check and let go of them.
//!
//! Whoever runs a backup holds no identity: the host can add to the vault and cannot read it back.
//! What it remembers ([`cache`]) are sums.

pub mod layout;
pub mod place;

pub mod cache;
pub mod known;
pub mod ledger;
pub mod run;
pub mod subjects;

pub mod backup;
pub mod copy;
pub mod drills;
pub mod erasures;
pub mod forget;
pub mod key;
pub mod list;
pub mod prune;
pub mod retention;
pub mod verify;
