//! The sieve on whole, cut and broken files.

use proptest::prelude::*;

use super::*;
use crate::copy_out::{SIGNATURE, row_of};

type Fields<'a> = Vec<Option<&'a [u8]>>;

fn file(rows: &[Fields<'_>]) -> Vec<u8> {
    let mut bytes = [SIGNATURE.as_slice(), &[0; 8]].concat();
    for row in rows {
        bytes.extend(row_of(row).0);
    }
    bytes.extend((-1_i16).to_be_bytes());
    bytes
}

fn keys(values: &[&str]) -> Keys {
    values.iter().map(|value| Box::from(value.as_bytes())).collect()
}

fn row<'a>(room: Option<&'a str>, event: &'a str) -> Fields<'a> {
    vec![room.map(str::as_bytes), Some(event.as_bytes())]
}

fn three() -> Vec<u8> {
    file(&[row(Some("!a"), "$1"), row(Some("!b"), "$2"), row(None, "$3")])
}

fn sift(tests: Vec<(usize, &Keys)>, copy: &[u8]) -> Result<Sieved, SieveError> {
    Sieve { tests, collects: Some(1), columns: 2 }.sift("public.events", copy)
}

#[test]
fn only_rows_with_a_wanted_value_pass_and_the_file_is_whole() {
    let rooms = keys(&["!b"]);
    let sieved = sift(vec![(0, &rooms)], &three()).unwrap();
    assert_eq!(sieved.copy, file(&[row(Some("!b"), "$2")]));
    assert_eq!((sieved.rows, sieved.kept), (3, 1));
    assert_eq!(sieved.collected, [Box::from(b"$2".as_slice())]);
}

#[test]
fn one_of_several_columns_is_enough() {
    let (rooms, events) = (keys(&["!a"]), keys(&["$3"]));
    let sieved = sift(vec![(0, &rooms), (1, &events)], &three()).unwrap();
    assert_eq!(sieved.copy, file(&[row(Some("!a"), "$1"), row(None, "$3")]));
}

#[test]
fn null_and_the_beginning_of_a_value_are_no_value() {
    let rooms = keys(&["", "!", "!a "]);
    let sieved = sift(vec![(0, &rooms)], &three()).unwrap();
    assert_eq!((sieved.kept, sieved.copy.to_vec()), (0, file(&[])));
}

#[test]
fn what_looks_like_a_value_in_another_column_does_not_pass() {
    let rooms = keys(&["!a"]);
    let copy = file(&[row(Some("!b"), "!a")]);
    assert_eq!(sift(vec![(0, &rooms)], &copy).unwrap().kept, 0);
}

#[test]
fn the_extension_of_a_header_stays() {
    let mut copy = three();
    copy[18] = 3;
    copy.splice(19..19, [1, 2, 3]);
    let rooms = keys(&["!a", "!b"]);
    let sieved = sift(vec![(0, &rooms)], &copy).unwrap();
    assert_eq!(sieved.copy[..22], copy[..22]);
    assert_eq!(sieved.kept, 2);
}

#[test]
fn broken_files_are_refused_with_the_name_of_the_table() {
    let rooms = keys(&["!a"]);
    let whole = three();
    let longer = [whole.as_slice(), &[0]].concat();
    let mut other = whole.clone();
    other[0] ^= 1;
    let narrow = file(&[vec![Some(b"!a".as_slice())]]);
    let cases = [
        (&whole[..whole.len() - 2], "it ended without the end mark"),
        (&whole[..7], "it ended without the end mark"),
        (&longer, "it goes on after the end mark"),
        (&other, "the signature is wrong"),
        (&narrow, "a row has another number of columns than the table"),
    ];
    for (copy, detail) in cases {
        let error = sift(vec![(0, &rooms)], copy).unwrap_err();
        assert_eq!((error.table.as_str(), error.detail), ("public.events", detail));
    }
}

proptest! {
    #[test]
    fn what_is_kept_is_what_was_there_and_nothing_else_in_the_same_order(
        rows in prop::collection::vec((prop::option::of("[ab]{0,2}"), "[ab]{0,2}"), 0..20),
        wanted in prop::collection::vec("[ab]{0,2}", 0..4),
    ) {
        let all: Vec<Fields<'_>> =
            rows.iter().map(|(room, event)| row(room.as_deref(), event)).collect();
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let fits = |fields: &&Fields<'_>| {
            fields[0].is_some_and(|room| wanted.iter().any(|wanted| wanted.as_bytes() == room))
        };
        let expected: Vec<Fields<'_>> = all.iter().filter(fits).cloned().collect();
        let rooms = keys(&wanted);
        let sieved = sift(vec![(0, &rooms)], &file(&all)).unwrap();
        prop_assert_eq!(sieved.copy, file(&expected));
        prop_assert_eq!((sieved.rows, sieved.kept), (all.len() as u64, expected.len() as u64));
    }

    #[test]
    fn any_bytes_are_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let rooms = keys(&["!a"]);
        let behind_a_header = [&three()[..19], &bytes].concat();
        for copy in [bytes, behind_a_header] {
            if let Ok(sieved) = sift(vec![(0, &rooms)], &copy) {
                prop_assert!(sieved.kept <= sieved.rows && sieved.copy.len() <= copy.len());
            }
        }
    }

    #[test]
    fn a_file_cut_anywhere_is_refused(at in 0..1000_usize) {
        let whole = three();
        let rooms = keys(&["!a"]);
        prop_assert!(sift(vec![(0, &rooms)], &whole[..at % whole.len()]).is_err());
    }
}
