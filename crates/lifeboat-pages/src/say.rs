//! An event as plain text: for quotes, for text files, for spreadsheets.

use serde_json::Value;

use crate::event::{self, Event};
use crate::tame;
use crate::timeline::{Gone, Timeline};

/// What an event says, as plain text that may have several lines.
pub fn text(timeline: &Timeline, index: usize) -> String {
    let Some(event) = timeline.event(index) else { return String::new() };
    if let Some(gone) = timeline.gone(index) {
        return format!("[{}]", gone_words(gone));
    }
    if !event.is_readable() {
        return format!("[{}]", unreadable_words(event));
    }
    if let Some(words) = timeline.words(index) {
        return tame::tame(words);
    }
    if let Some(poll) = timeline.poll(index) {
        let answers = poll.answers.iter().map(|a| format!("{} ({})", a.text, a.votes));
        let answers: Vec<String> = answers.collect();
        let closed = if poll.is_closed { ", closed" } else { "" };
        let told = format!("Poll{closed}: {} — {}", poll.question, answers.join(", "));
        return tame::tame(&told);
    }
    tame::tame(&content_text(timeline, index, event))
}

fn content_text(timeline: &Timeline, index: usize, event: &Event) -> String {
    let Some(content) = timeline.content(index) else { return String::new() };
    match event.kind.as_str() {
        "m.room.encrypted" => {
            let session = event.text("session_id").unwrap_or("unknown");
            format!("[Encrypted message, session {session}]")
        }
        "m.room.message" | "m.sticker" => {
            let spoken = body(event, event::body(content)).to_owned();
            match content.get("msgtype").and_then(Value::as_str) {
                Some("m.emote") => format!("* {} {spoken}", timeline.sender_name(index)),
                _ if event::media(content).is_some() => format!("[File: {spoken}]"),
                _ => spoken,
            }
        }
        "m.room.redaction" => "[deleted a message]".to_owned(),
        kind => match event::body(content) {
            "" => format!("[Event of type {kind}]"),
            body => format!("[Event of type {kind}] {body}"),
        },
    }
}

/// The words of a message without the quote that clients used to put before an answer.
pub fn body<'a>(event: &Event, body: &'a str) -> &'a str {
    if event.answers().is_none() || !body.starts_with("> <") {
        return body;
    }
    let mut rest = body;
    while rest.starts_with("> ") || rest.starts_with(">\n") {
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    }
    rest.strip_prefix('\n').unwrap_or(rest)
}

/// What there is to say of an event that cannot be read.
pub fn unreadable_words(event: &Event) -> String {
    let [id, kind] = [&event.id, &event.kind].map(|text| tame::tame(&tame::line(text)));
    format!("Event {id} of type {kind}: its content cannot be read")
}

/// Why it is gone, in words.
pub fn gone_words(gone: &Gone) -> String {
    let reason = tame::line(&gone.reason);
    match (&gone.by, reason.as_str()) {
        (None, _) => "Deleted: the account was erased".to_owned(),
        (Some(by), "") => format!("Deleted by {by}"),
        (Some(by), reason) => format!("Deleted by {by}: “{reason}”"),
    }
}
