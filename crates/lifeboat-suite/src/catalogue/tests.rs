//! The catalogue is whole, and its page is fresh.

use std::path::Path;

use super::*;

#[test]
fn every_kind_has_its_row() {
    let kinds: Vec<Kind> = rows().iter().map(|row| row.kind).collect();
    assert_eq!(kinds, Kind::ALL);
    for row in rows() {
        assert!(!row.stores.is_empty() && !row.needs.is_empty(), "{}", row.kind);
        assert!(!row.revoke.is_empty() && !row.after_restore.is_empty(), "{}", row.kind);
        assert_eq!(super::row(row.kind), row);
    }
}

#[test]
fn accounts_are_critical_and_come_first() {
    for row in rows() {
        let of_accounts = matches!(row.kind, Kind::Synapse | Kind::Mas);
        assert_eq!(row.group == Group::Accounts, of_accounts, "{}", row.kind);
        assert_eq!(row.class() == Class::Critical, of_accounts, "{}", row.kind);
        assert_eq!(row.order <= 2, of_accounts, "{}", row.kind);
    }
}

#[test]
fn components_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/guide/components.md");
    lifeboat_testing::page::assert_fresh(&path, &markdown());
}
