//! Part of a server: the chosen rooms and accounts, and no row more.
//!
//! Everything is asked for by id, so that the cost follows what was chosen. What the database gives
//! is looked at once more before it leaves: a row of another room is a fault, not a gift.

use std::collections::BTreeSet;

use lifeboat_package::flow::{FlowError, Sink};
use lifeboat_package::selection::{Clock, Profile, Selection};

use super::closure::{self, Closure, IDS_IN_QUERY, texts, wanted_and_seen};
use super::frames::Frames;
use super::tables::selected;
use super::visible::Sight;
use super::{Lane, ReadError, Reading, summary};
use crate::postgres::PostgresError;
use crate::postgres::columns::{Carrier, Column, literal, quoted};
use crate::postgres::copy_out::{Row, RowStream};
use crate::postgres::record::Shape;
use crate::synapse::catalogue::{Catalogue, Class, Import, Path};
use crate::synapse::layout::StoredTable;
use crate::synapse::leave::{hidden_condition, may_leave, redacted, selected_leaving};

/// Tables of events that also what comes along needs.
const OF_CLOSURE: [&str; 3] = ["event_auth", "room_memberships", "state_events"];

/// Tables that tell of a room as it is now. Where only a slice of it is taken, the import derives
/// them from the state at the end of the slice.
const OF_NOW: [&str; 8] = [
    "current_state_events",
    "event_backward_extremities",
    "event_forward_extremities",
    "local_current_membership",
    "room_ban_redactions",
    "room_depth",
    "threads",
    "timeline_gaps",
];

/// What is poured of the chosen rooms.
struct Part<'a> {
    lane: Lane<'a>,
    reading: &'a Reading,
    rooms: &'a [String],
    selection: &'a Selection,
    /// The condition of the events asked for.
    wanted: String,
    /// What comes along; empty where rooms are taken whole.
    closure: Closure,
    /// What the person could see who asks for what is held about them.
    sight: Option<Sight>,
}

/// Has the planner go by indexes only, or as it likes, until the transaction ends.
///
/// # Errors
/// [`PostgresError`].
pub(super) async fn plan_frugally(lane: Lane<'_>, frugal: bool) -> Result<(), PostgresError> {
    let switch = if frugal { "off" } else { "on" };
    let settings =
        format!("SET LOCAL enable_seqscan = {switch}; SET LOCAL enable_hashjoin = {switch}");
    let doing = |e| PostgresError::sorted("prepared to read a part", e);
    lane.main.batch_execute(&settings).await.map_err(doing)?;
    lane.state.batch_execute(&settings).await.map_err(doing)
}

/// Pours the chosen rooms.
///
/// # Errors
/// [`ReadError`] inside, or the sink's.
pub(super) async fn pour_rooms(
    lane: Lane<'_>,
    reading: &Reading,
    rooms: &[String],
    sink: &mut dyn Sink,
) -> Result<(), FlowError> {
    let selection = &reading.selection;
    let (wanted, sight) =
        wanted_and_seen(lane.main, rooms, selection).await.map_err(FlowError::new)?;
    // What a person provided needs nothing that others did.
    let alone = selection.profile == Some(Profile::Portability);
    let closure = if selection.is_cut() && !alone {
        closure::compute(lane, rooms, &wanted).await.map_err(FlowError::new)?
    } else {
        Closure::default()
    };
    let of_rooms = |column: &str| format!("{column} = ANY({})", texts(rooms));
    summary::pour(lane.main, (&of_rooms, &wanted), sink).await?;
    let these = Part { lane, reading, rooms, selection, wanted, closure, sight };
    these.pour_events(&these.wanted, false, sink).await?;
    for ids in these.closure.events.chunks(IDS_IN_QUERY) {
        these.pour_events(&format!("e.event_id = ANY({})", texts(ids)), true, sink).await?;
    }
    for table in reading.layout.tables() {
        these.pour_table(table, sink).await?;
    }
    Ok(())
}

