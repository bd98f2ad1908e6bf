"""Files in the media store, in every condition a file can be in."""
import hashlib
import io
import math
import struct
import wave

from PIL import Image, ImageDraw

THUMBNAILS = ((32, 32, "crop"), (320, 240, "scale"), (640, 480, "scale"))


def picture(dice, width, height, form):
    image = Image.new("RGB", (width, height), colour(dice))
    draw = ImageDraw.Draw(image)
    for _ in range(25):
        x, y = dice.randrange(width), dice.randrange(height)
        draw.ellipse((x, y, x + width // 5, y + height // 7), fill=colour(dice))
    out = io.BytesIO()
    image.save(out, form)
    return out.getvalue()


def colour(dice):
    return tuple(dice.randrange(256) for _ in range(3))


def tone():
    """A second of sound."""
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        for step in range(8000):
            sound.writeframesraw(struct.pack("<h", int(9000 * math.sin(step / 5))))
    return out.getvalue()


def put(community, person, label, blob, mime, name):
    uri = person.upload(blob, mime, name)
    community.media[uri] = {
        "kind": label,
        "sha256": hashlib.sha256(blob).hexdigest(),
        "length": len(blob),
        "type": mime,
    }
    return uri


def fill_store(community):
    dice = community.dice("media")
    people = community.people
    pictures = []
    for number in range(community.plan.pictures):
        form = ("PNG", "JPEG", "GIF", "WEBP")[number % 4]
        blob = picture(dice, 800, 600, form)
        mime = f"image/{form.lower()}"
        who = people[number % 4]
        pictures.append(put(community, who, "picture", blob, mime, f"photo {number}"))
    for uri in pictures:
        make_thumbnails(people[0], uri)
    pdf = b"%PDF-1.4\n" + dice.randbytes(150_000)
    put(community, people[1], "document", pdf, "application/pdf", "Größe & plan.pdf")
    put(community, people[2], "sound", tone(), "audio/wav", "tone.wav")
    put(community, people[0], "sealed", dice.randbytes(60_000), "application/octet-stream", "")
    put(community, people[0], "one byte", b"x", "text/plain", "x.txt")
    big = dice.randbytes(3_000_000)
    put(community, people[3], "big", big, "application/x-tar", "archive.tar")
    same = b"the same bytes twice\n" * 400
    put(community, people[2], "twin", same, "text/plain", "first.txt")
    put(community, people[3], "twin", same, "text/plain", "second.txt")
    moderate(community, dice)
    return pictures


def make_thumbnails(person, uri):
    for width, height, method in THUMBNAILS:
        size = {"width": width, "height": height, "method": method}
        path = f"/_matrix/client/v1/media/thumbnail/{uri.removeprefix('mxc://')}"
        person.answer("GET", path, params=size)


def moderate(community, dice):
    """Protected, quarantined, deleted, and promised but never uploaded."""
    admin, bob = community.people[:2]
    kinds = {}
    for kind in ("protected", "quarantined", "deleted"):
        blob = picture(dice, 200, 150, "PNG")
        kinds[kind] = put(community, bob, kind, blob, "image/png", f"{kind}.png")
    protected = kinds["protected"].rsplit("/", 1)[1]
    admin.admin("POST", f"v1/media/protect/{protected}")
    admin.admin("POST", f"v1/media/quarantine/{kinds['quarantined'].removeprefix('mxc://')}")
    admin.admin("DELETE", f"v1/media/{kinds['deleted'].removeprefix('mxc://')}")
    promised = bob.call("POST", "/_matrix/media/v1/create")["content_uri"]
    community.media[promised] = {"kind": "promised"}
