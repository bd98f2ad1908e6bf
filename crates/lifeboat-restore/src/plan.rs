//! The plan: which steps, in which order, and what each of them touches.

use lifeboat_package::backup::Component;
use lifeboat_package::manifest::Manifest;
use lifeboat_suite::Kind;
use serde::{Deserialize, Serialize};

/// Gaps of a backup because of which nothing is missing.
pub const NOT_MISSING: &[&str] = &["unsigned"];
/// The same, and those that a step of the restore tells, which a plan has to.
pub const NOT_MISSING_OR_TOLD: &[&str] = &["unsigned", "replication"];
/// The gap of databases that were not cut at one instant, and the name of how they were cut.
const SKEW: &str = "skew";

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "step")]
pub enum What {
    /// Stops the components and sees that nothing answers.
    Fence,
    /// Puts configuration and secrets back.
    Configuration {
        /// Whose.
        component: String,
    },
    /// Looks whether every secret is there without which the rest is useless.
    Secrets,
    /// Makes a database again.
    Database {
        /// Whose.
        component: String,
        /// The component's name for it.
        database: String,
    },
    /// Applies the rules that keep people's messages.
    Rules {
        /// To which component.
        component: String,
    },
    /// Gives the rights in its databases again.
    Rights {
        /// Whose.
        component: String,
    },
    /// Puts the other files back.
    Files {
        /// Whose.
        component: String,
    },
    /// Compares accounts and sessions of MAS with users and devices of Synapse.
    Compare,
    /// Checks what was put back, before anything is started.
    Check,
    /// Takes back again what was taken back after the backup was made.
    Erasures {
        /// Of which component.
        component: String,
    },
    /// Starts a component.
    Start {
        /// Which.
        component: String,
    },
    /// Checks what runs, before clients are let in.
    Gate,
}

/// A step of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its number, from 1.
    pub number: u32,
    /// A short name: for `--only` and `--from-step`.
    pub name: String,
    /// What it does.
    #[serde(flatten)]
    pub what: What,
}

/// The order of kinds: what others need comes first.
pub fn rank(kind: &str) -> u32 {
    match kind.split('-').next().unwrap_or(kind) {
        "lifeboat" => 0,
        "synapse" => 1,
        "mas" => 2,
        "bridge" | "irc" | "xmpp" | "telegram" | "whatsapp" | "sip" | "hookshot" => 4,
        "sydent" => 5,
        "integrator" => 6,
        "sliding_sync" => 7,
        "adminbot" | "auditbot" => 8,
        _ => 9,
    }
}

/// Whether it is one of Synapse and MAS, which are put back together.
pub fn is_core(component: &Component) -> bool {
    matches!(component.kind.as_str(), "synapse" | "mas")
}

/// The steps that put these components back.
pub fn steps(components: &[&Component]) -> Vec<Step> {
    let mut components = components.to_vec();
    components.sort_by_key(|component| (rank(&component.kind), component.name.clone()));
    let name = |component: &&Component| component.name.clone();
    let mut steps = vec![What::Fence];
    steps.extend(components.iter().map(|c| What::Configuration { component: name(c) }));
    steps.push(What::Secrets);
    for component in &components {
        let databases = component.databases.iter();
        steps.extend(databases.map(|database| What::Database {
            component: name(component),
            database: database.name.clone(),
        }));
        if is_core(component) {
            steps.push(What::Rules { component: name(component) });
        }
        if component.databases.iter().any(|database| database.engine == "postgresql") {
            steps.push(What::Rights { component: name(component) });
        }
    }
    steps.extend(components.iter().map(|c| What::Files { component: name(c) }));
    if components.iter().filter(|c| is_core(c)).count() > 1 {
        steps.push(What::Compare);
    }
    steps.push(What::Check);
    let synapses = components.iter().filter(|component| component.kind == "synapse");
    steps.extend(synapses.map(|c| What::Erasures { component: name(c) }));
    // MAS before Synapse, which asks it for every token; everything else after both.
    let mut starting = components.clone();
    starting.sort_by_key(|c| (if c.kind == "mas" { 0 } else { rank(&c.kind) }, c.name.clone()));
    let core: Vec<What> = starting
        .iter()
        .filter(|c| is_core(c))
        .map(|c| What::Start { component: name(c) })
        .collect();
    if !core.is_empty() {
        steps.extend(core);
        steps.push(What::Gate);
    }
    let others = starting.iter().filter(|c| !is_core(c) && c.kind != "lifeboat");
    steps.extend(others.map(|c| What::Start { component: name(c) }));
    let numbered = steps.into_iter().zip(1..);
    numbered.map(|(what, number)| Step { number, name: what.name(), what }).collect()
}

