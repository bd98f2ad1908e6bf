//! Rooms told again on a server of another name.

use std::fs::OpenOptions;
use std::io::Write;
use std::mem;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use lifeboat_engine::context::Context;
use lifeboat_engine::failure::Failure;
use lifeboat_engine::import::trust::Claims;
use lifeboat_rendering::render::KeyFile;
use lifeboat_retelling::{
    RoomTold, TranscriptOutcome, TranscriptRequest, fresh_registration, transcript,
};
use lifeboat_storage::Access;

use super::super::server::ServerFlags;
use super::super::{Ended, Exit, Session, story};
use super::{ImportFlags, pinned_keys};
use crate::secrets::{RoomKeyFlags, registration_text};
use crate::size;

/// Rooms that are told one by one.
const TOLD: usize = 50;

/// Where rooms are told again.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Server of another name")]
pub(super) struct TranscriptFlags {
    /// Another name: tell the rooms again through an application service, with new ids
    #[arg(long, conflicts_with_all = [
        "synapse", "workdir", "database_url", "database_url_file", "media_store", "lanes",
        "synapse_python", "sequence_margin", "plan", "merge", "verify",
    ])]
    pub(super) as_transcript: bool,
    /// Address of the server, as clients have it: http:// or https://
    #[arg(long, value_name = "URL", requires = "as_transcript")]
    homeserver: Option<String>,
    /// Registration file of the application service, with its token
    #[arg(long, value_name = "FILE", requires = "as_transcript")]
    registration: Option<PathBuf>,
    /// Write a registration file for a new application service, and end
    #[arg(long, value_name = "FILE", requires = "as_transcript", conflicts_with = "registration")]
    write_registration: Option<PathBuf>,
    /// File that says what became of what, and by which a second run goes on
    /// [default: PACKAGE-ID.id-map.jsonl]
    #[arg(long, value_name = "FILE", requires = "as_transcript")]
    id_map: Option<PathBuf>,
    /// Invite this account to the rooms, with power in them
    #[arg(long, value_name = "USER", requires = "as_transcript", value_parser = user)]
    owner: Option<String>,
    /// Let rooms be open that were; else all are private
    #[arg(long, requires = "as_transcript")]
    public: bool,
    /// Rooms that are told side by side
    #[arg(long, value_name = "N", default_value_t = 4, requires = "as_transcript",
        value_parser = clap::value_parser!(u8).range(1..=32))]
    at_once: u8,
    #[command(flatten)]
    keys: RoomKeyFlags,
}

/// The flags of the server, which a transcript does without.
#[derive(Debug)]
pub(super) struct ServerUnlessTranscript(pub(super) ServerFlags);

impl ServerUnlessTranscript {
    fn unless(arg: Arg) -> Arg {
        arg.required(false).required_unless_present("as_transcript")
    }
}

impl FromArgMatches for ServerUnlessTranscript {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        ServerFlags::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl Args for ServerUnlessTranscript {
    fn augment_args(command: Command) -> Command {
        ServerFlags::augment_args(command).mut_arg("synapse", Self::unless)
    }

    fn augment_args_for_update(command: Command) -> Command {
        ServerFlags::augment_args_for_update(command)
    }
}

pub(super) async fn run(session: &Session, flags: ImportFlags) -> Result<Ended, Failure> {
    let mut flags = flags;
    if let Some(path) = &flags.transcript.write_registration {
        return registration(&session.context, path);
    }
    let selection = mem::take(&mut flags.picks).selection()?;
    let given = flags.transcript;
    let lacks = |what: &str| {
        let remedy = "see --help; --write-registration FILE makes a registration";
        Failure::usage(format!("--as-transcript needs {what}"), remedy)
    };
    let homeserver = given.homeserver.ok_or_else(|| lacks("--homeserver URL"))?;
    let registration = given.registration.ok_or_else(|| lacks("--registration FILE"))?;
    let identities = flags.identities.demand(&session.context)?;
    let keys = given.keys.read(&session.context)?.map(|(text, passphrase)| {
        KeyFile::read(&text, passphrase.as_ref().map(|passphrase| passphrase.as_str()))
    });
    let trusted_keys = pinned_keys(&flags.trust.trust_key)?;
    let request = TranscriptRequest {
        package: flags.package.as_deref().unwrap_or_default(),
        selection,
        keys: keys.transpose()?,
        claims: Claims {
            accept_signer: flags.trust.accept_signer.as_deref(),
            trusted_keys: &trusted_keys,
            accept_unsigned: flags.trust.accept_unsigned,
        },
        homeserver: &homeserver,
        registration: registration_text(&session.context, &registration)?,
        id_map: given.id_map,
        folder: session.folder.clone(),
        owner: given.owner,
        is_public: given.public,
        lanes: usize::from(given.at_once),
        dry_run: flags.dry_run,
    };
    let access = Access::new(session.environment.iter().cloned());
    let telling = transcript(&session.context, request, &identities, &access);
    let outcome = session.until_stopped(Box::pin(telling)).await?;
    let exit = Exit::with_gaps(outcome.gaps);
    Ok(Ended::new("transcript", &outcome, lines(&outcome), exit))
}

/// Writes a registration for the administrator.
fn registration(cx: &Context, path: &Path) -> Result<Ended, Failure> {
    let text = fresh_registration(cx);
    let mut how = OpenOptions::new();
    let opened = how.write(true).create_new(true).mode(0o600).open(path);
    opened.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| {
        let what = format!("cannot write {}", path.display());
        Failure::failed(what, "name a new file in a folder that can be written to").because(error)
    })?;
    let written = serde_json::json!({"registration": path.display().to_string()});
    let lines = vec![
        story::line("written", &format!("{}; it holds the token: keep it", path.display())),
        story::line("next", "let the account that Synapse runs as read it"),
        story::line("next", "name it in app_service_config_files of homeserver.yaml"),
        story::line("next", "restart Synapse, then give the same file as --registration"),
    ];
    Ok(Ended::new("registration", &written, lines, Exit::Done))
}

