//! The cuts: databases that belong together at one instant, every other on its own.

use std::sync::Arc;
use std::time::Duration;

use lifeboat_engine::context::Context;
use lifeboat_engine::failure::{Code, Failure};
use lifeboat_package::backup::{Group, Member};
use lifeboat_package::flow::Gap;
use lifeboat_postgres::PostgresError;
use lifeboat_postgres::connect::Connector;
use lifeboat_postgres::group::{self, GroupCut, GroupError, LOCK_TIMEOUT, Proof};

use super::database::Ready;
use super::{BackupRequest, DatabaseAt, Sync, signer};

/// How long one database alone is tried.
const ALONE: Duration = Duration::from_secs(3);

/// A PostgreSQL database under its snapshot.
pub struct CutDatabase {
    /// Which component, by its place in the request.
    pub component: usize,
    /// The database.
    pub ready: Arc<Ready>,
    /// The group it was cut with, from 1.
    pub group: u32,
}

/// All PostgreSQL databases under their snapshots.
pub struct Work {
    /// The databases.
    pub databases: Vec<CutDatabase>,
    /// The groups, with their proofs.
    pub groups: Vec<Group>,
    /// Databases that cannot be read, none of which must be in every backup; and what is not sure
    /// of the others. By component.
    pub gaps: Vec<(usize, Gap)>,
}

struct Wanted<'a> {
    component: usize,
    name: &'a str,
    label: String,
    connector: &'a Connector,
    sync: Sync,
}

/// Cuts every PostgreSQL database of the request.
///
/// # Errors
/// [`Failure`] when a database cannot be read, or those that belong together could not be cut at
/// one instant within the budget.
pub async fn cut(cx: &Context, request: &BackupRequest) -> Result<Work, Failure> {
    let mut together = Vec::new();
    let mut alone = Vec::new();
    for (component, subject) in request.components.iter().enumerate() {
        for database in &subject.databases {
            let DatabaseAt::Postgres(connector) = &database.at else { continue };
            let label = format!("{}/{}", subject.name, database.name);
            let (name, sync) = (database.name.as_str(), database.sync);
            let wanted = Wanted { component, name, label, connector, sync };
            if sync == Sync::Alone { alone.push(wanted) } else { together.push(wanted) }
        }
    }
    let mut work = Work { databases: Vec::new(), groups: Vec::new(), gaps: Vec::new() };
    if !together.is_empty() {
        add(cx, request, &mut work, &together).await?;
    }
    for wanted in alone {
        let (component, label) = (wanted.component, wanted.label.clone());
        let kind = request.components[component].kind.as_str();
        match add(cx, request, &mut work, &[wanted]).await {
            // One bridge that is down is no reason to leave everything else without a backup.
            Err(failure) if failure.code == Code::Failed && !is_core(kind) => {
                work.gaps.push((component, unreadable(&label, &failure)));
            }
            done => done?,
        }
    }
    Ok(work)
}

/// Without these there is no backup.
fn is_core(kind: &str) -> bool {
    matches!(kind, "synapse" | "mas")
}

/// What became of a database that could not be read: the failure with all its causes.
pub(super) fn unreadable(object: &str, failure: &Failure) -> Gap {
    let mut detail = failure.what.clone();
    let mut cause = std::error::Error::source(failure);
    while let Some(error) = cause {
        detail.push_str(": ");
        detail.push_str(&error.to_string());
        cause = error.source();
    }
    Gap {
        kind: "database-unreadable".to_owned(),
        object: object.to_owned(),
        detail,
        remedy: "see that it is up and may be read, then run the backup again; lifeboat doctor \
                 examines it"
            .to_owned(),
    }
}

