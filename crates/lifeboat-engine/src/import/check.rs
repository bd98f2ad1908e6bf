//! Everything that must be right before anything is written.

use std::collections::BTreeMap;

use lifeboat_components::postgres::PostgresError;
use lifeboat_components::postgres::columns::Column;
use lifeboat_components::synapse::catalogue::{Catalogue, Restore};
use lifeboat_components::synapse::config::compare::{Severity, compare_for_restore};
use lifeboat_components::synapse::config::kept::KeptConfig;
use lifeboat_components::synapse::config::place::{FilePlacement, plan_config_files};
use lifeboat_components::synapse::config::records::add_records;
use lifeboat_components::synapse::write::rows::Columns;
use lifeboat_live::ask;
use lifeboat_package::id::Section;
use lifeboat_storage::Access;

use super::databases::{self, Database};
use super::{ImportPlan, ImportRequest, synapse_version, trust};
use crate::context::Context;
use crate::failure::Failure;
use crate::reader::{EntryPlace, Package, PartEntries, damaged};
use crate::server::Opened;

/// A target and a package that fit.
pub struct Checked {
    /// The package.
    pub package: Package,
    /// The target.
    pub opened: Opened,
    /// Its databases, the main one first.
    pub databases: Vec<Database>,
    /// Why the package is trusted.
    pub trust: String,
    /// Configuration of the package.
    pub config: KeptConfig,
    /// What will happen with its files.
    pub placements: Vec<FilePlacement>,
    /// Differences that do not stop the import.
    pub warnings: Vec<String>,
}

/// Where everything in a package is.
pub struct Contents {
    /// Entries by part and name.
    pub parts: PartEntries,
    /// Columns of the tables.
    pub columns: Columns,
}

/// Checks package, target and their fit.
///
/// # Errors
/// [`Failure`] with what does not fit and what to do.
pub async fn check(cx: &Context, request: &ImportRequest) -> Result<Checked, Failure> {
    let access = Access::new(request.server.environment.iter().cloned());
    let package = Package::open(&request.package, &request.identities, &access).await?;
    let mut opened = request.server.open()?;
    let trust = trust::demand(&package, &opened.config, request)?;
    cx.note(format!("package of {}: {trust}", package.manifest.metadata.server_id));
    let mut warnings = same_server(&package, &opened)?;
    let config = read_config(&package).await?;
    warnings.extend(compare(&package, &config, &opened)?);
    let placements = plan_config_files(&config, &opened.config);
    let number = |name: &str| {
        let found = package.manifest.metadata.source.get(name);
        found.and_then(|text| text.parse().ok()).unwrap_or(0)
    };
    let python = request.synapse_python.as_deref();
    if synapse_version::demand(python, number("synapse_schema_compat"))?.is_none() {
        warnings.push(format!(
            "no Synapse was found to ask; it must know schema {} (--synapse-python checks it)",
            number("synapse_schema_compat")
        ));
    }
    fence(&opened)?;
    let databases = databases::look(&mut opened).await?;
    databases.iter().try_for_each(Database::demand_fit)?;
    Ok(Checked { package, opened, databases, trust, config, placements, warnings })
}

impl Checked {
    /// The databases and where they are, for messages.
    pub fn database(&self) -> String {
        self.databases.iter().map(Database::words).collect::<Vec<_>>().join(", ")
    }

    /// The plan in words.
    pub fn plan(&self) -> ImportPlan {
        let manifest = &self.package.manifest;
        let file = |placement: &FilePlacement| {
            let path = placement.target.as_ref().map(|path| path.display().to_string());
            (path.unwrap_or_else(|| placement.setting.clone()), format!("{:?}", placement.action))
        };
        let clears = self.databases.iter().any(Database::is_half_filled);
        ImportPlan {
            server_name: manifest.metadata.server_id.clone(),
            package: manifest.package.to_string(),
            trust: self.trust.clone(),
            database: self.database(),
            creates_database: self.databases.iter().any(|database| database.fitness.is_none()),
            clears,
            tables: manifest.tables.iter().filter(|table| table.rows > 0).count() as u64,
            rows: manifest.tables.iter().map(|table| table.rows).sum(),
            media_store: self.opened.media_store.display().to_string(),
            media_parts: manifest.sections.media.len() as u64,
            config_files: self.placements.iter().map(file).collect(),
            warnings: self.warnings.clone(),
            gaps: manifest.gaps.total,
        }
    }
}

