//! Rooms written down: pages, tables or texts, and in the end the index.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use lifeboat_components::synapse::read::summary::RoomSummary;
use lifeboat_package::digest::Digest;
use lifeboat_pages::event::Event;
use lifeboat_pages::html::{self, Files, Pages, RoomCard, Site};
use lifeboat_pages::timeline::Timeline;
use lifeboat_pages::{csv, place, plain, tame};

use super::known::Lists;
use super::rooms::Rooms;
use super::shelf::Shelf;
use super::{Format, RenderOutcome};
use lifeboat_engine::context::Context;
use lifeboat_engine::failure::Failure;
use lifeboat_engine::unpack::{cannot_write, create};

/// Characters of a room id's digest that keep folders apart.
const MARK: usize = 16;

/// Everything in one text, to search in.
const EVERYTHING: &str = "everything.txt";

/// Writes the archive.
pub(super) struct Writer<'a> {
    pub(super) cx: &'a Context,
    pub(super) folder: &'a Path,
    pub(super) format: Format,
    pub(super) site: Site,
    pub(super) lists: Lists,
    pub(super) shelf: Shelf<'a>,
    pub(super) cards: Vec<RoomCard>,
    pub(super) outcome: RenderOutcome,
}

impl Writer<'_> {
    /// Writes rooms that are complete.
    pub(super) async fn rooms(&mut self, rooms: Rooms) -> Result<(), Failure> {
        for (id, events) in rooms {
            self.cx.go_on()?;
            if let Some(summary) = self.lists.rooms.remove(&id) {
                self.room(&summary, events).await?;
            }
        }
        Ok(())
    }

    async fn room(&mut self, summary: &RoomSummary, events: Vec<Event>) -> Result<(), Failure> {
        let timeline = Timeline::new(events, &self.lists.known);
        let files = self.files(&timeline).await?;
        let card = card(summary, &timeline);
        self.outcome.rooms += 1;
        self.outcome.events += card.shown as u64;
        self.outcome.encrypted += timeline.sealed() as u64;
        self.outcome.unreadable += timeline.unreadable() as u64;
        self.outcome.decrypted += timeline.opened() as u64;
        let rooms = Path::new("rooms");
        let calendar = &self.site.calendar;
        match self.format {
            Format::Html => self.pages(&card, &timeline, &files)?,
            Format::Csv => {
                let text = csv::room_csv(&timeline, calendar, &files);
                self.file(&rooms.join(format!("{}.csv", card.folder)), &text)?;
            }
            Format::Text => {
                let text = heading(&card) + &plain::room_text(&timeline, calendar, &files, None);
                self.file(&rooms.join(format!("{}.txt", card.folder)), &text)?;
            }
        }
        self.cards.push(card);
        Ok(())
    }

    /// Copies the files that a room's messages name.
    async fn files(&mut self, timeline: &Timeline) -> Result<Files, Failure> {
        let mut files = Files::new();
        let mut asked = BTreeSet::new();
        for wish in timeline.media() {
            if !asked.insert(wish.mxc.clone()) {
                continue;
            }
            let Self { shelf, lists, outcome, folder, .. } = self;
            if let Some(path) = shelf.place(folder, &wish, lists, outcome).await? {
                files.insert(wish.mxc, path);
            }
        }
        Ok(files)
    }

    fn pages(&mut self, card: &RoomCard, room: &Timeline, files: &Files) -> Result<(), Failure> {
        let folder = Path::new("rooms").join(&card.folder);
        let pages = Pages::new(room, &self.site.calendar);
        for page in pages.all() {
            let text = html::month_page(&self.site, card, (room, &pages), page, files);
            self.file(&folder.join(&page.file), &text)?;
        }
        let text = html::room_page(&self.site, card, room, &pages);
        self.file(&folder.join("index.html"), &text)?;
        let among = Some((&pages, card.folder.as_str()));
        let text = plain::room_text(room, &self.site.calendar, files, among);
        self.add(Path::new(EVERYTHING), &format!("{}{text}\n", heading(card)))
    }

    /// Writes the index, with rooms of which no event could be shown.
    pub(super) async fn finish(mut self) -> Result<RenderOutcome, Failure> {
        let left: Vec<RoomSummary> = self.lists.rooms.drain().map(|(_, room)| room).collect();
        for summary in left {
            self.room(&summary, Vec::new()).await?;
        }
        self.cards.sort_by_cached_key(|card| (card.name.to_lowercase(), card.id.clone()));
        match self.format {
            Format::Html => {
                // There, even when there is nothing to say.
                self.add(Path::new(EVERYTHING), "")?;
                self.outcome.pages += 1;
                let index = html::index(&self.site, &self.cards);
                self.file(Path::new("index.html"), &index)?;
            }
            Format::Csv => {
                let index = csv::rooms_csv(&self.cards, &self.site.calendar);
                self.file(Path::new("rooms.csv"), &index)?;
            }
            Format::Text => {
                let index: String = self.cards.iter().map(heading).collect();
                self.file(Path::new("rooms.txt"), &index)?;
            }
        }
        Ok(self.outcome)
    }

    fn file(&mut self, path: &Path, text: &str) -> Result<(), Failure> {
        let path = self.folder.join(path);
        let written = create(&path).and_then(|mut file| file.write_all(text.as_bytes()));
        self.outcome.pages += 1;
        self.note(&path, text, written)
    }

    /// Adds to a file.
    fn add(&mut self, path: &Path, text: &str) -> Result<(), Failure> {
        let path = self.folder.join(path);
        let mut how = OpenOptions::new();
        how.append(true).create(true);
        let written = how.open(&path).and_then(|mut file| file.write_all(text.as_bytes()));
        self.note(&path, text, written)
    }

    fn note(
        &mut self,
        path: &Path,
        text: &str,
        written: std::io::Result<()>,
    ) -> Result<(), Failure> {
        written.map_err(|e| cannot_write(path, e))?;
        self.outcome.bytes += text.len() as u64;
        Ok(())
    }
}

