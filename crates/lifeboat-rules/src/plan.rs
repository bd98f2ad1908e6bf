//! The plan of an import into a living server: a value that is printed, edited and read again.
//!
//! The plan is made anew for every run. What somebody edited are only the actions: they are taken
//! over where they are allowed by what the target is *now*.

#[cfg(test)]
mod tests;
mod yaml;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::conflict::{Action, State, Verdict};

/// Version of the plan's form.
pub const PLAN_VERSION: &str = "1.0";

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Always [`PLAN_VERSION`].
    pub plan: String,
    /// Package id.
    pub package: String,
    /// Server.
    pub server: String,
    /// What becomes of members of this server that have no account on the target.
    pub missing_members: MissingMembers,
    /// Rooms, by id.
    pub rooms: Vec<Line>,
    /// Accounts, by id.
    pub users: Vec<Line>,
    /// Aliases.
    pub aliases: Vec<Line>,
    /// Files of the media store, by path.
    pub media: Vec<Line>,
}

/// What becomes of a membership whose account the target lacks. Whoever registered that name later
/// would otherwise be in the room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingMembers {
    /// A deactivated account keeps the name.
    #[default]
    Placeholder,
    /// The server forgets that it has such a member; the room's state still names it.
    Drop,
}

/// One object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Its id.
    pub id: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The state on the target.
    pub state: State,
    /// What is done.
    pub action: Action,
    /// With `map`: the account, or the name, that it goes to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Why that is recommended.
    #[serde(default)]
    pub reason: String,
    /// What may be chosen.
    #[serde(default)]
    pub allowed: Vec<Action>,
}

/// An edited plan cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// It was made for another form of plan, package or server.
    #[error("the plan is for {field} {found}, this is {wanted}")]
    Other {
        /// Which.
        field: &'static str,
        /// In the file.
        found: String,
        /// Here.
        wanted: String,
    },
    /// It names something that is not selected.
    #[error("the plan names {kind} {id}, which the package or the selection does not have")]
    Unknown {
        /// Room, user, alias, media.
        kind: &'static str,
        /// Id.
        id: String,
    },
    /// It names something twice.
    #[error("the plan names {kind} {id} twice")]
    Twice {
        /// Room, user, alias, media.
        kind: &'static str,
        /// Id.
        id: String,
    },
    /// It does not say, or not well, what something is mapped to.
    #[error("{kind} {id} is to be mapped to {to}: {why}")]
    Target {
        /// User, alias.
        kind: &'static str,
        /// Id.
        id: String,
        /// What it says.
        to: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It asks for what cannot be done.
    #[error("{kind} {id} is {state} on the target: {action} cannot be done, only {allowed}")]
    NotAllowed {
        /// Room, user, alias, media.
        kind: &'static str,
        /// Id.
        id: String,
        /// State now.
        state: &'static str,
        /// What was asked for.
        action: &'static str,
        /// What may be.
        allowed: String,
    },
}

impl Line {
    /// A line that recommends what was decided.
    pub fn new(id: impl Into<String>, name: Option<String>, verdict: Verdict) -> Self {
        Self {
            id: id.into(),
            name,
            state: verdict.state,
            action: verdict.action,
            to: None,
            reason: verdict.reason,
            allowed: verdict.allowed.to_vec(),
        }
    }
}

impl Line {
    /// Whether the target has it as the package does.
    pub fn is_there(&self) -> bool {
        self.state == State::Equal
    }
}

impl Plan {
    /// An empty plan.
    pub fn new(package: impl Into<String>, server: impl Into<String>) -> Self {
        Self {
            plan: PLAN_VERSION.to_owned(),
            package: package.into(),
            server: server.into(),
            missing_members: MissingMembers::default(),
            rooms: Vec::new(),
            users: Vec::new(),
            aliases: Vec::new(),
            media: Vec::new(),
        }
    }

    /// Takes over the actions of a plan that was edited. What it does not name is skipped; what has
    /// been done since stays done.
    ///
    /// # Errors
    /// [`PlanError`] when it does not fit what is there now.
    pub fn follow(mut self, edited: &Self) -> Result<Self, PlanError> {
        let fields = [
            ("version", &edited.plan, &self.plan),
            ("package", &edited.package, &self.package),
            ("server", &edited.server, &self.server),
        ];
        for (field, found, wanted) in fields {
            if found != wanted {
                let (found, wanted) = (found.clone(), wanted.clone());
                return Err(PlanError::Other { field, found, wanted });
            }
        }
        self.missing_members = edited.missing_members;
        take_over("room", &mut self.rooms, &edited.rooms)?;
        take_over("user", &mut self.users, &edited.users)?;
        take_over("alias", &mut self.aliases, &edited.aliases)?;
        take_over("media", &mut self.media, &edited.media)?;
        self.check_targets()?;
        Ok(self)
    }

