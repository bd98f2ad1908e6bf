//! Ctrl-C and SIGTERM, turned into what the verb is to do.

use std::io;
use std::sync::Arc;

use lifeboat_engine::context::{Event, Stop};
use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::screen::Screen;

/// Listens in the background: SIGINT cancels, SIGTERM pauses, a second SIGINT ends the process.
pub(crate) fn listen(stop: watch::Sender<Stop>, screen: Arc<Screen>) -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        loop {
            let wanted = tokio::select! {
                Some(()) = interrupt.recv() => Stop::Cancel,
                Some(()) = terminate.recv() => Stop::Pause,
                else => return,
            };
            if wanted == Stop::Cancel && *stop.borrow() == Stop::Cancel {
                // Every verb survives the hardest end there is, and nothing less is sure to be one
                // while a verb is busy.
                kill_process(getpid(), Signal::KILL).ok();
            }
            let text = match wanted {
                Stop::Cancel => "cancelling and cleaning up; Ctrl-C again ends at once",
                Stop::Pause | Stop::Go => "stopping; the same command goes on from here",
            };
            screen.show_event(Event::Note(text.to_owned()));
            stop.send_replace(wanted);
        }
    });
    Ok(())
}
