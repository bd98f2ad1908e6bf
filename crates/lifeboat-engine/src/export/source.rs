//! The server that is exported: configuration, database snapshot, plan.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use lifeboat_components::postgres::PostgresError;
use lifeboat_components::postgres::columns::{Table, read_tables};
use lifeboat_components::postgres::cut::{Cut, Hold};
use lifeboat_components::synapse::choose::{ChooseError, Chosen, choose, keys_left_out};
use lifeboat_components::synapse::config::SynapseConfig;
use lifeboat_components::synapse::facts::{self, Versions};
use lifeboat_components::synapse::layout::{self, Layout};
use lifeboat_components::synapse::plan::{Part, Work, chosen_parts, room_ranges, table_parts};
use lifeboat_components::synapse::read::media::{BlobSet, KnownBlobs};
use lifeboat_components::synapse::read::rooms::RoomRows;
use lifeboat_components::synapse::read::{Reading, encrypted, media_of, referenced_bytes};
use lifeboat_package::id::Section;
use lifeboat_package::selection::{MediaScope, Profile, Selection};

use super::{ExportRequest, OfBackup, gap};
use crate::context::Context;
use crate::failure::Failure;
use crate::journal::PartDone;
use crate::server::Opened;

/// An open server.
pub struct Source {
    /// The snapshot of the main database.
    pub cut: Cut,
    /// The snapshot of the state store, where that is a database of its own.
    pub state_cut: Option<Cut>,
    /// What is read.
    pub reading: Arc<Reading>,
    /// Versions for the manifest.
    pub versions: Versions,
    /// Newest event position of the snapshot.
    pub position: i64,
    /// All parts.
    pub plan: Vec<Part>,
    /// What was asked for.
    pub selection: Selection,
    /// The backup that it is a copy of.
    pub of_backup: Option<OfBackup>,
}

/// The files that an export takes of the media store, as paths below it.
///
/// # Errors
/// [`Failure`] when the server cannot be read.
pub async fn media_files(
    cx: &Context,
    request: &ExportRequest,
) -> Result<BTreeSet<String>, Failure> {
    let source = Source::open(cx, request).await?;
    let mut files = BTreeSet::new();
    for part in &source.plan {
        let found = media_of(source.cut.anchor(), &source.reading, &part.work).await;
        files.extend(found.map_err(database_fault)?.into_iter().map(|file| file.path));
    }
    Ok(files)
}

impl Source {
    /// Reads the configuration, opens the snapshot and plans.
    ///
    /// # Errors
    /// [`Failure`] when the configuration or the database cannot be used.
    pub async fn open(cx: &Context, request: &ExportRequest) -> Result<Self, Failure> {
        let opened = request.server.open()?;
        let Opened { config, main, state, media_store, notes } = opened;
        for note in notes {
            cx.note(note);
        }
        cx.note(format!("reading {} from {}", config.server_name, main.place()));
        let cut = Cut::open(&main).await.map_err(database_fault)?;
        // The state store's snapshot is the later one: state groups that no event uses do no harm.
        let state_cut = match &state {
            Some(state) => Some(Cut::open(state).await.map_err(database_fault)?),
            None => None,
        };
        let mut tables = read_tables(cut.anchor()).await.map_err(database_fault)?;
        if let Some(state) = &state_cut {
            let others = read_tables(state.anchor()).await.map_err(database_fault)?;
            layout::join_state_store(&mut tables, others);
        }
        let vanished = hold(&cut, &mut tables).await.map_err(database_fault)?;
        let layout = Layout::of(tables);
        if !layout.is_synapse() {
            return Err(Failure::failed(
                format!("database {} is not a Synapse database", main.database()),
                "check the database settings in homeserver.yaml",
            ));
        }
        let mut early_gaps = config.gaps.clone();
        early_gaps.extend(layout.gaps.iter().cloned());
        early_gaps.extend(provider_gap(&config));
        early_gaps.extend(vanished);
        early_gaps.extend(strangers(&cut, &config).await?);
        let chosen = if request.selection.is_partial() {
            let chosen = choose(cut.anchor(), &request.selection).await.map_err(choose_fault)?;
            early_gaps.extend(encrypted_gaps(&cut, &chosen, request).await?);
            // The keys of others are none of what one person has a right to.
            if request.selection.profile.is_none() {
                early_gaps.extend(key_gaps(&cut, &chosen).await?);
            }
            Some(chosen)
        } else {
            None
        };
        let frugal = chosen.as_ref().is_some_and(|chosen| is_little(chosen, &layout));
        let versions = versions(&cut, state_cut.as_ref(), &mut early_gaps).await?;
        let mut reading = Reading {
            layout,
            media_store,
            selection: request.selection.clone(),
            frugal,
            early_gaps,
            blobs: BlobSet::default(),
            room_rows: RoomRows::default(),
            config,
        };
        let position = facts::position(cut.anchor()).await.map_err(database_fault)?;
        let plan = match &chosen {
            Some(chosen) => partial_plan(&cut, &reading, (request, chosen)).await,
            None => plan(&cut, &reading, request).await,
        };
        let plan = plan.map_err(database_fault)?;
        reading.early_gaps.extend(store_gap(cx, request, (&reading.media_store, &plan)));
        Ok(Self {
            cut,
            state_cut,
            reading: Arc::new(reading),
            versions,
            position,
            plan,
            selection: request.selection.clone(),
            of_backup: request.of_backup.clone(),
        })
    }

