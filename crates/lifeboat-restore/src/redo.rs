//! What was purged and closed after a backup was made, done again by the Synapse that was restored
//! from it: a restore itself cannot, because only the server purges a room or closes an account
//! whole.

use std::time::Duration;

use lifeboat_components::synapse::erasures::{Remaining, leaving, remaining};
use lifeboat_components::synapse::histories::{Before, Doubt};
use lifeboat_engine::context::Context;
use lifeboat_engine::failure::Failure;
use lifeboat_engine::import::check::database_fault;
use lifeboat_live::admin::{Admin, AdminError};
use lifeboat_postgres::Client;
use lifeboat_suite::{Installation, Kind, Surroundings};
use lifeboat_vault::erasures::ErasureLedger;
use serde::Serialize;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::fence;
use crate::targets::{TargetDatabase, Targets};

/// How long closed accounts may take to leave their rooms.
const PART_LIMIT: Duration = Duration::from_mins(5);
/// How long to wait between two questions about that.
const PAUSE: Duration = Duration::from_millis(250);

/// The command that does it after a restore of a backup, for people.
pub fn command(backup: &str) -> String {
    format!("`lifeboat restore erasures {backup} -i FILE --admin-token-file FILE --yes`")
}

/// What is left to people when it is not sure that a purge would take the right things.
pub(crate) fn by_hand(doubt: Doubt) -> String {
    format!("by hand, {doubt}: POST /_synapse/admin/v1/purge_history")
}

/// How it is done.
pub struct RedoRequest {
    /// The component; the one Synapse of the installation when it is not said.
    pub component: Option<String>,
    /// Where Synapse answers; else a port of this machine that its configuration names.
    pub address: Option<String>,
    /// An administrator's token. Nothing is done without it: what would be is told.
    pub token: Option<Zeroizing<String>>,
    /// What libpq would take from the surroundings.
    pub around: Surroundings,
}

/// What a thing was, or is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Redo {
    /// A room is purged.
    PurgeRoom,
    /// History of a room is purged.
    PurgeHistory,
    /// An account is closed.
    Close,
    /// An account is closed, and its owner forgotten.
    Erase,
}

/// What came of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Redone {
    /// What is to be done.
    pub what: Redo,
    /// Room or user id.
    pub id: String,
    /// Of history, up to where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Before>,
    /// Whether it was done.
    pub done: bool,
    /// Why not.
    pub problem: Option<String>,
}

/// What came of all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RedoOutcome {
    /// Until when is known what was taken back: RFC 3339, UTC.
    pub until: Option<String>,
    /// Whether anything was to be done; else it is only told.
    pub acted: bool,
    /// Each thing that was there again.
    pub things: Vec<Redone>,
    /// Purged rooms that are not there: nothing to do.
    pub rooms_gone: u64,
    /// Closed accounts that have nothing left.
    pub accounts_closed: u64,
    /// What is not right besides: lists that could not be used.
    pub problems: Vec<String>,
}

impl RedoOutcome {
    /// What is open.
    pub fn gaps(&self) -> u64 {
        let open = self.things.iter().filter(|thing| !thing.done).count();
        (open + self.problems.len()) as u64
    }
}

/// Says what is there again of what was purged and closed, and does it again where there is a
/// token.
///
/// # Errors
/// [`Failure`] when there is no such Synapse, its database cannot be read, or it cannot be asked as
/// an administrator.
pub async fn redo(
    cx: &Context,
    (installation, ledger): (&Installation, &ErasureLedger),
    request: RedoRequest,
) -> Result<RedoOutcome, Failure> {
    let component = chosen(installation, request.component.as_deref())?;
    let targets = Targets { root: None, suffix: None, around: request.around };
    let target = targets.database(installation, (&component, "main"))?;
    let TargetDatabase::Postgres(connector) = target else {
        return Err(Failure::usage(format!("{component} is not on PostgreSQL"), ""));
    };
    let session = connector.connect().await.map_err(database_fault)?;
    let mut outcome = RedoOutcome {
        until: ledger.until.clone(),
        problems: ledger.problems.clone(),
        ..RedoOutcome::default()
    };
    let left = remaining(&session, &ledger.erasures).await.map_err(database_fault)?;
    outcome.things = things(&left);
    outcome.accounts_closed = (ledger.erasures.deactivated.len() - left.accounts.len()) as u64;
    let rooms = &ledger.erasures.purged;
    let is_gone = |room: &str| {
        !left.rooms.contains(room) && !left.histories.iter().any(|found| found.room == room)
    };
    outcome.rooms_gone = rooms.iter().filter(|purge| is_gone(&purge.room)).count() as u64;
    if let Some(token) = request.token
        && !outcome.things.is_empty()
    {
        let address = match request.address {
            Some(address) => address,
            None => address(installation, &component).await?,
        };
        let admin = Admin::at(&address, token).map_err(|e| unasked(&address, e))?;
        outcome.acted = true;
        let is_room = |thing: &Redone| matches!(thing.what, Redo::PurgeRoom | Redo::PurgeHistory);
        let rooms = outcome.things.iter().position(is_room).unwrap_or(outcome.things.len());
        let (accounts, rooms) = outcome.things.split_at_mut(rooms);
        act(cx, (&admin, &address), accounts).await?;
        part(cx, &session, ledger).await?;
        let left = remaining(&session, &ledger.erasures).await.map_err(database_fault)?;
        doubt(rooms, &left);
        act(cx, (&admin, &address), rooms).await?;
        see((&session, ledger), &mut outcome.things).await?;
    }
    Ok(outcome)
}

