#!/usr/bin/env python3
"""A device that lives through the loss of its homeserver, and those who write to it for the first
time afterwards.

    survivor.py prepare URL STATE KEPT   a device logs in and publishes one-time keys; then: export
    survivor.py lose    URL STATE KEPT   after the export each of those keys is used up
    survivor.py go-on   URL STATE KEPT   on the homeserver that was put back; prints what was read

The device is real Olm (vodozemac): a one-time key that it has used is gone from its store. It does
what real clients do: uploads one-time keys when the homeserver says that few are left, and only
then. KEPT is its store, on disk between the runs.
"""
import argparse
import base64
import itertools
import json
import os
import time

import vodozemac

from community import client
from community.olm import PICKLE_KEY, Encryption

PUBLISHED = 10
LATER_SENDERS = 8
KIND = "signed_curve25519"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("verb", choices=("prepare", "lose", "go-on"))
    parser.add_argument("url")
    parser.add_argument("state", help="what seed.py wrote")
    parser.add_argument("kept", help="the file that is the device's store")
    return parser.parse_args()


def load(path):
    with open(path, encoding="utf-8") as text:
        return json.load(text)


class Keys(Encryption):
    """Keys that can be published again later, and a first message to somebody."""

    def use(self, account):
        self.account = account
        self.curve25519 = account.curve25519_key.to_base64()
        self.ed25519 = account.ed25519_key.to_base64()

    def publish_more(self, count, fallback):
        self.account.generate_one_time_keys(count)
        upload = {"one_time_keys": self._signed(self.account.one_time_keys, {})}
        if fallback:
            self.account.generate_fallback_key()
            upload["fallback_keys"] = self._signed(self.account.fallback_key, {"fallback": True})
        self.device.client("POST", "keys/upload", upload)
        self.account.mark_keys_as_published()

    def write_first(self, to, text):
        """Claims a key of a device and writes to it; which kind of key that was."""
        found = self.device.client("POST", "keys/query", {"device_keys": {to.user: []}})
        about = found["device_keys"][to.user][to.id]
        wanted = {"one_time_keys": {to.user: {to.id: KIND}}}
        claimed = self.device.client("POST", "keys/claim", wanted)
        key = next(iter(claimed["one_time_keys"][to.user][to.id].values()))
        sealed = self._seal(about, key["key"], {"text": text})
        self.device.to_device("m.room.encrypted", {to.user: {to.id: sealed}})
        return "fallback" if key.get("fallback") else "one-time"


class Survivor:
    """The device, and what it could and could not read."""

    def __init__(self, device, account=None):
        self.device = device
        self.keys = Keys(device)
        if account:
            self.keys.use(account)
        self.read = []
        self.unreadable = []

    @classmethod
    def from_store(cls, url, path):
        kept = load(path)
        device = client.Device(url, kept["login"])
        device.since = kept["since"]
        return cls(device, vodozemac.Account.from_pickle(kept["account"], PICKLE_KEY))

    def store(self, path):
        device = self.device
        login = {"user_id": device.user, "device_id": device.id, "access_token": device.token}
        account = self.keys.account.pickle(PICKLE_KEY)
        with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as out:
            json.dump({"login": login, "since": device.since, "account": account}, out)

    def sync(self):
        """Reads what came, then uploads keys when few are left. How many the answer told of."""
        answer = self.device.sync()
        for event in answer.get("to_device", {}).get("events", []):
            self.take(event["content"])
        left = answer["device_one_time_keys_count"].get(KIND, 0)
        if left < PUBLISHED // 2:
            used = KIND not in answer["device_unused_fallback_key_types"]
            self.keys.publish_more(PUBLISHED - left, fallback=used)
        return left

    def take(self, content):
        sealed = content["ciphertext"][self.keys.curve25519]
        sender = vodozemac.Curve25519PublicKey.from_base64(content["sender_key"])
        body = base64.b64decode(sealed["body"] + "=" * (-len(sealed["body"]) % 4))
        message = vodozemac.AnyOlmMessage.from_parts(sealed["type"], body).to_pre_key()
        try:
            _, plain = self.keys.account.create_inbound_session(sender, message)
        except vodozemac.SessionCreationException as error:
            self.unreadable.append(str(error))
        else:
            self.read.append(json.loads(plain)["content"]["text"])


def write(url, state, survivor, texts):
    """Each text comes from a device that nobody has heard of."""
    alice = state["people"][0]
    kinds = []
    for text in texts:
        device = client.log_in(url, alice["user_id"], alice["password"], "Newcomer")
        kinds.append(Keys(device).write_first(survivor.device, text))
    return kinds


def prepare(url, state, kept):
    dave = state["people"][3]
    device = client.log_in(url, dave["user_id"], dave["password"], "Survivor")
    survivor = Survivor(device)
    survivor.keys.publish(PUBLISHED)
    survivor.sync()
    survivor.store(kept)
    return {"published": PUBLISHED}


def lose(url, state, kept):
    survivor = Survivor.from_store(url, kept)
    kinds = write(url, state, survivor, [f"lost {number}" for number in range(PUBLISHED)])
    left = survivor.sync()
    survivor.store(kept)
    return {"keys": kinds, "left": left, **outcome(survivor)}


def go_on(url, state, kept):
    """One writes before the survivor is back, the others after its first sync."""
    survivor = Survivor.from_store(url, kept)
    early = write(url, state, survivor, ["early"])
    left = survivor.sync()
    later = write(url, state, survivor, [f"later {number}" for number in range(LATER_SENDERS)])
    survivor.sync()
    return {"early_key": early[0], "later_keys": later, "left": left, **outcome(survivor)}


def outcome(survivor):
    return {"read": survivor.read, "unreadable": survivor.unreadable}


def main():
    args = arguments()
    # The homeserver remembers transaction ids, so they must not be those of an earlier run.
    client.TRANSACTIONS = itertools.count(time.time_ns() // 1_000_000)
    verbs = {"prepare": prepare, "lose": lose, "go-on": go_on}
    print(json.dumps(verbs[args.verb](args.url, load(args.state), args.kept)))


if __name__ == "__main__":
    main()
