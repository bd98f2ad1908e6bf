//! `lifeboat export`: a server out, whole or in part.

use std::path::PathBuf;

use lifeboat_engine::export::{self, Estimate, ExportOutcome, ExportPlan, ExportRequest};
use lifeboat_engine::failure::Failure;
use lifeboat_engine::keyring::{Recipients, generate};
use lifeboat_engine::server::ServerRequest;
use lifeboat_package::limits::VOLUME_TARGET_BYTES;
use lifeboat_package::selection::{MediaScope, Selection};

use super::selection::SelectionFlags;
use super::server::{LaneFlags, ServerFlags};
use super::{Ended, Exit, Session, story};
use crate::secrets::RecipientFlags;
use crate::size;

/// zstd level unless `--fast`.
const LEVEL: i32 = 3;
/// zstd level of `--fast`.
const FAST_LEVEL: i32 = 1;
/// Sizes that a volume may be given: an entry and the index must fit, and stay below 4 GiB with it.
const VOLUME_SIZES: std::ops::RangeInclusive<u64> = (1 << 20)..=(3 << 30);

/// Take a server out, whole or in part, sealed for the recipients, while it runs
///
/// What cannot be read is listed as a gap, and the exit code is 3. When the command is killed or
/// stopped with SIGTERM, the same command goes on from the volumes that were finished; Ctrl-C
/// cancels and leaves nothing behind.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lifeboat export --synapse /etc/matrix-synapse/homeserver.yaml \\
      --synapse /etc/matrix-synapse/conf.d -r age1… -o server.lifeboat
  lifeboat export --synapse homeserver.yaml -R team.txt -o s3://bucket/server
  lifeboat export --synapse homeserver.yaml --passphrase -o /backup/folder/
  lifeboat export --synapse homeserver.yaml --room '#board:example.org' \\
      --since 2026-03-01 --until 2026-04-01 -r age1… -o march.lifeboat
  lifeboat export --synapse homeserver.yaml --user @ada:example.org \\
      --room @ada:example.org -r age1… -o ada.lifeboat
  lifeboat export --synapse homeserver.yaml --estimate")]
pub(crate) struct ExportFlags {
    #[command(flatten)]
    server: ServerFlags,
    #[command(flatten)]
    recipients: RecipientFlags,
    /// Where to: a file NAME.lifeboat, a folder, or s3://, gs://, az://
    #[arg(
        short,
        long,
        value_name = "TARGET",
        value_parser = parse_target,
        required_unless_present = "estimate"
    )]
    output: Option<String>,
    #[command(flatten)]
    lanes: LaneFlags,
    /// Compress less, finish sooner
    #[arg(long)]
    fast: bool,
    /// Size at which the next volume begins, 1MiB to 3GiB [default: 256MiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_volume_size)]
    volume_size: Option<u64>,
    /// File that keeps what a resumed export needs [default: beside the target]
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Tell how large the package will be, and end
    #[arg(long, conflicts_with = "dry_run")]
    estimate: bool,
    /// Tell what would be done, and end
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    selection: SelectionFlags,
}

pub(crate) async fn run(session: &Session, flags: ExportFlags) -> Result<Ended, Failure> {
    let (estimate, dry_run) = (flags.estimate, flags.dry_run);
    let request = request(session, flags)?;
    let cx = &session.context;
    if estimate {
        let estimate = session.until_stopped(Box::pin(export::estimate(cx, &request))).await?;
        return Ok(Ended::new("estimate", &estimate, estimate_lines(&estimate), Exit::Done));
    }
    if dry_run {
        let plan = session.until_stopped(Box::pin(export::plan(cx, &request))).await?;
        return Ok(Ended::new("plan", &plan, plan_lines(&plan), Exit::Done));
    }
    let outcome = export::export(cx, request).await?;
    let exit = Exit::with_gaps(outcome.gaps.total);
    Ok(Ended::new("export", &outcome, outcome_lines(&outcome), exit))
}

fn request(session: &Session, flags: ExportFlags) -> Result<ExportRequest, Failure> {
    let (server, selection) = (flags.server.request(session)?, flags.selection.selection()?);
    demand_media_store(&server, &selection)?;
    let recipients = if flags.estimate && flags.recipients.is_empty() {
        // Nothing will be sealed, so nobody needs to be named.
        Recipients::parse(&[generate().1])?
    } else {
        flags.recipients.read(&session.context)?
    };
    Ok(ExportRequest {
        server,
        recipients,
        target: flags.output.unwrap_or_default(),
        selection,
        lanes: flags.lanes.count(),
        level: if flags.fast { FAST_LEVEL } else { LEVEL },
        volume_bytes: flags.volume_size.unwrap_or(VOLUME_TARGET_BYTES),
        journal: flags.journal,
        of_backup: None,
    })
}

