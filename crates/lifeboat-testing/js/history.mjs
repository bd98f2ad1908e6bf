// An encrypted room's history, read by a device that was not there when it was written.
//
//   node history.mjs PACKAGES write URL STATE KEPT   somebody sets up recovery, makes a room, talks
//   node history.mjs PACKAGES read  URL KEPT         a fresh device with the recovery key
//   node history.mjs PACKAGES peek  URL KEPT         a fresh device without it
//
// matrix-js-sdk with the Rust engine in WebAssembly, its keys in memory: each run is a new device.
// PACKAGES is the folder whose node_modules has it. KEPT holds the recovery key: a test's. The last
// line that is printed is the outcome as JSON.

import { createHash, webcrypto } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [packages, verb, url, ...files] = process.argv.slice(2);
const TEXTS = ["the tide is coming in", "Größe und 東京", "cast off at nine", "🎉"];
const ATTACHMENT_BYTES = 50_000;
const PATIENCE_MS = 60_000;

// Older versions of Node lack these.
globalThis.crypto ??= webcrypto;
Promise.withResolvers ??= function () {
  let resolve, reject;
  const promise = new this((yes, no) => ([resolve, reject] = [yes, no]));
  return { promise, resolve, reject };
};

const find = createRequire(join(packages, "here.js"));
const load = (name) => import(pathToFileURL(find.resolve(name)));
const sdk = await load("matrix-js-sdk");
const { CryptoEvent, decodeRecoveryKey } = await load("matrix-js-sdk/lib/crypto-api/index.js");
const silent = () => {};
const logger = { trace: silent, debug: silent, info: silent, warn: silent, error: console.error };
logger.getChild = () => logger;

/** A new device of an account, synced, that opens secret storage with `key` if it is given. */
async function newDevice(user, password, key) {
  const form = { type: "m.login.password", identifier: { type: "m.id.user", user }, password };
  const login = await sdk.createClient({ baseUrl: url }).loginRequest(form);
  const held = { key };
  const client = sdk.createClient({
    baseUrl: url,
    userId: login.user_id,
    deviceId: login.device_id,
    accessToken: login.access_token,
    logger,
    cryptoCallbacks: {
      getSecretStorageKey: async ({ keys }) => held.key && [Object.keys(keys)[0], held.key],
      cacheSecretStorageKey: (_id, _about, made) => (held.key = made),
    },
  });
  await client.initRustCrypto({ useIndexedDB: false });
  const synced = happens(client, sdk.ClientEvent.Sync, (state) => state === "PREPARED");
  await client.startClient({ initialSyncLimit: 1 });
  await synced;
  return client;
}

/** Resolves when the event comes with what is waited for. */
function happens(emitter, name, isIt) {
  const { promise, resolve, reject } = Promise.withResolvers();
  const late = setTimeout(() => reject(new Error(`${name} did not come`)), PATIENCE_MS);
  const listener = (...told) => {
    if (!isIt(...told)) return;
    clearTimeout(late);
    emitter.off(name, listener);
    resolve();
  };
  emitter.on(name, listener);
  return promise;
}

async function write(statePath, keptPath) {
  const state = JSON.parse(await readFile(statePath, "utf8"));
  const { user_id: user, password } = state.people[7];
  const client = await newDevice(user, password);
  const crypto = client.getCrypto();
  const made = await crypto.createRecoveryKeyFromPassphrase();
  const proof = { type: "m.login.password", identifier: { type: "m.id.user", user }, password };
  await crypto.bootstrapCrossSigning({
    authUploadDeviceSigningKeys: (send) => send(proof),
  });
  await crypto.bootstrapSecretStorage({
    createSecretStorageKey: async () => made,
    setupNewSecretStorage: true,
    setupNewKeyBackup: true,
  });
  const encryption = { type: "m.room.encryption", state_key: "" };
  encryption.content = { algorithm: "m.megolm.v1.aes-sha2" };
  const { room_id: room } = await client.createRoom({ initial_state: [encryption] });
  const saved = happens(client, CryptoEvent.KeyBackupSessionsRemaining, (left) => left === 0);
  await known(client, room);
  const events = {};
  for (const body of TEXTS) {
    const sent = await client.sendMessage(room, { msgtype: "m.text", body });
    events[sent.event_id] = body;
  }
  const { content, sha256 } = await seal(client);
  const file = (await client.sendMessage(room, content)).event_id;
  await saved;
  const kept = { user, password, room, events, file, sha256, recovery: made.encodedPrivateKey };
  await writeFile(keptPath, JSON.stringify(kept), { mode: 0o600 });
  client.stopClient();
  return { written: TEXTS.length, room };
}

