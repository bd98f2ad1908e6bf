//! The text of the catalogue becomes tables. Pure; only the built-in files are ever read.

use lifeboat_package::id::Section;
use thiserror::Error;

use super::{Catalogue, Class, Column, Export, Import, Path, Restore, Sensitivity, Table};

/// The catalogue's text does not follow its form.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("catalogue {file}, table {table}: {detail}")]
pub struct CatalogueError {
    /// File name.
    pub file: &'static str,
    /// The paragraph, by its table.
    pub table: String,
    /// What is wrong.
    pub detail: String,
}

impl Catalogue {
    /// Reads the catalogue from files, each given as name and text.
    ///
    /// # Errors
    /// When a paragraph lacks an entry, has an unknown one, or a table comes twice.
    pub fn parse(files: &[(&'static str, &'static str)]) -> Result<Self, CatalogueError> {
        let mut catalogue = Self { tables: Vec::new(), by_name: std::collections::BTreeMap::new() };
        for &(file, text) in files {
            for paragraph in paragraphs(text) {
                let table = table(paragraph).map_err(|detail| {
                    let name = paragraph.lines().next().unwrap_or_default();
                    let name = name.trim_start_matches("table").trim().to_owned();
                    CatalogueError { file, table: name, detail }
                })?;
                let at = catalogue.tables.len();
                if catalogue.by_name.insert(table.name, at).is_some() {
                    let detail = "listed a second time".to_owned();
                    return Err(CatalogueError { file, table: table.name.to_owned(), detail });
                }
                catalogue.tables.push(table);
            }
        }
        Ok(catalogue)
    }
}

fn paragraphs(text: &'static str) -> impl Iterator<Item = &'static str> {
    let is_comment = |paragraph: &&str| paragraph.lines().all(|line| line.starts_with('#'));
    text.split("\n\n").map(str::trim_end).filter(move |paragraph| !is_comment(paragraph))
}

fn table(paragraph: &'static str) -> Result<Table, String> {
    let mut entries = Entries::of(paragraph);
    let (path, by_room, strays) = path(entries.take("path")?)?;
    let (import, import_note) = import(entries.take("import")?)?;
    let table = Table {
        name: entries.take("table")?,
        class: class(entries.take("class")?)?,
        section: section(entries.take("section")?)?,
        path,
        by_room,
        strays,
        sometimes: entries.take_optional("sometimes"),
        export: match entries.take_optional("export") {
            None => Export::Rows,
            Some(value) => Export::Skip(reason(value, "skip")?),
        },
        restore: match entries.take_optional("restore") {
            None => Restore::Keep,
            Some(value) => Restore::Empty(reason(value, "empty")?),
        },
        import,
        import_note,
        columns: columns(entries.take("columns")?)?,
    };
    entries.finish()?;
    if let Import::Remap(remapped) = &table.import
        && let Some(unknown) = remapped.iter().find(|name| table.column(name).is_none())
    {
        return Err(format!("remaps {unknown}, which is not a column"));
    }
    if let Some(column) = table.path.column().filter(|name| table.column(name).is_none()) {
        return Err(format!("its path begins at {column}, which is not a column"));
    }
    Ok(table)
}

/// The entries of one paragraph that were not taken yet.
struct Entries(Vec<(&'static str, &'static str)>);

impl Entries {
    /// An entry is a line with the lines after it that begin with a space.
    fn of(paragraph: &'static str) -> Self {
        let mut entries = Vec::new();
        let mut rest = paragraph;
        while !rest.is_empty() {
            let mut end = rest.find('\n').unwrap_or(rest.len());
            while rest[end..].starts_with("\n ") {
                end += 1;
                end += rest[end..].find('\n').unwrap_or(rest.len() - end);
            }
            let entry = &rest[..end];
            entries.push(entry.split_once(' ').unwrap_or((entry, "")));
            rest = rest[end..].trim_start_matches('\n');
        }
        Self(entries)
    }

    fn take_optional(&mut self, key: &str) -> Option<&'static str> {
        let at = self.0.iter().position(|(name, _)| *name == key)?;
        Some(self.0.swap_remove(at).1.trim())
    }

    fn take(&mut self, key: &str) -> Result<&'static str, String> {
        self.take_optional(key).ok_or_else(|| format!("has no entry {key}"))
    }

    fn finish(self) -> Result<(), String> {
        self.0.first().map_or(Ok(()), |(key, _)| Err(format!("unknown or second entry {key}")))
    }
}

