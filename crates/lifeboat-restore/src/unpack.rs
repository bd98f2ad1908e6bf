//! A backup, or a part of it, as plain files: SQL, `COPY` files, file trees.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use lifeboat_engine::context::Context;
use lifeboat_engine::failure::Failure;
use lifeboat_engine::unpack::{cannot_write, create, make_fresh};
use lifeboat_package::backup::{
    Component, Content, DATABASES, DatabaseRecord, FILES, FileKind, FileRecord, SEGMENTS,
    SegmentRecord, TABLES, TableRecord,
};
use lifeboat_package::selection::Pattern;
use lifeboat_vault::backup::OpenBackup;
use serde::Serialize;

use crate::files::path_of;

/// What to take out. Empty lists mean everything; when only one kind is named, the other is left.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Components.
    pub components: Vec<String>,
    /// Tables, `schema.name`.
    pub tables: Vec<Pattern>,
    /// Files, by their whole path.
    pub files: Vec<Pattern>,
}

/// What was written.
#[derive(Debug, Clone, Default, Serialize)]
pub struct BackupUnpacked {
    /// Package id.
    pub backup: String,
    /// Where it is.
    pub folder: String,
    /// Tables.
    pub tables: u64,
    /// Rows.
    pub rows: u64,
    /// Files.
    pub files: u64,
    /// Links, which are not written: what comes later would be written through them.
    pub links_left: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Wanted {
    fn takes_table(&self, schema: &str, table: &str) -> bool {
        let name = format!("{schema}.{table}");
        let fits = |pattern: &Pattern| pattern.fits(&name) || pattern.fits(table);
        match (self.tables.is_empty(), self.files.is_empty()) {
            (true, true) => true,
            (true, false) => false,
            (false, _) => self.tables.iter().any(fits),
        }
    }

    fn takes_file(&self, path: &str) -> bool {
        match (self.files.is_empty(), self.tables.is_empty()) {
            (true, true) => true,
            (true, false) => false,
            (false, _) => self.files.iter().any(|pattern| pattern.fits(path)),
        }
    }
}

/// Writes what is wanted into a new or empty folder. What is written is not sealed any more.
///
/// # Errors
/// [`Failure`] when the backup is damaged, the folder is not empty, or nothing fits.
pub async fn unpack(
    cx: &Context,
    open: &OpenBackup,
    (wanted, folder): (&Wanted, &Path),
) -> Result<BackupUnpacked, Failure> {
    let fresh = make_fresh(cx, folder)?;
    let mut outcome = BackupUnpacked {
        backup: open.manifest().package.to_string(),
        folder: folder.display().to_string(),
        ..BackupUnpacked::default()
    };
    for component in &open.manifest().components {
        if wanted.components.is_empty() || wanted.components.contains(&component.name) {
            let into = folder.join(&component.name);
            databases(open, component, (wanted, &into), &mut outcome).await?;
            tables(cx, open, component, (wanted, &into), &mut outcome).await?;
            files(cx, open, component, (wanted, &into), &mut outcome).await?;
        }
    }
    if outcome.tables + outcome.files == 0 {
        return Err(Failure::usage(
            "nothing in the backup fits",
            "lifeboat backup show lists the components; patterns are whole paths with * and ?",
        ));
    }
    fresh.keep();
    Ok(outcome)
}

/// Schema, facts and sequences; a whole SQLite database.
async fn databases(
    open: &OpenBackup,
    component: &Component,
    (wanted, into): (&Wanted, &Path),
    outcome: &mut BackupUnpacked,
) -> Result<(), Failure> {
    if wanted.tables.is_empty() && !wanted.files.is_empty() {
        return Ok(());
    }
    for record in open.records::<DatabaseRecord>(component, DATABASES).await? {
        let folder = into.join("databases").join(&record.database);
        let texts = [
            ("pre-data.sql", &record.pre_data),
            ("post-data.sql", &record.post_data),
            ("rights.sql", &record.rights),
        ];
        for (name, content) in texts {
            if let Some(content) = content {
                write(open, &folder.join(name), content, outcome).await?;
            }
        }
        if let Some(content) = record.file.as_ref().filter(|_| wanted.tables.is_empty()) {
            write(open, &folder.join("database.sqlite"), content, outcome).await?;
            outcome.files += 1;
        }
        let about = serde_json::json!({ "facts": record.facts, "sequences": record.sequences });
        plain(&folder.join("database.json"), about.to_string().as_bytes())?;
    }
    Ok(())
}

/// Each table as one file that `COPY … FROM … (FORMAT binary)` takes, for each stretch of rows.
async fn tables(
    cx: &Context,
    open: &OpenBackup,
    component: &Component,
    (wanted, into): (&Wanted, &Path),
    outcome: &mut BackupUnpacked,
) -> Result<(), Failure> {
    let mut folders: BTreeMap<(String, String, String), PathBuf> = BTreeMap::new();
    for table in open.records::<TableRecord>(component, TABLES).await? {
        if !wanted.takes_table(&table.schema, &table.table) {
            continue;
        }
        // A table may have a name that no file can have.
        let number = folders.len() + 1;
        let folder = into.join("databases").join(&table.database).join("tables");
        let folder = folder.join(format!("{number:04}"));
        plain(&folder.join("table.json"), table.shape.to_string().as_bytes())?;
        folders.insert((table.database, table.schema, table.table), folder);
        outcome.tables += 1;
        outcome.rows += table.rows;
    }
    for entry in open.record_entries(component, SEGMENTS) {
        for record in open.package().records::<SegmentRecord>(&entry).await? {
            cx.go_on()?;
            let key = (record.database, record.schema, record.table);
            let Some(folder) = folders.get(&key) else { continue };
            let path = folder.join(format!("{:06}.copy", record.number));
            write(open, &path, &record.content, outcome).await?;
        }
    }
    Ok(())
}

async fn files(
    cx: &Context,
    open: &OpenBackup,
    component: &Component,
    (wanted, into): (&Wanted, &Path),
    outcome: &mut BackupUnpacked,
) -> Result<(), Failure> {
    for entry in open.record_entries(component, FILES) {
        for record in open.package().records::<FileRecord>(&entry).await? {
            let path = path_of(&record);
            if record.kind == FileKind::Folder || !wanted.takes_file(&path.to_string_lossy()) {
                continue;
            }
            if record.kind == FileKind::Link {
                outcome.links_left += 1;
                continue;
            }
            cx.go_on()?;
            let Some(content) = &record.content else { continue };
            let below = into.join("files").join(path.strip_prefix("/").unwrap_or(&path));
            write(open, &below, content, outcome).await?;
            outcome.files += 1;
        }
    }
    Ok(())
}

async fn write(
    open: &OpenBackup,
    path: &Path,
    content: &Content,
    outcome: &mut BackupUnpacked,
) -> Result<(), Failure> {
    let mut file = create(path).map_err(|e| cannot_write(path, e))?;
    for piece in open.pieces(content)? {
        let bytes = piece.read().await?;
        outcome.bytes += bytes.len() as u64;
        file.write_all(&bytes).map_err(|e| cannot_write(path, e))?;
    }
    Ok(())
}

fn plain(path: &Path, text: &[u8]) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).map_err(|e| cannot_write(folder, e))?;
    let mut file = create(path).map_err(|e| cannot_write(path, e))?;
    file.write_all(text).map_err(|e| cannot_write(path, e))
}
