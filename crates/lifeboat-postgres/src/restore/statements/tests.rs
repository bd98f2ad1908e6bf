//! How SQL is split.

use super::{Phases, phases, split, table_name};

#[test]
fn semicolons_inside_of_quotes_comments_and_bodies_end_nothing() {
    let statements = [
        "SELECT 'a;b', E'it\\'s;', \"odd;name\", 'it''s; fine';",
        "CREATE FUNCTION public.f() RETURNS trigger\n LANGUAGE plpgsql\n AS $_$\nBEGIN; END;\n$_$;",
        "CREATE FUNCTION public.g(a integer) RETURNS integer\n    LANGUAGE sql\n    BEGIN ATOMIC\n \
         SELECT CASE WHEN a > 0 THEN 1 ELSE 2 END;\n SELECT 2;\nEND;",
        "CREATE RULE r AS ON INSERT TO public.t DO ALSO (DELETE FROM u; DELETE FROM v;);",
        "CREATE PROCEDURE p() LANGUAGE sql BEGIN ATOMIC END;",
        "SELECT $1, a$b$c FROM t;",
        "COMMENT ON TABLE t IS 'no /* comment -- here; ';",
        "SELECT 1 /* a; /* b; */ c; */ + 2;",
    ];
    let text =
        format!("-- a comment; here\n\n/* and; /* there; */ */ {}", statements.join("\n--\n"));
    assert_eq!(split(&text), statements);
}

#[test]
fn text_that_breaks_off_is_a_statement_too() {
    assert_eq!(split("SELECT 1; SELECT 'a\n"), ["SELECT 1;", "SELECT 'a"]);
    for broken in ["'", "\"", "$a$", "/*", "--", "$", "E'\\", "é;ü"] {
        split(broken);
    }
    assert_eq!(split(" -- nothing\n"), Vec::<&str>::new());
}

#[test]
fn statements_after_the_rows_are_sorted_by_what_they_wait_for() {
    let text = "SET statement_timeout = 0;\nSELECT pg_catalog.set_config('search_path', '', false);
ALTER TABLE ONLY public.\"odd ON (name\"\n    ADD CONSTRAINT a_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.b\n    ADD CONSTRAINT \"b key\" UNIQUE (id);
CREATE INDEX i ON public.b USING btree (x);
CREATE UNIQUE INDEX \"j ON x\" ON ONLY s.\"b\"\"c\" USING btree (lower(x));
ALTER TABLE ONLY public.b\n    ADD CONSTRAINT fk FOREIGN KEY (x) REFERENCES public.c(id);
ALTER INDEX i ATTACH PARTITION k;
ALTER TABLE public.b ENABLE ROW LEVEL SECURITY;
CREATE TRIGGER t BEFORE INSERT ON public.b EXECUTE FUNCTION public.f();
";
    let Phases { settings, keys, indexes, rest } = phases(text);
    let tables = |named: Vec<(&'static str, &str)>| -> Vec<&str> {
        named.into_iter().map(|(table, _)| table).collect()
    };
    assert_eq!(settings.len(), 2);
    assert_eq!(tables(keys), ["public.\"odd ON (name\"", "public.b"]);
    assert_eq!(tables(indexes), ["public.b", "s.\"b\"\"c\""]);
    let begins: Vec<&str> = rest.iter().map(|s| &s[..14]).collect();
    assert_eq!(begins, ["ALTER TABLE ON", "ALTER INDEX i ", "ALTER TABLE pu", "CREATE TRIGGER"]);
}

#[test]
fn names_of_tables_are_unquoted() {
    for (text, schema, name) in [
        ("public.b", "public", "b"),
        ("\"Odd; name\".\"b\"\"c.d\"", "Odd; name", "b\"c.d"),
        ("s.\"\"\"\"", "s", "\""),
        ("\"b\"\"\"", "", "b\""),
        ("é.\"ü", "é", "ü"),
        ("\"", "", ""),
    ] {
        assert_eq!(table_name(text), (schema.to_owned(), name.to_owned()), "{text}");
    }
}

#[test]
fn words_of_routines_are_names_elsewhere() {
    let statements = [
        "CREATE TABLE public.procedure (\n    begin date,\n    function text\n);",
        "ALTER TABLE public.procedure OWNER TO a;",
        "CREATE FUNCTION public.span(begin integer) RETURNS TABLE(begin integer)\n    LANGUAGE sql \
         AS $_$ SELECT $1; $_$;",
        "CREATE OR REPLACE PROCEDURE public.p(begin integer)\n    LANGUAGE sql\n    BEGIN ATOMIC\n \
         SELECT CASE WHEN true THEN 1 END;\n SELECT 2;\nEND;",
        "CREATE FUNCTION public.begin() RETURNS integer RETURN 1;",
        "GRANT SELECT ON TABLE public.procedure TO b;",
    ];
    assert_eq!(split(&statements.join("\n\n")), statements);
}
