//! Work on several sessions at a time.

use std::collections::VecDeque;
use std::sync::Mutex;

use futures_util::future::try_join_all;
use lifeboat_components::postgres::Client;
use lifeboat_components::synapse::check::Findings;

use super::subject::Subject;
use crate::failure::Failure;

/// A lane's sessions: on the main database, and on that of the state store where it is another.
pub(super) struct Lane {
    pub(super) main: Client,
    pub(super) state: Option<Client>,
}

/// Does `work` for each item, and adds up what it finds.
pub(super) async fn for_each<T>(
    subject: &Subject,
    items: Vec<T>,
    work: impl AsyncFn(&Lane, T) -> Result<Findings, Failure>,
) -> Result<Findings, Failure> {
    let lanes = subject.lanes.min(items.len());
    let queue = Mutex::new(VecDeque::from(items));
    let next = || queue.lock().ok().and_then(|mut queue| queue.pop_front());
    let lanes = (0..lanes).map(|_| async {
        let (main, state) = (subject.session().await?, subject.state_session().await?);
        let lane = Lane { main, state };
        let mut found = Findings::default();
        while let Some(item) = next() {
            found.add(work(&lane, item).await?);
        }
        Ok::<_, Failure>(found)
    });
    let mut all = Findings::default();
    for found in try_join_all(lanes).await? {
        all.add(found);
    }
    all.problems.sort_by(|a, b| a.object.cmp(&b.object));
    all.notes.sort();
    Ok(all)
}
