-- A fiftieth more events, as a server that lives on gets them: the newest events that are no state
-- said once more, under ids of their own, with ciphertexts, hashes and signatures of their own, and
-- with the rows of every table that an event has. What such a server changes in place is changed
-- in a fiftieth of the rows.
--
-- psql -v seed=1 -f more.sql; another seed makes other events.
\set ON_ERROR_STOP on
\if :{?seed}
\else
    \set seed 1
\endif
SET client_min_messages = warning;
SET synchronous_commit = off;
SET work_mem = '256MB';

CREATE FUNCTION pg_temp.opaque(seed text, length int) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT left(string_agg(left(
        replace(encode(sha512(convert_to(seed || ' ' || part, 'UTF8')), 'base64'), E'\n', ''), 86),
        ''), length)
    FROM generate_series(1, length / 86 + 1) part
$$;

CREATE TEMP TABLE said AS
WITH newest AS (
    SELECT event_id, room_id, stream_ordering, max(stream_ordering) OVER () AS last
    FROM events WHERE state_key IS NULL
    ORDER BY stream_ordering DESC LIMIT (SELECT count(*) / 50 FROM events))
SELECT event_id AS old, room_id,
       '$' || translate(pg_temp.opaque('more ' || :'seed' || event_id, 43), '+/', '-_') AS new,
       last + row_number() OVER (ORDER BY stream_ordering) AS place
FROM newest;
CREATE UNIQUE INDEX ON said (old);

-- One table's rows of the events said again, with what is set anew.
CREATE FUNCTION pg_temp.again(source text, key text, anew jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(
        'INSERT INTO %1$I SELECT (jsonb_populate_record(t, jsonb_build_object(%2$L, s.new) || CASE
             WHEN %3$L::jsonb ? ''place'' THEN jsonb_build_object(%3$L::jsonb->>''place'', s.place)
             ELSE ''{}'' END)).* FROM %1$I t JOIN said s ON s.old = t.%2$I ORDER BY s.place',
        source, key, anew);
END $$;

SELECT pg_temp.again('events', 'event_id', '{"place": "stream_ordering"}');
SELECT pg_temp.again('event_push_actions', 'event_id', '{"place": "stream_ordering"}');
SELECT pg_temp.again('event_to_state_groups', 'event_id', '{}');
SELECT pg_temp.again('event_auth', 'event_id', '{}');
SELECT pg_temp.again('event_relations', 'event_id', '{}');
SELECT pg_temp.again('event_search', 'event_id', '{"place": "stream_ordering"}');
SELECT pg_temp.again('event_edges', 'event_id', '{}');

INSERT INTO event_json (event_id, room_id, internal_metadata, json, format_version)
SELECT s.new, j.room_id, j.internal_metadata,
       regexp_replace(regexp_replace(regexp_replace(j.json,
           '"ciphertext":"[^"]*"', '"ciphertext":"' || pg_temp.opaque('text ' || s.new,
               coalesce(length(substring(j.json FROM '"ciphertext":"([^"]*)"')), 0)) || '"'),
           '"sha256":"[^"]*"', '"sha256":"' || pg_temp.opaque('hash ' || s.new, 43) || '"'),
           '("ed25519:[^"]*"):"[^"]*"', '\1:"' || pg_temp.opaque('signed ' || s.new, 86) || '"'),
       j.format_version
FROM event_json j JOIN said s ON s.old = j.event_id ORDER BY s.place;

-- Each event of a room follows the one before.
UPDATE event_edges e SET prev_event_id = f.before
FROM (SELECT new, lag(new) OVER (PARTITION BY room_id ORDER BY place) AS before FROM said) f
WHERE e.event_id = f.new AND f.before IS NOT NULL;

-- Who is there reads: rows that are changed in place, here and there in their tables.
UPDATE receipts_linearized r
SET stream_id = r.stream_id + 1000000, event_id = s.new, event_stream_ordering = s.place
FROM (SELECT room_id, max(new) AS new, max(place) AS place FROM said GROUP BY room_id) s
WHERE r.room_id = s.room_id AND abs(hashtext(r.user_id || r.room_id)) % 50 = 0;
UPDATE receipts_graph r SET event_ids = json_build_array(s.new)::text
FROM (SELECT room_id, max(new) AS new FROM said GROUP BY room_id) s
WHERE r.room_id = s.room_id AND abs(hashtext(r.user_id || r.room_id)) % 50 = 0;
UPDATE devices SET last_seen = last_seen + 86400000
WHERE abs(hashtext(user_id || device_id)) % 50 = 0;
UPDATE user_ips SET last_seen = last_seen + 86400000
WHERE abs(hashtext(user_id || ip)) % 50 = 0;
SELECT count(*) FROM said;
