//! Volumes: what is packed comes out again, and nothing else does.

use lifeboat_package::container::{END, header, padding};
use lifeboat_package::digest::Digest;
use lifeboat_package::flow::BlobPiece;
use lifeboat_package::frame::{Count, compress};
use lifeboat_package::id::{EntryPath, PackageId, blob_path};
use lifeboat_package::index::{INDEX_PATH, IndexError};
use lifeboat_package::key::PackageKey;
use lifeboat_package::limits::VOLUME_ENTRIES;
use lifeboat_package::manifest::Volume;
use lifeboat_package::pack::VolumePacker;
use lifeboat_package::seal::{FreshSeal, HEAD, RangeKey, SealedRange, seal_bytes};
use lifeboat_package::unpack::{Entry, UnpackError, VolumeCheck, VolumeUnpacker};
use proptest::prelude::*;

use crate::sealing::pieces;

const FRESH: FreshSeal = FreshSeal { salt: [5; 32], prefix: [6; 7] };

fn secrets() -> (PackageKey, PackageId) {
    (PackageKey::from_bytes([1; 32]), PackageId::from_bytes([2; 16]))
}

fn path(text: &str) -> EntryPath {
    EntryPath::parse(text).unwrap()
}

fn pack(number: u32, entries: &[(EntryPath, Vec<u8>, Count)]) -> (Vec<u8>, Volume) {
    let (key, package) = secrets();
    let mut sealed = Vec::new();
    let mut packer = VolumePacker::begin(&key, &package, number, &FRESH, &mut sealed);
    for (path, bytes, count) in entries {
        packer.add(path, bytes, *count, &mut sealed).unwrap();
    }
    let volume = packer.finish(&mut sealed).unwrap();
    (sealed, volume)
}

fn unpack(number: u32, sealed: &[u8]) -> Result<(Vec<Entry>, VolumeCheck), UnpackError> {
    let (key, package) = secrets();
    let mut unpacker = VolumeUnpacker::begin(&key, &package, number);
    let mut entries = Vec::new();
    unpacker.feed(sealed, &mut entries)?;
    let check = unpacker.finish(&mut entries)?;
    Ok((entries, check))
}

fn small() -> Vec<(EntryPath, Vec<u8>, Count)> {
    let lines = b"{\"event_id\":\"$a\"}\n{\"event_id\":\"$b\"}\n";
    let frame = compress(lines, 3).unwrap();
    let blob = blob_path(Digest::of(b"picture").as_bytes(), None);
    vec![
        (path("rooms/000001-1/events.0001.jsonl.zst"), frame, Count::of(lines)),
        (blob, b"picture".to_vec(), Count::default()),
        (path("empty"), Vec::new(), Count::default()),
    ]
}

#[test]
fn entries_come_out_as_they_went_in() {
    let (sealed, volume) = pack(1, &small());
    let (entries, check) = unpack(1, &sealed).unwrap();
    assert_eq!(check.volume, volume);
    assert_eq!(entries[0].content, b"{\"event_id\":\"$a\"}\n{\"event_id\":\"$b\"}\n");
    assert_eq!(entries[0].count, Count { records: 2, raw: 36 });
    assert_eq!(entries[1].content, b"picture");
    assert_eq!(entries[1].path.blob().unwrap().0, *Digest::of(b"picture").as_bytes());
    assert_eq!(entries[2].content, b"");
    assert_eq!(entries.len(), 3);
}

#[test]
fn blobs_and_their_pieces_are_named_by_the_sum_of_the_whole() {
    let (key, package) = secrets();
    let mut sealed = Vec::new();
    let mut packer = VolumePacker::begin(&key, &package, 1, &FRESH, &mut sealed);
    let whole = *Digest::of(b"whole").as_bytes();
    for (sha256, piece, bytes) in
        [(whole, None, "whole"), ([7; 32], Some(1), "a"), ([7; 32], Some(2), "b")]
    {
        let blob = BlobPiece { sha256, piece, bytes: bytes.into() };
        packer.add_blob(&blob, &mut sealed).unwrap();
        assert!(packer.add_blob(&blob, &mut sealed).is_err());
    }
    let volume = packer.finish(&mut sealed).unwrap();
    let (entries, check) = unpack(1, &sealed).unwrap();
    assert_eq!(check.volume, volume);
    let found: Vec<_> = entries.iter().map(|entry| entry.path.blob().unwrap()).collect();
    assert_eq!(found, [(whole, None), ([7; 32], Some(1)), ([7; 32], Some(2))]);
}

#[test]
fn a_volume_without_entries_is_a_volume() {
    let (sealed, volume) = pack(7, &[]);
    let (entries, check) = unpack(7, &sealed).unwrap();
    assert!(entries.is_empty());
    assert_eq!(check.volume, volume);
}

