//! The database settings of Synapse: `database`, or `databases` split into main and state.

use std::path::Path;

use thiserror::Error;

use super::conninfo::{self, ConninfoError, Parameters};
use super::secret::Secret;
use super::target::{DatabaseTarget, Surroundings};
use super::tree::Branch;
use super::yaml::Yaml;
use super::{ConfigError, SynapseConfig, absolute};
use lifeboat_postgres::PostgresError;

/// A half of Synapse's data that may lie in a database of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataStore {
    /// Everything but state groups.
    Main,
    /// The state groups.
    State,
}

impl DataStore {
    /// As Synapse calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::State => "state",
        }
    }
}

/// One of Synapse's databases.
#[derive(Clone, PartialEq, Eq)]
pub struct Database {
    /// Its label: `master` for the single one.
    pub label: String,
    /// What it holds.
    pub holds: Vec<DataStore>,
    /// Where it is.
    pub target: DatabaseTarget,
}

/// All of them; each half is held by exactly one.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseSettings {
    /// One, or two.
    pub databases: Vec<Database>,
}

/// The database settings cannot be used.
#[derive(Debug, Error)]
pub enum DatabaseError {
    /// No `database`.
    #[error("no database is configured; name all files that Synapse is started with")]
    None,
    /// Synapse on SQLite.
    #[error(
        "this Synapse runs on SQLite, which Lifeboat does not read; move it to PostgreSQL first \
         with Synapse's own `synapse_port_db` (see its manual, \"Using Postgres\")"
    )]
    Sqlite,
    /// Both forms at once.
    #[error("both `database` and `databases` are set; Synapse takes one of them")]
    Both,
    /// A driver that Synapse does not know.
    #[error("`{setting}` is neither psycopg2 nor sqlite3; Synapse would not start either")]
    Driver {
        /// The setting.
        setting: String,
    },
    /// Main or state is in no database, or in two.
    #[error(
        "`databases`: {store} must be in the `data_stores` of exactly one database; \
         it is in {count}"
    )]
    Stores {
        /// `main` or `state`.
        store: &'static str,
        /// In how many.
        count: usize,
    },
    /// A setting is not of its type.
    #[error("the database settings cannot be used")]
    Setting(#[from] ConfigError),
    /// A connection string is wrong.
    #[error("the database's connection string cannot be used")]
    Conninfo(#[from] ConninfoError),
    /// A parameter has a value that libpq does not take.
    #[error("the database parameter `{parameter}` has a value that PostgreSQL does not take")]
    Value {
        /// Its libpq name.
        parameter: String,
    },
    /// Something libpq can and we cannot.
    #[error(
        "the database parameter {parameter} is not supported: describe the connection without it"
    )]
    Unsupported {
        /// What it is.
        parameter: &'static str,
    },
    /// Lists of hosts and ports of different lengths.
    #[error("the database's lists of hosts, addresses and ports differ in length")]
    Uneven,
    /// Nobody to log in as.
    #[error("no database user is set; add `user` to the database settings")]
    NoUser,
    /// Certificates to be checked, nothing to check with.
    #[error(
        "sslmode asks for checked certificates and there is no root certificate; \
         set sslrootcert, or `sslrootcert=system`"
    )]
    NoRootCertificate,
    /// The root certificates cannot be read.
    #[error("cannot read the root certificates {path}; correct sslrootcert")]
    RootCertificate {
        /// The file.
        path: String,
        /// Cause.
        source: std::io::Error,
    },
    /// Our certificate cannot be read.
    #[error("cannot read the client certificate {path}; correct sslcert")]
    ClientCertificate {
        /// The file.
        path: String,
        /// Cause.
        source: std::io::Error,
    },
    /// The key of our certificate cannot be read.
    #[error("cannot read {path}, the private key of the client certificate; correct sslkey")]
    ClientKey {
        /// The file.
        path: String,
        /// Cause.
        source: std::io::Error,
    },
    /// Others can read the key of our certificate.
    #[error("the private key {path} can be read by others and is not used; chmod 600 {path}")]
    ClientKeyOpen {
        /// The file.
        path: String,
    },
    /// TLS cannot be set up.
    #[error("cannot prepare the connection to the database")]
    Connector(#[source] PostgresError),
}

impl DatabaseSettings {
    /// The database that holds this half.
    pub fn holding(&self, store: DataStore) -> &Database {
        let found = self.databases.iter().find(|database| database.holds.contains(&store));
        found.unwrap_or(&self.databases[0])
    }

    /// Whether state lies in a database of its own.
    pub fn is_split(&self) -> bool {
        self.databases.len() > 1
    }

