//! Carrying a plan out: accounts, media, rooms; each batch whole or not at all.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lifeboat_components::postgres::members::Members;
use lifeboat_components::synapse::merge::about::SUMMARY;
use lifeboat_components::synapse::merge::journal::{self, Kind};
use lifeboat_components::synapse::merge::rooms::{Missing, RoomBatch, RoomsAdded};
use lifeboat_components::synapse::merge::stage::{self, Stage};
use lifeboat_components::synapse::merge::undo::{RoomNote, UserNote};
use lifeboat_components::synapse::merge::{
    MergeError, history, insert, media, rooms, slice, users,
};
use lifeboat_components::synapse::schema::SequenceState;
use lifeboat_components::synapse::write::target;
use lifeboat_package::id::{PartPath, Section};
use lifeboat_rules::conflict::{Action, State};
use lifeboat_rules::plan::{MissingMembers, Plan};

use super::look::Looked;
use super::{MergeOutcome, MergeRequest, RoomDone, files, given};
use crate::context::{Context, Unit};
use crate::failure::Failure;
use crate::import::check::database_fault;
use crate::import::place::Placer;
use crate::reader::EntryPlace;

/// Everything a batch needs.
pub(super) struct Run<'a> {
    cx: &'a Context,
    request: &'a MergeRequest,
    pub(super) looked: &'a Looked,
    pub(super) stage: Stage,
    /// The import's, in the journal.
    pub(super) id: String,
}

/// Carries the plan out.
///
/// # Errors
/// [`Failure`] when an entry is damaged, a row does not fit or the database refuses; finished
/// batches stay.
pub(super) async fn apply(
    cx: &Context,
    request: &MergeRequest,
    looked: &Looked,
) -> Result<MergeOutcome, Failure> {
    let mut outcome = looked.begin();
    outcome.dry_run = request.dry_run;
    if !request.selection.is_partial() {
        outcome.gaps = looked.package.manifest.gaps.total;
    }
    left_out(&looked.plan, &mut outcome);
    let package = looked.package.manifest.package.to_string();
    if looked.plan.is_done() {
        let open = journal::open(&looked.session, &package).await.map_err(database_fault)?;
        if let (Some(id), false) = (&open, request.dry_run) {
            journal::finish(&looked.session, id).await.map_err(database_fault)?;
        }
        outcome.next.push(nothing_done(&outcome, "nothing was to be done"));
        return Ok(outcome);
    }
    let run = begin(cx, request, looked, &package, &mut outcome).await?;
    run.users(&mut outcome).await?;
    run.media(&mut outcome).await?;
    cx.stage("rooms", looked.of_parts.len() as u64, Unit::Items);
    for (part, rooms) in &looked.of_parts {
        run.part(part, rooms, &mut outcome).await?;
        cx.advance(1);
    }
    run.belongings(&mut outcome).await?;
    run.aliases(&mut outcome).await?;
    run.finish(&mut outcome).await?;
    Ok(outcome)
}

/// Says what is skipped though it is not there.
fn left_out(plan: &Plan, outcome: &mut MergeOutcome) {
    let kinds = [
        ("room", &plan.rooms),
        ("account", &plan.users),
        ("alias", &plan.aliases),
        ("media", &plan.media),
    ];
    for (kind, lines) in kinds {
        let skipped = lines.iter().filter(|line| {
            let is_lacking = match line.state {
                State::Equal => false,
                // Where it could be added, somebody decided that it is not to be.
                State::Absent => !line.allowed.contains(&Action::Add),
                _ => true,
            };
            line.action == Action::Skip && is_lacking
        });
        for line in skipped {
            outcome.gaps += 1;
            outcome.warnings.push(format!("{kind} {} was skipped: {}", line.id, line.reason));
        }
    }
}

async fn begin<'a>(
    cx: &'a Context,
    request: &'a MergeRequest,
    looked: &'a Looked,
    package: &str,
    outcome: &mut MergeOutcome,
) -> Result<Run<'a>, Failure> {
    let session = &looked.session;
    let stage = Stage::prepare(session, &looked.columns).await.map_err(refused)?;
    insert::prepare(session).await.map_err(refused)?;
    outcome.warnings.extend(stage.notes.iter().cloned());
    let mut run = Run {
        cx,
        request,
        looked,
        stage,
        id: format!("{:012x}", u64::from_be_bytes(cx.random()) >> 16),
    };
    if request.dry_run {
        target::begin(session).await.map_err(database_fault)?;
    } else {
        let saved = saved_sequences(looked).await?;
        let raised = rooms::raise_sequences(session, &saved, request.import.margin).await;
        raised.map_err(refused)?.into_iter().for_each(|line| cx.note(line));
    }
    run.id = journal::begin(session, package, &run.id).await.map_err(database_fault)?;
    Ok(run)
}

