//! Pages of hostile rooms are harmless.

use jiff::tz::TimeZone;
use serde_json::json;

use super::{Files, Pages, RoomCard, Site, index, month_page, room_page};
use crate::csv::room_csv;
use crate::date::Calendar;
use crate::event::{Event, Seal};
use crate::markup::anchor;
use crate::place::{FileKind, file_name, slug};
use crate::plain::room_text;
use crate::timeline::{Known, Timeline};

const EVIL: &str = "\"><script>alert(1)</script><img src=http://evil.test/x onerror=alert(1)>'\
    \u{202e}gnp.exe\u{0}\u{8}</title></style></li></ol></main>";

fn site() -> Site {
    Site {
        server: EVIL.to_owned(),
        exported: 1_700_000_000_000,
        generator: "test".to_owned(),
        calendar: Calendar::new(TimeZone::UTC),
    }
}

fn card() -> RoomCard {
    RoomCard {
        id: EVIL.to_owned(),
        folder: "evil-1".to_owned(),
        name: EVIL.to_owned(),
        topic: Some(EVIL.to_owned()),
        alias: Some(EVIL.to_owned()),
        ..RoomCard::default()
    }
}

fn event(number: i64, kind: &str, content: serde_json::Value) -> Event {
    let serde_json::Value::Object(content) = content else { panic!("{content}") };
    Event {
        id: format!("${EVIL}{number}"),
        sender: format!("@{EVIL}"),
        kind: kind.to_owned(),
        state_key: None,
        sent: 1_700_000_000_000 + number,
        order: (number, number),
        content,
        redacts: None,
        is_doubtful: false,
        shown: true,
        seal: Seal::None,
    }
}

/// Everything that a sender can put anywhere.
fn room() -> Timeline {
    let first = format!("${EVIL}1");
    let mut events = vec![
        event(1, "m.room.message", json!({"msgtype": "m.text", "body": EVIL})),
        event(
            2,
            "m.room.message",
            json!({
                "msgtype": "m.text", "body": "x", "format": "org.matrix.custom.html",
                "formatted_body": EVIL,
            }),
        ),
        event(
            3,
            "m.room.message",
            json!({
                "msgtype": "m.image", "body": EVIL, "filename": "../../etc/passwd",
                "url": "mxc://evil.test/x", "info": {"w": -1, "h": "x", "mimetype": EVIL},
            }),
        ),
        event(
            4,
            "m.room.message",
            json!({
                "msgtype": "m.file", "body": EVIL, "url": format!("mxc://{EVIL}"),
            }),
        ),
        event(
            5,
            "m.reaction",
            json!({
                "m.relates_to": {"rel_type": "m.annotation", "event_id": first, "key": EVIL},
            }),
        ),
        event(
            6,
            "m.room.message",
            json!({
                "msgtype": EVIL, "body": EVIL,
                "m.relates_to": {"m.in_reply_to": {"event_id": first}},
            }),
        ),
        event(7, EVIL, json!({EVIL: EVIL, "body": EVIL})),
        event(8, "m.room.encrypted", json!({"session_id": EVIL})),
        event(
            9,
            "m.poll.start",
            json!({"m.poll": {
                "question": {"body": EVIL}, "answers": [{"id": EVIL, "m.text": EVIL}],
            }}),
        ),
        event(
            10,
            "m.room.message",
            json!({
                "body": EVIL, "m.relates_to": {"rel_type": "m.thread", "event_id": first},
            }),
        ),
    ];
    for (number, kind) in [(11, "m.room.member"), (12, "m.room.topic"), (13, EVIL)] {
        let content = json!({
            "membership": "join", "displayname": EVIL, "topic": EVIL, "reason": EVIL,
        });
        let mut state = event(number, kind, content);
        state.state_key = Some(format!("@{EVIL}"));
        events.push(state);
    }
    let mut dated = event(14, "m.room.message", json!({"body": EVIL}));
    dated.sent = i64::MIN;
    events.push(dated);
    Timeline::new(events, &Known::default())
}

/// The names of a tag's attributes; values stand in double quotes, in which there is no other.
fn attributes(tag: &str) -> Vec<&str> {
    let outside = tag.split('"').step_by(2);
    outside.flat_map(str::split_whitespace).filter_map(|word| word.strip_suffix('=')).collect()
}

