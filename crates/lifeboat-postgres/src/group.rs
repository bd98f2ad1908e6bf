//! Several databases cut as one: what one program wrote because of what it read from another is
//! in all of the cuts or its effect is in none.
//!
//! In one cluster the snapshots are opened together until their texts are equal: transaction ids
//! belong to the cluster, so equal snapshots show the same point of all its databases. Else writers
//! of one small member, the *guarded* one, which every causal chain between the members passes
//! through, are held back for the milliseconds in which all snapshots are opened (the *barrier*).
//! The barrier is a `SHARE` lock that its owner may take; it waits for writers in flight, so none
//! of them is between being seen and being done.
//!
//! The lock lives in a session of its own, which the server ends when nothing is heard from it for
//! [`WATCHDOG`], so it is gone when this process is killed, stopped or cut off.

use std::time::Duration;

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout_at};

use super::PostgresError;
use super::connect::Connector;
use super::cut::Cut;

mod anchor;
mod barrier;
mod equality;

use anchor::Anchor;
pub use anchor::is_pooled;

/// How long a statement that takes the barrier may wait for writers, and hold others back.
pub const LOCK_TIMEOUT: Duration = Duration::from_millis(100);
/// How long all tries may take.
pub const BUDGET: Duration = Duration::from_secs(30);
/// The server ends the session of the barrier when it hears nothing for so long.
pub const WATCHDOG: Duration = Duration::from_secs(2);
/// We give the barrier up when the snapshots take longer.
pub const WINDOW_LIMIT: Duration = Duration::from_secs(1);

/// The first pause between tries; each is twice as long as the one before, up to the longest.
const FIRST_PAUSE_MILLIS: u64 = 20;
const LONGEST_PAUSE_MILLIS: u64 = 2000;

/// One database of a group.
#[derive(Clone)]
pub struct Member {
    /// What it is called in proofs and errors.
    pub name: String,
    /// The way to it: directly to the primary server, not through a pooler.
    pub connector: Connector,
    /// Its writers are held back in the barrier. Small, and all that connects the others passes
    /// through it.
    pub guarded: bool,
}

/// What is to be cut together, and how long that may take.
pub struct Group<'a> {
    /// The databases, in the order in which the cuts are wanted. Without the barrier's proof the
    /// guarded one is cut last.
    pub members: &'a [Member],
    /// [`LOCK_TIMEOUT`].
    pub lock_timeout: Duration,
    /// [`BUDGET`].
    pub budget: Duration,
    /// When it cannot be done, the snapshots are opened one after the other, and the proof says
    /// so: [`Method::Skew`].
    pub allow_skew: bool,
    /// 64 bits by chance: how long to pause, and a number that no other session uses.
    pub random: &'a (dyn Fn() -> u64 + Send + Sync),
}

impl<'a> Group<'a> {
    /// A group with the usual limits, and no skew.
    pub fn of(members: &'a [Member], random: &'a (dyn Fn() -> u64 + Send + Sync)) -> Self {
        Self { members, lock_timeout: LOCK_TIMEOUT, budget: BUDGET, allow_skew: false, random }
    }
}

/// Cuts that belong together.
pub struct GroupCut {
    /// One a member, in their order.
    pub cuts: Vec<Cut>,
    /// Why they do.
    pub proof: Proof,
}

/// How the cuts of a group were made one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// There is one database only.
    Alone,
    /// The snapshots' texts were equal in one cluster.
    SnapshotEquality,
    /// All snapshots were opened while no writer of the guarded member could commit.
    Barrier,
    /// One after the other, the guarded one last: **not proven**.
    Skew,
}

/// What a package says about how its databases were cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// How.
    pub method: Method,
    /// How often it was tried, the last time included; snapshots that were compared and not
    /// equal count.
    pub tries: u32,
    /// Microseconds from the first snapshot to the last, and for the barrier all the time that
    /// writers were held back.
    pub window_micros: u64,
    /// By the clock of the first member's server, RFC 3339 in UTC.
    pub opened_at: String,
    /// Why there is a skew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// One a member, in their order.
    pub members: Vec<MemberProof>,
}

