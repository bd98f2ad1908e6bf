//! One flipped bit, one missing byte, one wrong file: found, named, exit code 4.
//!
//! The mass of it asks the engine within this process, a few the binary.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::OnceLock;

use lifeboat_engine::context::Context;
use lifeboat_engine::keyring::{self, Identities};
use lifeboat_engine::reader::PackageRequest;
use lifeboat_engine::verify::verify;
use lifeboat_package::container::{BLOCK, Walk, header, padding};
use lifeboat_package::contents::Contents;
use lifeboat_package::digest::Digest;
use lifeboat_package::header::Header;
use lifeboat_package::manifest::{MANIFEST_NAME, Manifest};
use lifeboat_package::seal::{FreshSeal, open_bytes, seal_bytes};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use crate::conversation::{files_under, run};
use crate::harbour::harbour;
use crate::noise::Noise;

/// What a verification comes to: exit code and everything it says.
#[derive(Debug)]
struct Verdict {
    exit: u8,
    said: String,
}

/// Verifies in this process.
struct Inspector(Runtime);

impl Inspector {
    fn new() -> Self {
        Self(Builder::new_multi_thread().worker_threads(1).build().unwrap())
    }

    fn verify(&self, package: &Path, with_key: bool) -> Verdict {
        let (_sender, stop) = watch::channel(lifeboat_engine::context::Stop::Go);
        let context = Context {
            report: Arc::new(|_| ()),
            stop,
            now: || 0,
            entropy: |_| (),
            generator: String::new(),
        };
        let files = [harbour().identity.clone()];
        let request = PackageRequest {
            package: package.display().to_string(),
            identities: with_key.then(|| Identities::read(&files, None).unwrap()),
            environment: Vec::new(),
        };
        match self.0.block_on(verify(&context, &request)) {
            Ok(outcome) => {
                let exit = if outcome.complete && outcome.valid { 0 } else { 4 };
                Verdict { exit, said: outcome.problems.join("\n") }
            }
            Err(failure) => {
                let mut said = failure.what.clone();
                let mut cause = std::error::Error::source(&failure);
                while let Some(error) = cause {
                    said = format!("{said}\n{error}");
                    cause = error.source();
                }
                Verdict { exit: failure.code.exit(), said }
            }
        }
    }

    /// With and without the key: exit code 4, and one of `names` is named.
    fn assert_found(&self, package: &Path, names: &[&str], what: &str) {
        for with_key in [true, false] {
            let verdict = self.verify(package, with_key);
            assert_eq!(verdict.exit, 4, "{what}, key {with_key}: {verdict:?}");
            let hit = names.iter().any(|name| verdict.said.contains(name));
            assert!(hit, "{what}, key {with_key}: none of {names:?} in {verdict:?}");
        }
    }
}

/// Leaves media for a few volumes.
const FEWER: &str = "DELETE FROM local_media_repository WHERE upload_name LIKE 'noise%'
    AND upload_name NOT SIMILAR TO 'noise-[0-6].txt'";

/// A small package in both forms, as file and as folder.
struct Small {
    archive: Vec<u8>,
    files: BTreeMap<String, Vec<u8>>,
}

fn small() -> &'static Small {
    static SMALL: OnceLock<Small> = OnceLock::new();
    SMALL.get_or_init(|| Small::made("small"))
}

impl Small {
    fn made(name: &str) -> Self {
        let folder = harbour().folder();
        let target = folder.join(name).display().to_string();
        let world = harbour().world();
        let database = harbour().database(&world);
        world.cluster.psql(&database, FEWER).unwrap();
        let mut command = harbour().export_of(&world, &database, &folder, &target);
        let said = run(command.args(["--media", "local", "--no-config"]));
        assert_eq!(said.exit, Some(0), "{said:?}");
        let archive = fs::read(&target).unwrap();
        let files = members(&archive)
            .into_iter()
            .map(|(name, at, size)| (name, archive[at..at + size].to_vec()))
            .collect();
        Self { archive, files }
    }

    /// Writes the package as a folder.
    fn unfolded(&self) -> PathBuf {
        let folder = harbour().folder();
        fs::create_dir(folder.join("volumes")).unwrap();
        for (name, bytes) in &self.files {
            fs::write(folder.join(name), bytes).unwrap();
        }
        folder
    }

    fn volumes(&self) -> Vec<&String> {
        self.files.keys().filter(|name| name.starts_with("volumes/")).collect()
    }
}

/// Name, offset and size of each member of an archive.
fn members(archive: &[u8]) -> Vec<(String, usize, usize)> {
    let mut walk = Walk::begin(archive.len() as u64);
    let mut found = Vec::new();
    loop {
        let at = usize::try_from(walk.next_offset()).unwrap();
        let block = archive[at..at + BLOCK].try_into().unwrap();
        let Some(member) = walk.take(block).unwrap() else { return found };
        let number = |number: u64| usize::try_from(number).unwrap();
        found.push((member.name, number(member.offset), number(member.size)));
    }
}

