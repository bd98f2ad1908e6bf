//! One event on a page.

use serde_json::Value;

use super::month::Leaf;
use super::{count, own};
use crate::event::{self, Event};
use crate::markup::{Html, anchor};
use crate::place::FileKind;
use crate::rich::rich;
use crate::timeline::Poll;
use crate::{say, tame};

/// Kinds of colours for the marks of senders.
const COLOURS: &[&str] = &["c0", "c1", "c2", "c3", "c4", "c5"];

/// Replies of a thread that are listed where it begins.
const LISTED_REPLIES: usize = 100;

/// Names of those who reacted.
const LISTED_NAMES: usize = 30;

/// What is to be shown.
pub(super) struct Entry<'a> {
    pub(super) index: usize,
    pub(super) event: &'a Event,
    /// Whether the one before is of the same sender, just before.
    pub(super) goes_on: bool,
}

/// The event as an item of a list.
pub(super) fn entry(leaf: &Leaf<'_>, this: &Entry<'_>) -> Html {
    let mut html = Html::default();
    let name = leaf.timeline.sender_name(this.index);
    html.raw("<li id=\"").text(&anchor(&this.event.id)).raw("\" class=\"");
    if this.event.is_state() {
        html.raw("state\">");
        time(&mut html, leaf, this);
        html.raw(" <p>").text(&say::text(leaf.timeline, this.index)).raw("</p></li>\n");
        return html;
    }
    html.raw(if this.goes_on { "said on" } else { "said" }).raw("\">");
    let initial = name.chars().find(|c| c.is_alphanumeric()).unwrap_or('?');
    html.raw("<span class=\"face ").raw(colour(&this.event.sender)).raw("\" aria-hidden=\"true\">");
    html.text(&initial.to_uppercase().to_string()).raw("</span><div class=\"what\">");
    html.raw("<p class=\"who\"><bdi class=\"sender ").raw(colour(&this.event.sender));
    html.raw("\" title=\"").text(&this.event.sender).raw("\">").text(name).raw("</bdi> ");
    time(&mut html, leaf, this);
    html.raw("</p>");
    quotes(&mut html, leaf, this);
    content(&mut html, leaf, this);
    remarks(&mut html, leaf, this);
    html.raw("</div></li>\n");
    html
}

fn time(html: &mut Html, leaf: &Leaf<'_>, this: &Entry<'_>) {
    let calendar = &leaf.site.calendar;
    html.raw("<a class=\"time\" href=\"#")
        .text(&anchor(&this.event.id))
        .raw("\"><time datetime=\"");
    html.text(&calendar.machine(this.event.sent)).raw("\" title=\"");
    html.text(&calendar.moment(this.event.sent)).raw("\">");
    html.text(&calendar.time(this.event.sent)).raw("</time></a>");
}

/// A colour of its own for each sender, as far as there are enough.
fn colour(sender: &str) -> &'static str {
    let sum = sender.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31) + usize::from(byte));
    COLOURS.get(sum % COLOURS.len()).copied().unwrap_or_default()
}

/// What it answers, and the thread it belongs to.
fn quotes(html: &mut Html, leaf: &Leaf<'_>, this: &Entry<'_>) {
    if let Some(id) = this.event.answers() {
        quote(html, leaf, "In reply to ", id);
    } else if let Some(id) = this.event.related("m.thread") {
        quote(html, leaf, "In the thread of ", id);
    }
}

fn quote(html: &mut Html, leaf: &Leaf<'_>, words: &'static str, id: &str) {
    html.raw("<blockquote class=\"quote\"><p>").raw(words);
    let Some(index) = leaf.timeline.find(id) else {
        html.raw("a message that is not in this archive</p></blockquote>");
        return;
    };
    let link = leaf.pages.link(leaf.timeline, leaf.page, index);
    if let Some(link) = &link {
        html.raw("<a href=\"").text(link).raw("\">");
    }
    own(html, leaf.timeline.sender_name(index));
    if link.is_some() {
        html.raw("</a>");
    }
    html.raw("</p><p dir=\"auto\">").text(&tame::line(&say::text(leaf.timeline, index)));
    html.raw("</p></blockquote>");
}

fn content(html: &mut Html, leaf: &Leaf<'_>, this: &Entry<'_>) {
    let timeline = leaf.timeline;
    if let Some(gone) = timeline.gone(this.index) {
        html.raw("<p class=\"gone\">").text(&say::gone_words(gone)).raw("</p>");
        return;
    }
    if !this.event.is_readable() {
        html.raw("<p class=\"gone\">").text(&say::unreadable_words(this.event)).raw("</p>");
        return;
    }
    let Some(now) = timeline.content(this.index) else { return };
    if this.event.is_sealed() {
        let session = this.event.text("session_id").unwrap_or("unknown");
        html.raw("<p class=\"gone\">Encrypted message. Session <code>").text(session);
        html.raw("</code></p>");
    } else if let Some(poll) = timeline.poll(this.index) {
        show_poll(html, &poll);
    } else if matches!(this.event.kind.as_str(), "m.room.message" | "m.sticker") {
        if let Some(wish) = event::media(now) {
            file(html, leaf, &wish, now);
        }
        words(html, this.event, now);
    } else {
        html.raw("<p class=\"gone\">").text(&say::text(timeline, this.index));
        html.raw("</p>");
        raw_content(html, now);
    }
}

/// An event that we have no words for.
fn raw_content(html: &mut Html, content: &serde_json::Map<String, Value>) {
    if content.is_empty() {
        return;
    }
    let text = serde_json::to_string_pretty(content).unwrap_or_default();
    html.raw("<details><summary>Content</summary><pre tabindex=\"0\">").text(&text);
    html.raw("</pre></details>");
}

