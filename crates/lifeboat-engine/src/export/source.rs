//! The server that is exported: configuration, database snapshot, plan.

use std::collections::BTreeSet;
use std::sync::Arc;

use lifeboat_components::postgres::PostgresError;
use lifeboat_components::postgres::columns::read_tables;
use lifeboat_components::postgres::cut::Cut;
use lifeboat_components::synapse::config::SynapseConfig;
use lifeboat_components::synapse::facts::{self, Versions};
use lifeboat_components::synapse::layout::{self, Layout};
use lifeboat_components::synapse::plan::{Part, Work, room_ranges, table_parts};
use lifeboat_components::synapse::read::Reading;
use lifeboat_components::synapse::read::media::{BlobSet, KnownBlobs};
use lifeboat_package::id::Section;
use lifeboat_package::selection::Selection;

use super::{ExportRequest, gap};
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
        let reading = Reading {
            layout,
            media_store,
            media: request.selection.media,
            early_gaps,
            blobs: BlobSet::default(),
            config,
        };
        let versions = facts::versions(cut.anchor()).await.map_err(database_fault)?;
        let position = facts::position(cut.anchor()).await.map_err(database_fault)?;
        let plan = plan(&cut, &reading, request).await.map_err(database_fault)?;
        Ok(Self {
            cut,
            state_cut,
            reading: Arc::new(reading),
            versions,
            position,
            plan,
            selection: request.selection.clone(),
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
    for (origin, range, weight) in facts::media_ranges(cut.anchor(), reading.media).await? {
        add(Section::Media, Work::Media { origin, range }, weight);
    }
    add(Section::Server, Work::Sequences, 0);
    add(Section::Server, Work::Gaps, 0);
    Ok(parts)
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

/// A failure of the database.
pub(crate) fn database_fault(error: PostgresError) -> Failure {
    let remedy = if error.is_transient() {
        "see that the database is up, then run the same command again"
    } else {
        "see the database's message"
    };
    Failure::failed("cannot read the database", remedy).because(error)
}
