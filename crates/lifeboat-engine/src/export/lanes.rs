//! Lanes: parallel sessions on one snapshot, each taking the next part until none is left.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use lifeboat_components::postgres::PostgresError;
use lifeboat_components::synapse::plan::{Part, Work};
use lifeboat_components::synapse::read::{Lane, PartSource, ReadError, Reading};
use lifeboat_package::flow::{FlowError, Source as _};
use lifeboat_package::id::PartPath;
use tokio::task::JoinSet;

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

/// Pours `todo`: rows and media in parallel, then the strays, the sequences, the gaps.
///
/// # Errors
/// [`Failure`] of the first lane that fails.
pub async fn pour_all(
    cx: &Context,
    source: &Source,
    todo: Vec<Part>,
    setting: Setting,
) -> Result<(), Failure> {
    // Strays are what no range of rooms held. Sequences are read after the last row: what was
    // handed out by then lies below them.
    let is_last = |part: &Part| matches!(part.work, Work::Strays | Work::Sequences | Work::Gaps);
    let (last, parallel): (Vec<Part>, Vec<Part>) = todo.into_iter().partition(is_last);
    let total = parallel.iter().map(|part| part.weight).sum();
    cx.stage("export", total, Unit::Bytes);
    pour(source, parallel, &setting, setting.lanes.max(1)).await?;
    pour(source, last, &setting, 1).await
}

/// Pours parts over so many lanes. Each is a task of its own, beside the tasks of its connections,
/// so that a row seldom has to wake another core. They end with this future.
async fn pour(
    source: &Source,
    parts: Vec<Part>,
    setting: &Setting,
    lanes: usize,
) -> Result<(), Failure> {
    let lanes = lanes.min(parts.len());
    let queue = Arc::new(Mutex::new(VecDeque::from(parts)));
    let mut tasks: JoinSet<Result<(), Failure>> = JoinSet::new();
    for _ in 0..lanes {
        let main = source.cut.lane().await.map_err(database_fault)?;
        let state = match &source.state_cut {
            Some(cut) => Some(cut.lane().await.map_err(database_fault)?),
            None => None,
        };
        let reading = source.reading.clone();
        let (to, run, queue) = (setting.to.clone(), setting.run, queue.clone());
        tasks.spawn(async move {
            let lane = Lane { main: &main, state: state.as_ref().unwrap_or(&main) };
            let next = || queue.lock().ok().and_then(|mut queue| queue.pop_front());
            while let Some(part) = next() {
                pour_part(lane, &reading, &part, (&to, run)).await?;
            }
            Ok(())
        });
    }
    let ended_early =
        |e| Failure::failed("a lane ended early", "run the same command again to go on").because(e);
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(ended_early)??;
    }
    Ok(())
}

async fn pour_part(
    lane: Lane<'_>,
    reading: &Arc<Reading>,
    part: &Part,
    (to, run): (&ToPackage, u32),
) -> Result<(), Failure> {
    let folder = PartPath { section: part.section, number: part.number, run };
    let mut sink = PartSink::new(to, folder, (part.number, run));
    let mut pouring = PartSource { lane, reading, work: &part.work };
    pouring.pour(&mut sink).await.map_err(flow_fault)?;
    sink.finish().await.map_err(|e| flow_fault(FlowError::new(e)))
}

/// Gives the error inside a flow the words an operator needs.
pub fn flow_fault(error: FlowError) -> Failure {
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