fn words(html: &mut Html, event: &Event, content: &serde_json::Map<String, Value>) {
    let kind = content.get("msgtype").and_then(Value::as_str).unwrap_or_default();
    let named = event::media(content).is_some();
    // A file has words beside it only when it has a name beside them.
    if named && !content.get("filename").is_some_and(|name| content.get("body") != Some(name)) {
        return;
    }
    let class = match kind {
        "m.notice" => "<div class=\"words notice\" dir=\"auto\">",
        "m.emote" => "<div class=\"words emote\" dir=\"auto\">",
        _ => "<div class=\"words\" dir=\"auto\">",
    };
    html.raw(class);
    let formatted = content.get("formatted_body").and_then(Value::as_str);
    let is_html = content.get("format").and_then(Value::as_str) == Some("org.matrix.custom.html");
    if let Some(formatted) = formatted.filter(|_| is_html) {
        html.add(&rich(formatted));
    } else {
        html.raw("<p class=\"plain\" dir=\"auto\">");
        html.text(say::body(event, event::body(content))).raw("</p>");
    }
    html.raw("</div>");
}

fn file(
    html: &mut Html,
    leaf: &Leaf<'_>,
    wish: &event::MediaWish,
    content: &serde_json::Map<String, Value>,
) {
    let name = tame::line(&wish.name);
    let name = if name.is_empty() { "a file without a name" } else { name.as_str() };
    let Some(path) = leaf.files.get(&wish.mxc) else {
        html.raw("<p class=\"gone\">File <bdi>").text(name);
        html.raw("</bdi> is not in this archive: <code>").text(&wish.mxc).raw("</code></p>");
        return;
    };
    let kind = FileKind::of(path);
    html.raw("<p class=\"file\"><a href=\"../../").text(path).raw("\">");
    if kind == FileKind::Picture {
        html.raw("<img loading=\"lazy\" src=\"../../").text(path).raw("\" alt=\"").text(name);
        html.raw("\"");
        size(html, content);
        html.raw(">");
    } else {
        html.raw("<bdi>").text(name).raw("</bdi>");
    }
    html.raw("</a></p>");
    if kind == FileKind::Sound {
        html.raw("<audio controls preload=\"none\" src=\"../../").text(path);
        html.raw("\" aria-label=\"").text(name).raw("\"></audio>");
    }
}

/// Width and height of a picture, so that the page does not move while it loads.
fn size(html: &mut Html, content: &serde_json::Map<String, Value>) {
    let about = content.get("info");
    let side = |key: &str| {
        let side = about.and_then(|about| about.get(key)?.as_u64());
        side.and_then(|side| usize::try_from(side).ok()).filter(|side| (1..=20_000).contains(side))
    };
    if let (Some(width), Some(height)) = (side("w"), side("h")) {
        html.raw(" width=\"").number(width).raw("\" height=\"").number(height).raw("\"");
    }
}

fn show_poll(html: &mut Html, poll: &Poll) {
    html.raw("<div class=\"poll\"><p dir=\"auto\"><b>Poll: ")
        .text(&poll.question)
        .raw("</b></p><ul>");
    for answer in &poll.answers {
        html.raw("<li><bdi>").text(&answer.text).raw("</bdi> <span class=\"facts\">");
        count(html, answer.votes, "vote", "votes");
        html.raw("</span></li>");
    }
    html.raw("</ul><p class=\"facts\">");
    count(html, poll.voters, "person voted", "people voted");
    html.raw(if poll.is_closed { "; closed</p></div>" } else { "; still open</p></div>" });
}

/// Edited, decrypted, reactions, the thread that begins here.
fn remarks(html: &mut Html, leaf: &Leaf<'_>, this: &Entry<'_>) {
    let timeline = leaf.timeline;
    if timeline.gone(this.index).is_some() {
        return;
    }
    if let Some(edit) = timeline.edit(this.index) {
        html.raw("<p class=\"facts\">edited ").text(&leaf.site.calendar.moment(edit.sent));
        html.raw("</p>");
    }
    if let Some(reactions) = timeline.reactions(this.index) {
        html.raw("<ul class=\"reactions\" aria-label=\"Reactions\">");
        for (key, names) in reactions {
            html.raw("<li><span>").text(key).raw("</span> ").number(names.len());
            let listed: Vec<&str> = names.iter().take(LISTED_NAMES).map(AsRef::as_ref).collect();
            html.raw(" <span class=\"names\">").text(&listed.join(", "));
            html.raw(if names.len() > LISTED_NAMES { ", …" } else { "" }).raw("</span></li>");
        }
        html.raw("</ul>");
    }
    thread(html, leaf, timeline.thread(this.index));
}

fn thread(html: &mut Html, leaf: &Leaf<'_>, replies: &[usize]) {
    if replies.is_empty() {
        return;
    }
    html.raw("<details class=\"thread\"><summary>Thread: ");
    count(html, replies.len(), "reply", "replies");
    html.raw("</summary><ol>");
    for reply in replies.iter().take(LISTED_REPLIES) {
        html.raw("<li>");
        let link = leaf.pages.link(leaf.timeline, leaf.page, *reply);
        if let Some(link) = &link {
            html.raw("<a href=\"").text(link).raw("\">");
        }
        own(html, leaf.timeline.sender_name(*reply));
        if link.is_some() {
            html.raw("</a>");
        }
        html.raw(": <bdi>").text(&tame::line(&say::text(leaf.timeline, *reply)));
        html.raw("</bdi></li>");
    }
    html.raw("</ol></details>");
}
