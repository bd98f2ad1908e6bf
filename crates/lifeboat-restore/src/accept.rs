//! `restore accept`: what a restore kept under other names goes, when its operator says so.

use std::path::Path;

use lifeboat_engine::context::Context;
use lifeboat_engine::failure::Failure;
use lifeboat_engine::import::check::database_fault;
use lifeboat_postgres::connect::Connector;
use lifeboat_postgres::restore::{Standing, drop_unused_database, standing};
use lifeboat_suite::{At, Installation, Surroundings};
use serde::Serialize;

use crate::aside::{Aside, AsideList, KeptDatabase, Thing, lists};
use crate::database::make::administration;
use crate::journal::Journal;
use crate::targets::{TargetDatabase, Targets};

/// What restores kept, and what became of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct AcceptOutcome {
    /// What is there, or was until now.
    pub kept: Vec<KeptThing>,
    /// Whether it was removed.
    pub removed: bool,
    /// What could not be looked at, with the reason. It stays.
    pub unknown: Vec<String>,
}

/// Something that a restore kept.
#[derive(Debug, Clone, Serialize)]
pub struct KeptThing {
    /// The restore: its backup, and what its databases end with.
    pub restore: String,
    /// What it is, and where.
    pub what: String,
    /// What it was called.
    pub was: String,
    /// When it got another name: RFC 3339, UTC.
    pub at: String,
    /// The step whose end it waits for, where the restore is not over.
    pub waits_for: Option<String>,
}

/// Lists what the restores of an installation kept; with `remove`, drops and deletes it.
///
/// # Errors
/// [`Failure`] when a list or a server cannot be read. With `remove` also when a database is used,
/// or what should have taken the place of something is not there yet: nothing is removed then.
pub async fn accept(
    cx: &Context,
    (installation, around): (&Installation, &Surroundings),
    remove: bool,
) -> Result<AcceptOutcome, Failure> {
    let mut outcome = AcceptOutcome::default();
    let lists = lists(&installation.state)?;
    let mut found = Vec::new();
    for list in &lists {
        let journal = Journal::find(&installation.state, &list.restore)?;
        for aside in &list.asides {
            match look((installation, around), aside).await? {
                Look::Gone => {}
                Look::Unknown(why) => outcome.unknown.push(why),
                Look::There(kept) => {
                    outcome.kept.push(told(list, aside, journal.as_ref()));
                    found.push(kept);
                }
            }
        }
    }
    if !remove {
        return Ok(outcome);
    }
    let waiting = outcome.kept.iter().find_map(|kept| Some((kept, kept.waits_for.as_ref()?)));
    if let Some((kept, step)) = waiting {
        return Err(Failure::failed(
            format!("{} stays: the restore has not done its step {step}", kept.what),
            "run the restore to its end first; nothing was removed",
        ));
    }
    found.iter().try_for_each(Kept::is_unused)?;
    for (kept, shown) in found.iter().zip(&outcome.kept) {
        cx.go_on()?;
        kept.remove().await?;
        cx.note(format!("removed: {}", shown.what));
    }
    if outcome.unknown.is_empty() {
        forget(&installation.state, &lists)?;
    }
    outcome.removed = true;
    Ok(outcome)
}

/// What is known of something that was noted.
enum Look<'a> {
    There(Kept<'a>),
    Gone,
    Unknown(String),
}

/// Something that is there.
struct Kept<'a> {
    thing: &'a Thing,
    /// The server of a database, and how it stands with it.
    server: Option<(Box<Connector>, Standing)>,
    /// Who names it as its own now.
    owner: Option<&'a str>,
}

