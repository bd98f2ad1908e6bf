//! Part of a package: which of its rooms a selection means, and the records that belong to them.
//!
//! Aliases, spaces, members and names are looked up in the package itself. Parts whose range of
//! room ids cannot hold a chosen room are not read at all.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_components::synapse::archive::{MEDIA_INDEX, SUMMARY};
use lifeboat_components::synapse::pick::{ALIASES, CURRENT_STATE, MEMBERSHIPS, RecordFilter};
use lifeboat_components::synapse::read::summary::RoomSummary;
use lifeboat_package::id::{PartPath, Section};
use lifeboat_package::index::RoomSpan;
use lifeboat_package::manifest::Part;
use lifeboat_package::selection::{MediaScope, RoomPick, Scope, Selection};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{EntryPlace, Package, PartEntries};
use crate::failure::Failure;

/// How deep spaces may lie in each other.
const SPACE_DEPTH: usize = 64;

/// The entries to read for a selection, in the order its filter needs, and the filter.
pub struct Picked {
    /// What takes the records.
    pub filter: RecordFilter,
    /// Part, name and place of each entry, in order.
    pub entries: Vec<(PartPath, String, EntryPlace)>,
}

/// The record entries that a selection can need: all rooms', unless the rooms are named by their
/// ids.
///
/// # Errors
/// [`Failure`] when an index is damaged.
pub async fn entries(package: &Package, selection: &Selection) -> Result<PartEntries, Failure> {
    entries_where(package, selection, |_| true).await
}

/// The lists of the files that a filter took, when it has seen everything else.
///
/// # Errors
/// [`Failure`] when an index is damaged.
pub async fn files(
    package: &Package,
    filter: &RecordFilter,
) -> Result<Vec<(PartPath, String, EntryPlace)>, Failure> {
    let ranges = package.manifest.sections.get(Section::Media).iter();
    let wanted: BTreeSet<PartPath> = ranges
        .filter(|part| part.is_range_of_media() && filter.may_take_files(|key| part.may_list(key)))
        .map(|part| part.part)
        .collect();
    let found = package.part_entries_of(|part| wanted.contains(part)).await?;
    let lists = found.into_iter().flat_map(|(part, mut names)| {
        let places = names.remove(MEDIA_INDEX).unwrap_or_default();
        places.into_iter().map(move |place| (part, MEDIA_INDEX.to_owned(), place))
    });
    Ok(lists.collect())
}

/// As [`entries`], of those parts that `counts` names. Without the parts that list the files of a
/// range of media, [`files`] finds those of them that are needed, when it is known which files are.
///
/// # Errors
/// [`Failure`] when an index is damaged.
pub async fn entries_where(
    package: &Package,
    selection: &Selection,
    counts: impl Fn(&Part) -> bool,
) -> Result<PartEntries, Failure> {
    let ranges: BTreeMap<PartPath, &Part> =
        package.manifest.sections.all().map(|part| (part.part, part)).collect();
    let needs_rooms = |part: &PartPath| match &selection.rooms {
        Scope::All => true,
        Scope::None => false,
        Scope::Only(picks) => {
            let Some(range) = ranges.get(part) else { return true };
            picks.iter().any(|pick| match pick {
                RoomPick::Id(id) => range.may_hold(id),
                _ => true,
            })
        }
    };
    let needs = |part: &PartPath| match part.section {
        Section::Rooms => needs_rooms(part),
        Section::Server | Section::Backup => !selection.is_partial(),
        Section::Config => selection.config,
        Section::Media => !selection.is_partial() || selection.media != MediaScope::None,
        Section::Users => true,
    };
    let is_wanted =
        |part: &PartPath| ranges.get(part).is_none_or(|part| counts(part)) && needs(part);
    package.part_entries_of(is_wanted).await
}

