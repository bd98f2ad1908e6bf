"""read_package.py PACKAGE IDENTITY_FILE: checks a package, lists rooms and events; exit 1: damaged.

PACKAGE is a folder or one file. Needs PyPI `tink` and `zstandard`, and the `age` command.
Written from docs/src/format.md alone: it shares no code with Lifeboat.
"""
import collections, hashlib, hmac, io, json, pathlib, re, subprocess, sys, tarfile

import zstandard
from tink import BinaryKeysetReader, TinkError, cleartext_keyset_handle, streaming_aead
from tink.proto import aes_gcm_hkdf_streaming_pb2, tink_pb2

MIB = 1 << 20
TYPE = "type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey"
PART = re.compile(r"([a-z]+/\d+-\d+)/([a-z0-9_]+)\.\d{4,}\.jsonl\.zst")

def need(condition, what):
    if not condition:
        sys.exit(f"damaged: {what}")

def sha256(data):
    return hashlib.sha256(data).hexdigest()

def canonical(data, name):
    value = json.loads(data)
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    need(text.encode() == data, f"{name} is not canonical JSON")
    return value

def members(archive):
    """Name, offset and content of each file of an archive (sections 3 and 8)."""
    at = 0
    while archive[at:at + 512].strip(b"\0"):
        entry = tarfile.TarInfo(archive[at:at + 100].split(b"\0")[0].decode("ascii"))
        entry.size = int(archive[at + 124:at + 135], 8)
        header = bytearray(entry.tobuf(tarfile.USTAR_FORMAT))
        header[148:156], header[329:345] = b" " * 8, b"0000000\0" * 2
        header[148:156] = b"%06o\0 " % sum(header)
        end = at + 512 + entry.size
        padding = -entry.size % 512
        need(header == archive[at:at + 512], f"the header at {at}")
        need(archive[end:end + padding] == bytes(padding), f"the padding at {end}")
        yield entry.name, at + 512, archive[at + 512:end]
        at = end + padding
    need(archive[at:] == bytes(1024), "the end of an archive")

def files_of(path):
    if path.is_file():
        return [(name, data) for name, _, data in members(path.read_bytes())]
    found = sorted(file for file in path.rglob("*") if file.is_file())
    return [(file.relative_to(path).as_posix(), file.read_bytes()) for file in found]

def decompress(frame, limit):
    need(-1 < zstandard.frame_content_size(frame) <= limit, "the size of a frame")
    return zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)

def check_seal(files, listed, package):
    seal = canonical(files["seal.json"], "seal.json")
    need((seal["format"], seal["version"]) == ("lifeboat-seal", "1.0"), "seal.json's format")
    need((seal["package"], seal["borrowed"]) == (package, []), "seal.json's package")
    volumes = [f"volumes/{n:06}.vol" for n in range(1, len(seal["files"]) - 2)]
    names = ["header.json", "key.age", *volumes, "manifest.sealed"]
    need([file["name"] for file in seal["files"]] == names, "the list in seal.json")
    need(sorted(listed) == sorted([*names, "seal.json"]), "files missing, too many or twice")
    for name, file in zip(names, seal["files"]):
        need((len(files[name]), sha256(files[name])) == (file["size"], file["sha256"]), name)

def package_key(files, header, identity):
    command = ["age", "-d", "-i", identity]
    age = subprocess.run(command, input=files["key.age"], stdout=subprocess.PIPE, check=True)
    word, package, key = age.stdout.decode().removesuffix("\n").split(" ")
    need((word, package) == ("lifeboat-package-key/1.0", header["package"]), "another key")
    extracted = hmac.digest(bytes(32), bytes.fromhex(key), "sha256")
    info = f"lifeboat/1.0 key check\n{package}".encode() + b"\1"
    need(hmac.digest(extracted, info, "sha256").hex() == header["key_check"], "the key check")
    return bytes.fromhex(key)

