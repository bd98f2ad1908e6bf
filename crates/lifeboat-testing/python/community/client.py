"""One logged-in device and the calls it makes.

Transaction ids count up instead of holding the time, so that a run with the same seed makes the
same calls.
"""
import hashlib
import hmac
import itertools
import urllib.parse

import requests

TRANSACTIONS = itertools.count(1)


def quote(text):
    return urllib.parse.quote(text, safe="")


class Refused(Exception):
    """The homeserver answered with an error."""

    def __init__(self, method, path, answer):
        super().__init__(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        self.status = answer.status_code
        self.answer = answer


class Device:
    """A session of a user. Without a token it can only ask what anybody may ask."""

    def __init__(self, url, login=None, password=None):
        login = login or {}
        self.url = url.rstrip("/")
        self.user = login.get("user_id")
        self.id = login.get("device_id")
        self.token = login.get("access_token")
        self.refresh_token = login.get("refresh_token")
        self.password = password
        self.since = None
        self.olm = None
        self.session = requests.Session()

    @property
    def localpart(self):
        return self.user[1:].split(":", 1)[0]

    @property
    def server(self):
        return self.user.split(":", 1)[1]

    def answer(self, method, path, **options):
        """The raw answer; raises when it is an error."""
        headers = options.pop("headers", {})
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        answer = self.session.request(
            method, self.url + path, headers=headers, timeout=120, **options
        )
        if answer.status_code >= 300:
            raise Refused(method, path, answer)
        return answer

    def call(self, method, path, body=None, **options):
        if body is None and method in ("POST", "PUT"):
            body = {}
        return self.answer(method, path, json=body, **options).json()

    def client(self, method, path, body=None, **options):
        return self.call(method, f"/_matrix/client/v3/{path}", body, **options)

    def admin(self, method, path, body=None, **options):
        return self.call(method, f"/_synapse/admin/{path}", body, **options)

    # Rooms

    def create_room(self, **options):
        return self.client("POST", "createRoom", options)["room_id"]

    def in_room(self, method, room, path, body=None, **options):
        return self.client(method, f"rooms/{quote(room)}/{path}", body, **options)

    def join(self, room):
        return self.client("POST", f"join/{quote(room)}")["room_id"]

    def invite(self, room, *guests):
        for guest in guests:
            self.in_room("POST", room, "invite", {"user_id": guest.user})

    def bring(self, room, *guests):
        """Invites the guests, who then join."""
        for guest in guests:
            self.invite(room, guest)
            guest.join(room)

    def send(self, room, kind, content, **params):
        path = f"send/{quote(kind)}/t{next(TRANSACTIONS)}"
        return self.in_room("PUT", room, path, content, params=params).get("event_id")

    def say(self, room, text, **more):
        return self.send(room, "m.room.message", {"msgtype": "m.text", "body": text, **more})

    def set_state(self, room, kind, content, key=""):
        path = f"state/{quote(kind)}/{quote(key)}"
        return self.in_room("PUT", room, path, content)["event_id"]

    def redact(self, room, event, reason):
        path = f"redact/{quote(event)}/t{next(TRANSACTIONS)}"
        return self.in_room("PUT", room, path, {"reason": reason})["event_id"]

    def sync(self, **params):
        if self.since:
            params["since"] = self.since
        answer = self.client("GET", "sync", params={"timeout": 0, **params})
        self.since = answer["next_batch"]
        return answer

    # Account

    def account_data(self, kind, content, room=None):
        place = f"/rooms/{quote(room)}" if room else ""
        path = f"user/{quote(self.user)}{place}/account_data/{quote(kind)}"
        self.client("PUT", path, content)

    def upload(self, blob, mime, name):
        answer = self.answer(
            "POST",
            "/_matrix/media/v3/upload",
            data=blob,
            params={"filename": name} if name else {},
            headers={"Content-Type": mime},
        )
        return answer.json()["content_uri"]

    def to_device(self, kind, messages):
        path = f"sendToDevice/{quote(kind)}/t{next(TRANSACTIONS)}"
        self.client("PUT", path, {"messages": messages})

    def with_password(self, method, path, body):
        """A call that may want the password again."""
        try:
            return self.client(method, path, body)
        except Refused as refused:
            if refused.status != 401:
                raise
            proof = {
                "type": "m.login.password",
                "session": refused.answer.json()["session"],
                "identifier": {"type": "m.id.user", "user": self.user},
                "password": self.password,
            }
            return self.client(method, path, {**body, "auth": proof})

    def as_state(self):
        """What another program needs to go on as this device."""
        return {
            "user_id": self.user,
            "device_id": self.id,
            "access_token": self.token,
            "refresh_token": self.refresh_token,
            "password": self.password,
            "since": self.since,
            **(self.olm.as_state() if self.olm else {}),
        }


def register(url, secret, name, password, admin=False):
    """Makes an account with the homeserver's shared secret."""
    anybody = Device(url)
    nonce = anybody.admin("GET", "v1/register")["nonce"]
    parts = [nonce, name, password, "admin" if admin else "notadmin"]
    mac = hmac.new(secret.encode(), "\0".join(parts).encode(), hashlib.sha1).hexdigest()
    form = {"nonce": nonce, "username": name, "password": password, "admin": admin, "mac": mac}
    return Device(url, anybody.admin("POST", "v1/register", form), password)


def log_in(url, user, password, device_name, **more):
    """A further device of an account."""
    form = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": user},
        "password": password,
        "initial_device_display_name": device_name,
        **more,
    }
    return Device(url, Device(url).client("POST", "login", form), password)
