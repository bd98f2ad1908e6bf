#!/usr/bin/env python3
"""What clients can see of a homeserver, written down and compared.

    fingerprint.py capture URL STATE OUT            read everything; STATE is what seed.py wrote
    fingerprint.py compare A B [--allow PATTERN]…   exit 1 when facts differ

Nothing is written to the homeserver: no login, no receipt, no sync that would take messages away.
"""
import argparse
import concurrent.futures
import json
import sys
import time

from facts import people, rooms, server
from facts.difference import compare, patterns
from facts.reading import Damaged, Reader

LANES = 4
# Those who are invited, left, banned, put out, or knocking.
AT_THE_EDGE = ("guest", "refuser", "rowdy", "pushed", "asker")


def arguments():
    parser = argparse.ArgumentParser(description="Facts about a homeserver.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    capture = verbs.add_parser("capture")
    capture.add_argument("url")
    capture.add_argument("state")
    capture.add_argument("out")
    difference = verbs.add_parser("compare")
    difference.add_argument("left")
    difference.add_argument("right")
    difference.add_argument("--allow", action="append", default=[], help="names that may differ")
    difference.add_argument("--allow-list", help="a file of such patterns, one a line")
    return parser.parse_args()


def load(path):
    with open(path, encoding="utf-8") as text:
        return json.load(text)


def read_everything(reader):
    tasks = [
        (people.read_profiles, reader),
        (people.read_keys, reader),
        (rooms.read_left_rooms, reader),
        (rooms.read_probes, reader),
        (server.read_directories, reader),
        (server.read_as_admin, reader),
        (server.read_far_media, reader),
    ]
    tasks += [(people.read_account, reader, one) for one in [*reader.people, *reader.others]]
    tasks += [(people.read_person, reader, person) for person in reader.people]
    tasks += [(people.read_person, reader, reader.special[name]) for name in AT_THE_EDGE]
    tasks += [(people.read_waiting, reader, device) for device in reader.devices]
    for room, members in sorted(rooms.rooms_of(reader).items()):
        tasks.append((rooms.read_room, reader, room, members))
    tasks += [(server.read_media, reader, uri) for uri in sorted(reader.state["media"])]
    with concurrent.futures.ThreadPoolExecutor(LANES) as lanes:
        for done in [lanes.submit(attempt, reader, *task) for task in tasks]:
            done.result()


def attempt(reader, task, *arguments):
    """A damaged copy may give answers of another shape. That is a fact too, and never equal."""
    try:
        task(*arguments)
    except (LookupError, TypeError, AttributeError, Damaged) as error:
        about = getattr(arguments[-1], "user", None) or arguments[1:2]
        reader.fact(f"unreadable/{task.__name__} {about}", repr(error))


def capture(args):
    started = time.monotonic()
    reader = Reader(args.url, load(args.state))
    read_everything(reader)
    with open(args.out, "w", encoding="utf-8") as out:
        json.dump({"facts": reader.facts, "aside": reader.aside}, out, indent=0, sort_keys=True)
    print(f"{len(reader.facts)} facts in {time.monotonic() - started:.1f} s")
    return 0


def main():
    args = arguments()
    if args.verb == "capture":
        return capture(args)
    allowed = [*args.allow, *patterns(args.allow_list)]
    text, differs = compare(load(args.left), load(args.right), allowed)
    print(text)
    return 1 if differs else 0


if __name__ == "__main__":
    sys.exit(main())
