//! `lifeboat render`: a readable archive.

use std::path::PathBuf;

use jiff::tz::TimeZone;
use lifeboat_engine::failure::Failure;
use lifeboat_rendering::render::{self, KeyFile, RenderOutcome, RenderRequest};
use lifeboat_storage::Access;

use super::selection::PickFlags;
use super::{Ended, Exit, Session, story};
use crate::secrets::{IdentityFlags, RoomKeyFlags};
use crate::size;

/// Write a package as pages to read: HTML, plain text or CSV
///
/// The pages load nothing from elsewhere and run nothing. What is written is not sealed any more:
/// private messages included, and with --keys the encrypted ones too.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lifeboat render server.lifeboat -i identity.txt -d archive
  lifeboat render server.lifeboat -i identity.txt -d board --room '#board:example.org' \\
      --since 2026-03-01 --time-zone Europe/Berlin
  lifeboat render server.lifeboat -i identity.txt -d mine --room @ada:example.org \\
      --keys element-keys.txt
  lifeboat render server.lifeboat -i identity.txt -d tables --format csv")]
pub(crate) struct RenderFlags {
    /// A file NAME.lifeboat, a folder, or s3://, gs://, az://
    package: String,
    #[command(flatten)]
    identities: IdentityFlags,
    /// Folder to write to, new or empty
    #[arg(short, long, value_name = "DIR")]
    directory: PathBuf,
    /// Pages for a browser, one table a room, or one text a room
    #[arg(long, value_enum, default_value_t = Format::Html)]
    format: Format,
    /// Time zone of all dates, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = zone)]
    time_zone: TimeZone,
    /// Leave images and files out
    #[arg(long)]
    no_media: bool,
    #[command(flatten)]
    keys: RoomKeyFlags,
    #[command(flatten)]
    picks: PickFlags,
}

/// `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Html,
    Csv,
    Txt,
}

pub(crate) async fn run(session: &Session, flags: RenderFlags) -> Result<Ended, Failure> {
    let identities = flags.identities.demand(&session.context)?;
    let access = Access::new(session.environment.iter().cloned());
    let keys = flags.keys.read(&session.context)?;
    let keys = keys.map(|(text, passphrase)| {
        KeyFile::read(&text, passphrase.as_ref().map(|passphrase| passphrase.as_str()))
    });
    let request = RenderRequest {
        package: &flags.package,
        folder: &flags.directory,
        selection: flags.picks.selection()?,
        format: match flags.format {
            Format::Html => render::Format::Html,
            Format::Csv => render::Format::Csv,
            Format::Txt => render::Format::Text,
        },
        zone: flags.time_zone,
        with_media: !flags.no_media,
        keys: keys.transpose()?,
    };
    let rendering = render::render(&session.context, request, &identities, &access);
    let outcome = session.until_stopped(Box::pin(rendering)).await?;
    let exit = if outcome.has_gaps() { Exit::WithGaps } else { Exit::Done };
    Ok(Ended::new("render", &outcome, lines(&outcome, flags.format), exit))
}

fn zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| "name a time zone such as Europe/Berlin, or UTC".to_owned())
}

fn lines(outcome: &RenderOutcome, format: Format) -> Vec<String> {
    let content = format!(
        "{} of {} on {}, {}, {}",
        size::count(outcome.events, "event", "events"),
        size::count(outcome.rooms, "room", "rooms"),
        size::count(outcome.pages, "page", "pages"),
        size::count(outcome.media_files, "media file", "media files"),
        size::bytes(outcome.bytes),
    );
    let first = match format {
        Format::Html => "index.html",
        Format::Csv => "rooms.csv",
        Format::Txt => "rooms.txt",
    };
    let mut lines = vec![
        story::line("package", &outcome.package),
        story::line("read", &format!("{}/{first}", outcome.folder.trim_end_matches('/'))),
        story::line("content", &content),
    ];
    if outcome.encrypted + outcome.decrypted > 0 {
        let text = format!("{} decrypted, {} shown as such", outcome.decrypted, outcome.encrypted);
        lines.push(story::line("encrypted", &text));
    }
    let mut gaps = Vec::new();
    if outcome.gaps > 0 {
        let count = size::count(outcome.gaps, "gap", "gaps");
        gaps.push(format!("{count} of the export: lifeboat inspect tells"));
    }
    if outcome.media_missing > 0 {
        let count = size::count(outcome.media_missing, "file", "files");
        gaps.push(format!("{count} that messages name could not be had"));
    }
    if outcome.unreadable > 0 {
        let count = size::count(outcome.unreadable, "event", "events");
        gaps.push(format!("{count} whose content cannot be read"));
    }
    let gaps = if gaps.is_empty() { "none".to_owned() } else { gaps.join(", ") };
    lines.push(story::line("gaps", &gaps));
    lines
}
