//! What is known of how much would be lost, how long it would take, and whether the copies are
//! enough. What was not seen is "not known".

use lifeboat_vault::layout::seconds_at;
use lifeboat_vault::list::{Listed, newest_verified};

use crate::block::{Block, heading, text};
use crate::facts::Facts;

const NOT_KNOWN: &str = "not known";

pub(crate) fn blocks(facts: &Facts) -> Vec<Block> {
    let mut blocks = vec![heading(2, "How much would be lost, and how long it would take")];
    blocks.push(Block::List(vec![recovery_point(facts), recovery_time(facts)]));
    let planned = facts.schedule.iter();
    let planned = planned.map(|(task, when)| format!("{task}: {when}"));
    blocks.push(text(format!("Planned: {}.", planned.collect::<Vec<_>>().join("; "))));
    blocks.extend(trend(facts));
    blocks.push(heading(2, "3-2-1-1-0"));
    blocks.push(Block::Table { head: vec!["", "rule", "state", "evidence"], rows: rule(facts) });
    blocks
}

fn recovery_point(facts: &Facts) -> String {
    match newest_verified(&facts.backups) {
        Some(listed) => format!(
            "Lost at the most now (RPO): what was written in the last {}, since the newest \
             verified backup of {} ({}). That is so for the components that are in it: see above.",
            span(facts.now - listed.begun),
            listed.begun_at,
            short(listed),
        ),
        None => format!("Lost at the most now (RPO): {NOT_KNOWN}, as no backup was verified."),
    }
}

fn recovery_time(facts: &Facts) -> String {
    let Some(drill) = facts.drills.iter().rev().find(|drill| drill.ok) else {
        return format!("Time to put everything back (RTO): {NOT_KNOWN}, as no drill passed.");
    };
    let mut text = format!(
        "Time to put everything back (RTO): {} in the drill of {}",
        span(drill.seconds),
        drill.drilled_at
    );
    text.push_str(if drill.servers_started {
        "; finding the key, getting a machine and starting anything but Synapse is not in it"
    } else {
        "; finding the key, getting a machine and starting servers is not in it"
    });
    let mut slow: Vec<_> = drill.steps.iter().filter(|step| step.seconds > 0).collect();
    slow.sort_by_key(|step| std::cmp::Reverse(step.seconds));
    let slow: Vec<String> =
        slow.iter().take(5).map(|step| format!("{} {} s", step.step, step.seconds)).collect();
    if !slow.is_empty() {
        text.push_str("; most of it: ");
        text.push_str(&slow.join(", "));
    }
    text.push('.');
    text
}

fn trend(facts: &Facts) -> Vec<Block> {
    if facts.drills.is_empty() {
        return vec![text("No drill was held: lifeboat drill holds one.")];
    }
    let rows = facts.drills.iter().rev().take(10).map(|drill| {
        let failed = || format!("FAILED: {}", drill.problems.join("; "));
        let came = if drill.ok { "passed".to_owned() } else { failed() };
        let age = drill.verified_age.map_or_else(|| NOT_KNOWN.to_owned(), span);
        vec![drill.drilled_at.clone(), came, span(drill.seconds), age]
    });
    let head = vec!["drill", "came of it", "time", "age of the newest verified backup"];
    vec![Block::Table { head, rows: rows.collect() }]
}

/// Three copies, two kinds of places, one elsewhere, one that cannot be changed, no errors.
fn rule(facts: &Facts) -> Vec<Vec<String>> {
    let row = |cells: [&str; 4]| cells.map(ToOwned::to_owned).to_vec();
    let is_bucket = facts.vault.contains("://");
    let place = if is_bucket { "a bucket" } else { "a folder" };
    let known = if facts.backups.is_empty() {
        "the data in use; no backup was seen".to_owned()
    } else {
        format!("the data in use, and the vault ({place}); others are {NOT_KNOWN}")
    };
    let (errors, evidence) = errors(facts);
    vec![
        row(["3", "three copies", &known, "lifeboat backup copy makes a second vault"]),
        row(["2", "on two kinds of storage", NOT_KNOWN, &format!("the vault is {place}")]),
        row(["1", "one of them elsewhere", NOT_KNOWN, &format!("the vault is {}", facts.vault)]),
        row(["1", "one that nobody can change", NOT_KNOWN, "object lock was not looked at"]),
        row(["0", "no errors when read and restored", &errors, &evidence]),
    ]
}

fn errors(facts: &Facts) -> (String, String) {
    let wrong: Vec<&Listed> =
        facts.backups.iter().filter(|listed| listed.verified == "wrong").collect();
    let drill = facts.drills.last();
    let verified = newest_verified(&facts.backups);
    let evidence = format!(
        "last verified: {}; last drill: {}",
        verified.and_then(|listed| listed.verified_at.as_deref()).unwrap_or("never"),
        drill.map_or("never", |drill| drill.drilled_at.as_str())
    );
    let state = if let Some(listed) = wrong.last() {
        format!("ERRORS: backup {} was found wrong", short(listed))
    } else if drill.is_some_and(|drill| !drill.ok) {
        "ERRORS: the last drill failed".to_owned()
    } else if verified.is_some() && drill.is_some() {
        "none found".to_owned()
    } else {
        NOT_KNOWN.to_owned()
    };
    let state =
        if stale(facts) { format!("{state}, and newer backups are not verified") } else { state };
    (state, evidence)
}

/// Whether the newest backup is newer than what was verified last.
fn stale(facts: &Facts) -> bool {
    let verified = newest_verified(&facts.backups).and_then(|listed| listed.verified_at.as_deref());
    let verified = verified.and_then(seconds_at);
    facts.backups.last().zip(verified).is_some_and(|(newest, verified)| newest.begun > verified)
}

fn short(listed: &Listed) -> &str {
    listed.backup.get(..12).unwrap_or(&listed.backup)
}

/// `1 d 2 h`, `3 h 4 min`, `5 min 6 s`.
pub(crate) fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}
