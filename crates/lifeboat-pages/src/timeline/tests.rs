//! What belongs to what.

use serde_json::{Value, json};

use super::{Known, Timeline};
use crate::event::{Event, Seal};
use crate::say;

pub(crate) fn event(id: &str, sender: &str, depth: i64, kind: &str, content: Value) -> Event {
    let Value::Object(content) = content else { panic!("{content}") };
    Event {
        id: format!("${id}"),
        sender: format!("@{sender}:a.test"),
        kind: kind.to_owned(),
        state_key: None,
        sent: 1_700_000_000_000 + depth * 1000,
        order: (depth, depth),
        content,
        redacts: None,
        is_doubtful: false,
        shown: true,
        seal: Seal::None,
    }
}

fn said(id: &str, sender: &str, depth: i64, body: &str) -> Event {
    event(id, sender, depth, "m.room.message", json!({"msgtype": "m.text", "body": body}))
}

fn edit(id: &str, sender: &str, depth: i64, of: &str, body: &str) -> Event {
    let content = json!({
        "msgtype": "m.text",
        "body": format!("* {body}"),
        "m.new_content": {"msgtype": "m.text", "body": body},
        "m.relates_to": {"rel_type": "m.replace", "event_id": format!("${of}")},
    });
    event(id, sender, depth, "m.room.message", content)
}

fn redaction(id: &str, sender: &str, depth: i64, of: &str) -> Event {
    let content = json!({"reason": "a slip"});
    let mut event = event(id, sender, depth, "m.room.redaction", content);
    event.redacts = Some(format!("${of}"));
    event
}

fn state(mut event: Event, key: &str) -> Event {
    event.state_key = Some(key.to_owned());
    event
}

fn texts(timeline: &Timeline) -> Vec<String> {
    timeline.shown().map(|index| say::text(timeline, index)).collect()
}

fn timeline(events: Vec<Event>) -> Timeline {
    Timeline::new(events, &Known::default())
}

#[test]
fn events_come_in_the_order_of_the_room_and_each_once() {
    let events = vec![said("b", "x", 2, "two"), said("a", "x", 1, "one"), said("b", "x", 2, "two")];
    assert_eq!(texts(&timeline(events)), ["one", "two"]);
}

#[test]
fn the_last_edit_of_the_author_is_what_is_read() {
    let room = timeline(vec![
        said("a", "x", 1, "first"),
        edit("b", "x", 2, "a", "second"),
        edit("c", "x", 3, "a", "third"),
        edit("d", "mallory", 4, "a", "forged"),
    ]);
    assert_eq!(texts(&room), ["third"]);
    assert_eq!(room.edit(0).map(|edit| edit.id.as_str()), Some("$c"));
}

#[test]
fn what_was_taken_back_is_nowhere() {
    let mut topic = event("t", "x", 5, "m.room.topic", json!({"topic": "secret topic"}));
    topic.state_key = Some(String::new());
    let room = timeline(vec![
        said("a", "x", 1, "secret"),
        edit("b", "x", 2, "a", "secret again"),
        redaction("c", "mod", 3, "a"),
        topic,
        redaction("d", "mod", 6, "t"),
    ]);
    let shown = texts(&room);
    assert_eq!(shown.first().map(String::as_str), Some("[Deleted by mod: “a slip”]"));
    assert!(!format!("{shown:?}").contains("secret"), "{shown:?}");
    assert!(room.edit(0).is_none());
}

#[test]
fn what_was_taken_back_of_the_state_names_nobody() {
    let name = json!({"membership": "join", "displayname": "secret name"});
    let room = timeline(vec![
        state(event("m", "x", 1, "m.room.member", name), "@x:a.test"),
        said("a", "x", 2, "secret"),
        redaction("r", "mod", 3, "m"),
        redaction("s", "mod", 4, "a"),
    ]);
    assert_eq!(room.sender_name(1), "x");
    assert_eq!(room.members().first().map(|member| member.name.as_str()), Some("x"));
    assert!(room.content(1).is_some_and(serde_json::Map::is_empty));
}

#[test]
fn a_redaction_of_another_server_that_is_doubtful_does_not_count() {
    let mut redaction = redaction("b", "x", 2, "a");
    redaction.sender = "@x:elsewhere.test".to_owned();
    redaction.is_doubtful = true;
    let room = timeline(vec![said("a", "x", 1, "stays"), redaction]);
    assert!(texts(&room).contains(&"stays".to_owned()));
}

#[test]
fn messages_of_erased_accounts_are_gone() {
    let known = Known { erased: ["@x:a.test".to_owned()].into(), ..Known::default() };
    let room = Timeline::new(vec![said("a", "x", 1, "secret")], &known);
    assert_eq!(texts(&room), ["[Deleted: the account was erased]"]);
}

#[test]
fn reactions_threads_and_answers_find_their_message() {
    let relation = |way: &str| json!({"rel_type": way, "event_id": "$a", "key": "👍"});
    let reaction = |id: &str, who: &str, depth: i64| {
        let content = json!({"m.relates_to": relation("m.annotation")});
        event(id, who, depth, "m.reaction", content)
    };
    let mut in_thread = said("t", "y", 4, "inside");
    in_thread.content.insert("m.relates_to".to_owned(), relation("m.thread"));
    let room = timeline(vec![
        said("a", "x", 1, "root"),
        reaction("r", "y", 2),
        reaction("s", "z", 3),
        in_thread,
        redaction("d", "z", 5, "s"),
    ]);
    let reactions = room.reactions(0).and_then(|all| all.get("👍")).map(Vec::len);
    assert_eq!(reactions, Some(1));
    assert_eq!(room.thread(0), [3]);
}