/// Resolves a selection in a package.
///
/// # Errors
/// [`Failure`] when an entry is damaged, or a pick fits no room of the package.
pub async fn pick(
    package: &Package,
    entries: &PartEntries,
    selection: &Selection,
) -> Result<Picked, Failure> {
    let rooms = rooms(package, entries, selection).await?;
    let server = &package.manifest.metadata.server_id;
    let filter = RecordFilter::new(selection.clone(), rooms, server);
    let ranges: BTreeMap<PartPath, (Option<&str>, Option<&str>)> = package
        .manifest
        .sections
        .all()
        .map(|part| (part.part, (part.from.as_deref(), part.to.as_deref())))
        .collect();
    let is_read = |part: &PartPath| match part.section {
        Section::Rooms => {
            let (from, to) = ranges.get(part).copied().unwrap_or_default();
            filter.may_lie_in(from, to)
        }
        Section::Server | Section::Backup => !selection.is_partial(),
        Section::Config => selection.config,
        Section::Users | Section::Media => true,
    };
    let mut wanted: Vec<(PartPath, String, EntryPlace)> = Vec::new();
    for (part, names) in entries.iter().filter(|(part, _)| is_read(part)) {
        for (name, places) in names.iter().filter(|(name, _)| filter.may_take(part.section, name)) {
            let places = places.iter().filter(|place| {
                place.record.rooms.as_ref().is_none_or(|span| filter.may_hold(span))
            });
            wanted.extend(places.map(|place| (*part, name.clone(), place.clone())));
        }
    }
    wanted.sort_by_key(|(part, name, _)| (RecordFilter::rank(part.section, name), part.section));
    Ok(Picked { filter, entries: wanted })
}

/// The rooms that a selection means; none where it means all.
///
/// # Errors
/// [`Failure`] when an entry is damaged, or a pick fits no room of the package.
pub async fn rooms(
    package: &Package,
    entries: &PartEntries,
    selection: &Selection,
) -> Result<Option<BTreeSet<String>>, Failure> {
    let picks = match &selection.rooms {
        Scope::All => return Ok(None),
        Scope::None => return Ok(Some(BTreeSet::new())),
        Scope::Only(picks) => picks,
    };
    let mut rooms = BTreeSet::new();
    for pick in picks {
        let found = rooms_of(package, entries, pick).await?;
        if found.is_empty() {
            return Err(Failure::usage(
                format!("{pick} fits no room of the package"),
                "lifeboat inspect --rooms lists its rooms",
            ));
        }
        rooms.extend(found);
    }
    Ok(Some(rooms))
}

async fn rooms_of(
    package: &Package,
    entries: &PartEntries,
    pick: &RoomPick,
) -> Result<BTreeSet<String>, Failure> {
    match pick {
        RoomPick::Id(id) => among(package, entries, &BTreeSet::from([id.clone()])).await,
        RoomPick::Alias(alias) => of_alias(package, entries, alias).await,
        RoomPick::Of(user) => {
            let mut rooms = BTreeSet::new();
            each(package, entries, &MEMBERSHIPS, |row: Member| {
                if row.user_id == *user {
                    rooms.insert(row.room_id);
                }
            })
            .await?;
            among(package, entries, &rooms).await
        }
        RoomPick::Space(space) => of_space(package, entries, space).await,
        RoomPick::Name(pattern) => {
            let fits = |room: &RoomSummary| room.name.as_ref().is_some_and(|n| pattern.fits(n));
            summaries(package, entries, fits).await
        }
    }
}

/// Those of `rooms` that the package holds.
async fn among(
    package: &Package,
    entries: &PartEntries,
    rooms: &BTreeSet<String>,
) -> Result<BTreeSet<String>, Failure> {
    let mut found = BTreeSet::new();
    let of_rooms = entries.iter().filter(|(part, _)| part.section == Section::Rooms);
    for place in of_rooms.filter_map(|(_, names)| names.get(SUMMARY)).flatten() {
        let may_hold = |span: &RoomSpan| rooms.iter().any(|room| span.may_hold(room));
        if !place.record.rooms.as_ref().is_none_or(may_hold) {
            continue;
        }
        let held: Vec<RoomSummary> = package.records(place).await?;
        found.extend(held.into_iter().map(|room| room.room_id).filter(|id| rooms.contains(id)));
    }
    Ok(found)
}