async fn add(
    cx: &Context,
    request: &BackupRequest,
    work: &mut Work,
    wanted: &[Wanted<'_>],
) -> Result<(), Failure> {
    let number = u32::try_from(work.groups.len() + 1).unwrap_or(u32::MAX);
    let GroupCut { cuts, proof } = open(cx, request, wanted).await?;
    work.gaps.extend(skewed(wanted, &proof));
    let mut databases = Vec::new();
    for (wanted, cut) in wanted.iter().zip(cuts) {
        let looked = Ready::look((wanted.name, &wanted.label), wanted.connector, cut).await;
        let ready = Arc::new(looked.map_err(|failure| named(&wanted.label, failure))?);
        databases.push(CutDatabase { component: wanted.component, ready, group: number });
        if request.components[wanted.component].kind == "synapse" && wanted.name == "main" {
            let own = (request.components[wanted.component].name.as_str(), wanted.connector);
            let misfit = signer::misfit(cx, request, own).await?;
            work.gaps.extend(misfit.map(|gap| (wanted.component, gap)));
        }
    }
    work.groups.push(group_of(number, request, wanted, &proof));
    work.databases.extend(databases);
    Ok(())
}

/// What an administrator allowed is told all the same: nobody else knows of it at the restore.
fn skewed(wanted: &[Wanted<'_>], proof: &Proof) -> Option<(usize, Gap)> {
    let first = wanted.first().filter(|_| proof.method == group::Method::Skew)?;
    let labels: Vec<&str> = wanted.iter().map(|wanted| wanted.label.as_str()).collect();
    let detail = format!(
        "they were cut one after the other, within {} µs, as --allow-skew says: what was written \
         meanwhile may be in one and not in the other; {}",
        proof.window_micros,
        proof.reason.as_deref().unwrap_or_default()
    );
    let remedy = "run the backup once more when less is written, without --allow-skew";
    Some((
        first.component,
        Gap {
            kind: "skew".to_owned(),
            object: labels.join(" + "),
            detail,
            remedy: remedy.to_owned(),
        },
    ))
}

async fn open(
    cx: &Context,
    request: &BackupRequest,
    wanted: &[Wanted<'_>],
) -> Result<GroupCut, Failure> {
    let entropy = cx.entropy;
    let random = move || {
        let mut bytes = [0; 8];
        entropy(&mut bytes);
        u64::from_le_bytes(bytes)
    };
    let members: Vec<group::Member> = wanted
        .iter()
        .map(|wanted| group::Member {
            name: wanted.label.clone(),
            connector: wanted.connector.clone(),
            guarded: wanted.sync == Sync::Guarded,
        })
        .collect();
    let asked = group::Group {
        members: &members,
        lock_timeout: LOCK_TIMEOUT,
        // One alone has nobody to wait for: a try or two, for a server that is just coming up.
        budget: if members.len() > 1 { request.budget } else { ALONE },
        allow_skew: request.allow_skew,
        random: &random,
    };
    group::cut_together(&asked).await.map_err(|e| match members.as_slice() {
        [one] => {
            let failure = Failure::failed(
                format!("the database of {} cannot be read", one.name),
                "see that it is up and lets us in, then run the backup again",
            );
            match e {
                GroupError::Spent { last: Some(cause), .. } => failure.because(cause),
                e => failure.because(e),
            }
        }
        _ => Failure::failed(
            "the databases that belong together could not be cut at one instant",
            how_to_cut(&e),
        )
        .because(e),
    })
}

/// What to do where there is no common cut.
fn how_to_cut(error: &GroupError) -> &'static str {
    match error {
        GroupError::Spent { last: Some(last), .. } => how_to_cut(last),
        GroupError::Member {
            source: PostgresError::Connect { .. } | PostgresError::Lost { .. },
            ..
        } => "see that it is up and lets us in, then run the backup again",
        GroupError::Spent { .. } | GroupError::Stalled | GroupError::Member { .. } => {
            "run the backup when less is written, or give it more time with --cut-budget"
        }
        _ => "do what the cause says, then run the backup again",
    }
}

/// The failure of one of several databases says of which.
pub(super) fn named(label: &str, failure: Failure) -> Failure {
    Failure { what: format!("{label}: {}", failure.what), ..failure }
}

/// The method as the proof says it.
fn word(method: group::Method) -> String {
    let word = serde_json::to_value(method).ok();
    word.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
}

fn group_of(number: u32, request: &BackupRequest, wanted: &[Wanted<'_>], proof: &Proof) -> Group {
    let members = wanted.iter().zip(&proof.members).map(|(wanted, member)| Member {
        component: request.components[wanted.component].name.clone(),
        database: wanted.name.to_owned(),
        snapshot: member.snapshot_text.clone(),
    });
    Group {
        group: number,
        method: word(proof.method),
        tries: u64::from(proof.tries),
        window_micros: proof.window_micros,
        opened_at: proof.opened_at.clone(),
        members: members.collect(),
    }
}
