//! `lifeboat backup forget`, `pin`, `prune`, `key`, `copy`.

use std::path::Path;

use lifeboat_engine::failure::Failure;
use lifeboat_engine::keyring::Recipients;
use lifeboat_storage::{Location, LockMode};
use lifeboat_suite::{LOCK_DAYS, ObjectLock};
use lifeboat_vault::place::{Owned, Vault};
use lifeboat_vault::retention::{self, Choice};
use lifeboat_vault::run::locking;
use lifeboat_vault::{copy as copying, forget as forgetting, key as keys, prune as pruning};

use crate::commands::vault::{VaultFlags, locked};
use crate::commands::{Ended, Exit, Session, story};
use crate::secrets::IdentityFlags;
use crate::size;

/// Let backups go that retention does not keep; nothing is deleted before a prune
///
/// The newest backup that was verified is never let go, nor one dated in the future.
#[derive(Debug, clap::Args)]
pub(super) struct ForgetFlags {
    #[command(flatten)]
    vault: VaultFlags,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Let this backup go, whatever retention says; may be repeated
    #[arg(value_name = "BACKUP")]
    backup: Vec<String>,
}

/// Keep a backup until it is unpinned
#[derive(Debug, clap::Args)]
pub(super) struct PinFlags {
    #[command(flatten)]
    vault: VaultFlags,
    /// `latest`, or the beginning of an id
    backup: String,
    /// Why
    #[arg(long, default_value = "")]
    reason: String,
}

/// Leave a pinned backup to retention again
#[derive(Debug, clap::Args)]
pub(super) struct UnpinFlags {
    #[command(flatten)]
    vault: VaultFlags,
    /// `latest`, or the beginning of an id
    backup: String,
}

/// Delete what no kept backup needs: a first call lists it, a later one deletes it
#[derive(Debug, clap::Args)]
pub(super) struct PruneFlags {
    #[command(flatten)]
    vault: VaultFlags,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Days after which a run without an end counts as cut short for good
    #[arg(long, value_name = "DAYS", default_value_t = 7)]
    abandoned_after: u32,
}

/// Who can open the backups that are there: their envelopes are rewritten, not their volumes
///
/// Whoever had opened a backup before may have kept its key.
#[derive(Debug, clap::Args)]
pub(super) struct KeyFlags {
    #[command(subcommand)]
    verb: KeyVerb,
}

#[derive(Debug, clap::Subcommand)]
enum KeyVerb {
    /// Show the recipients in lifeboat.yaml, for whom backups are made
    List(VaultFlags),
    /// Seal every backup for one more recipient, beside those in lifeboat.yaml
    Add(RecipientFlags),
    /// Seal every backup for the recipients in lifeboat.yaml without this one
    Remove(RecipientFlags),
}

#[derive(Debug, clap::Args)]
struct RecipientFlags {
    #[command(flatten)]
    vault: VaultFlags,
    /// age1…, ssh-ed25519 … or ssh-rsa …
    recipient: String,
    #[command(flatten)]
    identities: IdentityFlags,
}

/// Copy the kept backups into a second vault, byte for byte, without a key
#[derive(Debug, clap::Args)]
pub(super) struct CopyFlags {
    #[command(flatten)]
    vault: VaultFlags,
    /// The second vault: a folder or bucket
    #[arg(long, value_name = "VAULT")]
    to: String,
    /// Lock all that the copied backups need in the second vault's S3 bucket: `governance` or
    /// `compliance`, and for how many days from now
    #[arg(long, value_name = "MODE:DAYS", value_parser = object_lock)]
    object_lock: Option<ObjectLock>,
}

fn object_lock(text: &str) -> Result<ObjectLock, String> {
    let modes = [LockMode::Governance, LockMode::Compliance];
    let parsed = text.split_once(':').and_then(|(mode, days)| {
        let mode = modes.into_iter().find(|known| known.word() == mode)?;
        let days = days.parse().ok().filter(|days| LOCK_DAYS.contains(days))?;
        Some(ObjectLock { mode, days })
    });
    parsed.ok_or_else(|| "write governance:DAYS or compliance:DAYS, from 1 to 36500".to_owned())
}

