//! `backup run`: components pour into a package of the vault; what the vault has is borrowed.

mod above;
pub mod begin;
mod bucket;
pub mod commit;
pub mod database;
pub mod groups;
pub mod lanes;
pub mod lines;
pub mod locking;
pub mod media;
pub mod ours;
pub mod send;
mod signer;
pub mod sqlite;
pub mod tree;
pub mod union;
mod walked;

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use lifeboat_components::matrix::{PublicKeys, SigningKey};
use lifeboat_engine::context::{Context, Stop, Unit};
use lifeboat_engine::export::lanes::flow_fault;
use lifeboat_engine::failure::Failure;
use lifeboat_engine::keyring::Recipients;
use lifeboat_engine::writer::Writer;
use lifeboat_engine::writer::sink::ToPackage;
use lifeboat_package::backup::{Component, Group};
use lifeboat_package::flow::{FlowError, Gap};
use lifeboat_package::id::PackageId;
use lifeboat_package::manifest::Gaps;
use lifeboat_postgres::connect::Connector;
use lifeboat_postgres::schema_text::SearchPlaces;
use lifeboat_storage::Access;
use lifeboat_suite::ObjectLock;
use serde::Serialize;

use self::begin::Begun;
use self::commit::Made;
use self::tree::Tree;
use self::union::Union;
use crate::cache::Cache;
use crate::erasures::{ErasureRequest, ErasuresNoted};
use crate::known::Known;
use crate::ledger::{RunLedger, State, VAULTS};
use crate::place::{Sealed, Survey, Vault};
use crate::{erasures, prune, verify};

/// What to back up, where to, for whom.
pub struct BackupRequest {
    /// The vault: a folder or bucket.
    pub vault: String,
    /// Who can open the backup.
    pub recipients: Recipients,
    /// Where the journal and the cache are.
    pub state: PathBuf,
    /// The server's name.
    pub server_name: String,
    /// The server's keys.
    pub keys: ServerKeys,
    /// The components.
    pub components: Vec<Subject>,
    /// Whether these are some of the installation's only.
    pub is_partial: bool,
    /// The process' environment.
    pub environment: Vec<(String, String)>,
    /// Where `pg_dump` is, when it is not where such programs are.
    pub client_folder: Option<PathBuf>,
    /// Sessions and files that are read in parallel.
    pub lanes: usize,
    /// zstd level.
    pub level: i32,
    /// Bytes at which the next volume is begun.
    pub volume_bytes: u64,
    /// How what is written is locked in the vault's bucket.
    pub object_lock: Option<ObjectLock>,
    /// How long the databases that belong together may be tried to be cut at one instant.
    pub budget: Duration,
    /// Whether to go on, and to say so, when that did not succeed.
    pub allow_skew: bool,
}

/// The keys of a server.
pub struct ServerKeys {
    /// What the manifest is signed with; the first is used. None when they cannot be read.
    pub signing: Vec<SigningKey>,
    /// All that its events may carry: those, and those that it lists as old ones.
    pub known: PublicKeys,
    /// Whether there must be one: not where there is no Synapse.
    pub is_due: bool,
}

/// A component to back up.
pub struct Subject {
    /// What the operator calls it.
    pub name: String,
    /// Its kind, for example `synapse`.
    pub kind: String,
    /// Its databases.
    pub databases: Vec<SubjectDatabase>,
    /// Its files.
    pub trees: Vec<Tree>,
    /// The media store whose files the rows of its databases name, if it is one of the trees.
    pub media_store: Option<PathBuf>,
    /// The media, where storage providers have some of them; they are none of the trees then.
    pub union: Option<Union>,
}

/// A database of a component.
pub struct SubjectDatabase {
    /// What the component calls it.
    pub name: String,
    /// Where it is.
    pub at: DatabaseAt,
    /// With which others it must be cut.
    pub sync: Sync,
}

/// Where a database is.
pub enum DatabaseAt {
    /// On a PostgreSQL server.
    Postgres(Box<Connector>),
    /// In a file.
    Sqlite(PathBuf),
}

/// With which others a database must be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// On its own.
    Alone,
    /// With the others of the group.
    Together,
    /// With the others of the group, and its writers can be held for the moment that takes.
    Guarded,
}

/// What was poured into a part.
#[derive(Debug, Clone, Copy, Default)]
pub struct Poured {
    /// Tables.
    pub tables: u64,
    /// Rows.
    pub rows: u64,
    /// Bytes of rows.
    pub row_bytes: u64,
    /// Files with content.
    pub files: u64,
    /// Their bytes.
    pub file_bytes: u64,
    /// Bytes that the vault did not have.
    pub new_bytes: u64,
}

