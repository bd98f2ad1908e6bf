//! The pages one begins with: the index of rooms, and a room's own page.

use super::{Pages, RoomCard, Site, count, document, own};
use crate::markup::Html;
use crate::timeline::Timeline;
use crate::words::role;

/// Members on a room's page.
const MEMBERS: usize = 2000;

/// The index of all rooms.
pub fn index(site: &Site, rooms: &[RoomCard]) -> String {
    let mut html = Html::default();
    html.raw("<h1>").text(&site.server).raw("</h1>\n<p class=\"about\">An archive of ");
    count(&mut html, rooms.len(), "room", "rooms");
    html.raw(" with ");
    count(&mut html, rooms.iter().map(|room| room.shown).sum(), "event", "events");
    html.raw(", readable without any program. Everything in one text, to search in: ")
        .raw("<a href=\"everything.txt\">everything.txt</a>.</p>\n");
    for (title, spaces) in [("Rooms", false), ("Spaces", true)] {
        let mut some = rooms.iter().filter(|room| room.is_space == spaces).peekable();
        if some.peek().is_none() {
            continue;
        }
        html.raw("<section>\n<h2>").raw(title).raw("</h2>\n<ul class=\"rooms\">\n");
        for room in some {
            card(&mut html, site, room);
        }
        html.raw("</ul>\n</section>\n");
    }
    document(site, &format!("Archive of {}", site.server), "", &html)
}

fn card(html: &mut Html, site: &Site, room: &RoomCard) {
    html.raw("<li><a class=\"name\" href=\"rooms/").text(&room.folder).raw("/index.html\">");
    own(html, &room.name);
    html.raw("</a>");
    if room.is_encrypted {
        html.raw(" <span class=\"tag\">encrypted</span>");
    }
    if let Some(topic) = &room.topic {
        html.raw("<p class=\"topic\" dir=\"auto\">").text(&crate::tame::line(topic)).raw("</p>");
    }
    html.raw("<p class=\"facts\">");
    facts(html, site, room);
    html.raw("</p></li>\n");
}

fn facts(html: &mut Html, site: &Site, room: &RoomCard) {
    count(html, room.shown, "event", "events");
    html.raw(" · ");
    count(html, room.members, "member", "members");
    if let Some((first, last)) = room.range {
        let (first, last) = (site.calendar.short_day(first), site.calendar.short_day(last));
        html.raw(" · ").text(&first);
        if first != last {
            html.raw(" – ").text(&last);
        }
    }
}

/// A room's own page: what it is, its months, its members.
pub fn room_page(site: &Site, room: &RoomCard, timeline: &Timeline, pages: &Pages) -> String {
    let mut html = Html::default();
    html.raw("<h1 dir=\"auto\">").text(&room.name).raw("</h1>\n<p class=\"facts\">");
    facts(&mut html, site, room);
    html.raw("</p>\n");
    if let Some(topic) = &room.topic {
        html.raw("<p class=\"topic whole\" dir=\"auto\">").text(topic).raw("</p>\n");
    }
    html.raw("<dl class=\"facts\">");
    if let Some(alias) = &room.alias {
        html.raw("<div><dt>Address</dt><dd>");
        own(&mut html, alias);
        html.raw("</dd></div>");
    }
    html.raw("<div><dt>Room id</dt><dd>");
    own(&mut html, &room.id);
    html.raw("</dd></div>");
    if room.is_encrypted {
        html.raw("<div><dt>Encryption</dt><dd>on</dd></div>");
    }
    html.raw("</dl>\n<section>\n<h2>Messages</h2>\n");
    if pages.all().is_empty() {
        html.raw("<p>There are none.</p>\n");
    }
    html.raw("<ul class=\"months\">\n");
    for page in pages.all() {
        html.raw("<li><a href=\"").text(&page.file).raw("\">").text(&page.title).raw("</a> ");
        html.raw("<span class=\"facts\">");
        count(&mut html, page.entries.len(), "event", "events");
        html.raw("</span></li>\n");
    }
    html.raw("</ul>\n</section>\n");
    members(&mut html, timeline);
    document(site, &room.name, "../../", &html)
}

fn members(html: &mut Html, timeline: &Timeline) {
    let all = timeline.members();
    for (title, joined) in [("Members", true), ("Others", false)] {
        let some: Vec<_> = all.iter().filter(|m| (m.membership == "join") == joined).collect();
        if some.is_empty() {
            continue;
        }
        html.raw("<section>\n<h2>").raw(title).raw("</h2>\n<ul class=\"members\">\n");
        for member in some.iter().take(MEMBERS) {
            html.raw("<li>");
            own(html, &member.name);
            html.raw(" <span class=\"facts\">");
            own(html, &member.user);
            if member.level != 0 {
                html.raw(", ").text(&role(member.level));
            }
            html.raw(match member.membership.as_str() {
                "join" => "",
                "invite" => ", invited",
                "ban" => ", banned",
                "knock" => ", asked to be let in",
                _ => ", left",
            });
            html.raw("</span></li>\n");
        }
        html.raw("</ul>\n");
        if let Some(more) = some.len().checked_sub(MEMBERS).filter(|more| *more > 0) {
            html.raw("<p>and ").number(more).raw(" more</p>\n");
        }
        html.raw("</section>\n");
    }
}
