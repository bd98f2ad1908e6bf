//! What waits for what.

use crate::archive::TableShape;

use super::{Board, Wanted, Work};

fn shape(schema: &str, name: &str) -> TableShape {
    TableShape {
        schema: schema.into(),
        name: name.into(),
        columns: Vec::new(),
        unlogged: false,
        condition: None,
        bytes: 0,
    }
}

/// What could be begun now, in order, without anything being ended.
fn begun(board: &Board<'_>) -> Vec<(usize, String)> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut begun = Vec::new();
        let next = || async {
            let nothing = std::future::ready(None);
            tokio::select! { biased; next = board.next() => next, none = nothing => none }
        };
        while let Some((number, work)) = next().await {
            begun.push((number, told(work)));
        }
        begun
    })
}

fn told(work: Work<'_>) -> String {
    match work {
        Work::Rows(place) => format!("rows {place}"),
        Work::Statements(list) => list.join(" "),
        Work::Analyze(shape) => format!("analyze {}", shape.name),
    }
}

/// Ends one of those, and tells what can be begun then.
fn after(board: &Board<'_>, all: &mut Vec<(usize, String)>, what: &str) -> Vec<String> {
    let at = all.iter().position(|(_, told)| told == what).unwrap();
    board.done(all.remove(at).0);
    let more = begun(board);
    let told = more.iter().map(|(_, told)| told.clone()).collect();
    all.extend(more);
    told
}

const KEY_A: &str = "ALTER TABLE ONLY public.a\n    ADD CONSTRAINT a_pkey PRIMARY KEY (id);";
const KEY_A2: &str = "ALTER TABLE ONLY public.a\n    ADD CONSTRAINT a_x UNIQUE (x, y);";
const INDEX_A: &str = "CREATE INDEX i ON public.a USING btree (x, y);";
const INDEX_B: &str = "CREATE INDEX j ON s.\"Odd \"\"b\" USING btree (x);";
const OVER: &str = "CREATE INDEX k ON s.\"Odd \"\"b\" USING btree (public.f(x));";
const SOME: &str = "CREATE INDEX l ON s.\"Odd \"\"b\" USING btree (x) WHERE x;";
const REST: &str = "ALTER TABLE ONLY public.a\n    ADD CONSTRAINT f FOREIGN KEY (x) REFERENCES b;";

#[test]
fn each_table_goes_its_own_way_and_the_rest_comes_when_all_are_there() {
    let (a, b, c) = (shape("public", "a"), shape("s", "Odd \"b"), shape("public", "c"));
    let wanted = |shape, bytes, load| Wanted { shape, bytes, load, analyze: true };
    let tables = [wanted(&a, 5, true), wanted(&b, 9, true), wanted(&c, 7, false)];
    let text = [OVER, KEY_A, INDEX_A, REST, KEY_A2, SOME, INDEX_B].join("\n");
    let board = Board::new(&tables, (&text, ""));
    let mut all = begun(&board);
    let names: Vec<&str> = all.iter().map(|(_, told)| told.as_str()).collect();
    assert_eq!(names, ["rows 1", "rows 0"]);
    assert_eq!(after(&board, &mut all, "rows 1"), [INDEX_B]);
    let keys = format!("{KEY_A} {KEY_A2}");
    let then = after(&board, &mut all, "rows 0");
    assert_eq!(then, [keys.as_str(), OVER, SOME, "analyze c"]);
    assert_eq!(after(&board, &mut all, &keys), [INDEX_A]);
    assert_eq!(after(&board, &mut all, INDEX_A), ["analyze a"]);
    assert!(after(&board, &mut all, OVER).is_empty());
    assert!(after(&board, &mut all, SOME).is_empty());
    assert_eq!(after(&board, &mut all, INDEX_B), [REST, "analyze Odd \"b"]);
    for what in [REST, "analyze a", "analyze c", "analyze Odd \"b"] {
        assert!(after(&board, &mut all, what).is_empty());
    }
    assert_eq!(board.state().left, 0);
}

#[test]
fn tables_are_looked_at_after_what_says_how() {
    for how in [
        "CREATE STATISTICS s ON x, y FROM public.a;",
        "ALTER INDEX i ALTER COLUMN 1 SET STATISTICS 9;",
    ] {
        let a = shape("public", "a");
        let tables = [Wanted { shape: &a, bytes: 1, load: true, analyze: true }];
        let text = format!("{INDEX_A}\n{how}");
        let board = Board::new(&tables, (&text, ""));
        let mut all = begun(&board);
        assert_eq!(after(&board, &mut all, "rows 0"), [INDEX_A]);
        assert_eq!(after(&board, &mut all, INDEX_A), [how]);
        assert_eq!(after(&board, &mut all, how), ["analyze a"]);
    }
}

#[test]
fn nothing_to_load_is_no_end() {
    let a = shape("public", "a");
    let tables = [Wanted { shape: &a, bytes: 1, load: false, analyze: false }];
    let board = Board::new(&tables, (KEY_A, ""));
    let mut all = begun(&board);
    assert_eq!(all.len(), 1);
    assert_eq!(after(&board, &mut all, KEY_A), [""]);
    assert!(after(&board, &mut all, "").is_empty());
    assert_eq!(board.state().left, 0);
}
