//! The plan as YAML: one object a block, every text in double quotes, so that no id or reason can
//! be taken for anything else.

use std::fmt::Write;

use super::{Line, MissingMembers, Plan};
use crate::conflict::{Action, State};

const HEAD: &str = "\
# What the import would do. Change `action` to one of `allowed`; take a block out to skip it.
# With `action: map` say `to: \"...\"`, the account or alias that it goes to.
# missing_members: placeholder (a deactivated account keeps the name) or drop.
";

/// The whole plan.
pub(super) fn write(plan: &Plan) -> String {
    let mut out = String::from(HEAD);
    for (key, text) in [("plan", &plan.plan), ("package", &plan.package), ("server", &plan.server)]
    {
        push(&mut out, format_args!("{key}: {}\n", quoted(text)));
    }
    let missing = match plan.missing_members {
        MissingMembers::Placeholder => "placeholder",
        MissingMembers::Drop => "drop",
    };
    push(&mut out, format_args!("missing_members: {missing}\n"));
    let lists = [
        ("rooms", &plan.rooms),
        ("users", &plan.users),
        ("aliases", &plan.aliases),
        ("media", &plan.media),
    ];
    for (key, lines) in lists {
        push(&mut out, format_args!("{key}:{}\n", if lines.is_empty() { " []" } else { "" }));
        for line in lines {
            block(&mut out, line);
        }
    }
    out
}

fn block(out: &mut String, line: &Line) {
    push(out, format_args!("  - id: {}\n", quoted(&line.id)));
    if let Some(name) = &line.name {
        push(out, format_args!("    name: {}\n", quoted(name)));
    }
    push(out, format_args!("    state: {}\n", state(line.state)));
    push(out, format_args!("    action: {}\n", action(line.action)));
    if let Some(to) = &line.to {
        push(out, format_args!("    to: {}\n", quoted(to)));
    }
    push(out, format_args!("    reason: {}\n", quoted(&line.reason)));
    let allowed: Vec<&str> = line.allowed.iter().map(|allowed| action(*allowed)).collect();
    push(out, format_args!("    allowed: [{}]\n", allowed.join(", ")));
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a string cannot fail");
}

/// A YAML double-quoted scalar (YAML 1.2.2, 7.3.1).
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            ' '..='~' => out.push(c),
            _ if c.is_alphanumeric() => out.push(c),
            _ => push(&mut out, format_args!("\\U{:08x}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

/// The word for an action.
pub(super) fn action(action: Action) -> &'static str {
    match action {
        Action::Skip => "skip",
        Action::Add => "add",
        Action::FillHistory => "fill_history",
        Action::Replace => "replace",
        Action::Map => "map",
        Action::Stop => "stop",
    }
}

/// The word for a state.
pub(super) fn state(state: State) -> &'static str {
    match state {
        State::Absent => "absent",
        State::Purged => "purged",
        State::Equal => "equal",
        State::HistoryPurged => "history_purged",
        State::Differs => "differs",
        State::Blocked => "blocked",
        State::Joining => "joining",
    }
}
