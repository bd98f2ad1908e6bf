//! Gathers the facts: from the installation, and from the vault as far as it can be read.

use std::collections::BTreeSet;
use std::path::Path;

use lifeboat_engine::context::Context;
use lifeboat_engine::failure::Failure;
use lifeboat_engine::keyring::Identities;
use lifeboat_package::backup::{Component as Kept, Database};
use lifeboat_restore::plan::{Step, steps};
use lifeboat_suite::media::providers;
use lifeboat_suite::{Component, Installation, Role};
use lifeboat_vault::backup::OpenBackup;
use lifeboat_vault::list::{Listed, list};
use lifeboat_vault::place::{Survey, Vault};

use crate::facts::{ComponentFacts, Facts, Seen};

/// Backups that are opened to see what they hold, newest first.
const OPENED: usize = 30;
/// Drills that are looked at.
const DRILLS: usize = 30;
const NOT_OPENED: &str = "older backups than the newest 30 were not opened";
const NO_IDENTITY: &str = "give an identity (-i) to look into backups";
const NO_VAULT: &str = "the vault could not be read";

/// A backup with the components it holds.
struct Held {
    listed: Listed,
    components: BTreeSet<String>,
}

/// Gathers the facts of an installation. `vault` is none, with the reason, when it cannot be read:
/// a plan is wanted most on that day.
///
/// # Errors
/// [`Failure`] when a file of the vault is damaged, or the identities do not open a backup.
pub async fn gather(
    cx: &Context,
    (installation, config): (&Installation, &Path),
    vault: Result<(&Vault, &Survey), &Failure>,
    identities: Option<&Identities>,
) -> Result<Facts, Failure> {
    let mut facts = of_installation(installation);
    facts.config = config.display().to_string();
    facts.now = (cx.now)();
    cx.generator.clone_into(&mut facts.generator);
    let (vault, survey) = match vault {
        Ok(open) => open,
        Err(failure) => {
            facts.vault_problem = Some(failure.what.clone());
            return Ok(facts);
        }
    };
    vault.location.clone_into(&mut facts.vault);
    facts.backups = list(vault, survey, false).await?.backups;
    facts.drills = vault.drills(survey, DRILLS).await?;
    let held = match identities {
        Some(identities) => Some(look_into(vault, survey, (&facts.backups, identities)).await?),
        None => None,
    };
    for component in &mut facts.components {
        let mut passed = facts.drills.iter().rev().filter(|drill| drill.ok);
        let drilled = passed.find(|drill| drill.components.contains(&component.name));
        component.drill = drilled.map_or(Seen::Never, |drill| Seen::At(drill.drilled_at.clone()));
        seen_in(component, &facts.backups, held.as_deref());
    }
    Ok(facts)
}

/// When a component was last backed up and verified.
fn seen_in(component: &mut ComponentFacts, backups: &[Listed], held: Option<&[Held]>) {
    let Some(held) = held else {
        let seen = if backups.is_empty() { Seen::Never } else { Seen::NotKnown(NO_IDENTITY) };
        (component.backup, component.verify) = (seen.clone(), seen);
        return;
    };
    let with = || held.iter().filter(|held| held.components.contains(&component.name));
    // What is in none of those that were opened may be in one that was not.
    let seen = |when: Option<String>| match when {
        Some(when) => Seen::At(when),
        None if held.len() < backups.len() => Seen::NotKnown(NOT_OPENED),
        None => Seen::Never,
    };
    let last = with().next().map(|held| held.listed.begun_at.clone());
    let right = with().find(|held| !matches!(held.listed.verified.as_str(), "never" | "wrong"));
    let verified = right.and_then(|held| held.listed.verified_at.clone());
    (component.backup, component.verify) = (seen(last), seen(verified));
}

/// What the newest backups hold, newest first.
async fn look_into(
    vault: &Vault,
    survey: &Survey,
    (backups, identities): (&[Listed], &Identities),
) -> Result<Vec<Held>, Failure> {
    let mut all = Vec::new();
    for listed in backups.iter().rev().take(OPENED) {
        let sealed = survey.find(&listed.backup, listed.begun)?;
        let manifest = OpenBackup::manifest_of(vault, (&sealed.folder, identities)).await?;
        let components = manifest.components.into_iter().map(|found| found.name).collect();
        all.push(Held { listed: listed.clone(), components });
    }
    Ok(all)
}

fn of_installation(installation: &Installation) -> Facts {
    let schedule = &installation.schedule;
    let zone = schedule.time_zone.name();
    let when = |cron: Option<String>| match cron {
        Some(cron) => format!("{cron} ({zone})"),
        None => "by hand".to_owned(),
    };
    let line = |task: &str, cron: Option<String>| (task.to_owned(), when(cron));
    Facts {
        server_name: installation.server_name.clone(),
        config: String::new(),
        vault: installation.vault.clone(),
        now: 0,
        generator: String::new(),
        recipients: installation.recipients.clone(),
        schedule: vec![
            line("backup", schedule.backup.as_ref().map(ToString::to_string)),
            line("verify", schedule.verify.as_ref().map(ToString::to_string)),
            line("drill", schedule.drill.as_ref().map(ToString::to_string)),
        ],
        components: installation.components.iter().map(of_component).collect(),
        vault_problem: None,
        backups: Vec::new(),
        drills: Vec::new(),
        order: order(&installation.components),
    }
}

fn of_component(component: &Component) -> ComponentFacts {
    let shown = |path: &std::path::PathBuf| path.display().to_string();
    let rest = |role: Role| !matches!(role, Role::Config | Role::Secrets);
    let files = component.files.iter().filter(|tree| rest(tree.role));
    let media = component.media.as_ref().map(|media| shown(&media.store_path));
    // Their places only: what opens them is not asked for.
    let elsewhere = providers(component, &[]).into_iter().map(|provider| provider.name);
    let secret =
        |secret: &lifeboat_suite::SecretFile| (secret.name.to_owned(), shown(&secret.path));
    ComponentFacts {
        name: component.name.clone(),
        kind: component.kind,
        databases: component.databases.iter().map(|database| database.at.shown()).collect(),
        config: component.config.iter().map(shown).collect(),
        files: files.map(|tree| shown(&tree.path)).chain(media).chain(elsewhere).collect(),
        secrets: component.secrets.iter().map(secret).collect(),
        start: component.commands.start.clone(),
        backup: Seen::NotKnown(NO_VAULT),
        verify: Seen::NotKnown(NO_VAULT),
        drill: Seen::NotKnown(NO_VAULT),
    }
}

/// The steps of a restore of everything, by the order that a restore itself follows.
fn order(components: &[Component]) -> Vec<Step> {
    let database = |name: &str| Database {
        name: name.to_owned(),
        engine: String::new(),
        version: String::new(),
        group: 0,
        tables: 0,
        rows: 0,
        bytes: 0,
    };
    let kept = |component: &Component| Kept {
        name: component.name.clone(),
        kind: component.kind.label().to_owned(),
        parts: Vec::new(),
        databases: component.databases.iter().map(|found| database(&found.name)).collect(),
        files: 0,
        file_bytes: 0,
        new_bytes: 0,
    };
    let all: Vec<Kept> = components.iter().map(kept).collect();
    steps(&all.iter().collect::<Vec<_>>())
}
