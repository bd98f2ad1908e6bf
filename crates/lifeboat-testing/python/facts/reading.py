"""Asking a homeserver, and making answers comparable.

A fact is a name and a value. Names hold ids, which a faithful copy keeps. Values are canonical
JSON; long ones are shortened to their beginning and a hash. What changes by itself (ages, last
seen) is left out; what a faithful copy is right to change is set aside under a name of its own.
"""
import hashlib
import json
import threading
import urllib.parse

import requests

# Synapse tells what a state event replaced only after it has served that event in a timeline.
VOLATILE = frozenset({"age", "age_ts", "prev_content", "prev_sender", "transaction_id"})
LONGEST = 2000


def quote(text):
    return urllib.parse.quote(text, safe="")


def settled(thing):
    """The thing without what changes from one reading to the next."""
    if isinstance(thing, list):
        return [settled(part) for part in thing]
    if not isinstance(thing, dict):
        return thing
    kept = {key: settled(value) for key, value in thing.items()}
    if "origin_server_ts" in kept:
        kept.pop("age", None)
    unsigned = kept.get("unsigned")
    if isinstance(unsigned, dict):
        kept["unsigned"] = {
            key: value
            for key, value in unsigned.items()
            if key not in VOLATILE and not key.endswith("_ttl_ms")
        }
    return kept


def without(thing, *names):
    return {key: value for key, value in thing.items() if key not in names}


def value_of(thing):
    text = json.dumps(settled(thing), sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    if len(text) <= LONGEST:
        return text
    return f"{text[:120]}… {len(text)} characters, sha256 {digest(text.encode())}"


def digest(blob):
    return hashlib.sha256(blob).hexdigest()


class Damaged(Exception):
    """The homeserver failed inside."""


class Account:
    """A device that was logged in when the community was made."""

    def __init__(self, state):
        self.user = state["user_id"]
        self.device = state["device_id"]
        self.token = state["access_token"]
        self.since = state["since"]


class Reader:
    """Reads one homeserver and collects facts; several threads may read at once."""

    def __init__(self, url, state):
        self.url = url.rstrip("/")
        self.state = state
        self.people = [Account(person) for person in state["people"]]
        self.devices = [Account(device) for device in state["devices"]]
        self.special = {name: Account(one) for name, one in state["special"].items()}
        self.others = [*self.devices, *self.special.values()]
        self.admin = self.people[0]
        self.facts = {}
        self.aside = {}
        self._local = threading.local()

    def fact(self, name, thing):
        assert name not in self.facts, f"two facts have the name {name}"
        self.facts[name] = value_of(thing)

    def set_aside(self, name, thing):
        self.aside[name] = value_of(thing)

    def raw(self, account, path, verb="GET", body=None, **params):
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
        headers = {"Authorization": f"Bearer {account.token}"} if account else {}
        return self._local.session.request(
            verb, self.url + path, json=body, params=params, headers=headers, timeout=60
        )

    def ask(self, account, path, verb="GET", body=None, **params):
        """The answer's JSON; an error becomes a value, because it is a fact as well."""
        answer = self.raw(account, path, verb, body, **params)
        if answer.status_code < 300:
            return answer.json()
        if answer.status_code in (500, 502, 503):
            raise Damaged(f"{verb} {path}: {answer.status_code} {answer.text[:500]}")
        try:
            code = answer.json().get("errcode")
        except ValueError:
            code = None
        return {"refused": answer.status_code, "errcode": code}

    def client(self, account, path, verb="GET", body=None, **params):
        return self.ask(account, f"/_matrix/client/v3/{path}", verb, body, **params)

    def as_admin(self, path, **params):
        return self.ask(self.admin, f"/_synapse/admin/{path}", **params)

    def pages(self, account, path, chunk, token, **params):
        """All items of a paginated answer."""
        items, start = [], None
        while True:
            page = self.client(account, path, **params, **({"from": start} if start else {}))
            if "refused" in page:
                return page
            items.extend(page[chunk])
            start = page.get(token)
            if not start:
                return items
