//! Package and target, side by side: what is selected, how the target stands to it, the plan.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use lifeboat_components::postgres::Client;
use lifeboat_components::postgres::columns::Column;
use lifeboat_components::postgres::members::Members;
use lifeboat_components::synapse::config::SynapseConfig;
use lifeboat_components::synapse::merge::about::{RoomsAbout, SUMMARY};
use lifeboat_components::synapse::merge::look::{self as there, Account, TimelineEvent};
use lifeboat_components::synapse::merge::{MergeError, belongings, media, stage, users};
use lifeboat_components::synapse::read::media::MediaRecord;
use lifeboat_components::synapse::write::rows::Columns;
use lifeboat_components::synapse::write::target;
use lifeboat_package::id::{PartPath, Section};
use lifeboat_package::manifest::Part;
use lifeboat_package::selection::{MediaScope, Scope};
use lifeboat_rules::conflict::{self, PlaceFacts, Presence, RoomFacts, UserFacts};
use lifeboat_rules::plan::{Line, Plan};
use lifeboat_storage::Access;

use super::files::{self, FileOf};
use super::{MergeOutcome, MergeRequest};
use crate::context::{Context, Unit};
use crate::failure::Failure;
use crate::import::check::database_fault;
use crate::import::trust;
use crate::reader::picked::{self, Picked};
use crate::reader::{EntryPlace, Package, PartEntries, damaged, records};
use crate::server::Opened;
use crate::signature;

/// Everything that is known before anything is done.
pub(super) struct Looked {
    pub(super) package: Package,
    pub(super) opened: Opened,
    pub(super) session: Client,
    pub(super) trust: String,
    pub(super) warnings: Vec<String>,
    pub(super) entries: PartEntries,
    pub(super) columns: Columns,
    pub(super) about: RoomsAbout,
    /// The selected rooms of each part that holds rooms.
    pub(super) of_parts: BTreeMap<PartPath, BTreeSet<String>>,
    /// The files of each selected media id.
    pub(super) media: BTreeMap<String, Vec<MediaRecord>>,
    /// The SHA-256 of each selected media id, where the package's server knew it.
    sums: BTreeMap<String, Option<String>>,
    /// The selected media ids whose file was never uploaded: there is only a row.
    promised: BTreeSet<String>,
    pub(super) plan: Plan,
}

/// Reads what is selected and looks at the target. Changes nothing.
///
/// # Errors
/// [`Failure`] when the package is not to be trusted or damaged, or does not fit the target.
pub(super) async fn look(cx: &Context, request: &MergeRequest) -> Result<Looked, Failure> {
    let import = &request.import;
    let access = Access::new(import.server.environment.iter().cloned());
    let package = Package::open(&import.package, &import.identities, &access).await?;
    let opened = import.server.open()?;
    let trust = trust::demand(&package, &opened.config, import)?;
    cx.note(format!("package of {}: {trust}", package.manifest.metadata.server_id));
    let session = fitting(&package, &opened).await?;
    let mut warnings = opened.notes.clone();
    warnings.extend(foreign_key(&package, &opened.config));
    let entries = package.part_entries().await?;
    let columns = package.manifest.tables.iter().map(|table| {
        let columns = table.columns.iter().map(|(name, kind)| Column::new(name, kind));
        (table.name.clone(), columns.collect())
    });
    let plan = Plan::new(
        package.manifest.package.to_string(),
        package.manifest.metadata.server_id.as_str(),
    );
    let mut looked = Looked {
        sums: BTreeMap::new(),
        promised: BTreeSet::new(),
        about: RoomsAbout::default(),
        columns: columns.collect(),
        of_parts: BTreeMap::new(),
        media: BTreeMap::new(),
        package,
        opened,
        session,
        trust,
        warnings,
        entries,
        plan,
    };
    cx.stage("look", looked.entries.len() as u64, Unit::Items);
    looked.choose_rooms(request).await?;
    looked.media(request).await?;
    looked.compare(request).await?;
    Ok(looked)
}

