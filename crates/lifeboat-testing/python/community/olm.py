"""The encryption side of a device: device keys, cross-signing, room keys, key backup.

Real Olm and Megolm through vodozemac, so that what is stored can be decrypted again after a
restore. Pickles are sealed with a fixed key: they are a test's.
"""
import base64
import json

import vodozemac
from nacl.signing import SigningKey

PICKLE_KEY = b"\x07" * 32
MEGOLM = "m.megolm.v1.aes-sha2"
OLM = "m.olm.v1.curve25519-aes-sha2"
BACKUP = "m.megolm_backup.v1.curve25519-aes-sha2"


def unpadded(raw):
    return base64.b64encode(raw).decode().rstrip("=")


def signable(thing):
    """Canonical JSON of a thing without what signing leaves out."""
    kept = {key: value for key, value in thing.items() if key not in ("signatures", "unsigned")}
    return json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


class Encryption:
    """The keys of one device."""

    def __init__(self, device):
        self.device = device
        self.account = vodozemac.Account()
        self.curve25519 = self.account.curve25519_key.to_base64()
        self.ed25519 = self.account.ed25519_key.to_base64()
        self.cross_signing = {}
        self.room_keys = []
        self.backup = None
        device.olm = self

    def sign(self, thing):
        mine = thing.setdefault("signatures", {}).setdefault(self.device.user, {})
        mine[f"ed25519:{self.device.id}"] = self.account.sign(signable(thing)).to_base64()
        return thing

    def publish(self, one_time_keys):
        device = self.device
        about = {
            "user_id": device.user,
            "device_id": device.id,
            "algorithms": [OLM, MEGOLM],
            "keys": {
                f"curve25519:{device.id}": self.curve25519,
                f"ed25519:{device.id}": self.ed25519,
            },
        }
        self.account.generate_one_time_keys(one_time_keys)
        self.account.generate_fallback_key()
        upload = {
            "device_keys": self.sign(about),
            "one_time_keys": self._signed(self.account.one_time_keys, {}),
            "fallback_keys": self._signed(self.account.fallback_key, {"fallback": True}),
        }
        device.client("POST", "keys/upload", upload)
        self.account.mark_keys_as_published()

    def _signed(self, keys, more):
        return {
            f"signed_curve25519:{name}": self.sign({"key": key.to_base64(), **more})
            for name, key in keys.items()
        }

    # Cross-signing

    def cross_sign(self):
        """Makes the three identity keys and signs this device with them."""
        usages = ("master", "self_signing", "user_signing")
        keys = {usage: SigningKey.generate() for usage in usages}
        public = {usage: unpadded(bytes(key.verify_key)) for usage, key in keys.items()}
        upload = {}
        for usage in usages:
            key = {
                "user_id": self.device.user,
                "usage": [usage],
                "keys": {f"ed25519:{public[usage]}": public[usage]},
            }
            if usage == "master":
                self.sign(key)
            else:
                self._sign_with(keys["master"], key)
            upload[f"{usage}_key"] = key
        self.device.with_password("POST", "keys/device_signing/upload", upload)
        self.cross_signing = keys
        self.vouch_for_device(self.device)

    def vouch_for_device(self, other):
        known = self._query(self.device.user)["device_keys"][self.device.user][other.id]
        known.pop("signatures", None)
        known.pop("unsigned", None)
        self._sign_with(self.cross_signing["self_signing"], known)
        self._upload_signature(self.device.user, other.id, known)

    def vouch_for_user(self, other):
        master = self._query(other.user)["master_keys"][other.user]
        master.pop("signatures", None)
        self._sign_with(self.cross_signing["user_signing"], master)
        self._upload_signature(other.user, next(iter(master["keys"].values())), master)

    def _sign_with(self, key, thing):
        public = unpadded(bytes(key.verify_key))
        signature = unpadded(key.sign(signable(thing)).signature)
        mine = thing.setdefault("signatures", {}).setdefault(self.device.user, {})
        mine[f"ed25519:{public}"] = signature

    def _query(self, user):
        return self.device.client("POST", "keys/query", {"device_keys": {user: []}})

    def _upload_signature(self, user, key_id, signed):
        self.device.client("POST", "keys/signatures/upload", {user: {key_id: signed}})

    # Room keys

    def open_room_session(self, room, members):
        """Starts a Megolm session and sends its key to each device of the members."""
        session = RoomSession(self, room)
        self.room_keys.append(session)
        devices = self.device.client(
            "POST", "keys/query", {"device_keys": {member.user: [] for member in members}}
        )["device_keys"]
        wanted = {
            user: {device: "signed_curve25519" for device in theirs}
            for user, theirs in devices.items()
        }
        wanted.get(self.device.user, {}).pop(self.device.id, None)
        claimed = self.device.client("POST", "keys/claim", {"one_time_keys": wanted})
        messages = {}
        for user, theirs in claimed["one_time_keys"].items():
            for device, keys in theirs.items():
                one_time_key = next(iter(keys.values()))["key"]
                sealed = self._seal(devices[user][device], one_time_key, session.as_room_key())
                messages.setdefault(user, {})[device] = sealed
        self.device.to_device("m.room.encrypted", messages)
        return session

    def _seal(self, about, one_time_key, content):
        curve25519 = about["keys"][f"curve25519:{about['device_id']}"]
        channel = self.account.create_outbound_session(
            vodozemac.Curve25519PublicKey.from_base64(curve25519),
            vodozemac.Curve25519PublicKey.from_base64(one_time_key),
        )
        inner = {
            "type": "m.room_key",
            "sender": self.device.user,
            "recipient": about["user_id"],
            "recipient_keys": {"ed25519": about["keys"][f"ed25519:{about['device_id']}"]},
            "keys": {"ed25519": self.ed25519},
            "content": content,
        }
        kind, body = channel.encrypt(json.dumps(inner).encode()).to_parts()
        return {
            "algorithm": OLM,
            "sender_key": self.curve25519,
            "ciphertext": {curve25519: {"type": kind, "body": unpadded(body)}},
        }

    # Key backup

    def back_up(self, sessions):
        """Makes a backup version and puts the sessions into it."""
        recovery = vodozemac.PkDecryption()
        form = {
            "algorithm": BACKUP,
            "auth_data": self.sign({"public_key": recovery.public_key.to_base64()}),
        }
        version = self.device.client("POST", "room_keys/version", form)["version"]
        rooms = {}
        for session in sessions:
            kept = session.for_backup(recovery.public_key)
            rooms.setdefault(session.room, {"sessions": {}})["sessions"][session.id] = kept
        self.device.client("PUT", "room_keys/keys", {"rooms": rooms}, params={"version": version})
        self.backup = {"version": version, "key": recovery.key.to_base64()}

    def as_state(self):
        state = {"olm_pickle": self.account.pickle(PICKLE_KEY), "backup": self.backup}
        if self.cross_signing:
            state["cross_signing"] = {
                usage: unpadded(bytes(key)) for usage, key in self.cross_signing.items()
            }
        return state


