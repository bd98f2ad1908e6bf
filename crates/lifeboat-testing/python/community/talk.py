"""What people say: messages of every kind, and content that is awkward to copy."""
import time

from .client import Device
from .plan import sentence
from .rooms import make

AWKWARD_TEXTS = {
    "nul": "nul \u0000 inside",
    "copy marks": "tab\tline\nquote\" back\\slash \\N \\. \\x41 '' $$ %s",
    "long": "anchor " * 4300,
    "directions": "\u202egnol\u202c \u200f\u2066mixed\u2069",
    "edges of unicode": "\U0010ffff \ufffd \u0301e\u0301 é \ufeff",
    "empty": "",
    "looks like json": '{"type":"m.room.create","content":{"\\u0000":1}}',
}
AWKWARD_CONTENT = {
    "": 1,
    "a\\u0000b": None,
    "deep": [[[[[[{"x": [[]]}]]]]]],
    "largest": 9007199254740991,
    "smallest": -9007199254740991,
    "\u0000key": "\ud7ff",
}


def chatter(community, pictures):
    """Fills the chats and a few other rooms."""
    rooms = ["lobby", "private", "twelve", *community.chats]
    for label in rooms:
        chat = Chat(community, label, pictures)
        for _ in range(community.plan.messages_per_chat):
            chat.next_message()
        community.events[label] = [event for _, event in chat.said]
    for label, owner in (("six", 3), ("nine", 4), ("knock", 1), ("since-join", 0), ("space", 0)):
        dice = community.dice(f"words in {label}")
        person, room = community.people[owner], community.rooms[label]
        community.events[label] = [person.say(room, sentence(dice)) for _ in range(4)]
    pin(community)


class Chat:
    """A conversation: who takes part, and what was said that others can refer to."""

    def __init__(self, community, label, pictures):
        self.dice = community.dice(f"chat in {label}")
        self.room = community.rooms[label]
        self.pictures = pictures
        members = community.admin.admin("GET", f"v1/rooms/{self.room}/members")["members"]
        self.members = [person for person in community.people if person.user in members]
        self.said = []
        self.reacted = set()
        self.kinds = (
            (55, self.plain),
            (8, self.reply),
            (9, self.reaction),
            (6, self.edit),
            (8, self.in_thread),
            (4, self.image),
            (3, self.poll),
            (3, self.redaction),
            (4, self.mention),
        )

    def next_message(self):
        person = self.dice.choice(self.members)
        if len(self.said) < 2:
            self.plain(person)
            return
        weights = [weight for weight, _ in self.kinds]
        (kind,) = self.dice.choices([kind for _, kind in self.kinds], weights)
        kind(person)

    def words(self):
        return sentence(self.dice)

    def keep(self, person, event):
        self.said.append((person, event))

    def target(self):
        return self.dice.choice(self.said)[1]

    def plain(self, person):
        self.keep(person, person.say(self.room, self.words()))

    def reply(self, person):
        relation = {"m.in_reply_to": {"event_id": self.target()}}
        self.keep(person, person.say(self.room, self.words(), **{"m.relates_to": relation}))

    def reaction(self, person):
        target, key = self.target(), self.dice.choice(("👍", "🎉", "❤️", "aye"))
        if (person.user, target, key) in self.reacted:
            return
        self.reacted.add((person.user, target, key))
        relation = {"rel_type": "m.annotation", "event_id": target, "key": key}
        person.send(self.room, "m.reaction", {"m.relates_to": relation})

    def own(self, person):
        own = [event for speaker, event in self.said if speaker is person]
        return self.dice.choice(own) if own else None

    def edit(self, person):
        target = self.own(person)
        if target is None:
            return self.plain(person)
        text = self.words()
        relation = {"rel_type": "m.replace", "event_id": target}
        better = {"msgtype": "m.text", "body": text}
        more = {"m.new_content": better, "m.relates_to": relation}
        return person.say(self.room, f"* {text}", **more)

    def in_thread(self, person):
        # A thread cannot grow from a message that is itself a relation; the first two never are.
        relation = {"rel_type": "m.thread", "event_id": self.said[self.dice.randrange(2)][1]}
        person.say(self.room, self.words(), **{"m.relates_to": relation})

    def image(self, person):
        about = {"w": 800, "h": 600, "mimetype": "image/png"}
        content = {"msgtype": "m.image", "body": "photo", "info": about}
        content["url"] = self.dice.choice(self.pictures)
        self.keep(person, person.send(self.room, "m.room.message", content))

    def poll(self, person):
        answers = [
            {"m.id": str(number), "m.text": [{"body": text}]}
            for number, text in enumerate(("pizza", "寿司"))
        ]
        question = {"m.text": [{"body": "Lunch?"}]}
        poll = {
            "kind": "m.disclosed",
            "max_selections": 1,
            "question": question,
            "answers": answers,
        }
        start = person.send(self.room, "m.poll.start", {"m.text": [{"body": "?"}], "m.poll": poll})
        relation = {"rel_type": "m.reference", "event_id": start}
        vote = {"m.relates_to": relation, "m.selections": ["1"]}
        self.dice.choice(self.members).send(self.room, "m.poll.response", vote)
        if self.dice.random() < 0.5:
            end = {"m.relates_to": relation, "m.text": [{"body": "closed"}]}
            person.send(self.room, "m.poll.end", end)

    def redaction(self, person):
        target = self.own(person)
        if target is None or target in (event for _, event in self.said[:2]):
            return self.plain(person)
        self.said = [(speaker, event) for speaker, event in self.said if event != target]
        return person.redact(self.room, target, self.words())

    def mention(self, person):
        other = self.dice.choice(self.members)
        html = {"format": "org.matrix.custom.html", "formatted_body": f"<b>{self.words()}</b>"}
        aimed = {"m.mentions": {"user_ids": [other.user]}}
        event = person.say(self.room, f"{other.localpart}: {self.words()}", **html, **aimed)
        self.keep(person, event)


