//! The rules that keep people's messages, applied to a database that was put back.

use lifeboat_components::mas;
use lifeboat_components::postgres::PostgresError;
use lifeboat_components::synapse::erasures::apply;
use lifeboat_components::synapse::fixups::{self, DelayedEvents, Done, FixupFacts, RemoteMedia};
use lifeboat_components::synapse::schema::SequenceState;
use lifeboat_components::synapse::sequences;
use lifeboat_engine::context::Context;
use lifeboat_engine::failure::Failure;
use lifeboat_engine::import::check::database_fault;
use lifeboat_postgres::connect::Connector;
use lifeboat_vault::erasures::ErasureLedger;

use crate::database::{Kept, load_last};
use crate::journal::StepDone;
use crate::redo;

/// Makes a database of Synapse safe to start, all or nothing; `margin` is what sequences that leave
/// the server are raised by. The last thing is the table without which Synapse does not start.
///
/// # Errors
/// [`Failure`] when the database refuses.
pub async fn synapse(
    cx: &Context,
    kept: &Kept<'_>,
    (connector, margin): (&Connector, u64),
) -> Result<StepDone, Failure> {
    let session = connector.connect().await.map_err(database_fault)?;
    let refused = |e| database_fault(PostgresError::sorted("applied the rules", e));
    session.batch_execute("BEGIN").await.map_err(refused)?;
    let mut done = StepDone::default();
    let saved: Vec<SequenceState> = kept
        .sequences()?
        .into_iter()
        .map(|s| SequenceState { name: s.name, last_value: s.value, is_called: s.is_called })
        .collect();
    for line in sequences::restore(&session, &saved, margin).await.map_err(database_fault)? {
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
    lifeboat_postgres::restore::unmark(&session).await.map_err(database_fault)?;
    session.batch_execute("COMMIT").await.map_err(refused)?;
    Ok(done)
}

/// The rules are about the tables of the main database; another has none of them.
async fn holds_users(session: &lifeboat_postgres::Client) -> Result<bool, Failure> {
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