class RoomSession:
    """An outbound Megolm session and the first state of its key."""

    def __init__(self, encryption, room):
        self.encryption = encryption
        self.room = room
        self.megolm = vodozemac.GroupSession()
        self.id = self.megolm.session_id
        self.key = self.megolm.session_key.to_base64()
        self.sent = {}

    def as_room_key(self):
        return {
            "algorithm": MEGOLM,
            "room_id": self.room,
            "session_id": self.id,
            "session_key": self.key,
        }

    def send(self, content, kind="m.room.message", **clear):
        inner = {"type": kind, "room_id": self.room, "content": content}
        device = self.encryption.device
        event = device.send(
            self.room,
            "m.room.encrypted",
            {
                "algorithm": MEGOLM,
                "sender_key": self.encryption.curve25519,
                "device_id": device.id,
                "session_id": self.id,
                "ciphertext": self.megolm.encrypt(json.dumps(inner).encode()).to_base64(),
                **clear,
            },
        )
        self.sent[event] = content
        return event

    def say(self, text):
        return self.send({"msgtype": "m.text", "body": text})

    def for_backup(self, public_key):
        session = vodozemac.InboundGroupSession(vodozemac.SessionKey(self.key))
        inner = {
            "algorithm": MEGOLM,
            "sender_key": self.encryption.curve25519,
            "sender_claimed_keys": {"ed25519": self.encryption.ed25519},
            "forwarding_curve25519_key_chain": [],
            "session_key": session.export_at(0).to_base64(),
        }
        sealed = vodozemac.PkEncryption.from_key(public_key).encrypt(json.dumps(inner).encode())
        return {
            "first_message_index": 0,
            "forwarded_count": 0,
            "is_verified": True,
            "session_data": {
                "ciphertext": unpadded(sealed.ciphertext),
                "mac": unpadded(sealed.mac),
                "ephemeral": unpadded(sealed.ephemeral_key),
            },
        }

    def as_state(self):
        return {
            "room_id": self.room,
            "session_id": self.id,
            "session_key": self.key,
            "sender": self.encryption.device.user,
            "plain": self.sent,
        }
