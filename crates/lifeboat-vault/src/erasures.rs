//! The list of what was taken back for good, kept in the vault apart from backups: a restore
//! applies what is newer than the backup.
//!
//! Each file covers a span, is signed by the server, and sealed for the recipients: the host that
//! writes it cannot read it back.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use lifeboat_components::matrix::{PublicKeys, SigningKey, sign_json, verify_json};
use lifeboat_components::synapse::erasures::{Erasures, since};
use lifeboat_engine::context::Context;
use lifeboat_engine::failure::Failure;
use lifeboat_engine::import::check::database_fault;
use lifeboat_engine::keyring::{self, Identities, Recipients};
use lifeboat_package::digest::Digest;
use lifeboat_package::id::PackageId;
use lifeboat_package::limits::MANIFEST_RAW_BYTES;
use lifeboat_package::manifest::Manifest;
use lifeboat_postgres::connect::Connector;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::layout::{ERASURES, at, seconds_at, seconds_of, stamp};
use crate::place::{Survey, Vault, told};
use crate::run::{DatabaseAt, Subject};

const TYPE: &str = "org.lifeboat.erasures";
const VERSION: &str = "1.0";
/// Spans overlap by so much: what is committed late has an earlier time.
const OVERLAP_MS: i64 = 10 * 60 * 1000;

/// What is listed, of which server, for whom.
pub struct ErasureRequest<'a> {
    /// The server's name.
    pub server_name: &'a str,
    /// What the list is signed with; the first is used.
    pub signing_keys: &'a [SigningKey],
    /// Who can open it.
    pub recipients: &'a Recipients,
    /// The main databases of Synapse.
    pub databases: Vec<Connector>,
    /// The state folder.
    pub state: PathBuf,
    /// Whether a list is written that has nothing new: after a backup it says that nothing was
    /// taken back.
    pub always: bool,
}

/// What was listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ErasuresNoted {
    /// From when: RFC 3339, UTC.
    pub from: String,
    /// Until when.
    pub until: String,
    /// People who asked to be forgotten, and closed accounts: all of them.
    pub people: u64,
    /// Events redacted in the span.
    pub redacted: u64,
    /// Purges in the span.
    pub purged: u64,
    /// Whether something is new.
    pub is_news: bool,
}

/// What the state folder remembers of the last list.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Cursor {
    until: i64,
    people: String,
    /// The sums of what was listed of the last span: spans overlap.
    listed: BTreeSet<String>,
}

/// A list, as it is signed.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Listed {
    #[serde(rename = "type")]
    kind: String,
    version: String,
    server: String,
    from: i64,
    until: i64,
    #[serde(flatten)]
    erasures: Erasures,
}

/// What a restore erases again.
#[derive(Debug, Clone, Default)]
pub struct ErasureLedger {
    /// What.
    pub erasures: Erasures,
    /// The moment up to which it is known: RFC 3339, UTC. None when nothing is newer than the
    /// backup.
    pub until: Option<String>,
    /// Lists that could not be used, in words.
    pub problems: Vec<String>,
}

/// The databases that know what was taken back.
pub fn databases(subjects: &[Subject]) -> Vec<Connector> {
    let synapses = subjects.iter().filter(|subject| subject.kind == "synapse");
    let databases = synapses.flat_map(|subject| &subject.databases);
    let main = databases.filter(|database| database.name == "main");
    main.filter_map(|database| match &database.at {
        DatabaseAt::Postgres(connector) => Some((**connector).clone()),
        DatabaseAt::Sqlite(_) => None,
    })
    .collect()
}

