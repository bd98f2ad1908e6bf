//! `lifeboat import`: a whole server back, or rooms and users into a living one.

mod living;
mod transcript;

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::mem;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use lifeboat_engine::failure::Failure;
use lifeboat_engine::import::{self, ImportOutcome, ImportPlan, ImportRequest, SEQUENCE_MARGIN};
use lifeboat_engine::merge::{self, MergeRequest};

use super::restart::RestartCommand;
use super::selection::PickFlags;
use super::server::LaneFlags;
use super::{Ended, Exit, Session, story};
use crate::secrets::IdentityFlags;
use crate::size;
use transcript::{ServerUnlessTranscript, TranscriptFlags};

/// Bytes of a file with keys to trust.
const KEY_FILE_BYTES: u64 = 1 << 20;

/// Put a package into an empty server, or rooms and users of it into a living one
///
/// The package must be signed with the target's own signing key, a key that --trust-key names, or
/// one that --accept-signer accepts. Nothing is changed before everything has been checked. An
/// empty database is filled whole; Synapse does not start on a server that is not. Into a living
/// server goes what it lacks; what it has is never taken away.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "\
Examples:
  lifeboat import server.lifeboat -i identity.txt --synapse homeserver.yaml --dry-run
  lifeboat import server.lifeboat -i identity.txt --synapse homeserver.yaml
  lifeboat import server.lifeboat -i identity.txt --synapse homeserver.yaml --verify
  lifeboat import server.lifeboat -i identity.txt --synapse homeserver.yaml \\
    --room '#lobby:example.org' --plan plan.yaml
  lifeboat import undo 3f0c9a51d2be --synapse homeserver.yaml
  lifeboat import --as-transcript --write-registration lifeboat.yaml
  lifeboat import server.lifeboat -i identity.txt --as-transcript --accept-signer example.org \\
    --homeserver https://matrix.new.org --registration lifeboat.yaml --owner @ada:new.org"
)]
pub(crate) struct ImportFlags {
    #[command(subcommand)]
    verb: Option<ImportVerb>,
    /// A file NAME.lifeboat, a folder, or s3://, gs://, az://
    #[arg(required_unless_present = "write_registration")]
    package: Option<String>,
    #[command(flatten)]
    identities: IdentityFlags,
    #[command(flatten)]
    server: ServerUnlessTranscript,
    #[command(flatten)]
    lanes: LaneFlags,
    #[command(flatten)]
    trust: TrustFlags,
    #[command(flatten)]
    transcript: TranscriptFlags,
    /// How far sequences are raised past what may have been handed out since the export
    #[arg(long, value_name = "N", default_value_t = SEQUENCE_MARGIN)]
    sequence_margin: u64,
    /// The Python that Synapse runs with, to learn which schema it knows
    #[arg(long, value_name = "PATH")]
    synapse_python: Option<PathBuf>,
    #[command(flatten)]
    picks: PickFlags,
    /// Living server: follow the plan in FILE; if it is not there, write it and do nothing else
    #[arg(long, value_name = "FILE", conflicts_with = "verify", help_heading = "Living server")]
    plan: Option<PathBuf>,
    /// Living server: bring everything it lacks, without naming what
    #[arg(long, conflicts_with = "verify", help_heading = "Living server")]
    merge: bool,
    /// Living server: what belongs to the account FROM goes to the account TO; may be repeated
    #[arg(long, value_name = "FROM=TO", conflicts_with = "verify", help_heading = "Living server")]
    map_user: Vec<UserPair>,
    /// Living server: restart Synapse with this command when the import is done, for example
    /// 'systemctl restart matrix-synapse'; run without a shell
    #[arg(long, value_name = "COMMAND", conflicts_with = "verify", help_heading = "Living server")]
    restart_command: Option<RestartCommand>,
    /// Tell what would be done, and end; a living server is worked on, and nothing of it kept
    #[arg(long, conflicts_with = "verify")]
    dry_run: bool,
    /// Compare the server with the package, and end
    #[arg(long)]
    verify: bool,
    /// File for the outcome as JSON; FILE.txt gets it as text
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// What else can be done with imports.
#[derive(Debug, clap::Subcommand)]
enum ImportVerb {
    Undo(living::UndoFlags),
}

/// Whose package to take.
#[derive(Debug, clap::Args)]
struct TrustFlags {
    /// Accept this signer: its public key, or (the key is then not compared) its server name
    #[arg(long, value_name = "NAME", help_heading = "Trust")]
    accept_signer: Option<String>,
    /// File with keys to trust, one `<server> <key id> <base64>` a line; may be repeated
    #[arg(long, value_name = "FILE", help_heading = "Trust")]
    trust_key: Vec<PathBuf>,
    /// Accept a package that nobody signed
    #[arg(long, help_heading = "Trust")]
    accept_unsigned: bool,
}

/// An account of the package and one of the target.
#[derive(Debug, Clone)]
struct UserPair((String, String));

impl FromStr for UserPair {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A name may have this sign in it; what begins an account's name comes nowhere else.
        let (from, to) = text.split_once("=@").ok_or("write it as @old:server=@new:server")?;
        if !from.starts_with('@') {
            return Err("write it as @old:server=@new:server");
        }
        Ok(Self((from.to_owned(), format!("@{to}"))))
    }
}

