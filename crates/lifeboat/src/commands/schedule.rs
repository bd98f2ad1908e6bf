//! `lifeboat schedule`: what is due, and when the rest will be.

use lifeboat_engine::failure::Failure;
use lifeboat_suite::runs::{self, Due, Runs};
use serde_json::json;

use super::installation::InstallationFlags;
use super::{Ended, Exit, Session};

/// List what is scheduled, when it last ran and when it is due
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lifeboat schedule -c lifeboat.yaml
  lifeboat schedule -c lifeboat.yaml --json")]
pub(crate) struct ScheduleFlags {
    #[command(flatten)]
    installation: InstallationFlags,
}

pub(crate) fn run(session: &Session, flags: &ScheduleFlags) -> Result<Ended, Failure> {
    let installation = flags.installation.read(session)?;
    let now = (session.context.now)();
    let all = runs::due(&installation.schedule, &Runs::read(&installation.state), now);
    let zone = &installation.schedule.time_zone;
    let clock = |at: Option<i64>| at.map_or_else(|| "-".to_owned(), |at| zone.clock(at));
    let line = |due: &Due| {
        let cron = due.cron.as_deref().unwrap_or("by hand");
        let when = if due.is_due { "now".to_owned() } else { clock(due.next) };
        format!("{:<8}{:<20}{:<18}{when}", due.task.word(), cron, clock(due.last))
    };
    let mut lines = vec![format!("{:<8}{:<20}{:<18}due", "what", "when", "last began")];
    lines.extend(all.iter().map(line));
    lines.push(format!("times are those of {}", zone.name()));
    let outcome = json!({"time_zone": zone.name(), "now": now, "tasks": all});
    Ok(Ended::new("schedule", &outcome, lines, Exit::Done))
}
