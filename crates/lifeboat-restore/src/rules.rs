//! The rules that keep people's messages, applied to a database that was put back.

use lifeboat_components::mas;
use lifeboat_components::postgres::PostgresError;
use lifeboat_components::synapse::erasures::apply;
use lifeboat_components::synapse::fixups::{self, DelayedEvents, Done, FixupFacts, RemoteMedia};
use lifeboat_components::synapse::schema::SequenceState;
use lifeboat_components::synapse::sequences::{self, SequenceStand};
use lifeboat_components::synapse::write::target::LAST_TABLE;
use lifeboat_engine::context::Context;
use lifeboat_engine::failure::Failure;
use lifeboat_engine::import::check::database_fault;
use lifeboat_postgres::Client;
use lifeboat_postgres::archive::SequenceValue;
use lifeboat_postgres::connect::Connector;
use lifeboat_postgres::restore::{is_marked, standing, unmark};
use lifeboat_vault::erasures::ErasureLedger;

use crate::aside::KeptDatabase;
use crate::database::{Kept, load_last};
use crate::journal::StepDone;
use crate::redo;

/// Numbers at which a sequence of 64 bits still has room for all that is to come.
const MOST_GIVEN: i64 = i64::MAX / 2;

/// How sequences are raised past everything that was given out since the backup.
pub struct Raising {
    /// What those that leave the server are raised by.
    pub margin: u64,
    /// The databases that had the place of the one that was put back: they know what they gave.
    pub replaced: Vec<KeptDatabase>,
}

/// Makes a database of Synapse safe to start, all or nothing. The last thing is the table without
/// which Synapse does not start. A database that is safe already is left as it is: what runs in it
/// may have gone on.
///
/// # Errors
/// [`Failure`] when the database refuses.
pub async fn synapse(
    cx: &Context,
    kept: &Kept<'_>,
    (connector, raising): (&Connector, &Raising),
) -> Result<StepDone, Failure> {
    let session = connector.connect().await.map_err(database_fault)?;
    let mut done = StepDone::default();
    let is_marked = is_marked(&session).await.map_err(database_fault)?;
    if !is_marked && starts(&session).await? {
        let name = connector.database();
        done.lines.push(format!("database {name} was made safe before: it is left as it is"));
        return Ok(done);
    }
    let saved = given_out(kept.sequences()?, (connector, raising), &mut done).await?;
    let refused = |e| database_fault(PostgresError::sorted("applied the rules", e));
    session.batch_execute("BEGIN").await.map_err(refused)?;
    let raised = sequences::restore(&session, &saved, raising.margin).await;
    for line in raised.map_err(database_fault)? {
        if line.done == Done::Applied {
            done.lines.push(line.to_string());
        }
    }
    if holds_users(&session).await? {
        let facts = FixupFacts {
            now_ms: (cx.now)() * 1000,
            delayed_events: DelayedEvents::Keep,
            remote_media: RemoteMedia::All,
        };
        for line in fixups::apply(&session, &facts).await.map_err(database_fault)? {
            match line.done {
                Done::Applied => done.lines.push(line.to_string()),
                Done::Decide => done.gaps.push(line.to_string()),
                Done::Nothing => {}
            }
        }
    }
    load_last(cx, kept, &session).await?;
    unmark(&session).await.map_err(database_fault)?;
    session.batch_execute("COMMIT").await.map_err(refused)?;
    Ok(done)
}

/// Where the sequences of a backup stand, or those of a database that was replaced, whichever is
/// further: an earlier restore of the same backup, and what ran after it, gave out numbers that the
/// backup does not know.
async fn given_out(
    saved: Vec<SequenceValue>,
    (connector, raising): (&Connector, &Raising),
    done: &mut StepDone,
) -> Result<Vec<SequenceState>, Failure> {
    let state = |s: SequenceValue| SequenceState {
        name: s.name,
        last_value: s.value,
        is_called: s.is_called,
    };
    let mut saved: Vec<SequenceState> = saved.into_iter().map(state).collect();
    for replaced in &raising.replaced {
        let found = standing(connector, &replaced.name).await.map_err(database_fault)?;
        if found.is_none_or(|found| found.oid != replaced.oid) {
            continue;
        }
        let stands = async {
            let session = connector.to_database(&replaced.name).connect().await?;
            sequences::stand(&session).await
        };
        match stands.await {
            Ok(stands) => raise(&mut saved, &stands),
            Err(error) => done.gaps.push(format!(
                "database {} cannot be asked what it gave out since the backup ({error}): clients \
                 may miss messages if that was more than {} numbers of one sequence",
                replaced.name, raising.margin
            )),
        }
    }
    Ok(saved)
}

/// Takes the higher of two. What is so high that nothing could follow is damage, and not taken.
fn raise(saved: &mut [SequenceState], stands: &[SequenceStand]) {
    for state in saved {
        let stand = stands.iter().find(|stand| stand.name == state.name);
        let Some(given) = stand.and_then(|stand| stand.last.max(stand.used)) else { continue };
        if (state.last_value..MOST_GIVEN).contains(&given) {
            (state.last_value, state.is_called) = (given, true);
        }
    }
}

