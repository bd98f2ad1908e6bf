"""How much of everything there is, and the community while it is being made."""
import dataclasses
import random
import sys
import time

from .client import Refused


@dataclasses.dataclass(frozen=True)
class Plan:
    users: int
    chats: int
    messages_per_chat: int
    pictures: int
    encrypted_messages: int


SIZES = {
    "small": Plan(users=8, chats=3, messages_per_chat=30, pictures=4, encrypted_messages=8),
    "large": Plan(users=20, chats=12, messages_per_chat=200, pictures=20, encrypted_messages=60),
}

FIRST_NAMES = (
    "alice bob carol dave erin frank grace heidi ivan judy karl laura mike nina oscar peggy "
    "quentin rosa sven trudy ursula victor wendy xenia yann zoe"
).split()

WORDS = (
    "anchor harbour tide rope lantern compass deck sail storm crew captain signal rescue shore "
    "island map north wind invoice meeting lunch budget server backup restore export key device "
    "federation thread reply poll picture deadline Zürich naïve Größe 東京 会議 مرحبا Привет 🎉 🚀"
).split()


class Community:
    """Who and what there is so far."""

    def __init__(self, url, secret, as_token, plan, seed):
        self.url = url
        self.secret = secret
        self.as_token = as_token
        self.plan = plan
        self.seed = seed
        self.people = []
        self.admin = None
        self.devices = []
        self.special = {}
        self.rooms = {}
        self.chats = []
        self.events = {}
        self.probes = {}
        self.media = {}
        self.sessions = []
        self.aliases = []
        self.skipped = []
        self.started = time.monotonic()

    def dice(self, section):
        """Randomness of its own for each section: one section's change leaves the others alone."""
        return random.Random(f"{self.seed}/{section}")

    def optional(self, label, call):
        """An experimental feature: newer homeservers may have dropped it."""
        try:
            return call()
        except Refused as refused:
            self.skipped.append(f"{label}: {refused}")
            return None

    def tell(self, what):
        print(f"{time.monotonic() - self.started:6.1f} s  {what}", file=sys.stderr, flush=True)


def sentence(dice, least=3, most=14):
    return " ".join(dice.choice(WORDS) for _ in range(dice.randint(least, most)))
