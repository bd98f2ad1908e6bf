//! The databases that an import fills: one, or two where the target keeps its state apart.

use std::sync::atomic::{AtomicBool, Ordering};

use lifeboat_components::postgres::connect::Connector;
use lifeboat_components::postgres::{Client, PostgresError};
use lifeboat_components::synapse::layout::Holds;
use lifeboat_components::synapse::write::target::{self, Fitness, State};

use super::check::database_fault;
use crate::failure::Failure;
use crate::server::Opened;

/// One of them.
pub struct Database {
    /// What it holds.
    pub holds: Holds,
    /// The way to it.
    pub connector: Connector,
    /// What it is; `None` when it has to be made.
    pub fitness: Option<Fitness>,
}

impl Database {
    /// Its name and where it is, for messages.
    pub fn words(&self) -> String {
        let (name, place) = (self.connector.database(), self.connector.place());
        match self.holds {
            Holds::Everything | Holds::AllButState => format!("{name} at {place}"),
            Holds::StateStore => format!("state in {name} at {place}"),
        }
    }

    /// A session that writes.
    ///
    /// # Errors
    /// [`Failure`] when the server cannot be reached.
    pub async fn session(&self) -> Result<Client, Failure> {
        target::session(&self.connector).await.map_err(database_fault)
    }

    /// Whether an earlier import left something to clear away.
    pub fn is_half_filled(&self) -> bool {
        let half = |fitness: &Fitness| matches!(fitness.state, State::HalfFilled { .. });
        self.fitness.as_ref().is_some_and(half)
    }

    /// That it can be filled.
    ///
    /// # Errors
    /// [`Failure`] with what does not fit and what to do.
    pub fn demand_fit(&self) -> Result<(), Failure> {
        let Some(fitness) = &self.fitness else { return Ok(()) };
        let name = self.connector.database();
        demand_kind(fitness, &name)?;
        if !fitness.may_create {
            let role = self.connector.role().unwrap_or("the role").to_owned();
            return Err(Failure::failed(
                format!("{role} may not make tables in database {name}"),
                format!(
                    "ALTER DATABASE \"{name}\" OWNER TO \"{role}\", \
                     or GRANT CREATE ON SCHEMA public"
                ),
            ));
        }
        match &fitness.state {
            State::Empty | State::HalfFilled { .. } => Ok(()),
            State::Imported { package, .. } => Err(Failure::failed(
                format!("database {name} already holds the finished import of package {package}"),
                "start Synapse on it; to import again, use another, empty database",
            )),
            State::Foreign(tables) => Err(Failure::failed(
                format!("database {name} is not empty: it has {}, …", tables.join(", ")),
                "name another, empty database, or what to bring into the server that is there \
                 (--room, --user, --plan, --merge); nothing was changed",
            )),
        }
    }
}

fn demand_kind(fitness: &Fitness, name: &str) -> Result<(), Failure> {
    let make = format!(
        "make it anew: CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'UTF8' \
         LC_COLLATE 'C' LC_CTYPE 'C'"
    );
    if fitness.server_version < 140_000 {
        let version = fitness.server_version / 10_000;
        return Err(Failure::failed(
            format!("the database server is PostgreSQL {version}; Synapse needs 14 or newer"),
            "use a newer PostgreSQL",
        ));
    }
    if fitness.encoding != "UTF8" {
        let what = format!("database {name} has encoding {}, Synapse needs UTF8", fitness.encoding);
        return Err(Failure::failed(what, make));
    }
    for (kind, value) in [("collation", &fitness.collation), ("character type", &fitness.ctype)] {
        if value != "C" {
            let what = format!("database {name} has {kind} {value}, Synapse needs C");
            return Err(Failure::failed(what, make));
        }
    }
    Ok(())
}

