//! Waiting for a real server: ask, pause, ask again, give up at a deadline.

use std::thread;
use std::time::{Duration, Instant};

use crate::WorldError;

const PAUSE: Duration = Duration::from_millis(50);

/// Asks `ready` until it says yes. False when it still says no after `limit`.
///
/// # Errors
/// The first error of `ready`, which ends the waiting.
pub fn until(
    limit: Duration,
    mut ready: impl FnMut() -> Result<bool, WorldError>,
) -> Result<bool, WorldError> {
    let deadline = Instant::now() + limit;
    loop {
        if ready()? {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        thread::sleep(PAUSE);
    }
}
