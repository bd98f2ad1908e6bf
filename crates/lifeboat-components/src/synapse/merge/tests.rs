//! What is brought along against what the catalogue says.

use lifeboat_package::id::Section;

use super::aliases;
use super::insert::fresh;
use super::rooms::TABLES;
use crate::synapse::catalogue::{Catalogue, Import};

#[test]
fn every_column_that_the_catalogue_remaps_has_a_rule() {
    for table in Catalogue::known().tables() {
        let Import::Remap(columns) = &table.import else { continue };
        if !matches!(table.section, Section::Rooms | Section::Users | Section::Media) {
            continue;
        }
        for column in columns {
            assert!(fresh(table.name, column).is_some(), "{}.{column}", table.name);
        }
    }
}

#[test]
fn columns_that_are_copied_have_none() {
    assert_eq!(fresh("events", "depth"), None);
    assert_eq!(fresh("event_json", "json"), None);
    assert_eq!(fresh("no_such_table", "stream_id"), None);
}

#[test]
fn every_table_of_a_room_that_the_catalogue_brings_along_is_in_the_order() {
    for table in Catalogue::known().tables().filter(|table| table.section == Section::Rooms) {
        if matches!(table.import, Import::Copy | Import::Remap(_)) {
            let ours = [&TABLES[..], &[aliases::TABLE, aliases::SERVERS]].concat();
            assert!(ours.contains(&table.name), "{}", table.name);
        }
    }
}

#[test]
fn order_has_nothing_that_the_catalogue_leaves_out() {
    for name in TABLES {
        let table = Catalogue::known().get(name).expect("a known table");
        assert!(matches!(table.import, Import::Copy | Import::Remap(_)), "{name}");
    }
}
