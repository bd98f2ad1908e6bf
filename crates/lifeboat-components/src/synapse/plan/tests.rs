//! Plans: nothing is left out, nothing twice.

use proptest::prelude::*;

use super::*;
use crate::postgres::columns::Table;

fn room(id: &str, events: u64) -> RoomSize {
    RoomSize { room_id: id.to_owned(), events }
}

fn holds(range: &KeyRange, key: &str) -> bool {
    range.from.as_deref().is_none_or(|from| key >= from)
        && range.to.as_deref().is_none_or(|to| key < to)
}

#[test]
fn a_server_without_rooms_has_one_open_range() {
    assert_eq!(room_ranges(&[], 2), [(KeyRange::default(), 0)]);
}

#[test]
fn a_large_room_has_a_range_of_its_own() {
    let rooms = [room("!a", 10), room("!b", RANGE_EVENTS.1 * 3), room("!c", 5)];
    let ranges = room_ranges(&rooms, 2);
    assert_eq!(ranges.len(), 3);
    assert_eq!(ranges[1].0, KeyRange { from: Some("!b".to_owned()), to: Some("!c".to_owned()) });
}

#[test]
fn lanes_get_even_ranges_and_no_small_one_is_left_over() {
    let rooms: Vec<RoomSize> = (0..50).map(|n| room(&format!("!{n:02}"), 3_333)).collect();
    for lanes in 2..=4 {
        let weights: Vec<u64> = room_ranges(&rooms, lanes).iter().map(|(_, n)| *n).collect();
        assert_eq!(weights.len(), lanes, "{weights:?}");
        let (least, most) = (weights.iter().min().unwrap(), weights.iter().max().unwrap());
        assert!(most - least <= 2 * 3_333, "{weights:?}");
    }
}

proptest! {
    #[test]
    fn every_key_lies_in_exactly_one_range(
        sizes in proptest::collection::btree_map("![a-z]{1,4}", 0..RANGE_EVENTS.1, 0..60),
        strangers in proptest::collection::vec("[!-~]{0,5}", 0..20),
        lanes in 0_usize..9,
    ) {
        let rooms: Vec<RoomSize> = sizes.iter().map(|(id, events)| room(id, *events)).collect();
        let ranges = room_ranges(&rooms, lanes);
        let keys = sizes.keys().chain(&strangers);
        for key in keys {
            let found = ranges.iter().filter(|(range, _)| holds(range, key)).count();
            prop_assert_eq!(found, 1, "{}", key);
        }
        let weight: u64 = ranges.iter().map(|(_, weight)| weight).sum();
        prop_assert_eq!(weight, sizes.values().sum::<u64>());
    }

    #[test]
    fn media_ranges_cover_every_file(
        files in proptest::collection::btree_map("[a-z]{3,6}", 0_u64..RANGE_MEDIA_BYTES, 1..80),
    ) {
        let mut ranges = MediaRanges::default();
        for (key, bytes) in &files {
            ranges.add(key, *bytes);
        }
        let ranges = ranges.finish();
        for key in files.keys() {
            prop_assert_eq!(ranges.iter().filter(|(range, _)| holds(range, key)).count(), 1);
        }
    }
}

#[test]
fn no_media_means_no_part() {
    assert!(MediaRanges::default().finish().is_empty());
}

fn table(name: &str, bytes: u64, refers_to: &[&str]) -> Table {
    Table {
        name: name.to_owned(),
        columns: Vec::new(),
        rows_estimate: 0,
        bytes,
        pages: bytes / 8192,
        refers_to: refers_to.iter().map(|name| (*name).to_owned()).collect(),
    }
}

#[test]
fn a_table_that_refers_comes_before_the_one_it_refers_to() {
    let big = SLICE_BYTES + 1;
    let layout = Layout::of(vec![
        table("z_parent", big, &[]),
        table("a_parent", big, &["z_parent"]),
        table("m_child", big, &["a_parent", "z_parent"]),
    ]);
    let mut order: Vec<String> = table_parts(&layout)
        .into_iter()
        .filter_map(|(_, work, _)| match work {
            Work::Slice { table, .. } => Some(table),
            _ => None,
        })
        .collect();
    order.dedup();
    assert_eq!(order, ["m_child", "a_parent", "z_parent"]);
}

#[test]
fn slices_follow_each_other_and_the_last_is_open() {
    let layout = Layout::of(vec![table("large", SLICE_BYTES * 5 / 2, &[])]);
    let slices: Vec<(u64, Option<u64>)> = table_parts(&layout)
        .into_iter()
        .filter_map(|(_, work, _)| match work {
            Work::Slice { from_page, to_page, .. } => Some((from_page, to_page)),
            _ => None,
        })
        .collect();
    assert_eq!(slices.first().map(|slice| slice.0), Some(0));
    assert_eq!(slices.last().map(|slice| slice.1), Some(None));
    for pair in slices.windows(2) {
        assert_eq!(pair[0].1, Some(pair[1].0));
    }
}

#[test]
fn a_circle_of_references_is_poured_all_the_same() {
    let layout = Layout::of(vec![table("a", 1, &["b"]), table("b", 1, &["a"])]);
    let names: Vec<String> = table_parts(&layout)
        .into_iter()
        .flat_map(|(_, work, _)| match work {
            Work::Tables(names) => names,
            _ => Vec::new(),
        })
        .collect();
    assert_eq!(names.len(), 2);
}

fn range(from: Option<&str>, to: Option<&str>) -> KeyRange {
    KeyRange { from: from.map(str::to_owned), to: to.map(str::to_owned) }
}

#[test]
fn an_open_range_takes_everything() {
    assert_eq!(range(None, None).condition("c"), "true");
}

#[test]
fn both_ends_are_conditions() {
    let both = range(Some("!a"), Some("!b")).condition("c");
    assert_eq!(both, "c >= '!a' AND c < '!b'");
}

#[test]
fn a_hostile_room_id_stays_a_literal() {
    let hostile = range(Some("!a'; DROP TABLE events; --\\"), None).condition("c");
    assert_eq!(hostile, "c >= '!a''; DROP TABLE events; --\\'");
}

#[test]
fn shelves_begin_with_a_room_and_a_large_room_has_one_for_itself() {
    let room = |(id, events): (&str, u64)| RoomSize { room_id: id.to_owned(), events };
    let few: Vec<_> = [("!a", 900), ("!b", 900)].map(room).into();
    assert_eq!(shelf_cuts(&few), Vec::<String>::new());
    let rooms: Vec<_> = [("!a", 900), ("!b", 9_000), ("!c", 900), ("!d", 900)].map(room).into();
    assert_eq!(shelf_cuts(&rooms), ["!b", "!c"]);
    let many: Vec<_> = (0..1_000).map(|at| room((&format!("!{at:04}"), 100))).collect();
    assert!((20..=30).contains(&shelf_cuts(&many).len()), "{}", shelf_cuts(&many).len());
}
