//! The rooms of a package: made first, then told, a few at a time.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lifeboat_components::synapse::archive::{self, KeptEvent};
use lifeboat_components::synapse::pick::CURRENT_STATE;
use lifeboat_package::id::{PartPath, Section};
use lifeboat_package::selection::{Clock, Selection};
use lifeboat_transcript::event::{Loss, PastEvent};
use lifeboat_transcript::ids::IdLine;

use crate::run::Run;
use crate::tell::{Past, tell_room};
use crate::{answer_of, stuck};
use lifeboat_engine::context::Unit;
use lifeboat_engine::failure::Failure;
use lifeboat_engine::reader::picked::Picked;
use lifeboat_engine::reader::{EntryPlace, damaged};
use lifeboat_engine::roomkeys::RoomKeys;
use lifeboat_transcript::outcome::{RoomTold, TranscriptOutcome};

/// The type of the first event of a room.
pub(crate) const CREATE: &str = "m.room.create";

/// Tells every room that was picked.
pub(crate) async fn tell(
    run: Run<'_>,
    picked: Picked,
    (keys, selection): (RoomKeys, &Selection),
    lanes: usize,
    outcome: &mut TranscriptOutcome,
) -> Result<(), Failure> {
    let mut places = Places::default();
    for (part, name, place) in picked.entries {
        match (part.section, name.as_str()) {
            (Section::Rooms, archive::EVENTS) => places.events.push((part, place)),
            (Section::Rooms, CURRENT_STATE) => places.state.push(place),
            _ => {}
        }
    }
    let Survey { beginnings, standing, events } = survey(&run, &places).await?;
    make(&run, &beginnings).await?;
    run.cx.stage("events", events, Unit::Items);
    let rooms = BTreeMap::new();
    let mut gathered = Gathered { run: &run, selection, keys, standing, rooms };
    let mut telling = FuturesUnordered::new();
    let mut part_before = None;
    let ends = places.events.iter().map(Some).chain([None]);
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
    run.stage.finish().map_err(stuck)?;
    outcome.ghosts = run.stage.ghosts.load(Ordering::Relaxed);
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

/// Where the records are that matter here.
#[derive(Default)]
struct Places {
    events: Vec<(PartPath, EntryPlace)>,
    state: Vec<EntryPlace>,
}

/// What is known before anything is sent.
#[derive(Default)]
struct Survey {
    /// How each room began, where the package says so.
    beginnings: BTreeMap<String, Option<PastEvent>>,
    /// The state of rooms whose beginning was purged: event ids.
    standing: HashSet<String>,
    /// How many events there are.
    events: u64,
}

async fn survey(run: &Run<'_>, places: &Places) -> Result<Survey, Failure> {
    let mut found = Survey::default();
    for (_, place) in &places.events {
        let begin = |line: &[u8], room: String| {
            found.events += 1;
            if !may_begin(line) && found.beginnings.contains_key(&room) {
                return Ok(());
            }
            let Some(kept) = archive::kept_event(line)? else { return Ok(()) };
            found.beginning(room, kept);
            Ok(())
        };
        each_line(run, place, archive::room_of, begin).await?;
    }
    let purged = found.beginnings.iter().filter(|(_, create)| create.is_none());
    let purged: HashSet<String> = purged.map(|(room, _)| room.clone()).collect();
    if purged.is_empty() {
        return Ok(found);
    }
    for place in &places.state {
        let room_of = |line: &[u8]| archive::standing(line).map(|(room, _)| room);
        let stand = |line: &[u8], room: String| {
            if purged.contains(&room) {
                found.standing.insert(archive::standing(line)?.1);
            }
            Ok(())
        };
        each_line(run, place, room_of, stand).await?;
    }
    for (_, place) in &places.events {
        let begin = |line: &[u8], room: String| {
            if !purged.contains(&room) || !may_begin(line) {
                return Ok(());
            }
            let stands = |id: &str| found.standing.contains(id);
            if let Some(kept) = archive::kept_or_standing(line, stands)? {
                found.beginning(room, kept);
            }
            Ok(())
        };
        each_line(run, place, archive::room_of, begin).await?;
    }
    Ok(found)
}

impl Survey {
    /// Notes a room, and how it began if this event says so.
    fn beginning(&mut self, room: String, kept: KeptEvent) {
        let is_create = kept.kind == CREATE && kept.state_key.is_some() && kept.is_readable;
        let create = is_create.then(|| past(kept));
        let beginning = self.beginnings.entry(room).or_default();
        *beginning = beginning.take().or(create);
    }
}

fn may_begin(line: &[u8]) -> bool {
    line.windows(CREATE.len()).any(|word| word == CREATE.as_bytes())
}

/// Calls `with` for each record of a room that was picked.
async fn each_line(
    run: &Run<'_>,
    place: &EntryPlace,
    room_of: impl Fn(&[u8]) -> Result<String, serde_json::Error>,
    mut with: impl FnMut(&[u8], String) -> Result<(), serde_json::Error>,
) -> Result<(), Failure> {
    let lines = run.package.content(place).await?;
    let broken = |e| damaged(place.record.path.as_str()).because(e);
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let room = room_of(line).map_err(broken)?;
        if run.rooms.contains_key(&room) {
            with(line, room).map_err(broken)?;
        }
    }
    Ok(())
}