/// A session on a server of the same name, claimed for this import.
async fn fitting(package: &Package, opened: &Opened) -> Result<Client, Failure> {
    let (theirs, ours) = (&package.manifest.metadata.server_id, &opened.config.server_name);
    let other = |name: &str| {
        Failure::failed(
            format!("the package is of {theirs}, the target is {name}"),
            "rows go into a server of the same name only",
        )
    };
    if theirs != ours {
        return Err(other(ours));
    }
    if opened.state.is_some() {
        return Err(Failure::failed(
            "the target keeps state in a database of its own",
            "this cannot be done yet; import into a server with one database",
        ));
    }
    let session = target::session(&opened.main).await.map_err(database_fault)?;
    let found = there::server_of_accounts(&session).await.map_err(database_fault)?;
    if let Some(found) = found.filter(|found| found != ours) {
        return Err(other(&found));
    }
    let counting = there::counting(&session).await.map_err(database_fault)?;
    if !counting.is_empty() {
        return Err(Failure::failed(
            format!("Synapse still counts its rooms and people: {}", counting.join(", ")),
            "let Synapse run until these background updates are done (a minute on a fresh server), \
             then run the command again",
        ));
    }
    if !target::claim(&session).await.map_err(database_fault)? {
        return Err(Failure::failed(
            format!("another import works on database {}", opened.main.database()),
            "wait for it to end, or stop it, then run this command again",
        ));
    }
    Ok(session)
}

/// Events keep their signatures; other servers have to find the key that made them.
fn foreign_key(package: &Package, target: &SynapseConfig) -> Option<String> {
    let (id, public) = signature::named_key(&package.manifest)?;
    let keys = target.signing_keys().unwrap_or_default();
    let old = target.old_signing_keys().unwrap_or_default();
    let is_ours = keys.iter().any(|key| key.public_base64() == public)
        || old.iter().any(|key| key.key == public);
    (!is_ours).then(|| {
        format!(
            "the package's events are signed with {id} {public}, which the target does not \
             publish: add it to old_signing_keys, so that other servers can check them"
        )
    })
}

impl Looked {
    /// The plan that would be made now, as far as the target goes.
    ///
    /// # Errors
    /// [`Failure`] when the package is damaged or the database refuses.
    pub(super) async fn look_again(
        &mut self,
        cx: &Context,
        request: &MergeRequest,
    ) -> Result<Plan, Failure> {
        cx.stage("look again", 0, Unit::Items);
        let fresh = Plan::new(&self.plan.package, &self.plan.server);
        let followed = mem::replace(&mut self.plan, fresh);
        let compared = self.compare(request).await;
        let now = mem::replace(&mut self.plan, followed);
        compared.map(|()| now)
    }

    /// Holds what is selected against the target.
    async fn compare(&mut self, request: &MergeRequest) -> Result<(), Failure> {
        self.rooms(request).await?;
        self.users(request).await?;
        self.aliases().await?;
        self.media_lines().await
    }

    /// The content of the entries of one name, in one part.
    fn named(&self, part: &PartPath, name: &str) -> Vec<EntryPlace> {
        self.entries.get(part).and_then(|names| names.get(name)).cloned().unwrap_or_default()
    }

    /// The entries of all parts of a section, with their names.
    pub(super) fn of_section(&self, section: Section) -> Vec<(String, EntryPlace)> {
        let parts = self.entries.iter().filter(|(part, _)| part.section == section);
        let named = parts.flat_map(|(_, names)| {
            names
                .iter()
                .flat_map(|(name, list)| list.iter().map(|entry| (name.clone(), entry.clone())))
        });
        named.collect()
    }

    async fn choose_rooms(&mut self, request: &MergeRequest) -> Result<(), Failure> {
        let chosen = picked::rooms(&self.package, &self.entries, &request.selection).await?;
        let server = self.opened.config.server_name.clone();
        let parts: Vec<Part> = self.package.manifest.sections.rooms.clone();
        for part in parts.iter().filter(|part| may_hold(part, chosen.as_ref())) {
            let mut rooms = BTreeSet::new();
            for entry in self.named(&part.part, SUMMARY) {
                let lines = self.package.content(&entry).await?;
                rooms.extend(self.about.take_summaries(&lines).map_err(unreadable)?);
            }
            rooms.retain(|room| chosen.as_ref().is_none_or(|chosen| chosen.contains(room)));
            if rooms.is_empty() {
                continue;
            }
            for name in RoomsAbout::WANTS {
                for entry in self.named(&part.part, name) {
                    let lines = self.package.content(&entry).await?;
                    self.about.take(name, &server, &lines).map_err(unreadable)?;
                }
            }
            self.of_parts.insert(part.part, rooms);
        }
        Ok(())
    }