#[test]
fn one_entry_is_read_by_range() {
    let mut entries = small();
    entries.insert(0, (path("large"), vec![7; 5 << 20], Count::default()));
    let (sealed, volume) = pack(1, &entries);
    let (key, package) = secrets();
    let range_key = RangeKey::new(&key, &package, &volume.name, &sealed[..HEAD]).unwrap();
    let read = |offset, length| {
        let range = SealedRange::of(volume.size, offset, length).unwrap();
        let bytes = range.bytes();
        let bytes = usize::try_from(bytes.start).unwrap()..usize::try_from(bytes.end).unwrap();
        range.open(&range_key, &sealed[bytes]).unwrap()
    };
    let index = read(volume.index.offset, volume.index.length);
    assert_eq!(Digest::of(&index), volume.index.sha256);
    let records = lifeboat_package::index::IndexRecords::parse(&index).unwrap();
    let records: Vec<_> = records.collect::<Result<_, _>>().unwrap();
    assert_eq!(records.len(), entries.len());
    for (record, (path, stored, count)) in records.iter().zip(&entries) {
        assert_eq!(&record.path, path);
        let stored_again = read(record.offset, record.length);
        assert!(stored_again == *stored);
        let content = record.verify(stored_again).unwrap();
        let expected = if path.is_record() { count.raw } else { stored.len() as u64 };
        assert_eq!(content.len() as u64, expected);
        let mut wrong = record.clone();
        wrong.raw += 1;
        assert!(wrong.verify(stored.clone()).is_err());
        assert!(record.verify([stored.as_slice(), b"x"].concat()).is_err());
        let mut flipped = stored.clone();
        if let Some(last) = flipped.last_mut() {
            *last ^= 1;
            assert!(record.verify(flipped).is_err(), "{path}");
        }
    }
}

#[test]
fn every_flipped_bit_of_a_volume_is_found() {
    let (sealed, _) = pack(1, &small());
    for bit in 0..sealed.len() * 8 {
        let mut damaged = sealed.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(unpack(1, &damaged).is_err(), "bit {bit}");
    }
}

#[test]
fn every_truncation_of_a_volume_is_found() {
    let (sealed, _) = pack(1, &small());
    for length in 0..sealed.len() {
        assert!(unpack(1, &sealed[..length]).is_err(), "length {length}");
    }
    assert!(unpack(1, &[sealed.as_slice(), b"\0"].concat()).is_err());
}

#[test]
fn a_renamed_volume_is_found() {
    let (sealed, _) = pack(1, &small());
    assert!(matches!(unpack(2, &sealed), Err(UnpackError::Seal { .. })));
}

#[test]
fn no_entry_leaves_a_damaged_segment() {
    let entries = vec![
        (path("first"), vec![1; 600_000], Count::default()),
        (path("second"), vec![2; 2 << 20], Count::default()),
    ];
    let (mut sealed, _) = pack(1, &entries);
    sealed[1_000_000] ^= 1;
    let (key, package) = secrets();
    let mut unpacker = VolumeUnpacker::begin(&key, &package, 1);
    let mut out = Vec::new();
    assert!(unpacker.feed(&sealed, &mut out).is_err());
    assert!(out.is_empty());
    assert!(unpacker.finish(&mut out).is_err());
}

/// An archive of these members, as an attacker with the key would make it.
fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, content) in members {
        bytes.extend_from_slice(&header(name, content.len() as u64).unwrap());
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len() + padding(content.len() as u64), 0);
    }
    bytes.extend_from_slice(&END);
    bytes
}

fn index_line(path: &str, offset: u64, content: &[u8], (records, raw): (u64, u64)) -> String {
    let (length, sha256) = (content.len(), Digest::of(content));
    format!(
        "{{\"path\":\"{path}\",\"offset\":{offset},\"length\":{length},\"sha256\":\"{sha256}\",\
         \"records\":{records},\"raw\":{raw}}}\n"
    )
}

fn refused(archive: &[u8], expected: &str) {
    let (key, package) = secrets();
    let sealed = seal_bytes(&key, &package, "volumes/000001.vol", &FRESH, archive);
    let error = unpack(1, &sealed).map(drop).unwrap_err();
    assert!(format!("{error} / {error:?}").contains(expected), "{expected}: {error:?}");
}

