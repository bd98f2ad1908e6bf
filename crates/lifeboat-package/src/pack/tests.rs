//! What a packer takes and refuses; that it is read back is tested in `tests/it`.

use super::*;

fn packer(out: &mut Vec<u8>) -> VolumePacker {
    let fresh = FreshSeal { salt: [3; 32], prefix: [4; 7] };
    let (key, package) = (PackageKey::from_bytes([1; 32]), PackageId::from_bytes([2; 16]));
    VolumePacker::begin(&key, &package, 1, &fresh, out)
}

#[test]
fn sizes_and_sums_are_of_the_bytes_that_came_out() {
    let (mut all, mut out) = (Vec::new(), Vec::new());
    let mut packer = packer(&mut out);
    for number in 0..5 {
        let path = EntryPath::parse(&format!("x/{number}")).unwrap();
        packer.add(&path, &vec![number; 700_000], Count::default(), &mut out).unwrap();
        all.append(&mut out);
    }
    assert_eq!(packer.entries(), 5);
    let so_far = packer.sealed_bytes();
    let volume = packer.finish(&mut out).unwrap();
    all.append(&mut out);
    assert_eq!(volume.size, all.len() as u64);
    assert_eq!(volume.sha256, Digest::of(&all));
    assert_eq!((volume.entries, volume.name.as_str()), (5, "volumes/000001.vol"));
    assert!(so_far < volume.size && volume.size < so_far + 4096);
}

#[test]
fn a_path_is_taken_once_and_the_index_is_not_a_path() {
    let mut out = Vec::new();
    let mut packer = packer(&mut out);
    let path = EntryPath::parse("x").unwrap();
    packer.add(&path, b"1", Count::default(), &mut out).unwrap();
    for path in ["x", INDEX_PATH] {
        let path = EntryPath::parse(path).unwrap();
        let error = packer.add(&path, b"2", Count::default(), &mut out).unwrap_err();
        assert!(matches!(error, PackError::Twice { .. }), "{error}");
    }
}

#[test]
fn an_entry_that_is_too_large_is_refused() {
    let mut out = Vec::new();
    let mut packer = packer(&mut out);
    let path = EntryPath::parse("x").unwrap();
    let error =
        packer.add(&path, &vec![0; ENTRY_BYTES + 1], Count::default(), &mut out).unwrap_err();
    assert!(matches!(error, PackError::TooLarge { .. }), "{error}");
    packer.add(&path, &vec![0; ENTRY_BYTES], Count::default(), &mut out).unwrap();
}

#[test]
fn a_volume_with_too_many_entries_is_full_and_its_index_still_fits() {
    let mut out = Vec::new();
    let mut packer = packer(&mut out);
    let add = |packer: &mut VolumePacker, number: usize, out: &mut Vec<u8>| {
        out.clear();
        // Paths as long and as random as they come.
        let sum = Digest::of(&number.to_le_bytes()).to_string();
        let path = EntryPath::parse(&format!("{sum}{}", &sum[..36])).unwrap();
        packer.add(&path, &number.to_le_bytes(), Count::default(), out)
    };
    for number in 0..VOLUME_ENTRIES {
        assert!(!packer.is_full(), "{number}");
        add(&mut packer, number, &mut out).unwrap();
    }
    assert!(packer.is_full());
    let error = add(&mut packer, VOLUME_ENTRIES, &mut out).unwrap_err();
    assert!(matches!(error, PackError::Full { .. }), "{error}");
    let volume = packer.finish(&mut out).unwrap();
    assert!(volume.index.length <= ENTRY_BYTES as u64, "{}", volume.index.length);
}

#[test]
fn a_volume_is_full_before_it_is_larger_than_readers_accept() {
    let mut out = Vec::new();
    let mut packer = packer(&mut out);
    let mut blob = BlobPiece { sha256: [0; 32], piece: None, bytes: vec![0; ENTRY_BYTES] };
    let error = loop {
        out.clear();
        blob.sha256[0] = blob.sha256[0].wrapping_add(1);
        if let Err(error) = packer.add_blob(&blob, &mut out) {
            break error;
        }
    };
    assert!(matches!(error, PackError::Full { .. }), "{error}");
    assert!(packer.sealed_bytes() > VOLUME_BYTES - 2 * ENTRY_BYTES as u64);
    let volume = packer.finish(&mut out).unwrap();
    assert!(volume.size <= VOLUME_BYTES, "{}", volume.size);
}