/// What a restore loses, by what is known of the kinds.
pub fn losses(components: &[&Component]) -> Vec<String> {
    let mut losses =
        vec!["everything after the recovery point: messages, accounts, sign-ins".to_owned()];
    for component in components {
        let note = match Kind::labelled(&component.kind) {
            Some(Kind::Synapse) => {
                "devices that signed in since are signed out; one-time keys are made anew"
            }
            Some(Kind::Mas) => "sessions that renewed their tokens since are signed out",
            Some(Kind::Bridge(_)) => "its remote network may ask to pair again",
            _ => continue,
        };
        losses.push(format!("{}: {note}", component.name));
    }
    losses
}

/// What the backup does not have, as it says itself: no restore of it brings that back. Gaps of the
/// kinds in `without` are left out.
pub fn missing(manifest: &Manifest, without: &[&str]) -> Vec<String> {
    let gaps = &manifest.gaps;
    let is_told = |kind: &str| !without.contains(&kind);
    let first = gaps.first.iter().filter(|gap| is_told(&gap.kind));
    let mut missing: Vec<String> = first
        .map(|gap| format!("not in the backup: {} {}: {}", gap.kind, gap.object, gap.detail))
        .collect();
    let all: u64 = gaps.kinds.iter().filter(|(kind, _)| is_told(kind)).map(|(_, n)| n).sum();
    if let more @ 1.. = all.saturating_sub(missing.len() as u64) {
        missing.push(format!("not in the backup: {more} more, of {all}"));
    }
    // The first backups of this kind had no gap for it.
    let skewed = manifest.groups.iter().filter(|group| group.method == SKEW);
    missing.extend(skewed.filter(|_| !gaps.kinds.contains_key(SKEW)).map(|group| {
        let members = group.members.iter().map(|m| format!("{}/{}", m.component, m.database));
        format!("not in the backup: one instant for {}", members.collect::<Vec<_>>().join(" + "))
    }));
    missing
}

impl What {
    /// A short name.
    pub fn name(&self) -> String {
        match self {
            Self::Fence => "fence".to_owned(),
            Self::Configuration { component } => format!("configuration/{component}"),
            Self::Secrets => "secrets".to_owned(),
            Self::Database { component, database } => format!("database/{component}/{database}"),
            Self::Rules { component } => format!("rules/{component}"),
            Self::Rights { component } => format!("rights/{component}"),
            Self::Files { component } => format!("files/{component}"),
            Self::Compare => "compare".to_owned(),
            Self::Check => "check".to_owned(),
            Self::Erasures { component } => format!("erasures/{component}"),
            Self::Start { component } => format!("start/{component}"),
            Self::Gate => "gate".to_owned(),
        }
    }

    /// What it does, in words.
    pub fn words(&self) -> String {
        match self {
            Self::Fence => "stop everything, and see that nothing answers".to_owned(),
            Self::Configuration { component } => {
                format!("put configuration and secrets of {component} back")
            }
            Self::Secrets => "see that no secret is missing".to_owned(),
            Self::Database { component, database } => {
                format!("make database {database} of {component} again")
            }
            Self::Rules { component } => format!("make the database of {component} safe to start"),
            Self::Rights { component } => {
                format!("give the rights in the databases of {component} again")
            }
            Self::Files { component } => format!("put the files of {component} back"),
            Self::Compare => "compare the accounts of MAS with the users of Synapse".to_owned(),
            Self::Check => "check what was put back".to_owned(),
            Self::Erasures { component } => {
                format!("take back again what people of {component} took back since")
            }
            Self::Start { component } => format!("start {component}"),
            Self::Gate => "check what runs; then open it to clients".to_owned(),
        }
    }

    /// What has to be done once more when a database of `component` was made again.
    pub fn after_database(component: &str) -> [Self; 7] {
        let component = component.to_owned();
        [
            Self::Rules { component: component.clone() },
            Self::Rights { component: component.clone() },
            Self::Erasures { component: component.clone() },
            Self::Start { component },
            Self::Compare,
            Self::Check,
            Self::Gate,
        ]
    }

    /// Whether it puts data back, under which nothing may run.
    pub fn puts_data(&self) -> bool {
        matches!(self, Self::Database { .. } | Self::Rules { .. } | Self::Files { .. })
    }

    /// The component it is about, if it is about one.
    pub fn component(&self) -> Option<&str> {
        match self {
            Self::Configuration { component }
            | Self::Database { component, .. }
            | Self::Rules { component }
            | Self::Rights { component }
            | Self::Files { component }
            | Self::Erasures { component }
            | Self::Start { component } => Some(component),
            Self::Fence | Self::Secrets | Self::Compare | Self::Check | Self::Gate => None,
        }
    }
}
