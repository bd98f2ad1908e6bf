//! The queries that print a schema. Each takes the schema's oid as `$1` and runs with the search
//! path `pg_catalog`, so that PostgreSQL prints all other names in full.
//!
//! The columns of a statement's query are its name, its table and its text, which is NULL when the
//! thing is in our snapshot and was dropped since. What an extension made is left out: the
//! extension makes it again. The catalogues' columns are explained in PostgreSQL's documentation,
//! part VII, "System Catalogs".

use super::{Kind, Stage};

/// Stage, kind, what is being read, query: in the order in which the statements are run.
pub(super) const STATEMENTS: [(Stage, Kind, &str, &str); 20] = [
    (Stage::BeforeRows, Kind::Schema, "the schemas", SCHEMAS),
    (Stage::BeforeRows, Kind::Extension, "the extensions", EXTENSIONS),
    (Stage::BeforeRows, Kind::Function, "the functions", FUNCTIONS),
    (Stage::BeforeRows, Kind::Sequence, "the sequences", SEQUENCES),
    (Stage::BeforeRows, Kind::Table, "the tables", TABLES),
    (Stage::BeforeRows, Kind::ColumnSetting, "the column settings", COLUMN_SETTINGS),
    (Stage::BeforeRows, Kind::SequenceOwner, "the sequences' owners", SEQUENCE_OWNERS),
    (Stage::AfterRows, Kind::Key, "the keys", KEYS),
    (Stage::AfterRows, Kind::Index, "the indexes", INDEXES),
    (Stage::AfterRows, Kind::Statistics, "the statistics", STATISTICS),
    (Stage::AfterRows, Kind::Check, "the checks", CHECKS),
    (Stage::AfterRows, Kind::ForeignKey, "the foreign keys", FOREIGN_KEYS),
    (Stage::AfterRows, Kind::Trigger, "the triggers", TRIGGERS),
    (Stage::AfterRows, Kind::TableSetting, "the replica identities", REPLICA_IDENTITIES),
    (Stage::AfterRows, Kind::TableSetting, "the clustered tables", CLUSTERED),
    (Stage::AfterRows, Kind::Comment, "the comments of relations", RELATION_COMMENTS),
    (Stage::AfterRows, Kind::Comment, "the comments of functions", FUNCTION_COMMENTS),
    (Stage::AfterRows, Kind::Comment, "the comments of constraints", CONSTRAINT_COMMENTS),
    (Stage::AfterRows, Kind::Comment, "the comments of triggers", TRIGGER_COMMENTS),
    (Stage::AfterRows, Kind::Comment, "the comments of statistics", STATISTICS_COMMENTS),
];

pub(super) const CURRENT_SCHEMA: &str = "
    SELECT oid
    FROM pg_catalog.pg_namespace
    WHERE nspname = pg_catalog.current_schema()";

/// One query a sequence, to be joined by UNION ALL.
pub(super) const SEQUENCE_NAMES: &str = "
    SELECT format('SELECT %L, last_value, is_called FROM %I.%I', c.relname, n.nspname, c.relname)
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relnamespace = $1
      AND c.relkind = 'S'
    ORDER BY c.relname";

const SCHEMAS: &str = "
    SELECT n.nspname::text, NULL::text, format('CREATE SCHEMA IF NOT EXISTS %I', n.nspname)
    FROM pg_namespace n
    WHERE n.nspname NOT IN ('public', 'pg_catalog')
      AND (n.oid = $1
        OR EXISTS (
          SELECT FROM pg_extension e
          WHERE e.extnamespace = n.oid AND e.extname <> 'plpgsql'))
    ORDER BY n.nspname";

/// An extension may need one that was made before it, so they keep the order of their making.
const EXTENSIONS: &str = "
    SELECT e.extname::text, NULL::text,
      format('CREATE EXTENSION IF NOT EXISTS %I WITH SCHEMA %I', e.extname, n.nspname)
    FROM pg_extension e
    JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname <> 'plpgsql'
      AND $1::oid IS NOT NULL
    ORDER BY e.oid";