pub(super) async fn forget(session: &Session, flags: ForgetFlags) -> Result<Ended, Failure> {
    let (cx, installation) = (&session.context, flags.vault.installation(session)?);
    let (vault, survey) = flags.vault.open(session).await?;
    vault.demand_owner(&installation.server_name, false).await?;
    let mut named = Vec::new();
    for name in &flags.backup {
        named.push(survey.find(name, (cx.now)())?.folder.id());
    }
    let rules = (&installation.retention, &installation.schedule.time_zone);
    let choices = retention::choose(cx, (&vault, &survey), rules, &named).await?;
    if !flags.dry_run {
        for choice in choices.iter().filter(|choice| !choice.keep) {
            let id = lifeboat_package::id::PackageId::parse(&choice.backup);
            let id = id.map_err(|e| Failure::failed("no id", "").because(e))?;
            forgetting::forget(cx, &vault, (&id, &choice.reason)).await?;
        }
    }
    let mut lines: Vec<String> = choices.iter().map(choice_line).collect();
    let gone = choices.iter().filter(|choice| !choice.keep).count();
    let gone = size::count(gone as u64, "backup is", "backups are");
    lines.push(if flags.dry_run {
        format!("{gone} to go; nothing was done")
    } else {
        format!("{gone} let go; lifeboat backup prune deletes what nobody needs")
    });
    Ok(Ended::new("backup forget", &choices, lines, Exit::Done))
}

fn choice_line(choice: &Choice) -> String {
    let id = choice.backup.get(..12).unwrap_or(&choice.backup);
    let word = if choice.keep { "keep" } else { "forget" };
    format!("{word:<7} {id}  {}  {}", choice.begun_at, choice.reason)
}

pub(super) async fn pin(session: &Session, flags: PinFlags) -> Result<Ended, Failure> {
    let (vault, survey) = flags.vault.open(session).await?;
    let id = survey.find(&flags.backup, (session.context.now)())?.folder.id();
    forgetting::pin(&session.context, &vault, (&id, &flags.reason)).await?;
    Ok(marked("backup pin", &id.to_string(), "is pinned"))
}

pub(super) async fn unpin(session: &Session, flags: UnpinFlags) -> Result<Ended, Failure> {
    let (vault, survey) = flags.vault.open(session).await?;
    let id = survey.find(&flags.backup, (session.context.now)())?.folder.id();
    forgetting::unpin(&vault, &id).await?;
    Ok(marked("backup unpin", &id.to_string(), "is left to retention"))
}

fn marked(command: &'static str, id: &str, word: &str) -> Ended {
    let outcome = serde_json::json!({ "backup": id });
    Ended::new(command, &outcome, vec![story::line("backup", &format!("{id} {word}"))], Exit::Done)
}

pub(super) async fn prune(session: &Session, flags: PruneFlags) -> Result<Ended, Failure> {
    let (vault, _) = flags.vault.open(session).await?;
    let seconds = i64::from(flags.abandoned_after) * 24 * 3600;
    let outcome = pruning::prune(&session.context, &vault, (seconds, flags.dry_run)).await?;
    let word = if flags.dry_run { "would go" } else { "deleted" };
    let (files, listed) = (
        size::count(outcome.deleted_files, "file", "files"),
        size::count(outcome.listed_volumes, "volume", "volumes"),
    );
    let mut lines = vec![
        story::line(word, &format!("{files}, {}", size::bytes(outcome.deleted_bytes))),
        story::line(
            "listed",
            &format!("{listed}, {}, for the next prune", size::bytes(outcome.listed_bytes)),
        ),
    ];
    for folder in &outcome.waiting_for {
        lines.push(story::line("waits", &format!("for the unfinished run {folder}")));
    }
    if outcome.kept_back_files > 0 {
        let files = size::count(outcome.kept_back_files, "file", "files");
        lines.push(story::line("kept back", &format!("{files}, which may not be deleted (yet)")));
        lines.extend(outcome.kept_back.iter().map(|file| story::line("", file)));
    }
    for folder in &outcome.undone {
        let what = format!("the run {folder} was under way after all; there is no backup of it");
        lines.push(story::line("UNDONE", &what));
    }
    let exit = Exit::with_gaps(outcome.kept_back_files + outcome.undone.len() as u64);
    Ok(Ended::new("backup prune", &outcome, lines, exit))
}