fn user(text: &str) -> Result<String, String> {
    let parts = text.strip_prefix('@').and_then(|rest| rest.split_once(':'));
    let is_user = parts.is_some_and(|(local, server)| !local.is_empty() && !server.is_empty());
    if is_user { Ok(text.to_owned()) } else { Err("a user id is needed: @name:server".to_owned()) }
}

fn lines(outcome: &TranscriptOutcome) -> Vec<String> {
    let would = if outcome.dry_run { ", of which nothing was sent" } else { "" };
    let told = size::count(outcome.told, "event", "events");
    let rooms = size::count(outcome.rooms.len() as u64, "room", "rooms");
    let ghosts = size::count(outcome.ghosts, "account", "accounts");
    let files = size::count(outcome.files, "file", "files");
    let mut lines = vec![
        story::line("package", &format!("{}, {}", outcome.package, outcome.trust)),
        story::line(
            "told",
            &format!("{} as {}: {told} of {rooms}{would}", outcome.from, outcome.to),
        ),
        story::line("made", &format!("{ghosts} for people of the past, {files}")),
    ];
    lines.extend(outcome.rooms.iter().take(TOLD).flat_map(room_lines));
    if let Some(more) = outcome.rooms.len().checked_sub(TOLD).filter(|more| *more > 0) {
        let more = size::count(more as u64, "room", "rooms");
        lines.push(format!("  and {more} more; --report FILE has them all"));
    }
    lines.push(story::line("ids", &format!("{}: what became of what", outcome.id_map)));
    lines.push(story::line(
        "lost",
        "in every room: ids, signatures, receipts, settings, encryption",
    ));
    if outcome.rooms.iter().any(|room| room.decrypted > 0) {
        let text = "messages that were encrypted; who is in the room reads them on the server";
        lines.push(story::line("OPEN", text));
    }
    lines.extend(outcome.warnings.iter().map(|warning| story::line("WARNING", warning)));
    lines.push(story::line("gaps", &outcome.gaps.to_string()));
    lines.push(story::line("took", &size::seconds(u64::try_from(outcome.seconds).unwrap_or(0))));
    lines
}

fn room_lines(room: &RoomTold) -> Vec<String> {
    let name = room.name.as_deref().filter(|name| !name.is_empty());
    let name = name.map_or_else(String::new, |name| format!(" {name:?}"));
    let (messages, state, redactions) = (room.messages, room.state, room.redactions);
    let mut lines = vec![
        story::line("room", &format!("{}{name} is {}", room.old, room.new)),
        format!(
            "  {messages} messages, {state} of state, {redactions} redactions; {} there before",
            room.there
        ),
    ];
    let besides = [
        (room.decrypted, "were encrypted, and are not here"),
        (room.let_in, "invitations and joins added, so that somebody could speak"),
        (room.stood_in, "by the application service, as their sender was not allowed to"),
        (room.undated, "redactions dated now"),
        (room.files_missing, "files missing"),
    ];
    let besides = besides.iter().filter(|(count, _)| *count > 0);
    lines.extend(besides.map(|(count, what)| format!("  {count} {what}")));
    let named = room.lost.iter().filter(|(loss, _)| loss.is_worth_telling());
    lines.extend(named.map(|(loss, count)| {
        let word = if loss.is_gap() { "MISSING" } else { "left out" };
        format!("  {word}: {count} {}", loss.words())
    }));
    lines.extend(room.refusals.iter().map(|why| format!("  the server: {why}")));
    lines
}