/// The body of a function in SQL is checked when it is made, and may name tables that come later.
const FUNCTIONS: &str = "
    SELECT p.oid::regprocedure::text, NULL::text,
      CASE WHEN l.lanname = 'sql' AND p.prosqlbody IS NULL
        THEN 'SET check_function_bodies = false;' || E'\\n' ELSE '' END
      || rtrim(pg_get_functiondef(p.oid), E'\\n')
    FROM pg_proc p
    JOIN pg_language l ON l.oid = p.prolang
    WHERE p.pronamespace = $1
      AND p.prokind <> 'a'
      AND NOT EXISTS (
        SELECT FROM pg_depend d
        WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
    ORDER BY p.oid";

/// Sequences of identity columns (dependency type `i`) come with their table.
const SEQUENCES: &str = "
    SELECT c.relname::text, NULL::text,
      format('CREATE %sSEQUENCE %I.%I AS %s INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s'
        || ' CACHE %s %s',
        CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED ' ELSE '' END,
        n.nspname, c.relname, format_type(s.seqtypid, NULL), s.seqincrement, s.seqmin, s.seqmax,
        s.seqstart, s.seqcache, CASE WHEN s.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END)
    FROM pg_sequence s
    JOIN pg_class c ON c.oid = s.seqrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relnamespace = $1
      AND NOT EXISTS (
        SELECT FROM pg_depend d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('i', 'e'))
    ORDER BY c.relname";

/// PostgreSQL 18 names not-null constraints; one that was never validated comes after the rows.
const TABLES: &str = "
    SELECT c.relname::text, c.relname::text,
      format('CREATE %sTABLE %I.%I (%s)%s',
        CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED ' ELSE '' END,
        n.nspname, c.relname,
        (SELECT string_agg(
            E'\\n    ' || quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod)
            || CASE WHEN a.attcollation <> t.typcollation
              THEN format(' COLLATE %s', a.attcollation::regcollation) ELSE '' END
            || CASE
              WHEN a.attidentity <> '' THEN format(
                ' GENERATED %s AS IDENTITY (SEQUENCE NAME %s INCREMENT BY %s MINVALUE %s'
                || ' MAXVALUE %s START WITH %s CACHE %s %s)',
                CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END,
                s.seqrelid::regclass, s.seqincrement, s.seqmin, s.seqmax, s.seqstart, s.seqcache,
                CASE WHEN s.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END)
              WHEN a.attgenerated = 's'
                THEN format(' GENERATED ALWAYS AS (%s) STORED', pg_get_expr(d.adbin, d.adrelid))
              WHEN a.attgenerated = 'v'
                THEN format(' GENERATED ALWAYS AS (%s) VIRTUAL', pg_get_expr(d.adbin, d.adrelid))
              ELSE coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '') END
            || CASE WHEN a.attnotnull AND k.convalidated IS NOT FALSE THEN coalesce(
                ' CONSTRAINT ' || quote_ident(nullif(k.conname,
                  format('%s_%s_not_null', c.relname, a.attname))), '') || ' NOT NULL'
              ELSE '' END,
            ',' ORDER BY a.attnum)
          FROM pg_attribute a
          JOIN pg_type t ON t.oid = a.atttypid
          LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
          LEFT JOIN pg_depend i ON a.attidentity <> '' AND i.deptype = 'i'
            AND i.classid = 'pg_class'::regclass AND i.refclassid = 'pg_class'::regclass
            AND i.refobjid = a.attrelid AND i.refobjsubid = a.attnum
          LEFT JOIN pg_sequence s ON s.seqrelid = i.objid
          LEFT JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'n'
            AND k.conkey = ARRAY[a.attnum]
          WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
        coalesce((
          SELECT format(' WITH (%s)', string_agg(
            format('%s=%L', split_part(r, '=', 1), substr(r, strpos(r, '=') + 1)), ', '))
          FROM (
            SELECT unnest(c.reloptions)
            UNION ALL
            SELECT 'toast.' || unnest(t.reloptions)
            FROM pg_class t
            WHERE t.oid = c.reltoastrelid) options (r)
          HAVING count(*) > 0), ''))
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relnamespace = $1
      AND c.relkind = 'r'
      AND c.relpersistence IN ('p', 'u')
      AND NOT c.relispartition
      AND NOT EXISTS (
        SELECT FROM pg_depend d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY c.relname";

const COLUMN_SETTINGS: &str = "
    SELECT a.attname::text, c.relname::text,
      format('ALTER TABLE ONLY %I.%I ALTER COLUMN %I %s',
        n.nspname, c.relname, a.attname, setting.text)
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid
    CROSS JOIN LATERAL (VALUES
      (1, CASE WHEN a.attstattarget >= 0 THEN format('SET STATISTICS %s', a.attstattarget) END),
      (2, (SELECT format('SET (%s)', string_agg(
            format('%s=%L', split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)), ', '))
          FROM unnest(a.attoptions) o
          HAVING count(*) > 0)),
      (3, CASE WHEN a.attstorage <> t.typstorage THEN 'SET STORAGE ' || CASE a.attstorage
          WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN'
          ELSE 'EXTENDED' END END),
      (4, CASE a.attcompression WHEN 'p' THEN 'SET COMPRESSION pglz'
          WHEN 'l' THEN 'SET COMPRESSION lz4' END)
    ) setting (position, text)
    WHERE c.relnamespace = $1
      AND c.relkind = 'r'
      AND setting.text IS NOT NULL
      AND NOT EXISTS (
        SELECT FROM pg_depend d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY c.relname, a.attnum, setting.position";

const SEQUENCE_OWNERS: &str = "
    SELECT s.relname::text, c.relname::text,
      format('ALTER SEQUENCE %I.%I OWNED BY %I.%I.%I',
        n.nspname, s.relname, n.nspname, c.relname, a.attname)
    FROM pg_class s
    JOIN pg_namespace n ON n.oid = s.relnamespace
    JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.deptype = 'a'
    JOIN pg_class c ON d.refclassid = 'pg_class'::regclass AND c.oid = d.refobjid
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
    WHERE s.relnamespace = $1
      AND c.relnamespace = $1
      AND s.relkind = 'S'
    ORDER BY s.relname";

const KEYS: &str = "
    SELECT k.conname::text, c.relname::text,
      format('ALTER TABLE ONLY %I.%I ADD CONSTRAINT %I ', n.nspname, c.relname, k.conname)
        || pg_get_constraintdef(k.oid)
    FROM pg_constraint k
    JOIN pg_class c ON c.oid = k.conrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relnamespace = $1
      AND c.relkind = 'r'
      AND k.contype IN ('p', 'u', 'x')
    ORDER BY c.relname, k.contype, k.conname";

/// An index that is not valid is the rest of a build that failed; it is named as a gap.
const INDEXES: &str = "
    SELECT i.relname::text, c.relname::text, pg_get_indexdef(i.oid)
    FROM pg_index x
    JOIN pg_class i ON i.oid = x.indexrelid
    JOIN pg_class c ON c.oid = x.indrelid
    WHERE c.relnamespace = $1
      AND c.relkind = 'r'
      AND x.indisvalid
      AND NOT EXISTS (
        SELECT FROM pg_constraint k
        WHERE k.conindid = i.oid AND k.conrelid = c.oid AND k.contype IN ('p', 'u', 'x'))
    ORDER BY c.relname, i.relname";

const STATISTICS: &str = "
    SELECT s.stxname::text, c.relname::text, pg_get_statisticsobjdef(s.oid)
    FROM pg_statistic_ext s
    JOIN pg_class c ON c.oid = s.stxrelid
    WHERE s.stxnamespace = $1
      AND c.relnamespace = $1
    UNION ALL
    SELECT i.relname::text, c.relname::text,
      format('ALTER INDEX %I.%I ALTER COLUMN %s SET STATISTICS %s',
        n.nspname, i.relname, a.attnum, a.attstattarget)
    FROM pg_index x
    JOIN pg_class i ON i.oid = x.indexrelid
    JOIN pg_class c ON c.oid = x.indrelid
    JOIN pg_namespace n ON n.oid = i.relnamespace
    JOIN pg_attribute a ON a.attrelid = i.oid
    WHERE c.relnamespace = $1
      AND c.relkind = 'r'
      AND x.indisvalid
      AND a.attstattarget >= 0
    ORDER BY 2, 1";

const CHECKS: &str = "
    SELECT k.conname::text, c.relname::text,
      format('ALTER TABLE ONLY %I.%I ADD CONSTRAINT %I ', n.nspname, c.relname, k.conname)
        || pg_get_constraintdef(k.oid)
    FROM pg_constraint k
    JOIN pg_class c ON c.oid = k.conrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relnamespace = $1
      AND c.relkind = 'r'
      AND (k.contype = 'c' OR (k.contype = 'n' AND NOT k.convalidated))
    ORDER BY c.relname, k.conname";

const FOREIGN_KEYS: &str = "
    SELECT k.conname::text, c.relname::text,
      format('ALTER TABLE ONLY %I.%I ADD CONSTRAINT %I ', n.nspname, c.relname, k.conname)
        || pg_get_constraintdef(k.oid)
    FROM pg_constraint k
    JOIN pg_class c ON c.oid = k.conrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relnamespace = $1
      AND c.relkind = 'r'
      AND k.contype = 'f'
    ORDER BY c.relname, k.conname";

const TRIGGERS: &str = "
    SELECT t.tgname::text, c.relname::text,
      pg_get_triggerdef(t.oid)
      || CASE WHEN t.tgenabled = 'O' THEN '' ELSE
        format(E';\\nALTER TABLE %I.%I %s TRIGGER %I', n.nspname, c.relname,
          CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS'
            ELSE 'ENABLE REPLICA' END,
          t.tgname) END
    FROM pg_trigger t
    JOIN pg_class c ON c.oid = t.tgrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relnamespace = $1
      AND c.relkind = 'r'
      AND NOT t.tgisinternal
    ORDER BY c.relname, t.tgname";

const REPLICA_IDENTITIES: &str = "
    SELECT c.relname::text, c.relname::text,
      format('ALTER TABLE ONLY %I.%I REPLICA IDENTITY %s', n.nspname, c.relname,
        CASE c.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING' ELSE (
          SELECT format('USING INDEX %I', i.relname)
          FROM pg_index x
          JOIN pg_class i ON i.oid = x.indexrelid
          WHERE x.indrelid = c.oid AND x.indisreplident) END)
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relnamespace = $1
      AND c.relkind = 'r'
      AND (c.relreplident IN ('f', 'n') OR (c.relreplident = 'i' AND EXISTS (
        SELECT FROM pg_index x WHERE x.indrelid = c.oid AND x.indisreplident)))
    ORDER BY c.relname";