impl Part<'_> {
    async fn pour_events(
        &self,
        condition: &str,
        comes_along: bool,
        sink: &mut dyn Sink,
    ) -> Result<(), FlowError> {
        let layout = &self.reading.layout;
        let (Some(events), Some(contents)) = (layout.table("events"), layout.table("event_json"))
        else {
            return Ok(());
        };
        let others = |table: &StoredTable, left_out: &[&str]| -> Vec<Column> {
            let keep = |column: &&Column| !left_out.contains(&column.name.as_str());
            table.columns.iter().filter(keep).cloned().collect()
        };
        let event_columns = others(events, &["event_id"]);
        let content_columns = others(contents, &["event_id", "json"]);
        let mut shape = Shape::default();
        let [hidden, kind, sender, moment] = std::array::from_fn(|_| shape.hidden());
        shape.member("event_id", Carrier::Text);
        shape.member("room_id", Carrier::Text);
        shape.member("room_version", Carrier::Text);
        shape.member("stream_ordering", Carrier::Int8);
        if comes_along {
            shape.mark("closure");
        }
        shape.nested("events", &event_columns);
        shape.nested("event_json", &content_columns);
        shape.document("pdu");
        let pdu = 10 + event_columns.len() + content_columns.len();
        let hide = if self.selection.leave.redacted { "false".into() } else { hidden_condition() };
        let moment_column = match self.selection.range.by {
            Clock::Sent => "e.origin_server_ts",
            Clock::Received => "coalesce(e.received_ts, e.origin_server_ts)",
        };
        let query = format!(
            "SELECT {hide}, e.type, e.sender, {moment_column},
                    e.event_id, e.room_id, r.room_version, e.stream_ordering,
                    true, {}, j.event_id, {}, j.json
             FROM events e
             LEFT JOIN event_json j ON j.event_id = e.event_id
             LEFT JOIN rooms r ON r.room_id = e.room_id
             WHERE {condition} ORDER BY e.room_id, e.stream_ordering",
            selected(&event_columns, "e"),
            selected(&content_columns, "j"),
        );
        let mut rows =
            RowStream::start(self.lane.main, "events", &query).await.map_err(FlowError::new)?;
        let mut frames = Frames::of_table("events");
        frames.also_counts("event_json", 9 + event_columns.len());
        while let Some(row) = rows.next().await.map_err(FlowError::new)? {
            self.demand_room("events", row.field(5))?;
            if !comes_along && self.selection.is_cut() {
                self.demand_event(&row, [kind, sender, moment])?;
            }
            let stripped = match (row.field(hidden), row.field(pdu)) {
                (Some([1]), Some(pdu)) => Some(redacted(pdu, row.field(6).and_then(text))),
                _ => None,
            };
            frames.row(row, (&shape, stripped.as_deref()), sink).await?;
        }
        frames.finish(sink).await
    }

    /// Pours what belongs to the rooms of a table other than `events` and `event_json`.
    async fn pour_table(&self, table: &StoredTable, sink: &mut dyn Sink) -> Result<(), FlowError> {
        let Some(path) = leaves_with_rooms(&table.name) else { return Ok(()) };
        let columns = selected_leaving(table, "t", self.selection);
        let mut frames = Frames::of_table(&table.name);
        let shape = Shape::flat(&table.columns);
        let room = table.columns.iter().position(|column| column.name == "room_id");
        let own = self.own_rows(table);
        for from in self.sources(table, path) {
            let query = format!("SELECT {columns} FROM {from}{own}");
            let lane = self.lane.of(&table.name);
            let mut rows =
                RowStream::start(lane, &table.name, &query).await.map_err(FlowError::new)?;
            while let Some(row) = rows.next().await.map_err(FlowError::new)? {
                if let Some(room) = room.and_then(|at| row.field(at)) {
                    self.demand_room(&table.name, Some(room))?;
                }
                frames.row(row, (&shape, None), sink).await?;
            }
        }
        frames.finish(sink).await
    }

    /// `FROM` and `WHERE` of the queries that give the rows of a table, called `t`, each once.
    fn sources(&self, table: &StoredTable, path: Path) -> Vec<String> {
        let name = quoted(&table.name);
        let rooms = texts(self.rooms);
        let has = |column: &str| table.columns.iter().any(|found| found.name == column);
        let cut = self.selection.is_cut();
        // What a person keeps of a room is theirs, whoever sent the event it is about.
        let own = !self.own_rows(table).is_empty();
        let by_event =
            path == Path::Event || (has("event_id") && !own && (cut || hides_text(table)));
        if cut && OF_NOW.contains(&table.name.as_str()) {
            return Vec::new();
        }
        if matches!(table.name.as_str(), "state_groups") && cut {
            return vec![format!("{name} t WHERE t.id = ANY({})", self.groups())];
        }
        match path {
            Path::StateGroup if cut => {
                vec![format!("{name} t WHERE t.state_group = ANY({})", self.groups())]
            }
            Path::StateGroup => vec![format!(
                "state_groups g JOIN {name} t ON t.state_group = g.id
                 WHERE g.room_id = ANY({rooms})"
            )],
            Path::Alias => vec![format!(
                "room_aliases a JOIN {name} t ON t.room_alias = a.room_alias
                 WHERE a.room_id = ANY({rooms})"
            )],
            _ if by_event => self.by_event(table, (&name, path)),
            // No index leads from the room to the row: the way is through the room's own members.
            Path::RoomId if !is_indexed(&table.name) && has("user_id") => vec![format!(
                "(SELECT DISTINCT room_id, user_id FROM room_memberships
                  WHERE room_id = ANY({rooms})) m
                 JOIN {name} t ON t.user_id = m.user_id AND t.room_id = m.room_id WHERE true"
            )],
            Path::RoomId => vec![format!("{name} t WHERE t.room_id = ANY({rooms})")],
            _ => Vec::new(),
        }
    }

    fn by_event(&self, table: &StoredTable, (name, path): (&str, Path)) -> Vec<String> {
        let hide = if hides_text(table) && !self.selection.leave.redacted {
            format!(" AND NOT {}", hidden_condition())
        } else {
            String::new()
        };
        let join = format!("events e JOIN {name} t ON t.event_id = e.event_id");
        // Where the table knows the room, its index by room may be the only one.
        let knows_room = table.columns.iter().any(|column| column.name == "room_id");
        let of_room = if knows_room && path != Path::Event {
            format!(" AND t.room_id = ANY({})", texts(self.rooms))
        } else {
            String::new()
        };
        let mut sources = vec![format!("{join} WHERE {}{of_room}{hide}", self.wanted)];
        if OF_CLOSURE.contains(&table.name.as_str()) {
            let ids = self.closure.events.chunks(IDS_IN_QUERY);
            sources
                .extend(ids.map(|ids| format!("{name} t WHERE t.event_id = ANY({})", texts(ids))));
        }
        sources
    }

    /// In a package about one person, rows that members keep for themselves are that person's.
    fn own_rows(&self, table: &StoredTable) -> String {
        let known = Catalogue::known().get(&table.name);
        let has_user = table.columns.iter().any(|column| column.name == "user_id");
        let of_members = known.is_some_and(|known| known.class == Class::RoomUser) && has_user;
        match (self.selection.profile, self.selection.person()) {
            (Some(_), Some(person)) if of_members => {
                format!(" AND t.user_id = {}", literal(person))
            }
            _ => String::new(),
        }
    }

    fn groups(&self) -> String {
        closure::numbers(&self.closure.groups)
    }

    /// A row that belongs to a room belongs to a chosen one.
    fn demand_room(&self, table: &str, room: Option<&[u8]>) -> Result<(), FlowError> {
        let room = room.and_then(text).unwrap_or_default();
        if self.rooms.binary_search_by(|found| found.as_str().cmp(room)).is_ok() {
            return Ok(());
        }
        Err(unselected(table, "it is of a room that was not selected"))
    }

    /// An event that was asked for is one that the selection names.
    fn demand_event(&self, row: &Row<'_>, at: [usize; 3]) -> Result<(), FlowError> {
        let [kind, sender, moment] = at.map(|at| row.field(at).unwrap_or_default());
        let moment = moment.try_into().map_or(0, i64::from_be_bytes);
        let (kind, sender) = (text(kind).unwrap_or_default(), text(sender).unwrap_or_default());
        let room = row.field(5).and_then(text).unwrap_or_default();
        let position = row.field(7).and_then(|field| field.try_into().ok());
        let position = position.map_or(0, i64::from_be_bytes);
        let seen = self.sight.as_ref().is_none_or(|s| s.includes(room, position, sender));
        if seen && self.selection.includes_message(kind, sender, moment) {
            return Ok(());
        }
        Err(unselected("events", "it is an event that was not selected"))
    }
}

