//! The page of the guide, from the rows.

use std::fmt::Write;

use super::{Row, rows};

/// The page `docs/src/guide/components.md`.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Components\n\n<!-- Made from crates/lifeboat-suite/src/catalogue/rows.rs; see the test \
         `components_page_is_up_to_date`. -->\n\n\
         What a suite consists of, and what is known of each part. *Critical* is what there is no \
         service\nwithout; without a *feature* a part of the service is gone or has to be set up \
         again. Databases that go\n*with accounts* are cut at one moment and restored from one \
         backup only. `lifeboat components` shows\nthe same table, `lifeboat components KIND` one \
         kind.\n\n\
         | order | component | class | of one moment | if leaked |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    for row in in_order() {
        let (order, title, class) = (row.order, row.title, row.class().word());
        let (group, sensitivity) = (row.group.word(), row.sensitivity.word());
        // Writing into a text cannot fail.
        writeln!(page, "| {order} | {title} | {class} | {group} | {sensitivity} |").ok();
    }
    for row in in_order() {
        component(row, &mut page);
    }
    page
}

/// In the order of a restore.
pub(super) fn in_order() -> Vec<&'static Row> {
    let mut all: Vec<&Row> = rows().iter().collect();
    all.sort_by_key(|row| row.order);
    all
}

fn component(row: &Row, page: &mut String) {
    let kind = row.kind;
    let written = if kind.word() == kind.label() {
        format!("`kind: {kind}`")
    } else {
        format!("`kind: {}`, `bridge: {kind}`", kind.word())
    };
    write!(page, "\n## {}\n\n{written}\n\n", row.title).ok();
    page.push_str("| it stores | class | lost without it | who has it, has |\n");
    page.push_str("| --- | --- | --- | --- |\n");
    for store in row.stores {
        let class = store.class.word();
        writeln!(page, "| {} | {class} | {} | {} |", store.what, store.lost, store.attacker).ok();
    }
    list("Useless without", row.needs, page);
    list("After a leak", row.revoke, page);
    list("After a restore", row.after_restore, page);
}

fn list(title: &str, items: &[&str], page: &mut String) {
    write!(page, "\n{title}:\n\n").ok();
    for item in items {
        writeln!(page, "* {item}").ok();
    }
}