impl Contents {
    /// Reads the indexes of the package.
    ///
    /// # Errors
    /// [`Failure`] when one is damaged.
    pub async fn read(package: &Package) -> Result<Self, Failure> {
        let parts = package.part_entries().await?;
        let columns = package.manifest.tables.iter().map(|table| {
            let columns = table.columns.iter().map(|(name, kind)| Column::new(name, kind));
            (table.name.clone(), columns.collect())
        });
        Ok(Self { parts, columns: columns.collect() })
    }

    /// The entries of every part with this name of record, in order.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &EntryPlace> {
        let name = name.to_owned();
        self.parts.values().filter_map(move |names| names.get(&name)).flatten()
    }

    /// The tables that are loaded, with their entries, `except` left out. Records named after no
    /// table of the package are no rows; tables the catalogue wants empty stay so.
    pub fn tables(&self, except: &str) -> BTreeMap<&str, Vec<&EntryPlace>> {
        let mut tables: BTreeMap<&str, Vec<&EntryPlace>> = BTreeMap::new();
        for (name, entries) in self.parts.values().flatten() {
            let is_table = self.columns.contains_key(name) && name != except;
            if is_table && !stays_empty(name) {
                tables.entry(name).or_default().extend(entries);
            }
        }
        tables
    }
}

/// Whether the catalogue says that a table must be empty after a restore.
pub fn stays_empty(table: &str) -> bool {
    let known = Catalogue::known().get(table);
    known.is_some_and(|table| matches!(table.restore, Restore::Empty(_)))
}

fn same_server(package: &Package, opened: &Opened) -> Result<Vec<String>, Failure> {
    let (ours, theirs) = (&package.manifest.metadata.server_id, &opened.config.server_name);
    if ours != theirs {
        return Err(Failure::failed(
            format!("the package is of {ours}, the target is {theirs}"),
            format!("a server's name can never change: set `server_name: {ours}` in the target"),
        ));
    }
    Ok(opened.notes.clone())
}

/// The configuration that the package holds; empty when it holds none.
///
/// # Errors
/// [`Failure`] when an entry is damaged.
pub async fn read_config(package: &Package) -> Result<KeptConfig, Failure> {
    let mut config = KeptConfig::default();
    let parts = package.part_entries().await?;
    let of_config = parts.into_iter().filter(|(part, _)| part.section == Section::Config);
    for (name, entries) in of_config.flat_map(|(_, names)| names) {
        for entry in entries {
            let lines = zeroize::Zeroizing::new(package.content(&entry).await?);
            add_records(&mut config, &name, &lines)
                .map_err(|e| damaged(entry.record.path.as_str()).because(e))?;
        }
    }
    Ok(config)
}

fn compare(
    package: &Package,
    config: &KeptConfig,
    opened: &Opened,
) -> Result<Vec<String>, Failure> {
    if package.manifest.sections.config.is_empty() {
        return match opened.config.signing_keys() {
            Ok(_) => Ok(vec![
                "the package has no configuration; the target's was not compared".to_owned(),
            ]),
            Err(e) => Err(Failure::failed(
                "the package has no configuration and the target no usable signing key",
                "put the old server's signing key where signing_key_path says",
            )
            .because(e)),
        };
    }
    let mut warnings = Vec::new();
    for finding in compare_for_restore(config, &opened.config) {
        match finding.severity {
            Severity::Refuse => {
                let what = format!("{}: {}", finding.setting, finding.found);
                return Err(Failure::failed(what, finding.remedy));
            }
            Severity::Warn => warnings.push(format!("{}: {}", finding.setting, finding.found)),
        }
    }
    Ok(warnings)
}

/// No client may reach Synapse while its database is filled: an answer of 401 makes clients drop
/// their keys.
fn fence(opened: &Opened) -> Result<(), Failure> {
    match answering_port(opened) {
        None => Ok(()),
        Some(port) => Err(Failure::failed(
            format!("a Matrix server answers on port {port}"),
            "for an empty database: stop Synapse (and whatever else uses that port), then run the \
             command again; to put rooms into the server that lives on: --room, or --merge for all",
        )),
    }
}

/// The port of the target's configuration on which a Matrix server answers here, if one does.
pub fn answering_port(opened: &Opened) -> Option<u16> {
    let listeners = opened.config.kept.settings.get("listeners");
    let listeners = listeners.and_then(|listeners| listeners.as_array()).into_iter().flatten();
    let ports = listeners.filter_map(|listener| listener.get("port")?.as_u64());
    let mut ports = ports.filter_map(|port| u16::try_from(port).ok());
    ports.find(|port| ask::answers(*port))
}

/// A failure of the target database.
pub fn database_fault(error: PostgresError) -> Failure {
    let remedy = if error.is_transient() {
        "see that the database is up, then run the same command again"
    } else {
        "see the database's message"
    };
    Failure::failed("cannot use the target database", remedy).because(error)
}
