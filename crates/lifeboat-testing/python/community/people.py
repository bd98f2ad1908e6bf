"""Accounts, profiles, devices, and accounts that something happened to."""
from .client import Device, log_in, quote, register
from .media import picture
from .olm import Encryption
from .plan import FIRST_NAMES


def settle(community):
    """The ordinary users, the first of whom is the administrator."""
    dice = community.dice("people")
    for number in range(community.plan.users):
        name = FIRST_NAMES[number]
        person = register(
            community.url, community.secret, name, f"{name}-password", admin=number == 0
        )
        community.people.append(person)
        person.client("PUT", profile(person, "displayname"), {"displayname": display_name(name)})
        if number % 4 != 3:
            avatar = person.upload(picture(dice, 96, 96, "PNG"), "image/png", f"{name}.png")
            person.client("PUT", profile(person, "avatar_url"), {"avatar_url": avatar})
            community.media[avatar] = {"kind": "avatar"}
        Encryption(person).publish(8)
    community.admin = community.people[0]
    zone = lambda: community.admin.client(
        "PUT", profile(community.admin, "m.tz"), {"m.tz": "Europe/Zurich"}
    )
    community.optional("profile field", zone)


def profile(person, field):
    return f"profile/{quote(person.user)}/{field}"


def display_name(name):
    return {"bob": "Bob 🚢", "carol": "Käthe Größe", "dave": "Давид", "erin": "عرين"}.get(
        name, name.capitalize()
    )


def add_devices(community):
    people = community.people
    for person in people[: len(people) // 2]:
        phone = log_in(community.url, person.user, person.password, "Phone")
        Encryption(phone).publish(5)
        community.devices.append(phone)
    bob, carol = people[1], people[2]
    tablet = log_in(community.url, bob.user, bob.password, "Tablet", refresh_token=True)
    renewed = Device(community.url).client(
        "POST", "refresh", {"refresh_token": tablet.refresh_token}
    )
    tablet.token, tablet.refresh_token = renewed["access_token"], renewed["refresh_token"]
    community.devices.append(tablet)
    log_in(community.url, carol.user, carol.password, "Left").client("POST", "logout")
    for person in people[:4]:
        person.olm.cross_sign()
    for person in people[1:4]:
        person.olm.vouch_for_user(community.admin)
    people[0].olm.vouch_for_device(community.devices[0])


def add_special_accounts(community):
    """One account for each state an account can be in. Each has a room with a message."""
    admin = community.admin
    states = {
        "mallory": lambda who: admin.admin("PUT", f"v2/users/{quote(who)}", {"locked": True}),
        "niaj": lambda who: admin.admin("PUT", f"v1/suspend/{quote(who)}", {"suspend": True}),
        "olivia": lambda who: admin.admin("POST", f"v1/users/{quote(who)}/shadow_ban"),
        "pat": lambda who: admin.admin("PUT", f"v2/users/{quote(who)}", {"user_type": "support"}),
        "rupert": lambda who: admin.admin("POST", f"v1/deactivate/{quote(who)}", {"erase": False}),
        "sybil": lambda who: admin.admin("POST", f"v1/deactivate/{quote(who)}", {"erase": True}),
    }
    names = ("locked", "suspended", "shadow-banned", "support", "deactivated", "erased")
    for state, (name, change) in zip(names, states.items()):
        person = register(community.url, community.secret, name, f"{name}-password")
        room = person.create_room(name=f"Room of the {state}")
        person.bring(room, community.people[1])
        person.say(room, f"written before I was {state}")
        change(person.user)
        community.special[state] = person
        community.rooms[f"of-{state}"] = room


def add_account_facts(community):
    """What an administrator or another program attaches to accounts."""
    admin, bob, carol, dave = community.people[:4]
    contact = {
        "threepids": [{"medium": "email", "address": "bob@mail.test"}],
        "external_ids": [{"auth_provider": "oidc-test", "external_id": "subject-of-bob"}],
    }
    admin.admin("PUT", f"v2/users/{quote(bob.user)}", contact)
    limits = {"messages_per_second": 9, "burst_count": 99}
    admin.admin("POST", f"v1/users/{quote(carol.user)}/override_ratelimit", limits)
    admin.admin("POST", "v1/registration_tokens/new", {"token": "berth", "uses_allowed": 5})
    admin.admin("POST", f"v1/users/{quote(dave.user)}/login")
    community.optional(
        "experimental feature",
        lambda: admin.admin(
            "PUT",
            f"v1/experimental_features/{quote(dave.user)}",
            {"features": {"msc3881": True}},
        ),
    )
    bob.client("POST", f"user/{quote(bob.user)}/openid/request_token")
