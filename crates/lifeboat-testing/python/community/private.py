"""What belongs to one person: encrypted talk, key backup, settings, receipts."""
import base64

from .client import log_in, quote
from .olm import Encryption
from .plan import sentence


def talk_encrypted(community):
    dice = community.dice("encrypted")
    alice, bob, carol, dave, erin, frank = community.people[:6]
    rooms = community.rooms
    everybody = (alice, bob, carol, dave)
    talks = (
        ("encrypted", alice, everybody),
        ("encrypted", bob, everybody),
        ("encrypted-twelve", dave, (alice, bob, dave)),
        ("direct", erin, (erin, frank)),
    )
    for label, speaker, members in talks:
        session = speaker.olm.open_room_session(rooms[label], members)
        community.sessions.append(session)
        first = session.say(sentence(dice))
        for _ in range(community.plan.encrypted_messages - 1):
            session.say(sentence(dice))
        relation = {"rel_type": "m.annotation", "event_id": first, "key": "⚓"}
        members[-1].send(rooms[label], "m.reaction", {"m.relates_to": relation})
    share_sealed_file(community)
    for person in (alice, bob, dave, erin):
        own = [session for session in community.sessions if session.encryption is person.olm]
        person.olm.back_up(own)
    # A second version that was given up leaves a gap in the numbers.
    form = {"algorithm": "m.megolm_backup.v1.curve25519-aes-sha2"}
    form["auth_data"] = {"public_key": base64.b64encode(bytes(32)).decode().rstrip("=")}
    version = carol.client("POST", "room_keys/version", form)["version"]
    carol.client("DELETE", f"room_keys/version/{version}")


def share_sealed_file(community):
    session = community.sessions[0]
    sealed = next(uri for uri, about in community.media.items() if about["kind"] == "sealed")
    key = {"kty": "oct", "alg": "A256CTR", "ext": True, "key_ops": ["encrypt", "decrypt"]}
    key["k"] = base64.urlsafe_b64encode(bytes(range(32))).decode().rstrip("=")
    about = {"v": "v2", "url": sealed, "key": key, "iv": "AAAAAAAAAAAAAAAAAAAAAA"}
    about["hashes"] = {"sha256": "A" * 43}
    session.send({"msgtype": "m.file", "body": "sealed.bin", "file": about})


def leave_keys_unread(community):
    """A device that was away: room keys wait for it on the homeserver."""
    carol = community.people[2]
    away = log_in(community.url, carol.user, carol.password, "Away")
    Encryption(away).publish(5)
    community.devices.append(away)
    speaker = community.people[0]
    room = community.rooms["encrypted"]
    session = speaker.olm.open_room_session(room, (carol,))
    community.sessions.append(session)
    session.say("while you were away")
    dehydrated = {
        "device_id": "SLEEPER",
        "initial_device_display_name": "Asleep",
        "device_data": {"algorithm": "com.example.none", "account": "sealed"},
        "device_keys": {
            "user_id": carol.user,
            "device_id": "SLEEPER",
            "algorithms": [],
            "keys": {},
            "signatures": {},
        },
    }
    path = "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device"
    community.optional("dehydrated device", lambda: carol.call("PUT", path, dehydrated))


def settle_in(community):
    """Settings of each of the first people, alike in kind and different in content."""
    dice = community.dice("settings")
    lobby = community.rooms["lobby"]
    for number, person in enumerate(community.people[:6]):
        secret_storage(person, dice)
        account(community, person, dice)
        notifications(person, lobby)
        colour = f"#{dice.randrange(1 << 24):06x}"
        person.account_data("com.example.colour", {"colour": colour}, lobby)
        tag = ("m.favourite", "m.lowpriority", "u.Work")[number % 3]
        path = f"user/{quote(person.user)}/rooms/{quote(lobby)}/tags/{tag}"
        person.client("PUT", path, {"order": 0.25})
        status = {"presence": "online", "status_msg": sentence(dice, 2, 4)}
        person.client("PUT", f"presence/{quote(person.user)}/status", status)