/// An archive of files in the order given.
fn archived(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, bytes) in files {
        archive.extend(header(name, bytes.len() as u64).unwrap());
        archive.extend(*bytes);
        archive.resize(archive.len() + padding(bytes.len() as u64), 0);
    }
    archive.resize(archive.len() + 2 * BLOCK, 0);
    archive
}

/// Offsets worth a look within a file: all of a small one; of a large one the ends, the borders of
/// the segments, and some between.
fn places(size: usize, noise: &mut Noise) -> Vec<usize> {
    if size <= 600 {
        return (0..size).collect();
    }
    let mut places: Vec<usize> = (0..44).chain(size - 20..size).collect();
    let segment = 1 << 20;
    for border in (segment..size).step_by(segment) {
        places.extend([border - 17, border - 16, border - 1, border]);
    }
    places.extend((0..24).map(|_| usize::try_from(noise.below(size as u64)).unwrap()));
    places.retain(|at| *at < size);
    places
}

#[test]
fn an_undamaged_package_is_valid_in_both_forms() {
    let inspector = Inspector::new();
    let file = harbour().folder().join("p.lifeboat");
    fs::write(&file, &small().archive).unwrap();
    for package in [file, small().unfolded()] {
        for with_key in [true, false] {
            let verdict = inspector.verify(&package, with_key);
            assert_eq!(verdict.exit, 0, "{verdict:?}");
        }
    }
}

#[test]
fn a_flipped_bit_in_any_file_of_an_archive_is_found_and_the_file_named() {
    let inspector = Inspector::new();
    let mut noise = Noise::seeded(11);
    let mut archive = small().archive.clone();
    let file = harbour().folder().join("p.lifeboat");
    for (name, offset, size) in members(&small().archive) {
        // A package id that differs is the fault of either of two.
        let names: &[&str] = match name.as_str() {
            "header.json" => &["header.json", "seal.json"],
            other => &[other],
        };
        for place in places(size, &mut noise) {
            let bit = 1 << noise.below(8);
            archive[offset + place] ^= bit;
            fs::write(&file, &archive).unwrap();
            archive[offset + place] ^= bit;
            // The seal may lose its word for any other file.
            let names = if name == "seal.json" { &[""] } else { names };
            inspector.assert_found(&file, names, &format!("{name} byte {place} bit {bit}"));
        }
    }
}

#[test]
fn a_flipped_bit_between_the_files_of_an_archive_is_found_and_its_place_named() {
    let inspector = Inspector::new();
    let mut noise = Noise::seeded(12);
    let mut archive = small().archive.clone();
    let file = harbour().folder().join("p.lifeboat");
    let mut places = Vec::new();
    for (_, offset, size) in members(&small().archive) {
        let head = offset - BLOCK;
        places.extend(
            [0, 1, 99, 100, 107, 124, 130, 134, 135, 136, 148, 153, 154, 155, 156, 157]
                .map(|at| head + at),
        );
        places.extend(
            [256, 257, 262, 263, 264, 265, 329, 344, 345, 499, 500, 511].map(|at| head + at),
        );
        let end = offset + size;
        let zeros = padding(size as u64);
        places.extend((end..end + zeros).step_by((zeros / 4).max(1)));
    }
    let end = archive.len() - 2 * BLOCK;
    places.extend([end, end + 1, end + 511, end + 512, end + 1023]);
    for place in places {
        let bit = 1 << noise.below(8);
        archive[place] ^= bit;
        fs::write(&file, &archive).unwrap();
        archive[place] ^= bit;
        inspector.assert_found(&file, &["offset", "archive"], &format!("byte {place} bit {bit}"));
    }
}

#[test]
fn a_flipped_bit_in_any_file_of_a_folder_is_found_and_the_file_named() {
    let inspector = Inspector::new();
    let mut noise = Noise::seeded(13);
    let folder = small().unfolded();
    for (name, bytes) in &small().files {
        let names: &[&str] = match name.as_str() {
            "header.json" => &["header.json", "seal.json"],
            "seal.json" => &[""],
            other => &[other],
        };
        let mut bytes = bytes.clone();
        let places = places(bytes.len(), &mut noise);
        for place in places.into_iter().step_by(7) {
            let bit = 1 << noise.below(8);
            bytes[place] ^= bit;
            fs::write(folder.join(name), &bytes).unwrap();
            bytes[place] ^= bit;
            inspector.assert_found(&folder, names, &format!("{name} byte {place} bit {bit}"));
        }
        fs::write(folder.join(name), &bytes).unwrap();
    }
}