/// Makes the rooms that are not there.
async fn make(
    run: &Run<'_>,
    beginnings: &BTreeMap<String, Option<PastEvent>>,
) -> Result<(), Failure> {
    let is_new = |room: &str| run.stage.ids().room(room).is_none();
    if beginnings.keys().any(|room| is_new(room)) {
        for (old, new) in run.stage.client.made_rooms().await.map_err(answer_of)? {
            if is_new(&old) {
                run.stage.learn(IdLine::Room { old, new }).map_err(stuck)?;
            }
        }
    }
    for (room, create) in beginnings.iter().filter(|(room, _)| is_new(room)) {
        // Who made it has power in it from the beginning.
        let more = create.as_ref().and_then(|create| create.content.get("additional_creators"));
        let more = more.and_then(|more| more.as_array()).into_iter().flatten();
        let makers = create.iter().map(|create| create.sender.as_str());
        for person in makers.chain(more.filter_map(|person| person.as_str())) {
            run.stage.person(person).await.map_err(stuck)?;
        }
        run.stage.room(room, create.as_ref()).await.map_err(stuck)?;
    }
    Ok(())
}

/// Events whose rooms are not complete yet.
struct Gathered<'a> {
    run: &'a Run<'a>,
    selection: &'a Selection,
    keys: RoomKeys,
    standing: HashSet<String>,
    rooms: BTreeMap<String, Past>,
}

impl Gathered<'_> {
    async fn read(&mut self, place: &EntryPlace) -> Result<(), Failure> {
        let run = self.run;
        let gather = |line: &[u8], room: String| {
            match archive::kept_or_standing(line, |id| self.standing.contains(id))? {
                Some(kept) => self.add(room, kept),
                None => run.cx.advance(1),
            }
            Ok(())
        };
        each_line(run, place, archive::room_of, gather).await
    }

    fn add(&mut self, room: String, kept: KeptEvent) {
        let moment = match self.selection.range.by {
            Clock::Sent => kept.sent,
            Clock::Received => kept.received,
        };
        if !kept.is_readable {
            let fits = self.selection.includes_message(&kept.kind, &kept.sender, moment);
            let is_wanted = !kept.closure && (fits || kept.state_key.is_some());
            let loss = if is_wanted { Loss::Unreadable } else { Loss::Unwanted };
            self.rooms.entry(room).or_default().lost.push(loss);
            self.run.cx.advance(1);
            return;
        }
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
