//! What a manifest says, and what is refused of it.

use serde_json::json;

use super::*;
use crate::contents::SealedFile;
use crate::id::volume_name;
use crate::key::PackageKey;

fn manifest() -> Manifest {
    let origin = Origin {
        server_id: "example.org".to_owned(),
        export_date: "2026-01-02T03:04:05Z".to_owned(),
        export_type: ExportType::Full,
        generator: "lifeboat 0.1.0".to_owned(),
        source: BTreeMap::from([("synapse".to_owned(), "1.150.0".to_owned())]),
    };
    let package = PackageId::from_bytes([1; 16]);
    let mut manifest = Manifest::begin(&package, origin, Selection::EVERYTHING);
    manifest.cuts.push(Cut {
        cut: 1,
        opened_at: "2026-01-02T03:04:05Z".to_owned(),
        snapshot: "7:9:8".to_owned(),
        position: 12,
        changed_rooms: Vec::new(),
    });
    manifest.sections.get_mut(Section::Rooms).push(Part {
        part: "rooms/000001-1".parse().unwrap(),
        cut: 1,
        records: 5,
        bytes: 500,
        from: None,
        to: Some("!m:example.org".to_owned()),
    });
    let place = Place { offset: 512, length: 10, sha256: Digest::of(b"i") };
    let (name, sha256) = (volume_name(1), Digest::of(b"v"));
    manifest.volumes.push(Volume {
        name,
        size: 2000,
        sha256,
        entries: 1,
        index: place,
        parts: None,
    });
    manifest.gaps.add(&Gap {
        kind: "media-missing".to_owned(),
        object: "mxc://example.org/a".to_owned(),
        detail: "no file".to_owned(),
        remedy: "restore it".to_owned(),
    });
    manifest
}

#[test]
fn a_manifest_reads_back() {
    let manifest = manifest();
    let (read, json) = Manifest::from_frame(&manifest.to_frame().unwrap()).unwrap();
    assert_eq!(read, manifest);
    assert_eq!(json, manifest.to_canonical().unwrap());
}

#[test]
fn signatures_are_not_part_of_what_is_signed() {
    let mut manifest = manifest();
    let before = manifest.signing_bytes().unwrap();
    manifest.signatures = Map::from_iter([("example.org".to_owned(), json!({"ed25519:a": "x"}))]);
    assert_eq!(manifest.signing_bytes().unwrap(), before);
    let json = manifest.to_canonical().unwrap();
    assert_ne!(json, before);
    assert_eq!(signing_bytes(&json).unwrap(), before);
}

#[test]
fn unknown_keys_are_skipped_but_signed() {
    let json = String::from_utf8(manifest().to_canonical().unwrap()).unwrap();
    let more = json.replacen("{\"critical\"", "{\"a_new_key\":[{}],\"critical\"", 1);
    assert_eq!(Manifest::parse(more.as_bytes()).unwrap(), manifest());
    let signed = String::from_utf8(signing_bytes(more.as_bytes()).unwrap()).unwrap();
    assert!(signed.contains("a_new_key"));
}

#[test]
fn unknown_critical_features_are_refused() {
    let json = String::from_utf8(manifest().to_canonical().unwrap()).unwrap();
    let other = json.replacen("\"critical\":[]", "\"critical\":[\"borrow\"]", 1);
    let error = Manifest::parse(other.as_bytes()).unwrap_err();
    assert!(matches!(error, ManifestError::Critical { found } if found == "borrow"));
}

#[test]
fn a_manifest_that_contradicts_itself_is_refused() {
    let changes: [fn(&mut Manifest); 10] = [
        |m| m.kind = "m.room.message".to_owned(),
        |m| m.version = "2.0".to_owned(),
        |m| m.cuts[0].cut = 2,
        |m| m.sections.rooms[0].cut = 2,
        |m| m.sections.rooms[0].cut = 0,
        |m| m.sections.users.push(m.sections.rooms[0].clone()),
        |m| m.sections.rooms.push(m.sections.rooms[0].clone()),
        |m| m.volumes[0].name = volume_name(2),
        |m| m.gaps.total = 2,
        |m| m.gaps.first.push(m.gaps.first[0].clone()),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut manifest = manifest();
        change(&mut manifest);
        let error = manifest.to_canonical().unwrap_err();
        assert!(matches!(error, ManifestError::Inconsistent { .. }), "change {at}: {error}");
    }
}