#[test]
fn an_archive_cut_off_anywhere_is_found() {
    let inspector = Inspector::new();
    let mut noise = Noise::seeded(14);
    let archive = &small().archive;
    let size = archive.len();
    let mut lengths: Vec<usize> = vec![0, 1, 511, 512, 513, size - 1, size - 512, size - 1024];
    for (_, offset, size) in members(archive) {
        let end = offset + size;
        for border in [offset - BLOCK, offset, end, end + padding(size as u64)] {
            lengths.extend([border.saturating_sub(1), border, border + 1]);
        }
    }
    lengths.extend((0..100).map(|_| usize::try_from(noise.below(size as u64)).unwrap()));
    let file = harbour().folder().join("p.lifeboat");
    for length in lengths.into_iter().filter(|length| *length < size) {
        fs::write(&file, &archive[..length]).unwrap();
        inspector.assert_found(&file, &["archive", "whole", "damaged"], &format!("{length} bytes"));
    }
    for more in [1, 512, 1024] {
        let mut longer = archive.clone();
        longer.resize(size + more, 0);
        fs::write(&file, &longer).unwrap();
        inspector.assert_found(&file, &["archive"], &format!("{more} bytes more"));
    }
}

#[test]
fn a_file_of_a_folder_that_is_cut_off_or_too_long_is_named() {
    let inspector = Inspector::new();
    let folder = small().unfolded();
    for (name, bytes) in &small().files {
        let mut cases: Vec<Vec<u8>> =
            [0, 1, bytes.len() / 2, bytes.len() - 1].map(|length| bytes[..length].to_vec()).into();
        cases.push([bytes.as_slice(), b"\n"].concat());
        for case in cases {
            fs::write(folder.join(name), &case).unwrap();
            inspector.assert_found(&folder, &[name], &format!("{name}: {} bytes", case.len()));
        }
        fs::write(folder.join(name), bytes).unwrap();
    }
}

/// Lays out a folder with some files changed; `None` removes.
fn with(changes: &[(&str, Option<&[u8]>)]) -> PathBuf {
    let folder = small().unfolded();
    for (name, bytes) in changes {
        match bytes {
            Some(bytes) => fs::write(folder.join(name), bytes).unwrap(),
            None => fs::remove_file(folder.join(name)).unwrap(),
        }
    }
    folder
}

#[test]
fn a_missing_strange_swapped_or_foreign_file_is_found_and_named() {
    let inspector = Inspector::new();
    let ours = &small().files;
    let foreign = Small::made("other").files;
    let names: Vec<&str> = small().volumes().into_iter().map(String::as_str).collect();
    assert!(names.len() >= 2, "{names:?}");
    let (first, second) = (names[0], names[1]);
    let old = |name: &str| Some(foreign[name].as_slice());
    let new = |name: &str| Some(ours[name].as_slice());
    let cases: Vec<(&str, PathBuf, &str)> = vec![
        ("volume missing", with(&[(first, None)]), first),
        ("manifest missing", with(&[("manifest.sealed", None)]), "manifest.sealed"),
        ("key missing", with(&[("key.age", None)]), "key.age"),
        ("header missing", with(&[("header.json", None)]), "header.json"),
        ("seal missing", with(&[("seal.json", None)]), "seal.json"),
        ("swapped", with(&[(first, new(second)), (second, new(first))]), first),
        ("renamed", with(&[(first, None), ("volumes/000099.vol", new(first))]), first),
        ("doubled", with(&[("volumes/000099.vol", new(first))]), "volumes/000099.vol"),
        ("foreign volume", with(&[(first, old(first))]), first),
        (
            "foreign manifest",
            with(&[("manifest.sealed", old("manifest.sealed"))]),
            "manifest.sealed",
        ),
        ("foreign key", with(&[("key.age", old("key.age"))]), "key.age"),
        ("foreign header", with(&[("header.json", old("header.json"))]), "seal.json"),
        ("foreign seal", with(&[("seal.json", old("seal.json"))]), "seal.json"),
        ("strange file", with(&[("notes.txt", Some(b"mine"))]), "notes.txt"),
    ];
    for (what, folder, name) in cases {
        inspector.assert_found(&folder, &[name], what);
    }
}

