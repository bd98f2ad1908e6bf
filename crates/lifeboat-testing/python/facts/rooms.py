"""Facts about rooms: state, members, every event, who sees which of them."""
from .reading import quote


def rooms_of(reader):
    """Each room with the first person who is in it, and all people who are."""
    members = {}
    for person in reader.people:
        for room in reader.client(person, "joined_rooms")["joined_rooms"]:
            members.setdefault(room, []).append(person)
    return members


def read_room(reader, room, members):
    first = members[0]
    read_state(reader, room, first)
    events = timeline(reader, room, first)
    for event in events:
        reader.fact(f"event/{room}/{event['event_id']}", event)
    for member in members:
        seen = events if member is first else timeline(reader, room, member)
        order = [event["event_id"] for event in seen]
        reader.fact(f"timeline/{room}/{member.user}", order)
    path = f"rooms/{quote(room)}"
    joined = reader.client(first, f"{path}/joined_members")["joined"]
    for user, about in joined.items():
        reader.fact(f"joined/{room}/{user}", about)
    aliases = reader.client(first, f"{path}/aliases")
    reader.fact(f"aliases/{room}", sorted(aliases["aliases"]))
    read_relations(reader, room, first, events)


def read_state(reader, room, member):
    state = reader.client(member, f"rooms/{quote(room)}/state")
    for event in state:
        name = f"state/{room}/{event['type']}/{event['state_key']}"
        reader.fact(name, event)


def timeline(reader, room, member):
    path = f"rooms/{quote(room)}/messages"
    return reader.pages(member, path, "chunk", "end", dir="b", limit=1000)


def read_relations(reader, room, member, events):
    """Threads, and what refers to each event that something refers to."""
    place = f"/_matrix/client/v1/rooms/{quote(room)}"
    threads = reader.ask(member, f"{place}/threads")
    roots = [event["event_id"] for event in threads["chunk"]]
    reader.fact(f"threads/{room}", roots)
    targets = {
        event["content"]["m.relates_to"]["event_id"]
        for event in events
        if isinstance(event["content"].get("m.relates_to"), dict)
        and "event_id" in event["content"]["m.relates_to"]
    }
    for target in sorted(targets):
        answer = reader.ask(member, f"{place}/relations/{quote(target)}", limit=100)
        related = [event["event_id"] for event in answer.get("chunk", [])]
        reader.fact(f"relations/{room}/{target}", related)


def read_left_rooms(reader):
    """What those see who are outside: of each room, as somebody who never was in it."""
    outsider = reader.special["guest"]
    for label, room in sorted(reader.state["rooms"].items()):
        path = f"rooms/{quote(room)}/messages"
        answer = reader.client(outsider, path, dir="b", limit=10)
        seen = answer if "refused" in answer else [one["event_id"] for one in answer["chunk"]]
        reader.fact(f"outside/{label} {room}", seen)


def read_probes(reader):
    lobby = reader.state["rooms"]["lobby"]
    for label, event in reader.state["probes"].items():
        path = f"rooms/{quote(lobby)}/event/{quote(event)}"
        reader.fact(f"probe/{label}", reader.client(reader.people[1], path))
    root = reader.state["events"]["lobby"][0]
    place = f"rooms/{quote(lobby)}/thread/{quote(root)}/subscription"
    path = f"/_matrix/client/unstable/io.element.msc4306/{place}"
    reader.fact("thread subscription", reader.ask(reader.people[0], path))
