//! The reference page `docs/src/reference/synapse-tables.md`, made from the catalogue.

use std::fmt::Write as _;

use super::{Catalogue, Class, Export, Import, Path, Restore, Sensitivity, Table};

const HEAD: &str = "\
# Synapse tables

<!-- Made from the table catalogue. To renew it, run the tests of
     lifeboat-components with LIFEBOAT_BLESS=1. -->

What an export takes of each table of a Synapse database, what a full restore
puts back, and what an import into another database does with it.

* An export of everything takes every row of every table but those listed
  under *Never exported*. A table or column that this page does not know is
  exported whole and reported as a gap.
* A partial export takes the rows that can be reached from the chosen rooms and
  users by the path given here.
* A full restore puts back what was exported, but for the tables under
  *Left empty by a restore*.
* An import copies rows, gives some columns fresh values from the target's own
  counters (*remap*), lets rows be made from others (*derive*), or leaves the
  table alone (*skip*).
";

/// The reference page as Markdown.
pub fn reference_markdown() -> String {
    let catalogue = Catalogue::known();
    let mut page = HEAD.to_owned();
    page.push_str("\n## Never exported\n\n");
    for table in catalogue.tables() {
        if let Export::Skip(reason) = table.export {
            bullet(&mut page, table.name, reason);
        }
    }
    page.push_str("\n## Left empty by a restore\n\n");
    for table in catalogue.tables() {
        if let Restore::Empty(reason) = table.restore {
            bullet(&mut page, table.name, reason);
        }
    }
    page.push_str("\n## Not always there\n\n");
    for table in catalogue.tables() {
        if let Some(when) = table.sometimes {
            bullet(&mut page, table.name, when);
        }
    }
    secrets(&mut page, catalogue);
    for (class, title, about) in CLASSES {
        classed(&mut page, catalogue, class, (title, about));
    }
    page
}

const CLASSES: [(Class, &str, &str); 10] = [
    (Class::Room, "Rooms", "Parts of a room."),
    (Class::RoomUser, "Users in rooms", "What a user did or keeps in a room."),
    (Class::Derived, "Derived", "Synapse could compute these anew from other tables."),
    (Class::User, "Users", "Parts of an account."),
    (Class::Key, "Keys", "Public keys and encrypted key backups of users."),
    (Class::Media, "Media", "The media store as the database lists it."),
    (Class::Server, "Server", "Belongs to the server as a whole."),
    (Class::Federation, "Federation", "Traffic with other servers, and what is known of them."),
    (Class::Transient, "Transient", "Short-lived: change streams, queues, sessions, locks."),
    (Class::Bookkeeping, "Bookkeeping", "Synapse's own positions and schema versions."),
];

fn secrets(page: &mut String, catalogue: &Catalogue) {
    page.push_str("\n## Columns that hold secrets\n\n");
    page.push_str("Whoever reads them can act as someone else.\n\n");
    for table in catalogue.tables() {
        let secret = table.columns.iter().filter(|c| c.sensitivity == Sensitivity::Secret);
        let names: Vec<String> = secret.map(|column| format!("`{}`", column.name)).collect();
        if !names.is_empty() {
            bullet(page, table.name, &names.join(", "));
        }
    }
}

fn classed(page: &mut String, catalogue: &Catalogue, class: Class, (title, about): (&str, &str)) {
    line(page, format_args!("\n## {title}\n\n{about}\n"));
    line(page, format_args!("| table | section | by | import |"));
    line(page, format_args!("| --- | --- | --- | --- |"));
    let tables: Vec<&Table> = catalogue.tables().filter(|table| table.class == class).collect();
    for table in &tables {
        let (section, by) = (table.section.as_str(), reached(table.path));
        line(page, format_args!("| `{}` | {section} | {by} | {} |", table.name, import(table)));
    }
    let noted: Vec<&&Table> = tables.iter().filter(|t| !t.import_note.is_empty()).collect();
    if !noted.is_empty() {
        line(page, format_args!("\nAt import:\n"));
    }
    for table in noted {
        bullet(page, table.name, &import_note(table));
    }
}

fn import(table: &Table) -> &'static str {
    match table.import {
        Import::Copy => "copy",
        Import::Remap(_) => "remap",
        Import::Skip => "skip",
        Import::Derive => "derive",
    }
}

fn import_note(table: &Table) -> String {
    match &table.import {
        Import::Remap(columns) => {
            let columns: Vec<String> = columns.iter().map(|name| format!("`{name}`")).collect();
            format!("{}: {}", columns.join(", "), table.import_note)
        }
        Import::Copy | Import::Skip | Import::Derive => table.import_note.to_owned(),
    }
}

fn reached(path: Path) -> &'static str {
    match path {
        Path::RoomId => "room",
        Path::Event => "event",
        Path::StateGroup => "state group",
        Path::Chain => "chain",
        Path::Alias => "alias",
        Path::Media => "media",
        Path::User(_) => "user",
        Path::Whole => "–",
    }
}

/// A list item `name: text`, wrapped at 80 columns.
fn bullet(page: &mut String, name: &str, text: &str) {
    let start = format!("* `{name}`:");
    let mut width = start.chars().count();
    page.push_str(&start);
    for word in text.split(' ') {
        let length = word.chars().count();
        if width + 1 + length > 80 {
            page.push_str("\n ");
            width = 1;
        }
        page.push(' ');
        page.push_str(word);
        width += 1 + length;
    }
    page.push('\n');
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(page, "{text}").expect("writing to a string cannot fail");
}
