#!/usr/bin/env python3
"""Fills a running, empty Synapse with a small varied community, through its client API.

The same size and seed give the same people, rooms and texts (not the same ids: the homeserver makes
those). What is needed to go on as these people, and what can be asked of a copy of the homeserver,
is written to a JSON file. It holds passwords and keys: use it for tests only.
"""
import argparse
import json
import os

from community import media, order, people, private, rooms, talk
from community.client import register
from community.plan import SIZES, Community


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--shared-secret", required=True, help="registration_shared_secret")
    parser.add_argument("--as-token", required=True, help="of an application service for all users")
    parser.add_argument("--size", choices=sorted(SIZES), default="small")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", required=True, help="the JSON file that is written")
    return parser.parse_args()


def live(community):
    """The life of the community, in the order it happens."""
    warden = register(community.url, community.secret, "warden", "warden-password", admin=True)
    order.wait_for_background_updates(warden)
    community.tell("the database is ready")
    people.settle(community)
    people.add_devices(community)
    people.add_special_accounts(community)
    people.add_account_facts(community)
    community.tell("people and devices")
    pictures = media.fill_store(community)
    rooms.build(community)
    community.tell("media and rooms")
    talk.chatter(community, pictures)
    talk.be_awkward(community)
    talk.be_old(community)
    community.tell("messages")
    private.talk_encrypted(community)
    # Nobody can mark as read what somebody said whom they ignore, so settings come later.
    private.read(community)
    private.settle_in(community)
    private.leave_keys_unread(community)
    community.tell("encryption, settings, receipts")
    order.move_about(community)
    order.complain(community)
    order.remove(community)
    order.wait_for_background_updates(warden)
    community.tell("order")


def as_state(community):
    return {
        "server_name": community.admin.server,
        "admin": community.admin.user,
        "people": [person.as_state() for person in community.people],
        "devices": [device.as_state() for device in community.devices],
        "special": {state: person.as_state() for state, person in community.special.items()},
        "rooms": community.rooms,
        "chats": community.chats,
        "aliases": community.aliases,
        "events": community.events,
        "probes": community.probes,
        "media": community.media,
        "megolm_sessions": [session.as_state() for session in community.sessions],
        "skipped": community.skipped,
    }


def main():
    args = arguments()
    plan = SIZES[args.size]
    community = Community(args.base_url, args.shared_secret, args.as_token, plan, args.seed)
    live(community)
    part = f"{args.out}.part"
    with open(os.open(part, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as out:
        json.dump(as_state(community), out, indent=1, ensure_ascii=False)
    os.replace(part, args.out)
    for skipped in community.skipped:
        community.tell(f"not supported by this homeserver: {skipped}")


if __name__ == "__main__":
    main()
