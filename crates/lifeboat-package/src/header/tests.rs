//! What a reader accepts and refuses of a header.

use super::*;

fn header() -> (Header, PackageKey) {
    let key = PackageKey::from_bytes([7; 32]);
    (Header::of(&PackageId::from_bytes([1; 16]), &key), key)
}

fn changed(from: &str, to: &str) -> Result<Header, HeaderError> {
    let text = String::from_utf8(header().0.to_bytes()).unwrap();
    assert!(text.contains(from));
    Header::parse(text.replace(from, to).as_bytes())
}

#[test]
fn a_header_reads_back_and_knows_its_key() {
    let (header, key) = header();
    let read = Header::parse(&header.to_bytes()).unwrap();
    assert_eq!(read, header);
    read.check_key(&key).unwrap();
    assert!(matches!(
        read.check_key(&PackageKey::from_bytes([8; 32])),
        Err(HeaderError::Key { .. })
    ));
}

#[test]
fn higher_minor_versions_and_unknown_keys_are_accepted() {
    assert_eq!(changed(r#""version":"1.0""#, r#""version":"1.7""#).unwrap().version(), "1.7");
    changed(r#""format""#, r#""extra":[1],"format""#).unwrap();
}

#[test]
fn what_a_reader_must_refuse_is_refused_by_name() {
    type Expected = fn(&HeaderError) -> bool;
    let cases: [(&str, &str, Expected); 8] = [
        ("\"1.0\"", "\"2.0\"", |e| matches!(e, HeaderError::Version { .. })),
        ("\"1.0\"", "\"1.00\"", |e| matches!(e, HeaderError::Version { .. })),
        ("\"1.0\"", "\"1\"", |e| matches!(e, HeaderError::Version { .. })),
        ("[]", "[\"new\"]", |e| matches!(e, HeaderError::Critical { found } if found == "new")),
        ("lifeboat-package", "lifeboat", |e| matches!(e, HeaderError::Format { .. })),
        ("tink-aes256", "tink-aes128", |e| matches!(e, HeaderError::Suite { .. })),
        (",\"format\"", ", \"format\"", |e| matches!(e, HeaderError::Canonical(_))),
        ("0101", "0A01", |e| matches!(e, HeaderError::Json(_))),
    ];
    for (from, to, expected) in cases {
        let error = changed(from, to).unwrap_err();
        assert!(expected(&error), "{from} -> {to}: {error}");
    }
    assert!(matches!(Header::parse(&vec![b' '; 70_000]), Err(HeaderError::TooLarge { .. })));
}

#[test]
fn a_major_version_with_another_shape_is_still_named() {
    let other = br#"{"format":"lifeboat-package","version":"2.0"}"#;
    assert!(matches!(Header::parse(other), Err(HeaderError::Version { .. })));
}
