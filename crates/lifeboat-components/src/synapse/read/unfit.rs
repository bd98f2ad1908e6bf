//! Why nothing of the chosen rooms fits: what each clause of a selection leaves of their events.

use lifeboat_package::selection::Selection;
use tokio_postgres::Client;

use super::closure::{moment, of_senders, of_types, texts};
use crate::postgres::PostgresError;

/// How many events of the chosen rooms each clause takes by itself; `None` where nothing was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// All of them.
    pub events: i64,
    /// Before the dates asked for.
    pub before: Option<i64>,
    /// After the dates asked for.
    pub after: Option<i64>,
    /// Of the types asked for.
    pub of_types: Option<i64>,
    /// Of the senders asked for.
    pub of_senders: Option<i64>,
}

/// Counts them. Reads all events of the rooms: for when none was found.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn why_nothing(
    client: &Client,
    rooms: &[String],
    selection: &Selection,
) -> Result<Unfit, PostgresError> {
    let moment = moment(selection);
    let clauses = [
        selection.range.since.map(|since| format!("{moment} < {since}")),
        selection.range.until.map(|until| format!("{moment} >= {until}")),
        of_types(selection),
        of_senders(selection),
    ];
    let counts = clauses.map(|clause| match clause {
        Some(clause) => format!("count(*) FILTER (WHERE {clause})"),
        None => "NULL::int8".to_owned(),
    });
    let query = format!(
        "SELECT count(*), {} FROM events e
         WHERE e.room_id = ANY({}) AND NOT e.outlier AND e.rejection_reason IS NULL",
        counts.join(", "),
        texts(rooms)
    );
    let doing = |e| PostgresError::sorted("looked why no event fits", e);
    let row = client.query_one(&query, &[]).await.map_err(doing)?;
    let count = |at: usize| row.try_get(at).map_err(doing);
    Ok(Unfit {
        events: row.try_get(0).map_err(doing)?,
        before: count(1)?,
        after: count(2)?,
        of_types: count(3)?,
        of_senders: count(4)?,
    })
}

impl Unfit {
    /// What took the events away, in the words of the flags.
    pub fn words(&self) -> String {
        let counted =
            |count: Option<i64>, words: &str| count.map(|count| format!("{count} {words}"));
        let clauses: Vec<String> = [
            counted(self.before, "before --since"),
            counted(self.after, "not before --until"),
            counted(self.of_types, "of --type"),
            counted(self.of_senders, "of --sender"),
        ]
        .into_iter()
        .flatten()
        .collect();
        clauses.join(", ")
    }
}