pub(super) async fn key(session: &Session, flags: KeyFlags) -> Result<Ended, Failure> {
    let (flags, is_added) = match flags.verb {
        KeyVerb::List(vault) => {
            let names = Recipients::parse(&vault.installation(session)?.recipients)?.names();
            let lines = names.iter().map(|name| story::line("recipient", name)).collect();
            return Ok(Ended::new("backup key list", &names, lines, Exit::Done));
        }
        KeyVerb::Add(flags) => (flags, true),
        KeyVerb::Remove(flags) => (flags, false),
    };
    let installation = flags.vault.installation(session)?;
    let mut list = installation.recipients;
    // What is no recipient would be told as taken away. A comment does not make it another one.
    let named = named(&flags.recipient)?;
    let before = list.len();
    list.retain(|known| self::named(known).map_or(true, |known| known != named));
    let is_listed = list.len() < before;
    if is_added {
        list.push(flags.recipient.clone());
    } else if list.is_empty() {
        return Err(Failure::usage(
            "it is the only recipient: nobody could open the backups",
            "add another one to lifeboat.yaml first; nothing was changed",
        ));
    }
    let recipients = Recipients::parse(&list)?;
    let identities = flags.identities.demand(&session.context)?;
    let (vault, survey) = flags.vault.open_locked(session).await?;
    vault.demand_owner(&installation.server_name, false).await?;
    let keys = (&identities, &recipients, is_added);
    let outcome = keys::rewrap(&session.context, &vault, &survey, keys).await?;
    let rewritten = size::count(outcome.rewritten, "envelope", "envelopes");
    let lists = size::count(outcome.lists, "list of erasures", "lists of erasures");
    let mut lines = vec![story::line("rewritten", &format!("{rewritten}, {lists}"))];
    lines.extend(outcome.recipients.iter().map(|name| story::line("recipient", name)));
    if is_added != is_listed {
        let what = if is_added { "add it to" } else { "remove it from" };
        let next = format!("{what} lifeboat.yaml too: new backups are made for those there");
        lines.push(story::line("next", &next));
    }
    for folder in &outcome.unfinished {
        let what = format!("the run {folder} was under way or cut short");
        lines.push(story::line("left out", &what));
    }
    if !outcome.unfinished.is_empty() {
        let what = "when no run is under way, the same command again: a run keeps its recipients";
        lines.push(story::line("next", what));
    }
    Ok(Ended::new("backup key", &outcome, lines, Exit::Done))
}

/// A copy in the same place is none.
fn demand_another(vault: &str, to: &str) -> Result<(), Failure> {
    let folder = |place: &str| Location::parse(place).ok()?.as_directory().map(Path::to_owned);
    let is_inside = match (folder(vault), folder(to)) {
        (Some(vault), Some(to)) => is_inside(&vault, &to),
        _ => vault.trim_end_matches('/') == to.trim_end_matches('/'),
    };
    if !is_inside {
        return Ok(());
    }
    Err(Failure::usage(
        format!("{to} is the vault that is copied, or lies in it"),
        "name another place, best on another machine; nothing was copied",
    ))
}

/// Whether a place, which need not be there yet, is in a folder.
fn is_inside(folder: &Path, place: &Path) -> bool {
    let (Ok(folder), Ok(place)) = (folder.canonicalize(), std::path::absolute(place)) else {
        return false;
    };
    let there = place.ancestors().find_map(|parent| parent.canonicalize().ok());
    there.is_some_and(|there| there.starts_with(folder))
}

fn named(recipient: &str) -> Result<Vec<String>, Failure> {
    Ok(Recipients::parse(&[recipient.to_owned()])?.names())
}

/// Backups of two servers in one vault would be counted as one row by retention.
async fn one_owner(server: &str, (vault, to): (&Vault, &Vault)) -> Result<(), Failure> {
    match (vault.owned(server).await?, to.owned(server).await?) {
        (Owned::ByAnother, Owned::ByIt) => Err(Failure::usage(
            format!("the vault {} is another server's than {}", vault.location, to.location),
            "give each server a vault of its own; nothing was copied",
        )),
        (Owned::ByAnother, _) => Ok(()),
        (whose, _) => to.demand_owner(server, whose == Owned::ByIt).await,
    }
}

pub(super) async fn copy(session: &Session, flags: CopyFlags) -> Result<Ended, Failure> {
    let (vault, survey) = flags.vault.open(session).await?;
    let access = locked(session, flags.object_lock);
    if access.has_lock() {
        locking::check(&session.context, &flags.to, &access).await?;
    }
    demand_another(&vault.location, &flags.to)?;
    let to = Vault::open(&flags.to, &access, Some(&session.context)).await?;
    match flags.vault.installation(session) {
        Ok(installation) => one_owner(&installation.server_name, (&vault, &to)).await?,
        // A machine that only fetches may not know the installation.
        Err(_) if flags.vault.vault.is_some() => {}
        Err(failure) => return Err(failure),
    }
    let copying = copying::copy(&session.context, (&vault, &survey), &to);
    let outcome = session.until_stopped(Box::pin(copying)).await?;
    let mut lines = vec![
        story::line("backups", &outcome.backups.to_string()),
        story::line(
            "copied",
            &format!(
                "{}, {}; {} were there",
                size::count(outcome.copied_files, "file", "files"),
                size::bytes(outcome.copied_bytes),
                outcome.equal_files
            ),
        ),
    ];
    if outcome.replaced_files > 0 {
        let told = size::count(outcome.replaced_files, "file", "files");
        lines.push(story::line(
            "replaced",
            &format!("{told} of backups that a verify had found wrong there"),
        ));
        let next = format!("lifeboat backup verify --all --vault {}", flags.to);
        lines.push(story::line("next", &next));
    }
    Ok(Ended::new("backup copy", &outcome, lines, Exit::Done))
}
