-- People for a benchmark: accounts, devices, keys, receipts, notifications. Runs in the session of
-- rooms.sql, whose functions and temporary tables it uses.

CREATE TEMP TABLE people AS
SELECT number, pg_temp.user_id(number) AS name FROM generate_series(0, :users - 1) number;
CREATE TEMP TABLE locals AS SELECT * FROM people WHERE number % 2 = 0;
-- Two devices for each local person.
CREATE TEMP TABLE gadgets AS
SELECT name, number, number * 2 + nth AS gadget, (ARRAY['PHONE', 'LAPTOP'])[nth] || number AS device
FROM locals, generate_series(1, 2) nth;
CREATE TEMP TABLE seats AS
SELECT c.room, c.room_name, c.sender AS name, c.person, last.event, last.number,
       row_number() OVER (ORDER BY c.number) AS seat
FROM current c JOIN (SELECT DISTINCT ON (room) room, event, number FROM ev
                     ORDER BY room, place DESC) last USING (room)
WHERE c.kind = 'm.room.member';

INSERT INTO users (name, password_hash, creation_ts, admin, is_guest, deactivated, shadow_banned)
SELECT name, '$2b$12$' || left(pg_temp.token('password ' || number), 43), 1590000000 + number, 0, 0,
       0, false
FROM locals;
INSERT INTO profiles (user_id, displayname, avatar_url, full_user_id)
SELECT 'user' || number, 'User ' || number, 'mxc://bench.test/' || md5(name), name FROM locals;
INSERT INTO devices (user_id, device_id, display_name, last_seen, ip, user_agent, hidden)
SELECT name, device, 'Element on ' || device, 1700000000000 + gadget, '192.0.2.' || gadget % 250,
       'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)', false
FROM gadgets;
INSERT INTO access_tokens (id, user_id, device_id, token, last_validated, used)
SELECT 10 + gadget, name, device, 'syt_' || pg_temp.token('token ' || gadget), 1700000000000, true
FROM gadgets;
INSERT INTO user_ips (user_id, access_token, device_id, ip, user_agent, last_seen)
SELECT name, 'syt_' || pg_temp.token('token ' || gadget), device, '192.0.2.' || nth,
       'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)',
       1700000000000 + nth
FROM gadgets, generate_series(1, 4) nth;
INSERT INTO account_data (user_id, account_data_type, stream_id, content, instance_name)
SELECT name, 'org.bench.type' || nth, number * 5 + nth,
       format('{"note":"%s"}', pg_temp.prose(number * 5 + nth)), 'master'
FROM locals, generate_series(1, 5) nth;
INSERT INTO room_account_data
    (user_id, room_id, account_data_type, stream_id, content, instance_name)
SELECT name, room_name, 'm.fully_read', 5 * :users + seat, format('{"event_id":"%s"}', event),
       'master'
FROM seats WHERE person % 2 = 0;

INSERT INTO e2e_device_keys_json (user_id, device_id, ts_added_ms, key_json)
SELECT name, device, 1700000000000, format('{"algorithms":["m.olm.v1.curve25519-aes-sha2",'
    '"m.megolm.v1.aes-sha2"],"device_id":"%s","keys":{"curve25519:%1$s":"%s","ed25519:%1$s":"%s"},'
    '"signatures":{"%s":{"ed25519:%1$s":"%s"}},"user_id":"%4$s"}', device,
    pg_temp.token('curve ' || gadget), pg_temp.token('ed ' || gadget), name,
    pg_temp.opaque('device ' || gadget, 1))
FROM gadgets;
INSERT INTO e2e_one_time_keys_json (user_id, device_id, algorithm, key_id, ts_added_ms, key_json)
SELECT name, device, 'signed_curve25519', 'AAAA' || nth, 1700000000000,
    format('{"key":"%s","signatures":{"%s":{"ed25519:%s":"%s"}}}',
        pg_temp.token('once ' || gadget || ' ' || nth), name, device,
        pg_temp.opaque('once ' || gadget || ' ' || nth, 1))
FROM gadgets, generate_series(1, 30) nth;
INSERT INTO e2e_fallback_keys_json (user_id, device_id, algorithm, key_id, key_json, used)
SELECT name, device, 'signed_curve25519', 'FFFF', format('{"fallback":true,"key":"%s","signatures":'
    '{"%s":{"ed25519:%s":"%s"}}}', pg_temp.token('fallback ' || gadget), name, device,
    pg_temp.opaque('fallback ' || gadget, 1)), false
FROM gadgets;
INSERT INTO e2e_cross_signing_keys (user_id, keytype, keydata, stream_id, instance_name)
SELECT name, kind, format('{"keys":{"ed25519:%s":"%1$s"},"usage":["%s"],"user_id":"%s"}',
    pg_temp.token(kind || ' ' || number), kind, name), number * 3 + nth, 'master'
FROM locals, unnest(ARRAY['master', 'self_signing', 'user_signing']) WITH ORDINALITY k(kind, nth);
INSERT INTO e2e_cross_signing_signatures
    (user_id, key_id, target_user_id, target_device_id, signature)