    /// Blobs that are in the package already.
    pub fn know(&self, blobs: KnownBlobs) {
        self.reading.blobs.know(blobs);
    }

    /// The parts that are still to be poured, given those that are done. A table of which an
    /// earlier cut holds only some slices is poured again whole: slices of two cuts do not fit
    /// together.
    pub fn todo(&self, done: &[PartDone]) -> Vec<Part> {
        let finished: BTreeSet<u32> = done.iter().map(|part| part.number).collect();
        let is_range = |part: &Part| matches!(part.work, Work::Rooms(_));
        if self.plan.iter().any(|part| is_range(part) && finished.contains(&part.number)) {
            self.reading.room_rows.distrust();
        }
        let torn: BTreeSet<&str> = self
            .plan
            .iter()
            .filter(|part| !finished.contains(&part.number))
            .filter_map(|part| slice_of(&part.work))
            .collect();
        let is_todo = |part: &&Part| {
            !finished.contains(&part.number)
                || slice_of(&part.work).is_some_and(|table| torn.contains(table))
        };
        self.plan.iter().filter(is_todo).cloned().collect()
    }
}

/// A configuration and a database of two servers: what is there is taken, and told.
async fn strangers(
    cut: &Cut,
    config: &SynapseConfig,
) -> Result<Option<lifeboat_package::flow::Gap>, Failure> {
    let server = config.server_name.as_str();
    let account = facts::account_of_another(cut.anchor(), server).await.map_err(database_fault)?;
    let told = |account: String| {
        gap(
            "accounts-of-another-server",
            &account,
            &format!("the account is not of {server}, the server_name of homeserver.yaml"),
            "check server_name and the database settings; Synapse does not start with both",
        )
    };
    Ok(account.map(told))
}

fn slice_of(work: &Work) -> Option<&str> {
    match work {
        Work::Slice { table, .. } => Some(table),
        _ => None,
    }
}

async fn plan(
    cut: &Cut,
    reading: &Reading,
    request: &ExportRequest,
) -> Result<Vec<Part>, PostgresError> {
    let mut parts = Vec::new();
    let mut add = |section, work, weight| {
        let number = u32::try_from(parts.len() + 1).unwrap_or(u32::MAX);
        parts.push(Part { section, number, work, weight });
    };
    add(Section::Server, Work::Schema, 0);
    if request.selection.config {
        add(Section::Config, Work::Config, 0);
    }
    let rooms = facts::room_sizes(cut.anchor()).await?;
    let by_room = reading.layout.by_room_bytes();
    let events: u64 = rooms.iter().map(|room| room.events).sum();
    for (range, weight) in room_ranges(&rooms, request.lanes) {
        let share = u128::from(by_room) * u128::from(weight) / u128::from(events.max(1));
        add(Section::Rooms, Work::Rooms(range), u64::try_from(share).unwrap_or(u64::MAX));
    }
    add(Section::Rooms, Work::Strays, 0);
    for (section, work, weight) in table_parts(&reading.layout) {
        add(section, work, weight);
    }
    for (origin, range, weight) in
        facts::media_ranges(cut.anchor(), request.selection.media).await?
    {
        add(Section::Media, Work::Media { origin, range }, weight);
    }
    add(Section::Server, Work::Sequences, 0);
    add(Section::Server, Work::Gaps, 0);
    Ok(parts)
}

