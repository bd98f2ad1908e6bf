//! Snapshots of one cluster that show the same point.

use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::time::Instant;

use crate::PostgresError;

use super::anchor::Anchor;
use super::{GroupError, Seen};

/// Pairs of snapshots compared before the barrier is taken instead. Under a load of some thousand
/// commits a second two or three do.
const COMPARISONS: u32 = 100;

/// True when all members are in one cluster: each sees an advisory lock of the first.
///
/// The identifier of the system would be the same for a copy of the cluster, too.
pub(super) async fn share_cluster(anchors: &[Anchor<'_>], key: u64) -> Result<bool, GroupError> {
    let Some((first, others)) = anchors.split_first() else { return Ok(true) };
    let key = key.cast_signed();
    let doing = |e| PostgresError::sorted("looked whether two databases are in one cluster", e);
    let lock = first.client.query_one("SELECT pg_try_advisory_lock($1)", &[&key]).await;
    let is_held: bool = lock.map_err(doing).map_err(GroupError::at(first.member))?.get(0);
    let mut all = is_held;
    for other in others {
        let seen = other
            .client
            .query_one(
                "SELECT EXISTS (
                     SELECT FROM pg_locks
                     WHERE locktype = 'advisory' AND granted AND objsubid = 1
                       AND ((classid::int8 << 32) | objid::int8) = $1)",
                &[&key],
            )
            .await;
        let seen = seen.map_err(doing).map_err(GroupError::at(other.member))?;
        all &= seen.get::<_, bool>(0);
    }
    let unlock = first.client.execute("SELECT pg_advisory_unlock($1)", &[&key]).await;
    unlock.map_err(doing).map_err(GroupError::at(first.member))?;
    Ok(all)
}

/// Opens all snapshots at once until they are equal, or `None` when they never were.
pub(super) async fn find(
    anchors: &[Anchor<'_>],
    tries: &mut u32,
) -> Result<Option<(Vec<Seen>, Duration)>, GroupError> {
    for _ in 0..COMPARISONS {
        *tries += 1;
        try_join_all(anchors.iter().map(Anchor::begin)).await?;
        let begun = Instant::now();
        let seen = try_join_all(anchors.iter().map(Anchor::see)).await?;
        let window = begun.elapsed();
        if seen.windows(2).all(|pair| pair[0].snapshot_text == pair[1].snapshot_text) {
            return Ok(Some((seen, window)));
        }
        try_join_all(anchors.iter().map(Anchor::forget)).await?;
    }
    Ok(None)
}
