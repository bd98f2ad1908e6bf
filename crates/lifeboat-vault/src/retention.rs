//! Which backups of the vault retention keeps.

use lifeboat_engine::context::Context;
use lifeboat_engine::failure::Failure;
use lifeboat_package::id::PackageId;
use lifeboat_rules::retention::{Dated, Retention, keep};
use lifeboat_rules::schedule::Zone;
use serde::Serialize;

use crate::layout::{seconds_of, shown};
use crate::place::{Survey, Vault};

/// What becomes of a backup.
#[derive(Debug, Clone, Serialize)]
pub struct Choice {
    /// Package id.
    pub backup: String,
    /// When it was begun: RFC 3339, UTC.
    pub begun_at: String,
    /// Whether it stays.
    pub keep: bool,
    /// Why it stays or goes.
    pub reason: String,
}

/// What becomes of each kept backup; with `named`, of these, whatever the rules say.
///
/// # Errors
/// [`Failure`] when a verdict cannot be read, or one that is named must stay.
pub async fn choose(
    cx: &Context,
    (vault, survey): (&Vault, &Survey),
    (rules, zone): (&Retention, &Zone),
    named: &[PackageId],
) -> Result<Vec<Choice>, Failure> {
    let now = (cx.now)();
    // A backup of some components takes the place of none of the whole installation.
    let (partial, whole): (Vec<Dated>, Vec<Dated>) = dated(vault, survey)
        .await?
        .into_iter()
        .partition(|dated| survey.partial.iter().any(|id| id.to_string() == dated.id));
    if named.is_empty() {
        let verdicts = [&whole, &partial].into_iter().flat_map(|some| keep(some, rules, zone, now));
        return Ok(verdicts
            .map(|verdict| {
                let reasons = verdict.reasons.join(", ");
                let reason = if verdict.keep { reasons } else { "no rule keeps it".to_owned() };
                choice(survey, &verdict.id, verdict.keep, reason)
            })
            .collect());
    }
    // Rules that keep next to nothing leave only what must stay whatever they say.
    let least = Retention { within_seconds: 1, ..Retention::default() };
    let mut must_stay = keep(&whole, &least, zone, now);
    let of_partial = keep(&partial, &least, zone, now).into_iter().filter(|verdict| {
        let is_pinned = |dated: &&Dated| dated.id == verdict.id && dated.pinned;
        whole.is_empty() || partial.iter().any(|dated| is_pinned(&dated))
    });
    must_stay.extend(of_partial);
    let mut choices = Vec::new();
    for id in named {
        let id = id.to_string();
        let must = must_stay.iter().find(|verdict| verdict.id == id && verdict.keep);
        if let Some(verdict) = must {
            return Err(Failure::usage(
                format!("backup {id} must stay: {}", verdict.reasons.join(", ")),
                "make and verify a newer one, or unpin it; nothing was done",
            ));
        }
        choices.push(choice(survey, &id, false, "named on the command line".to_owned()));
    }
    Ok(choices)
}

async fn dated(vault: &Vault, survey: &Survey) -> Result<Vec<Dated>, Failure> {
    let mut dated = Vec::new();
    for sealed in survey.kept() {
        let id = sealed.folder.id();
        let verdict = vault.verdict(survey, &sealed.folder).await?;
        dated.push(Dated {
            id: id.to_string(),
            at: seconds_of(sealed.folder.stamp()).unwrap_or_default(),
            verified: verdict.as_ref().is_some_and(|verdict| verdict.valid),
            wrong: verdict.is_some_and(|verdict| !verdict.valid),
            pinned: survey.pinned.contains(&id),
        });
    }
    Ok(dated)
}

fn choice(survey: &Survey, id: &str, keep: bool, reason: String) -> Choice {
    let folder = PackageId::parse(id).ok().and_then(|id| survey.folder(&id));
    let begun_at = folder.map_or_else(String::new, |folder| shown(folder.stamp()));
    Choice { backup: id.to_owned(), begun_at, keep, reason }
}