#[test]
fn archives_that_break_the_format_are_refused() {
    let good_index = compress(index_line("a", 512, b"x", (0, 0)).as_bytes(), 3).unwrap();
    let good = archive(&[("a", b"x"), (INDEX_PATH, &good_index)]);
    let (key, package) = secrets();
    let sealed = seal_bytes(&key, &package, "volumes/000001.vol", &FRESH, &good);
    assert!(unpack(1, &sealed).is_ok());

    refused(&archive(&[("a", b"x")]), "no index");
    refused(&archive(&[("a", b"x"), ("a", b"x"), (INDEX_PATH, &good_index)]), "twice");
    refused(&archive(&[(INDEX_PATH, &good_index), ("a", b"x")]), "behind the index");
    refused(&archive(&[("../a", b"x"), (INDEX_PATH, &good_index)]), "path is not allowed");
    refused(&archive(&[("/a", b"x"), (INDEX_PATH, &good_index)]), "path is not allowed");
    refused(&good[..good.len() - 1], "too early");
    refused(&good[..good.len() - 512], "too early");
    refused(&[good.as_slice(), &[0]].concat(), "behind its end");
    refused(&END, "no index");
    let mut padding = good.clone();
    padding[512 + 5] = 1;
    refused(&padding, "padding");
    let mut link = good.clone();
    link[156] = b'2';
    refused(&link, "header");
    let mut large = good.clone();
    large[..512].copy_from_slice(&header("a", (16 << 20) + 1).unwrap());
    refused(&large, "larger than allowed");
    let bomb = compress(&vec![b'\n'; (16 << 20) + 1], 3).unwrap();
    refused(&archive(&[("rooms/000001-1/a.0001.jsonl.zst", &bomb)]), "TooLarge");
    let name = format!("media/sha256/00/{}", "0".repeat(64));
    refused(&archive(&[(&name, b"x")]), "sum in the name");
}

#[test]
fn an_index_that_does_not_agree_is_refused() {
    let frame = compress(b"{}\n{}\n", 3).unwrap();
    let entry = "rooms/000001-1/a.0001.jsonl.zst";
    let with = |index: &str| {
        let index = compress(index.as_bytes(), 3).unwrap();
        archive(&[(entry, &frame), (INDEX_PATH, &index)])
    };
    let right = index_line(entry, 512, &frame, (2, 6));
    let (key, package) = secrets();
    let sealed = seal_bytes(&key, &package, "volumes/000001.vol", &FRESH, &with(&right));
    assert!(unpack(1, &sealed).is_ok());
    for wrong in [
        String::new(),
        format!("{right}{right}"),
        index_line("b", 512, &frame, (2, 6)),
        index_line(entry, 513, &frame, (2, 6)),
        index_line(entry, 512, b"other", (2, 6)),
        index_line(entry, 512, &frame, (3, 6)),
        index_line(entry, 512, &frame, (2, 7)),
    ] {
        refused(&with(&wrong), "does not agree");
    }
    refused(&with("{}\n"), "line: 1");
    refused(&with(right.trim_end()), "Unended");
    let bomb = compress(&vec![b'\n'; (64 << 20) + 1], 3).unwrap();
    refused(&archive(&[(entry, &frame), (INDEX_PATH, &bomb)]), "TooLarge");
}

#[test]
fn a_volume_with_too_many_entries_is_refused() {
    let names: Vec<String> = (0..=VOLUME_ENTRIES).map(|at| at.to_string()).collect();
    let members: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    refused(&archive(&members), "more entries than allowed");
    let lines: String = names.iter().map(|name| index_line(name, 0, b"", (0, 0))).collect();
    let index = compress(lines.as_bytes(), 1).unwrap();
    let mut records = lifeboat_package::index::IndexRecords::parse(&index).unwrap();
    assert_eq!(records.by_ref().take(VOLUME_ENTRIES).flatten().count(), VOLUME_ENTRIES);
    assert!(matches!(records.next(), Some(Err(IndexError::TooMany))));
    assert!(records.next().is_none());
    refused(&archive(&[(INDEX_PATH, &index)]), "does not agree");
}

fn any_entry() -> impl Strategy<Value = (Vec<u8>, bool)> {
    let size = prop_oneof![4 => 0_usize..2_000, 1 => 0_usize..1_500_000];
    (size, any::<u8>(), any::<bool>()).prop_map(|(size, seed, is_record)| {
        let byte = |at: usize| seed.wrapping_add(u8::try_from(at % 253).unwrap());
        ((0..size).map(byte).collect(), is_record)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_entries_come_out_whatever_the_pieces(
        contents in prop::collection::vec(any_entry(), 0..12),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut expected = Vec::new();
        let entries: Vec<_> = contents.into_iter().enumerate().map(|(at, (bytes, is_record))| {
            if is_record {
                let lines = format!("{{\"n\":{}}}\n", bytes.len()).repeat(bytes.len() / 7);
                let name = path(&format!("rooms/{at:06}-1/x.0001.jsonl.zst"));
                expected.push((name.clone(), lines.clone().into_bytes()));
                let count = Count::of(lines.as_bytes());
                (name, compress(lines.as_bytes(), 1).unwrap(), count)
            } else {
                let name = path(&format!("x/{at}"));
                expected.push((name.clone(), bytes.clone()));
                (name, bytes, Count::default())
            }
        }).collect();
        let (sealed, volume) = pack(3, &entries);

        let (key, package) = secrets();
        let mut unpacker = VolumeUnpacker::begin(&key, &package, 3);
        let mut out = Vec::new();
        for piece in pieces(&sealed, &cuts) {
            unpacker.feed(piece, &mut out).unwrap();
        }
        let check = unpacker.finish(&mut out).unwrap();
        prop_assert_eq!(check.volume, volume);
        let found: Vec<_> = out.into_iter().map(|entry| (entry.path, entry.content)).collect();
        prop_assert!(found == expected);
    }
}