/// Whether Synapse would start with what is there: the table that is put back last has its row.
async fn starts(session: &Client) -> Result<bool, Failure> {
    let doing = |e| database_fault(PostgresError::sorted("looked at what is there", e));
    let there = session.query_one("SELECT to_regclass($1) IS NOT NULL", &[&LAST_TABLE]).await;
    if !there.map_err(doing)?.get::<_, bool>(0) {
        return Ok(false);
    }
    let query = format!("SELECT EXISTS (SELECT FROM {LAST_TABLE})");
    Ok(session.query_one(&query, &[]).await.map_err(doing)?.get(0))
}

/// The rules are about the tables of the main database; another has none of them.
async fn holds_users(session: &Client) -> Result<bool, Failure> {
    let doing = |e| database_fault(PostgresError::sorted("looked for users", e));
    let found = session.query_one("SELECT to_regclass('users') IS NOT NULL", &[]).await;
    Ok(found.map_err(doing)?.get(0))
}

/// Makes a database of MAS safe to start: workers that are gone are forgotten, and what its queue
/// would do is told.
///
/// # Errors
/// [`Failure`] when the database refuses.
pub async fn mas(connector: &Connector) -> Result<StepDone, Failure> {
    let session = connector.connect().await.map_err(database_fault)?;
    let mut done = StepDone::default();
    let forgotten = mas::forget_workers(&session).await.map_err(database_fault)?;
    done.lines.push(format!("{forgotten} workers of the lost server forgotten"));
    for (queue, jobs) in mas::pending(&session).await.map_err(database_fault)? {
        done.gaps.push(format!(
            "{jobs} jobs wait in {queue}: MAS does them when it starts; remove from queue_jobs \
             what must not happen again"
        ));
    }
    Ok(done)
}

/// Takes back again what was taken back after the backup was made.
///
/// # Errors
/// [`Failure`] when the database refuses; nothing is changed then.
pub async fn erasures(
    connector: &Connector,
    (ledger, backup): (&ErasureLedger, &str),
) -> Result<StepDone, Failure> {
    let mut done = StepDone::default();
    let problems = ledger.problems.iter();
    done.gaps.extend(problems.map(|problem| format!("a list of what was taken back: {problem}")));
    let Some(until) = &ledger.until else {
        done.gaps.push(
            "nothing in the vault says what was taken back after the backup: redacted messages, \
             people who asked to be forgotten and closed accounts may be there again"
                .to_owned(),
        );
        return Ok(done);
    };
    let session = connector.connect().await.map_err(database_fault)?;
    let applied = apply(&session, &ledger.erasures).await.map_err(database_fault)?;
    done.lines.push(format!(
        "as of {until}: {} people forgotten again, {} accounts closed again, {} events redacted \
         again",
        applied.erased,
        applied.deactivated.len(),
        applied.redacted
    ));
    if !applied.deactivated.is_empty() {
        let first: Vec<&str> = applied.deactivated.iter().take(10).map(String::as_str).collect();
        done.gaps.push(format!(
            "{} accounts cannot sign in again; when Synapse runs, {} deactivates them once more, \
             which removes the rest of what is theirs (in MAS, where there is one, do it there): \
             {} …",
            applied.deactivated.len(),
            redo::command(backup),
            first.join(", ")
        ));
    }
    let command = redo::command(backup);
    done.gaps.extend(applied.rooms.iter().map(|room| {
        format!("room {room} was purged and is there again: when Synapse runs, {command} purges it")
    }));
    done.gaps.extend(applied.histories.iter().map(|history| {
        let what = format!("history of room {} was purged and is there again", history.room);
        match history.doubt {
            None => format!("{what}: when Synapse runs, {command} purges it"),
            Some(doubt) => format!("{what}: {}", redo::by_hand(doubt)),
        }
    }));
    Ok(done)
}

/// Compares the accounts and sessions of MAS with the users and devices of Synapse.
///
/// # Errors
/// [`Failure`] when a database refuses.
pub async fn compare(
    (synapse, server): (&Connector, &str),
    mas: &Connector,
) -> Result<StepDone, Failure> {
    let synapse = synapse.connect().await.map_err(database_fault)?;
    let mas_session = mas.connect().await.map_err(database_fault)?;
    let found = mas::compare(&synapse, &mas_session, server).await.map_err(database_fault)?;
    let mut done = StepDone::default();
    done.lines.push(format!(
        "{} accounts and {} devices are on both sides",
        found.users_equal, found.devices_equal
    ));
    let lists = [
        ("accounts that Synapse does not know; MAS makes them", &found.users_only_mas),
        ("users that MAS does not know: nobody can sign in as them", &found.users_only_synapse),
        ("sessions whose device Synapse lacks; MAS makes it without keys", &found.devices_only_mas),
        (
            "devices that MAS does not know: its next sync DELETES them, with their keys",
            &found.devices_only_synapse,
        ),
    ];
    for (what, list) in lists {
        if !list.is_empty() {
            let first: Vec<&str> = list.iter().take(10).map(String::as_str).collect();
            done.gaps.push(format!("{} {what}: {} …", list.len(), first.join(", ")));
        }
    }
    Ok(done)
}