SELECT name, 'ed25519:' || pg_temp.token('self_signing ' || number), name, device,
       pg_temp.opaque('cross ' || gadget, 1)
FROM gadgets;
INSERT INTO e2e_room_keys_versions (user_id, version, algorithm, auth_data, deleted, etag)
SELECT name, 1, 'm.megolm_backup.v1.curve25519-aes-sha2',
       format('{"public_key":"%s","signatures":{}}', pg_temp.token('backup ' || number)), 0, 100
FROM locals;
-- Each session of a room in the backup of some of those who are in it.
INSERT INTO e2e_room_keys (user_id, room_id, session_id, version, first_message_index,
    forwarded_count, is_verified, session_data)
SELECT s.name, s.room_name, pg_temp.token('session ' || s.seat || ' ' || nth), 1, 0, 0, true,
    format('{"ciphertext":"%s","ephemeral":"%s","mac":"%s"}',
        pg_temp.opaque('backup ' || s.seat || ' ' || nth, 5),
        pg_temp.token('ephemeral ' || s.seat || ' ' || nth), left(md5(s.seat || ' ' || nth), 11))
FROM seats s, generate_series(1, 5) nth WHERE s.person % 2 = 0;
INSERT INTO device_inbox (user_id, device_id, stream_id, message_json, instance_name)
SELECT name, device, gadget * 10 + nth, format('{"content":{"algorithm":"m.olm.v1.curve25519-aes-sha2'
    '","ciphertext":{"%s":{"body":"%s","type":1}},"sender_key":"%s"},"sender":"%s","type":'
    '"m.room.encrypted"}', pg_temp.token('curve ' || gadget),
    pg_temp.opaque('todevice ' || gadget || ' ' || nth, 12), pg_temp.token('curve x' || nth),
    pg_temp.user_id(nth)), 'master'
FROM gadgets, generate_series(1, 8) nth;
INSERT INTO device_lists_stream (stream_id, user_id, device_id, instance_name)
SELECT gadget, name, device, 'master' FROM gadgets;
INSERT INTO device_lists_remote_cache (user_id, device_id, content)
SELECT name, 'FAR' || nth, format('{"device_id":"FAR%s","keys":{"keys":{"curve25519:FAR%1$s":"%s"}}}',
    nth, pg_temp.token('far ' || number || ' ' || nth))
FROM people, generate_series(1, 3) nth WHERE number % 2 = 1;
INSERT INTO device_lists_remote_extremeties (user_id, stream_id)
SELECT name, number::text FROM people WHERE number % 2 = 1;

INSERT INTO receipts_linearized (stream_id, room_id, receipt_type, user_id, event_id, data,
    instance_name, event_stream_ordering, thread_id)
SELECT seat, room_name, 'm.read', name, event, format('{"ts":%s}', 1700000000000 + seat), 'master',
       number, NULL
FROM seats;
INSERT INTO receipts_graph (room_id, receipt_type, user_id, event_ids, data, thread_id)
SELECT room_name, 'm.read', name, format('["%s"]', event), format('{"ts":%s}', 1700000000000 + seat),
       NULL
FROM seats;
-- What local members were notified of lately.
INSERT INTO event_push_actions (room_id, event_id, user_id, profile_tag, actions,
    topological_ordering, stream_ordering, notif, highlight, unread, thread_id)
SELECT e.room_name, e.event, s.name, NULL, '', e.place, e.number, 1, 0, 1, 'main'
FROM ev e JOIN seats s USING (room)
WHERE s.person % 2 = 0 AND s.person % 10 = e.number % 10 AND e.kind = 'm.room.encrypted'
    AND e.number > :events / 2 AND s.seat % 5 = 0;
INSERT INTO event_push_summary (user_id, room_id, notif_count, stream_ordering, unread_count,
    last_receipt_stream_ordering, thread_id)
SELECT name, room_name, 3, number, 3, number, 'main' FROM seats WHERE person % 2 = 0;
INSERT INTO user_directory (user_id, room_id, display_name, avatar_url)
SELECT name, NULL, 'User ' || number, 'mxc://bench.test/' || md5(name) FROM people;
INSERT INTO user_directory_search (user_id, vector)
SELECT name, to_tsvector('simple', 'user' || number || ' User ' || number) FROM people;
INSERT INTO users_in_public_rooms (user_id, room_id)
SELECT name, room_name FROM seats WHERE room % 5 = 0;

SELECT setval('account_data_sequence', 5 * :users + (SELECT max(seat) FROM seats)),
       setval('receipts_sequence', (SELECT max(seat) FROM seats)),
       setval('device_inbox_sequence', (SELECT max(gadget) * 10 + 8 FROM gadgets)),
       setval('device_lists_sequence', (SELECT max(gadget) FROM gadgets)),
       setval('e2e_cross_signing_keys_sequence', 3 * :users + 3),
       setval('user_id_seq', :users);
VACUUM ANALYZE;
