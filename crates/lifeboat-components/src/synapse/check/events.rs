//! Every stored event: its id is that of its content, its content is whole, its signatures are
//! real.
//!
//! Rows are streamed; batches are checked on other threads while the next ones arrive, so that all
//! cores work and memory stays flat.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use thiserror::Error;
use tokio::task::JoinHandle;
use tokio_postgres::Client;

use super::Findings;
use crate::matrix::{Pdu, PduError, PublicKeys, RoomRules, Verdict, verify_event_signatures};
use crate::postgres::PostgresError;
use crate::postgres::columns::literal;
use crate::postgres::copy_out::RowStream;

/// The table that is read for it.
pub const CHECKED: &str = "event_json";
/// Events whose signatures are checked in one run, at most.
pub const SIGNATURES: u64 = 2_000;
/// Events, and bytes of them, that one thread is given at a time.
const BATCH_EVENTS: usize = 500;
const BATCH_BYTES: usize = 1 << 20;
const EVERY_EVENT: &str = "SELECT j.event_id, r.room_version, j.json
    FROM ONLY event_json j LEFT JOIN rooms r ON r.room_id = j.room_id";
/// Room versions, and servers without key, that are told apart.
const KINDS: usize = 20;

/// The events could not be checked.
#[derive(Debug, Error)]
pub enum EventsError {
    /// The database.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// A checking thread ended before its work was done.
    #[error("a checking thread ended early; this is a fault of ours, please report it")]
    Thread(#[source] tokio::task::JoinError),
}

/// What events are checked with.
pub struct EventChecker {
    keys: PublicKeys,
    seed: u64,
    /// An event whose draw is at most this is in the sample.
    share: u64,
    sampled: AtomicU64,
}

/// One stored event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Id, as the row says.
    pub event_id: String,
    /// Room version; none when the server does not know the room.
    pub room_version: Option<String>,
    /// The event, as it is stored.
    pub pdu: Vec<u8>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFindings {
    /// Ids and content.
    pub content: Findings,
    /// Events whose content a redaction took away; their ids fit.
    pub redacted: u64,
    /// Events that no rule covers, by room version or reason; not checked.
    pub unknown: BTreeMap<String, u64>,
    /// Signatures of the sample.
    pub signatures: Findings,
    /// Events of the sample whose signatures fit.
    pub signed: u64,
    /// Events of the sample without a key of the server that signed, by server; not checked.
    pub without_key: BTreeMap<String, u64>,
}

impl EventFindings {
    /// Adds what another stretch of the same check found.
    pub fn add(&mut self, other: Self) {
        self.content.add(other.content);
        self.redacted += other.redacted;
        self.signatures.add(other.signatures);
        self.signed += other.signed;
        for (kind, count) in other.unknown {
            count_kind(&mut self.unknown, &kind, count);
        }
        for (server, count) in other.without_key {
            count_kind(&mut self.without_key, &server, count);
        }
    }

    fn unknown(&mut self, kind: &str) {
        count_kind(&mut self.unknown, kind, 1);
    }
}

/// Counts by kind; kinds beyond [`KINDS`] are counted together.
fn count_kind(kinds: &mut BTreeMap<String, u64>, kind: &str, count: u64) {
    let kind = if kinds.contains_key(kind) || kinds.len() < KINDS { kind } else { "others" };
    *kinds.entry(kind.to_owned()).or_default() += count;
}

impl EventChecker {
    /// A checker with the keys to believe. Of about `events` events, `seed` draws which signatures
    /// are checked.
    pub fn new(keys: PublicKeys, seed: u64, events: u64) -> Self {
        let share = (u64::MAX / events.max(1)).saturating_mul(SIGNATURES);
        let share = if events <= SIGNATURES { u64::MAX } else { share };
        Self { keys, seed, share, sampled: AtomicU64::new(0) }
    }

    /// Checks a batch. CPU only.
    pub fn check(&self, batch: &[StoredEvent]) -> EventFindings {
        let mut findings = EventFindings::default();
        let mut rules: HashMap<&str, Option<RoomRules>> = HashMap::new();
        for event in batch {
            let Some(version) = event.room_version.as_deref() else {
                findings.unknown("rooms whose version the server does not know");
                continue;
            };
            let rules = rules.entry(version).or_insert_with(|| RoomRules::of(version));
            match rules {
                Some(rules) => self.check_one(event, version, rules, &mut findings),
                None => findings.unknown(&format!("room version {}", shortened(version))),
            }
        }
        findings
    }