/// Pours the chosen accounts, and the profiles of the members of the chosen rooms.
///
/// # Errors
/// [`ReadError`] inside, or the sink's.
pub(super) async fn pour_accounts(
    lane: Lane<'_>,
    reading: &Reading,
    (users, rooms): (&[String], &[String]),
    sink: &mut dyn Sink,
) -> Result<(), FlowError> {
    let selection = &reading.selection;
    // Who asks what is held about them is shown what no import would need.
    let all_held = selection.profile == Some(Profile::Access);
    let rooms = if selection.profile == Some(Profile::Portability) { &[] } else { rooms };
    let chosen: BTreeSet<&str> = users.iter().map(String::as_str).collect();
    for table in reading.layout.tables() {
        let Some(known) = Catalogue::known().get(&table.name) else { continue };
        let Path::User(column) = known.path else { continue };
        let is_account = matches!(known.class, Class::User | Class::Key);
        let is_needed = all_held || is_imported(&known.import);
        if !is_account || !is_needed || !may_leave(&table.name, selection) {
            continue;
        }
        let of_members = table.name == "profiles";
        let (name, column_name) = (quoted(&table.name), quoted(column));
        let mut condition = format!("t.{column_name} = ANY({})", texts(users));
        if of_members {
            condition = format!(
                "t.{column_name} IN (SELECT unnest({}) UNION
                     SELECT m.user_id FROM room_memberships m WHERE m.room_id = ANY({}))",
                texts(users),
                texts(rooms)
            );
        }
        let columns = selected_leaving(table, "t", selection);
        let query = format!("SELECT {columns} FROM {name} t WHERE {condition}");
        let at = table.columns.iter().position(|found| found.name == column);
        let mut rows = RowStream::start(lane.of(&table.name), &table.name, &query)
            .await
            .map_err(FlowError::new)?;
        let mut frames = Frames::of_table(&table.name);
        let shape = Shape::flat(&table.columns);
        while let Some(row) = rows.next().await.map_err(FlowError::new)? {
            let user = at.and_then(|at| row.field(at)).and_then(text).unwrap_or_default();
            if !of_members && !chosen.contains(user) {
                return Err(unselected(&table.name, "it is of an account that was not selected"));
            }
            frames.row(row, (&shape, None), sink).await?;
        }
        frames.finish(sink).await?;
    }
    readme(reading, sink).await
}

