//! Statements as `pg_dump` writes them.

use super::{Right, among, merged};

#[test]
fn statements_about_rights_are_taken_and_lines_for_psql_are_not() {
    let text = "\\restrict aB3\n\nSET row_security = off;\n\
        CREATE DATABASE src WITH TEMPLATE = template0;\n\\unrestrict aB3\n\\connect src\n\
        \\restrict aB3\n\nGRANT SELECT ON TABLE public.a TO metrics;\n\
        CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$GRANT x TO y;$$;\n\
        ALTER TABLE ONLY public.a FORCE ROW LEVEL SECURITY;\n\
        ALTER TABLE public.a OWNER TO \"odd role\";\n\
        ALTER TABLE public.a ENABLE ROW LEVEL SECURITY;\n\
        CREATE POLICY open ON public.a USING (true);\n";
    let taken = "GRANT SELECT ON TABLE public.a TO metrics;\n\
        ALTER TABLE public.a OWNER TO \"odd role\";\n";
    assert_eq!(among(text), taken);
}

#[test]
fn every_role_that_a_statement_names_is_found() {
    for (statement, roles) in [
        ("GRANT SELECT(\"x TO y\") ON TABLE public.\"a TO b\" TO metrics;", &["metrics"][..]),
        (
            "GRANT SELECT ON TABLE a TO \"Odd \"\"role; TO x\" WITH GRANT OPTION;",
            &["Odd \"role; TO x"],
        ),
        ("REVOKE ALL ON FUNCTION f(a integer) FROM PUBLIC;", &[]),
        ("ALTER DEFAULT PRIVILEGES FOR ROLE harbour GRANT ALL ON TYPES  TO m;", &["harbour", "m"]),
        (
            "ALTER DEFAULT PRIVILEGES FOR ROLE harbour REVOKE ALL ON TYPES  FROM PUBLIC;",
            &["harbour"],
        ),
        ("ALTER FUNCTION f(a text) OWNER TO harbour;", &["harbour"]),
        (
            "CREATE POLICY p ON a FOR SELECT TO metrics, \"k, l\" USING ((x SIMILAR TO y));",
            &["k, l", "metrics"],
        ),
        ("ALTER ROLE metrics IN DATABASE src SET work_mem TO '5MB';", &["metrics"]),
        ("SET SESSION AUTHORIZATION 'metrics';", &["metrics"]),
        ("COMMENT ON DATABASE src IS 'TO x';", &[]),
    ] {
        let right = Right::parse(statement).expect(statement);
        let found: Vec<&str> = right.roles.iter().map(String::as_str).collect();
        assert_eq!(found, roles, "{statement}");
    }
    let column = "ALTER TABLE a ALTER COLUMN b SET DEFAULT ' OWNER TO x';";
    assert!(Right::parse(column).is_none());
}

#[test]
fn statement_about_the_database_is_about_the_one_that_was_made() {
    for (statement, about) in [
        ("GRANT CONNECT ON DATABASE src TO m;", "GRANT CONNECT ON DATABASE \"to\" TO m;"),
        ("ALTER DATABASE \"s; c\" OWNER TO m;", "ALTER DATABASE \"to\" OWNER TO m;"),
        ("COMMENT ON DATABASE src IS 'ON DATABASE src';", {
            "COMMENT ON DATABASE \"to\" IS 'ON DATABASE src';"
        }),
        ("ALTER ROLE m IN DATABASE src SET a TO 'b';", {
            "ALTER ROLE m IN DATABASE \"to\" SET a TO 'b';"
        }),
        ("GRANT SELECT ON TABLE public.database TO m;", {
            "GRANT SELECT ON TABLE public.database TO m;"
        }),
    ] {
        assert_eq!(Right::parse(statement).expect(statement).about("to"), about);
    }
}

#[test]
fn statements_that_say_the_same_of_several_things_are_one() {
    let all = [
        "GRANT SELECT ON TABLE public.a TO m;",
        "GRANT SELECT,INSERT ON TABLE public.b TO m;",
        "GRANT SELECT ON TABLE public.\"c TO\" TO m;",
        "ALTER TABLE public.a OWNER TO k;",
        "ALTER TABLE public.b OWNER TO k;",
        "GRANT CONNECT ON DATABASE d TO m;",
    ];
    assert_eq!(
        merged(&all.map(str::to_owned)),
        [
            "GRANT SELECT ON TABLE public.a, public.\"c TO\" TO m;",
            "GRANT SELECT,INSERT ON TABLE public.b TO m;",
            "ALTER TABLE public.a OWNER TO k;",
            "ALTER TABLE public.b OWNER TO k;",
            "GRANT CONNECT ON DATABASE d TO m;",
        ]
    );
}
