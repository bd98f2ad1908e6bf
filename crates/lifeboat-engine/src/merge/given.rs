//! What goes to accounts, names and places that are there: in place of what is there, or under
//! another name.

use std::collections::BTreeSet;

use lifeboat_components::postgres::members::Members;
use lifeboat_components::synapse::merge::aliases::{self, Naming};
use lifeboat_components::synapse::merge::belongings::{self, Mapped};
use lifeboat_components::synapse::merge::journal::{self, Kind};
use lifeboat_components::synapse::merge::{look as there, media, stage, users};
use lifeboat_components::synapse::write::media::MediaStore;
use lifeboat_package::id::Section;
use lifeboat_rules::conflict::Action;
use lifeboat_rules::plan::{Line, Plan};

use super::apply::{Run, count, refused};
use super::look::Looked;
use super::report::wanted;
use super::{MergeOutcome, files};
use crate::failure::Failure;
use crate::import::check::database_fault;

/// Demands that everything that is mapped goes to an account that there is or will be, or under a
/// name that is free.
///
/// # Errors
/// [`Failure`] when it does not, or the database refuses.
pub(super) async fn demand_targets(looked: &Looked) -> Result<(), Failure> {
    let plan = &looked.plan;
    let refuse = |line: &Line, why: &str, remedy: &str| {
        let to = line.to.as_deref().unwrap_or_default();
        Err(Failure::failed(format!("{} cannot be mapped to {to}: {why}", line.id), remedy))
    };
    let targets: Vec<String> = mapped(&plan.users).filter_map(|line| line.to.clone()).collect();
    let accounts = there::accounts(&looked.session, &targets).await.map_err(database_fault)?;
    let coming = Plan::ids(&plan.users, Action::Add);
    for line in mapped(&plan.users) {
        let is_there = |to: &String| {
            accounts.get(to).is_some_and(|account| !account.deactivated) || coming.contains(to)
        };
        if !line.to.as_ref().is_some_and(is_there) {
            let remedy = "make the account first, or bring it along with --user";
            return refuse(line, "there is no such active account", remedy);
        }
    }
    let targets: Vec<String> = mapped(&plan.aliases).filter_map(|line| line.to.clone()).collect();
    let taken = there::aliases(&looked.session, &targets).await.map_err(database_fault)?;
    for line in mapped(&plan.aliases) {
        let found = line.to.as_ref().and_then(|to| taken.get(to));
        if found.is_some_and(|room| Some(room) != line.name.as_ref()) {
            return refuse(line, "that leads to another room", "choose another name in the plan");
        }
    }
    Ok(())
}

/// The lines of what is mapped.
pub(super) fn mapped(lines: &[Line]) -> impl Iterator<Item = &Line> {
    lines.iter().filter(|line| line.action == Action::Map)
}

/// The accounts that are mapped: from, to.
pub(super) fn pairs(plan: &Plan) -> impl Iterator<Item = (&str, &str)> {
    mapped(&plan.users).filter_map(|line| Some((line.id.as_str(), line.to.as_deref()?)))
}