    fn check_one(
        &self,
        event: &StoredEvent,
        version: &str,
        rules: &RoomRules,
        findings: &mut EventFindings,
    ) {
        let id = event.event_id.as_str();
        let pdu = match Pdu::parse(&event.pdu) {
            Ok(pdu) => pdu,
            Err(error) => {
                let verdict = verify_event_signatures(&event.pdu, version, &self.keys);
                if let Verdict::Unknown(_) = verdict {
                    findings.unknown("numbers that no rule covers");
                } else {
                    findings.content.checked += 1;
                    wrong(&mut findings.content, id, &error);
                }
                return;
            }
        };
        findings.content.checked += 1;
        match pdu.event_id(rules) {
            Ok(computed) if computed == id => {}
            Ok(computed) => {
                findings.content.problem(id, format!("its content has the id {computed}"));
                return;
            }
            Err(error) => return wrong(&mut findings.content, id, &error),
        }
        match pdu.content_hash_fits() {
            Ok(true) => {}
            Ok(false) => match pdu.is_stripped(rules) {
                Ok(true) => findings.redacted += 1,
                Ok(false) => {
                    findings.content.problem(id, "its content was changed: the hash does not fit");
                    return;
                }
                Err(error) => return wrong(&mut findings.content, id, &error),
            },
            Err(error) => return wrong(&mut findings.content, id, &error),
        }
        if self.draws(id) {
            self.check_signatures(id, &pdu, rules, findings);
        }
    }

    fn check_signatures(
        &self,
        id: &str,
        pdu: &Pdu,
        rules: &RoomRules,
        findings: &mut EventFindings,
    ) {
        match pdu.verify(rules, &self.keys) {
            Verdict::Good | Verdict::Redacted => {
                findings.signatures.checked += 1;
                findings.signed += 1;
            }
            Verdict::Bad(why) => {
                findings.signatures.checked += 1;
                findings.signatures.problem(id, why);
            }
            Verdict::NoKey(server) => {
                count_kind(&mut findings.without_key, &shortened(&server), 1);
            }
            Verdict::Unknown(why) => findings.unknown(&why),
        }
    }

    /// Whether an event is in the sample.
    pub(super) fn draws(&self, event_id: &str) -> bool {
        draw(self.seed, event_id.as_bytes()) <= self.share
            && self.sampled.fetch_add(1, Ordering::Relaxed) < SIGNATURES
    }
}

fn wrong(findings: &mut Findings, id: &str, error: &PduError) {
    let cause = std::error::Error::source(error).map_or_else(String::new, |e| format!(": {e}"));
    findings.problem(id, format!("{error}{cause}"));
}

/// Text from an event, as much as a report bears.
fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

/// A number that depends on every bit of seed and text, evenly spread: FNV-1a, then the finisher of
/// `SplitMix64`.
fn draw(seed: u64, text: &[u8]) -> u64 {
    let mixed = text.iter().fold(seed ^ 0xcbf2_9ce4_8422_2325, |mixed, byte| {
        (mixed ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Checks every stored event on up to `lanes` threads; `advance` is told how many more are done.
///
/// # Errors
/// [`EventsError`] when the server refuses or is lost.
pub async fn check_all(
    client: &Client,
    checker: &Arc<EventChecker>,
    lanes: usize,
    advance: impl Fn(u64),
) -> Result<EventFindings, EventsError> {
    check_those(client, checker, lanes, (EVERY_EVENT, &advance)).await
}

/// Checks every stored event of some rooms on up to `lanes` threads.
///
/// # Errors
/// [`EventsError`] when the server refuses or is lost.
pub async fn check_rooms(
    client: &Client,
    checker: &Arc<EventChecker>,
    lanes: usize,
    rooms: &[String],
) -> Result<EventFindings, EventsError> {
    let rooms: Vec<String> = rooms.iter().map(|room| literal(room)).collect();
    let query = format!("{EVERY_EVENT} WHERE j.room_id IN ({})", rooms.join(", "));
    check_those(client, checker, lanes, (&query, &|_| ())).await
}

async fn check_those(
    client: &Client,
    checker: &Arc<EventChecker>,
    lanes: usize,
    (query, advance): (&str, &dyn Fn(u64)),
) -> Result<EventFindings, EventsError> {
    let mut rows = RowStream::start(client, CHECKED, query).await?;
    let mut all = EventFindings::default();
    let mut running: FuturesUnordered<JoinHandle<EventFindings>> = FuturesUnordered::new();
    loop {
        let batch = next_batch(&mut rows).await?;
        if batch.is_empty() {
            break;
        }
        if running.len() > lanes
            && let Some(done) = running.next().await
        {
            all.add(done.map_err(EventsError::Thread)?);
        }
        advance(batch.len() as u64);
        let checker = Arc::clone(checker);
        running.push(tokio::task::spawn_blocking(move || checker.check(&batch)));
    }
    while let Some(done) = running.next().await {
        all.add(done.map_err(EventsError::Thread)?);
    }
    Ok(all)
}

async fn next_batch(rows: &mut RowStream) -> Result<Vec<StoredEvent>, PostgresError> {
    let mut batch = Vec::with_capacity(BATCH_EVENTS);
    let mut bytes = 0;
    while let Some(row) = rows.next().await? {
        let text = |at| row.field(at).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let pdu = row.field(2).unwrap_or_default().to_vec();
        bytes += pdu.len();
        let event_id = text(0).unwrap_or_default();
        batch.push(StoredEvent { event_id, room_version: text(1), pdu });
        if batch.len() >= BATCH_EVENTS || bytes >= BATCH_BYTES {
            break;
        }
    }
    Ok(batch)
}
