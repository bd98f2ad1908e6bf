//! The rooms of a package: made first, then told, a few at a time.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lifeboat_components::synapse::archive::{self, KeptEvent};
use lifeboat_package::id::{PartPath, Section};
use lifeboat_package::selection::{Clock, Selection};
use lifeboat_transcript::event::PastEvent;
use lifeboat_transcript::ids::IdLine;

use super::answer_of;
use super::outcome::{RoomTold, TranscriptOutcome};
use super::run::Run;
use super::tell::{Past, tell_room};
use crate::context::Unit;
use crate::failure::Failure;
use crate::reader::picked::Picked;
use crate::reader::{EntryPlace, damaged};
use crate::roomkeys::RoomKeys;

/// The type of the first event of a room.
const CREATE: &str = "m.room.create";

/// Tells every room that was picked.
pub(super) async fn tell(
    run: Run<'_>,
    picked: Picked,
    (keys, selection): (RoomKeys, &Selection),
    lanes: usize,
    outcome: &mut TranscriptOutcome,
) -> Result<(), Failure> {
    let is_event =
        |(part, name): (Section, &str)| part == Section::Rooms && name == archive::EVENTS;
    let places = picked.entries.into_iter();
    let places = places.filter(|(part, name, _)| is_event((part.section, name)));
    let places: Vec<(PartPath, EntryPlace)> =
        places.map(|(part, _, place)| (part, place)).collect();
    let (beginnings, events) = survey(&run, &places).await?;
    make(&run, &beginnings).await?;
    run.cx.stage("events", events, Unit::Items);
    let mut gathered = Gathered { run: &run, selection, keys, rooms: BTreeMap::new() };
    let mut telling = FuturesUnordered::new();
    let mut part_before = None;
    let ends = places.iter().map(Some).chain([None]);
    for place in ends {
        let part = place.map(|(part, _)| *part);
        if part_before.replace(part).is_some_and(|before| before != part) {
            for (old, past) in std::mem::take(&mut gathered.rooms) {
                if telling.len() >= lanes {
                    took(telling.next().await, outcome)?;
                }
                telling.push(Box::pin(tell_room(&run, old, past)));
            }
        }
        if let Some((_, place)) = place {
            gathered.read(place).await?;
        }
    }
    while let Some(told) = telling.next().await {
        took(Some(told), outcome)?;
    }
    run.finish()?;
    outcome.ghosts = run.ghosts.load(Ordering::Relaxed);
    outcome.files = run.files.load(Ordering::Relaxed);
    Ok(())
}

fn took(
    told: Option<Result<RoomTold, Failure>>,
    outcome: &mut TranscriptOutcome,
) -> Result<(), Failure> {
    if let Some(told) = told {
        outcome.rooms.push(told?);
    }
    Ok(())
}

/// How each room began, where the package says so, and how many events there are.
async fn survey(
    run: &Run<'_>,
    places: &[(PartPath, EntryPlace)],
) -> Result<(BTreeMap<String, Option<PastEvent>>, u64), Failure> {
    let mut beginnings: BTreeMap<String, Option<PastEvent>> = BTreeMap::new();
    let mut events = 0;
    for (_, place) in places {
        let lines = run.package.content(place).await?;
        let broken = |e| damaged(place.record.path.as_str()).because(e);
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let room = archive::room_of(line).map_err(broken)?;
            if !run.rooms.contains_key(&room) {
                continue;
            }
            events += 1;
            let may_begin = line.windows(CREATE.len()).any(|word| word == CREATE.as_bytes());
            if !may_begin && beginnings.contains_key(&room) {
                continue;
            }
            let Some(kept) = archive::kept_event(line).map_err(broken)? else { continue };
            let create = (kept.kind == CREATE && kept.state_key.is_some()).then(|| past(kept));
            let beginning = beginnings.entry(room).or_default();
            *beginning = beginning.take().or(create);
        }
    }
    Ok((beginnings, events))
}

/// Makes the rooms that are not there.
async fn make(
    run: &Run<'_>,
    beginnings: &BTreeMap<String, Option<PastEvent>>,
) -> Result<(), Failure> {
    let is_new = |room: &str| run.ids().room(room).is_none();
    if beginnings.keys().any(|room| is_new(room)) {
        for (old, new) in run.client.made_rooms().await.map_err(answer_of)? {
            if is_new(&old) {
                run.learn(IdLine::Room { old, new })?;
            }
        }
    }
    for (room, create) in beginnings.iter().filter(|(room, _)| is_new(room)) {
        // Who made it has power in it from the beginning.
        let more = create.as_ref().and_then(|create| create.content.get("additional_creators"));
        let more = more.and_then(|more| more.as_array()).into_iter().flatten();
        let makers = create.iter().map(|create| create.sender.as_str());
        for person in makers.chain(more.filter_map(|person| person.as_str())) {
            run.person(person).await?;
        }
        run.room(room, create.as_ref()).await?;
    }
    Ok(())
}

/// Events whose rooms are not complete yet.
struct Gathered<'a> {
    run: &'a Run<'a>,
    selection: &'a Selection,
    keys: RoomKeys,
    rooms: BTreeMap<String, Past>,
}

impl Gathered<'_> {
    async fn read(&mut self, place: &EntryPlace) -> Result<(), Failure> {
        let lines = self.run.package.content(place).await?;
        let broken = |e| damaged(place.record.path.as_str()).because(e);
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let room = archive::room_of(line).map_err(broken)?;
            if !self.run.rooms.contains_key(&room) {
                continue;
            }
            match archive::kept_event(line).map_err(broken)? {
                Some(kept) => self.add(room, kept),
                None => self.run.cx.advance(1),
            }
        }
        Ok(())
    }

    fn add(&mut self, room: String, kept: KeptEvent) {
        let moment = match self.selection.range.by {
            Clock::Sent => kept.sent,
            Clock::Received => kept.received,
        };
        let (order, closure) = (kept.order, kept.closure);
        let mut event = past(kept);
        let mut decrypted = 0;
        if event.kind == "m.room.encrypted"
            && event.state_key.is_none()
            && let Some(opened) = self.keys.open(&room, &event.id, &event.content)
        {
            (event.kind, event.content) = (opened.kind, opened.content);
            decrypted = 1;
        }
        // By what it turned out to be: nobody asks for encrypted events by their type.
        let fits = self.selection.includes_message(&event.kind, &event.sender, moment);
        event.is_wanted = fits && !closure;
        let past = self.rooms.entry(room).or_default();
        past.decrypted += decrypted;
        past.events.push((order, event));
    }
}

fn past(kept: KeptEvent) -> PastEvent {
    PastEvent {
        id: kept.event_id,
        sender: kept.sender,
        kind: kept.kind,
        state_key: kept.state_key,
        sent: kept.sent,
        content: kept.content,
        redacts: kept.redacts,
        is_doubtful: kept.recheck,
        is_wanted: true,
    }
}
