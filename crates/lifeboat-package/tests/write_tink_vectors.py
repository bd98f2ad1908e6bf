"""Writes vectors/tink.jsonl: what PyPI `tink` makes of plaintexts around the segment boundaries.

Byte i of a plaintext is (i * 7 + i // 251) mod 256. Salt and prefix are what Tink drew; a sealer
that is given the same must write the same bytes, of which only the SHA-256 is kept.
"""
import hashlib
import io
import json
import sys

import tink
from tink import cleartext_keyset_handle, streaming_aead
from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2, tink_pb2

KEY = bytes(range(32))
PACKAGE = "000102030405060708090a0b0c0d0e0f"
FIRST = (1 << 20) - 40 - 16
LATER = (1 << 20) - 16
SIZES = [0, 1, 16, 1000, FIRST - 1, FIRST, FIRST + 1, FIRST + LATER, FIRST + LATER + 1, 3_500_000]


def primitive(key):
    params = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingParams(
        ciphertext_segment_size=1 << 20, derived_key_size=32, hkdf_hash_type=common_pb2.SHA256)
    proto = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(params=params, key_value=key)
    url = "type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey"
    data = tink_pb2.KeyData(
        type_url=url, value=proto.SerializeToString(), key_material_type=tink_pb2.KeyData.SYMMETRIC)
    keyset = tink_pb2.Keyset(primary_key_id=1, key=[tink_pb2.Keyset.Key(
        key_data=data, status=tink_pb2.ENABLED, key_id=1, output_prefix_type=tink_pb2.RAW)])
    reader = tink.BinaryKeysetReader(keyset.SerializeToString())
    return cleartext_keyset_handle.read(reader).primitive(streaming_aead.StreamingAead)


class Kept(io.BytesIO):
    def close(self):
        pass


def main():
    streaming_aead.register()
    aead = primitive(KEY)
    for number, size in enumerate(SIZES, 1):
        name = f"volumes/{number:06}.vol"
        associated = f"lifeboat/1.0\n{PACKAGE}\n{name}".encode()
        plaintext = bytes((i * 7 + i // 251) & 255 for i in range(size))
        sealed = Kept()
        with aead.new_encrypting_stream(sealed, associated) as stream:
            stream.write(plaintext)
        sealed = sealed.getvalue()
        print(json.dumps({
            "name": name, "key": KEY.hex(), "package": PACKAGE, "plaintext": size,
            "salt": sealed[1:33].hex(), "prefix": sealed[33:40].hex(), "sealed": len(sealed),
            "sha256": hashlib.sha256(sealed).hexdigest()}))
    return 0


sys.exit(main())
