//! Names: which are allowed, and that they read back.

use super::*;

#[test]
fn entry_paths_allow_exactly_what_the_format_says() {
    let long = "a".repeat(100);
    for path in ["a", "rooms/000001-1/events.0001.jsonl.zst", "a/b-c_d.e", ".a", "a..b", &long] {
        assert!(EntryPath::parse(path).is_ok(), "{path}");
    }
    let longer = "a".repeat(101);
    for path in
        ["", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "A", "a b", "ä", "a\0", &longer]
    {
        assert!(EntryPath::parse(path).is_err(), "{path}");
    }
}

#[test]
fn package_ids_are_lower_case_hexadecimal() {
    let text = "00112233445566778899aabbccddeeff";
    assert_eq!(PackageId::parse(text).unwrap().to_string(), text);
    for text in ["", "0011", "00112233445566778899AABBCCDDEEFF", "0x112233445566778899aabbccddeeff"]
    {
        assert!(PackageId::parse(text).is_err(), "{text}");
    }
}

#[test]
fn parts_have_one_text_form() {
    let part: PartPath = "rooms/000012-1".parse().unwrap();
    assert_eq!(part, PartPath { section: Section::Rooms, number: 12, run: 1 });
    assert_eq!(part.to_string(), "rooms/000012-1");
    assert_eq!("media/1000000-12".parse::<PartPath>().unwrap().number, 1_000_000);
    for text in ["rooms/12-1", "rooms/000012", "room/000012-1", "rooms/000012-01", "rooms/+00012-1"]
    {
        assert!(text.parse::<PartPath>().is_err(), "{text}");
    }
}

#[test]
fn record_entries_read_back() {
    let part: PartPath = "users/000001-2".parse().unwrap();
    let path = part.entry("account_data", 12).unwrap();
    assert_eq!(path.as_str(), "users/000001-2/account_data.0012.jsonl.zst");
    assert_eq!(path.record(), Some((part, "account_data", 12)));
    assert!(part.entry("Bad", 1).is_err());
    assert!(part.entry("a", 0).is_err());
    assert!(part.entry(&"a".repeat(65), 1).is_err());
    for path in
        ["index.jsonl.zst", "rooms/000001-1/a.1.jsonl.zst", "rooms/000001-1/a.0000.jsonl.zst"]
    {
        assert_eq!(EntryPath::parse(path).unwrap().record(), None, "{path}");
    }
}

#[test]
fn blobs_read_back() {
    let sum = [0xab; 32];
    let whole = blob_path(&sum, None);
    assert_eq!(whole.as_str(), format!("media/sha256/ab/{}", "ab".repeat(32)));
    assert_eq!(whole.blob(), Some((sum, None)));
    assert_eq!(blob_path(&sum, Some(12345)).blob(), Some((sum, Some(12345))));
    assert!(blob_path(&sum, Some(1)).as_str().ends_with(".0001"));
    for path in [
        format!("media/sha256/ac/{}", "ab".repeat(32)),
        format!("media/sha256/ab/{}.0000", "ab".repeat(32)),
        format!("media/sha256/ab/{}.1", "ab".repeat(32)),
        "media/sha256/ab/abab".to_owned(),
    ] {
        assert_eq!(EntryPath::parse(&path).unwrap().blob(), None, "{path}");
    }
}

#[test]
fn volumes_are_numbered_with_six_digits() {
    assert_eq!(volume_name(1), "volumes/000001.vol");
    assert_eq!(parse_volume_name("volumes/000345.vol"), Some(345));
    for name in ["volumes/1.vol", "volumes/000000.vol", "volumes/000001.volx", "000001.vol"] {
        assert_eq!(parse_volume_name(name), None, "{name}");
    }
}
