//! `lifeboat components`: what is known of each kind of component.

use lifeboat_engine::failure::Failure;
use lifeboat_suite::Kind;
use lifeboat_suite::catalogue::{self, Row};

use super::installation::InstallationFlags;
use super::{Ended, Exit, Session};

/// Columns of a text terminal.
const COLUMNS: usize = 80;

/// Show what a suite consists of: what is critical, what goes together, what comes back first
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lifeboat components                      all kinds, in the order of a restore
  lifeboat components mas                  one kind: stores, secrets, what to do after a leak
  lifeboat components --installed          only what lifeboat.yaml names")]
pub(crate) struct ComponentsFlags {
    /// One kind or bridge
    #[arg(value_parser = Kind::ALL.map(Kind::label))]
    kind: Option<String>,
    /// Only what the installation has
    #[arg(long)]
    installed: bool,
    #[command(flatten)]
    installation: InstallationFlags,
}

pub(crate) fn run(session: &Session, flags: &ComponentsFlags) -> Result<Ended, Failure> {
    let mut rows: Vec<&Row> = catalogue::rows().iter().collect();
    rows.sort_by_key(|row| row.order);
    if let Some(kind) = &flags.kind {
        rows.retain(|row| row.kind.label() == kind);
    }
    if flags.installed {
        let installation = flags.installation.read(session)?;
        rows.retain(|row| installation.of_kind(row.kind).next().is_some());
    }
    let lines = match (&rows[..], &flags.kind) {
        ([row], Some(_)) => details(row),
        _ => table(&rows),
    };
    Ok(Ended::new("components", &rows, lines, Exit::Done))
}

fn table(rows: &[&Row]) -> Vec<String> {
    let line = |cells: [&str; 5]| {
        let [order, kind, class, group, leak] = cells;
        format!("{order:<6}{kind:<14}{class:<10}{group:<15}{leak}")
    };
    let head = line(["order", "kind", "class", "of one moment", "if leaked"]);
    let row = |row: &&Row| {
        let order = row.order.to_string();
        let (class, group) = (row.class().word(), row.group.word());
        line([&order, row.kind.label(), class, group, row.sensitivity.word()])
    };
    std::iter::once(head).chain(rows.iter().map(row)).collect()
}

fn details(row: &Row) -> Vec<String> {
    let mut lines = vec![
        row.title.to_owned(),
        format!("restore: place {}, databases cut {}", row.order, row.group.word()),
        format!("if leaked: {}", row.sensitivity.word()),
    ];
    for store in row.stores {
        lines.push(String::new());
        wrapped(store.what, &format!("({})", store.class.word()), &mut lines);
        wrapped("  lost without it:", store.lost, &mut lines);
        wrapped("  who has it, has:", store.attacker, &mut lines);
    }
    for (title, items) in [
        ("useless without:", row.needs),
        ("after a leak:", row.revoke),
        ("after a restore:", row.after_restore),
    ] {
        lines.push(String::new());
        lines.push(title.to_owned());
        for item in items {
            wrapped("  *", item, &mut lines);
        }
    }
    lines
}

/// A beginning and a text after it, in lines of at most 80 columns; further ones are indented.
fn wrapped(beginning: &str, text: &str, lines: &mut Vec<String>) {
    let mut line = beginning.to_owned();
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > COLUMNS {
            lines.push(std::mem::replace(&mut line, "   ".to_owned()));
        }
        line.push(' ');
        line.push_str(word);
    }
    lines.push(line);
}

#[cfg(test)]
mod tests;