/// Holds the tables that may be dropped while they are read; those that are gone are left out.
async fn hold(
    cut: &Cut,
    tables: &mut Vec<Table>,
) -> Result<Vec<lifeboat_package::flow::Gap>, PostgresError> {
    let mut gaps = Vec::new();
    for name in tables.iter().map(|table| table.name.clone()).collect::<Vec<_>>() {
        if !layout::comes_and_goes(&name) {
            continue;
        }
        let (kind, detail, remedy) = match cut.hold(&name).await? {
            Hold::Held => continue,
            Hold::Gone => (
                "table-vanished",
                "the server dropped it when the export began",
                "none: what it was needed for is done",
            ),
            Hold::Locked => (
                "table-locked",
                "another session had it locked when the export began, as one that drops it does",
                "see whether it is still there; if so, export again when nobody changes it",
            ),
        };
        tables.retain(|table| table.name != name);
        gaps.push(gap(kind, &name, detail, remedy));
    }
    Ok(gaps)
}

/// The parts of a partial export: what was chosen, and nothing of the server itself.
async fn partial_plan(
    cut: &Cut,
    reading: &Reading,
    (request, chosen): (&ExportRequest, &Chosen),
) -> Result<Vec<Part>, PostgresError> {
    let selection = &request.selection;
    let mut works = Vec::new();
    if selection.config {
        works.push((Section::Config, Work::Config, 0));
    }
    let all = reading.layout.table("events").map_or(1, |table| table.rows_estimate.max(1));
    let by_room = u128::from(reading.layout.by_room_bytes());
    for (section, work, weight) in chosen_parts(chosen, request.lanes) {
        let weight = match &work {
            Work::Chosen { .. } => {
                let share = by_room * u128::from(weight.min(all)) / u128::from(all);
                u64::try_from(share).unwrap_or(u64::MAX)
            }
            Work::Referenced { users, rooms } => {
                let server = reading.config.server_name.as_str();
                referenced_bytes(cut.anchor(), (server, selection), (rooms, users)).await?
            }
            _ => weight,
        };
        works.push((section, work, weight));
    }
    works.push((Section::Server, Work::Gaps, 0));
    let part = |(number, (section, work, weight))| Part { section, number, work, weight };
    Ok((1..).zip(works).map(part).collect())
}

/// Whether indexes are the shorter way to the chosen rooms: less than an eighth of all events.
fn is_little(chosen: &Chosen, layout: &Layout) -> bool {
    let all = layout.table("events").map_or(0, |table| table.rows_estimate);
    let events: u64 = chosen.rooms.iter().map(|room| room.events).sum();
    events < all / 8
}

/// In encrypted rooms nobody but the members can tell which media belong to the events.
async fn encrypted_gaps(
    cut: &Cut,
    chosen: &Chosen,
    request: &ExportRequest,
) -> Result<Vec<lifeboat_package::flow::Gap>, Failure> {
    let (told, remedy) = match request.selection.profile {
        _ if request.selection.media == MediaScope::None => return Ok(Vec::new()),
        // What the person uploaded is taken, whatever it belongs to.
        Some(Profile::Portability) => return Ok(Vec::new()),
        Some(Profile::Access) => (
            "which media belong to it cannot be read; not taken: what others uploaded",
            "none: what others sent there, the person's clients can still show and save",
        ),
        None => (
            "which media belong to it cannot be read; taken: what members of this server \
             uploaded while its events were sent",
            "none is needed where all members are of this server; for media of other servers, \
             export with all media",
        ),
    };
    let rooms: Vec<String> = chosen.rooms.iter().map(|room| room.room_id.clone()).collect();
    let encrypted = encrypted(cut.anchor(), &rooms).await.map_err(database_fault)?;
    Ok(encrypted.iter().map(|room| gap("media-of-encrypted-room", room, told, remedy)).collect())
}

