//! Events of a part gathered by room, decrypted on the way.

use std::collections::BTreeMap;

use lifeboat_components::synapse::archive::{self, KeptEvent};
use lifeboat_package::selection::{Clock, Selection};
use lifeboat_pages::event::{Event, Seal};

use super::write::Writer;
use lifeboat_engine::roomkeys::RoomKeys;

/// Rooms with their events.
pub(super) type Rooms = BTreeMap<String, Vec<Event>>;

/// Events whose rooms are not complete yet.
pub(super) struct Gathered<'a> {
    pub(super) selection: &'a Selection,
    pub(super) keys: RoomKeys,
    pub(super) rooms: Rooms,
}

impl Gathered<'_> {
    /// Takes an event record in, if its room is to be written.
    pub(super) fn add(
        &mut self,
        line: &[u8],
        writer: &Writer<'_>,
    ) -> Result<(), serde_json::Error> {
        let room = archive::room_of(line)?;
        if !writer.lists.rooms.contains_key(&room) {
            return Ok(());
        }
        if let Some(kept) = archive::kept_event(line)? {
            let event = self.event(kept);
            self.rooms.entry(room).or_default().push(event);
        }
        Ok(())
    }

    /// All rooms that were gathered.
    pub(super) fn take_all(&mut self) -> Rooms {
        std::mem::take(&mut self.rooms)
    }

    fn event(&mut self, kept: KeptEvent) -> Event {
        let moment = match self.selection.range.by {
            Clock::Sent => kept.sent,
            Clock::Received => kept.received,
        };
        let mut event = Event {
            id: kept.event_id,
            sender: kept.sender,
            kind: kept.kind,
            state_key: kept.state_key,
            sent: kept.sent,
            order: kept.order,
            content: kept.content,
            redacts: kept.redacts,
            is_doubtful: kept.recheck,
            shown: false,
            seal: if kept.is_readable { Seal::None } else { Seal::Unreadable },
        };
        if event.is_sealed()
            && let Some(opened) = self.keys.open(&kept.room_id, &event.id, &event.content)
        {
            (event.kind, event.content) = (opened.kind, opened.content);
            event.seal = Seal::Opened;
        }
        // By what it turned out to be: nobody asks for encrypted events by their type.
        let fits = self.selection.includes_message(&event.kind, &event.sender, moment);
        event.shown = fits && !kept.closure;
        event
    }
}