def secret_storage(person, dice):
    blob = lambda count: base64.b64encode(dice.randbytes(count)).decode()
    person.account_data("m.secret_storage.default_key", {"key": "first"})
    about = {"algorithm": "m.secret_storage.v1.aes-hmac-sha2", "iv": blob(16), "mac": blob(32)}
    person.account_data("m.secret_storage.key.first", {**about, "name": None})
    for usage in ("master", "self_signing", "user_signing"):
        sealed = {"iv": blob(16), "ciphertext": blob(44), "mac": blob(32)}
        person.account_data(f"m.cross_signing.{usage}", {"encrypted": {"first": sealed}})


def account(community, person, dice):
    last = community.people[-1]
    ignored = {last.user: {}} if person is community.people[3] else {}
    person.account_data("m.ignored_user_list", {"ignored_users": ignored})
    odd = {"pi": 3.14159, "tiny": 1e-300, "big": 123456789012345678901234567890}
    person.account_data("com.example.odd", {**odd, "nul": "\u0000", "text": sentence(dice)})
    view = {"room": {"timeline": {"limit": 20}, "state": {"lazy_load_members": True}}}
    person.client("POST", f"user/{quote(person.user)}/filter", view)


def notifications(person, lobby):
    loud = ["notify", {"set_tweak": "sound", "value": "default"}]
    person.client("PUT", f"pushrules/global/room/{quote(lobby)}", {"actions": loud})
    rule = {"pattern": "lunch", "actions": ["notify"]}
    person.client("PUT", "pushrules/global/content/lunch", rule)
    quiet = "pushrules/global/override/.m.rule.suppress_notices/enabled"
    person.client("PUT", quiet, {"enabled": False})
    pusher = {
        "kind": "http",
        "app_id": "com.example.app",
        "pushkey": f"key of {person.localpart}",
        "app_display_name": "App",
        "device_display_name": "Phone",
        "lang": "en",
        # Nothing listens on the discard port.
        "data": {"url": "http://127.0.0.1:9/_matrix/push/v1/notify"},
    }
    person.client("POST", "pushers/set", pusher)


def read(community):
    """Receipts of three kinds, read markers, and a first sync of everybody."""
    dice = community.dice("reading")
    for number, person in enumerate(community.people[:6]):
        for label in ("lobby", *community.chats):
            events = community.events[label]
            # Everybody leaves something unread.
            seen = events[dice.randrange(len(events) // 2, len(events))]
            room = community.rooms[label]
            if number % 3 == 0:
                both = {"m.fully_read": seen, "m.read": seen}
                person.in_room("POST", room, "read_markers", both)
                continue
            kind = "m.read" if number % 3 == 1 else "m.read.private"
            thread = {"thread_id": "main"} if number % 2 else {}
            person.in_room("POST", room, f"receipt/{kind}/{quote(seen)}", thread)
    follow_thread(community)
    for person in [*community.people, *community.devices[:2]]:
        person.sync()
    slide(community, community.people[1])


def follow_thread(community):
    """A receipt inside a thread, and a subscription to it."""
    alice, bob = community.people[:2]
    lobby, root = community.rooms["lobby"], community.events["lobby"][0]
    relation = {"m.relates_to": {"rel_type": "m.thread", "event_id": root}}
    inside = alice.say(lobby, "in the thread", **relation)
    path = f"receipt/m.read/{quote(inside)}"
    bob.in_room("POST", lobby, path, {"thread_id": root})
    alice.say(lobby, "unread in the thread", **relation)
    unstable = "/_matrix/client/unstable/io.element.msc4306/rooms"
    where = f"{unstable}/{quote(lobby)}/thread/{quote(root)}/subscription"
    community.optional("thread subscription", lambda: alice.call("PUT", where))


def slide(community, person):
    state = [["m.room.member", "$LAZY"], ["m.room.name", ""]]
    rooms = {"ranges": [[0, 20]], "timeline_limit": 5, "required_state": state}
    body = {"conn_id": "main", "lists": {"all": rooms}}
    body["extensions"] = {"to_device": {"enabled": True}, "e2ee": {"enabled": True}}
    path = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync"
    community.optional("sliding sync", lambda: person.call("POST", path, body))
