"""Facts about the homeserver: directories, search, media, what an administrator sees."""
from .reading import digest, quote, without

THUMBNAILS = ((32, 32, "crop"), (320, 240, "scale"), (640, 480, "scale"))


def read_directories(reader):
    admin, bob = reader.people[:2]
    public = reader.client(bob, "publicRooms")
    for room in public["chunk"]:
        reader.fact(f"public room/{room['room_id']}", room)
    for alias in reader.state["aliases"]:
        answer = reader.client(bob, f"directory/room/{quote(alias)}")
        reader.fact(f"alias/{alias}", answer)
    space = quote(reader.state["rooms"]["space"])
    path = f"/_matrix/client/v1/rooms/{space}/hierarchy"
    for room in reader.ask(bob, path)["rooms"]:
        reader.fact(f"hierarchy/{room['room_id']}", room)
    for term in ("a", "bob", "lifeboat", "käthe"):
        body = {"search_term": term, "limit": 50}
        found = reader.client(bob, "user_directory/search", "POST", body)
        found = sorted(found["results"], key=lambda user: user["user_id"])
        reader.fact(f"user directory/{term}", found)
    for term in ("anchor", "harbour", "boat", "Zürich"):
        reader.fact(f"search/{term}", search(reader, admin, term))
    keys = reader.ask(None, "/_matrix/key/v2/server")
    reader.fact("server keys", without(keys, "valid_until_ts", "signatures"))
    reader.fact("server versions", reader.ask(None, "/_matrix/client/versions"))
    reader.fact("server capabilities", reader.client(bob, "capabilities"))


def search(reader, person, term):
    events = {"search_term": term, "order_by": "recent"}
    body = {"search_categories": {"room_events": events}}
    found = reader.client(person, "search", "POST", body)["search_categories"]["room_events"]
    return [found["count"], [hit["result"]["event_id"] for hit in found["results"]]]


def read_media(reader, uri):
    place = uri.removeprefix("mxc://")
    bob = reader.people[1]
    kind = reader.state["media"][uri]["kind"]
    if kind == "promised":
        # The homeserver waits for the upload as long as it is let.
        path = f"/_matrix/client/v1/media/download/{place}"
        reader.fact(f"media/{uri}", reader.ask(bob, path, timeout_ms=0))
        return
    answer = reader.raw(bob, f"/_matrix/client/v1/media/download/{place}")
    reader.fact(f"media/{uri}", described(answer))
    if kind in ("picture", "avatar", "quarantined", "deleted"):
        for width, height, method in THUMBNAILS:
            path = f"/_matrix/client/v1/media/thumbnail/{place}"
            size = {"width": width, "height": height, "method": method}
            answer = reader.raw(bob, path, **size)
            reader.fact(f"thumbnail/{uri}/{width}x{height} {method}", described(answer))


def read_far_media(reader):
    """Media of another homeserver that this one keeps a copy of."""
    path = "/_matrix/client/v1/media/download/far.test/kept"
    reader.fact("media/mxc://far.test/kept", described(reader.raw(reader.admin, path)))
    size = {"width": 32, "height": 32, "method": "crop"}
    path = "/_matrix/client/v1/media/thumbnail/far.test/kept"
    reader.fact("thumbnail/mxc://far.test/kept", described(reader.raw(reader.admin, path, **size)))


def described(answer):
    if answer.status_code >= 300:
        return {"refused": answer.status_code}
    names = ("Content-Type", "Content-Disposition", "Content-Length")
    headers = {name: answer.headers.get(name) for name in names}
    return {**headers, "sha256": digest(answer.content)}


def read_as_admin(reader):
    # Background pictures of the database's state are not facts: last seen, sizes on disk.
    everybody = {"limit": 500, "deactivated": "true", "locked": "true"}
    users = reader.as_admin("v2/users", **everybody)
    if "refused" in users:
        # Where MAS knows the accounts, Synapse does not list guests.
        users = reader.as_admin("v2/users", **everybody, guests="false")
    for user in users["users"]:
        name = user["name"]
        reader.fact(f"account/{name}", without(user, "last_seen_ts"))
        about = reader.as_admin(f"v2/users/{quote(name)}")
        reader.fact(f"account in full/{name}", without(about, "last_seen_ts"))
        media = reader.as_admin(f"v1/users/{quote(name)}/media", limit=500)
        for item in media["media"]:
            lasting = without(item, "last_access_ts")
            reader.fact(f"upload/{name}/{item['media_id']}", lasting)
        limit = reader.as_admin(f"v1/users/{quote(name)}/override_ratelimit")
        reader.fact(f"rate limit/{name}", limit)
    for room in reader.as_admin("v1/rooms", limit=500)["rooms"]:
        reader.fact(f"room/{room['room_id']}", room)
        path = f"v1/rooms/{quote(room['room_id'])}"
        reader.fact(f"room in full/{room['room_id']}", reader.as_admin(path))
        ends = reader.as_admin(f"{path}/forward_extremities")["results"]
        ends = sorted((end["event_id"], end["depth"]) for end in ends)
        reader.fact(f"ends/{room['room_id']}", ends)
    read_reports(reader)


def read_reports(reader):
    for report in reader.as_admin("v1/event_reports")["event_reports"]:
        reader.fact(f"report/{report['event_id']}/{report['user_id']}", without(report, "id"))
    tokens = reader.as_admin("v1/registration_tokens")
    if "refused" in tokens:
        reader.fact("registration tokens/refused", tokens)
    for token in tokens.get("registration_tokens", []):
        reader.fact(f"registration token/{token['token']}", token)
    for label, room in sorted(reader.state["rooms"].items()):
        reader.fact(f"block/{label} {room}", reader.as_admin(f"v1/rooms/{quote(room)}/block"))
    usage = reader.as_admin("v1/statistics/users/media")["users"]
    for user in usage:
        reader.fact(f"media usage/{user['user_id']}", user)
