//! A whole package of two rooms, as a folder and as one file.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use lifeboat_package::container::{END, header, padding};
use lifeboat_package::contents::{CONTENTS_NAME, Contents, SealedFile};
use lifeboat_package::digest::Digest;
use lifeboat_package::flow::BlobPiece;
use lifeboat_package::frame::RecordFrames;
use lifeboat_package::header::{HEADER_NAME, Header, KEY_NAME};
use lifeboat_package::id::{PartPath, Section};
use lifeboat_package::manifest::{
    Cut, ExportType, MANIFEST_NAME, Manifest, Origin, Part, Table, Volume,
};
use lifeboat_package::pack::VolumePacker;
use lifeboat_package::seal::seal_bytes;
use lifeboat_package::selection::Selection;
use serde_json::{Value, json};

use crate::{Result, key, package_id, seal_of};

/// Writes `package/` and `package.lifeboat`; needs `package/key.age`.
pub(crate) fn write(folder: &Path) -> Result<()> {
    let at = |name: &str| folder.join("package").join(name);
    let (volumes, parts) = volumes()?;
    let listed = volumes.iter().map(|(volume, _)| volume.clone()).collect();
    let manifest = small_manifest(listed, parts);
    let frame = manifest.to_frame()?;
    let mut files = vec![
        (HEADER_NAME.to_owned(), Header::of(&package_id(), &key()).to_bytes()),
        (KEY_NAME.to_owned(), fs::read(at(KEY_NAME))?),
    ];
    files.extend(volumes.into_iter().map(|(volume, bytes)| (volume.name, bytes)));
    let sealed = seal_bytes(&key(), &package_id(), MANIFEST_NAME, &seal_of(100), &frame);
    files.push((MANIFEST_NAME.to_owned(), sealed));
    let listed = files.iter().map(|(name, bytes)| {
        let (name, size) = (name.clone(), bytes.len() as u64);
        SealedFile { name, sha256: Digest::of(bytes), size }
    });
    let seal = Contents { package: package_id(), files: listed.collect(), borrowed: Vec::new() }
        .to_bytes()?;
    files.push((CONTENTS_NAME.to_owned(), seal));

    let mut single = Vec::new();
    for (name, bytes) in &files {
        crate::write(&at(name), bytes)?;
        let size = bytes.len() as u64;
        single.extend(header(name, size).into_iter().flatten());
        single.extend_from_slice(bytes);
        single.resize(single.len() + padding(size), 0);
    }
    single.extend_from_slice(&END);
    crate::write(&folder.join("package.lifeboat"), &single)
}

/// The manifest of the small package.
pub(crate) fn small_manifest(volumes: Vec<Volume>, parts: Vec<Part>) -> Manifest {
    let origin = Origin {
        server_id: "example.org".to_owned(),
        export_date: "2026-01-02T03:04:05Z".to_owned(),
        export_type: ExportType::Full,
        generator: "lifeboat vectors".to_owned(),
        source: BTreeMap::from([("synapse".to_owned(), "1.150.0".to_owned())]),
    };
    let mut manifest = Manifest::begin(&package_id(), origin, Selection::EVERYTHING);
    manifest.cuts.push(Cut {
        cut: 1,
        opened_at: "2026-01-02T03:04:05Z".to_owned(),
        snapshot: "00000003-0000001B-1".to_owned(),
        position: 4,
        changed_rooms: Vec::new(),
    });
    manifest.tables.push(Table {
        name: "users".to_owned(),
        section: "users".to_owned(),
        columns: vec![("name".to_owned(), "text".to_owned())],
        rows: 2,
        policy: "restore".to_owned(),
    });
    manifest.volumes = volumes;
    for part in parts {
        manifest.sections.get_mut(part.part.section).push(part);
    }
    manifest
}