/// How a backup ended.
#[derive(Debug, Clone, Serialize)]
pub struct BackupOutcome {
    /// Package id.
    pub backup: String,
    /// Vault.
    pub vault: String,
    /// Server.
    pub server_name: String,
    /// Sealed bytes of its own volumes.
    pub stored_bytes: u64,
    /// Its own volumes.
    pub volumes: u64,
    /// Volumes that an earlier run had finished.
    pub volumes_resumed: u64,
    /// Volumes that it borrows.
    pub volumes_borrowed: u64,
    /// The components.
    pub components: Vec<Component>,
    /// Databases that were cut at one instant, and the proof.
    pub groups: Vec<Group>,
    /// Who signed the manifest; none when no signing key could be read.
    pub signed_by: Option<String>,
    /// What is missing.
    pub gaps: Gaps,
    /// Seconds it took.
    pub seconds: i64,
}

/// Backs up.
///
/// # Errors
/// [`Failure`]; what was written stays for the next run, also after a cancel: a backup is resumed,
/// not begun anew.
pub async fn run(cx: &Context, mut request: BackupRequest) -> Result<BackupOutcome, Failure> {
    let started = (cx.now)();
    let lock = locking::of(request.object_lock, started);
    let access = Access::new(request.environment.iter().cloned()).with_lock(lock);
    let said = format!("process {}, begun {}", std::process::id(), cx.timestamp());
    let state = State::take(&request.state, &said)?;
    if access.has_lock() {
        locking::check(cx, &request.vault, &access).await?;
    }
    demand_known(&request, &access, &state).await?;
    let vault = Vault::open(&request.vault, &access, Some(cx)).await?;
    if let Some(known) = state.vault_at(&request.vault).filter(|known| *known != vault.id) {
        let (place, id) = (&vault.location, &vault.id);
        cx.note(format!("the vault at {place} is {id}, and was {known} the last time"));
    }
    state.note_vault(&request.vault, &vault.id)?;
    vault.demand_owner(&request.server_name, true).await?;
    ours::leave_out(cx, &mut request)?;
    let behind_links = ours::leave_databases(cx, &mut request);
    let begun = begin::begin(cx, &request, &vault, &state.journal(&vault.id)).await?;
    let mut outcome = pour(cx, &request, (&vault, &state), begun).await?;
    for gap in &behind_links {
        outcome.gaps.add(gap);
    }
    if let Some(Err(failure)) = note_erasures(cx, &vault, &request).await {
        outcome.gaps.add(&Gap {
            kind: "erasures-not-noted".to_owned(),
            object: vault.location.clone(),
            detail: format!("what was taken back for good was not listed: {failure}"),
            remedy: "mend it, then: lifeboat backup erasures".to_owned(),
        });
    }
    Ok(BackupOutcome { seconds: (cx.now)() - started, ..outcome })
}

/// Sees that a vault that was there is not gone: where its disk is not mounted, or its bucket was
/// emptied, a new one would begin in silence, on another disk and without what was kept.
async fn demand_known(
    request: &BackupRequest,
    access: &Access,
    state: &State,
) -> Result<(), Failure> {
    let Some(id) = state.vault_at(&request.vault) else { return Ok(()) };
    if !Vault::is_nothing(&request.vault, access).await? {
        return Ok(());
    }
    Err(Failure::failed(
        format!("there was a vault at {}, with id {id}, and now there is nothing", request.vault),
        format!(
            "see that its disk is mounted, or its bucket the right one; to begin a new vault \
             there, first remove {}",
            state.folder().join(VAULTS).display()
        ),
    ))
}

/// Lists what was taken back for good, where there is a Synapse; the backup is whole without.
async fn note_erasures(
    cx: &Context,
    vault: &Vault,
    request: &BackupRequest,
) -> Option<Result<ErasuresNoted, Failure>> {
    let databases = erasures::databases(&request.components);
    if databases.is_empty() {
        return None;
    }
    let noting = ErasureRequest {
        server_name: &request.server_name,
        signing_keys: &request.keys.signing,
        recipients: &request.recipients,
        databases,
        state: request.state.clone(),
        always: true,
    };
    let noted = async {
        let survey = vault.survey().await?;
        erasures::note(cx, (vault, &survey), noting).await
    };
    Some(noted.await)
}