/// The lines before a room's text.
fn heading(card: &RoomCard) -> String {
    let name = tame::tame(&tame::line(&card.name));
    format!("# {name}\n# {} · rooms/{}\n\n", tame::tame(&card.id), card.folder)
}

fn card(summary: &RoomSummary, timeline: &Timeline) -> RoomCard {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    let named = given(&summary.name).or_else(|| given(&summary.canonical_alias));
    let name = named.unwrap_or_else(|| name_of_members(timeline));
    let mark = Digest::of(summary.room_id.as_bytes()).to_string();
    let mark = mark.get(..MARK).unwrap_or_default();
    let slug = place::slug(&name);
    let slug = if slug.is_empty() { "room" } else { &slug };
    let sent = || timeline.shown().filter_map(|index| timeline.event(index)).map(|e| e.sent);
    RoomCard {
        id: summary.room_id.clone(),
        folder: format!("{slug}-{mark}"),
        name: tame::tame(&tame::line(&name)),
        topic: given(&summary.topic),
        alias: given(&summary.canonical_alias),
        is_encrypted: summary.encrypted,
        is_space: summary.room_type.as_deref() == Some("m.space"),
        shown: timeline.shown().count(),
        members: usize::try_from(summary.members).unwrap_or(usize::MAX),
        range: sent().min().zip(sent().max()),
    }
}

/// What a room without a name is called: by its members, as clients do.
fn name_of_members(timeline: &Timeline) -> String {
    let members = timeline.members().iter().filter(|m| m.membership == "join");
    let names: Vec<&str> = members.map(|member| member.name.as_str()).collect();
    match names.as_slice() {
        [] => "A room without a name".to_owned(),
        [one] => (*one).to_owned(),
        [one, two] => format!("{one} and {two}"),
        [one, two, more @ ..] => format!("{one}, {two} and {} more", more.len()),
    }
}