#[test]
fn the_last_vote_of_each_counts_until_the_author_closes_the_poll() {
    let poll = json!({
        "m.text": [{"body": "?"}],
        "m.poll": {
            "max_selections": 1,
            "question": {"m.text": [{"body": "Lunch?"}]},
            "answers": [
                {"m.id": "1", "m.text": [{"body": "pizza"}]},
                {"m.id": "2", "m.text": [{"body": "寿司"}]},
            ],
        },
    });
    let relation = json!({"rel_type": "m.reference", "event_id": "$p"});
    let vote = |id: &str, who: &str, depth: i64, picks: &[&str]| {
        let content = json!({"m.relates_to": relation, "m.selections": picks});
        event(id, who, depth, "m.poll.response", content)
    };
    let end = |id: &str, who: &str, depth: i64| {
        event(id, who, depth, "m.poll.end", json!({"m.relates_to": relation}))
    };
    let room = timeline(vec![
        event("p", "x", 1, "m.poll.start", poll),
        vote("v1", "x", 2, &["1", "2"]),
        vote("v2", "y", 3, &["1"]),
        end("e0", "mallory", 4),
        vote("v3", "y", 5, &["2"]),
        end("e1", "x", 6),
        vote("v4", "z", 7, &["2"]),
    ]);
    let poll = room.poll(0).unwrap();
    let counts: Vec<(&str, usize)> =
        poll.answers.iter().map(|a| (a.text.as_str(), a.votes)).collect();
    assert_eq!(counts, [("pizza", 1), ("寿司", 1)]);
    assert!(poll.is_closed && poll.voters == 2);
    assert_eq!(room.shown().count(), 1);
}

#[test]
fn event_that_cannot_be_read_is_shown_by_its_id_and_changes_nothing() {
    let unreadable = |mut event: Event| {
        event.seal = Seal::Unreadable;
        event
    };
    let empty = || json!({});
    let events = vec![
        state(event("a", "ada", 1, "m.room.member", json!({"membership": "join"})), "@ada:a.test"),
        unreadable(state(event("b", "ada", 2, "m.room.member", empty()), "@ada:a.test")),
        unreadable(event("c", "ada", 3, "m.room.message", empty())),
        unreadable(event("d", "ada", 4, "m.room.encrypted", empty())),
        unreadable(event("e", "ada", 5, "m.room.message", empty())),
        redaction("f", "ada", 6, "e"),
    ];
    let timeline = timeline(events);
    let told = |id, kind| format!("[Event ${id} of type {kind}: its content cannot be read]");
    assert_eq!(
        texts(&timeline),
        [
            "ada joined".to_owned(),
            told("b", "m.room.member"),
            told("c", "m.room.message"),
            told("d", "m.room.encrypted"),
            "[Deleted by ada: “a slip”]".to_owned(),
        ]
    );
    assert_eq!((timeline.unreadable(), timeline.sealed()), (3, 0));
    assert_eq!(timeline.members()[0].membership, "join");
}

#[test]
fn state_is_told_in_words() {
    let member = |id: &str, who: &str, depth: i64, whom: &str, content: Value| {
        state(event(id, who, depth, "m.room.member", content), &format!("@{whom}:a.test"))
    };
    let room = timeline(vec![
        member("1", "ann", 1, "ann", json!({"membership": "join", "displayname": "Ann"})),
        member("2", "ann", 2, "bob", json!({"membership": "invite", "displayname": "Bob"})),
        member("3", "bob", 3, "bob", json!({"membership": "join", "displayname": "Bob"})),
        member("4", "bob", 4, "bob", json!({"membership": "join", "displayname": "Ann"})),
        member("5", "ann", 5, "bob", json!({"membership": "ban", "reason": "no"})),
        member("6", "ann", 6, "bob", json!({"membership": "leave"})),
        state(event("7", "ann", 7, "m.room.topic", json!({"topic": "Boats"})), ""),
        state(event("8", "ann", 8, "m.room.topic", json!({})), ""),
    ]);
    assert_eq!(
        texts(&room),
        [
            "Ann joined",
            "Ann invited Bob",
            "Bob joined",
            "Bob is now called Ann (@bob:a.test)",
            "Ann (@ann:a.test) banned Ann (@bob:a.test): “no”",
            "Ann (@ann:a.test) lifted the ban of Ann (@bob:a.test)",
            "Ann (@ann:a.test) changed the topic to “Boats”",
            "Ann (@ann:a.test) removed the topic",
        ]
    );
}

#[test]
fn quotes_that_clients_put_before_an_answer_are_not_said_twice() {
    let mut answer = said("b", "y", 2, "> <@x:a.test> hello\n> there\n\nindeed");
    let relation = json!({"m.in_reply_to": {"event_id": "$a"}});
    answer.content.insert("m.relates_to".to_owned(), relation);
    let room = timeline(vec![said("a", "x", 1, "hello\nthere"), answer]);
    assert_eq!(texts(&room), ["hello\nthere", "indeed"]);
}