def pin(community):
    lobby = community.rooms["lobby"]
    pinned = {"pinned": community.events["lobby"][:2]}
    community.admin.set_state(lobby, "m.room.pinned_events", pinned)


def be_awkward(community):
    """Content that an exporter must keep byte for byte. Remembered with what was sent."""
    alice, bob = community.people[:2]
    lobby, private = community.rooms["lobby"], community.rooms["private"]
    for label, text in AWKWARD_TEXTS.items():
        community.probes[label] = alice.say(lobby, text)
    community.probes["content"] = alice.send(lobby, "com.example.awkward", AWKWARD_CONTENT)
    community.probes["type"] = alice.send(lobby, "com.example.Ünï / % \\", {"body": "odd type"})
    bob.set_state(private, "com.example.state", {"value": "\u0000"}, "key é / % \\ '")
    for number in range(2):
        plain = f"plain text {number} in an encrypted room"
        community.people[2].say(community.rooms["encrypted"], plain)
    labels = {"org.matrix.labels": ["#fun", "#work"]}
    alice.say(lobby, "with labels", **labels)
    years = 5 * 365 * 86_400_000
    vanishing = {"org.matrix.self_destruct_after": int(time.time() * 1000) + years}
    alice.say(lobby, "gone in five years", **vanishing)
    later = {"org.matrix.msc4140.delay": years}
    body = {"msgtype": "m.text", "body": "said much later"}
    community.optional(
        "delayed event", lambda: alice.send(lobby, "m.room.message", body, **later)
    )
    sticky = {"org.matrix.msc4354.sticky_duration_ms": 3_600_000}
    community.optional(
        "sticky event", lambda: alice.send(lobby, "com.example.sticky", {"x": 1}, **sticky)
    )


def be_old(community):
    """Events older than the homeserver, through an application service."""
    dice = community.dice("old days")
    alice, bob, carol = community.people[:3]
    room = make(community, "old-days", alice, (bob, carol), room_version="11")
    bridge = Device(community.url, {"access_token": community.as_token})
    day = 86_400_000
    when = int(time.time() * 1000) - 400 * day
    events = []
    for _ in range(12):
        when += dice.randrange(1, 20) * day
        speaker = dice.choice((alice, bob, carol))
        body = {"msgtype": "m.text", "body": sentence(dice)}
        stamp = {"user_id": speaker.user, "ts": when}
        events.append(bridge.send(room, "m.room.message", body, **stamp))
    community.events["old-days"] = events
