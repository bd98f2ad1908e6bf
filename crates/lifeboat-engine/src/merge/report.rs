//! The verification report of an import into a living server: is what was wanted there, whole?
//!
//! The target is looked at anew, by the rows that others see by then. A dry run is looked at before
//! its rows go again.

use std::collections::BTreeSet;
use std::sync::Arc;

use lifeboat_components::synapse::check::events::{EventChecker, EventFindings, check_rooms};
use lifeboat_components::synapse::check::keys::{add_kept_keys, own_keys};
use lifeboat_components::synapse::check::rooms::PackagedRooms;
use lifeboat_components::synapse::check::run::Run;
use lifeboat_components::synapse::check::{Findings, access};
use lifeboat_components::synapse::merge::look as there;
use lifeboat_rules::conflict::{Action, State};
use lifeboat_rules::plan::{Line, Plan};

use super::look::Looked;
use super::{MergeOutcome, MergeRequest, given};
use crate::context::{Context, Unit};
use crate::failure::Failure;
use crate::import::ImportReport;
use crate::import::check::{answering_port, database_fault};
use crate::import::report::files::Hashed;
use crate::import::report::{Check, events, sign};
use crate::signature;

/// The check that asks Synapse as clients do.
pub(super) const CLIENT_ACCESS: &str = "client access";
/// What keeps a signed report from being taken for an event, a request or another report.
const REPORT_TYPE: &str = "org.lifeboat.living-import-report";

/// Rooms that the database is asked about at a time.
const BATCH: usize = 500;

/// Rooms of which the members' access is looked at.
const ACCESS_ROOMS: usize = 1_000;

/// Looks at everything that was wanted, and at who sees it; signs what was found.
///
/// # Errors
/// [`Failure`] when the package is damaged; what fails in the database is told in the report.
pub(super) async fn report(
    cx: &Context,
    request: &MergeRequest,
    (looked, outcome): (&mut Looked, &MergeOutcome),
) -> Result<ImportReport, Failure> {
    let began = (cx.now)();
    let now = looked.look_again(cx, request).await?;
    let mapped = arrived(looked).await?;
    let port = if request.dry_run { None } else { answering_port(&looked.opened) };
    let seed = u64::from_be_bytes(cx.random());
    let view = View { cx, request, looked, outcome, mapped, port, seed };
    let mut report = view.begin();
    let mut add = |name, made: Result<Check, Failure>| {
        report.checks.push(made.unwrap_or_else(|failure| Check::failed(name, &failure)));
    };
    add("rooms", view.rooms(&now).await);
    add("accounts", Ok(view.lines("accounts", (&looked.plan.users, &now.users))));
    add("aliases", Ok(view.lines("aliases", (&looked.plan.aliases, &now.aliases))));
    match view.events().await {
        Ok([content, signatures]) => {
            add("events", Ok(content));
            add("signatures", Ok(signatures));
        }
        Err(failure) => add("events", Err(failure)),
    }
    add("media", view.media(&now).await);
    add("access", view.access().await);
    add(CLIENT_ACCESS, view.client_access().await);
    report.valid = report.checks.iter().all(Check::lets_pass);
    report.seconds = (cx.now)() - began;
    sign(&mut report, &looked.opened.config);
    Ok(report)
}

/// What is looked at.
struct View<'a> {
    cx: &'a Context,
    request: &'a MergeRequest,
    looked: &'a Looked,
    outcome: &'a MergeOutcome,
    /// What was to go under another name, and is there.
    mapped: BTreeSet<String>,
    /// The port on which the server answers.
    port: Option<u16>,
    seed: u64,
}

/// Ids of what is mapped, where there is what it was mapped to.
async fn arrived(looked: &Looked) -> Result<BTreeSet<String>, Failure> {
    let targets = |lines| given::mapped(lines).filter_map(|line| line.to.clone());
    let (plan, session) = (&looked.plan, &looked.session);
    let users: Vec<String> = targets(&plan.users).collect();
    let users = there::accounts(session, &users).await.map_err(database_fault)?;
    let aliases: Vec<String> = targets(&plan.aliases).collect();
    let aliases = there::aliases(session, &aliases).await.map_err(database_fault)?;
    let has_arrived = |line: &&Line| {
        let Some(to) = &line.to else { return false };
        users.contains_key(to) || aliases.get(to).is_some_and(|at| Some(at) == line.name.as_ref())
    };
    let lines = given::mapped(&plan.users).chain(given::mapped(&plan.aliases));
    Ok(lines.filter(has_arrived).map(|line| line.id.clone()).collect())
}