    async fn rooms(&mut self, request: &MergeRequest) -> Result<(), Failure> {
        let cut = request.selection.is_cut() || self.package.manifest.selection.is_cut();
        for (part, rooms) in self.of_parts.clone() {
            let ids: Vec<String> = rooms.iter().cloned().collect();
            let there = there::rooms(&self.session, &ids).await.map_err(database_fault)?;
            let joining = there::joining(&self.session, &ids).await.map_err(database_fault)?;
            let living: BTreeSet<String> =
                there.iter().filter(|(_, there)| there.here).map(|(id, _)| id.clone()).collect();
            let timelines = self.timelines(&part, &living, request).await?;
            for id in ids {
                let there = there.get(&id).copied().unwrap_or_default();
                let events = timelines.get(&id).map_or(&[][..], Vec::as_slice);
                let lacking = if there.here {
                    there::lacking(&self.session, &id, events).await.map_err(database_fault)?
                } else {
                    there::Lacking::default()
                };
                let facts = RoomFacts {
                    presence: Presence::of((there.here, there.blocked, there.was_here)),
                    joining: joining.contains(&id) || self.about.joining.contains(&id),
                    cut,
                    remote_members: self.about.remote.get(&id).copied().unwrap_or(0),
                    missing: lacking.missing,
                    older: lacking.older,
                };
                let summary = self.about.rooms.get(&id);
                let name =
                    summary.and_then(|room| room.name.clone().or(room.canonical_alias.clone()));
                self.plan.rooms.push(Line::new(id, name, conflict::room(facts)));
            }
        }
        Ok(())
    }

    async fn timelines(
        &self,
        part: &PartPath,
        rooms: &BTreeSet<String>,
        request: &MergeRequest,
    ) -> Result<BTreeMap<String, Vec<TimelineEvent>>, Failure> {
        let mut timelines: BTreeMap<String, Vec<TimelineEvent>> = BTreeMap::new();
        if rooms.is_empty() {
            return Ok(timelines);
        }
        let inside = |row: &Members<'_>| stage::is_inside(row, &request.selection);
        for entry in self.named(part, stage::EVENTS) {
            let lines = self.package.content(&entry).await?;
            for (room, event) in there::timelines(&lines, rooms, &inside).map_err(unreadable)? {
                timelines.entry(room).or_default().push(event);
            }
        }
        Ok(timelines)
    }

    /// The selected accounts.
    async fn users(&mut self, request: &MergeRequest) -> Result<(), Failure> {
        let mut packaged: BTreeMap<String, Account> = BTreeMap::new();
        for (name, entry) in self.of_section(Section::Users) {
            if name == users::ACCOUNTS {
                let lines = self.package.content(&entry).await?;
                packaged.extend(there::packaged_accounts(&lines).map_err(unreadable)?);
            }
        }
        let mapped = |user: &String| request.map_users.iter().any(|(from, _)| from == user);
        packaged.retain(|user, _| match &request.selection.users {
            _ if mapped(user) => true,
            Scope::All => true,
            Scope::None => false,
            Scope::Only(picks) => picks.iter().any(|pick| pick.fits(user)),
        });
        // Rooms tell of people whose account the package does not have.
        for (from, _) in &request.map_users {
            packaged.entry(from.clone()).or_insert(Account { created: None, deactivated: false });
        }
        let ids: Vec<String> = packaged.keys().cloned().collect();
        if let (Scope::Only(picks), true) = (&request.selection.users, ids.is_empty()) {
            let names: Vec<String> = picks.iter().map(ToString::to_string).collect();
            let what = format!("the package has no account {}", names.join(", "));
            return Err(Failure::usage(what, "lifeboat inspect tells what a package holds"));
        }
        let there = there::accounts(&self.session, &ids).await.map_err(database_fault)?;
        let changed = self.changed(there.keys().cloned().collect()).await?;
        for (id, account) in packaged {
            let facts = match there.get(&id) {
                None => UserFacts::Absent,
                Some(found) if found.created != account.created => UserFacts::Other,
                Some(found) if found.deactivated && !account.deactivated => UserFacts::Deactivated,
                Some(_) if changed.contains(&id) => UserFacts::Changed,
                Some(_) => UserFacts::Same,
            };
            self.plan.users.push(Line::new(id, None, conflict::user(facts)));
        }
        Ok(())
    }

    /// Those of some accounts of the target that are set up in another way than in the package.
    async fn changed(&self, users: BTreeSet<String>) -> Result<BTreeSet<String>, Failure> {
        let mut packaged = belongings::Packaged::default();
        for (name, entry) in self.of_section(Section::Users) {
            if belongings::is_one(&name) && !users.is_empty() {
                let lines = self.package.content(&entry).await?;
                let rows = stage::records(&name, &lines).map_err(unreadable)?;
                packaged.take(&name, &rows, &users);
            }
        }
        packaged.differing(&self.session).await.map_err(database_fault)
    }

