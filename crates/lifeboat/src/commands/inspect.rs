//! `lifeboat inspect`: what a package is and holds.

use lifeboat_engine::failure::Failure;
use lifeboat_engine::inspect::{self, Content, InspectOutcome};
use lifeboat_engine::reader::PackageRequest;
use lifeboat_package::selection::{RoomPick, Scope};

use super::{Ended, Exit, Session, story};
use crate::secrets::IdentityFlags;
use crate::size;

/// Show what a package is and, with an identity, what it holds
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lifeboat inspect server.lifeboat
  lifeboat inspect server.lifeboat -i identity.txt --rooms
  lifeboat inspect server.lifeboat -i identity.txt --room 'name:Board*'
  lifeboat inspect s3://bucket/server -i identity.txt --json")]
pub(crate) struct InspectFlags {
    /// A file NAME.lifeboat, a folder, or s3://, gs://, az://
    package: String,
    #[command(flatten)]
    identities: IdentityFlags,
    /// List the rooms as well
    #[arg(long)]
    rooms: bool,
    /// Only these rooms: '!id', '#alias:server', '@user:server' (all rooms of a user),
    /// 'space:!id', 'name:PATTERN'; may be repeated
    #[arg(long = "room", value_name = "ROOM")]
    picks: Vec<RoomPick>,
}

pub(crate) async fn run(session: &Session, flags: InspectFlags) -> Result<Ended, Failure> {
    let identities = flags.identities.read(&session.context)?;
    let rooms = Scope::only(flags.picks, if flags.rooms { Scope::All } else { Scope::None });
    if !rooms.is_none() && identities.is_none() {
        return Err(Failure::usage(
            "the names of rooms are sealed",
            "name the file of the identity with -i FILE",
        ));
    }
    let environment = session.environment.clone();
    let request = PackageRequest { package: flags.package, identities, environment };
    let listed = !rooms.is_none();
    let inspecting = inspect::inspect(&session.context, &request, rooms);
    let outcome = session.until_stopped(Box::pin(inspecting)).await?;
    Ok(Ended::new("inspect", &outcome, lines(&outcome, listed), Exit::Done))
}

fn lines(outcome: &InspectOutcome, rooms: bool) -> Vec<String> {
    let files = size::count(outcome.files, "file", "files");
    let mut lines = vec![
        story::line("package", &format!("{}, format {}", outcome.package, outcome.version)),
        story::line("size", &format!("{} in {files}", size::bytes(outcome.size_bytes))),
    ];
    match &outcome.content {
        Some(content) => content_lines(content, rooms, &mut lines),
        None => lines.push(story::line("content", "sealed: -i FILE shows it")),
    }
    lines
}

fn content_lines(content: &Content, rooms: bool, lines: &mut Vec<String>) {
    let export =
        format!("{}, {} export by {}", content.export_date, content.export_type, content.generator);
    lines.push(story::line("server", &content.server_name));
    lines.push(story::line("made", &export));
    let source = content.source.iter();
    lines.extend(source.map(|(what, which)| story::line("source", &format!("{what} {which}"))));
    if content.signed_by.is_empty() {
        lines.push(story::line("signed", "by nobody"));
    }
    // A name is not a proof: import and verify check the signature.
    let signed = content.signed_by.iter();
    lines.extend(signed.map(|key| story::line("signed", &format!("by {key}, not checked here"))));
    for section in &content.sections {
        let records = size::count(section.records, "record", "records");
        let text = format!("{:<8} {records}, {}", section.section, size::bytes(section.bytes));
        lines.push(story::line("section", &text));
    }
    for table in &content.tables {
        let rows = size::count(table.rows, "row", "rows");
        lines.push(story::line("table", &format!("{}: {rows}", table.name)));
    }
    if content.cuts > 1 {
        lines.push(story::line("cuts", &content.cuts.to_string()));
    }
    lines.extend(story::gaps(&content.gaps));
    if rooms {
        lines.extend(content.rooms.iter().map(|room| {
            let name = room.name.as_deref().or(room.canonical_alias.as_deref()).unwrap_or("-");
            let events = size::count(room.events, "event", "events");
            let members = size::count(room.members, "member", "members");
            story::line("room", &format!("{}  {name}  {events}, {members}", room.room_id))
        }));
    }
}
