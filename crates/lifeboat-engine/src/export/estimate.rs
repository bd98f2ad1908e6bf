//! How large an export would be, and what it would do, from statistics: no table and no file is
//! read.

use lifeboat_components::synapse::layout::{Layout, Pour};
use lifeboat_components::synapse::plan::Work;
use lifeboat_package::manifest::Gaps;
use serde::Serialize;

use super::source::Source;
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
    row_bytes(&source.reading.layout) * ROWS_PERCENT / 100 + media_bytes(source)
}

fn of(source: &Source, lanes: usize) -> Estimate {
    let layout = &source.reading.layout;
    let mut by_section: Vec<(String, u64)> = Vec::new();
    for table in poured(layout) {
        let section = table.section.to_string();
        match by_section.iter_mut().find(|(found, _)| *found == section) {
            Some((_, bytes)) => *bytes += table.bytes,
            None => by_section.push((section, table.bytes)),
        }
    }
    let lanes = u64::try_from(lanes.max(1)).unwrap_or(1);
    let media_bytes = media_bytes(source);
    let seconds = row_bytes(layout) / (ROW_BYTES_PER_SECOND * lanes)
        + media_bytes / (MEDIA_BYTES_PER_SECOND * lanes)
        + 1;
    Estimate {
        rows: poured(layout).map(|table| table.rows_estimate).sum(),
        rows_bytes: by_section,
        media_bytes,
        package_bytes: package_bytes(source),
        seconds,
        scratch_bytes: 0,
    }
}

fn poured(
    layout: &Layout,
) -> impl Iterator<Item = &lifeboat_components::synapse::layout::StoredTable> {
    layout.tables().iter().filter(|table| !matches!(table.pour, Pour::Never(_)))
}

fn row_bytes(layout: &Layout) -> u64 {
    poured(layout).map(|table| table.bytes).sum()
}

fn media_bytes(source: &Source) -> u64 {
    let is_media = |work: &Work| matches!(work, Work::Media { .. });
    source.plan.iter().filter(|part| is_media(&part.work)).map(|part| part.weight).sum()
}

fn kind_of(work: &Work) -> &'static str {
    match work {
        Work::Config => "configuration",
        Work::Schema => "schema",
        Work::Rooms(_) => "ranges of rooms",
        Work::Strays => "rows without a room",
        Work::Tables(_) => "groups of tables",
        Work::Slice { .. } => "slices of large tables",
        Work::Media { .. } => "ranges of media",
        Work::Sequences => "sequences",
        Work::Gaps => "list of gaps",
    }
}