/// Lists what was taken back since the last time.
///
/// # Errors
/// [`Failure`] when a database cannot be read or the vault not be written.
pub async fn note(
    cx: &Context,
    (vault, survey): (&Vault, &Survey),
    request: ErasureRequest<'_>,
) -> Result<ErasuresNoted, Failure> {
    let path = request.state.join(format!("vault-{}.erasures", vault.id));
    let cursor = fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let now = (cx.now)();
    let cursor: Cursor = cursor.unwrap_or_default();
    let oldest = survey.kept().filter_map(|kept| seconds_of(kept.folder.stamp())).min();
    let begin = if cursor.until > 0 { cursor.until } else { oldest.unwrap_or(now) * 1000 };
    let (from, until) = (begin - OVERLAP_MS, now * 1000);
    let mut erasures = Erasures::default();
    for connector in &request.databases {
        let session = connector.connect().await.map_err(database_fault)?;
        erasures.add(since(&session, from).await.map_err(database_fault)?);
    }
    let people = serde_json::to_vec(&(&erasures.erased, &erasures.deactivated));
    let people = Digest::of(&people.unwrap_or_default()).to_string();
    let listed = sums(&erasures);
    let noted = ErasuresNoted {
        from: at(from / 1000),
        until: at(now),
        people: (erasures.erased.len() + erasures.deactivated.len()) as u64,
        redacted: erasures.redacted.len() as u64,
        purged: erasures.purged.len() as u64,
        is_news: cursor.people != people || !listed.is_subset(&cursor.listed),
    };
    if noted.is_news || request.always {
        let (kind, version) = (TYPE.to_owned(), VERSION.to_owned());
        let server = request.server_name.to_owned();
        write(cx, vault, &request, Listed { kind, version, server, from, until, erasures }).await?;
    }
    let text = serde_json::to_vec(&Cursor { until, people, listed }).unwrap_or_default();
    fs::create_dir_all(&request.state).and_then(|()| fs::write(&path, text)).map_err(|e| {
        let what = format!("cannot write {}", path.display());
        Failure::failed(what, "name another folder with `state:` in lifeboat.yaml").because(e)
    })?;
    Ok(noted)
}

/// The sums of what was redacted and purged.
fn sums(erasures: &Erasures) -> BTreeSet<String> {
    let purged = erasures.purged.iter().map(|purge| format!("{purge:?}"));
    let all = erasures.redacted.iter().cloned().chain(purged);
    all.map(|what| Digest::of(what.as_bytes()).to_string()).collect()
}

async fn write(
    cx: &Context,
    vault: &Vault,
    request: &ErasureRequest<'_>,
    listed: Listed,
) -> Result<(), Failure> {
    let unsigned = || {
        let what = "the list of what was taken back cannot be signed";
        Failure::failed(what, "see that the server's signing key can be read")
    };
    let seconds = listed.until / 1000;
    let Ok(Value::Object(mut object)) = serde_json::to_value(listed) else {
        return Err(unsigned());
    };
    let key = request.signing_keys.first().ok_or_else(unsigned)?;
    sign_json(&mut object, request.server_name, key).map_err(|e| unsigned().because(e))?;
    let text = serde_json::to_vec(&object).unwrap_or_default();
    let sealed = keyring::seal(request.recipients, &text)?;
    let id = PackageId::from_bytes(cx.random());
    let name = format!("{ERASURES}{}-{id}.age", stamp(seconds));
    let cannot = || Failure::failed(format!("cannot write {name} into the vault"), "");
    vault.place.put(&name, sealed.into()).await.map_err(|e| told(cannot(), e))
}

/// What was taken back after a backup was made, by the lists in its vault.
///
/// # Errors
/// [`Failure`] when the vault cannot be read.
pub async fn after(
    (vault, survey): (&Vault, &Survey),
    identities: &Identities,
    (manifest, recovery_point): (&Manifest, &str),
) -> Result<ErasureLedger, Failure> {
    let mut ledger = ErasureLedger::default();
    let made = seconds_at(recovery_point).unwrap_or_default();
    let keys = keys_of(manifest);
    let mut newest = 0;
    for name in &survey.erasures {
        let until = name.strip_prefix(ERASURES).and_then(|name| name.split_once('-'));
        if until.and_then(|(stamp, _)| seconds_of(stamp)).is_some_and(|until| until < made) {
            continue;
        }
        let sealed = sealed(vault, name).await?;
        let server = &manifest.metadata.server_id;
        match opened(&sealed, identities).and_then(|object| listed(object, server, &keys)) {
            Err(problem) => ledger.problems.push(format!("{name}: {problem}")),
            Ok(Listed { until, erasures, .. }) => {
                // Who came back since is in older lists only; of two of one second nobody knows
                // which is older.
                if until > newest {
                    newest = until;
                    ledger.erasures.erased.clear();
                    ledger.erasures.deactivated.clear();
                }
                if until == newest {
                    ledger.erasures.erased.extend(erasures.erased);
                    ledger.erasures.deactivated.extend(erasures.deactivated);
                }
                ledger.erasures.redacted.extend(erasures.redacted);
                ledger.erasures.purged.extend(erasures.purged);
            }
        }
    }
    ledger.until = (newest > 0).then(|| at(newest / 1000));
    Ok(ledger)
}

