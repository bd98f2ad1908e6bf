//! The gate: what must be right before clients are let in.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use lifeboat_components::mas;
use lifeboat_components::postgres::PostgresError;
use lifeboat_components::synapse::check::run::Run;
use lifeboat_components::synapse::check::tables::{self, Expected, Meaning};
use lifeboat_components::synapse::check::{access, events, keys};
use lifeboat_components::synapse::witness;
use lifeboat_engine::context::Context;
use lifeboat_engine::failure::Failure;
use lifeboat_engine::import::check::database_fault;
use lifeboat_live::ask::{Door, published_keys};
use lifeboat_package::backup::{Component, Content, FILES, FileKind, FileRecord};
use lifeboat_postgres::connect::Connector;
use lifeboat_postgres::restore::spread_by;
use lifeboat_suite::key_fit::{self, Signer};
use lifeboat_suite::{Component as Installed, read_synapse};
use lifeboat_vault::backup::OpenBackup;
use lifeboat_vault::run::tree::is_configuration;

use crate::database::Kept;
use crate::fence;
use crate::files::{digest_of, path_of};
use crate::journal::StepDone;
use crate::targets::Targets;

/// Events of which signatures are checked.
const SIGNATURES: u64 = 500;
/// SQLSTATE of what the role may not do: reading a table whose policies hide rows from it.
const NOT_ALLOWED: &str = "42501";
/// One media file in so many is hashed.
const MEDIA_SAMPLE: u64 = 20;

/// Counts the rows of every table and compares with the backup. What a restore leaves out or adds
/// on purpose is told as such.
///
/// # Errors
/// [`Failure`] when the database refuses or the backup is damaged.
pub async fn rows(
    kept: &Kept<'_>,
    connector: &Connector,
    done: &mut StepDone,
) -> Result<(), Failure> {
    let session = connector.connect().await.map_err(database_fault)?;
    // Policies must not hide rows from who counts them: then the server refuses.
    let refused = |e| database_fault(PostgresError::sorted("prepared a session", e));
    session.batch_execute("SET row_security = off").await.map_err(refused)?;
    let (mut count, mut rows) = (0_u64, 0_u64);
    // Rows there are, and were, of what the server spreads over its partitions anew.
    let mut spread: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for (record, shape) in kept.tables().await? {
        let query = format!("SELECT count(*) FROM ONLY {}", shape.qualified());
        let doing = |e| PostgresError::sorted("counted rows", e);
        let found: i64 = match session.query_one(&query, &[]).await.map_err(doing) {
            Ok(row) => row.get(0),
            Err(error) if error.code() == Some(NOT_ALLOWED) => {
                done.gaps.push(format!("{}: rows cannot be counted: {error}", shape.label()));
                continue;
            }
            Err(error) => return Err(database_fault(error)),
        };
        let found = u64::try_from(found).unwrap_or_default();
        count += 1;
        rows += found;
        if let Some(root) = spread_by(&session, &shape).await.map_err(database_fault)? {
            let sums = spread.entry(root).or_default();
            *sums = (sums.0 + found, sums.1 + record.rows);
            continue;
        }
        match meaning(&kept.component.kind, (&shape.name, record.rows), found) {
            Meaning::Equal => {}
            Meaning::Explained(why) => done.lines.push(format!("{}: {why}", shape.label())),
            Meaning::Wrong(what) => done.gaps.push(format!("{}: {what}", shape.label())),
        }
    }
    let wrong = spread.into_iter().filter(|(_, (found, were))| found != were);
    done.gaps.extend(
        wrong.map(|(root, (found, were))| format!("{root}: rows: {found}, in the backup: {were}")),
    );
    done.lines.push(format!("{}: {rows} rows in {count} tables", connector.database()));
    Ok(())
}

/// What it means that a table has so many rows now.
fn meaning(kind: &str, (table, rows): (&str, u64), found: u64) -> Meaning {
    let is_of_workers = kind == "mas" && mas::is_of_workers(table);
    match kind {
        "synapse" => tables::judge(
            Expected {
                table,
                rows,
                run: Run::BeforeFirstStart,
                lacks_remote_media: false,
                torn: false,
            },
            found,
        ),
        _ if found == rows => Meaning::Equal,
        _ if found < rows && is_of_workers => {
            Meaning::Explained(format!("rows: {found}, of {rows}: workers that are gone"))
        }
        _ => Meaning::Wrong(format!("rows: {found}, in the backup: {rows}")),
    }
}