    /// The aliases of rooms that are to be added.
    async fn aliases(&mut self) -> Result<(), Failure> {
        let rooms: BTreeSet<&String> = self.of_parts.values().flatten().collect();
        let wanted: BTreeMap<&String, &String> =
            self.about.aliases.iter().filter(|(_, room)| rooms.contains(room)).collect();
        let ids: Vec<String> = wanted.keys().map(|alias| (*alias).clone()).collect();
        let there = there::aliases(&self.session, &ids).await.map_err(database_fault)?;
        let lines = wanted.into_iter().map(|(alias, room)| {
            let facts = match there.get(alias) {
                None => PlaceFacts::Free,
                Some(found) if found == room => PlaceFacts::Same,
                Some(_) => PlaceFacts::Other,
            };
            Line::new(alias, Some(room.clone()), conflict::alias(facts))
        });
        self.plan.aliases = lines.collect();
        Ok(())
    }

    /// The media that are selected, with rooms, with accounts, or by themselves.
    async fn media(&mut self, request: &MergeRequest) -> Result<(), Failure> {
        if request.selection.media == MediaScope::None {
            return Ok(());
        }
        let Picked { mut filter, entries } =
            picked::pick(&self.package, &self.entries, &request.selection).await?;
        let mut sums: BTreeMap<String, Option<String>> = BTreeMap::new();
        for (part, name, entry) in entries {
            let teaches = match part.section {
                Section::Rooms => name == stage::EVENTS && request.selection.is_partial(),
                Section::Users => request.selection.is_partial(),
                Section::Media => true,
                Section::Server | Section::Config | Section::Backup => false,
            };
            if !teaches {
                continue;
            }
            let damaged = || damaged(entry.record.path.as_str());
            let lines = self.package.content(&entry).await?;
            let lines = filter.lines(part.section, &name, &lines);
            let lines = lines.map_err(|e| damaged().because(e))?;
            if name == media::FILES {
                let rows = media::packaged(&lines).map_err(unreadable)?.into_iter();
                for row in rows.filter(|row| !row.is_preview) {
                    if !row.is_uploaded {
                        self.promised.insert(row.id.clone());
                    }
                    sums.insert(row.id, row.sha256);
                }
            }
            if part.section == Section::Media && name == "index" {
                for record in records::<MediaRecord>(&entry, &lines)? {
                    let id = record.mxc.rsplit('/').next().unwrap_or_default().to_owned();
                    if media::KINDS.contains(&record.kind.as_str()) && sums.contains_key(&id) {
                        self.media.entry(id).or_default().push(record);
                    }
                }
            }
        }
        self.sums = sums;
        Ok(())
    }

    async fn media_lines(&mut self) -> Result<(), Failure> {
        let ids: Vec<String> = self.sums.keys().cloned().collect();
        let there = media::there(&self.session, &ids).await.map_err(database_fault)?;
        for (id, packaged) in &self.sums {
            let records = self.media.get(id).map_or(&[][..], Vec::as_slice);
            let file = FileOf::look(&self.opened.media_store, records)?;
            let facts = match there.get(id) {
                Some(found) if found.is_none() || packaged.is_none() || found == packaged => {
                    PlaceFacts::Same
                }
                _ if !files::has_original(records) && !self.promised.contains(id) => {
                    PlaceFacts::Lacking
                }
                Some(_) => PlaceFacts::Other,
                None if file == FileOf::Other => PlaceFacts::Other,
                None => PlaceFacts::Free,
            };
            self.plan.media.push(Line::new(id, None, conflict::media(facts)));
        }
        Ok(())
    }

    /// Database and where it is.
    pub(super) fn database(&self) -> String {
        format!("{} at {}", self.opened.main.database(), self.opened.main.place())
    }

    /// The outcome so far: nothing was done.
    pub(super) fn begin(&self) -> MergeOutcome {
        MergeOutcome {
            server_name: self.opened.config.server_name.clone(),
            package: self.package.manifest.package.to_string(),
            trust: self.trust.clone(),
            database: self.database(),
            plan: Some(self.plan.clone()),
            warnings: self.warnings.clone(),
            ..MergeOutcome::default()
        }
    }

    /// The outcome of having written the plan.
    pub(super) fn planned(&self, path: &std::path::Path) -> MergeOutcome {
        let file = path.display().to_string();
        let next = format!("look at {file}, change what you like, then run the same command again");
        MergeOutcome { plan_file: Some(file), next: vec![next], ..self.begin() }
    }
}

/// Whether a part can hold one of the rooms; any, where there is no list.
fn may_hold(part: &Part, rooms: Option<&BTreeSet<String>>) -> bool {
    let fits = |id: &String| {
        part.from.as_ref().is_none_or(|from| from <= id)
            && part.to.as_ref().is_none_or(|to| id < to)
    };
    rooms.is_none_or(|rooms| rooms.iter().any(fits))
}

/// A record of the package is not what it should be.
pub(super) fn unreadable(error: MergeError) -> Failure {
    Failure::not_valid("the package holds a record that cannot be read", "verify the package")
        .because(error)
}