const CLUSTERED: &str = "
    SELECT c.relname::text, c.relname::text,
      format('ALTER TABLE %I.%I CLUSTER ON %I', n.nspname, c.relname, i.relname)
    FROM pg_index x
    JOIN pg_class i ON i.oid = x.indexrelid
    JOIN pg_class c ON c.oid = x.indrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relnamespace = $1
      AND c.relkind = 'r'
      AND x.indisclustered
    ORDER BY c.relname";

const RELATION_COMMENTS: &str = "
    SELECT c.relname::text || coalesce('.' || a.attname, ''), c.relname::text,
      format('COMMENT ON %s %I.%I%s IS %L',
        CASE WHEN d.objsubid <> 0 THEN 'COLUMN'
          WHEN c.relkind = 'S' THEN 'SEQUENCE' WHEN c.relkind = 'i' THEN 'INDEX' ELSE 'TABLE' END,
        n.nspname, c.relname, coalesce('.' || quote_ident(a.attname), ''), d.description)
    FROM pg_description d
    JOIN pg_class c ON c.oid = d.objoid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND d.objsubid <> 0
    WHERE d.classoid = 'pg_class'::regclass
      AND c.relnamespace = $1
      AND c.relkind IN ('r', 'S', 'i')
      AND (d.objsubid = 0 OR NOT a.attisdropped)
    ORDER BY c.relname, d.objsubid";