/// Compares a database of `SQLite` with the backup, byte by byte.
///
/// # Errors
/// [`Failure`] when the backup is damaged.
pub async fn sqlite(
    open: &OpenBackup,
    (content, path): (&Content, &Path),
    done: &mut StepDone,
) -> Result<(), Failure> {
    let shown = path.display();
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(e) => {
            done.gaps.push(format!("{shown}: {e}"));
            return Ok(());
        }
    };
    let (mut there, mut bytes) = (Vec::new(), 0_u64);
    for piece in open.pieces(content)? {
        let wanted = piece.read().await?;
        there.clear();
        let read = (&mut file).take(wanted.len() as u64).read_to_end(&mut there);
        if read.is_err() || there != wanted {
            let why = "it is not what the backup has: something has written it since";
            done.gaps.push(format!("{shown}: {why}, or took its place"));
            return Ok(());
        }
        bytes += wanted.len() as u64;
    }
    match file.read(&mut [0]) {
        Ok(0) => done.lines.push(format!("{shown}: {bytes} bytes as in the backup")),
        _ => done.gaps.push(format!("{shown}: it is longer than in the backup")),
    }
    Ok(())
}

/// Looks at every file of a component, and hashes its configuration and some of the rest.
///
/// # Errors
/// [`Failure`] when the backup is damaged.
pub async fn files(
    open: &OpenBackup,
    (component, targets): (&Component, &Targets),
    done: &mut StepDone,
) -> Result<(), Failure> {
    let (mut looked, mut hashed) = (0_u64, 0_u64);
    for entry in open.record_entries(component, FILES) {
        for record in open.package().records::<FileRecord>(&entry).await? {
            if record.kind != FileKind::File {
                continue;
            }
            looked += 1;
            let path = targets.place(&path_of(&record));
            match std::fs::symlink_metadata(&path) {
                Ok(found) if found.len() == record.size => {}
                Ok(found) => {
                    done.gaps.push(format!(
                        "{}: {} bytes, the backup has {}",
                        path.display(),
                        found.len(),
                        record.size
                    ));
                    continue;
                }
                Err(e) => {
                    done.gaps.push(format!("{}: {e}", path.display()));
                    continue;
                }
            }
            let digests = record.content.as_ref().map(Content::digests).unwrap_or_default();
            if let [digest] = digests
                && (is_configuration(&record.role) || looked % MEDIA_SAMPLE == 1)
            {
                hashed += 1;
                match digest_of(&path) {
                    Ok(found) if found == *digest => {}
                    Ok(_) => done.gaps.push(format!("{}: its SHA-256 is another", path.display())),
                    Err(e) => done.gaps.push(format!("{}: cannot be read: {e}", path.display())),
                }
            }
        }
    }
    done.lines.push(format!("{}: {looked} files there, {hashed} hashed", component.name));
    Ok(())
}

