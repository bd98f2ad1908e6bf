//! Free loopback ports, below the range the kernel hands out for outgoing connections.
//!
//! A port that is only tried and let go can be taken by another test process before our server
//! binds it. So each port is claimed by a locked file; the lock goes with the process.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::WorldError;

const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A loopback port that no other process using this crate will take while this value lives.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _claim: File,
}

impl Port {
    /// Claims a free port in 20000–29999.
    ///
    /// # Errors
    /// When the folder of claims cannot be written or no port is free.
    pub fn claim() -> Result<Self, WorldError> {
        let owner = fs::metadata("/proc/self").map_err(WorldError::io("look at /proc/self"))?.uid();
        let folder = std::env::temp_dir().join(format!("lifeboat-ports-{owner}"));
        fs::create_dir_all(&folder)
            .map_err(WorldError::io(format!("make {}", folder.display())))?;
        // Processes begin at different places, so that they seldom meet.
        let [low, high, ..] = process::id().wrapping_mul(131).to_le_bytes();
        let start = u16::from_le_bytes([low, high]);
        for _ in 0..COUNT {
            let step = NEXT.fetch_add(1, Ordering::Relaxed);
            let number = FIRST + start.wrapping_add(step) % COUNT;
            let path = folder.join(number.to_string());
            let claim = File::create(&path)
                .map_err(WorldError::io(format!("claim a port in {}", folder.display())))?;
            let ours = claim.try_lock().is_ok();
            if ours && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Self { number, _claim: claim });
            }
        }
        Err(WorldError::Missing {
            thing: "a free port between 20000 and 29999".into(),
            remedy: "end servers that are no longer needed".into(),
        })
    }

    /// The port's number.
    pub fn number(&self) -> u16 {
        self.number
    }
}