    /// Gives the belongings of accounts to others, as somebody asked beside the plan.
    ///
    /// # Errors
    /// [`PlanError`] when one of them is not selected, or cannot be mapped.
    pub fn map_users(&mut self, wanted: &[(String, String)]) -> Result<(), PlanError> {
        for (id, to) in wanted {
            let unknown = || PlanError::Unknown { kind: "user", id: id.clone() };
            let line = self.users.iter_mut().find(|line| line.id == *id).ok_or_else(unknown)?;
            line.action = Action::Map;
            line.to = Some(to.clone());
        }
        self.check_targets()
    }

    /// Whether everything that is mapped goes to another name of this server that nothing else goes
    /// to and that is not mapped itself.
    fn check_targets(&self) -> Result<(), PlanError> {
        let server = format!(":{}", self.server);
        for (kind, sigil, lines) in [("user", '@', &self.users), ("alias", '#', &self.aliases)] {
            let mapped: Vec<&Line> =
                lines.iter().filter(|line| line.action == Action::Map).collect();
            for line in &mapped {
                let to = line.to.as_deref().unwrap_or_default();
                let again = mapped.iter().filter(|other| other.to.as_deref() == Some(to)).count();
                let why = match to {
                    "" => "say with `to:` what it goes to",
                    _ if !to.starts_with(sigil) || !to.ends_with(&server) => {
                        "that is no such name of this server"
                    }
                    _ if to == line.id => "that is its own name",
                    _ if mapped.iter().any(|other| other.id == to) => "that is mapped itself",
                    _ if again > 1 => "so is another",
                    _ => continue,
                };
                let (id, to) = (line.id.clone(), to.to_owned());
                return Err(PlanError::Target { kind, id, to, why });
            }
        }
        Ok(())
    }

    /// The objects for which the import must not begin.
    pub fn stops(&self) -> impl Iterator<Item = &Line> {
        self.lines().filter(|line| line.action == Action::Stop)
    }

    /// Whether there is nothing to do.
    pub fn is_done(&self) -> bool {
        self.lines().all(|line| line.action == Action::Skip)
    }

    /// The ids of `lines` for which `action` is planned.
    pub fn ids(lines: &[Line], action: Action) -> Vec<String> {
        lines.iter().filter(|line| line.action == action).map(|line| line.id.clone()).collect()
    }

    /// The plan as YAML, to be edited.
    pub fn to_yaml(&self) -> String {
        yaml::write(self)
    }

    fn lines(&self) -> impl Iterator<Item = &Line> {
        [&self.rooms, &self.users, &self.aliases, &self.media].into_iter().flatten()
    }
}

fn take_over(kind: &'static str, now: &mut [Line], edited: &[Line]) -> Result<(), PlanError> {
    let mut wanted: BTreeMap<&str, (Action, &Option<String>)> = BTreeMap::new();
    for line in edited {
        if wanted.insert(&line.id, (line.action, &line.to)).is_some() {
            return Err(PlanError::Twice { kind, id: line.id.clone() });
        }
    }
    for line in now {
        let (action, to) = wanted.remove(line.id.as_str()).unwrap_or((Action::Skip, &None));
        let is_done = line.state == State::Equal && action != Action::Map;
        if !is_done && !line.allowed.contains(&action) && action != Action::Skip {
            let allowed: Vec<_> = line.allowed.iter().map(|action| yaml::action(*action)).collect();
            return Err(PlanError::NotAllowed {
                kind,
                id: line.id.clone(),
                state: yaml::state(line.state),
                action: yaml::action(action),
                allowed: allowed.join(", "),
            });
        }
        line.action = if is_done { Action::Skip } else { action };
        line.to = to.clone().filter(|_| line.action == Action::Map);
    }
    match wanted.into_keys().next() {
        Some(id) => Err(PlanError::Unknown { kind, id: id.to_owned() }),
        None => Ok(()),
    }
}
