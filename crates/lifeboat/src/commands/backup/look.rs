//! `lifeboat backup list`, `show`, `verify`.

use lifeboat_engine::failure::Failure;
use lifeboat_suite::runs::{self, Task};
use lifeboat_vault::erasures;
use lifeboat_vault::forget::Mark;
use lifeboat_vault::list::{self, Listed, ShownContent, VaultList};
use lifeboat_vault::verify::{self, VerifyOutcome};

use super::take::{component, group};
use crate::commands::vault::{OneBackupFlags, VaultFlags};
use crate::commands::{Ended, Exit, Session, story};
use crate::size;

/// List the backups in the vault
#[derive(Debug, clap::Args)]
pub(super) struct ListFlags {
    #[command(flatten)]
    vault: VaultFlags,
    /// Those that were forgotten and are not deleted yet, too
    #[arg(long)]
    all: bool,
}

/// Show a backup; with an identity what it holds
#[derive(Debug, clap::Args)]
pub(super) struct ShowFlags {
    #[command(flatten)]
    of: OneBackupFlags,
}

/// Check a backup: is it whole, and is every bit of it, and of what it borrows, what was written?
///
/// With an identity everything is read and checked; without, the sums of all sealed files. The
/// exit code is 0 only for a backup that is complete and valid, else 4.
#[derive(Debug, clap::Args)]
pub(super) struct VerifyFlags {
    #[command(flatten)]
    of: OneBackupFlags,
    /// Every backup that is kept, and the lists of what was taken back for good
    #[arg(long, conflicts_with = "backup")]
    all: bool,
    /// Only the sums of sealed files, which needs no identity
    #[arg(long, conflicts_with_all = ["identity", "passphrase", "passphrase_file"])]
    scrub: bool,
}

pub(super) async fn list(session: &Session, flags: ListFlags) -> Result<Ended, Failure> {
    let (vault, survey) = flags.vault.open(session).await?;
    let found = list::list(&vault, &survey, flags.all).await?;
    Ok(Ended::new("backup list", &found, list_lines(&found), Exit::Done))
}

fn list_lines(found: &VaultList) -> Vec<String> {
    let mut lines = vec![
        format!("vault {}, {}", found.vault, size::bytes(found.bytes)),
        format!("{:<12}  {:<20}  {:>9}  {:>9}  verified", "backup", "begun", "stored", "borrowed"),
    ];
    lines.extend(found.backups.iter().map(row));
    if found.backups.is_empty() {
        lines.push("no backup yet: lifeboat backup run".to_owned());
    }
    for folder in &found.unfinished {
        lines.push(format!("unfinished: {folder}, a run that goes on or was cut short"));
    }
    for folder in &found.damaged {
        lines.push(format!("DAMAGED: {folder}/seal.json cannot be read"));
    }
    lines
}

fn row(listed: &Listed) -> String {
    let id = listed.backup.get(..12).unwrap_or(&listed.backup);
    let (own, borrowed) = (size::bytes(listed.own_bytes), size::bytes(listed.borrowed_bytes));
    let mut row =
        format!("{id:<12}  {:<20}  {own:>9}  {borrowed:>9}  {}", listed.begun_at, listed.verified);
    for (is_so, word) in
        [(listed.partial, "partial"), (listed.pinned, "pinned"), (listed.forgotten, "forgotten")]
    {
        if is_so {
            row.push_str(", ");
            row.push_str(word);
        }
    }
    row
}

pub(super) async fn show(session: &Session, flags: ShowFlags) -> Result<Ended, Failure> {
    let identities = flags.of.identities.read(&session.context)?;
    let (vault, survey) = flags.of.vault.open(session).await?;
    let sealed = survey.find(&flags.of.backup, (session.context.now)())?;
    let shown = list::show(&vault, &survey, (sealed, identities.as_ref())).await?;
    let listed = &shown.listed;
    let mut lines = vec![
        story::line("backup", &listed.backup),
        story::line("begun", &listed.begun_at),
        story::line("stored", &size::bytes(listed.own_bytes)),
        story::line("borrowed", &size::bytes(listed.borrowed_bytes)),
    ];
    let at = listed.verified_at.as_deref().map_or_else(String::new, |at| format!(", {at}"));
    lines.push(story::line("verified", &format!("{}{at}", listed.verified)));
    if listed.partial {
        lines.push(story::line("partial", "of some components only"));
    }
    for (word, mark) in [("pinned", &shown.pin), ("forgotten", &shown.forget)] {
        lines.extend(mark.as_ref().map(|mark| story::line(word, &marked(mark))));
    }
    match &shown.content {
        Some(content) => lines.extend(content_lines(content)),
        None => lines.push("an identity (-i FILE) shows what it holds".to_owned()),
    }
    Ok(Ended::new("backup show", &shown, lines, Exit::Done))
}