#[test]
fn members_of_an_archive_in_another_order_or_twice_are_found() {
    let inspector = Inspector::new();
    let listed = members(&small().archive);
    let files: Vec<(&str, &[u8])> = listed
        .iter()
        .map(|(name, at, size)| (name.as_str(), &small().archive[*at..at + size]))
        .collect();
    assert_eq!(archived(&files), small().archive);
    let file = harbour().folder().join("p.lifeboat");
    let last = files.len() - 1;
    let mut cases = Vec::new();
    for (one, other) in [(0, 1), (2, 3), (last - 1, last)] {
        let mut swapped = files.clone();
        swapped.swap(one, other);
        cases.push((format!("{one} and {other} swapped"), swapped));
    }
    for twice in [0, 2, last] {
        let mut doubled = files.clone();
        doubled.insert(twice, files[twice]);
        cases.push((format!("{twice} twice"), doubled));
    }
    let mut strange = files.clone();
    strange.insert(last, ("notes.txt", b"mine"));
    cases.push(("a strange member".to_owned(), strange));
    // Bytes and names exchanged: each header fits its content.
    let mut exchanged = files.clone();
    (exchanged[2].1, exchanged[3].1) = (files[3].1, files[2].1);
    cases.push(("two volumes under each other's names".to_owned(), exchanged));
    for (what, case) in cases {
        fs::write(&file, archived(&case)).unwrap();
        inspector.assert_found(&file, &["archive", "volumes/", "offset"], &what);
    }
}

/// Another package's seal over our files, made to fit: the manifest gives it away.
#[test]
fn an_old_manifest_with_other_volumes_is_found_by_whoever_has_the_key() {
    let inspector = Inspector::new();
    let foreign = Small::made("older").files;
    let first = small().volumes()[0].clone();
    let seal = String::from_utf8(small().files["seal.json"].clone()).unwrap();
    let entry = |files: &BTreeMap<String, Vec<u8>>| {
        let bytes = &files[&first];
        let sha256 = Digest::of(bytes);
        format!(r#"{{"name":"{first}","sha256":"{sha256}","size":{}}}"#, bytes.len())
    };
    assert!(seal.contains(&entry(&small().files)), "{seal}");
    let forged = seal.replace(&entry(&small().files), &entry(&foreign));
    let folder = with(&[(&first, Some(&foreign[&first])), ("seal.json", Some(forged.as_bytes()))]);
    let verdict = inspector.verify(&folder, true);
    assert_eq!(verdict.exit, 4, "{verdict:?}");
    assert!(verdict.said.contains("seal.json"), "{verdict:?}");
    // Without the key nothing is known but the seal.
    assert_eq!(inspector.verify(&folder, false).exit, 0);
}

/// Everything is made to fit but the signature, which only the server could make.
#[test]
fn a_manifest_that_someone_with_the_key_changed_is_found_by_its_signature() {
    let files = &small().files;
    let id = *Header::parse(&files["header.json"]).unwrap().package();
    let identities = Identities::read(&[harbour().identity.clone()], None).unwrap();
    let key = keyring::unwrap(&identities, &files["key.age"], &id).unwrap();
    let frame = open_bytes(&key, &id, MANIFEST_NAME, &files[MANIFEST_NAME]).unwrap();
    let (mut manifest, _) = Manifest::from_frame(&frame).unwrap();
    manifest.metadata.export_date = "2000-01-01T00:00:00Z".to_owned();
    let fresh = FreshSeal { salt: [7; 32], prefix: [7; 7] };
    let frame = manifest.to_frame().unwrap();
    let sealed = seal_bytes(&key, &id, MANIFEST_NAME, &fresh, &frame);
    let mut contents = Contents::parse(&files["seal.json"]).unwrap();
    let listed = contents.files.last_mut().unwrap();
    (listed.size, listed.sha256) = (sealed.len() as u64, Digest::of(&sealed));
    let seal = contents.to_bytes().unwrap();
    let folder = with(&[(MANIFEST_NAME, Some(&sealed)), ("seal.json", Some(&seal))]);
    let verdict = Inspector::new().verify(&folder, true);
    assert_eq!(verdict.exit, 4, "{verdict:?}");
    assert!(verdict.said.contains("signature"), "{verdict:?}");
}

#[test]
fn the_binary_tells_damage_with_exit_code_four_and_the_name() {
    let mut archive = small().archive.clone();
    let (name, offset, size) =
        members(&archive).into_iter().find(|(name, ..)| name.starts_with("volumes/")).unwrap();
    archive[offset + size / 2] ^= 1;
    let folder = harbour().folder();
    let file = folder.join("p.lifeboat");
    fs::write(&file, &archive).unwrap();
    let said = run(&mut harbour().about("verify", &file.display().to_string()));
    assert_eq!(said.exit, Some(4), "{said:?}");
    assert_eq!(said.outcome()["valid"], false);
    assert!(said.outcome()["problems"].to_string().contains(&name), "{said:?}");
    let text = run(&mut harbour().about("inspect", "/nowhere/at.all"));
    assert_eq!(text.exit, Some(1), "{text:?}");
    assert_eq!(files_under(&folder), ["p.lifeboat"]);
}
