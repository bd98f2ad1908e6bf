//! Each rule is seen to fail on a small made-up tree, and to hold its tongue on a sound one.

use super::tree::Tree;
use super::{Finding, bounds, layering, map, names, pages, source};

type File<'a> = (&'a str, &'a str);

/// Where `rule` finds something in a tree of these files: `path:line`.
fn places(rule: fn(&Tree) -> Vec<Finding>, files: &[File]) -> Vec<String> {
    let findings = rule(&Tree::of(files));
    findings.iter().map(|finding| format!("{}:{}", finding.path, finding.line)).collect()
}

/// `rule` finds exactly `expected` in `bad` and nothing in `good`.
#[track_caller]
fn check(rule: fn(&Tree) -> Vec<Finding>, bad: &[File], expected: &[&str], good: &[File]) {
    assert_eq!(places(rule, bad), expected);
    assert_eq!(places(rule, good), [""; 0]);
}

const PACKAGE: &str = "crates/lifeboat-package/Cargo.toml";
const STORAGE: &str = "crates/lifeboat-storage/Cargo.toml";
const ENGINE: &str = "crates/lifeboat-engine/Cargo.toml";

#[test]
fn dependency_that_points_up_is_found() {
    check(
        layering::layering,
        &[(STORAGE, "[dependencies]\nbytes = \"1\"\nlifeboat-engine.workspace = true\n")],
        &["crates/lifeboat-storage/Cargo.toml:3"],
        &[(ENGINE, "[dependencies]\nlifeboat-storage.workspace = true\n")],
    );
}

#[test]
fn dependency_that_has_its_own_table_is_found() {
    check(
        layering::layering,
        &[(PACKAGE, "[dependencies.lifeboat-engine]\nworkspace = true\n")],
        &["crates/lifeboat-package/Cargo.toml:1"],
        &[(PACKAGE, "[package]\nname = \"lifeboat-package\"\n")],
    );
}

#[test]
fn testing_crate_in_what_ships_is_found() {
    check(
        layering::layering,
        &[(ENGINE, "[dependencies]\nlifeboat-testing = { workspace = true }\n")],
        &["crates/lifeboat-engine/Cargo.toml:2"],
        &[(ENGINE, "[dev-dependencies]\nlifeboat-testing = { workspace = true }\n")],
    );
}

#[test]
fn crate_without_a_layer_is_found() {
    check(
        layering::layering,
        &[("crates/lifeboat-annex/Cargo.toml", "[dependencies]\n")],
        &["crates/lifeboat-annex/Cargo.toml:0"],
        &[("xtask/Cargo.toml", "[dependencies]\nlifeboat-testing.workspace = true\n")],
    );
}

#[test]
fn owned_dependency_in_another_crate_is_found() {
    check(
        layering::owned_dependencies,
        &[(ENGINE, "[dependencies]\nobject_store.workspace = true\n")],
        &["crates/lifeboat-engine/Cargo.toml:2"],
        &[
            (STORAGE, "[dependencies]\nobject_store.workspace = true\n"),
            (ENGINE, "[dev-dependencies]\ntokio-postgres.workspace = true\n"),
        ],
    );
}

#[test]
fn runtime_in_a_pure_crate_is_found() {
    check(
        layering::purity,
        &[(PACKAGE, "[dependencies]\nserde.workspace = true\ntokio.workspace = true\n")],
        &["crates/lifeboat-package/Cargo.toml:3"],
        &[(
            PACKAGE,
            "[dependencies]\nserde.workspace = true\n[dev-dependencies]\nproptest = \"1\"",
        )],
    );
}

#[test]
fn ambient_word_in_a_pure_crate_is_found() {
    let manifest = (PACKAGE, "[dependencies]\n");
    check(
        layering::purity,
        &[manifest, ("crates/lifeboat-package/src/seal.rs", "//! x\n\nuse std::fs::File;\n")],
        &["crates/lifeboat-package/src/seal.rs:3"],
        &[
            manifest,
            ("crates/lifeboat-package/src/seal.rs", "//! Never std::fs.\nuse std::io::Read;\n"),
            ("crates/lifeboat-package/src/seal/tests.rs", "//! x\nuse std::fs;\n"),
        ],
    );
}

#[test]
fn long_files_are_found_by_kind() {
    let lines = |count: usize| "//! x\n".repeat(count);
    let (l150, l151, l600, l601) = (lines(150), lines(151), lines(600), lines(601));
    let (l800, l801) = (lines(800), lines(801));
    check(
        bounds::file_size,
        &[
            ("crates/a/src/lib.rs", &l151),
            ("crates/a/src/part.rs", &l601),
            ("crates/a/src/part/tests.rs", &l801),
        ],
        &["crates/a/src/lib.rs:0", "crates/a/src/part.rs:0", "crates/a/src/part/tests.rs:0"],
        &[
            ("crates/a/src/lib.rs", &l150),
            ("crates/a/src/part.rs", &l600),
            ("crates/a/tests/it/main.rs", &l800),
        ],
    );
}