/** Waits until the client knows that the room is encrypted; before that it would send in clear. */
async function known(client, room) {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await client.getCrypto().isEncryptionEnabledInRoom(room))) {
    if (Date.now() > deadline) throw new Error("the room did not come");
    await new Promise((wake) => setTimeout(wake, 50));
  }
}

/** Uploads random bytes sealed as the specification says; the message that tells of them. */
async function seal(client) {
  const plain = webcrypto.getRandomValues(new Uint8Array(ATTACHMENT_BYTES));
  const how = { name: "AES-CTR", length: 256 };
  const key = await webcrypto.subtle.generateKey(how, true, ["encrypt", "decrypt"]);
  const counter = new Uint8Array(16);
  webcrypto.getRandomValues(counter.subarray(0, 8));
  const sealed = await webcrypto.subtle.encrypt({ name: "AES-CTR", counter, length: 64 }, key, plain);
  const blob = new Blob([sealed]);
  const { content_uri } = await client.uploadContent(blob, { type: "application/octet-stream" });
  const file = { v: "v2", url: content_uri, iv: unpadded(counter) };
  file.key = await webcrypto.subtle.exportKey("jwk", key);
  file.hashes = { sha256: unpadded(createHash("sha256").update(Buffer.from(sealed)).digest()) };
  const sha256 = createHash("sha256").update(plain).digest("hex");
  return { content: { msgtype: "m.file", body: "chart.bin", file }, sha256 };
}

const unpadded = (bytes) => Buffer.from(bytes).toString("base64").replace(/=+$/, "");

async function read(keptPath, withKey) {
  const kept = JSON.parse(await readFile(keptPath, "utf8"));
  const key = withKey ? decodeRecoveryKey(kept.recovery) : undefined;
  const client = await newDevice(kept.user, kept.password, key);
  const outcome = { restored: 0, read: 0, attachment: false, errors: [] };
  try {
    await client.getCrypto().loadSessionBackupPrivateKeyFromSecretStorage();
    outcome.restored = (await client.getCrypto().restoreKeyBackup()).imported;
  } catch (error) {
    outcome.errors.push(String(error));
  }
  for (const [id, body] of Object.entries(kept.events)) {
    const content = await opened(client, kept.room, id, outcome.errors);
    outcome.read += content.body === body;
  }
  const { file } = await opened(client, kept.room, kept.file, outcome.errors);
  outcome.attachment = Boolean(file) && (await sha256Of(client, file)) === kept.sha256;
  client.stopClient();
  return outcome;
}

/** An event's content in clear; what could not be decrypted has none. */
async function opened(client, room, id, errors) {
  const event = new sdk.MatrixEvent(await client.fetchRoomEvent(room, id));
  await client.decryptEventIfNeeded(event);
  if (event.getWireType() !== "m.room.encrypted") throw new Error(`${id} was sent in clear`);
  if (!event.isDecryptionFailure()) return event.getContent();
  errors.push(String(event.decryptionFailureReason));
  return {};
}

async function sha256Of(client, file) {
  const place = file.url.slice("mxc://".length);
  const headers = { Authorization: `Bearer ${client.getAccessToken()}` };
  const answer = await fetch(`${url}/_matrix/client/v1/media/download/${place}`, { headers });
  if (!answer.ok) return `status ${answer.status}`;
  const sealed = Buffer.from(await answer.arrayBuffer());
  const found = unpadded(createHash("sha256").update(sealed).digest());
  if (found !== file.hashes.sha256) return "other bytes";
  const key = await webcrypto.subtle.importKey("jwk", file.key, "AES-CTR", false, ["decrypt"]);
  const how = { name: "AES-CTR", counter: Buffer.from(file.iv, "base64"), length: 64 };
  const plain = await webcrypto.subtle.decrypt(how, key, sealed);
  return createHash("sha256").update(Buffer.from(plain)).digest("hex");
}

const verbs = {
  write: () => write(...files),
  read: () => read(files[0], true),
  peek: () => read(files[0], false),
};
console.log(JSON.stringify(await verbs[verb]()));
process.exit(0);
