//! The binary COPY parser on whole, cut and broken streams.

use super::*;

fn header() -> Vec<u8> {
    [SIGNATURE.as_slice(), &[0; 8]].concat()
}

/// A row of two fields: an int4 and a null.
fn row() -> Vec<u8> {
    [&[0, 2][..], &4_i32.to_be_bytes(), &7_i32.to_be_bytes(), &(-1_i32).to_be_bytes()].concat()
}

fn check(bytes: &[u8], begun: bool) -> (Result<Parsed, &'static str>, Vec<Option<Range<usize>>>) {
    let (mut begun, mut fields) = (begun, Vec::new());
    (parse(bytes, &mut begun, &mut fields), fields)
}

#[test]
fn the_header_is_skipped_once() {
    assert_eq!(check(&header(), false).0, Ok(Parsed::Skip(19)));
}

#[test]
fn a_header_extension_is_skipped_too() {
    let mut bytes = header();
    bytes[18] = 3;
    assert_eq!(check(&bytes, false).0, Ok(Parsed::More));
    bytes.extend([1, 2, 3]);
    assert_eq!(check(&bytes, false).0, Ok(Parsed::Skip(22)));
}

#[test]
fn another_signature_is_refused() {
    let mut bytes = header();
    bytes[3] ^= 1;
    assert_eq!(check(&bytes, false).0, Err("the signature is wrong"));
}

#[test]
fn a_row_gives_its_fields_and_null() {
    let (parsed, fields) = check(&row(), true);
    assert_eq!(parsed, Ok(Parsed::Row(14)));
    assert_eq!(fields, [Some(6..10), None]);
}

#[test]
fn a_row_cut_at_any_byte_wants_more() {
    let bytes = row();
    for length in 0..bytes.len() {
        assert_eq!(check(&bytes[..length], true).0, Ok(Parsed::More), "cut at {length}");
    }
}

#[test]
fn minus_one_fields_is_the_end() {
    assert_eq!(check(&(-1_i16).to_be_bytes(), true).0, Ok(Parsed::End));
}

#[test]
fn negative_counts_and_lengths_are_refused() {
    assert!(check(&(-2_i16).to_be_bytes(), true).0.is_err());
    let bytes = [&[0, 1][..], &(-2_i32).to_be_bytes()].concat();
    assert!(check(&bytes, true).0.is_err());
    let bytes = [&[0, 1][..], &i32::MAX.to_be_bytes()].concat();
    assert_eq!(check(&bytes, true).0, Err("a field is longer than PostgreSQL allows"));
}