/// Whose keys stay behind, and would be missed where the room was purged.
async fn key_gaps(cut: &Cut, chosen: &Chosen) -> Result<Vec<lifeboat_package::flow::Gap>, Failure> {
    let left_out = keys_left_out(cut.anchor(), chosen).await.map_err(database_fault)?;
    let told = |(room, keys): &(String, i64)| {
        let told = format!(
            "{keys} of its keys lie in key backups of accounts that were not chosen; a purge of \
             the room deletes them there"
        );
        let remedy = "none is needed where the accounts still have them; else export its members \
                      too, --user '@*:SERVER', and import with --room alone";
        gap("room-keys-left-out", room, &told, remedy)
    };
    Ok(left_out.iter().map(told).collect())
}

fn choose_fault(error: ChooseError) -> Failure {
    match error {
        ChooseError::Postgres(error) => database_fault(error),
        error => Failure::usage(error.to_string(), "check the selection; nothing was written"),
    }
}

/// The versions, with the background updates of both databases.
async fn versions(
    cut: &Cut,
    state_cut: Option<&Cut>,
    gaps: &mut Vec<lifeboat_package::flow::Gap>,
) -> Result<Versions, Failure> {
    let mut versions = facts::versions(cut.anchor()).await.map_err(database_fault)?;
    if let Some(state) = state_cut {
        let others = facts::versions(state.anchor()).await.map_err(database_fault)?;
        gaps.extend(uneven_schemas(&versions, &others));
        versions.pending_updates += others.pending_updates;
    }
    Ok(versions)
}

/// Synapse brings both databases to one schema version at its start, unless that start failed.
fn uneven_schemas(main: &Versions, state: &Versions) -> Option<lifeboat_package::flow::Gap> {
    let (main, state) = (main.schema, state.schema);
    (main != state).then(|| {
        gap(
            "schema-versions-differ",
            "schema_version",
            &format!("the main database has schema {main}, that of the state store {state}"),
            "start Synapse until it has upgraded both databases, then export again",
        )
    })
}

/// Media that Synapse keeps elsewhere may not be on disk.
fn provider_gap(config: &SynapseConfig) -> Option<lifeboat_package::flow::Gap> {
    let providers: Vec<&str> =
        config.media.providers.iter().map(|provider| provider.module.as_str()).collect();
    let providers = providers.join(", ");
    (!providers.is_empty()).then(|| {
        gap(
            "media-storage-provider",
            &providers,
            "media may lie in this provider only; files that are not on disk are listed as missing",
            "copy the provider's files to the media store before the export",
        )
    })
}

/// Whether a work reads files of the media store.
pub(super) fn is_media(work: &Work) -> bool {
    matches!(work, Work::Media { .. } | Work::Referenced { .. })
}

/// Where the whole media store is gone, that is said at once, and is a gap beside those of its
/// files. What was taken out of a backup has a store only where there were files.
fn store_gap(
    cx: &Context,
    request: &ExportRequest,
    (store, plan): (&Path, &[Part]),
) -> Option<lifeboat_package::flow::Gap> {
    let wants_media = plan.iter().any(|part| part.weight > 0 && is_media(&part.work));
    (wants_media && request.of_backup.is_none() && !store.is_dir()).then(|| {
        cx.note(format!("the media store {} is not there", store.display()));
        gap(
            "media-store-missing",
            &store.display().to_string(),
            "the media store is not there; what belongs into it is listed as missing, file by file",
            "see that its disk is mounted, or name it with --media-store, then export again",
        )
    })
}

/// A failure of the database.
pub fn database_fault(error: PostgresError) -> Failure {
    let remedy = if error.is_transient() {
        "see that the database is up, then run the same command again"
    } else {
        "see the database's message"
    };
    Failure::failed("cannot read the database", remedy).because(error)
}