async fn saved_sequences(looked: &Looked) -> Result<Vec<SequenceState>, Failure> {
    let mut saved = Vec::new();
    for (name, entry) in looked.of_section(Section::Server) {
        if name != "sequences" {
            continue;
        }
        saved.extend(looked.package.records::<SequenceState>(&entry).await?);
    }
    Ok(saved)
}

impl Run<'_> {
    /// Begins a batch. A dry run is one transaction from its beginning to its end.
    pub(super) async fn begin(&self) -> Result<(), Failure> {
        if self.request.dry_run {
            Ok(())
        } else {
            target::begin(&self.looked.session).await.map_err(database_fault)
        }
    }

    pub(super) async fn commit(&self) -> Result<(), Failure> {
        if self.request.dry_run {
            Ok(())
        } else {
            target::commit(&self.looked.session).await.map_err(database_fault)
        }
    }

    pub(super) async fn load(
        &self,
        (name, entry): (&str, &EntryPlace),
        keep: stage::Wanted<'_>,
    ) -> Result<(), Failure> {
        let lines = self.looked.package.content(entry).await?;
        let loaded = self.stage.load(&self.looked.session, (name, &lines), keep).await;
        loaded.map(drop).map_err(refused)
    }

    async fn users(&self, outcome: &mut MergeOutcome) -> Result<(), Failure> {
        let session = &self.looked.session;
        let chosen = Plan::ids(&self.looked.plan.users, Action::Add);
        if chosen.is_empty() {
            return Ok(());
        }
        self.cx.stage("accounts", chosen.len() as u64, Unit::Items);
        let wanted: BTreeSet<String> = chosen.iter().cloned().collect();
        self.begin().await?;
        self.stage.clear(session).await.map_err(refused)?;
        for (name, entry) in self.looked.of_section(Section::Users) {
            if self.stage.takes(&name) {
                let of_chosen = |row: &Members<'_>| {
                    users::owner(&name, row).is_some_and(|owner| wanted.contains(&owner))
                };
                self.load((&name, &entry), &of_chosen).await?;
            }
        }
        self.stage.analyze(session).await.map_err(refused)?;
        let added = users::add(session, &self.stage, &chosen, &mut outcome.warnings).await;
        count(&mut outcome.rows, added.map_err(refused)?);
        for user in &chosen {
            let devices = users::devices(session, user).await.map_err(refused)?;
            let note = UserNote { devices };
            journal::note(session, &self.id, (Kind::User, user), &note).await.map_err(refused)?;
        }
        self.commit().await?;
        self.cx.advance(chosen.len() as u64);
        outcome.users = chosen;
        Ok(())
    }

    /// Files first: a file without a row is harmless, a row without its file is not.
    async fn media(&self, outcome: &mut MergeOutcome) -> Result<(), Failure> {
        let session = &self.looked.session;
        let chosen = Plan::ids(&self.looked.plan.media, Action::Add);
        let replaced = Plan::ids(&self.looked.plan.media, Action::Replace);
        let both = [chosen.as_slice(), replaced.as_slice()].concat();
        if both.is_empty() {
            return Ok(());
        }
        let written = self.files(&both, outcome).await?;
        let wanted: BTreeSet<String> = both.into_iter().collect();
        self.begin().await?;
        self.stage.clear(session).await.map_err(refused)?;
        for (name, entry) in self.looked.of_section(Section::Media) {
            if name == media::FILES || name == media::THUMBNAILS {
                let of_chosen = |row: &Members<'_>| {
                    stage::member(row, "media_id").is_some_and(|id| wanted.contains(&id))
                };
                self.load((&name, &entry), &of_chosen).await?;
            }
        }
        for names in given::pairs(&self.looked.plan) {
            media::rename(session, &self.stage, names).await.map_err(refused)?;
        }
        self.replace_media(outcome).await?;
        let added = media::add(session, &self.stage, &chosen).await.map_err(refused)?;
        count(&mut outcome.rows, added);
        journal::note_all(session, &self.id, (Kind::Media, &chosen)).await.map_err(refused)?;
        journal::note_all(session, &self.id, (Kind::File, &written)).await.map_err(refused)?;
        self.commit().await
    }

    async fn files(
        &self,
        chosen: &[String],
        outcome: &mut MergeOutcome,
    ) -> Result<Vec<String>, Failure> {
        let looked = self.looked;
        let mut written = Vec::new();
        if self.request.dry_run || looked.media.is_empty() {
            return Ok(written);
        }
        let root = &looked.opened.media_store;
        let placer = Placer::open(&looked.package, root, Arc::default()).await?;
        self.make_way(&placer.store).await?;
        self.cx.stage("media", chosen.len() as u64, Unit::Items);
        for id in chosen {
            if let Some(records) = looked.media.get(id) {
                written.extend(files::write(&placer, records, outcome).await?);
            }
            self.cx.advance(1);
        }
        Ok(written)
    }

    /// The rooms of one part that something is to be done with.
    async fn part(
        &self,
        part: &PartPath,
        of_part: &BTreeSet<String>,
        outcome: &mut MergeOutcome,
    ) -> Result<(), Failure> {
        let plan = &self.looked.plan;
        let planned = |action| -> BTreeSet<String> {
            let ids = Plan::ids(&plan.rooms, action).into_iter();
            ids.filter(|id| of_part.contains(id)).collect()
        };
        let add = planned(Action::Add);
        if !add.is_empty() {
            self.begin().await?;
            self.add(part, add, outcome).await?;
            self.commit().await?;
        }
        for room in planned(Action::FillHistory) {
            self.begin().await?;
            self.fill(part, &room, outcome).await?;
            self.commit().await?;
        }
        Ok(())
    }

    /// Loads every row of some rooms: those of their part, and those of tables that lie elsewhere.
    async fn stage_rooms(&self, part: &PartPath, of: &BTreeSet<String>) -> Result<(), Failure> {
        let (session, looked) = (&self.looked.session, self.looked);
        self.stage.clear(session).await.map_err(refused)?;
        let inside = |row: &Members<'_>| stage::is_inside(row, &self.request.selection);
        for (name, entries) in looked.entries.get(part).into_iter().flatten() {
            for entry in entries {
                if name == stage::EVENTS {
                    let lines = looked.package.content(entry).await?;
                    let loaded = self.stage.load_events(session, &lines, (of, &inside)).await;
                    loaded.map_err(refused)?;
                } else if self.stage.takes(name) {
                    self.load((name, entry), &|row| stage::of_rooms(row, of)).await?;
                }
            }
        }
        let others = looked
            .entries
            .iter()
            .filter(|(part, names)| part.section == Section::Rooms && !names.contains_key(SUMMARY));
        for (name, entry) in others.flat_map(|(_, names)| names) {
            if self.stage.takes(name) && !stage::is_by_room(name) {
                for entry in entry {
                    self.load((name, entry), &|row| stage::of_rooms(row, of)).await?;
                }
            }
        }
        for (name, entry) in looked.of_section(Section::Users) {
            if name == users::ROOM_KEYS && self.stage.takes(&name) {
                self.load((&name, &entry), &|row| stage::of_rooms(row, of)).await?;
            }
        }
        self.stage.analyze(session).await.map_err(refused)
    }

    async fn add(
        &self,
        part: &PartPath,
        mut of: BTreeSet<String>,
        outcome: &mut MergeOutcome,
    ) -> Result<(), Failure> {
        let (session, looked) = (&self.looked.session, self.looked);
        let server = looked.opened.config.server_name.as_str();
        self.stage_rooms(part, &of).await?;
        let is_cut = self.request.selection.is_cut() || looked.package.manifest.selection.is_cut();
        let mut cut: Vec<String> = if is_cut {
            of.iter().cloned().collect()
        } else {
            slice::cut_rooms(session).await.map_err(refused)?
        };
        let empty = self.empty(&cut).await?;
        if !empty.is_empty() {
            for room in empty {
                outcome.warnings.push(format!("room {room} has no event in the stretch: skipped"));
                of.remove(&room);
                outcome.left_out.push(room.clone());
                cut.retain(|cut| *cut != room);
            }
            self.stage_rooms(part, &of).await?;
        }
        for room in &cut {
            slice::derive(session, room, server).await.map_err(refused)?;
        }
        let expected = self.stage.events_by_room(session).await.map_err(refused)?;
        let ids: Vec<String> = of.into_iter().collect();
        self.in_rooms(outcome).await?;
        let batch = RoomBatch {
            rooms: &ids,
            server,
            missing: match looked.plan.missing_members {
                MissingMembers::Placeholder => Missing::Placeholder,
                MissingMembers::Drop => Missing::Drop,
            },
            now_ms: (self.cx.now)() * 1000,
        };
        let added = rooms::add(session, &self.stage, batch).await.map_err(refused)?;
        self.note_rooms(&added, outcome).await?;
        for room in &ids {
            let events = added.events.get(room).copied().unwrap_or(0);
            let complete = expected.get(room).copied().unwrap_or(0) == events;
            let what = if cut.contains(room) { "stretch added" } else { "added" };
            self.done(room, (what, events, complete), outcome);
        }
        count(&mut outcome.rows, added.rows);
        Ok(())
    }

    async fn empty(&self, cut: &[String]) -> Result<Vec<String>, Failure> {
        let session = &self.looked.session;
        let mut empty = Vec::new();
        for room in cut {
            if !slice::has_inside(session, room).await.map_err(refused)? {
                empty.push(room.clone());
            }
        }
        Ok(empty)
    }

    async fn note_rooms(
        &self,
        added: &RoomsAdded,
        outcome: &mut MergeOutcome,
    ) -> Result<(), Failure> {
        let session = &self.looked.session;
        for (room, events) in &added.events {
            let (oldest, newest) = added.positions;
            let note = RoomNote { events: *events, oldest, newest, had: added.had.clone() };
            journal::note(session, &self.id, (Kind::Room, room), &note).await.map_err(refused)?;
        }
        let placeholders = (Kind::Placeholder, added.placeholders.as_slice());
        journal::note_all(session, &self.id, placeholders).await.map_err(refused)?;
        outcome.placeholders.extend(added.placeholders.iter().cloned());
        outcome.dropped_memberships += added.dropped;
        Ok(())
    }

    async fn fill(
        &self,
        part: &PartPath,
        room: &str,
        outcome: &mut MergeOutcome,
    ) -> Result<(), Failure> {
        let session = &self.looked.session;
        self.stage_rooms(part, &BTreeSet::from([room.to_owned()])).await?;
        let filled = history::fill(session, &self.stage, room).await.map_err(refused)?;
        journal::note(session, &self.id, (Kind::History, room), &filled).await.map_err(refused)?;
        let events = (filled.added.len() + filled.switched.len()) as u64;
        self.done(room, ("history filled", events, true), outcome);
        count(&mut outcome.rows, filled.rows);
        Ok(())
    }

    fn done(
        &self,
        room: &str,
        (what, events, complete): (&'static str, u64, bool),
        outcome: &mut MergeOutcome,
    ) {
        let summary = self.looked.about.rooms.get(room);
        let name = summary.and_then(|summary| summary.name.clone());
        if !complete {
            outcome.gaps += 1;
            outcome.warnings.push(format!("room {room}: not all of its events are there"));
        }
        outcome.rooms.push(RoomDone { room_id: room.to_owned(), name, what, events, complete });
    }

    async fn finish(&self, outcome: &mut MergeOutcome) -> Result<(), Failure> {
        if self.request.dry_run {
            outcome.next.push("nothing was kept: run it without --dry-run".to_owned());
            return Ok(());
        }
        let session = &self.looked.session;
        if journal::forget_empty(session, &self.id).await.map_err(database_fault)? {
            outcome.next.push(nothing_done(outcome, "nothing was changed"));
            return Ok(());
        }
        journal::finish(session, &self.id).await.map_err(database_fault)?;
        outcome.changed = true;
        outcome.id = Some(self.id.clone());
        outcome.next = vec![
            "restart Synapse (all of its workers): it does not see what was added before"
                .to_owned(),
            format!("lifeboat import undo {} with the same --synapse takes it back", self.id),
        ];
        Ok(())
    }
}

/// Why there was nothing to do.
fn nothing_done(outcome: &MergeOutcome, what: &str) -> String {
    let why = match outcome.gaps {
        0 => "everything that is wanted is there",
        _ => "everything that is wanted and can be brought is there",
    };
    format!("{what}: {why}")
}

/// Adds counts up.
pub(super) fn count(rows: &mut BTreeMap<String, u64>, added: BTreeMap<String, u64>) {
    for (table, count) in added {
        *rows.entry(table).or_default() += count;
    }
}

/// The batch under way is not there.
pub(super) fn refused(error: MergeError) -> Failure {
    let (what, remedy) = match &error {
        MergeError::Room { .. } => (
            "a room cannot be added",
            "change the plan (--plan FILE) or the selection, then run it again",
        ),
        MergeError::Lacks { .. } => (
            "the package does not fit the target's database",
            "run the Synapse that the package is of, let it finish its updates, export again",
        ),
        MergeError::Record(..) => ("the package holds a record that cannot be read", "verify it"),
        MergeError::Write(_) => (
            "cannot add what the package holds",
            "what was under way is not there; see the cause, then run the same command again",
        ),
    };
    Failure::failed(what, remedy).because(error)
}
