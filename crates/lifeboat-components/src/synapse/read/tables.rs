//! Tables that are poured whole, or in slices of pages.

use lifeboat_package::flow::{FlowError, Sink};
use tokio_postgres::Client;

use super::Lane;
use super::frames::Frames;
use crate::postgres::PostgresError;
use crate::postgres::columns::{Column, literal, quoted};
use crate::postgres::copy_out::RowStream;
use crate::postgres::record::Shape;
use crate::synapse::layout::StoredTable;

/// A run of pages of a table's main fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pages {
    /// First page.
    pub from: u64,
    /// Page after the last, or open.
    pub to: Option<u64>,
}

/// Pours a table, or those rows of it that lie in `pages`.
///
/// # Errors
/// [`super::ReadError`] inside, or the sink's.
pub async fn pour_table(
    lane: &Client,
    table: &StoredTable,
    pages: Option<Pages>,
    sink: &mut dyn Sink,
) -> Result<(), FlowError> {
    let mut query =
        format!("SELECT {} FROM ONLY {} t", selected(&table.columns, "t"), quoted(&table.name));
    if let Some(Pages { from, to }) = pages {
        let below = to.map_or_else(String::new, |to| format!(" AND t.ctid < '({to},0)'::tid"));
        query = format!("{query} WHERE t.ctid >= '({from},0)'::tid{below}");
    }
    pour_query(lane, table, &query, sink).await
}

/// Pours the rows of the state store's own database that the main one has not. `key` is SQL for
/// what names a row.
///
/// # Errors
/// [`super::ReadError`] inside, or the sink's.
pub(super) async fn pour_others(
    lane: Lane<'_>,
    table: &StoredTable,
    key: &str,
    sink: &mut dyn Sink,
) -> Result<(), FlowError> {
    let name = quoted(&table.name);
    let doing = |e| PostgresError::sorted(format!("read what is in {}", table.name), e);
    let keys = format!("SELECT {key} FROM ONLY {name} t");
    let rows = lane.main.query(&keys, &[]).await.map_err(doing).map_err(FlowError::new)?;
    let known: Vec<String> = rows.iter().map(|row| literal(row.get(0))).collect();
    let query = format!(
        "SELECT {} FROM ONLY {name} t WHERE {key} <> ALL (ARRAY[{}]::text[])",
        selected(&table.columns, "t"),
        known.join(", ")
    );
    pour_query(lane.state, table, &query, sink).await
}

/// Pours the rows of `query`, which selects the columns of `table` in order.
pub(super) async fn pour_query(
    lane: &Client,
    table: &StoredTable,
    query: &str,
    sink: &mut dyn Sink,
) -> Result<(), FlowError> {
    let mut rows = RowStream::start(lane, &table.name, query).await.map_err(FlowError::new)?;
    let mut frames = Frames::of_table(&table.name);
    frames.stream(&mut rows, &Shape::flat(&table.columns), sink).await?;
    frames.finish(sink).await
}

/// The select list of `columns` of `alias`.
pub(super) fn selected(columns: &[Column], alias: &str) -> String {
    let columns: Vec<String> = columns.iter().map(|column| column.selected(alias)).collect();
    columns.join(", ")
}
