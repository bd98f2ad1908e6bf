//! Import into a living server, and taking one back.

use std::collections::BTreeMap;
use std::sync::Arc;

use lifeboat_engine::context::Context;
use lifeboat_engine::failure::Failure;
use lifeboat_engine::import::ImportReport;
use lifeboat_engine::merge::{
    self, Mapped, MergeOutcome, MergeRequest, Restart, RoomDone, UndoOutcome,
};

use super::super::restart::RestartCommand;
use super::super::server::ServerFlags;
use super::super::{Ended, Exit, Session, story};
use crate::size;

/// Rooms and warnings that are told one by one.
const TOLD: usize = 50;

/// Take back what an import added to a living server
///
/// Exactly that goes, as long as nothing new builds on it: no newer event in a room, no newer
/// device of an account. Otherwise nothing is changed, and what stands in the way is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lifeboat import undo 3f0c9a51d2be --synapse homeserver.yaml")]
pub(crate) struct UndoFlags {
    /// The import's id, as it told at its end
    id: String,
    #[command(flatten)]
    server: ServerFlags,
}

/// What restarts Synapse.
pub(super) fn restart(session: &Session, command: RestartCommand) -> Restart {
    let environment = session.environment.clone();
    Restart { words: command.to_string(), run: Arc::new(move || command.run(&environment)) }
}

pub(super) async fn merge(cx: &Context, request: MergeRequest) -> Result<Ended, Failure> {
    let outcome = merge::merge(cx, request).await?;
    let is_valid = outcome.report.as_ref().is_none_or(|report| report.valid);
    let exit = if is_valid { Exit::with_gaps(outcome.gaps) } else { Exit::NotValid };
    Ok(Ended::new("import", &outcome, lines(&outcome), exit))
}

pub(super) async fn undo(session: &Session, flags: UndoFlags) -> Result<Ended, Failure> {
    let server = flags.server.request(session)?;
    let verb = merge::undo(&session.context, &server, &flags.id);
    let outcome = session.until_stopped(Box::pin(verb)).await?;
    Ok(Ended::new("import-undo", &outcome, undo_lines(&outcome), Exit::Done))
}

fn lines(outcome: &MergeOutcome) -> Vec<String> {
    let mut lines = vec![
        story::line("server", &format!("{}, living", outcome.server_name)),
        story::line("package", &format!("{}, {}", outcome.package, outcome.trust)),
        story::line("database", &outcome.database),
    ];
    if let Some(plan) = &outcome.plan {
        let parts = [("room", &plan.rooms), ("account", &plan.users), ("media", &plan.media)];
        for (word, planned) in parts {
            let there = planned.iter().filter(|line| line.is_there()).count();
            let text = format!("{} selected, {there} there already", planned.len());
            lines.push(story::line(word, &text));
        }
    }
    if let Some(path) = &outcome.plan_file {
        lines.push(story::line("plan", &format!("written to {path}; nothing was changed")));
    } else {
        lines.extend(done(outcome));
    }
    let warnings = outcome.warnings.iter().take(TOLD);
    lines.extend(warnings.map(|warning| story::line("WARNING", warning)));
    lines.extend(more(outcome.warnings.len(), "warning", "warnings"));
    lines.extend(outcome.report.iter().flat_map(ImportReport::findings));
    lines.push(story::line("gaps", &outcome.gaps.to_string()));
    let seconds = u64::try_from(outcome.seconds).unwrap_or(0);
    lines.push(story::line("took", &size::seconds(seconds)));
    lines.extend(outcome.next.iter().map(|step| story::line("next", step)));
    lines
}

fn done(outcome: &MergeOutcome) -> Vec<String> {
    let would = if outcome.dry_run { "would be " } else { "" };
    let room = |room: &RoomDone| {
        let name = room.name.as_deref().map_or_else(String::new, |name| format!(" {name:?}"));
        let events = size::count(room.events, "event", "events");
        story::line("added", &format!("{would}{}{name}: {}, {events}", room.room_id, room.what))
    };
    let mut lines: Vec<String> = outcome.rooms.iter().take(TOLD).map(room).collect();
    lines.extend(more(outcome.rooms.len(), "room", "rooms"));
    let accounts = size::count(outcome.users.len() as u64, "account", "accounts");
    let holders = outcome.placeholders.len();
    let dropped = outcome.dropped_memberships;
    lines.push(story::line(
        "accounts",
        &format!("{accounts} {would}added; {holders} made that keep a name, {dropped} dropped"),
    ));
    for mapped in outcome.mapped.iter().take(TOLD) {
        lines.push(story::line("mapped", &mapped_line(mapped, would)));
    }
    for user in outcome.replaced.iter().take(TOLD) {
        lines.push(story::line("replaced", &format!("{would}set up as in the package: {user}")));
    }
    let aliases = outcome.aliases.iter().take(TOLD);
    lines.extend(aliases.map(|alias| story::line("alias", &format!("{would}added: {alias}"))));
    let (written, equal) = (outcome.media_written, outcome.media_equal);
    lines.push(story::line("files", &format!("{written} written, {equal} there already")));
    if let Some(id) = &outcome.id {
        lines.push(story::line("import", id));
    }
    lines
}

fn mapped_line(mapped: &Mapped, would: &str) -> String {
    let count = |rows: &BTreeMap<String, u64>| size::count(rows.values().sum(), "row", "rows");
    let Mapped { from, to, rows, gave_way, stays, events, receipts } = mapped;
    let kinds: Vec<&str> = stays.keys().map(String::as_str).collect();
    format!(
        "{from} to {to}: {} and {} {would}added, {} gave way; stays with the old name: {}{}{}",
        count(rows),
        size::count(*receipts, "receipt", "receipts"),
        count(gave_way),
        size::count(*events, "signed event", "signed events"),
        if kinds.is_empty() { "" } else { ", rows of " },
        kinds.join(", ")
    )
}

fn more(count: usize, one: &str, many: &str) -> Option<String> {
    let more = count.checked_sub(TOLD).filter(|more| *more > 0)? as u64;
    Some(format!("  and {} more; --report FILE has them all", size::count(more, one, many)))
}

fn undo_lines(outcome: &UndoOutcome) -> Vec<String> {
    let rooms = outcome.rooms.iter().chain(&outcome.histories);
    let mut lines = vec![story::line("import", &format!("{}, taken back", outcome.id))];
    lines.extend(rooms.take(TOLD).map(|room| story::line("removed", room)));
    lines.extend(outcome.users.iter().take(TOLD).map(|user| story::line("removed", user)));
    let rows = size::count(outcome.rows, "row", "rows");
    lines.push(story::line("rows", &format!("{rows}; {} files", outcome.files)));
    lines.extend(outcome.warnings.iter().map(|warning| story::line("WARNING", warning)));
    lines.extend(outcome.next.iter().map(|step| story::line("next", step)));
    lines
}
