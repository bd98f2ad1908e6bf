//! What `lifeboat export` and `lifeboat verify` do when things go wrong: real servers, real
//! signals, full disks, damaged packages.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod conversation;
mod damage;
mod database;
mod disk;
mod gaps;
mod harbour;
mod killed;
mod live;
mod moments;
mod noise;
mod sealed;
mod stopped;