/// Every tag is one that these pages have, with attributes that they have.
fn assert_harmless(page: &str) {
    let known = [
        "alt",
        "aria-hidden",
        "aria-label",
        "charset",
        "class",
        "content",
        "datetime",
        "dir",
        "height",
        "href",
        "http-equiv",
        "id",
        "lang",
        "loading",
        "name",
        "preload",
        "rel",
        "src",
        "tabindex",
        "title",
        "width",
    ];
    let body = page.split_once("</style>").unwrap().1;
    for tag in body.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').expect("a tag that ends");
        let name = tag.split_whitespace().next().unwrap_or_default();
        assert!(!["script", "style", "iframe", "object", "form", "link"].contains(&name), "{tag}");
        for attribute in attributes(tag) {
            assert!(known.contains(&attribute), "{attribute} in {tag}");
        }
        for loaded in tag.match_indices("src=\"") {
            assert!(tag.get(loaded.0 + 5..).unwrap().starts_with("../../media/"), "{tag}");
        }
    }
    assert!(!page.contains(['\u{202e}', '\0', '\u{8}']));
    for element in ["li", "ol", "ul", "section", "details", "blockquote", "div", "main", "title"] {
        let opens = page.matches(&format!("<{element}>")).count()
            + page.matches(&format!("<{element} ")).count();
        assert_eq!(opens, page.matches(&format!("</{element}>")).count(), "{element}");
    }
    assert_eq!(page.matches("</main>").count(), 1);
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn hostile_content_is_harmless_on_every_page() {
    let (site, card, room) = (site(), card(), room());
    let pages = Pages::new(&room, &site.calendar);
    let files = Files::from([("mxc://evil.test/x".to_owned(), "media/1-passwd.bin".to_owned())]);
    assert_eq!(pages.all().len(), 2);
    for page in pages.all() {
        assert!(page.file.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b)));
        let html = month_page(&site, &card, (&room, &pages), page, &files);
        assert_harmless(&html);
    }
    assert_harmless(&room_page(&site, &card, &room, &pages));
    assert_harmless(&index(&site, &[card]));
}

#[test]
fn hostile_content_stays_in_its_line_and_its_cell() {
    let (room, calendar) = (room(), Calendar::new(TimeZone::UTC));
    let text = room_text(&room, &calendar, &Files::new(), None);
    assert!(!text.contains(['\u{202e}', '\0', '\r']));
    let mut formula = event(1, "m.room.message", json!({"body": "=cmd|' /C calc'!A0\n2,\"x\""}));
    formula.sender = "+1".to_owned();
    let room = Timeline::new(vec![formula], &Known::default());
    let csv = room_csv(&room, &calendar, &Files::new());
    assert!(csv.contains(",\"'=cmd|' /C calc'!A0\n2,\"\"x\"\"\","), "{csv}");
    assert!(csv.contains(",\"'+1\","), "{csv}");
    let forged = json!({"body": "hello\n2026-01-01 00:00:00  Alice: forged"});
    let room = Timeline::new(vec![event(1, "m.room.message", forged)], &Known::default());
    let text = room_text(&room, &calendar, &Files::new(), None);
    assert!(text.contains("\n    2026-01-01"), "{text}");
}

#[test]
fn names_of_files_cannot_leave_their_folder_or_run() {
    for (told, kind, expected) in [
        ("photo.PNG", None, "m-photo.png"),
        ("../../etc/passwd", None, "m-passwd.bin"),
        ("..\\..\\x.exe", None, "m-x.exe.bin"),
        ("page.html", Some("text/html"), "m-page.html.bin"),
        ("x.svg", Some("image/svg+xml"), "m-x.svg.bin"),
        ("x.png.html", None, "m-x-png.html.bin"),
        ("\u{202e}gnp.exe", None, "m-gnp.exe.bin"),
        ("", Some("image/png"), "m-file.png"),
        ("..", None, "m-file.bin"),
        ("写真", Some("image/jpeg"), "m-file.jpg"),
        ("a b\0c.txt", None, "m-a-b-c.txt"),
    ] {
        assert_eq!(file_name("m", told, kind), expected, "{told:?}");
    }
    assert!(file_name("m", &"x".repeat(9999), None).len() < 100);
    assert_eq!(slug("../Lobby & Friends/"), "lobby-friends");
    assert_eq!(FileKind::of("m-x.svg.bin"), FileKind::Other);
}

#[test]
fn anchors_are_safe_and_apart() {
    assert_eq!(anchor("$abc-_D"), "eabc-_D");
    assert_ne!(anchor("$a/b"), anchor("$a+b"));
    assert_ne!(anchor("$a.2f.b"), anchor("$a/b"));
    let harmless = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    assert!(anchor(EVIL).chars().all(harmless));
}

#[test]
fn busy_months_are_cut_and_links_lead_across() {
    let events = (0..4000).map(|n| event(n, "m.room.message", json!({"body": "x"}))).collect();
    let room = Timeline::new(events, &Known::default());
    let pages = Pages::new(&room, &Calendar::new(TimeZone::UTC));
    let files: Vec<&str> = pages.all().iter().map(|page| page.file.as_str()).collect();
    assert_eq!(files, ["2023-11.html", "2023-11-part-2.html", "2023-11-part-3.html"]);
    let first = pages.all().first().unwrap();
    let link = |index| pages.link(&room, first, index).unwrap();
    assert!(link(0).starts_with('#') && link(3999).starts_with("2023-11-part-3.html#"));
}