/// Looks at the target's databases, the main one first. Where two settings name one database, it is
/// one from here on.
///
/// # Errors
/// [`Failure`] when a server cannot be reached.
pub async fn look(opened: &mut Opened) -> Result<Vec<Database>, Failure> {
    let main = session_if_there(&opened.main).await?;
    let state = match &opened.state {
        Some(state) => session_if_there(state).await?,
        None => None,
    };
    if let (Some(main), Some(state)) = (&main, &state)
        && target::is_same_database(main, state).await.map_err(database_fault)?
    {
        opened.state = None;
    }
    let Some(apart) = opened.state.clone() else {
        let fitness = fitness(main.as_ref()).await?;
        let connector = opened.main.clone();
        return Ok(vec![Database { holds: Holds::Everything, connector, fitness }]);
    };
    let (main, mut state) = (fitness(main.as_ref()).await?, fitness(state.as_ref()).await?);
    if let (Some(main), Some(state)) = (&main, &mut state) {
        one_of_two_activated(&main.state, &mut state.state);
    }
    let connector = opened.main.clone();
    Ok(vec![
        Database { holds: Holds::AllButState, connector, fitness: main },
        Database { holds: Holds::StateStore, connector: apart, fitness: state },
    ])
}

/// A session on each database, claimed for this import and empty. `touched` becomes true when
/// something is changed.
///
/// # Errors
/// [`Failure`] when one cannot be made, another import works on it, or it was filled since it was
/// looked at.
pub async fn claim(databases: &[Database], touched: &AtomicBool) -> Result<Vec<Client>, Failure> {
    let mut sessions = Vec::new();
    let mut found = Vec::new();
    for database in databases {
        let session = claimed(database).await?;
        // Somebody may have been at work between the check and the claim.
        let fitness = target::fitness(&session).await.map_err(database_fault)?;
        demand_kind(&fitness, &database.connector.database())?;
        found.push(fitness.state);
        sessions.push(session);
    }
    if let [main, state] = found.as_mut_slice() {
        one_of_two_activated(main, state);
    }
    for (database, now) in databases.iter().zip(&found) {
        if !matches!(now, State::Empty | State::HalfFilled { .. }) {
            return Err(Failure::failed(
                format!("database {} was filled meanwhile", database.connector.database()),
                "run the command again to see what is there now",
            ));
        }
    }
    touched.store(true, Ordering::Relaxed);
    for (session, now) in sessions.iter().zip(&found) {
        if *now != State::Empty {
            target::clear(session).await.map_err(database_fault)?;
        }
    }
    Ok(sessions)
}

async fn claimed(database: &Database) -> Result<Client, Failure> {
    let name = database.connector.database();
    if database.fitness.is_none() {
        target::create_database(&database.connector).await.map_err(|e| {
            let remedy = "make it: CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8' \
                          LC_COLLATE 'C' LC_CTYPE 'C', owned by the role Synapse uses";
            Failure::failed(format!("database {name} is not there"), remedy).because(e)
        })?;
    }
    let session = database.session().await?;
    if !target::claim(&session).await.map_err(database_fault)? {
        return Err(Failure::failed(
            format!("another import works on database {name}"),
            "wait for it to end, or stop it, then run this command again",
        ));
    }
    Ok(session)
}

/// An import that was cut short between its two last commits has finished the state store only,
/// which is ours to clear then, as the rest of the same import is.
fn one_of_two_activated(main: &State, state: &mut State) {
    let State::HalfFilled { run: Some(begun), .. } = main else { return };
    let State::Imported { package, run: Some(run) } = state else { return };
    if run == begun {
        *state = State::HalfFilled { package: package.clone(), run: Some(run.clone()) };
    }
}

/// `None` when the database is not there.
async fn session_if_there(connector: &Connector) -> Result<Option<Client>, Failure> {
    match target::session(connector).await {
        Ok(session) => Ok(Some(session)),
        Err(e) if e.code() == Some("3D000") => Ok(None),
        Err(e) => Err(database_fault(e)),
    }
}

async fn fitness(session: Option<&Client>) -> Result<Option<Fitness>, Failure> {
    let found: Result<Fitness, PostgresError> = match session {
        Some(session) => target::fitness(session).await,
        None => return Ok(None),
    };
    found.map(Some).map_err(database_fault)
}

#[cfg(test)]
mod tests;