/// What is wrong with the lists in the vault, each with its name: those that do not open, or were
/// cut or changed. Who signed them a restore asks, which has the server's key from its backup.
///
/// # Errors
/// [`Failure`] when the vault cannot be read.
pub async fn damaged(
    (vault, survey): (&Vault, &Survey),
    identities: &Identities,
) -> Result<Vec<String>, Failure> {
    let mut problems = Vec::new();
    for name in &survey.erasures {
        if let Err(problem) = opened(&sealed(vault, name).await?, identities) {
            problems.push(format!("{name}: {problem}"));
        }
    }
    Ok(problems)
}

/// Seals the lists for exactly these recipients; says how many.
///
/// # Errors
/// [`Failure`] when one does not open, after all others were sealed, or the vault cannot be read or
/// written.
pub async fn reseal(
    (vault, survey): (&Vault, &Survey),
    (identities, recipients): (&Identities, &Recipients),
) -> Result<u64, Failure> {
    let (mut resealed, mut left) = (0, None);
    for name in &survey.erasures {
        let sealed = sealed(vault, name).await?;
        let Ok(plain) = keyring::open(identities, &sealed, MANIFEST_RAW_BYTES as u64) else {
            left.get_or_insert(name);
            continue;
        };
        let sealed = keyring::seal(recipients, &plain)?;
        let cannot = || Failure::failed(format!("cannot write {name} into the vault"), "");
        vault.place.put(name, sealed.into()).await.map_err(|e| told(cannot(), e))?;
        resealed += 1;
    }
    match left {
        None => Ok(resealed),
        Some(name) => Err(Failure::not_valid(
            format!("{name} does not open with the identity that was given, and was left"),
            "it lists what was taken back for good: look for it in another copy of the vault; the \
             envelopes of all backups are rewritten",
        )),
    }
}

async fn sealed(vault: &Vault, name: &str) -> Result<Bytes, Failure> {
    let cannot = || Failure::failed(format!("cannot read {name} in the vault"), "");
    let limit = MANIFEST_RAW_BYTES as u64;
    vault.place.read_whole(name, limit).await.map_err(|e| told(cannot(), e))
}

/// The key that the server had when the backup was made.
fn keys_of(manifest: &Manifest) -> PublicKeys {
    let mut keys = PublicKeys::new();
    let known = manifest.metadata.source.get("signing_key").and_then(|key| key.split_once(' '));
    if let Some((key_id, key)) = known {
        // One that is none verifies nothing, and then the lists are not used.
        keys.insert(&manifest.metadata.server_id, key_id, key).ok();
    }
    keys
}

fn opened(sealed: &[u8], identities: &Identities) -> Result<Map<String, Value>, String> {
    let plain = keyring::open(identities, sealed, MANIFEST_RAW_BYTES as u64);
    let plain = plain.map_err(|e| e.to_string())?;
    serde_json::from_slice(&plain).map_err(|_| "it is damaged".to_owned())
}

fn listed(object: Map<String, Value>, server: &str, keys: &PublicKeys) -> Result<Listed, String> {
    verify_json(&object, server, keys).map_err(|e| e.to_string())?;
    let listed: Option<Listed> = serde_json::from_value(Value::Object(object)).ok();
    let fits = |listed: &Listed| {
        listed.kind == TYPE && listed.version.starts_with("1.") && listed.server == server
    };
    listed.filter(fits).ok_or_else(|| "it is of another kind or version".to_owned())
}
