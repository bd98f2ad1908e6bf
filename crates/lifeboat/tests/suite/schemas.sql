-- The databases of a suite, as far as a backup and a restore care: names and types of columns are
-- those of the programs. A line of its own names the database that what follows it belongs to.
-- database mas
CREATE TABLE _sqlx_migrations (version bigint PRIMARY KEY, description text NOT NULL,
    installed_on timestamptz NOT NULL DEFAULT now(), success boolean NOT NULL,
    checksum bytea NOT NULL, execution_time bigint NOT NULL);
CREATE TYPE queue_job_status AS ENUM
    ('available', 'scheduled', 'running', 'completed', 'failed', 'lost');
CREATE TABLE users (user_id uuid PRIMARY KEY, username text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(), locked_at timestamptz,
    can_request_admin boolean NOT NULL DEFAULT false, is_guest boolean NOT NULL DEFAULT false,
    deactivated_at timestamptz);
CREATE TABLE user_passwords (user_password_id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users, hashed_password text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(), version integer NOT NULL);
CREATE TABLE user_sessions (user_session_id uuid PRIMARY KEY, user_id uuid NOT NULL REFERENCES users,
    created_at timestamptz NOT NULL DEFAULT now(), finished_at timestamptz, user_agent text,
    last_active_at timestamptz, last_active_ip inet);
CREATE TABLE compat_sessions (compat_session_id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users, device_id text, created_at timestamptz NOT NULL
    DEFAULT now(), finished_at timestamptz, is_synapse_admin boolean NOT NULL DEFAULT false,
    last_active_ip inet, human_name text);
CREATE TABLE compat_access_tokens (compat_access_token_id uuid PRIMARY KEY,
    compat_session_id uuid NOT NULL REFERENCES compat_sessions, access_token text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(), expires_at timestamptz);
CREATE TABLE oauth2_clients (oauth2_client_id uuid PRIMARY KEY, encrypted_client_secret text,
    redirect_uris text[] NOT NULL, jwks jsonb, client_name text, is_static boolean NOT NULL);
CREATE TABLE oauth2_sessions (oauth2_session_id uuid PRIMARY KEY,
    oauth2_client_id uuid NOT NULL REFERENCES oauth2_clients, user_id uuid REFERENCES users,
    scope_list text[] NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz);
CREATE TABLE oauth2_access_tokens (oauth2_access_token_id uuid PRIMARY KEY,
    oauth2_session_id uuid NOT NULL REFERENCES oauth2_sessions, access_token text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(), expires_at timestamptz, revoked_at timestamptz,
    first_used_at timestamptz);
CREATE TABLE queue_workers (queue_worker_id uuid PRIMARY KEY,
    registered_at timestamptz NOT NULL, last_seen_at timestamptz NOT NULL, shutdown_at timestamptz);
CREATE UNLOGGED TABLE queue_leader (active boolean NOT NULL DEFAULT true UNIQUE,
    elected_at timestamptz NOT NULL, expires_at timestamptz NOT NULL,
    queue_worker_id uuid NOT NULL REFERENCES queue_workers);
CREATE TABLE queue_jobs (queue_job_id uuid PRIMARY KEY, status queue_job_status NOT NULL
    DEFAULT 'available', created_at timestamptz NOT NULL DEFAULT now(), started_at timestamptz,
    started_by uuid REFERENCES queue_workers, completed_at timestamptz, queue_name text NOT NULL,
    payload jsonb NOT NULL DEFAULT '{}', metadata jsonb NOT NULL DEFAULT '{}');
CREATE INDEX queue_jobs_due ON queue_jobs (queue_name) WHERE status = 'available';
INSERT INTO queue_workers VALUES ('00000000-0000-0000-0000-00000000000a', now(), now(), NULL),
    ('00000000-0000-0000-0000-00000000000b', now(), now(), NULL);
INSERT INTO queue_leader VALUES (true, now(), now(), '00000000-0000-0000-0000-00000000000a');
INSERT INTO queue_jobs (queue_job_id, status, started_by, queue_name) VALUES
    (gen_random_uuid(), 'running', '00000000-0000-0000-0000-00000000000a', 'provision-user'),
    (gen_random_uuid(), 'available', NULL, 'deactivate-user'),
    (gen_random_uuid(), 'completed', '00000000-0000-0000-0000-00000000000b', 'verify-email');
-- database syncv3
CREATE SEQUENCE syncv3_event_nids_seq;
CREATE TABLE syncv3_events (event_nid bigint PRIMARY KEY DEFAULT nextval('syncv3_event_nids_seq'),
    event_id text NOT NULL UNIQUE, before_state_snapshot_id bigint NOT NULL DEFAULT 0,
    room_id text NOT NULL, event_type text NOT NULL, state_key text, membership text,
    event bytea NOT NULL);
CREATE TABLE syncv3_snapshots (snapshot_id bigint PRIMARY KEY, room_id text NOT NULL,
    events bigint[], membership_events bigint[]);
CREATE TABLE syncv3_sync2_tokens (token_hash text PRIMARY KEY, token_encrypted text NOT NULL,
    user_id text NOT NULL, device_id text NOT NULL, last_seen timestamptz NOT NULL);
INSERT INTO syncv3_events (event_id, room_id, event_type, event)
    SELECT '$e' || n, '!r:lifeboat.test', 'm.room.message', '\x7b7d' FROM generate_series(1, 300) n;
INSERT INTO syncv3_snapshots VALUES (1, '!r:lifeboat.test', '{1,2,3}', '{4}');
-- database irc
CREATE TABLE schema (version integer UNIQUE NOT NULL);
CREATE TABLE rooms (origin text NOT NULL, room_id text NOT NULL, type text NOT NULL,
    irc_domain text, irc_channel text, irc_json jsonb NOT NULL, matrix_json jsonb,
    UNIQUE (room_id, irc_domain, irc_channel));
CREATE TABLE client_config (user_id text NOT NULL, domain text NOT NULL, config jsonb NOT NULL,
    password text, UNIQUE (user_id, domain));
INSERT INTO schema VALUES (9);
INSERT INTO rooms SELECT 'config', '!r' || n, 'channel', 'irc.test', '#c' || n, '{}', '{}'
    FROM generate_series(1, 50) n;
INSERT INTO client_config VALUES ('@a:lifeboat.test', 'irc.test', '{"nick": "a"}', NULL);
-- database whatsapp
CREATE TABLE version (version integer, compat integer);
CREATE TABLE whatsmeow_device (jid text PRIMARY KEY, noise_key bytea NOT NULL
    CHECK (length(noise_key) = 32), registration_id bigint NOT NULL);
CREATE TABLE portal (bridge_id text NOT NULL, id text NOT NULL, receiver text NOT NULL, mxid text,
    metadata jsonb NOT NULL, PRIMARY KEY (bridge_id, id, receiver));
INSERT INTO version VALUES (20, 9);
INSERT INTO whatsmeow_device SELECT n || '@s', decode(md5(n::text) || md5('x' || n), 'hex'), n
    FROM generate_series(1, 20) n;
INSERT INTO portal SELECT 'wa', 'p' || n, '', '!p' || n, '{}' FROM generate_series(1, 80) n;
-- database xmpp
CREATE TABLE schema (version integer UNIQUE NOT NULL);
CREATE TABLE accounts (user_id text NOT NULL, protocol_id text NOT NULL, username text NOT NULL,
    extra_data json, PRIMARY KEY (user_id, protocol_id, username));
INSERT INTO schema VALUES (2);
INSERT INTO accounts VALUES ('@a:lifeboat.test', 'prpl-jabber', 'a@jabber.test', '{"p": "x"}');
