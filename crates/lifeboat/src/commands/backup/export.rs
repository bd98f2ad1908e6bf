//! `lifeboat backup export`: a package of rooms and accounts out of a backup.

use lifeboat_engine::export::{ExportOutcome, ExportRequest, OfBackup, export, media_files};
use lifeboat_engine::failure::Failure;
use lifeboat_engine::keyring::Recipients;
use lifeboat_package::limits::VOLUME_TARGET_BYTES;
use lifeboat_restore::copy::{CopyRequest, SynapseCopy};
use lifeboat_restore::run::recovery_point;
use lifeboat_vault::backup::OpenBackup;
use lifeboat_vault::erasures::after;
use serde::Serialize;

use crate::commands::export::parse_target;
use crate::commands::installation::around;
use crate::commands::selection::SelectionFlags;
use crate::commands::server::LaneFlags;
use crate::commands::vault::OneBackupFlags;
use crate::commands::{Ended, Exit, Session, story};
use crate::size;

/// zstd level.
const LEVEL: i32 = 3;

/// Take rooms and people out of a backup, as a package for `lifeboat import`
///
/// Makes the databases of Synapse again beside those in use (`_export` at the end of their names,
/// on the same servers; the role needs CREATEDB), with the rows that the chosen rooms and accounts
/// need, exports what is chosen, and takes them away again. Only where all rooms are wanted, or a
/// room has more than a million events, is everything put back, which takes as much disk as the
/// database. Of the media store only the files that are needed are read, into the state folder.
/// What runs is not touched. `lifeboat import` then puts the package into the living server: one
/// room as it was last March, with a plan first and an undo.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lifeboat backup export -c lifeboat.yaml -i identity.txt \\
      --room '!abc:example.org' -o room.lifeboat
  lifeboat import room.lifeboat -i identity.txt --synapse homeserver.yaml
  lifeboat backup export 4f2a -c lifeboat.yaml -i identity.txt \\
      --user @ada:example.org --room @ada:example.org -o ada.lifeboat")]
pub(super) struct ExportFlags {
    #[command(flatten)]
    of: OneBackupFlags,
    /// Who will open the package [default: the recipients in lifeboat.yaml]; may be repeated
    #[arg(short, long, value_name = "RECIPIENT", help_heading = "Keys")]
    recipient: Vec<String>,
    /// The Synapse to take from, where a backup holds several
    #[arg(long, value_name = "NAME")]
    component: Option<String>,
    /// Where to: a file NAME.lifeboat, a folder, or s3://, gs://, az://
    #[arg(short, long, value_name = "TARGET", value_parser = parse_target)]
    output: String,
    #[command(flatten)]
    lanes: LaneFlags,
    #[command(flatten)]
    selection: SelectionFlags,
}

/// What was taken out, of what.
#[derive(Serialize)]
struct Exported {
    /// The backup.
    backup: String,
    /// The moment it holds.
    recovery_point: String,
    #[serde(flatten)]
    export: ExportOutcome,
    /// What could not be put back of the databases, and what was not removed.
    left: Vec<String>,
}

pub(super) async fn run(session: &Session, flags: ExportFlags) -> Result<Ended, Failure> {
    let cx = &session.context;
    let identities = flags.of.identities.demand(cx)?;
    let selection = flags.selection.selection()?;
    let installation = flags.of.vault.installation(session)?;
    let named =
        if flags.recipient.is_empty() { &installation.recipients } else { &flags.recipient };
    let recipients = Recipients::parse(named)?;
    let (vault, survey) = flags.of.vault.open(session).await?;
    let sealed = survey.find(&flags.of.backup, (session.context.now)())?;
    let open = OpenBackup::open(&vault, &survey, (&sealed.folder, &identities)).await?;
    let of = OfBackup {
        backup: open.manifest().package.to_string(),
        recovery_point: recovery_point(open.manifest()),
    };
    let made = (open.manifest(), of.recovery_point.as_str());
    let wanted = CopyRequest {
        erasures: after((&vault, &survey), &identities, made).await?,
        component: flags.component,
        config: flags.of.vault.config(session),
        around: around(session),
        environment: session.environment.clone(),
        lanes: flags.lanes.count(),
        selection: selection.clone(),
    };
    let copy = Box::pin(SynapseCopy::make(cx, &open, (&installation, wanted))).await?;
    let request = ExportRequest {
        server: copy.server.clone(),
        recipients,
        target: flags.output,
        selection,
        lanes: flags.lanes.count(),
        level: LEVEL,
        volume_bytes: VOLUME_TARGET_BYTES,
        journal: None,
        of_backup: Some(of.clone()),
    };
    let ended = Box::pin(take_out(session, &copy, request)).await;
    let mut left = copy.gaps.clone();
    let kept = copy.clear().await;
    left.extend(kept.into_iter().map(|what| format!("not removed: {what}")));
    let export = ended.inspect_err(|_| left.iter().for_each(|left| cx.note(left)))?;
    let OfBackup { backup, recovery_point } = of;
    let outcome = Exported { backup, recovery_point, export, left };
    let exit = Exit::with_gaps(outcome.export.gaps.total + outcome.left.len() as u64);
    Ok(Ended::new("backup export", &outcome, lines(&outcome), exit))
}

async fn take_out(
    session: &Session,
    copy: &SynapseCopy<'_>,
    request: ExportRequest,
) -> Result<ExportOutcome, Failure> {
    let cx = &session.context;
    let files = session.until_stopped(Box::pin(media_files(cx, &request))).await?;
    copy.media(cx, &files).await?;
    export(cx, request).await
}

fn lines(outcome: &Exported) -> Vec<String> {
    let export = &outcome.export;
    let content = format!(
        "{}, {}, {}",
        size::count(export.rooms, "room", "rooms"),
        size::count(export.events, "event", "events"),
        size::count(export.media_files, "media file", "media files"),
    );
    let took = size::seconds(u64::try_from(export.seconds).unwrap_or_default());
    let mut lines = vec![
        story::line("backup", &outcome.backup),
        story::line("as of", &outcome.recovery_point),
        story::line("package", &format!("{} in {}", export.package, export.target)),
        story::line("content", &content),
        story::line("size", &format!("{}, written in {took}", size::bytes(export.size_bytes))),
    ];
    lines.extend(outcome.left.iter().map(|left| story::line("GAP", left)));
    lines.extend(story::gaps(&export.gaps));
    let next = format!("lifeboat import {} -i … --synapse …", export.target);
    lines.push(story::line("next", &next));
    lines
}
