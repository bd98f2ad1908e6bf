BEGIN;
SET search_path = public;
SET check_function_bodies = off;
CREATE SCHEMA deep;
CREATE SCHEMA "Odd; name";
CREATE EXTENSION pg_trgm;
CREATE TYPE deep.mood AS ENUM ('calm', 'stormy');
CREATE TYPE deep.place AS (x integer, note text);
CREATE DOMAIN deep.positive AS integer CHECK (VALUE > 0);
CREATE DOMAIN deep.moods AS deep.mood[];
CREATE TYPE deep.span AS RANGE (subtype = deep.positive);

CREATE TABLE public.everything (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    "odd ""column; name" text,
    a boolean, b smallint, c integer, d bigint, e real, f double precision, g numeric, h money,
    i character varying(20), j character(5), k bytea, l date, m time, n timetz, o timestamp,
    p timestamptz, q interval, r uuid, s json, t jsonb, u xml, v inet, w cidr, x macaddr, y macaddr8,
    z bit(3), aa bit varying, ab tsvector, ac tsquery, ad int4range, ae int4multirange, af integer[],
    ag text[][], ah deep.mood, ai deep.mood[], aj deep.place, ak deep.place[], al deep.positive,
    am deep.moods, an deep.span, ao regclass, ap regtype[], aq "char", ar name, "as" oid, at point,
    au box, av path, aw polygon, ax circle, ay lseg, az line, ba pg_lsn, bb jsonpath,
    doubled bigint GENERATED ALWAYS AS (d / 2) STORED
);
COMMENT ON TABLE public.everything IS 'it''s; --all /* here';
INSERT INTO public.everything DEFAULT VALUES;
INSERT INTO public.everything VALUES (DEFAULT,
    E'tab\t line\n \\N back\\slash ''quotes'' "x" é 🚣', true, -32768, 2147483647,
    -9223372036854775808, 'NaN', '-Infinity', 123456789012345678901234567890.000000000000000001,
    -12.34, 'twenty', 'five', '\x00ff0a5c', 'infinity', '23:59:59.999999', '12:00:00-15:59',
    '4713-01-01 00:00:00 BC', '294276-12-31 23:59:59+00', '-178000000 years 3 mons -4.5 secs',
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"a" : 1,  "a": 2}', '{"b": [1, "\u00e9", null]}',
    '<a>b</a>', '::ffff:1.2.3.4/128', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05',
    B'101', B'', 'a fat:1A cat:2', 'fat & !cat:*', '[1,5)', '{[1,3),[7,9)}', '[0:2]={1,NULL,3}',
    '{{a,NULL},{"c,d","{e}"}}', 'stormy', '{calm,NULL,stormy}', '(1,"a,b")', '{"(2,)",NULL}', 7,
    '{stormy}', '[1,5]', 'public.everything', '{integer,deep.mood}', 'x', 'a name', 4294967295,
    '(1.5,-2)', '(1,1),(0,0)', '[(0,0),(1,1)]', '((0,0),(1,1),(1,0))', '<(0,0),1>', '[(0,0),(1,1)]',
    '{1,2,3}', 'FFFF/FFFFFFFF', '$.a[*] ? (@ > 1)');
INSERT INTO public.everything (k, i) SELECT decode(repeat(md5(n::text), 40), 'hex'), n::text
    FROM generate_series(1, 4000) n;
INSERT INTO public.everything (k) VALUES (decode(repeat('00ff', 17000000), 'hex'));
DELETE FROM public.everything WHERE id = 20;
ALTER TABLE public.everything DROP COLUMN b;

CREATE TABLE deep.days (day date NOT NULL, what text, PRIMARY KEY (day)) PARTITION BY RANGE (day);
CREATE TABLE deep.days_2025 PARTITION OF deep.days FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE deep.days_2026 (what text, day date NOT NULL);
ALTER TABLE deep.days ATTACH PARTITION deep.days_2026
    FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE INDEX days_what ON deep.days (what);
INSERT INTO deep.days SELECT '2025-06-01'::date + n, 'day ' || n FROM generate_series(0, 400) n;

CREATE TABLE deep.parent (id integer PRIMARY KEY, kind text);
CREATE TABLE deep.child (extra text) INHERITS (deep.parent);
INSERT INTO deep.parent VALUES (1, 'own');
INSERT INTO deep.child VALUES (2, 'inherited', 'more');

CREATE TABLE "Odd; name"."Table ON (x" ("Key ID" serial PRIMARY KEY, everything_id bigint
    REFERENCES public.everything (id) DEFERRABLE INITIALLY DEFERRED, words text, UNIQUE (words));
INSERT INTO "Odd; name"."Table ON (x" (everything_id, words) VALUES (1, 'bee'), (2, NULL), (2, NULL);
COMMIT;
CREATE INDEX "index ON; odd" ON "Odd; name"."Table ON (x" USING gin (words gin_trgm_ops)
    WHERE words <> 'bee';
CREATE UNLOGGED TABLE deep.fleeting (x integer);
INSERT INTO deep.fleeting VALUES (1);
CREATE TABLE deep.nothing ();
INSERT INTO deep.nothing DEFAULT VALUES;
INSERT INTO deep.nothing DEFAULT VALUES;
CREATE TABLE deep.empty (x integer, EXCLUDE USING btree (x WITH =));
CREATE SEQUENCE deep.untouched START 500;
CREATE SEQUENCE deep.down INCREMENT -1 MAXVALUE -1;
SELECT nextval('deep.down'), nextval('deep.down');
SELECT setval('deep.untouched', 777, false);

CREATE FUNCTION deep.atomic(a integer) RETURNS integer LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC SELECT CASE WHEN a > 0 THEN 1 ELSE 2 END; END;
CREATE FUNCTION deep.noted() RETURNS trigger LANGUAGE plpgsql AS
    $body$ BEGIN NEW.what := NEW.what || ';'; RETURN NEW; END; $body$;
CREATE TRIGGER noted BEFORE INSERT ON deep.days FOR EACH ROW EXECUTE FUNCTION deep.noted();
CREATE VIEW deep.seen AS SELECT id, deep.atomic(c) AS one FROM public.everything GROUP BY id;
CREATE MATERIALIZED VIEW deep.counted AS SELECT count(*) AS days FROM deep.days;
CREATE UNIQUE INDEX counted_days ON deep.counted (days);
CREATE RULE twice AS ON INSERT TO deep.empty
    DO ALSO (INSERT INTO deep.fleeting VALUES (1); DELETE FROM deep.fleeting;);
ALTER TABLE deep.child ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON deep.child USING (extra = 'more');
CREATE STATISTICS deep.together ON kind, id FROM deep.parent;
ALTER TABLE deep.parent ADD CONSTRAINT late CHECK (id > 0) NOT VALID;
ALTER TABLE "Odd; name"."Table ON (x" REPLICA IDENTITY USING INDEX "Table ON (x_pkey";
ALTER TABLE deep.parent CLUSTER ON parent_pkey;

-- PostgreSQL sends an empty one in binary form and does not take it back.
CREATE TABLE searches (id int PRIMARY KEY, wanted tsquery, lists tsquery[]);
INSERT INTO searches VALUES (1, '', '{"", "a & b"}'), (2, 'rat & !cat', NULL);