/// Where a member was when it was cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberProof {
    /// The member's name.
    pub name: String,
    /// The database's name.
    pub database: String,
    /// `pg_current_snapshot()`.
    pub snapshot_text: String,
    /// Where the server's log was, if we may ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lsn: Option<String>,
    /// Which cluster it is, if we may ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_identifier: Option<String>,
}

/// Why there is no common cut.
#[derive(Debug, Error)]
pub enum GroupError {
    /// A member cannot be reached or refuses.
    #[error("the database of {member} cannot be cut")]
    Member {
        /// Its name.
        member: String,
        /// Cause.
        source: PostgresError,
    },
    /// A member is reached through a pooler that shares sessions out by transaction.
    #[error(
        "{member} is reached through a connection pooler in transaction mode, where a backup's \
         sessions are not its own; give the address of the PostgreSQL server itself"
    )]
    Pooler {
        /// Its name.
        member: String,
    },
    /// A member is a copy that lags behind.
    #[error(
        "{member} is reached on a standby server, which cannot be cut together with others; \
         give the address of the primary server"
    )]
    Standby {
        /// Its name.
        member: String,
    },
    /// The guarded member's tables cannot be locked.
    #[error(
        "the role may not lock the tables of {member} in SHARE mode; connect as their owner, or \
         grant it UPDATE on them (MAINTAIN from PostgreSQL 17)"
    )]
    NotAllowed {
        /// Its name.
        member: String,
        /// Cause.
        source: PostgresError,
    },
    /// The group has none or several members that could be guarded.
    #[error("a group of {count} databases needs one that is guarded, and has {guarded}")]
    Unguarded {
        /// Members.
        count: usize,
        /// Guarded members.
        guarded: usize,
    },
    /// The snapshots were not there in time, and the barrier was given up.
    #[error("the snapshots took longer than {} ms", WINDOW_LIMIT.as_millis())]
    Stalled,
    /// Every try failed.
    #[error(
        "the databases could not be cut together in {tries} tries within {} s; try again when \
         there is less going on, or allow a skew", budget.as_secs()
    )]
    Spent {
        /// How many.
        tries: u32,
        /// What was allowed.
        budget: Duration,
        /// What was wrong with the last one that ended.
        #[source]
        last: Option<Box<GroupError>>,
    },
}

impl GroupError {
    fn at(member: &Member) -> impl Fn(PostgresError) -> Self + '_ {
        |source| Self::Member { member: member.name.clone(), source }
    }

    /// Whether another try may succeed without anything else changing.
    fn is_transient(&self) -> bool {
        match self {
            Self::Member { source, .. } => {
                // Lock not given, statement cancelled by its limit, deadlock, table dropped, ended
                // by the watchdog (PostgreSQL documentation, appendix A).
                let passing = ["55P03", "57014", "40P01", "42P01", "25P03"];
                source.is_transient() || source.code().is_some_and(|code| passing.contains(&code))
            }
            Self::Stalled => true,
            _ => false,
        }
    }

    /// Whether snapshots one after the other would do.
    fn permits_skew(&self) -> bool {
        matches!(self, Self::Standby { .. } | Self::NotAllowed { .. } | Self::Spent { .. })
    }
}

/// Cuts all members at one point, as the module says.
///
/// A try that fails is made again whole, after a pause that grows, until the budget is spent.
///
/// # Errors
/// [`GroupError`]. Nothing is left open or locked.
pub async fn cut_together(group: &Group<'_>) -> Result<GroupCut, GroupError> {
    let (count, guarded) = (group.members.len(), group.members.iter().filter(|m| m.guarded));
    let guarded = guarded.count();
    if count == 0 || (count > 1 && guarded != 1) {
        return Err(GroupError::Unguarded { count, guarded });
    }
    let error = match all_tries(group).await {
        Ok(cut) => return Ok(cut),
        Err(error) => error,
    };
    if !group.allow_skew || !error.permits_skew() {
        return Err(error);
    }
    skew(group, &error).await
}