/// Waits until closed accounts have left their rooms, which Synapse begins when it starts: one that
/// leaves a room while that is purged would be an error in its log. It need not be waited for
/// longer; the room goes all the same.
async fn part(cx: &Context, session: &Client, ledger: &ErasureLedger) -> Result<(), Failure> {
    let begun = Instant::now();
    while begun.elapsed() < PART_LIMIT {
        cx.go_on()?;
        if leaving(session, &ledger.erasures).await.map_err(database_fault)? == 0 {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Leaves history alone of which it is no longer sure what a purge would take: meanwhile more of it
/// may have come from other servers.
fn doubt(rooms: &mut [Redone], left: &Remaining) {
    for thing in rooms.iter_mut().filter(|thing| thing.problem.is_none()) {
        let mut same = left.histories.iter();
        let found = same.find(|found| found.room == thing.id && found.before == thing.before);
        thing.problem = found.and_then(|found| found.doubt).map(by_hand);
    }
}

/// What remains, accounts first.
fn things(left: &Remaining) -> Vec<Redone> {
    let open = |what: Redo, id: &String| {
        let id = id.clone();
        Redone { what, id, before: None, done: false, problem: None }
    };
    let rooms = left.rooms.iter().map(|room| open(Redo::PurgeRoom, room));
    let histories = left.histories.iter().map(|found| Redone {
        before: found.before.clone(),
        problem: found.doubt.map(by_hand),
        ..open(Redo::PurgeHistory, &found.room)
    });
    let accounts = left
        .accounts
        .iter()
        .map(|(user, erase)| open(if *erase { Redo::Erase } else { Redo::Close }, user));
    accounts.chain(rooms).chain(histories).collect()
}

/// Asks the server for one thing after the other. One that it refuses does not stop the others.
async fn act(
    cx: &Context,
    (admin, address): (&Admin, &str),
    things: &mut [Redone],
) -> Result<(), Failure> {
    for thing in things {
        cx.go_on()?;
        let asked = match thing.what {
            Redo::PurgeRoom => admin.purge_room(&thing.id).await,
            Redo::Close => admin.deactivate(&thing.id, false).await,
            Redo::Erase => admin.deactivate(&thing.id, true).await,
            Redo::PurgeHistory => match &thing.before {
                Some(before) if thing.problem.is_none() => {
                    admin.purge_history((&thing.id, &before.event), before.own).await
                }
                _ => continue,
            },
        };
        match asked {
            Ok(()) => thing.done = true,
            Err(error) if error.is_about_all() => return Err(unasked(address, error)),
            Err(error) => thing.problem = Some(error.to_string()),
        }
    }
    Ok(())
}

/// Looks whether what the server said it did is so.
async fn see(
    (session, ledger): (&Client, &ErasureLedger),
    things: &mut [Redone],
) -> Result<(), Failure> {
    let left = remaining(session, &ledger.erasures).await.map_err(database_fault)?;
    for thing in things {
        let is_left = match thing.what {
            Redo::PurgeRoom => left.rooms.contains(&thing.id),
            Redo::PurgeHistory => left
                .histories
                .iter()
                .any(|found| found.room == thing.id && found.before == thing.before),
            Redo::Close | Redo::Erase => left.accounts.contains_key(&thing.id),
        };
        if thing.done && is_left {
            thing.done = false;
            thing.problem = Some("the server did it, and rows of it are left".to_owned());
        }
    }
    Ok(())
}

fn unasked(address: &str, error: AdminError) -> Failure {
    let remedy = match error {
        AdminError::NotAllowed(_) => {
            "give the access token of an administrator of Synapse (users.admin = 1)"
        }
        AdminError::Unreachable(_) => "start Synapse, or say where it answers with --homeserver",
        _ => "correct --homeserver and --admin-token-file, then run the same command again",
    };
    Failure::failed(format!("Synapse cannot be asked at {address}"), remedy).because(error)
}

/// Where the Synapse of this machine answers.
async fn address(installation: &Installation, name: &str) -> Result<String, Failure> {
    let port = match installation.component(name) {
        Some(component) => fence::synapse_port(component).await,
        None => None,
    };
    let port = port.ok_or_else(|| {
        Failure::failed(
            format!("{name} does not answer at a port of this machine"),
            "start it, or say where it answers with --homeserver http://…",
        )
    })?;
    Ok(format!("http://127.0.0.1:{port}"))
}

/// The Synapse that is meant.
fn chosen(installation: &Installation, wanted: Option<&str>) -> Result<String, Failure> {
    let all = installation.components.iter().filter(|found| found.kind == Kind::Synapse);
    let names: Vec<&str> = all.map(|found| found.name.as_str()).collect();
    match (wanted, names.as_slice()) {
        (Some(name), names) if names.contains(&name) => Ok(name.to_owned()),
        (None, [name]) => Ok((*name).to_owned()),
        (_, []) => Err(Failure::usage(
            "there is no Synapse in the installation",
            "lifeboat config check shows what there is",
        )),
        (_, names) => Err(Failure::usage(
            "it is not clear which Synapse is meant",
            format!("say which with --component: {}", names.join(", ")),
        )),
    }
}