/// A media store that was named by hand and is not there would be a gap for each file.
fn demand_media_store(server: &ServerRequest, selection: &Selection) -> Result<(), Failure> {
    match &server.media_store {
        Some(store) if selection.media != MediaScope::None && !store.is_dir() => {
            Err(Failure::usage(
                format!("the media store {} is no folder that can be read", store.display()),
                "check --media-store; to export without media, give --media none",
            ))
        }
        _ => Ok(()),
    }
}

/// Where a package goes. A folder whose name is a hyphen is nobody's wish.
pub(super) fn parse_target(text: &str) -> Result<String, String> {
    match text {
        "-" => Err("a package is not written to standard output: name a file NAME.lifeboat, a \
                    folder, or s3://, gs://, az://"
            .to_owned()),
        _ => Ok(text.to_owned()),
    }
}

pub(super) fn parse_volume_size(text: &str) -> Result<u64, String> {
    let bytes = size::parse(text)?;
    if VOLUME_SIZES.contains(&bytes) {
        Ok(bytes)
    } else {
        Err("a volume has between 1MiB and 3GiB".to_owned())
    }
}

fn outcome_lines(outcome: &ExportOutcome) -> Vec<String> {
    let count = size::count;
    let resumed = match outcome.volumes_resumed {
        0 => String::new(),
        volumes => format!(", {} of an earlier run", size::count(volumes, "is", "are")),
    };
    let signed = match &outcome.signed_by {
        Some(key) => format!("signed by {key}"),
        None => "not signed: import will ask for --accept-unsigned".to_owned(),
    };
    let content = format!(
        "{}, {}, {}, {}",
        count(outcome.rooms, "room", "rooms"),
        count(outcome.events, "event", "events"),
        count(outcome.rows, "row", "rows"),
        count(outcome.media_files, "media file", "media files"),
    );
    let volumes = count(outcome.volumes, "volume", "volumes");
    let took = size::seconds(u64::try_from(outcome.seconds).unwrap_or(0));
    let mut lines = vec![
        story::line("package", &format!("{} in {}", outcome.package, outcome.target)),
        story::line("server", &format!("{}, {signed}", outcome.server_name)),
        story::line("content", &content),
        story::line("size", &format!("{} in {volumes}{resumed}", size::bytes(outcome.size_bytes))),
        story::line("took", &format!("{took}; estimated size {} %", outcome.estimate_percent)),
    ];
    if outcome.cuts > 1 {
        let text = format!("{} snapshots; rooms that changed are in the manifest", outcome.cuts);
        lines.push(story::line("cuts", &text));
    }
    lines.extend(story::gaps(&outcome.gaps));
    lines
}

fn estimate_lines(estimate: &Estimate) -> Vec<String> {
    let sections = estimate.rows_bytes.iter();
    let sections: Vec<String> =
        sections.map(|(section, bytes)| format!("{section} {}", size::bytes(*bytes))).collect();
    let rows = size::count(estimate.rows, "row", "rows");
    vec![
        story::line("rows", &format!("{rows}: {}", sections.join(", "))),
        story::line("media", &size::bytes(estimate.media_bytes)),
        story::line("package", &format!("about {}", size::bytes(estimate.package_bytes))),
        story::line("time", &format!("about {}", size::seconds(estimate.seconds))),
        story::line("scratch", &size::bytes(estimate.scratch_bytes)),
    ]
}

fn plan_lines(plan: &ExportPlan) -> Vec<String> {
    let from = if plan.resumes { "goes on with an earlier run" } else { "begins anew" };
    let mut lines = vec![
        story::line("server", &plan.server_name),
        story::line("target", &format!("{}: {from}", plan.target)),
    ];
    lines.extend(
        plan.parts.iter().map(|(kind, count)| story::line("part", &format!("{count} {kind}"))),
    );
    let left_out = plan.left_out.iter();
    lines.extend(left_out.map(|(table, why)| story::line("left out", &format!("{table}: {why}"))));
    lines.extend(estimate_lines(&plan.estimate));
    lines.extend(story::gaps(&plan.gaps));
    lines
}