#[test]
fn large_crate_is_found() {
    let half = "//! x\n".repeat(5_001);
    let manifest = ("crates/a/Cargo.toml", "");
    check(
        bounds::crate_size,
        &[manifest, ("crates/a/src/one.rs", &half), ("crates/a/src/two.rs", &half)],
        &["crates/a:0"],
        &[manifest, ("crates/a/src/one.rs", &half), ("crates/a/tests/it/two.rs", &half)],
    );
}

#[test]
fn deep_folder_is_found() {
    check(
        bounds::folder_depth,
        &[("crates/a/src/one/two/three/four.rs", "")],
        &["crates/a/src/one/two/three/four.rs:0"],
        &[("crates/a/src/one/two/three.rs", "")],
    );
}

#[test]
fn wide_line_is_found_also_in_python() {
    let (wide, full) = ("x".repeat(101), "ü".repeat(100));
    let link = format!("// https://example.org/{wide}");
    check(
        bounds::line_width,
        &[("a.rs", &format!("ok\n{wide}")), ("b.py", &wide)],
        &["a.rs:2", "b.py:1"],
        &[("a.rs", &full), ("b.rs", &link), ("c.md", &wide)],
    );
}

#[test]
fn empty_words_in_file_names_are_found() {
    check(
        names::file_names,
        &[
            ("crates/a/src/string_utils.rs", ""),
            ("crates/a/src/core/part.rs", ""),
            ("crates/a/src/new_reader.rs", ""),
            ("crates/a/tests/it/seal-v2.rs", ""),
        ],
        &[
            "crates/a/src/core/part.rs:0",
            "crates/a/src/new_reader.rs:0",
            "crates/a/src/string_utils.rs:0",
            "crates/a/tests/it/seal-v2.rs:0",
        ],
        &[
            ("crates/a/src/database.rs", ""),
            ("crates/a/src/account_data.rs", ""),
            ("crates/a/src/renewal.rs", ""),
            ("docs/src/base.md", ""),
        ],
    );
}

#[test]
fn empty_words_in_item_names_are_found() {
    let bad =
        "//! x\npub struct RoomManager;\npub(crate) enum Info {\ntrait PackV2 {}\nmod helpers;";
    let good = "//! x\npub struct AccountData;\nenum OldSigningKey {}\nlet info = 1;\n\
                // struct Util\nmod database;\ntype Newest = u8;";
    check(
        names::item_names,
        &[("a.rs", bad)],
        &["a.rs:2", "a.rs:3", "a.rs:4", "a.rs:5"],
        &[("a.rs", good)],
    );
}

#[test]
fn module_file_without_a_name_is_found() {
    check(
        names::module_files,
        &[("crates/a/src/part/mod.rs", "")],
        &["crates/a/src/part/mod.rs:0"],
        &[("crates/a/src/part.rs", "")],
    );
}

#[test]
fn file_without_opening_words_is_found() {
    check(
        source::opening_words,
        &[("a.rs", "use std::io;\n//! late\n")],
        &["a.rs:1"],
        &[("a.rs", "//! What and why.\n")],
    );
}

#[test]
fn unwrap_that_ships_is_found() {
    check(
        source::no_unwrap,
        &[("crates/a/src/part.rs", "//! x\nlet x = y.unwrap();\n")],
        &["crates/a/src/part.rs:2"],
        &[
            ("crates/a/src/part.rs", "//! x\n/// Unlike `.unwrap()`.\nlet x = y.unwrap_or(1);\n"),
            ("crates/a/tests/it/main.rs", "//! x\nlet x = y.unwrap();\n"),
            ("crates/a/src/part/tests.rs", "//! x\nlet x = y.unwrap();\n"),
        ],
    );
}

#[test]
fn unfinished_work_is_found() {
    check(
        source::no_debt,
        &[("crates/a/tests/it/main.rs", "//! x\nfn a() { todo!() }\n// FIXME later\n")],
        &["crates/a/tests/it/main.rs:2", "crates/a/tests/it/main.rs:3"],
        &[("crates/a/src/lib.rs", "//! x\nlet todos = 1;\n")],
    );
}

#[test]
fn ignored_test_is_found() {
    check(
        source::no_ignored_test,
        &[("a.rs", "//! x\n#[test]\n#[ignore]\n"), ("b.rs", "#[ignore = \"slow\"]")],
        &["a.rs:3", "b.rs:1"],
        &[("a.rs", "//! x\n#[test]\n")],
    );
}

#[test]
fn sleep_in_a_test_is_found() {
    let sleep = "//! x\nstd::thread::sleep(second);\n";
    check(
        source::no_sleep_in_tests,
        &[("crates/a/tests/it/main.rs", sleep)],
        &["crates/a/tests/it/main.rs:2"],
        &[("crates/lifeboat-testing/src/wait.rs", sleep)],
    );
}

#[test]
fn tests_inside_of_a_file_are_found() {
    check(
        source::tests_apart,
        &[("a.rs", "//! x\n#[cfg(test)]\nmod tests {\n")],
        &["a.rs:3"],
        &[("a.rs", "//! x\n#[cfg(test)]\nmod tests;\n")],
    );
}