/// Whether a line of the plan says that the target has the object in the end.
fn is_wanted(line: &Line) -> bool {
    match line.action {
        Action::Skip => line.state == State::Equal,
        Action::Add | Action::FillHistory | Action::Replace | Action::Map => true,
        Action::Stop => false,
    }
}

/// The ids of what the target has in the end, by the plan.
pub(super) fn wanted(lines: &[Line]) -> Vec<String> {
    lines.iter().filter(|line| is_wanted(line)).map(|line| line.id.clone()).collect()
}

impl View<'_> {
    fn begin(&self) -> ImportReport {
        let looked = self.looked;
        let mut report = ImportReport::begin(self.cx, (REPORT_TYPE, self.seed), &looked.package);
        report.trust.clone_from(&looked.trust);
        report.database = looked.database();
        report.media_store = looked.opened.media_store.display().to_string();
        report.run_seen_by =
            self.port.map(|port| format!("a Matrix server answers on port {port}"));
        report
    }

    /// What was planned, held against what would be planned now: there must be nothing left to do.
    /// What belongs to a room that was left out was left out with it.
    fn lines(&self, name: &'static str, (planned, now): (&[Line], &[Line])) -> Check {
        let rooms = self.looked.plan.rooms.iter().filter(|room| !is_wanted(room));
        let mut absent: BTreeSet<&str> = rooms.map(|room| room.id.as_str()).collect();
        absent.extend(self.outcome.left_out.iter().map(String::as_str));
        let mut findings = Findings::default();
        let mut left_out = 0_u64;
        for (line, now) in planned.iter().zip(now) {
            if !is_wanted(line) {
                left_out += 1;
                continue;
            }
            findings.checked += 1;
            match now.state {
                _ if line.action == Action::Map && self.mapped.contains(&line.id) => {}
                State::Equal if line.action != Action::Map => {}
                _ if absent.contains(line.id.as_str())
                    || line.name.as_deref().is_some_and(|room| absent.contains(room)) =>
                {
                    findings.note(format!("{}: left out: {}", line.id, now.reason));
                }
                _ => findings.problem(&line.id, &now.reason),
            }
        }
        let left = if left_out == 0 { String::new() } else { format!("; {left_out} left out") };
        let summary = format!("{} of {} selected are there{left}", findings.checked, planned.len());
        Check::made(name, summary, findings)
    }

    /// Every event of the package's timelines; of rooms that were added whole also members, state.
    async fn rooms(&self, now: &Plan) -> Result<Check, Failure> {
        let check = self.lines("rooms", (&self.looked.plan.rooms, &now.rooms));
        let whole = self.outcome.rooms.iter().filter(|room| room.what == "added");
        let counts = whole.map(|room| {
            let counts = self.looked.about.counts(&room.room_id);
            (room.room_id.clone(), counts)
        });
        let added = PackagedRooms::counted(counts);
        let found = added.compare(&self.looked.session, Run::BeforeFirstStart).await;
        let mut findings = check.findings;
        let found = Findings { checked: 0, ..found.map_err(database_fault)? };
        findings.add(found);
        let summary =
            format!("{}; events, members and state of {} counted", check.summary, added.len());
        Ok(Check::made(check.name, summary, findings))
    }

    /// Ids, content and signatures of every event of the rooms.
    async fn events(&self) -> Result<[Check; 2], Failure> {
        let looked = self.looked;
        let rooms = wanted(&looked.plan.rooms);
        if rooms.is_empty() {
            let none = |name| Check::not_checked(name, "no room was wanted");
            return Ok([none("events"), none("signatures")]);
        }
        let server = looked.opened.config.server_name.as_str();
        let mut keys = own_keys(&looked.opened.config);
        let has_own = keys.knows(server);
        if let Some((id, public)) = signature::named_key(&looked.package.manifest) {
            // The package is trusted by now, and so is what it says of its own key.
            keys.insert(server, id, public).ok();
        }
        let others = add_kept_keys(&looked.session, server, &mut keys).await;
        let others = others.map_err(database_fault)?;
        let total = rooms.iter().map(|room| looked.about.counts(room).events).sum();
        let checker = Arc::new(EventChecker::new(keys, self.seed, total));
        self.cx.stage("check events", rooms.len() as u64, Unit::Items);
        let lanes = self.request.import.lanes.max(1);
        let mut all = EventFindings::default();
        for rooms in rooms.chunks(BATCH) {
            let found = check_rooms(&looked.session, &checker, lanes, rooms).await;
            all.add(found.map_err(|e| {
                Failure::failed("cannot check the events", "see the cause, then run it again")
                    .because(e)
            })?);
            self.cx.advance(rooms.len() as u64);
        }
        Ok([events::content(&all), events::signatures(&all, has_own, others)])
    }

    /// Every file of the media that are wanted, hashed. Of those that were there before, what is
    /// wrong is no fault of the import and only told.
    async fn media(&self, now: &Plan) -> Result<Check, Failure> {
        let looked = self.looked;
        if self.request.dry_run {
            return Ok(Check::not_checked("media", "a dry run writes no files"));
        }
        let check = self.lines("media", (&looked.plan.media, &now.media));
        let lanes = self.request.import.lanes.max(1);
        let total = looked.plan.media.len() as u64;
        self.cx.stage("check media", total, Unit::Items);
        let root = looked.opened.media_store.as_path();
        let fresh = Hashed { run: Run::BeforeFirstStart, findings: Findings::default(), bytes: 0 };
        let before = Hashed { run: Run::AfterFirstStart, findings: Findings::default(), bytes: 0 };
        let mut hashed = [fresh, before];
        for line in looked.plan.media.iter().filter(|line| is_wanted(line)) {
            let records = looked.media.get(&line.id).cloned().unwrap_or_default();
            let at = usize::from(line.action == Action::Skip);
            hashed[at].hash(self.cx, (root, lanes), records).await?;
        }
        let [mut added, before] = hashed;
        added.bytes += before.bytes;
        added.findings.checked += before.findings.checked;
        for problem in before.findings.problems {
            added.findings.note(format!("{}: {}", problem.object, problem.detail));
        }
        added.findings.add(Findings { checked: 0, ..check.findings });
        let mut made = added.check();
        made.summary = format!("{}; {}", check.summary, made.summary);
        Ok(made)
    }

    /// Who is in the rooms by their state, and by what Synapse lists, both ways.
    async fn access(&self) -> Result<Check, Failure> {
        let looked = self.looked;
        let (mut rooms, users) = (wanted(&looked.plan.rooms), wanted(&looked.plan.users));
        rooms.truncate(ACCESS_ROOMS);
        let session = &looked.session;
        let drawn = access::sample_of(session, self.seed.cast_signed(), (&users, &rooms)).await;
        let drawn = drawn.map_err(database_fault)?;
        if drawn.is_empty() {
            return Ok(Check::not_checked("access", "no active user of this server is concerned"));
        }
        let found = access::check(session, &drawn, Some(&rooms)).await.map_err(database_fault)?;
        let summary = format!(
            "by the rows, {} users drawn: in one of {} rooms {} times, not in it {} times",
            found.users.checked,
            rooms.len(),
            found.joined,
            found.others
        );
        Ok(Check::made("access", summary, found.users))
    }

    /// What clients see, where Synapse runs and cannot have old answers in its memory.
    async fn client_access(&self) -> Result<Check, Failure> {
        let not_tried = |why: &str| Ok(Check::not_checked(CLIENT_ACCESS, why));
        if self.request.dry_run {
            return not_tried("not tried: a dry run leaves nothing for clients to see");
        }
        let Some(port) = self.port else {
            return not_tried("not tried: Synapse does not run; `access` is by the rows");
        };
        if self.outcome.changed && !self.outcome.restarted {
            return not_tried(
                "not tried: Synapse has to be restarted first; the same command then asks it",
            );
        }
        let looked = self.looked;
        let (rooms, users) = (wanted(&looked.plan.rooms), wanted(&looked.plan.users));
        let (session, seed) = (&looked.session, self.seed.cast_signed());
        let drawn = access::sample_of(session, seed, (&users, &rooms)).await;
        let drawn = drawn.map_err(database_fault)?;
        let as_users = access::ask_as_clients(session, &drawn, port).await;
        let mut findings = as_users.map_err(database_fault)?;
        let asked = findings.checked;
        let of_rooms = access::ask_about_rooms(session, seed, &rooms, port).await;
        let of_rooms = of_rooms.map_err(database_fault)?;
        let questions = of_rooms.checked;
        findings.add(of_rooms);
        if findings.checked == 0 {
            return not_tried("not tried: no user has an access token that Synapse keeps");
        }
        let summary = format!(
            "{asked} users asked on port {port} for their rooms; members and others asked \
             {questions} times who is in one of {} rooms",
            rooms.len()
        );
        Ok(Check::made(CLIENT_ACCESS, summary, findings))
    }
}