async fn summaries(
    package: &Package,
    entries: &PartEntries,
    fits: impl Fn(&RoomSummary) -> bool,
) -> Result<BTreeSet<String>, Failure> {
    let mut rooms = BTreeSet::new();
    each(package, entries, &[SUMMARY], |room: RoomSummary| {
        if fits(&room) {
            rooms.insert(room.room_id);
        }
    })
    .await?;
    Ok(rooms)
}

async fn of_alias(
    package: &Package,
    entries: &PartEntries,
    alias: &str,
) -> Result<BTreeSet<String>, Failure> {
    let mut rooms =
        summaries(package, entries, |room| room.canonical_alias.as_deref() == Some(alias)).await?;
    each(package, entries, &[ALIASES], |row: Alias| {
        if row.room_alias == alias {
            rooms.insert(row.room_id);
        }
    })
    .await?;
    among(package, entries, &rooms).await
}

/// A space and the rooms of the package that lie in it. An `m.space.child` without `via` takes a
/// child out again.
async fn of_space(
    package: &Package,
    entries: &PartEntries,
    space: &str,
) -> Result<BTreeSet<String>, Failure> {
    let mut found = if space.starts_with('#') {
        of_alias(package, entries, space).await?
    } else {
        among(package, entries, &BTreeSet::from([space.to_owned()])).await?
    };
    let mut children: BTreeMap<String, (String, String)> = BTreeMap::new();
    each(package, entries, &[CURRENT_STATE], |row: Current| {
        if row.kind == "m.space.child" {
            children.insert(row.event_id, (row.room_id, row.state_key));
        }
    })
    .await?;
    let mut lies_in: BTreeMap<String, Vec<String>> = BTreeMap::new();
    if !children.is_empty() {
        each(package, entries, &["events"], |event: Child| {
            let is_child = event.pdu.is_some_and(|pdu| !pdu.content.via.is_empty());
            if let (true, Some((space, room))) = (is_child, children.remove(&event.event_id)) {
                lies_in.entry(space).or_default().push(room);
            }
        })
        .await?;
    }
    let mut newest: Vec<String> = found.iter().cloned().collect();
    for _ in 0..SPACE_DEPTH {
        let rooms: BTreeSet<String> =
            newest.iter().filter_map(|space| lies_in.get(space)).flatten().cloned().collect();
        let rooms = among(package, entries, &rooms).await?;
        newest = rooms.into_iter().filter(|room| found.insert(room.clone())).collect();
        if newest.is_empty() {
            break;
        }
    }
    Ok(found)
}

/// Calls `with` for each record of these names that has the members asked for.
async fn each<T: DeserializeOwned>(
    package: &Package,
    entries: &PartEntries,
    names: &[&str],
    mut with: impl FnMut(T),
) -> Result<(), Failure> {
    let of_rooms = entries.iter().filter(|(part, _)| part.section == Section::Rooms);
    for place in
        of_rooms.flat_map(|(_, found)| names.iter().filter_map(|n| found.get(*n))).flatten()
    {
        package.records(place).await?.into_iter().for_each(&mut with);
    }
    Ok(())
}

#[derive(Deserialize)]
struct Member {
    room_id: String,
    user_id: String,
}

#[derive(Deserialize)]
struct Alias {
    room_id: String,
    room_alias: String,
}

#[derive(Deserialize)]
struct Current {
    event_id: String,
    room_id: String,
    #[serde(rename = "type")]
    kind: String,
    state_key: String,
}

/// An event record, of which only the content of a child is of interest.
#[derive(Deserialize)]
struct Child {
    event_id: String,
    #[serde(default, deserialize_with = "lenient")]
    pdu: Option<Pdu>,
}

#[derive(Deserialize)]
struct Pdu {
    content: ChildContent,
}

#[derive(Deserialize)]
struct ChildContent {
    #[serde(default)]
    via: Vec<String>,
}

/// What is no child says nothing.
fn lenient<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Pdu>, D::Error> {
    let value = serde_json::Value::deserialize(from)?;
    Ok(serde_json::from_value(value).ok())
}
