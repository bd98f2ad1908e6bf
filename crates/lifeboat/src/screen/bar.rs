//! Progress within a stage: a bar for people, a line now and then for machines.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lifeboat_engine::context::Unit;
use serde_json::{Value, json};

/// Time between two lines for machines.
const PACE: Duration = Duration::from_millis(500);
/// Times a second that the bar is drawn.
const FRAMES: u8 = 8;

/// A stretch of work.
pub(super) struct Stage {
    name: &'static str,
    total: u64,
    unit: Unit,
    done: u64,
    told: Instant,
    bar: ProgressBar,
}

impl Stage {
    pub(super) fn begin(name: &'static str, total: u64, unit: Unit, shown: bool) -> Self {
        let bar = if total == 0 { ProgressBar::no_length() } else { ProgressBar::new(total) };
        bar.set_draw_target(if shown {
            ProgressDrawTarget::stderr_with_hz(FRAMES)
        } else {
            ProgressDrawTarget::hidden()
        });
        bar.set_style(style(total, unit));
        bar.set_message(name);
        Self { name, total, unit, done: 0, told: Instant::now(), bar }
    }

    /// Counts; gives a line for machines when one is due.
    pub(super) fn advance(&mut self, by: u64) -> Option<Value> {
        self.done = self.done.saturating_add(by);
        self.bar.set_position(self.done);
        if self.told.elapsed() < PACE {
            return None;
        }
        self.told = Instant::now();
        Some(self.progress())
    }

    /// Runs what writes to the terminal, with the bar out of the way.
    pub(super) fn suspend(&self, write: impl FnOnce()) {
        self.bar.suspend(write);
    }

    /// Takes the bar away; gives the last line for machines when anything was done.
    pub(super) fn finish(self) -> Option<Value> {
        self.bar.finish_and_clear();
        (self.done > 0).then(|| self.progress())
    }

    pub(super) fn as_json(&self) -> Value {
        json!({"event": "stage", "name": self.name, "total": self.total, "unit": unit(self.unit)})
    }

    fn progress(&self) -> Value {
        json!({"event": "progress", "stage": self.name, "done": self.done, "total": self.total})
    }
}

fn style(total: u64, unit: Unit) -> ProgressStyle {
    let template = match (total, unit) {
        (0, Unit::Bytes) => "{msg:12} {spinner} {bytes}  {bytes_per_sec}  {elapsed}",
        (0, Unit::Items) => "{msg:12} {spinner} {human_pos}  {per_sec}  {elapsed}",
        (_, Unit::Bytes) => {
            "{msg:12} {wide_bar} {bytes} of {total_bytes}  {bytes_per_sec}  ETA {eta}"
        }
        (_, Unit::Items) => "{msg:12} {wide_bar} {human_pos} of {human_len}  {per_sec}  ETA {eta}",
    };
    ProgressStyle::with_template(template).expect("the templates above are well formed")
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Bytes => "bytes",
        Unit::Items => "items",
    }
}