/// Checks ids and signatures of Synapse's events, and who has access to which rooms.
///
/// # Errors
/// [`Failure`] when the database refuses.
pub async fn synapse(
    cx: &Context,
    installed: &Installed,
    connector: &Connector,
    done: &mut StepDone,
) -> Result<(), Failure> {
    let session = connector.connect().await.map_err(database_fault)?;
    let Ok(config) = read_synapse(&installed.config, &installed.read_options()) else {
        done.gaps.push("Synapse's configuration cannot be read: events were not checked".into());
        return Ok(());
    };
    let mut public = keys::own_keys(&config);
    keys::add_kept_keys(&session, &config.server_name, &mut public)
        .await
        .map_err(database_fault)?;
    let seed = u64::from_le_bytes(cx.random());
    let checker = Arc::new(events::EventChecker::new(public, seed, SIGNATURES));
    let found = events::check_all(&session, &checker, 2, |_| ()).await.map_err(|e| {
        Failure::failed("cannot check the events", "see that the database is up").because(e)
    })?;
    done.lines.push(format!(
        "{} events: {} ids or contents wrong; {} signatures checked, {} wrong",
        found.content.checked,
        found.content.wrong,
        found.signatures.checked,
        found.signatures.wrong
    ));
    for problem in found.content.problems.iter().chain(&found.signatures.problems) {
        done.gaps.push(format!("event {}: {}", problem.object, problem.detail));
    }
    let newest = witness::own_events(&session, &config.server_name, witness::EVENTS).await;
    let newest = newest.map_err(database_fault)?;
    let newest = newest.iter().map(|event| (event.json.as_slice(), event.room_version.as_str()));
    let own = config.signing_keys().unwrap_or_default();
    if let Signer::Other(why) =
        key_fit::signer(&config.server_name, (&own, &keys::own_keys(&config)), newest)
    {
        done.gaps.push(format!(
            "its signing key is not the one that its newest events carry: {why}; put that one \
             back before it starts, or other servers will not know it"
        ));
    } else if let Some(count) = found.without_key.get(&config.server_name) {
        let what = "events of this server are signed with a key that its configuration lacks";
        // Of a key that was replaced once, and is not listed as an old one, that is so as well.
        if found.signed == 0 {
            done.gaps.push(format!("{count} {what}, and none fits: is the signing key its own?"));
        } else {
            done.lines.push(format!("{count} {what}"));
        }
    }
    let users = access::sample(&session, i64::from_le_bytes(cx.random()) >> 1)
        .await
        .map_err(database_fault)?;
    let rooms = access::check(&session, &users, None).await.map_err(database_fault)?;
    done.lines.push(format!(
        "rooms of {} users compared with the state: {} wrong",
        rooms.users.checked, rooms.users.wrong
    ));
    for problem in &rooms.users.problems {
        done.gaps.push(format!("{}: {}", problem.object, problem.detail));
    }
    Ok(())
}

/// Asks the running Synapse as clients with tokens of before the loss, and for its key.
///
/// # Errors
/// [`Failure`] when the database refuses.
pub async fn clients(
    cx: &Context,
    installed: &Installed,
    connector: &Connector,
    done: &mut StepDone,
) -> Result<(), Failure> {
    let Some(port) = fence::synapse_port(installed).await else {
        done.gaps.push(format!("{} does not answer on this machine: not asked", installed.name));
        return Ok(());
    };
    published(installed, port, done).await;
    ask(cx, connector, (Door::Port(port), &format!("port {port}")), done).await
}

/// Whether the key that other servers are told is the one of the configuration.
async fn published(installed: &Installed, port: u16, done: &mut StepDone) {
    let own = read_synapse(&installed.config, &installed.read_options()).ok();
    let own = own.and_then(|config| config.signing_keys().ok()).unwrap_or_default();
    let Ok(Ok(told)) = tokio::task::spawn_blocking(move || published_keys(port)).await else {
        done.lines
            .push(format!("port {port} does not tell keys: its signing key was not compared"));
        return;
    };
    let fits = told
        .iter()
        .find(|(id, public)| own.iter().any(|key| key_fit::published_key(key, id, public).is_ok()));
    match fits {
        Some((id, _)) => done.lines.push(format!("it publishes its signing key {id}")),
        None => done.gaps.push(format!(
            "{} publishes another signing key than its configuration has: keep it shut, and start \
             it again with the one that was put back",
            installed.name
        )),
    }
}

/// Asks the Synapse behind a door as clients with tokens of before the loss; `door` is it in words.
///
/// # Errors
/// [`Failure`] when the database refuses.
pub(crate) async fn ask(
    cx: &Context,
    connector: &Connector,
    (at, door): (Door<'_>, &str),
    done: &mut StepDone,
) -> Result<(), Failure> {
    let session = connector.connect().await.map_err(database_fault)?;
    let users = access::sample(&session, i64::from_le_bytes(cx.random()) >> 1)
        .await
        .map_err(database_fault)?;
    let found = access::ask_as_clients(&session, &users, at).await.map_err(database_fault)?;
    done.lines.push(format!(
        "asked on {door} as {} clients with their old tokens: {} wrong",
        found.checked, found.wrong
    ));
    for problem in &found.problems {
        done.gaps.push(format!("{}: {}", problem.object, problem.detail));
    }
    Ok(())
}