/// What goes from which account to which; nothing goes to two.
fn pairs(given: Vec<UserPair>) -> Result<Vec<(String, String)>, Failure> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for UserPair((from, to)) in given {
        match pairs.iter().find(|(known, _)| *known == from) {
            Some((_, other)) if *other != to => {
                let what = format!("--map-user gives {from} to {other} and to {to}");
                return Err(Failure::usage(what, "name one account that it goes to"));
            }
            Some(_) => {}
            None => pairs.push((from, to)),
        }
    }
    Ok(pairs)
}

pub(crate) async fn run(session: &Session, flags: ImportFlags) -> Result<Ended, Failure> {
    let mut flags = flags;
    if let Some(ImportVerb::Undo(undo)) = flags.verb.take() {
        return living::undo(session, undo).await;
    }
    if flags.transcript.as_transcript {
        let report = flags.report.take();
        return with_report(transcript::run(session, flags).await?, report);
    }
    let (dry_run, verify, report) = (flags.dry_run, flags.verify, flags.report.clone());
    let merge_all = flags.merge;
    let selection = mem::take(&mut flags.picks).selection()?;
    let plan_file = flags.plan.take();
    let restart = flags.restart_command.take().map(|command| living::restart(session, command));
    let map_users = pairs(mem::take(&mut flags.map_user))?;
    let request = request(session, flags)?;
    let cx = &session.context;
    let picked = plan_file.is_some() || !selection.is_everything() || !map_users.is_empty();
    let wanted = picked || merge_all;
    let ended = if !verify && merge::is_living(&request, wanted).await? {
        let import = request;
        let request = MergeRequest { import, selection, plan_file, map_users, restart, dry_run };
        living::merge(cx, request).await?
    } else if picked {
        return Err(Failure::usage(
            "a part, or a plan, is for a living server; this database is empty",
            "start Synapse on it once, or import the whole package",
        ));
    } else if dry_run {
        let plan = session.until_stopped(Box::pin(import::plan(cx, &request))).await?;
        Ended::new("plan", &plan, plan_lines(&plan), Exit::Done)
    } else if verify {
        let report = session.until_stopped(Box::pin(import::verify(cx, &request))).await?;
        let exit = if report.valid { Exit::Done } else { Exit::NotValid };
        Ended::new("import-verify", &report, report.lines(), exit)
    } else {
        let outcome = import::import(cx, request).await?;
        let exit = Exit::with_gaps(outcome.gaps);
        Ended::new("import", &outcome, outcome_lines(&outcome), exit)
    };
    with_report(ended, report)
}

fn with_report(ended: Ended, report: Option<PathBuf>) -> Result<Ended, Failure> {
    if let Some(path) = report {
        write_report(&path, &ended)?;
    }
    Ok(ended)
}