fn marked(Mark { at, reason }: &Mark) -> String {
    [at.as_str(), reason].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

fn content_lines(content: &ShownContent) -> Vec<String> {
    let mut lines = vec![
        story::line("server", &content.server_name),
        story::line("finished", &content.finished_at),
        story::line("by", &content.generator),
    ];
    lines.extend(content.signed_by.iter().map(|key| story::line("signature", key)));
    lines.extend(content.components.iter().map(component));
    lines.extend(content.groups.iter().filter(|group| group.members.len() > 1).map(group));
    lines.extend(story::gaps(&content.gaps));
    lines
}

pub(super) async fn verify(session: &Session, flags: VerifyFlags) -> Result<Ended, Failure> {
    let identities =
        if flags.scrub { None } else { Some(flags.of.identities.demand(&session.context)?) };
    let began = (session.context.now)();
    let (vault, survey) = flags.of.vault.open(session).await?;
    let chosen = if flags.all {
        survey.kept().collect()
    } else {
        vec![survey.find(&flags.of.backup, (session.context.now)())?]
    };
    let mut outcomes = Vec::new();
    for sealed in chosen {
        let subject = (sealed, identities.as_ref());
        let checking = verify::verify(&session.context, &vault, &survey, subject);
        outcomes.push(session.until_stopped(Box::pin(checking)).await?);
    }
    // Of a backup that is named, its own state is asked.
    let is_asked = flags.all || flags.of.backup == "latest";
    for folder in survey.damaged.iter().filter(|_| is_asked) {
        outcomes.push(verify::unreadable(&survey, folder));
    }
    if let (true, Some(identities)) = (flags.all, &identities) {
        let problems = erasures::damaged((&vault, &survey), identities).await?;
        outcomes.extend((!problems.is_empty()).then(|| verify::of_erasures(problems)));
    }
    let right = outcomes.iter().all(|outcome| outcome.complete && outcome.valid);
    // What is scheduled is the whole check of the vault of this installation.
    let is_whole = is_asked && !flags.scrub && flags.of.vault.vault.is_none();
    if let (true, Ok(own)) = (right && is_whole, flags.of.vault.places(session)) {
        // Where it cannot be noted, `lifeboat schedule` calls a check due that is not.
        runs::record(&own.state, Task::Verify, began).ok();
    }
    let lines = outcomes.iter().flat_map(verify_lines).collect();
    let exit = if right { Exit::Done } else { Exit::NotValid };
    Ok(match outcomes.as_slice() {
        [one] => Ended::new("backup verify", one, lines, exit),
        many => Ended::new("backup verify", &many, lines, exit),
    })
}

fn verify_lines(outcome: &VerifyOutcome) -> Vec<String> {
    let answer = match (outcome.complete, outcome.valid) {
        (true, true) if outcome.content_checked => "complete and valid",
        (true, true) => "complete, and its sealed files are valid; -i FILE checks the content",
        (true, false) => "complete, but NOT VALID",
        (false, _) => "NOT COMPLETE",
    };
    let read = format!(
        "{} in {} read, {}",
        size::bytes(outcome.bytes),
        size::count(outcome.volumes, "volume", "volumes"),
        size::count(outcome.entries, "entry", "entries"),
    );
    let mut lines = vec![
        story::line("backup", &format!("{}: {answer}", outcome.backup)),
        story::line("checked", &read),
    ];
    lines.extend(outcome.signed_by.iter().map(|key| story::line("signature", key)));
    lines.extend(outcome.problems.iter().map(|problem| story::line("PROBLEM", problem)));
    lines
}
