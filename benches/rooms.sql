-- Rooms for a benchmark: events and state as a server of some years has them, on the schema that a
-- real Synapse made. Everything follows from row numbers, so each run makes the same rows.
--
-- psql -v events=170000 -v rooms=400 -v users=2000 -f rooms.sql -f accounts.sql
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET synchronous_commit = off;
SET work_mem = '256MB';
SET maintenance_work_mem = '256MB';

-- A number from 0 up to 1; another one for each salt.
CREATE FUNCTION pg_temp.chance(number bigint, salt bigint) RETURNS float8 LANGUAGE sql IMMUTABLE AS
$$ SELECT (hashint8extended(number, salt) & 16777215) / 16777216.0::float8 $$;

-- So many times 86 characters that do not compress, like ciphertexts and signatures.
CREATE FUNCTION pg_temp.opaque(seed text, times int) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg(
        left(replace(encode(sha512(convert_to(seed || ' ' || part, 'UTF8')), 'base64'), E'\n', ''), 86),
        '')
    FROM generate_series(1, times) part
$$;

-- 43 characters, like keys and hashes.
CREATE FUNCTION pg_temp.token(seed text) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT left(encode(sha256(convert_to(seed, 'UTF8')), 'base64'), 43) $$;

CREATE FUNCTION pg_temp.event_id(number bigint) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT '$' || translate(pg_temp.token('event ' || number), '+/', '-_') $$;

