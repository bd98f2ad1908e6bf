"""Facts about accounts: who they are, what they are in, what they set, which keys they have."""
from .reading import quote, without


def read_account(reader, account):
    """What any token of any account can tell."""
    who = f"{account.user} {account.device}"
    reader.fact(f"token/{who}", reader.client(account, "account/whoami"))


def read_person(reader, person):
    who = person.user
    sync = reader.client(
        person,
        "sync",
        timeout=0,
        set_presence="offline",
        full_state="true",
        filter='{"room":{"include_leave":true,"timeline":{"limit":5}}}',
    )
    if "refused" in sync:
        reader.fact(f"person/{who}/refused", sync)
        return
    read_sync(reader, person, sync)
    simple = {
        "joined rooms": "joined_rooms",
        "push rules": "pushrules/",
        "pushers": "pushers",
        "third-party ids": "account/3pid",
        "filter 0": f"user/{quote(who)}/filter/0",
        "backup": "room_keys/version",
    }
    for name, path in simple.items():
        answer = reader.client(person, path)
        if name == "joined rooms":
            answer = sorted(answer["joined_rooms"])
        if name == "pushers":
            answer = sorted(answer["pushers"], key=str)
        reader.fact(f"person/{who}/{name}", answer)
    for device in reader.client(person, "devices")["devices"]:
        lasting = without(device, "last_seen_ts", "last_seen_ip", "last_seen_user_agent")
        reader.fact(f"device/{who}/{device['device_id']}", lasting)
    read_backup(reader, person)
    unread = reader.client(person, "notifications", limit=200)
    for note in unread["notifications"]:
        name = f"notification/{who}/{note['event']['event_id']}"
        reader.fact(name, without(note, "event", "ts", "profile_tag"))
    read_experiments(reader, person)


def read_sync(reader, person, sync):
    who = person.user
    for item in sync["account_data"]["events"]:
        reader.fact(f"account data/{who}/{item['type']}", item["content"])
    for room, part in sync["rooms"].get("join", {}).items():
        name = f"{who}/{room}"
        reader.fact(f"unread/{name}", part["unread_notifications"])
        reader.fact(f"unread in threads/{name}", part.get("unread_thread_notifications"))
        reader.fact(f"summary/{name}", part["summary"])
        reader.fact(f"newest/{name}", [event["event_id"] for event in part["timeline"]["events"]])
        for item in part["account_data"]["events"]:
            reader.fact(f"room account data/{name}/{item['type']}", item["content"])
        read_receipts(reader, name, part["ephemeral"]["events"])
    for state in ("invite", "knock"):
        for room, part in sync["rooms"].get(state, {}).items():
            events = part[f"{state}_state"]["events"]
            reader.fact(f"{state}/{who}/{room}", sorted(events, key=str))
    for room, part in sync["rooms"].get("leave", {}).items():
        newest = [event["event_id"] for event in part["timeline"]["events"]]
        reader.fact(f"left/{who}/{room}", newest)
    waiting = sync.get("to_device", {}).get("events", [])
    reader.fact(f"to-device/{who}", waiting)
    fallback = sync["device_unused_fallback_key_types"]
    reader.fact(f"fallback keys/{who} {person.device}", fallback)
    # One-time keys must not come back with a copy, so their number may differ.
    reader.set_aside(f"one-time keys/{who}", sync.get("device_one_time_keys_count"))


def read_receipts(reader, name, ephemeral):
    receipts = [item["content"] for item in ephemeral if item["type"] == "m.receipt"]
    for event, kinds in (pair for content in receipts for pair in content.items()):
        for kind, readers in kinds.items():
            for reader_id, about in readers.items():
                place = f"{event}/{kind}/{reader_id}/{about.get('thread_id', '')}"
                reader.fact(f"receipt/{name}/{place}", about)


def read_backup(reader, person):
    version = reader.client(person, "room_keys/version").get("version")
    if version is None:
        return
    keys = reader.client(person, "room_keys/keys", version=version)
    for room, part in keys["rooms"].items():
        for session, kept in part["sessions"].items():
            reader.fact(f"backed-up key/{person.user}/{room}/{session}", kept)


def read_experiments(reader, person):
    unstable = "/_matrix/client/unstable"
    sleeper = f"{unstable}/org.matrix.msc3814.v1/dehydrated_device"
    reader.fact(f"dehydrated device/{person.user}", reader.ask(person, sleeper))
    delayed = reader.ask(person, f"{unstable}/org.matrix.msc4140/delayed_events")
    events = [without(one, "delay_id") for one in delayed.get("delayed_events", [])]
    reader.fact(f"delayed events/{person.user}", events)


def read_waiting(reader, device):
    """What waits for a further device. Asked as if it never synced, so that nothing is lost."""
    sync = reader.client(device, "sync", timeout=0, set_presence="offline", filter=NOTHING)
    if "refused" in sync:
        return
    who = f"{device.user} {device.device}"
    reader.fact(f"to-device/{who}", sync.get("to_device", {}).get("events", []))
    reader.fact(f"fallback keys/{who}", sync["device_unused_fallback_key_types"])
    reader.set_aside(f"one-time keys/{who}", sync.get("device_one_time_keys_count"))


NOTHING = '{"room":{"rooms":[]},"account_data":{"types":[]},"presence":{"types":[]}}'


def read_keys(reader):
    """Device keys and cross-signing keys of everybody, as somebody who shares rooms sees them."""
    users = sorted({account.user for account in [*reader.people, *reader.others]})
    for label, asker in (("admin", reader.people[0]), ("friend", reader.people[1])):
        keys = reader.client(
            asker, "keys/query", "POST", {"device_keys": {user: [] for user in users}}
        )
        for kind, theirs in keys.items():
            if kind == "failures":
                continue
            for user, value in theirs.items():
                parts = value.items() if kind == "device_keys" else [("key", value)]
                for name, part in parts:
                    reader.fact(f"keys/{label}/{kind}/{user}/{name}", part)


def read_profiles(reader):
    for account in [*reader.people, *reader.others]:
        name = f"profile/{account.user}"
        if name not in reader.facts:
            answer = reader.client(reader.people[1], f"profile/{quote(account.user)}")
            reader.fact(name, answer)
