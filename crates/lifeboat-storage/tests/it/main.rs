//! Places as they are: a directory on a real file system, a bucket of a real SeaweedFS, and what
//! happens when disk, server or connection fail.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod bucket_faults;
mod conformance;
mod directory_faults;
mod fault_proxy;
mod foreign;
mod locks;
mod places;