async fn pour(
    cx: &Context,
    request: &BackupRequest,
    (vault, state): (&Vault, &State),
    begun: Begun,
) -> Result<BackupOutcome, Failure> {
    let Begun { folder, key, target, journal, clear_files, volumes, cuts } = begun;
    let package = folder.id();
    let survey = vault.survey().await?;
    survey.damage().for_each(|what| cx.note(what));
    let cache = Cache::open(&state.cache(&vault.id))?;
    cache
        .keep_only(&lendable(vault, &survey, (&package, volumes.iter().map(|v| &v.name))).await?)?;
    let known = Known::of(cache)?;
    let resumed = volumes.len() as u64;
    let work = groups::cut(cx, request).await?;
    let (to, receiver) = ToPackage::open(cx, request.lanes, request.level);
    let writer = Writer {
        package,
        key,
        target,
        journal: RunLedger { journal, known: known.clone(), package },
        clear_files,
        volumes,
        parts: Vec::new(),
        volume_bytes: request.volume_bytes,
    };
    let run = cuts.last().map_or(1, |cut| cut.cut);
    cx.stage("backup", 0, Unit::Bytes);
    let path = request.environment.iter().find(|(name, _)| name == "PATH");
    let places = SearchPlaces {
        folder: request.client_folder.clone(),
        path: path.map(|(_, value)| value.into()),
    };
    let setting = lanes::Setting { to, run, now: (cx.now)(), known: &known, places, state };
    let pouring = lanes::pour(request, work, setting);
    let pouring = async {
        tokio::select! {
            poured = pouring => poured,
            stop = cx.stopped() => Err(stopped(stop)),
        }
    };
    let (writer, poured) = tokio::join!(writer.run(cx, receiver), pouring);
    let writer = writer?;
    let lanes::Done { components, groups } = poured?;
    let volumes = writer.volumes.len() as u64;
    let made = Made { components, groups, cuts };
    let (manifest, signed_by) =
        commit::commit(cx, request, (vault, &folder), (writer, made)).await?;
    Ok(BackupOutcome {
        backup: package.to_string(),
        vault: vault.location.clone(),
        server_name: request.server_name.clone(),
        stored_bytes: manifest.volumes.iter().map(|volume| volume.size).sum(),
        volumes,
        volumes_resumed: resumed,
        volumes_borrowed: manifest.borrowed.len() as u64,
        components: manifest.components,
        groups: manifest.groups,
        signed_by,
        gaps: manifest.gaps,
        seconds: 0,
    })
}

/// The volumes that this run may name: those of kept backups that no prune is about to delete, that
/// are there and that no verify found wrong; and its own.
async fn lendable<'a>(
    vault: &Vault,
    survey: &Survey,
    (package, own): (&PackageId, impl Iterator<Item = &'a String>),
) -> Result<HashSet<(PackageId, String)>, Failure> {
    let mut lendable = survey.live_volumes();
    for doomed in prune::doomed(vault, survey).await? {
        lendable.remove(&doomed);
    }
    for suspect in verify::suspects(vault, survey).await? {
        lendable.remove(&suspect);
    }
    for Sealed { contents, .. } in &survey.backups {
        let own = contents.volumes().iter().map(|file| (contents.package, &file.name, file.size));
        let borrowed = contents.borrowed.iter();
        let borrowed = borrowed.map(|file| (file.package, &file.name, file.size));
        for (package, name, size) in own.chain(borrowed) {
            if !survey.has(&package, name, size) {
                lendable.remove(&(package, name.clone()));
            }
        }
    }
    lendable.extend(own.map(|name| (*package, name.clone())));
    Ok(lendable)
}

fn stopped(_: Stop) -> Failure {
    Failure::stopped(
        "stopped before the backup was whole; there is no new backup",
        "run the same command again to go on",
    )
}

/// Gives the error inside a flow the words an operator needs.
pub(crate) fn flow(error: impl Into<Flowed>) -> Failure {
    flow_fault(error.into().0)
}

/// An error of a flow, or of the sink it ends in.
pub(crate) struct Flowed(FlowError);

impl From<FlowError> for Flowed {
    fn from(error: FlowError) -> Self {
        Self(error)
    }
}

impl From<lifeboat_engine::writer::sink::SinkError> for Flowed {
    fn from(error: lifeboat_engine::writer::sink::SinkError) -> Self {
        Self(FlowError::new(error))
    }
}