async fn all_tries(group: &Group<'_>) -> Result<GroupCut, GroupError> {
    let deadline = Instant::now() + group.budget;
    let mut tries = 0;
    let mut last = None;
    loop {
        let Ok(outcome) = timeout_at(deadline, attempt(group, &mut tries)).await else { break };
        match outcome {
            Err(error) if error.is_transient() => last = Some(Box::new(error)),
            outcome => return outcome,
        }
        let pause = pause(tries, (group.random)());
        if Instant::now() + pause >= deadline {
            break;
        }
        sleep(pause).await;
    }
    Err(GroupError::Spent { tries, budget: group.budget, last })
}

/// Between half and one and a half times what doubles with each try.
fn pause(tries: u32, random: u64) -> Duration {
    let doubled = FIRST_PAUSE_MILLIS << tries.saturating_sub(1).min(16);
    let usual = doubled.min(LONGEST_PAUSE_MILLIS);
    Duration::from_millis(usual / 2 + random % usual)
}

async fn attempt(group: &Group<'_>, tries: &mut u32) -> Result<GroupCut, GroupError> {
    let anchors = try_join_all(group.members.iter().map(Anchor::open)).await?;
    if let [alone] = anchors.as_slice() {
        *tries += 1;
        let begun = Instant::now();
        let seen = vec![alone.look().await?];
        return conclude(anchors, seen, Method::Alone, (*tries, begun.elapsed())).await;
    }
    if let Some(standby) = anchors.iter().find(|anchor| anchor.is_standby) {
        return Err(GroupError::Standby { member: standby.member.name.clone() });
    }
    if equality::share_cluster(&anchors, (group.random)()).await?
        && let Some((seen, window)) = equality::find(&anchors, tries).await?
    {
        return conclude(anchors, seen, Method::SnapshotEquality, (*tries, window)).await;
    }
    *tries += 1;
    let (seen, window) = barrier::hold(&anchors, group.lock_timeout).await?;
    conclude(anchors, seen, Method::Barrier, (*tries, window)).await
}

/// What a snapshot shows.
struct Seen {
    snapshot_text: String,
    lsn: Option<String>,
}

/// Makes cuts of anchors that have their snapshots.
async fn conclude(
    anchors: Vec<Anchor<'_>>,
    seen: Vec<Seen>,
    method: Method,
    (tries, window): (u32, Duration),
) -> Result<GroupCut, GroupError> {
    let (mut cuts, mut members) = (Vec::new(), Vec::new());
    for (anchor, seen) in anchors.into_iter().zip(seen) {
        let member = anchor.member;
        members.push(MemberProof {
            name: member.name.clone(),
            database: member.connector.database(),
            snapshot_text: seen.snapshot_text,
            lsn: seen.lsn,
            system_identifier: anchor.system_identifier,
        });
        let cut = Cut::export(anchor.client, &member.connector).await;
        cuts.push(cut.map_err(GroupError::at(member))?);
    }
    let opened_at = cuts.first().map(|cut| cut.opened_at.clone()).unwrap_or_default();
    let window_micros = u64::try_from(window.as_micros()).unwrap_or(u64::MAX);
    let proof = Proof { method, tries, window_micros, opened_at, reason: None, members };
    Ok(GroupCut { cuts, proof })
}

/// One after the other, the guarded member last: what a chain ends with may be missing, not what
/// it began with.
async fn skew(group: &Group<'_>, why: &GroupError) -> Result<GroupCut, GroupError> {
    let anchors = try_join_all(group.members.iter().map(Anchor::open)).await?;
    let mut order: Vec<usize> = (0..anchors.len()).collect();
    order.sort_by_key(|at| anchors[*at].member.guarded);
    let begun = Instant::now();
    let mut seen: Vec<Option<Seen>> = anchors.iter().map(|_| None).collect();
    for at in order {
        seen[at] = Some(anchors[at].look().await?);
    }
    let window = begun.elapsed();
    let tries = if let GroupError::Spent { tries, .. } = why { *tries } else { 0 } + 1;
    let seen = seen.into_iter().flatten().collect();
    let mut cut = conclude(anchors, seen, Method::Skew, (tries, window)).await?;
    cut.proof.reason = Some(why.to_string());
    Ok(cut)
}

#[cfg(test)]
mod tests;
