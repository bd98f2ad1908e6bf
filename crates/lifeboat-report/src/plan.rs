//! The plan: which sections there are, and what each says.

use lifeboat_suite::catalogue::{self, Class, Row};
use lifeboat_vault::layout::at;

use crate::block::{Block, heading, text};
use crate::facts::{ComponentFacts, Facts, Seen};
use crate::{decisions, picture, proof};

pub(crate) fn title(facts: &Facts) -> String {
    format!("Disaster recovery plan of {}", facts.server_name)
}

pub(crate) fn blocks(facts: &Facts) -> Vec<Block> {
    let mut blocks = vec![
        heading(1, title(facts)),
        text(format!(
            "Written {} by {}. Print it, and keep it where this server is not.",
            at(facts.now),
            facts.generator
        )),
        text(format!("Vault: {}. Configuration: {}.", facts.vault, facts.config)),
    ];
    if let Some(problem) = &facts.vault_problem {
        blocks.push(text(format!(
            "THE VAULT COULD NOT BE READ: {problem}. What follows says \
            nothing of backups and drills."
        )));
    }
    for label in ["Who decides", "Who restores", "Reached at", "Where this plan is kept"] {
        blocks.push(Block::FillIn(label.to_owned()));
    }
    blocks.extend(components(facts));
    blocks.extend(proof::blocks(facts));
    blocks.extend(order(facts));
    blocks.extend(decisions::blocks(facts));
    blocks.extend(leak(facts));
    blocks.extend(keys(facts));
    blocks
}

fn row(component: &ComponentFacts) -> &'static Row {
    catalogue::row(component.kind)
}

fn components(facts: &Facts) -> Vec<Block> {
    let mut blocks = vec![heading(2, "What there is")];
    let head = vec!["component", "what", "last backup", "last verified", "last drill that passed"];
    for class in [Class::Critical, Class::Feature] {
        let of_class = || facts.components.iter().filter(|found| row(found).class() == class);
        if of_class().next().is_none() {
            continue;
        }
        blocks.push(match class {
            Class::Critical => heading(3, "Critical: there is no service without it"),
            Class::Feature => heading(3, "A part of the service"),
        });
        let cells = |found: &ComponentFacts| {
            let title = row(found).title.to_owned();
            let seen = [&found.backup, &found.verify, &found.drill].map(Seen::words);
            [found.name.clone(), title].into_iter().chain(seen).collect()
        };
        blocks.push(Block::Table { head: head.clone(), rows: of_class().map(cells).collect() });
        for found in of_class() {
            blocks.push(text(format!("{}: lost without a backup of it:", found.name)));
            let stores = row(found).stores.iter();
            let lost = |store: &catalogue::Store| format!("{}: {}", store.what, store.lost);
            blocks.push(Block::List(stores.map(lost).collect()));
            let mut places = found.databases.clone();
            places.extend(found.files.iter().cloned());
            places.extend(found.secrets.iter().map(|(name, path)| format!("{name}: {path}")));
            if !places.is_empty() {
                blocks.push(text(format!("{}: where it is:", found.name)));
                blocks.push(Block::List(places));
            }
        }
    }
    blocks
}

fn order(facts: &Facts) -> Vec<Block> {
    vec![
        heading(2, "The order of a restore"),
        text(
            "One row after the other; a restore of a part leaves out the rest. Clients and other \
            servers are let in after the last check.",
        ),
        Block::Order {
            picture: picture::of(&facts.order),
            steps: facts.order.iter().map(|step| step.what.words()).collect(),
        },
    ]
}

fn leak(facts: &Facts) -> Vec<Block> {
    let mut blocks = vec![
        heading(2, "When somebody else has the data"),
        text(
            "Backups are sealed: who has the vault and no private key of a recipient has nothing \
            but sizes and times. Who has such a key, or was on the server, has what follows.",
        ),
    ];
    for found in &facts.components {
        let row = row(found);
        let harm = row.sensitivity.word();
        blocks.push(heading(3, format!("{} (harm of a leak: {harm})", found.name)));
        let has = row.stores.iter().map(|store| format!("{}: {}", store.what, store.attacker));
        blocks.push(text("An attacker has:"));
        blocks.push(Block::List(has.collect()));
        if !row.revoke.is_empty() {
            blocks.push(text("To revoke or replace:"));
            blocks.push(Block::List(row.revoke.iter().map(|step| (*step).to_owned()).collect()));
        }
    }
    blocks
}

fn keys(facts: &Facts) -> Vec<Block> {
    let mut blocks = vec![
        heading(2, "Who can open the backups"),
        text(
            "Whoever holds the private key of one of these recipients. Without any of them every \
            backup is lost. Where private keys are kept is not known to this program: fill it in.",
        ),
    ];
    for recipient in &facts.recipients {
        blocks.push(Block::List(vec![recipient.clone()]));
        blocks.push(Block::FillIn("held by, and where".to_owned()));
    }
    if facts.recipients.len() == 1 {
        blocks.push(text(
            "There is one recipient only: a second one, kept elsewhere, survives the \
            loss of the first.",
        ));
    }
    blocks
}