impl Run<'_> {
    /// What belongs to people goes to the accounts that the plan names; rooms and accounts that
    /// come along are there by then.
    pub(super) async fn belongings(&self, outcome: &mut MergeOutcome) -> Result<(), Failure> {
        let session = &self.looked.session;
        for (from, to) in pairs(&self.looked.plan) {
            self.begin().await?;
            let mut mapped = self.stage_person(from, true).await?;
            to.clone_into(&mut mapped.to);
            let known = outcome.mapped.iter_mut().find(|known| known.from == from);
            (mapped.events, mapped.receipts) =
                known.map_or((0, 0), |known| (known.events, known.receipts));
            outcome.mapped.retain(|known| known.from != from);
            belongings::map(session, &self.stage, &self.id, &mut mapped).await.map_err(refused)?;
            count(&mut outcome.rows, mapped.rows.clone());
            if mapped.is_nothing() {
                outcome.gaps += 1;
                let nothing = format!("the package has nothing of {from} that could go to {to}");
                outcome.warnings.push(nothing);
            }
            outcome.mapped.push(mapped);
            self.commit().await?;
        }
        for user in Plan::ids(&self.looked.plan.users, Action::Replace) {
            self.begin().await?;
            self.stage_person(&user, false).await?;
            let replaced = belongings::replace(session, &self.stage, (&self.id, &user)).await;
            count(&mut outcome.rows, replaced.map_err(refused)?);
            outcome.replaced.push(user);
            self.commit().await?;
        }
        Ok(())
    }

    /// Stages what belongs to one person; with what belongs to the account's rooms. What else the
    /// package has of the account is counted.
    async fn stage_person(&self, user: &str, with_rooms: bool) -> Result<Mapped, Failure> {
        let looked = self.looked;
        let mut mapped = Mapped { from: user.to_owned(), ..Mapped::default() };
        self.stage.clear(&looked.session).await.map_err(refused)?;
        for (name, entry) in looked.of_section(Section::Users) {
            if belongings::is_one(&name) && self.stage.takes(&name) {
                let of_person =
                    |row: &Members<'_>| belongings::owner(&name, row).is_some_and(|o| o == user);
                self.load((&name, &entry), &of_person).await?;
            } else if name != users::ACCOUNTS && self.stage.takes(&name) {
                let lines = looked.package.content(&entry).await?;
                let rows = stage::records(&name, &lines).map_err(refused)?;
                let owned = rows.iter().filter_map(|row| users::owner(&name, row));
                let owned = owned.filter(|owner| owner == user).count() as u64;
                if owned > 0 {
                    *mapped.stays.entry(name).or_default() += owned;
                }
            }
        }
        let rooms: BTreeSet<String> = wanted(&looked.plan.rooms).into_iter().collect();
        for (name, entry) in looked.of_section(Section::Rooms) {
            if with_rooms && belongings::is_one(&name) && self.stage.takes(&name) {
                let of_person = |row: &Members<'_>| {
                    stage::of_rooms(row, &rooms)
                        && belongings::owner(&name, row).is_some_and(|owner| owner == user)
                };
                self.load((&name, &entry), &of_person).await?;
            }
        }
        Ok(mapped)
    }

    /// Staged rooms: receipts go to the account that the plan names, events keep their sender.
    pub(super) async fn in_rooms(&self, outcome: &mut MergeOutcome) -> Result<(), Failure> {
        let session = &self.looked.session;
        for (from, to) in pairs(&self.looked.plan) {
            let renamed = belongings::rename_receipts(session, &self.stage, (from, to)).await;
            let receipts = renamed.map_err(refused)?;
            let sent = belongings::sent(session, from).await.map_err(refused)?;
            let mapped = Mapped::among(&mut outcome.mapped, (from, to));
            mapped.events += sent;
            mapped.receipts += receipts;
        }
        Ok(())
    }

    /// The names of rooms that are there by now.
    pub(super) async fn aliases(&self, outcome: &mut MergeOutcome) -> Result<(), Failure> {
        let looked = self.looked;
        let rooms: BTreeSet<String> = wanted(&looked.plan.rooms).into_iter().collect();
        let is_to_be = |line: &&Line| {
            matches!(line.action, Action::Add | Action::Replace | Action::Map)
                && line
                    .name
                    .as_ref()
                    .is_some_and(|room| rooms.contains(room) && !outcome.left_out.contains(room))
        };
        let lines: Vec<&Line> = looked.plan.aliases.iter().filter(is_to_be).collect();
        if lines.is_empty() {
            return Ok(());
        }
        self.begin().await?;
        self.stage.clear(&looked.session).await.map_err(refused)?;
        for (name, entry) in looked.of_section(Section::Rooms) {
            if [aliases::TABLE, aliases::SERVERS].contains(&name.as_str()) {
                self.load((&name, &entry), &|_| true).await?;
            }
        }
        for line in lines {
            let named = line.to.as_deref().unwrap_or(&line.id);
            let alias = Naming { alias: &line.id, named, replaces: line.action == Action::Replace };
            let added = aliases::add(&looked.session, &self.stage, &self.id, alias).await;
            let added = added.map_err(refused)?;
            if added > 0 {
                *outcome.rows.entry(aliases::TABLE.to_owned()).or_default() += added;
                outcome.aliases.push(named.to_owned());
            }
        }
        self.commit().await
    }

    /// Sets the files aside that the plan says to replace.
    pub(super) async fn make_way(&self, store: &MediaStore) -> Result<(), Failure> {
        let looked = self.looked;
        for id in Plan::ids(&looked.plan.media, Action::Replace) {
            let records = looked.media.get(&id).map_or(&[][..], Vec::as_slice);
            let paths = files::in_the_way(&looked.opened.media_store, records)?;
            // Noted first: an undo looks for what was set aside, and for nothing else.
            let noted = (Kind::Aside, paths.as_slice());
            journal::note_all(&looked.session, &self.id, noted).await.map_err(refused)?;
            files::set_aside(store, &self.id, &paths)?;
        }
        Ok(())
    }

    /// The staged rows of files whose place others had.
    pub(super) async fn replace_media(&self, outcome: &mut MergeOutcome) -> Result<(), Failure> {
        for id in Plan::ids(&self.looked.plan.media, Action::Replace) {
            let of = (self.id.as_str(), id.as_str());
            let rows = media::replace(&self.looked.session, &self.stage, of).await;
            *outcome.rows.entry(media::FILES.to_owned()).or_default() += rows.map_err(refused)?;
        }
        Ok(())
    }
}