#[test]
fn unsigned_beside_the_signatures_is_refused() {
    let json = String::from_utf8(manifest().to_canonical().unwrap()).unwrap();
    let other = json.replacen("\"version\"", "\"unsigned\":{},\"version\"", 1);
    assert!(Manifest::parse(other.as_bytes()).is_err());
}

#[test]
fn a_manifest_of_other_files_is_refused() {
    let manifest = manifest();
    let file = |name: &str, size, sum: &[u8]| SealedFile {
        name: name.to_owned(),
        sha256: Digest::of(sum),
        size,
    };
    let files = vec![
        file("header.json", 1, b"h"),
        file("key.age", 1, b"k"),
        file("volumes/000001.vol", 2000, b"v"),
        file("manifest.sealed", 1, b"m"),
    ];
    let header = Header::of(&manifest.package, &PackageKey::from_bytes([1; 32]));
    let seal = Contents { package: manifest.package, files, borrowed: Vec::new() };
    manifest.check_against(&header, &seal).unwrap();
    let changes: [fn(&mut Contents); 4] = [
        |seal| seal.package = PackageId::from_bytes([2; 16]),
        |seal| seal.files[2].size = 2001,
        |seal| seal.files[2].sha256 = Digest::of(b"w"),
        |seal| drop(seal.files.remove(2)),
    ];
    for change in changes {
        let mut seal = seal.clone();
        change(&mut seal);
        assert!(manifest.check_against(&header, &seal).is_err());
    }
    let newer = String::from_utf8(header.to_bytes()).unwrap().replace("\"1.0\"", "\"1.1\"");
    let newer = Header::parse(newer.as_bytes()).unwrap();
    assert!(manifest.check_against(&newer, &seal).is_err());
    let other = Header::of(&PackageId::from_bytes([2; 16]), &PackageKey::from_bytes([1; 32]));
    assert!(manifest.check_against(&other, &seal).is_err());
}

#[test]
fn a_file_is_looked_for_where_its_server_stands_in_order() {
    let part = |from: Option<&str>, to: Option<&str>| {
        let part = "media/000007-1".parse().expect("a part");
        let (from, to) = (from.map(str::to_owned), to.map(str::to_owned));
        Part { part, cut: 1, records: 1, bytes: 1, from, to }
    };
    // As text, `a.com/…` stands behind `a.com.au/…`.
    let (first, last) = (part(None, Some("a.com.au/m")), part(Some("a.com.au/m"), None));
    for (key, is_first) in
        [("a.com/z", true), ("a.com.au/l", true), ("a.com.au/m", false), ("b/a", false)]
    {
        assert_eq!((first.may_list(key), last.may_list(key)), (is_first, !is_first), "{key}");
    }
    let local = part(Some("bcd"), Some("cde"));
    let held = ["bcc", "bcd", "cdd", "cde"].map(|key| local.may_list(key));
    assert_eq!(held, [false, true, true, false]);
}

#[test]
fn only_a_backup_borrows_and_it_says_so_in_header_and_manifest() {
    let mut manifest = manifest();
    let (package, key) = (manifest.package, PackageKey::from_bytes([1; 32]));
    let (export, backup) = (Header::of(&package, &key), Header::of_backup(&package, &key));
    let file = |name: &str, size| {
        let sha256 = Digest::of(if size == 2000 { b"v" } else { b"f" });
        SealedFile { name: name.to_owned(), sha256, size }
    };
    let names = [("header.json", 1), ("key.age", 1), ("volumes/000001.vol", 2000)];
    let mut files: Vec<SealedFile> = names.map(|(name, size)| file(name, size)).into();
    files.push(file(MANIFEST_NAME, 1));
    let mut seal = Contents { package, files, borrowed: Vec::new() };
    manifest.check_against(&export, &seal).unwrap();
    assert!(manifest.check_against(&backup, &seal).is_err());
    let (volume, lender) = (manifest.volumes[0].clone(), PackageId::from_bytes([2; 16]));
    let (name, sha256, size) = (volume.name.clone(), volume.sha256, volume.size);
    seal.borrowed.push(BorrowedFile { name, package: lender, sha256, size });
    manifest.borrowed.push(Borrowed { package: lender, volume });
    assert!(manifest.check_against(&export, &seal).is_err());
    manifest.critical = vec!["backup".to_owned()];
    assert!(manifest.check_against(&export, &seal).is_err());
    manifest.check_against(&backup, &seal).unwrap();
}