CREATE FUNCTION pg_temp.room_id(number bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT '!' || left(translate(pg_temp.token('room ' || number), '+/', 'xy'), 18) || ':bench.test'
$$;

-- Every second user is of this server.
CREATE FUNCTION pg_temp.user_id(number bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT '@user' || number || ':'
        || CASE WHEN number % 2 = 0 THEN 'bench.test' ELSE 'far' || number % 30 || '.test' END
$$;

CREATE FUNCTION pg_temp.prose(seed bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg(
        (ARRAY['tide','harbour','lantern','we','should','look','at','the','chart','again','before',
               'noon','rope','and','sail','are','ready','who','takes','watch','tonight','it','rains',
               'north','wind','message','keys','please','thanks','yes'])
        [1 + floor(30 * pg_temp.chance(seed * 64 + word, 7))::int], ' ')
    FROM generate_series(1, 4 + (seed % 23)::int) word
$$;

-- Which room each event is in (few rooms are large, many small) and where in it.
CREATE TEMP TABLE placed AS
SELECT number, room, row_number() OVER (PARTITION BY room ORDER BY number) AS place,
       4 + 4000 / (room + 8) AS members
FROM (SELECT number, 1 + floor(power(pg_temp.chance(number, 1), 3) * :rooms)::int AS room
      FROM generate_series(1, :events::bigint) number) numbers;

-- A room begins with its settings and its members' joins; then people talk.
CREATE TEMP TABLE told AS
SELECT p.*,
       CASE WHEN place = 1 THEN 'm.room.create'
            WHEN place = 2 THEN 'm.room.power_levels'
            WHEN place = 3 THEN 'm.room.join_rules'
            WHEN place = 4 THEN 'm.room.history_visibility'
            WHEN place = 5 THEN 'm.room.name'
            WHEN place <= 5 + members THEN 'm.room.member'
            WHEN luck < 0.55 THEN 'm.room.encrypted'
            WHEN luck < 0.83 THEN 'm.room.message'
            WHEN luck < 0.96 THEN 'm.reaction'
            ELSE 'm.room.member' END AS kind,
       CASE WHEN place <= 5 THEN 0
            WHEN place <= 5 + members THEN place - 6
            ELSE floor(pg_temp.chance(number, 3) * members)::bigint END AS member
FROM placed p, LATERAL (SELECT pg_temp.chance(number, 2) AS luck) dice;

CREATE TEMP TABLE named AS
SELECT t.*, pg_temp.event_id(number) AS event, pg_temp.room_id(room) AS room_name, person,
       pg_temp.user_id(person) AS sender,
       CASE WHEN kind = 'm.room.member' THEN pg_temp.user_id(person)
            WHEN place <= 5 THEN '' END AS state_key
FROM told t, LATERAL (SELECT (room * 37 + member * 13) % :users AS person) who;

-- One state group for each state event, the newest one for all others.
CREATE TEMP TABLE counted AS
SELECT n.*, CASE WHEN state_key IS NOT NULL THEN
           count(state_key) OVER (ORDER BY number) END AS own_group,
       count(state_key) OVER (PARTITION BY room ORDER BY number) AS states,
       lag(number) OVER w AS previous
FROM named n WINDOW w AS (PARTITION BY room ORDER BY number);

CREATE TEMP TABLE ev AS
SELECT c.*, max(own_group) OVER w AS state_group,
       max(own_group) OVER (PARTITION BY room ORDER BY number
                            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS earlier_group
FROM counted c WINDOW w AS (PARTITION BY room ORDER BY number);
CREATE INDEX ON ev (room, place);
ANALYZE ev;

-- What lets an event in: the room's creation, its power levels, the sender's join.
CREATE TEMP TABLE grounds AS
SELECT e.number, e.event, e.room_name, a.event AS auth
FROM ev e JOIN ev a ON a.room = e.room
    AND a.place = ANY (ARRAY[1, 2, 6 + e.member]) AND a.place < e.place;

INSERT INTO rooms (room_id, is_public, creator, room_version, has_auth_chain_index)
SELECT room_name, room % 5 = 0, sender, '10', true FROM ev WHERE place = 1;

INSERT INTO events (topological_ordering, event_id, type, room_id, processed, outlier, depth,
    origin_server_ts, received_ts, sender, contains_url, instance_name, stream_ordering, state_key)
SELECT place, event, kind, room_name, true, false, place, 1600000000000 + number * 1000,
       1600000000090 + number * 1000, sender, false, 'master', number, state_key
FROM ev ORDER BY number;

INSERT INTO event_json (event_id, room_id, internal_metadata, json, format_version)
SELECT e.event, e.room_name, format('{"token_id":%s,"historical":false}', 1000 + e.person),
    format('{"auth_events":[%s],"content":%s,"depth":%s,"hashes":{"sha256":"%s"},"origin_server_ts":'
           '%s,"prev_events":[%s],"room_id":"%s","sender":"%s",%s"signatures":{"%s":{"ed25519:a_%s":'
           '"%s"}},"type":"%s","unsigned":{"age_ts":%s}}',
        coalesce(g.auths, ''),
        CASE kind
            WHEN 'm.room.encrypted' THEN format('{"algorithm":"m.megolm.v1.aes-sha2","ciphertext":'
                '"%s","device_id":"PHONE%s","sender_key":"%s","session_id":"%s"}',
                pg_temp.opaque('words ' || number, 2 + (number % 5)::int), person,
                pg_temp.token('curve ' || person), pg_temp.token('session ' || room || ' ' || person))
            WHEN 'm.room.message' THEN format('{"body":"%s","m.mentions":{},"msgtype":"m.text"}',
                pg_temp.prose(number))
            WHEN 'm.reaction' THEN format('{"m.relates_to":{"event_id":"%s","key":"+1",'
                '"rel_type":"m.annotation"}}', pg_temp.event_id(previous))
            WHEN 'm.room.member' THEN format('{"avatar_url":"mxc://bench.test/%s","displayname":'
                '"User %s","membership":"join"}', md5(person || ' ' || number % 9), person)
            WHEN 'm.room.create' THEN format('{"creator":"%s","room_version":"10"}', sender)
            WHEN 'm.room.power_levels' THEN format('{"users":{"%s":100},"users_default":0}', sender)
            WHEN 'm.room.join_rules' THEN '{"join_rule":"invite"}'
            WHEN 'm.room.history_visibility' THEN '{"history_visibility":"shared"}'
            ELSE format('{"name":"Room %s"}', room) END,
        place, pg_temp.token('hash ' || number), 1600000000000 + number * 1000,
        CASE WHEN previous IS NULL THEN '' ELSE '"' || pg_temp.event_id(previous) || '"' END,
        room_name, sender, '"state_key":"' || state_key || '",', split_part(sender, ':', 2),
        left(md5(split_part(sender, ':', 2)), 4), pg_temp.opaque('signed ' || number, 1), kind,
        1600000000090 + number * 1000),
    3
FROM ev e LEFT JOIN (SELECT number, string_agg('"' || auth || '"', ',') AS auths
                     FROM grounds GROUP BY number) g USING (number)
ORDER BY number;

INSERT INTO event_edges (event_id, prev_event_id, room_id, is_state)
SELECT event, pg_temp.event_id(previous), NULL, false FROM ev WHERE previous IS NOT NULL;
INSERT INTO event_auth (event_id, auth_id, room_id) SELECT event, auth, room_name FROM grounds;
INSERT INTO event_to_state_groups (event_id, state_group) SELECT event, state_group FROM ev;
INSERT INTO event_relations (event_id, relates_to_id, relation_type, aggregation_key)
SELECT event, pg_temp.event_id(previous), 'm.annotation', '+1' FROM ev WHERE kind = 'm.reaction';
INSERT INTO event_search (event_id, room_id, sender, key, vector, origin_server_ts, stream_ordering)
SELECT event, room_name, sender, 'content.body', to_tsvector('english', pg_temp.prose(number)),
       1600000000000 + number * 1000, number
FROM ev WHERE kind = 'm.room.message';
INSERT INTO event_forward_extremities (event_id, room_id)
SELECT DISTINCT ON (room) event, room_name FROM ev ORDER BY room, place DESC;
INSERT INTO room_depth (room_id, min_depth) SELECT room_name, 1 FROM ev WHERE place = 1;
INSERT INTO stream_ordering_to_exterm (stream_ordering, room_id, event_id)
SELECT number, room_name, event FROM ev WHERE number > :events - 3000;

CREATE TEMP TABLE states AS SELECT * FROM ev WHERE state_key IS NOT NULL;
CREATE INDEX ON states (room, place);
ANALYZE states;

INSERT INTO state_events (event_id, room_id, type, state_key)
SELECT event, room_name, kind, state_key FROM states;
INSERT INTO state_groups (id, room_id, event_id)
SELECT own_group, room_name, event FROM states;
-- Every tenth group has the whole state, the others what changed.
INSERT INTO state_groups_state (state_group, room_id, type, state_key, event_id)
SELECT own_group, room_name, kind, state_key, event FROM states WHERE states % 10 <> 1
UNION ALL
SELECT DISTINCT ON (whole.own_group, s.kind, s.state_key)
       whole.own_group, s.room_name, s.kind, s.state_key, s.event
FROM states whole JOIN states s ON s.room = whole.room AND s.place <= whole.place
WHERE whole.states % 10 = 1;
INSERT INTO state_group_edges (state_group, prev_state_group)
SELECT own_group, earlier_group FROM states WHERE states % 10 <> 1;

-- One chain for each member and setting, linked to the room's power levels.
CREATE TEMP TABLE chains AS
SELECT event, kind, room, dense_rank() OVER (ORDER BY room, kind, state_key) AS chain,
       row_number() OVER (PARTITION BY room, kind, state_key ORDER BY place) AS link
FROM states;
INSERT INTO event_auth_chains (event_id, chain_id, sequence_number)
SELECT event, chain, link FROM chains;
INSERT INTO event_auth_chain_links
    (origin_chain_id, origin_sequence_number, target_chain_id, target_sequence_number)
SELECT c.chain, 1, levels.chain, 1
FROM chains c JOIN chains levels ON levels.room = c.room AND levels.kind = 'm.room.power_levels'
WHERE c.kind = 'm.room.member' AND c.link = 1;

CREATE TEMP TABLE current AS
SELECT DISTINCT ON (room, kind, state_key) * FROM states ORDER BY room, kind, state_key, place DESC;
INSERT INTO current_state_events
    (event_id, room_id, type, state_key, membership, event_stream_ordering)
SELECT event, room_name, kind, state_key, CASE kind WHEN 'm.room.member' THEN 'join' END, number
FROM current;
INSERT INTO current_state_delta_stream
    (stream_id, room_id, type, state_key, event_id, prev_event_id, instance_name)
SELECT number, room_name, kind, state_key, event, NULL, 'master' FROM states;
INSERT INTO room_memberships (event_id, user_id, sender, room_id, membership, display_name,
    avatar_url, event_stream_ordering)
SELECT event, sender, sender, room_name, 'join', 'User ' || person,
       'mxc://bench.test/' || md5(person || ' ' || number % 9), number
FROM states WHERE kind = 'm.room.member';
INSERT INTO local_current_membership
    (room_id, user_id, event_id, membership, event_stream_ordering)
SELECT room_name, sender, event, 'join', number
FROM current WHERE kind = 'm.room.member' AND person % 2 = 0;
INSERT INTO sliding_sync_joined_rooms
    (room_id, event_stream_ordering, bump_stamp, room_name, is_encrypted)
SELECT room_name, max(number), max(number), 'Room ' || room, true FROM ev GROUP BY room_name, room;
INSERT INTO sliding_sync_membership_snapshots (room_id, user_id, sender, membership_event_id,
    membership, event_stream_ordering, event_instance_name, has_known_state, room_name, is_encrypted)
SELECT room_name, sender, sender, event, 'join', number, 'master', true, 'Room ' || room, true
FROM current WHERE kind = 'm.room.member' AND person % 2 = 0;
INSERT INTO room_stats_state (room_id, name, join_rules, history_visibility)
SELECT room_name, 'Room ' || room, 'invite', 'shared' FROM ev WHERE place = 1;
INSERT INTO room_stats_current (room_id, current_state_events, joined_members, invited_members,
    left_members, banned_members, local_users_in_room, completed_delta_stream_id, knocked_members)
SELECT room_name, count(*), count(*) FILTER (WHERE kind = 'm.room.member'), 0, 0, 0, 1,
       max(number), 0
FROM current GROUP BY room_name;

SELECT setval('events_stream_seq', :events), setval('state_group_id_seq', (SELECT max(id) FROM
    state_groups)), setval('event_auth_chain_id', (SELECT max(chain) FROM chains));
