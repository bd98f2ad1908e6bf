"""Keeping order: odd memberships, reports, rooms and history that were removed."""
import time

from .client import quote, register
from .rooms import make


def move_about(community):
    """One account for each way of not being in a room."""
    alice, bob, *_, last = community.people
    lobby, private = community.rooms["lobby"], community.rooms["private"]
    names = ("guest", "refuser", "rowdy", "pushed", "asker")
    guest, refuser, rowdy, pushed, asker = (
        register(community.url, community.secret, name, f"{name}-password") for name in names
    )
    community.special.update(zip(names, (guest, refuser, rowdy, pushed, asker)))
    alice.invite(lobby, guest)
    bob.invite(private, guest, refuser)
    refuser.in_room("POST", private, "leave")
    knock = community.rooms["knock"]
    asker.client("POST", f"knock/{quote(knock)}", {"reason": "let me in"})
    rowdy.join(lobby)
    community.probes["spam"] = rowdy.say(lobby, "buy my boat")
    ban = {"user_id": rowdy.user, "reason": "spam"}
    alice.in_room("POST", lobby, "ban", ban)
    pushed.join(lobby)
    alice.in_room("POST", lobby, "kick", {"user_id": pushed.user, "reason": "not today"})
    back = community.rooms[community.chats[0]]
    rowdy.join(back)
    rowdy.say(back, "buy my other boat")
    redacting = {**ban, "org.matrix.msc4293.redact_events": True}
    community.people[0].in_room("POST", back, "ban", redacting)
    last.in_room("POST", lobby, "leave")
    last.in_room("POST", lobby, "forget")
    bob.in_room("POST", community.rooms["readable"], "leave")


def complain(community):
    alice, bob, _, dave = community.people[:4]
    lobby, spam = community.rooms["lobby"], community.probes["spam"]
    dave.in_room("POST", lobby, f"report/{quote(spam)}", {"reason": "spam", "score": -50})
    dave.in_room("POST", lobby, "report", {"reason": "too loud"})
    rowdy = community.special["rowdy"]
    dave.client("POST", f"users/{quote(rowdy.user)}/report", {"reason": "sells boats"})
    notice = {"user_id": bob.user, "content": {"msgtype": "m.text", "body": "dry dock tonight"}}
    alice.admin("POST", "v1/send_server_notice", notice)
    everything = {"rooms": [lobby]}
    community.optional(
        "redaction of a user",
        lambda: alice.admin("POST", f"v1/user/{quote(rowdy.user)}/redact", everything),
    )


def remove(community):
    """A room that was purged and blocked, and one that lost the first half of its history."""
    alice, bob, carol = community.people[:3]
    sunk = make(community, "sunk", alice, (bob, carol))
    alice.say(sunk, "will be purged")
    form = {"purge": True, "block": True, "message": "closed"}
    removal = alice.admin("DELETE", f"v2/rooms/{quote(sunk)}", form)
    cut = make(community, "cut", alice, (bob, carol))
    events = [alice.say(cut, f"line {number}") for number in range(12)]
    form = {"delete_local_events": True}
    purge = alice.admin("POST", f"v1/purge_history/{quote(cut)}/{quote(events[6])}", form)
    community.events["cut"] = events[6:]
    wait(lambda: status(alice, f"v2/rooms/delete_status/{removal['delete_id']}") == "complete")
    wait(lambda: status(alice, f"v1/purge_history_status/{purge['purge_id']}") == "complete")


def status(admin, path):
    return admin.admin("GET", path)["status"]


def wait(done, limit=120):
    """Asks until the homeserver is done with something."""
    deadline = time.monotonic() + limit
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError("the homeserver does not finish its work")
        time.sleep(0.1)


def wait_for_background_updates(admin):
    """A new database is changed by the homeserver for a while after its first start."""
    path = "v1/background_updates/status"
    wait(lambda: not admin.admin("GET", path)["current_updates"], limit=300)
