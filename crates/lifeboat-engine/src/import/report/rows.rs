//! Rows of every table, and what every room has.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_components::synapse::check::Findings;
use lifeboat_components::synapse::check::rooms::PackagedRooms;
use lifeboat_components::synapse::check::tables::{self, Expected, Meaning};
use lifeboat_components::synapse::layout::{self, Holds};
use lifeboat_components::synapse::read::media::MEDIA_MISSING;
use lifeboat_package::id::Section;
use lifeboat_package::manifest::Table;
use lifeboat_package::selection::MediaScope;

use super::Check;
use super::lanes::{self, Lane};
use super::subject::{Subject, sees};
use crate::context::{Context, Unit};
use crate::failure::Failure;
use crate::import::check::database_fault;
use crate::reader::{EntryPlace, damaged};

/// Counts the rows of each table.
///
/// # Errors
/// [`Failure`] when the database refuses or is lost.
pub(super) async fn tables(cx: &Context, subject: &Subject) -> Result<Check, Failure> {
    let manifest = &subject.package.manifest;
    let session = subject.session().await?;
    let names = tables::names(&session).await.map_err(database_fault)?;
    let mut present: BTreeSet<String> = names.into_iter().collect();
    if let Some(state) = subject.state_session().await? {
        // What the main database kept of the state store is not what Synapse reads.
        present.retain(|table| Holds::AllButState.table(table));
        let names = tables::names(&state).await.map_err(database_fault)?;
        present.extend(names.into_iter().filter(|table| Holds::StateStore.table(table)));
    }
    let (mut there, missing): (Vec<_>, Vec<_>) =
        manifest.tables.iter().partition(|table| present.contains(&table.name));
    // The largest first, so that no lane is left with one at the end.
    there.sort_by_key(|table| std::cmp::Reverse(table.rows));
    cx.stage("check tables", there.len() as u64, Unit::Items);
    let lacks_remote_media = manifest.selection.media != MediaScope::All
        || manifest.gaps.kinds.contains_key(MEDIA_MISSING);
    let work = async |lane: &Lane, table: &Table| {
        let session = sees(&lane.main, lane.state.as_ref(), &table.name);
        let mut found = tables::count(session, &table.name).await.map_err(database_fault)?;
        if let Some(state) = lane.state.as_ref().filter(|_| layout::is_shared_out(&table.name)) {
            found += tables::count(state, &table.name).await.map_err(database_fault)?;
        }
        let mut findings = Findings { checked: 1, ..Findings::default() };
        let expected = Expected {
            table: &table.name,
            rows: table.rows,
            run: subject.run,
            lacks_remote_media,
            torn: manifest.cuts.len() > 1,
        };
        match tables::judge(expected, found) {
            Meaning::Equal => {}
            Meaning::Explained(why) => findings.note(format!("{}: {why}", table.name)),
            Meaning::Wrong(what) => findings.problem(&table.name, what),
        }
        cx.advance(1);
        Ok(findings)
    };
    let mut findings = lanes::for_each(subject, there, work).await?;
    for table in missing {
        findings.checked += 1;
        findings.problem(&table.name, "the target lacks this table");
    }
    let unknown = |name: &&String| manifest.tables.iter().all(|table| table.name != **name);
    for name in present.iter().filter(unknown) {
        findings.note(format!("{name}: the package does not have this table"));
    }
    let rows: u64 = manifest.tables.iter().map(|table| table.rows).sum();
    let summary = format!("{} tables; {rows} rows in the package", findings.checked);
    Ok(Check::made("tables", summary, findings))
}

/// Compares events, members and state of each room.
///
/// # Errors
/// [`Failure`] when an entry is damaged, or the database refuses or is lost.
pub(super) async fn rooms(cx: &Context, subject: &Subject) -> Result<Check, Failure> {
    let parts = subject.contents.parts.iter();
    let parts: Vec<_> = parts.filter(|(part, _)| part.section == Section::Rooms).collect();
    if parts.is_empty() {
        return Ok(Check::not_checked("rooms", "the package holds no rooms"));
    }
    cx.stage("check rooms", parts.len() as u64, Unit::Items);
    let work = async |lane: &Lane, (_, names): (_, &BTreeMap<_, _>)| {
        let mut rooms = PackagedRooms::default();
        for entry in entries(names, PackagedRooms::SUMMARY) {
            read(subject, entry, |line| rooms.add_summary(line)).await?;
        }
        for entry in entries(names, PackagedRooms::STATE) {
            read(subject, entry, |line| rooms.add_state(line)).await?;
        }
        let found = rooms.compare(&lane.main, subject.run).await.map_err(database_fault)?;
        cx.advance(1);
        Ok(found)
    };
    let findings = lanes::for_each(subject, parts, work).await?;
    let summary = format!("events, members and state of {} rooms", findings.checked);
    Ok(Check::made("rooms", summary, findings))
}

fn entries<'a>(
    names: &'a BTreeMap<String, Vec<EntryPlace>>,
    name: &str,
) -> impl Iterator<Item = &'a EntryPlace> {
    names.get(name).into_iter().flatten()
}

/// Hands the lines of an entry over, one by one.
pub(super) async fn read(
    subject: &Subject,
    entry: &EntryPlace,
    mut take: impl FnMut(&[u8]) -> Result<(), serde_json::Error>,
) -> Result<(), Failure> {
    let lines = subject.package.content(entry).await?;
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        take(line).map_err(|e| damaged(entry.record.path.as_str()).because(e))?;
    }
    Ok(())
}