fn request(session: &Session, flags: ImportFlags) -> Result<ImportRequest, Failure> {
    Ok(ImportRequest {
        package: flags.package.unwrap_or_default(),
        identities: flags.identities.demand(&session.context)?,
        server: flags.server.0.request(session)?,
        lanes: flags.lanes.count(),
        accept_signer: flags.trust.accept_signer,
        trusted_keys: pinned_keys(&flags.trust.trust_key)?,
        accept_unsigned: flags.trust.accept_unsigned,
        margin: flags.sequence_margin,
        synapse_python: flags.synapse_python,
    })
}

/// The lines of the files with keys to trust.
fn pinned_keys(paths: &[PathBuf]) -> Result<Vec<String>, Failure> {
    let mut keys = Vec::new();
    paths.iter().try_for_each(|path| read_keys(path, &mut keys))?;
    Ok(keys)
}

fn read_keys(path: &Path, keys: &mut Vec<String>) -> Result<(), Failure> {
    let mut text = String::new();
    let read =
        fs::File::open(path).and_then(|file| file.take(KEY_FILE_BYTES).read_to_string(&mut text));
    read.map_err(|error| {
        let what = format!("cannot read {}", path.display());
        Failure::failed(what, "one `<server> <key id> <base64>` a line is needed").because(error)
    })?;
    let lines = text.lines().map(str::trim);
    keys.extend(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned));
    Ok(())
}

/// The outcome for machines and, beside it, for people.
fn write_report(path: &Path, ended: &Ended) -> Result<(), Failure> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".txt");
    let pretty = format!("{:#}\n", ended.outcome);
    let text = format!("{}\n", ended.lines.join("\n"));
    for (path, content) in [(path.to_owned(), pretty), (PathBuf::from(beside), text)] {
        // It names users and rooms.
        let mut how = OpenOptions::new();
        how.write(true).create(true).truncate(true).mode(0o600);
        let written = how.open(&path).and_then(|mut file| file.write_all(content.as_bytes()));
        written.map_err(|error| {
            let what = format!("the import is done; cannot write its report {}", path.display());
            Failure::failed(what, "lifeboat import --verify --report FILE makes one").because(error)
        })?;
    }
    Ok(())
}

fn plan_lines(plan: &ImportPlan) -> Vec<String> {
    let made = if plan.creates_database { ", which will be made" } else { "" };
    let cleared = if plan.clears { ", cleared of what an earlier import left" } else { "" };
    let tables = size::count(plan.tables, "table", "tables");
    let parts = size::count(plan.media_parts, "part", "parts");
    let mut lines = vec![
        story::line("server", &plan.server_name),
        story::line("package", &format!("{}, {}", plan.package, plan.trust)),
        story::line("database", &format!("{}{made}{cleared}", plan.database)),
        story::line("rows", &format!("{} in {tables}", size::count(plan.rows, "row", "rows"))),
        story::line("media", &format!("{parts} into {}", plan.media_store)),
    ];
    let files = plan.config_files.iter();
    lines.extend(files.map(|(path, what)| story::line("config", &format!("{path}: {what}"))));
    lines.extend(plan.warnings.iter().map(|warning| story::line("WARNING", warning)));
    lines.push(story::line("gaps", &plan.gaps.to_string()));
    lines
}

fn outcome_lines(outcome: &ImportOutcome) -> Vec<String> {
    let tables = size::count(outcome.tables, "table", "tables");
    let rows = size::count(outcome.rows, "row", "rows");
    let written = size::count(outcome.media_written, "file", "files");
    let equal = outcome.media_equal;
    let took = size::seconds(u64::try_from(outcome.seconds).unwrap_or(0));
    let mut lines = vec![
        story::line("server", &outcome.server_name),
        story::line("package", &format!("{}, {}", outcome.package, outcome.trust)),
        story::line("database", &format!("{rows} in {tables} of {}", outcome.database)),
        story::line("media", &format!("{written} written, {equal} there already")),
    ];
    lines.extend(outcome.config_written.iter().map(|path| story::line("config", path)));
    lines.extend(outcome.fixups.iter().map(|fixup| story::line("rule", &fixup.to_string())));
    lines.extend(outcome.warnings.iter().map(|warning| story::line("WARNING", warning)));
    lines.push(story::line("gaps", &outcome.gaps.to_string()));
    lines.push(story::line("took", &took));
    lines.extend(outcome.next.iter().map(|step| story::line("next", step)));
    lines
}
