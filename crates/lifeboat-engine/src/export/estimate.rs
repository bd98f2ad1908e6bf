//! How large an export would be, and what it would do, from statistics: no table and no file is
//! read.

use lifeboat_components::synapse::layout::{Layout, Pour};
use lifeboat_components::synapse::plan::Work;
use lifeboat_package::id::Section;
use lifeboat_package::manifest::Gaps;
use serde::Serialize;

use super::source::{Source, is_media};
use super::{ExportRequest, begin};
use crate::context::Context;
use crate::failure::Failure;

/// Compressed size of rows over their size in the database, in percent (measured,
/// `docs/src/benchmarks.md`).
const ROWS_PERCENT: u64 = 30;
/// Bytes of rows that one core turns into sealed records in a second (measured).
const ROW_BYTES_PER_SECOND: u64 = 150 << 20;
/// Bytes of media that one core reads, hashes and seals in a second (measured).
const MEDIA_BYTES_PER_SECOND: u64 = 500 << 20;

/// What an export would hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// Rows, from the database's statistics.
    pub rows: u64,
    /// Bytes of rows as they lie in the database, without indexes, by section.
    pub rows_bytes: Vec<(String, u64)>,
    /// Bytes of media by the media tables; equal contents are counted twice.
    pub media_bytes: u64,
    /// Bytes of the package.
    pub package_bytes: u64,
    /// Seconds on this machine's cores.
    pub seconds: u64,
    /// Bytes of scratch space: nothing is staged.
    pub scratch_bytes: u64,
}

/// What an export would do: the dry run.
#[derive(Debug, Clone, Serialize)]
pub struct ExportPlan {
    /// Server.
    pub server_name: String,
    /// Where the package would go.
    pub target: String,
    /// Whether an earlier run's package would be gone on with.
    pub resumes: bool,
    /// Parts by kind, with how many there are.
    pub parts: Vec<(String, u64)>,
    /// Tables that stay, with the reason.
    pub left_out: Vec<(String, String)>,
    /// Gaps known already.
    pub gaps: Gaps,
    /// How large it would be.
    pub estimate: Estimate,
}

/// Estimates.
///
/// # Errors
/// [`Failure`] when the server cannot be read.
pub async fn estimate(cx: &Context, request: &ExportRequest) -> Result<Estimate, Failure> {
    let source = Source::open(cx, request).await?;
    Ok(of(&source, request.lanes))
}

/// Plans without writing anything.
///
/// # Errors
/// [`Failure`] when the server cannot be read.
pub async fn plan(cx: &Context, request: &ExportRequest) -> Result<ExportPlan, Failure> {
    let source = Source::open(cx, request).await?;
    let mut parts: Vec<(String, u64)> = Vec::new();
    for part in &source.plan {
        let kind = kind_of(&part.work);
        match parts.iter_mut().find(|(found, _)| found == kind) {
            Some((_, count)) => *count += 1,
            None => parts.push((kind.to_owned(), 1)),
        }
    }
    let left_out = source.reading.layout.tables().iter().filter_map(|table| match table.pour {
        Pour::Never(reason) => Some((table.name.clone(), reason.to_owned())),
        Pour::ByRoom(_) | Pour::Whole => None,
    });
    let mut gaps = Gaps::default();
    source.reading.early_gaps.iter().for_each(|gap| gaps.add(gap));
    Ok(ExportPlan {
        server_name: source.reading.config.server_name.clone(),
        target: request.target.clone(),
        resumes: begin::journal_path(request)?.exists(),
        parts,
        left_out: left_out.collect(),
        gaps,
        estimate: of(&source, request.lanes),
    })
}

/// The expected bytes of the package.
pub(super) fn package_bytes(source: &Source) -> u64 {
    row_bytes(source) * ROWS_PERCENT / 100 + media_bytes(source)
}

fn of(source: &Source, lanes: usize) -> Estimate {
    let sections = sections(source);
    let lanes = u64::try_from(lanes.max(1)).unwrap_or(1);
    let media_bytes = media_bytes(source);
    let seconds = row_bytes(source) / (ROW_BYTES_PER_SECOND * lanes)
        + media_bytes / (MEDIA_BYTES_PER_SECOND * lanes)
        + 1;
    Estimate {
        rows: sections.iter().map(|section| section.rows).sum(),
        rows_bytes: sections.iter().map(|s| (s.section.to_string(), s.bytes)).collect(),
        media_bytes,
        package_bytes: package_bytes(source),
        seconds,
        scratch_bytes: 0,
    }
}

/// What is expected of a section.
struct Expected {
    section: Section,
    bytes: u64,
    rows: u64,
}

/// By section what the tables hold; of a part of a server, that share of it.
fn sections(source: &Source) -> Vec<Expected> {
    let layout = &source.reading.layout;
    let mut sections: Vec<Expected> = Vec::new();
    for table in poured(layout) {
        let (section, bytes, rows) = (table.section, table.bytes, table.rows_estimate);
        match sections.iter_mut().find(|found| found.section == section) {
            Some(found) => (found.bytes, found.rows) = (found.bytes + bytes, found.rows + rows),
            None => sections.push(Expected { section, bytes, rows }),
        }
    }
    if !source.selection.is_partial() {
        return sections;
    }
    let of = |table: &str| layout.table(table).map_or(1, |table| table.rows_estimate.max(1));
    let chosen: u64 = source.plan.iter().map(|part| chosen_bytes(&part.work, part.weight)).sum();
    let users: usize = source.plan.iter().map(|part| chosen_users(&part.work)).sum();
    sections.retain_mut(|found| {
        let (part, whole) = match found.section {
            Section::Rooms => (chosen, layout.by_room_bytes().max(1)),
            Section::Users => (u64::try_from(users).unwrap_or(u64::MAX), of("users")),
            Section::Config | Section::Server | Section::Media | Section::Backup => (0, 1),
        };
        let share = |of: u64| {
            let share = u128::from(of) * u128::from(part.min(whole)) / u128::from(whole);
            u64::try_from(share).unwrap_or(u64::MAX)
        };
        (found.bytes, found.rows) = (share(found.bytes), share(found.rows));
        found.bytes > 0
    });
    sections
}

fn chosen_bytes(work: &Work, weight: u64) -> u64 {
    if matches!(work, Work::Chosen { .. }) { weight } else { 0 }
}

fn chosen_users(work: &Work) -> usize {
    if let Work::Accounts { users, .. } = work { users.len() } else { 0 }
}

fn poured(
    layout: &Layout,
) -> impl Iterator<Item = &lifeboat_components::synapse::layout::StoredTable> {
    layout.tables().iter().filter(|table| !matches!(table.pour, Pour::Never(_)))
}

fn row_bytes(source: &Source) -> u64 {
    sections(source).iter().map(|section| section.bytes).sum()
}

fn media_bytes(source: &Source) -> u64 {
    source.plan.iter().filter(|part| is_media(&part.work)).map(|part| part.weight).sum()
}

fn kind_of(work: &Work) -> &'static str {
    match work {
        Work::Config => "configuration",
        Work::Schema => "schema",
        Work::Rooms(_) => "ranges of rooms",
        Work::Chosen { .. } => "ranges of chosen rooms",
        Work::Accounts { .. } => "chosen accounts",
        Work::Referenced { .. } => "media of what was chosen",
        Work::Strays => "rows without a room",
        Work::Tables(_) => "groups of tables",
        Work::Slice { .. } => "slices of large tables",
        Work::Media { .. } => "ranges of media",
        Work::Sequences => "sequences",
        Work::Gaps => "list of gaps",
    }
}
