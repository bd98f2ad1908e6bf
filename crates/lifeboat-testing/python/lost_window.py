#!/usr/bin/env python3
"""A client that goes on from a sync token which the homeserver gave out after it was exported.

    lost_window.py lose  URL STATE OUT   live on after the export; OUT keeps the client's sync token
    lost_window.py go-on URL STATE KEPT  send more, then sync from the kept token; prints what came

A homeserver that was put back stands before the token. When it counts on from there, what it
numbers below the token is never shown to the client. That is what this program can see.
"""
import argparse
import itertools
import json
import time

from community import client

LOST_MESSAGES = 30
LOST_TO_DEVICE = 5
LATER_MESSAGES = 50
LATER_TO_DEVICE = 10
# One answer holds everything, so nothing has to be fetched besides.
VIEW = json.dumps({"room": {"timeline": {"limit": 500}}})
LATEST_SYNCS = 20


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("verb", choices=("lose", "go-on"))
    parser.add_argument("url")
    parser.add_argument("state", help="what seed.py wrote")
    parser.add_argument("kept", help="the file with the client's sync token")
    return parser.parse_args()


def load(path):
    with open(path, encoding="utf-8") as text:
        return json.load(text)


class Talk:
    """A speaker and a listener who share a room; both go on with the tokens of the seeding."""

    def __init__(self, url, state):
        self.speaker, self.listener = (client.Device(url, person) for person in state["people"][:2])
        self.room = state["rooms"][state["chats"][0]]

    def speak(self, label, messages, to_device):
        """Sends so many of each; the bodies are told apart by the label."""
        for number in range(messages):
            self.speaker.say(self.room, f"{label} {number}")
        for number in range(to_device):
            content = {"text": f"{label} {number}"}
            address = {self.listener.user: {self.listener.id: content}}
            self.speaker.to_device("com.example.probe", address)

    def heard(self, label):
        """Syncs until nothing more comes; the numbers of the messages that came."""
        rooms, direct = set(), set()
        for _ in range(LATEST_SYNCS):
            before = self.listener.since
            answer = self.listener.sync(filter=VIEW)
            room = answer.get("rooms", {}).get("join", {}).get(self.room, {})
            found = numbers(label, room.get("timeline", {}).get("events", []), "body")
            waiting = numbers(label, answer.get("to_device", {}).get("events", []), "text")
            rooms.update(found)
            direct.update(waiting)
            if not found and not waiting and self.listener.since == before:
                break
        return rooms, direct


def numbers(label, events, key):
    bodies = (str(event.get("content", {}).get(key)) for event in events)
    split = (body.rsplit(" ", 1) for body in bodies if body.startswith(f"{label} "))
    return {int(number) for _, number in split}


def lose(talk, kept):
    """What happens after the export. The listener has seen all of it."""
    talk.heard("before")
    talk.speak("lost", LOST_MESSAGES, LOST_TO_DEVICE)
    rooms, direct = talk.heard("lost")
    with open(kept, "w", encoding="utf-8") as out:
        json.dump({"since": talk.listener.since}, out)
    return {"messages": len(rooms), "to_device": len(direct)}


def go_on(talk, kept):
    """What happens after the restore. The listener syncs for the first time when all is sent."""
    talk.listener.since = load(kept)["since"]
    talk.speak("later", LATER_MESSAGES, LATER_TO_DEVICE)
    rooms, direct = talk.heard("later")
    again, _ = talk.heard("lost")
    return {
        "messages": len(rooms),
        "to_device": len(direct),
        "missing": sorted(set(range(LATER_MESSAGES)) - rooms),
        "missing_to_device": sorted(set(range(LATER_TO_DEVICE)) - direct),
        "from_the_lost_window": len(again),
    }


def main():
    args = arguments()
    # The homeserver remembers transaction ids, so they must not be those of an earlier run.
    client.TRANSACTIONS = itertools.count(time.time_ns() // 1_000_000)
    talk = Talk(args.url, load(args.state))
    outcome = (lose if args.verb == "lose" else go_on)(talk, args.kept)
    print(json.dumps(outcome))


if __name__ == "__main__":
    main()
