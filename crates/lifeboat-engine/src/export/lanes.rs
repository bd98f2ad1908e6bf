//! Lanes: parallel sessions on one snapshot, each taking the next part until none is left.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use futures_util::future::try_join_all;
use lifeboat_components::postgres::PostgresError;
use lifeboat_components::synapse::plan::{Part, Work};
use lifeboat_components::synapse::read::{Lane, PartSource, ReadError};
use lifeboat_package::flow::{FlowError, Source as _};
use lifeboat_package::id::PartPath;

use super::source::{Source, database_fault};
use crate::context::{Context, Unit};
use crate::failure::Failure;
use crate::writer::sink::{PartSink, SinkError, ToPackage};

/// How the lanes pour.
pub struct Setting {
    /// To the writer; dropped at the end, which ends it.
    pub to: ToPackage,
    /// The number of this run's cut.
    pub run: u32,
    /// How many lanes.
    pub lanes: usize,
}

/// Pours `todo`: rows and media in parallel, then the sequences, then the gaps.
///
/// # Errors
/// [`Failure`] of the first lane that fails.
pub async fn pour_all(
    cx: &Context,
    source: &Source,
    todo: Vec<Part>,
    setting: Setting,
) -> Result<(), Failure> {
    let is_last = |part: &Part| matches!(part.work, Work::Sequences | Work::Gaps);
    let (last, parallel): (Vec<Part>, Vec<Part>) = todo.into_iter().partition(is_last);
    let total = parallel.iter().map(|part| part.weight).sum();
    cx.stage("export", total, Unit::Bytes);
    let queue = Arc::new(Mutex::new(VecDeque::from(parallel)));
    let lanes = (0..setting.lanes.max(1)).map(|_| lane(cx, source, &setting, queue.clone()));
    try_join_all(lanes).await?;
    // Sequences are read after the last row: what was handed out by then lies below them.
    let last = Arc::new(Mutex::new(VecDeque::from(last)));
    lane(cx, source, &setting, last).await
}

async fn lane(
    cx: &Context,
    source: &Source,
    setting: &Setting,
    queue: Arc<Mutex<VecDeque<Part>>>,
) -> Result<(), Failure> {
    let next = || queue.lock().ok().and_then(|mut queue| queue.pop_front());
    let Some(mut part) = next() else { return Ok(()) };
    let main = source.cut.lane().await.map_err(database_fault)?;
    let state = match &source.state_cut {
        Some(cut) => Some(cut.lane().await.map_err(database_fault)?),
        None => None,
    };
    let lane = Lane { main: &main, state: state.as_ref().unwrap_or(&main) };
    loop {
        let folder = PartPath { section: part.section, number: part.number, run: setting.run };
        let ids = (part.number, setting.run);
        let mut sink = PartSink::new(cx, &setting.to, folder, ids);
        let mut pouring = PartSource { lane, reading: &source.reading, work: &part.work };
        pouring.pour(&mut sink).await.map_err(flow_fault)?;
        sink.finish().await.map_err(|e| flow_fault(FlowError::new(e)))?;
        match next() {
            Some(following) => part = following,
            None => return Ok(()),
        }
    }
}

/// Gives the error inside a flow the words an operator needs.
pub(crate) fn flow_fault(error: FlowError) -> Failure {
    let cause = match error.0.downcast::<PostgresError>() {
        Ok(postgres) => return database_fault(*postgres),
        Err(cause) => cause,
    };
    let cause = match cause.downcast::<ReadError>() {
        Ok(read) => match *read {
            ReadError::Postgres(postgres) => return database_fault(postgres),
            read => {
                return Failure::failed("cannot read the server", "see the cause").because(read);
            }
        },
        Err(cause) => cause,
    };
    let is_sink = cause.is::<SinkError>();
    let what = if is_sink { "cannot write the package" } else { "cannot pour a part" };
    Failure::failed(what, "run the same command again to go on").because(cause)
}