const FUNCTION_COMMENTS: &str = "
    SELECT p.oid::regprocedure::text, NULL::text,
      format('COMMENT ON ROUTINE %s IS %L', p.oid::regprocedure, d.description)
    FROM pg_description d
    JOIN pg_proc p ON p.oid = d.objoid
    WHERE d.classoid = 'pg_proc'::regclass
      AND p.pronamespace = $1
      AND p.prokind <> 'a'
      AND NOT EXISTS (
        SELECT FROM pg_depend e
        WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e')
    ORDER BY p.oid";

const CONSTRAINT_COMMENTS: &str = "
    SELECT k.conname::text, c.relname::text,
      format('COMMENT ON CONSTRAINT %I ON %I.%I IS %L',
        k.conname, n.nspname, c.relname, d.description)
    FROM pg_description d
    JOIN pg_constraint k ON k.oid = d.objoid
    JOIN pg_class c ON c.oid = k.conrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE d.classoid = 'pg_constraint'::regclass
      AND c.relnamespace = $1
      AND c.relkind = 'r'
      AND k.contype <> 'n'
    ORDER BY c.relname, k.conname";

const TRIGGER_COMMENTS: &str = "
    SELECT t.tgname::text, c.relname::text,
      format('COMMENT ON TRIGGER %I ON %I.%I IS %L',
        t.tgname, n.nspname, c.relname, d.description)
    FROM pg_description d
    JOIN pg_trigger t ON t.oid = d.objoid
    JOIN pg_class c ON c.oid = t.tgrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE d.classoid = 'pg_trigger'::regclass
      AND c.relnamespace = $1
      AND c.relkind = 'r'
    ORDER BY c.relname, t.tgname";

const STATISTICS_COMMENTS: &str = "
    SELECT s.stxname::text, s.stxrelid::regclass::text,
      format('COMMENT ON STATISTICS %I.%I IS %L', n.nspname, s.stxname, d.description)
    FROM pg_description d
    JOIN pg_statistic_ext s ON s.oid = d.objoid
    JOIN pg_namespace n ON n.oid = s.stxnamespace
    WHERE d.classoid = 'pg_statistic_ext'::regclass
      AND s.stxnamespace = $1
    ORDER BY s.stxname";

/// What it is (with an article) and its name, for what the queries above do not print.
pub(super) const UNSUPPORTED: &str = "
    SELECT found.what, found.object
    FROM (
      SELECT 'pg_class'::regclass::oid, c.oid, c.relname::text,
        CASE WHEN c.relkind = 'v' THEN 'a view' WHEN c.relkind = 'm' THEN 'a materialized view'
          WHEN c.relkind = 'f' THEN 'a foreign table'
          WHEN c.relkind = 'c' THEN 'a composite type' WHEN c.relkind = 'p'
          THEN 'a partitioned table' ELSE 'a partition' END
      FROM pg_class c
      WHERE c.relnamespace = $1
        AND (c.relkind IN ('v', 'm', 'f', 'c', 'p') OR (c.relkind = 'r' AND c.relispartition))
      UNION ALL
      SELECT 'pg_class'::regclass, c.oid, c.relname::text, 'a table that inherits columns'
      FROM pg_class c
      JOIN pg_inherits i ON i.inhrelid = c.oid
      WHERE c.relnamespace = $1 AND c.relkind = 'r' AND NOT c.relispartition
      UNION ALL
      SELECT 'pg_class'::regclass, c.oid, c.relname::text, 'a table made from a type'
      FROM pg_class c
      WHERE c.relnamespace = $1 AND c.relkind = 'r' AND c.reloftype <> 0
      UNION ALL
      SELECT 'pg_class'::regclass, c.oid, c.relname::text,
        format('a table with access method %s', m.amname)
      FROM pg_class c
      JOIN pg_am m ON m.oid = c.relam
      WHERE c.relnamespace = $1 AND c.relkind = 'r' AND m.amname <> 'heap'
      UNION ALL
      SELECT 'pg_class'::regclass, c.oid, c.relname::text, 'a table with row-level security'
      FROM pg_class c
      WHERE c.relnamespace = $1 AND c.relkind = 'r'
        AND (c.relrowsecurity OR EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid))
      UNION ALL
      SELECT 'pg_class'::regclass, i.oid, i.relname::text, 'an index that was never finished'
      FROM pg_index x
      JOIN pg_class i ON i.oid = x.indexrelid
      WHERE i.relnamespace = $1 AND i.relkind = 'i' AND NOT x.indisvalid
      UNION ALL
      SELECT 'pg_rewrite'::regclass, r.oid, r.rulename::text, 'a rule'
      FROM pg_rewrite r
      JOIN pg_class c ON c.oid = r.ev_class
      WHERE c.relnamespace = $1 AND c.relkind = 'r'
      UNION ALL
      SELECT 'pg_type'::regclass, t.oid, t.typname::text,
        CASE t.typtype WHEN 'd' THEN 'a domain' WHEN 'e' THEN 'an enumeration type'
          WHEN 'r' THEN 'a range type' ELSE 'a base type' END
      FROM pg_type t
      WHERE t.typnamespace = $1
        AND (t.typtype IN ('d', 'e', 'r') OR (t.typtype = 'b' AND t.typelem = 0))
      UNION ALL
      SELECT 'pg_proc'::regclass, p.oid, p.oid::regprocedure::text, 'an aggregate'
      FROM pg_proc p
      WHERE p.pronamespace = $1 AND p.prokind = 'a'
      UNION ALL
      SELECT 'pg_operator'::regclass, o.oid, o.oprname::text, 'an operator'
      FROM pg_operator o
      WHERE o.oprnamespace = $1
      UNION ALL
      SELECT 'pg_collation'::regclass, o.oid, o.collname::text, 'a collation'
      FROM pg_collation o
      WHERE o.collnamespace = $1
      UNION ALL
      SELECT 'pg_ts_config'::regclass, s.oid, s.cfgname::text, 'a text search configuration'
      FROM pg_ts_config s
      WHERE s.cfgnamespace = $1
      UNION ALL
      SELECT 'pg_event_trigger'::regclass, e.oid, e.evtname::text, 'an event trigger'
      FROM pg_event_trigger e
      UNION ALL
      SELECT 'pg_class'::regclass, c.oid, c.oid::regclass::text,
        'a table in another schema, with its rows'
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relnamespace <> $1 AND c.relkind IN ('r', 'p', 'f', 'm')
        AND n.nspname NOT IN ('information_schema', 'lifeboat') AND n.nspname NOT LIKE 'pg\\_%'
      UNION ALL
      SELECT 'pg_class'::regclass, 0::oid, format('large objects (%s)', count(*)),
        'data outside of all tables'
      FROM pg_largeobject_metadata
      HAVING count(*) > 0
    ) found (class, oid, object, what)
    WHERE NOT EXISTS (
      SELECT FROM pg_depend d
      WHERE d.classid = found.class AND d.objid = found.oid AND d.deptype = 'e')
    ORDER BY found.what, found.object";