#[test]
fn table_name_away_from_home_is_found() {
    let names = "//! x\nconst T: &str = \"e2e_one_time_keys_json\";\n";
    check(
        source::table_names_at_home,
        &[("crates/lifeboat-engine/src/import.rs", names)],
        &["crates/lifeboat-engine/src/import.rs:2"],
        &[
            ("crates/lifeboat-components/src/synapse/catalogue.rs", names),
            ("crates/lifeboat-components/src/synapse.rs", names),
            ("crates/lifeboat-engine/src/import/tests.rs", names),
            ("crates/lifeboat/tests/it/main.rs", names),
            ("crates/lifeboat-engine/src/export.rs", "//! x\nlet event_json_text = 1;\n"),
        ],
    );
}

#[test]
fn path_of_one_machine_is_found() {
    check(
        source::no_machine_paths,
        &[
            ("docs/src/a.md", concat!("see\n/ro", "ot/notes\n")),
            ("README.md", concat!("see ../sha", "red/tools")),
        ],
        &["README.md:1", "docs/src/a.md:2"],
        &[("README.md", "/usr/lib/postgresql and /etc/matrix-synapse")],
    );
}

#[test]
fn long_map_is_found() {
    let (long, full) = ("line\n".repeat(201), "line\n".repeat(200));
    check(
        map::map_size,
        &[("ARCHITECTURE.md", &long)],
        &["ARCHITECTURE.md:0"],
        &[("ARCHITECTURE.md", &full)],
    );
}

const LAND: [File; 4] = [
    ("crates/a/Cargo.toml", ""),
    ("crates/a/src/lib.rs", ""),
    ("crates/a/src/seal.rs", ""),
    ("crates/a/src/seal/nonce.rs", ""),
];

#[test]
fn crate_and_module_that_the_map_forgets_are_found() {
    let land = |map: &'static str| [LAND.to_vec(), vec![("ARCHITECTURE.md", map)]].concat();
    let forgets_crate = land("# Map\n`seal.rs`\n");
    let forgets_module = land("### `a`\n\nNothing.\n### Other\n`seal.rs`\n");
    let whole = land("### `a`, the first\n`seal.rs` seals.\n");
    check(map::map_names_all, &forgets_crate, &["ARCHITECTURE.md:0"], &whole);
    check(map::map_names_all, &forgets_module, &["ARCHITECTURE.md:0"], &whole);
}

#[test]
fn crate_and_module_that_are_gone_are_found() {
    let land = |map: &'static str| [LAND.to_vec(), vec![("ARCHITECTURE.md", map)]].concat();
    let ghosts = land("### `a`\n`seal.rs`\n`gone.rs`\n### `b`\n");
    let whole = land("### `a`\n`lib.rs` `seal.rs` `seal/nonce.rs`\n## Next\n`gone.rs`\n");
    let expected = ["ARCHITECTURE.md:3", "ARCHITECTURE.md:0"];
    check(map::map_names_no_ghosts, &ghosts, &expected, &whole);
}

#[test]
fn missing_root_file_is_found() {
    let files = pages::root_files(&Tree::of(&[]));
    let whole: Vec<File> = files.iter().map(|finding| (finding.path.as_str(), "")).collect();
    assert_eq!(places(pages::root_files, &whole[1..]), [format!("{}:0", whole[0].0)]);
    assert_eq!(places(pages::root_files, &whole), [""; 0]);
}

#[test]
fn link_that_leads_nowhere_is_found() {
    check(
        pages::links,
        &[("docs/src/guide/a.md", "x\n[y](../gone.md) [z](../../../../etc/passwd)\n")],
        &["docs/src/guide/a.md:2", "docs/src/guide/a.md:2"],
        &[
            ("docs/src/guide/a.md", "[b](b.md#part) [f](../format.md) [h](https://x.y) [g](.)\n"),
            ("docs/src/guide/b.md", "```\n[not](a link)\n```\n[here](#part)\n"),
            ("docs/src/format.md", ""),
        ],
    );
}

#[test]
fn page_outside_of_the_table_of_contents_is_found() {
    let page = ("docs/src/guide/a.md", "");
    check(
        pages::summary,
        &[("docs/src/SUMMARY.md", "- [B](b.md)\n"), page],
        &["docs/src/SUMMARY.md:0"],
        &[("docs/src/SUMMARY.md", "- [A](guide/a.md)\n"), page],
    );
}

#[test]
fn generated_page_that_is_missing_or_silent_is_found() {
    let made = "# A page\n\n<!-- Made from what a program knows. -->\n";
    let good = [
        ("docs/src/guide/components.md", made),
        ("docs/src/reference/lifeboat-yaml.md", made),
        ("docs/src/reference/synapse-tables.md", made),
    ];
    let [first, second, (path, _)] = good;
    let place = "docs/src/reference/synapse-tables.md:0";
    check(pages::generated_pages, &[first, second], &[place], &good);
    check(pages::generated_pages, &[first, second, (path, "# Tables\n")], &[place], &good);
}