fn class(word: &str) -> Result<Class, String> {
    Ok(match word {
        "Room" => Class::Room,
        "RoomUser" => Class::RoomUser,
        "Derived" => Class::Derived,
        "User" => Class::User,
        "Key" => Class::Key,
        "Media" => Class::Media,
        "Server" => Class::Server,
        "Federation" => Class::Federation,
        "Transient" => Class::Transient,
        "Bookkeeping" => Class::Bookkeeping,
        _ => return Err(format!("unknown class {word}")),
    })
}

fn section(word: &str) -> Result<Section, String> {
    [Section::Rooms, Section::Users, Section::Media, Section::Server]
        .into_iter()
        .find(|section| section.as_str() == word)
        .ok_or_else(|| format!("unknown section {word}"))
}

/// `room`, `user COLUMN`, …, then `by-room`, then `strays`.
fn path(value: &'static str) -> Result<(Path, bool, bool), String> {
    let mut words = value.split(", ");
    let path = match words.next().unwrap_or_default() {
        "room" => Path::RoomId,
        "event" => Path::Event,
        "state-group" => Path::StateGroup,
        "chain" => Path::Chain,
        "alias" => Path::Alias,
        "media" => Path::Media,
        "whole" => Path::Whole,
        other => match other.strip_prefix("user ") {
            Some(column) => Path::User(column),
            None => return Err(format!("unknown path {other}")),
        },
    };
    match (words.next(), words.next(), words.next()) {
        (None, None, None) => Ok((path, false, false)),
        (Some("by-room"), None, None) => Ok((path, true, false)),
        (Some("by-room"), Some("strays"), None) => Ok((path, true, true)),
        _ => Err(format!("cannot read path {value}")),
    }
}

fn import(value: &'static str) -> Result<(Import, &'static str), String> {
    let (action, note) = value.split_once(": ").unwrap_or((value, ""));
    let import = match action {
        "copy" => Import::Copy,
        "skip" => Import::Skip,
        "derive" => Import::Derive,
        _ => match action.strip_prefix("remap ") {
            Some(columns) => Import::Remap(columns.split(", ").collect()),
            None => return Err(format!("unknown import {action}")),
        },
    };
    let needs_reason = matches!(import, Import::Skip | Import::Derive);
    if needs_reason && note.is_empty() {
        return Err(format!("gives no reason for import {action}"));
    }
    Ok((import, note))
}

fn reason(value: &'static str, word: &str) -> Result<&'static str, String> {
    let reason = value.strip_prefix(word).and_then(|rest| rest.strip_prefix(": "));
    reason
        .filter(|reason| !reason.is_empty())
        .ok_or_else(|| format!("wants \"{word}: reason\", not \"{value}\""))
}

fn columns(value: &'static str) -> Result<Vec<Column>, String> {
    value.split(',').map(|column| self::column(column.trim())).collect()
}

fn column(text: &'static str) -> Result<Column, String> {
    let (name, rest) =
        text.split_once(' ').ok_or_else(|| format!("column {text:?} has no type"))?;
    let (type_name, sensitivity) = match rest.rsplit_once(' ') {
        Some((type_name, "personal")) => (type_name, Sensitivity::Personal),
        Some((type_name, "secret")) => (type_name, Sensitivity::Secret),
        _ => (rest, Sensitivity::Plain),
    };
    Ok(Column { name, type_name, sensitivity })
}