/// A word to the person, in a package that is about one.
async fn readme(reading: &Reading, sink: &mut dyn Sink) -> Result<(), FlowError> {
    let selection = &reading.selection;
    let (Some(profile), Some(person)) = (selection.profile, selection.person()) else {
        return Ok(());
    };
    let mut frames = Frames::new("readme");
    let text = readme_text(profile, person, &reading.config.server_name);
    let readme = serde_json::json!({"name": "README.txt", "text": text});
    frames.serialize((None, &readme), sink).await?;
    frames.finish(sink).await
}

fn readme_text(profile: Profile, person: &str, server: &str) -> String {
    let (right, content) = match profile {
        Profile::Portability => (
            "the data you provided (Article 20 of the General Data Protection Regulation)",
            "users/   your account: profile, devices, settings, key backup (encrypted by you)\n\
             rooms/   what you sent, room by room, and your own notes on rooms\n\
             media/   what you uploaded",
        ),
        Profile::Access => (
            "the data held about you (Article 15 of the General Data Protection Regulation)",
            "users/   your account: profile, devices, addresses, when and from where you used it\n\
             rooms/   what you could see of the rooms you are or were in; events marked\n         \
             \"closure\" are settings of the room that explain the others\n\
             media/   files those events show, and what you uploaded",
        ),
    };
    format!(
        "This package was made by the Matrix server {server} for {person}.\n\
         It holds {right}.\n\n{content}\n\n\
         Every file is JSON Lines: one record a line, in UTF-8, which any text editor opens.\n\
         Times are milliseconds since 1 January 1970 (UTC). Secrets such as passwords and tokens\n\
         are left out. What was deleted (redacted) is left out as well.\n\
         server/gaps.jsonl names what could not be read.\n"
    )
}

/// The path of a table that goes along with a chosen room; `events` and `event_json` go another
/// way.
pub(in crate::synapse) fn leaves_with_rooms(table: &str) -> Option<Path> {
    let known = Catalogue::known().get(table)?;
    let of_rooms = matches!(known.class, Class::Room | Class::RoomUser | Class::Derived)
        && !matches!(known.path, Path::User(_) | Path::Whole | Path::Media | Path::Chain)
        && !matches!(table, "events" | "event_json");
    (of_rooms && is_imported(&known.import)).then_some(known.path)
}

/// Whether an import takes the rows; if not, there is no use in taking them along.
fn is_imported(import: &Import) -> bool {
    matches!(import, Import::Copy | Import::Remap(_))
}

/// Whether an index leads from a room to the table's rows. That of account data begins with the
/// user: good enough for ranges of rooms, which read it all, and not for one room.
fn is_indexed(table: &str) -> bool {
    table != "room_account_data" && Catalogue::known().get(table).is_some_and(|known| known.by_room)
}

/// Whether the table holds what people wrote, beside the events themselves.
fn hides_text(table: &StoredTable) -> bool {
    table.name == "event_search"
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn unselected(table: &str, detail: &'static str) -> FlowError {
    FlowError::new(ReadError::Row { table: table.to_owned(), detail })
}