/// Two volumes, and the parts that lie in them.
fn volumes() -> Result<(SealedVolumes, Vec<Part>)> {
    let (mut volumes, mut parts) = (Vec::new(), Vec::new());
    for (number, contents) in [(1, first_volume()), (2, second_volume())] {
        let mut bytes = Vec::new();
        let seal = seal_of(200 + u8::try_from(number)?);
        let mut packer = VolumePacker::begin(&key(), &package_id(), number, &seal, &mut bytes);
        for (folder, records) in contents {
            parts.push(add(&mut packer, folder.parse()?, records, &mut bytes)?);
        }
        if number == 2 {
            let picture = b"not really a picture".to_vec();
            let sha256 = *Digest::of(&picture).as_bytes();
            packer.add_blob(&BlobPiece { sha256, piece: None, bytes: picture }, &mut bytes)?;
        }
        volumes.push((packer.finish(&mut bytes)?, bytes));
    }
    Ok((volumes, parts))
}

/// What the manifest says of each volume, and its bytes.
type SealedVolumes = Vec<(Volume, Vec<u8>)>;

/// Parts, with the records of each of their names.
type Records = Vec<(&'static str, Vec<(&'static str, Vec<Value>)>)>;

fn add(
    packer: &mut VolumePacker,
    part: PartPath,
    records: Vec<(&str, Vec<Value>)>,
    out: &mut Vec<u8>,
) -> Result<Part> {
    let has_range = part.section == Section::Rooms;
    let from = has_range.then(|| "!a:example.org".to_owned());
    let mut listed = Part { part, cut: 1, records: 0, bytes: 0, from, to: None };
    for (name, values) in records {
        let mut lines = RecordFrames::begin(3)?;
        let mut frames = Vec::new();
        for value in values {
            lines.push(format!("{value}\n").as_bytes(), &mut frames)?;
        }
        lines.flush(&mut frames)?;
        for (frame, sequence) in frames.into_iter().zip(1..) {
            packer.add(&part.entry(name, sequence)?, &frame.bytes, frame.count, out)?;
            listed.records += frame.count.records;
            listed.bytes += frame.count.raw;
        }
    }
    Ok(listed)
}

fn first_volume() -> Records {
    let events = |room: &str, from: u32| -> Vec<Value> {
        (from..from + 2).map(|at| event(&format!("${at}"), room, at)).collect()
    };
    let (a, b) = ("!a:example.org", "!b:example.org");
    let all = [events(a, 1), events(b, 3)].concat();
    vec![
        (
            "server/000001-1",
            vec![
                ("sequences", vec![json!({"name": "s", "last_value": 4, "is_called": true})]),
                ("gaps", Vec::new()),
            ],
        ),
        (
            "rooms/000001-1",
            vec![("summary", vec![summary(a, "A room"), summary(b, "Räume 🚣")]), ("events", all)],
        ),
    ]
}

fn second_volume() -> Records {
    let sum = Digest::of(b"not really a picture");
    let file = json!({
        "path": "local_content/ab/cd/efgh", "kind": "local", "mxc": "mxc://example.org/abcdefgh",
        "sha256": sum, "length": 20,
    });
    let users = ["@alice:example.org", "@bob:example.org"].map(|name| json!({ "name": name }));
    vec![
        ("users/000001-1", vec![("users", users.to_vec())]),
        ("media/000001-1", vec![("index", vec![file])]),
    ]
}

fn event(id: &str, room: &str, position: u32) -> Value {
    let pdu = json!({
        "type": "m.room.message", "room_id": room, "sender": "@alice:example.org",
        "content": {"msgtype": "m.text", "body": format!("message {position}")},
        "depth": position,
    });
    json!({
        "event_id": id, "room_id": room, "room_version": "11", "stream_ordering": position,
        "events": {"type": "m.room.message"}, "event_json": {"format_version": 3}, "pdu": pdu,
    })
}

fn summary(room: &str, name: &str) -> Value {
    json!({
        "room_id": room, "room_version": "11", "creator": "@alice:example.org", "encrypted": false,
        "name": name, "topic": null, "canonical_alias": null, "join_rules": "invite",
        "history_visibility": "shared", "power_levels": null, "events": 2, "members": 2,
    })
}
