"""Rooms of several versions and purposes."""
from .client import quote

ENCRYPTED = {
    "type": "m.room.encryption",
    "state_key": "",
    "content": {"algorithm": "m.megolm.v1.aes-sha2"},
}
CHAT_VERSIONS = ("6", "9", "10", "11", "12")


def join_rule(content):
    return {"type": "m.room.join_rules", "state_key": "", "content": content}


def history(visibility):
    return {
        "type": "m.room.history_visibility",
        "state_key": "",
        "content": {"history_visibility": visibility},
    }


def build(community):
    add_lobby(community)
    add_private_rooms(community)
    add_encrypted_rooms(community)
    add_space(community)
    add_upgraded_room(community)
    add_chats(community)


def make(community, label, owner, guests=(), **options):
    """A room that the guests have joined."""
    options.setdefault("preset", "private_chat")
    room = owner.create_room(name=options.pop("name", label.capitalize()), **options)
    community.rooms[label] = room
    if options["preset"] == "public_chat":
        for guest in guests:
            guest.join(room)
    else:
        owner.bring(room, *guests)
    return room


def add_lobby(community):
    admin = community.admin
    lobby = make(
        community,
        "lobby",
        admin,
        community.people[1:],
        preset="public_chat",
        room_alias_name="lobby",
        visibility="public",
        topic="Where everybody meets",
        room_version="10",
    )
    second = f"#quay:{admin.server}"
    admin.client("PUT", f"directory/room/{quote(second)}", {"room_id": lobby})
    community.aliases = [f"#lobby:{admin.server}", second]
    names = {"alias": community.aliases[0], "alt_aliases": [second]}
    admin.set_state(lobby, "m.room.canonical_alias", names)
    picture = next(uri for uri, about in community.media.items() if about["kind"] == "picture")
    admin.set_state(lobby, "m.room.avatar", {"url": picture})
    acl = {"allow": ["*"], "deny": ["evil.test"], "allow_ip_literals": False}
    admin.set_state(lobby, "m.room.server_acl", acl)
    admin.set_state(lobby, "m.room.retention", {"max_lifetime": 31_536_000_000})


def add_private_rooms(community):
    alice, bob, carol, dave, erin, frank = community.people[:6]
    private = make(community, "private", bob, (carol, dave, erin), room_version="11")
    for number in range(4):
        bob.set_state(private, "m.room.topic", {"topic": f"topic number {number}"})
    powers = bob.in_room("GET", private, "state/m.room.power_levels/")
    powers["users"][carol.user] = 50
    powers["events"]["com.example.rare"] = 75
    bob.set_state(private, "m.room.power_levels", powers)
    make(community, "twelve", carol, (dave, erin, frank), room_version="12")
    make(community, "six", dave, (alice, bob), room_version="6")
    make(community, "nine", erin, (alice, carol), room_version="9")
    knock = [join_rule({"join_rule": "knock"})]
    make(community, "knock", bob, (carol,), initial_state=knock, room_version="11")
    open_history = [history("world_readable")]
    make(
        community,
        "readable",
        alice,
        (bob,),
        preset="public_chat",
        visibility="public",
        initial_state=open_history,
    )
    since_join = [history("joined")]
    make(community, "since-join", alice, (bob,), initial_state=since_join)
    make(community, "local-only", alice, (bob,), creation_content={"m.federate": False})


def add_encrypted_rooms(community):
    alice, bob, carol, dave, erin, frank = community.people[:6]
    sealed = {"initial_state": [ENCRYPTED]}
    make(community, "encrypted", alice, (bob, carol, dave), room_version="11", **sealed)
    make(community, "encrypted-twelve", dave, (alice, bob), room_version="12", **sealed)
    direct = {"preset": "trusted_private_chat", "is_direct": True}
    dm = make(community, "direct", erin, (frank,), name="", **direct, **sealed)
    plain = make(community, "direct-plain", alice, (bob,), name="", **direct)
    pairs = ((erin, frank, dm), (frank, erin, dm), (alice, bob, plain), (bob, alice, plain))
    for one, other, room in pairs:
        one.account_data("m.direct", {other.user: [room]})


def add_space(community):
    alice, bob, carol, dave = community.people[:4]
    space = make(
        community,
        "space",
        alice,
        (bob, carol, dave),
        preset="public_chat",
        creation_content={"type": "m.space"},
        room_alias_name="fleet",
    )
    inner = make(community, "inner-space", bob, (alice,), creation_content={"type": "m.space"})
    members_only = {
        "join_rule": "restricted",
        "allow": [{"type": "m.room_membership", "room_id": space}],
    }
    rule = {"initial_state": [join_rule(members_only)], "room_version": "10"}
    restricted = make(community, "restricted", alice, (), **rule)
    carol.join(restricted)
    via = [alice.server]
    for order, label in enumerate(("lobby", "private", "encrypted", "restricted", "inner-space")):
        child = {"via": via, "suggested": label == "lobby", "order": chr(ord("a") + order)}
        alice.set_state(space, "m.space.child", child, community.rooms[label])
    bob.set_state(inner, "m.space.child", {"via": via}, community.rooms["knock"])
    lobby = community.rooms["lobby"]
    alice.set_state(lobby, "m.space.parent", {"via": via, "canonical": True}, space)
    community.aliases.append(f"#fleet:{alice.server}")


def add_upgraded_room(community):
    _, bob, carol, dave = community.people[:4]
    guests = (carol, dave)
    alias = {"room_alias_name": "old-pier"}
    old = make(community, "before-upgrade", bob, guests, room_version="10", **alias)
    bob.say(old, "written before the upgrade")
    upgrade = bob.in_room("POST", old, "upgrade", {"new_version": "12"})
    new = upgrade["replacement_room"]
    community.rooms["after-upgrade"] = new
    bob.bring(new, *guests)
    bob.say(new, "written after the upgrade")
    community.aliases.append(f"#old-pier:{bob.server}")


def add_chats(community):
    people = community.people
    for number in range(community.plan.chats):
        owner = people[number % len(people)]
        guests = [person for person in people if person is not owner]
        version = CHAT_VERSIONS[-1 - number % len(CHAT_VERSIONS)]
        label = f"chat-{number}"
        chat = {"preset": "public_chat", "room_version": version}
        make(community, label, owner, guests, **chat)
        community.chats.append(label)
