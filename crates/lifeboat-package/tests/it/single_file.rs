//! The small package of the vectors, whole: as a folder and as one file.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use lifeboat_package::container::{BLOCK, END, Walk, check_zeros};
use lifeboat_package::contents::Contents;
use lifeboat_package::digest::Digest;
use lifeboat_package::header::Header;
use lifeboat_package::id::parse_volume_name;
use lifeboat_package::key::PackageKey;
use lifeboat_package::manifest::{MANIFEST_NAME, Manifest};
use lifeboat_package::seal::open_bytes;
use lifeboat_package::unpack::{Entry, VolumeUnpacker};

type Files<'a> = BTreeMap<String, &'a [u8]>;
type Checked<T> = Result<T, Box<dyn Error>>;

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// The key of the vectors: bytes 0 to 31.
fn key() -> PackageKey {
    PackageKey::from_bytes(std::array::from_fn(|at| u8::try_from(at).unwrap()))
}

fn split(archive: &[u8]) -> Checked<Files<'_>> {
    let at = |begin: u64, end: u64| {
        let range = usize::try_from(begin)?..usize::try_from(end)?;
        archive.get(range).ok_or_else(|| Box::<dyn Error>::from("cut off"))
    };
    let mut files = Files::new();
    let mut walk = Walk::begin(archive.len() as u64);
    loop {
        let offset = walk.next_offset();
        let block = at(offset, offset + BLOCK as u64)?;
        let Some(member) = walk.take(block.try_into()?)? else {
            check_zeros(at(offset, offset + END.len() as u64)?, offset)?;
            return Ok(files);
        };
        let padding = member.padding();
        check_zeros(at(padding.start, padding.end)?, padding.start)?;
        files.insert(member.name, at(member.offset, padding.start)?);
    }
}

/// Everything that can be checked with the key.
fn check(files: &Files<'_>) -> Checked<(Manifest, Vec<Entry>)> {
    let file = |name: &str| files.get(name).copied().ok_or(format!("{name} is missing"));
    let header = Header::parse(file("header.json")?)?;
    let seal = Contents::parse(file("seal.json")?)?;
    if files.len() != seal.files.len() + 1 {
        return Err("too many files".into());
    }
    for sealed in &seal.files {
        let bytes = file(&sealed.name)?;
        if bytes.len() as u64 != sealed.size || Digest::of(bytes) != sealed.sha256 {
            return Err(format!("{} differs", sealed.name).into());
        }
    }
    header.check_key(&key())?;
    let frame = open_bytes(&key(), header.package(), MANIFEST_NAME, file(MANIFEST_NAME)?)?;
    let (manifest, _) = Manifest::from_frame(&frame)?;
    manifest.check_against(&header, &seal)?;
    let mut entries = Vec::new();
    for volume in &manifest.volumes {
        let number = parse_volume_name(&volume.name).ok_or("not a volume")?;
        let mut unpacker = VolumeUnpacker::begin(&key(), header.package(), number);
        unpacker.feed(file(&volume.name)?, &mut entries)?;
        if !volume.agrees_with(&unpacker.finish(&mut entries)?.volume) {
            return Err(format!("{} is not what the manifest says", volume.name).into());
        }
    }
    Ok((manifest, entries))
}

fn single() -> Vec<u8> {
    fs::read(vectors().join("package.lifeboat")).unwrap()
}

#[test]
fn the_single_file_is_right_and_complete() {
    let bytes = single();
    let (manifest, entries) = check(&split(&bytes).unwrap()).unwrap();
    assert_eq!(manifest.metadata.server_id, "example.org");
    for part in manifest.sections.all() {
        let of_part = entries
            .iter()
            .filter(|entry| entry.path.record().is_some_and(|(folder, _, _)| folder == part.part));
        let counted = of_part.fold((0, 0), |(records, raw), entry| {
            (records + entry.count.records, raw + entry.count.raw)
        });
        assert_eq!(counted, (part.records, part.bytes), "{}", part.part);
    }
    assert_eq!(manifest.sections.all().count(), 4);
    assert_eq!(entries.iter().filter(|entry| entry.path.blob().is_some()).count(), 1);
}

#[test]
fn the_folder_holds_the_same_files() {
    let bytes = single();
    let mut files = split(&bytes).unwrap();
    for name in files.keys() {
        let in_folder = fs::read(vectors().join("package").join(name)).unwrap();
        assert!(in_folder == files[name], "{name}");
    }
    let (first, second) = (files["volumes/000001.vol"], files["volumes/000002.vol"]);
    files.insert("volumes/000001.vol".to_owned(), second);
    files.insert("volumes/000002.vol".to_owned(), first);
    assert!(check(&files).is_err());
}

#[test]
fn a_flipped_bit_in_any_byte_of_the_single_file_is_found() {
    let mut bytes = single();
    for at in 0..bytes.len() {
        let bit = 1 << (at % 8);
        bytes[at] ^= bit;
        let found = split(&bytes).and_then(|files| check(&files).map(drop));
        assert!(found.is_err(), "byte {at}");
        bytes[at] ^= bit;
    }
}

#[test]
fn every_truncation_of_the_single_file_is_found() {
    let bytes = single();
    for length in 0..bytes.len() {
        assert!(split(&bytes[..length]).is_err(), "length {length}");
    }
    assert!(split(&[bytes.as_slice(), &[0]].concat()).is_err());
}

/// Whoever swaps whole files must also write `seal.json` anew; the manifest still knows better.
#[test]
fn an_old_manifest_with_other_volumes_is_found() {
    let bytes = single();
    let mut files = split(&bytes).unwrap();
    let mut other = files["volumes/000002.vol"].to_vec();
    other[1] ^= 1;
    files.insert("volumes/000002.vol".to_owned(), &other);
    let mut seal = Contents::parse(files["seal.json"]).unwrap();
    seal.files[3].sha256 = Digest::of(&other);
    let seal = seal.to_bytes().unwrap();
    files.insert("seal.json".to_owned(), &seal);
    let error = check(&files).map(drop).unwrap_err();
    assert!(error.to_string().contains("volumes/000002.vol differs"), "{error}");
}
