//! What only backups have: a feature that must be known, borrowed volumes, components, segments.

use lifeboat_package::backup::{Component, Database, Group, Member};
use lifeboat_package::contents::{BorrowedFile, Contents, SealedFile};
use lifeboat_package::digest::Digest;
use lifeboat_package::frame::{Count, compress};
use lifeboat_package::header::{BACKUP, Header};
use lifeboat_package::id::{PackageId, segment_path};
use lifeboat_package::manifest::{Borrowed, ExportType, Part, Place, Volume};
use lifeboat_package::pack::VolumePacker;

use crate::cases::Case;
use crate::package::small_manifest;
use crate::{Result, key, package_id, seal_of};

const VOLUME: &str = "volumes/000001.vol";
const IMPOSSIBLE: &str = "refuse: borrowed, which is not possible";

/// All of them.
pub(crate) fn all() -> Result<Vec<Case>> {
    let header = Case {
        file: "header-backup",
        kind: "header",
        must: "open",
        name: "header.json",
        bytes: Header::of_backup(&package_id(), &key()).to_bytes(),
    };
    let mut cases = vec![header, manifest()?];
    cases.extend(seals()?);
    cases.extend(segments()?);
    Ok(cases)
}

fn lender() -> PackageId {
    PackageId::from_bytes([0xee; 16])
}

fn lent(number: u32) -> BorrowedFile {
    let name = format!("volumes/{number:06}.vol");
    BorrowedFile { sha256: Digest::of(name.as_bytes()), name, package: lender(), size: 100 }
}

fn seals() -> Result<Vec<Case>> {
    let file = |name: &str| SealedFile {
        name: name.to_owned(),
        sha256: Digest::of(name.as_bytes()),
        size: 100,
    };
    let files = ["header.json", "key.age", "manifest.sealed"].map(file).to_vec();
    let borrowed = vec![lent(1), lent(2)];
    let good = String::from_utf8(Contents { package: package_id(), files, borrowed }.to_bytes()?)?;
    let case = |file, must, text: String| Case {
        file,
        kind: "seal",
        must,
        name: "seal.json",
        bytes: text.into_bytes(),
    };
    let (own, other) = (package_id().to_string(), lender().to_string());
    let huge = good.replacen("\"size\":100", "\"size\":4294967297", 1);
    Ok(vec![
        case("seal-lent", "open", good.clone()),
        case("seal-lent-own", IMPOSSIBLE, good.replace(&other, &own)),
        case("seal-lent-twice", IMPOSSIBLE, good.replace("000002.vol", "000001.vol")),
        case("seal-lent-order", IMPOSSIBLE, good.replace("000001.vol", "000003.vol")),
        case("seal-lent-manifest", IMPOSSIBLE, good.replace(VOLUME, "manifest.sealed")),
        case("seal-lent-huge", IMPOSSIBLE, huge),
    ])
}

fn manifest() -> Result<Case> {
    let lent = Volume {
        name: VOLUME.to_owned(),
        size: 100,
        sha256: Digest::of(VOLUME.as_bytes()),
        entries: 1,
        index: Place { offset: 1024, length: 10, sha256: Digest::of(b"index") },
        parts: None,
    };
    let mut manifest = small_manifest(Vec::new(), Vec::new());
    manifest.critical = vec![BACKUP.to_owned()];
    manifest.metadata.export_type = ExportType::Backup;
    manifest.tables = Vec::new();
    manifest.borrowed = vec![Borrowed { package: lender(), volume: lent }];
    let part = "backup/000001-1".parse()?;
    manifest.sections.backup =
        vec![Part { part, cut: 1, records: 3, bytes: 600, from: None, to: None }];
    manifest.components = vec![Component {
        name: "synapse".to_owned(),
        kind: "synapse".to_owned(),
        parts: vec![part],
        databases: vec![Database {
            name: "main".to_owned(),
            engine: "postgresql".to_owned(),
            version: "PostgreSQL 15.18".to_owned(),
            group: 1,
            tables: 1,
            rows: 2,
            bytes: 60,
        }],
        files: 0,
        file_bytes: 0,
        new_bytes: 60,
    }];
    manifest.groups = vec![Group {
        group: 1,
        method: "alone".to_owned(),
        tries: 1,
        window_micros: 0,
        opened_at: "2026-01-02T03:04:05.000Z".to_owned(),
        members: vec![Member {
            component: "synapse".to_owned(),
            database: "main".to_owned(),
            snapshot: "700:700:".to_owned(),
        }],
    }];
    let (file, kind, name) = ("manifest-backup", "manifest", "manifest.sealed");
    Ok(Case { file, kind, must: "open", name, bytes: manifest.to_frame()? })
}

fn segments() -> Result<Vec<Case>> {
    let rows = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\xff\xff".as_slice();
    let raw = rows.len() as u64;
    let right = segment_path(Digest::of(rows).as_bytes());
    let stored = compress(rows, 3)?;
    let named_as_stored = segment_path(Digest::of(&stored).as_bytes());
    let huge = vec![0; (16 << 20) + 1];
    let (bomb, of_huge) = (compress(&huge, 19)?, segment_path(Digest::of(&huge).as_bytes()));
    let volume = |path, bytes: &[u8], raw| {
        let mut out = Vec::new();
        let mut packer = VolumePacker::begin(&key(), &package_id(), 1, &seal_of(6), &mut out);
        packer.add(path, bytes, Count { records: 0, raw }, &mut out)?;
        packer.finish(&mut out)?;
        Ok::<_, Box<dyn std::error::Error>>(out)
    };
    let cases = [
        ("segment-good", "open", volume(&right, &stored, raw)?),
        ("segment-name", "refuse: sum in the name", volume(&named_as_stored, &stored, raw)?),
        ("segment-raw", "refuse: does not agree", volume(&right, &stored, 0)?),
        ("segment-plain", "refuse: Zstandard", volume(&right, rows, raw)?),
        ("segment-bomb", "refuse: are allowed", volume(&of_huge, &bomb, huge.len() as u64)?),
    ];
    let case = |(file, must, bytes)| Case { file, kind: "volume", must, name: VOLUME, bytes };
    Ok(cases.map(case).into())
}