def unseal(sealed, key, package, name):
    params = dict(ciphertext_segment_size=MIB, derived_key_size=32, hkdf_hash_type="SHA256")
    key = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(params=params, key_value=key)
    key = dict(type_url=TYPE, value=key.SerializeToString(), key_material_type="SYMMETRIC")
    key = dict(key_data=key, status="ENABLED", key_id=1, output_prefix_type="RAW")
    keyset = tink_pb2.Keyset(primary_key_id=1, key=[key])
    handle = cleartext_keyset_handle.read(BinaryKeysetReader(keyset.SerializeToString()))
    aead = handle.primitive(streaming_aead.StreamingAead)
    associated = f"lifeboat/1.0\n{package}\n{name}".encode()
    return aead.new_decrypting_stream(io.BytesIO(sealed), associated).read()

def entries_of(plaintext, volume):
    """Path and content of each entry, compared with the volume's index and the manifest."""
    *entries, (last, at, index) = members(plaintext)
    place = {"offset": at, "length": len(index), "sha256": sha256(index)}
    need((last, place) == ("index.jsonl.zst", volume["index"]), f"{volume['name']}: the index")
    lines = decompress(index, 64 * MIB).splitlines()
    need(len(lines) == len(entries) == volume["entries"], f"{volume['name']}: entries")
    for (path, at, stored), line in zip(entries, lines):
        is_record = path.endswith(".jsonl.zst")
        content = decompress(stored, 16 * MIB) if is_record else stored
        found = {"path": path, "offset": at, "length": len(stored), "sha256": sha256(stored),
                 "records": content.count(b"\n") * is_record, "raw": len(content) * is_record}
        need(found.items() <= json.loads(line).items(), f"{volume['name']}: {path}")
        yield path, content

def main(path, identity):
    found = files_of(pathlib.Path(path))
    files = dict(found)
    header = canonical(files["header.json"], "header.json")
    claims = header["format"], header["version"][:2], header["suite"], header["critical"]
    need(claims == ("lifeboat-package", "1.", "tink-aes256-gcm-hkdf-1mb", []), "the header")
    package = header["package"]
    check_seal(files, [name for name, _ in found], package)
    key = package_key(files, header, identity)
    frame = unseal(files["manifest.sealed"], key, package, "manifest.sealed")
    manifest = canonical(decompress(frame, 64 * MIB), "the manifest")
    agrees = all(manifest[name] == header[name] for name in ("version", "package", "critical"))
    need(agrees and manifest["type"] == "org.lifeboat.manifest", "the manifest")
    need(len(manifest["volumes"]) == len(files) - 4, "the number of volumes")
    parts = {part["part"]: part for parts in manifest["sections"].values() for part in parts}
    counts, events, blobs, rooms = collections.Counter(), collections.defaultdict(list), {}, {}
    for volume in manifest["volumes"]:
        name, sealed = volume["name"], files[volume["name"]]
        need((len(sealed), sha256(sealed)) == (volume["size"], volume["sha256"]), name)
        for path, content in entries_of(unseal(sealed, key, package, name), volume):
            part = PART.fullmatch(path)
            if path.startswith("media/sha256/"):
                blobs.setdefault(path.split("/")[3].split(".")[0], {})[path] = content
            elif part and part[1] in parts:
                counts[part[1], 0] += content.count(b"\n")
                counts[part[1], 1] += len(content)
                for record in map(json.loads, content.splitlines()):
                    if part[2] == "summary":
                        rooms[record["room_id"]] = record["name"]
                    elif part[2] == "events":
                        events[record["room_id"]].append(record["event_id"])
    for name, part in parts.items():
        need((counts[name, 0], counts[name, 1]) == (part["records"], part["bytes"]), name)
    for name, pieces in blobs.items():
        ordered = sorted(pieces, key=lambda path: (len(path), path))
        need(sha256(b"".join(pieces[path] for path in ordered)) == name, f"blob {name}")
    for room in sorted(rooms):
        print(f"{room} ({rooms[room]}): {len(events[room])} events: {' '.join(events[room][:3])}")
    print(f"{len(rooms)} rooms, {sum(map(len, events.values()))} events, {len(blobs)} blobs,",
          f"{sum(part['records'] for part in parts.values())} records: all right")

try:
    streaming_aead.register()
    main(*sys.argv[1:])
except (LookupError, OSError, ValueError, subprocess.SubprocessError, tarfile.TarError, TinkError,
        zstandard.ZstdError) as error:
    sys.exit(f"damaged: {error!r}")