    /// One database for everything, as `--database-url` gives it.
    pub fn single(target: DatabaseTarget) -> Self {
        let holds = vec![DataStore::Main, DataStore::State];
        Self { databases: vec![Database { label: "master".to_owned(), holds, target }] }
    }
}

impl SynapseConfig {
    /// Where Synapse's databases are. Passwords that are not set are left out: see
    /// [`DatabaseTarget::find_password`].
    ///
    /// # Errors
    /// See [`DatabaseError`]; SQLite is refused.
    pub fn databases(&self, around: &Surroundings) -> Result<DatabaseSettings, DatabaseError> {
        let workdir = &self.workdir;
        let top = self.tree.branch();
        let single = top.mapping(&["database"])?;
        let split = top.mapping(&["databases"])?.filter(|map| map.entries().next().is_some());
        let databases = match (single, split) {
            (Some(_), Some(_)) => return Err(DatabaseError::Both),
            (Some(one), None) => vec![database("master", &one, workdir, around)?],
            (None, Some(split)) => {
                let mut all = Vec::new();
                for (label, _) in split.entries() {
                    if let Some(one) = split.mapping(&[label])? {
                        all.push(database(label, &one, workdir, around)?);
                    }
                }
                all
            }
            (None, None) if self.tree.text(&["database_path"])?.is_some() => {
                return Err(DatabaseError::Sqlite);
            }
            (None, None) => return Err(DatabaseError::None),
        };
        checked(databases)
    }
}

fn checked(databases: Vec<Database>) -> Result<DatabaseSettings, DatabaseError> {
    for (store, name) in [(DataStore::Main, "main"), (DataStore::State, "state")] {
        let count = databases.iter().filter(|database| database.holds.contains(&store)).count();
        if count != 1 {
            return Err(DatabaseError::Stores { store: name, count });
        }
    }
    Ok(DatabaseSettings { databases })
}

fn database(
    label: &str,
    settings: &Branch<'_>,
    workdir: &Path,
    around: &Surroundings,
) -> Result<Database, DatabaseError> {
    match settings.text(&["name"])?.unwrap_or("sqlite3") {
        "psycopg2" => {}
        "sqlite3" => return Err(DatabaseError::Sqlite),
        _ => return Err(DatabaseError::Driver { setting: settings.full(&["name"]) }),
    }
    let holds = match settings.texts(&["data_stores"])? {
        None => vec![DataStore::Main, DataStore::State],
        Some(names) => names.iter().filter_map(|name| store(name)).collect(),
    };
    let parameters = match settings.mapping(&["args"])? {
        Some(arguments) => parameters(&arguments, workdir)?,
        None => Parameters::new(),
    };
    let target = DatabaseTarget::from_parameters(parameters, around)?;
    Ok(Database { label: label.to_owned(), holds, target })
}

fn store(name: &str) -> Option<DataStore> {
    match name {
        "main" => Some(DataStore::Main),
        "state" => Some(DataStore::State),
        _ => None,
    }
}

/// psycopg2's arguments as libpq parameters: those beside a `dsn` win over it, `database` is
/// `dbname`, and `cp_…` belong to Twisted's pool.
fn parameters(arguments: &Branch<'_>, workdir: &Path) -> Result<Parameters, DatabaseError> {
    let mut found = match arguments.text(&["dsn"])? {
        Some(dsn) => conninfo::parse(dsn)?,
        None => Parameters::new(),
    };
    for (name, node) in arguments.entries() {
        let value = match &node.value {
            Yaml::Null => continue,
            Yaml::Text(text) => Secret::new(text.as_str()),
            Yaml::Int(number) => Secret::new(number.to_string()),
            Yaml::Bool(flag) => Secret::new(if *flag { "1" } else { "0" }),
            Yaml::Float(number) => Secret::new(format!("{number:?}")),
            Yaml::List(_) | Yaml::Map(_) => {
                return Err(arguments.wrong(node, &[name], "a text or number").into());
            }
        };
        match name {
            "dsn" => {}
            _ if name.starts_with("cp_") => {}
            "database" => drop(found.insert("dbname".to_owned(), value)),
            _ => drop(found.insert(name.to_owned(), value)),
        }
    }
    for name in ["passfile", "sslcert", "sslkey", "sslrootcert"] {
        let relative = found.get(name).filter(|path| path.expose() != "system");
        if let Some(path) = relative.map(|path| absolute(workdir, path.expose())) {
            found.insert(name.to_owned(), Secret::new(path.display().to_string()));
        }
    }
    Ok(found)
}
