#!/usr/bin/env python3
"""Sends one signed request to an S3 store on this machine and prints status and answer.

For what no client of ours does: buckets with locks, versions, policies.
"""
import datetime, hashlib, hmac, http.client, json, sys
from urllib.parse import quote, parse_qsl

method, port, key, secret, target, extra, body = sys.argv[1:8]
path, _, query = target.partition("?")
pairs = sorted(parse_qsl(query, keep_blank_values=True))
query = "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in pairs)
now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
scope = f"{now[:8]}/us-east-1/s3/aws4_request"
digest = hashlib.sha256(body.encode()).hexdigest()
headers = {"host": f"127.0.0.1:{port}", "x-amz-date": now, "x-amz-content-sha256": digest}
headers.update(json.loads(extra))
names = sorted(headers)
lines = "".join(f"{name}:{headers[name]}\n" for name in names)
request = "\n".join([method, quote(path), query, lines, ";".join(names), digest])
text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(request.encode()).hexdigest()])
sign = ("AWS4" + secret).encode()
for part in [*scope.split("/"), text]:
    sign = hmac.new(sign, part.encode(), "sha256").digest()
headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={key}/{scope}, "
    f"SignedHeaders={';'.join(names)}, Signature={sign.hex()}")
door = http.client.HTTPConnection("127.0.0.1", int(port), timeout=60)
door.request(method, quote(path) + (f"?{query}" if query else ""), body.encode(), headers)
answer = door.getresponse()
print(answer.status, answer.read().decode(errors="replace"))