async fn look<'a>(
    (installation, around): (&'a Installation, &Surroundings),
    aside: &'a Aside,
) -> Result<Look<'a>, Failure> {
    let thing = &aside.thing;
    let kept = match thing {
        Thing::Path(path) if path.is_there() => Kept { thing, server: None, owner: None },
        Thing::Path(_) => return Ok(Look::Gone),
        Thing::Database(kept) => {
            let targets =
                Targets { root: None, suffix: kept.suffix.clone(), around: around.clone() };
            let known = targets.database(installation, (&kept.component, &kept.database));
            let connector = match known {
                Ok(TargetDatabase::Postgres(connector)) if connector.place() == kept.place => {
                    connector
                }
                _ => return Ok(Look::Unknown(unknown(kept))),
            };
            let server = Box::new(administration(&connector).await?);
            let standing = standing(&server, &kept.name).await.map_err(database_fault)?;
            match standing.filter(|found| found.oid == kept.oid) {
                None => return Ok(Look::Gone),
                Some(found) => {
                    let owner = owner(installation, kept);
                    Kept { thing, server: Some((server, found)), owner }
                }
            }
        }
    };
    Ok(Look::There(kept))
}

fn unknown(kept: &KeptDatabase) -> String {
    let KeptDatabase { name, place, component, .. } = kept;
    format!("database {name} at {place}: {component} is not there any more, so the way is unknown")
}

/// The component that names a database as its own: after `--replace`, somebody may have gone back
/// to the old one by its new name.
fn owner<'a>(installation: &'a Installation, kept: &KeptDatabase) -> Option<&'a str> {
    let names = |at: &At| match at {
        At::Sqlite(_) => false,
        At::Postgres(target) => target.connector().is_ok_and(|connector| {
            connector.database() == kept.name && connector.place() == kept.place
        }),
    };
    let mut components = installation.components.iter();
    let found = components.find(|component| component.databases.iter().any(|d| names(&d.at)))?;
    Some(&found.name)
}

impl Kept<'_> {
    fn is_unused(&self) -> Result<(), Failure> {
        let used = |why: String| {
            Err(Failure::failed(
                format!("{} {why}", shown(self.thing)),
                "end that first, then run the same command again; nothing was removed",
            ))
        };
        match (&self.server, self.owner) {
            (_, Some(owner)) => used(format!("is the database of {owner} in its configuration")),
            (Some((_, standing)), None) if standing.sessions > 0 => {
                used(format!("is in use: {} sessions", standing.sessions))
            }
            _ => Ok(()),
        }
    }

    async fn remove(&self) -> Result<(), Failure> {
        match (self.thing, &self.server) {
            (Thing::Path(kept), _) => kept.delete().map_err(|e| {
                let what = format!("cannot delete {}", kept.path().display());
                Failure::failed(what, "run as root, or delete it by hand").because(e)
            }),
            (Thing::Database(kept), Some((server, _))) => {
                let dropped = drop_unused_database(server, &kept.name).await;
                dropped.map_err(database_fault)
            }
            (Thing::Database(_), None) => Ok(()),
        }
    }
}

fn shown(thing: &Thing) -> String {
    match thing {
        Thing::Database(kept) => format!("database {} at {}", kept.name, kept.place),
        Thing::Path(kept) => kept.path().display().to_string(),
    }
}

fn told(list: &AsideList, aside: &Aside, journal: Option<&Journal>) -> KeptThing {
    let was = match &aside.thing {
        Thing::Database(kept) => kept.was.clone(),
        Thing::Path(kept) => kept.was.clone(),
    };
    let is_open = journal.is_some_and(|journal| !journal.done.contains_key(&aside.step));
    KeptThing {
        restore: list.restore.clone(),
        what: shown(&aside.thing),
        was,
        at: aside.at.clone(),
        waits_for: is_open.then(|| aside.step.clone()),
    }
}

/// Removes the lists. That of a restore which is not over may grow yet, and stays.
fn forget(state: &Path, lists: &[AsideList]) -> Result<(), Failure> {
    for list in lists {
        if Journal::find(state, &list.restore)?.is_none() {
            std::fs::remove_file(&list.path).map_err(|e| {
                let what = format!("cannot remove {}", list.path.display());
                Failure::failed(what, "remove it by hand").because(e)
            })?;
        }
    }
    Ok(())
}
