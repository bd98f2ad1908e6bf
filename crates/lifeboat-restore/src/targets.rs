//! Where things go: to the places they came from, or to others.

use std::path::{Path, PathBuf};

use lifeboat_engine::failure::Failure;
use lifeboat_postgres::connect::Connector;
use lifeboat_suite::{At, Installation, Surroundings};

/// Where files and databases of a restore go.
pub struct Targets {
    /// A folder that stands for `/`; `None` for the very places.
    pub root: Option<PathBuf>,
    /// What every database's name ends with, for databases beside those in use.
    pub suffix: Option<String>,
    /// What libpq would take from the surroundings.
    pub around: Surroundings,
}

/// A database to restore into.
pub enum TargetDatabase {
    /// On a PostgreSQL server.
    Postgres(Box<Connector>),
    /// In a file.
    Sqlite(PathBuf),
}

impl Targets {
    /// Where a file of the backup goes.
    pub fn place(&self, path: &Path) -> PathBuf {
        match &self.root {
            None => path.to_owned(),
            Some(root) => root.join(path.strip_prefix("/").unwrap_or(path)),
        }
    }

    /// Where something goes that an installation names. One that was put back below the root names
    /// some places with the root already: what its files name relative to themselves.
    pub fn installed(&self, path: &Path) -> PathBuf {
        match &self.root {
            Some(root) if path.starts_with(root) => path.to_owned(),
            _ => self.place(path),
        }
    }

    /// Where a database goes, by the component's own configuration.
    ///
    /// # Errors
    /// [`Failure`] when the installation does not know it.
    pub fn database(
        &self,
        installation: &Installation,
        (component, name): (&str, &str),
    ) -> Result<TargetDatabase, Failure> {
        let unknown = || {
            Failure::failed(
                format!("the installation does not say where database {component}/{name} is"),
                "name the component in lifeboat.yaml as it was when the backup was made",
            )
        };
        let known = installation.component(component).ok_or_else(unknown)?;
        let database = known.database(name).ok_or_else(unknown)?;
        match &database.at {
            At::Sqlite(path) => Ok(TargetDatabase::Sqlite(self.installed(path))),
            At::Postgres(target) => {
                let mut target = (**target).clone();
                target.find_password(&self.around);
                let connector = target.connector().map_err(|e| unknown().because(e))?;
                Ok(TargetDatabase::Postgres(Box::new(match &self.suffix {
                    None => connector,
                    Some(suffix) => beside(&connector, suffix)?,
                })))
            }
        }
    }
}

fn beside(connector: &Connector, suffix: &str) -> Result<Connector, Failure> {
    connector.beside(suffix).ok_or_else(|| {
        Failure::failed(
            format!("{}{suffix} is too long for the name of a database", connector.database()),
            "give the database a shorter name",
        )
    })
}

impl TargetDatabase {
    /// For people.
    pub fn shown(&self) -> String {
        match self {
            Self::Sqlite(path) => path.display().to_string(),
            Self::Postgres(connector) => {
                format!("{} at {}", connector.database(), connector.place())
            }
        }
    }
}

#[cfg(test)]
mod tests;
