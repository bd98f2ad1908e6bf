//! One file, good or damaged, and what a reader must do with it.

use lifeboat_package::container::{END, header, padding};
use lifeboat_package::contents::{Contents, SealedFile};
use lifeboat_package::digest::Digest;
use lifeboat_package::frame::{Count, compress};
use lifeboat_package::header::Header;
use lifeboat_package::id::EntryPath;
use lifeboat_package::index::INDEX_PATH;
use lifeboat_package::pack::VolumePacker;
use lifeboat_package::seal::seal_bytes;

use crate::backups;
use crate::package::small_manifest;
use crate::{Result, key, package_id, seal_of};

/// A vector.
pub(crate) struct Case {
    pub(crate) file: &'static str,
    pub(crate) kind: &'static str,
    /// `open`, or `refuse: ` and words that the error or one of its causes must hold.
    pub(crate) must: &'static str,
    /// The name of the sealed file.
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// All of them.
pub(crate) fn all() -> Result<Vec<Case>> {
    let groups =
        [headers(), seals()?, sealed(), volumes()?, archives()?, manifests()?, backups::all()?];
    Ok(groups.into_iter().flatten().collect())
}

fn headers() -> Vec<Case> {
    let good = String::from_utf8_lossy(&Header::of(&package_id(), &key()).to_bytes()).into_owned();
    let case = |file, must, text: String| Case {
        file,
        kind: "header",
        must,
        name: "header.json",
        bytes: text.into_bytes(),
    };
    vec![
        case("header-good", "open", good.clone()),
        case("header-minor-1.9", "open", good.replace("\"1.0\"", "\"1.9\"")),
        case("header-unknown-key", "open", good.replace("\"format\"", "\"extra\":{},\"format\"")),
        case("header-major-2", "refuse: format version", good.replace("\"1.0\"", "\"2.0\"")),
        case("header-critical", "refuse: feature", good.replace("[]", "[\"time-travel\"]")),
        case("header-suite", "refuse: sealed with", good.replace("tink-", "home-made-")),
        case("header-spaces", "refuse: canonical", good.replace(",\"f", ", \"f")),
        case("header-double-key", "refuse: canonical", good.replace('{', "{\"critical\":[],")),
        case("header-line-feed", "refuse: canonical", format!("{good}\n")),
        case("header-empty", "refuse: canonical", String::new()),
    ]
}

fn seals() -> Result<Vec<Case>> {
    let names = ["header.json", "key.age", "volumes/000001.vol", "manifest.sealed"];
    let file = |name: &str| SealedFile {
        name: name.to_owned(),
        sha256: Digest::of(name.as_bytes()),
        size: 100,
    };
    let files = names.map(file).to_vec();
    let good = String::from_utf8(
        Contents { package: package_id(), files, borrowed: Vec::new() }.to_bytes()?,
    )?;
    let volume = {
        let begin = good.find("{\"name\":\"volumes").ok_or("no volume")?;
        let end = good.find("{\"name\":\"manifest").ok_or("no manifest")?;
        good[begin..end].to_owned()
    };
    let case = |file, must, text: String| Case {
        file,
        kind: "seal",
        must,
        name: "seal.json",
        bytes: text.into_bytes(),
    };
    let second = volume.replace("000001", "000003");
    Ok(vec![
        case("seal-good", "open", good.clone()),
        case("seal-without-volumes", "open", good.replace(&volume, "")),
        case(
            "seal-double-volume",
            "refuse: not expected",
            good.replace(&volume, &volume.repeat(2)),
        ),
        case(
            "seal-hole",
            "refuse: not expected",
            good.replace(&volume, &(volume.clone() + &second)),
        ),
        case("seal-traversal", "refuse: not expected", good.replace("volumes/", "../volumes/")),
        case(
            "seal-without-manifest",
            "refuse: not expected",
            good.replace("manifest.", "manifesto."),
        ),
        case(
            "seal-borrowed",
            "refuse: missing field",
            good.replace("\"borrowed\":[]", "\"borrowed\":[{}]"),
        ),
        case("seal-huge-volume", "refuse: more than allowed", good.replace("100", "4294967297")),
        case("seal-float", "refuse: canonical", good.replace("100", "1e2")),
        case("seal-version", "refuse: version", good.replace("\"1.0\"", "\"1.1\"")),
    ])
}

fn sealed() -> Vec<Case> {
    let name = "manifest.sealed";
    let good = seal_bytes(&key(), &package_id(), name, &seal_of(1), b"what is sealed");
    let empty = seal_bytes(&key(), &package_id(), name, &seal_of(2), b"");
    let case = |file, must, bytes| Case { file, kind: "sealed", must, name, bytes };
    let changed = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x80;
        bytes
    };
    let renamed = Case { name: "volumes/000001.vol", ..case("sealed-renamed", SHUT, good.clone()) };
    vec![
        case("sealed-good", "open", good.clone()),
        case("sealed-empty", "open", empty),
        case("sealed-head", "refuse: not a sealed file", changed(0)),
        case("sealed-salt", SHUT, changed(1)),
        case("sealed-prefix", SHUT, changed(39)),
        case("sealed-content", SHUT, changed(40)),
        case("sealed-tag", SHUT, changed(good.len() - 1)),
        case("sealed-shorter", SHUT, good[..good.len() - 1].to_vec()),
        case("sealed-longer", SHUT, [good.as_slice(), b"\0"].concat()),
        case("sealed-head-only", "refuse: cut off", good[..40].to_vec()),
        renamed,
    ]
}

const SHUT: &str = "refuse: damaged in segment 0";
const VOLUME: &str = "volumes/000001.vol";

fn volumes() -> Result<Vec<Case>> {
    let case = |file, must, bytes| Case { file, kind: "volume", must, name: VOLUME, bytes };
    let lines = b"{\"event_id\":\"$one\"}\n{\"event_id\":\"$two\"}\n";
    let mut good = Vec::new();
    let mut packer = VolumePacker::begin(&key(), &package_id(), 1, &seal_of(3), &mut good);
    let events = EntryPath::parse("rooms/000001-1/events.0001.jsonl.zst")?;
    packer.add(&events, &compress(lines, 3)?, Count::of(lines), &mut good)?;
    packer.add(&EntryPath::parse("a")?, b"content", Count::default(), &mut good)?;
    packer.finish(&mut good)?;
    let mut empty = Vec::new();
    VolumePacker::begin(&key(), &package_id(), 1, &seal_of(4), &mut empty).finish(&mut empty)?;
    let swapped = Case { name: "volumes/000002.vol", ..case("volume-renamed", SHUT, good.clone()) };
    Ok(vec![case("volume-good", "open", good), case("volume-empty", "open", empty), swapped])
}

/// Volumes that open, but hold what no writer writes.
fn archives() -> Result<Vec<Case>> {
    let line = |path: &str, offset: u64, records: u64| {
        let sha256 = Digest::of(b"x");
        format!(
            "{{\"path\":\"{path}\",\"offset\":{offset},\"length\":1,\"sha256\":\"{sha256}\",\
             \"records\":{records},\"raw\":0}}\n"
        )
    };
    let index = |text: &str| compress(text.as_bytes(), 3);
    let right = index(&line("a", 512, 0))?;
    let good = archive(&[("a", b"x"), (INDEX_PATH, &right)]);
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let listed = |text: &str| {
        Ok::<_, Box<dyn std::error::Error>>(archive(&[("a", b"x"), (INDEX_PATH, &index(text)?)]))
    };
    let records = "rooms/000001-1/a.0001.jsonl.zst";
    let bomb = compress(&vec![b'\n'; (16 << 20) + 1], 19)?;
    let blob = format!("media/sha256/00/{}", "0".repeat(64));
    let cases = [
        ("archive-no-index", "refuse: no index", archive(&[("a", b"x")])),
        ("archive-twice", "refuse: twice", archive(&[("a", b"x"), ("a", b"x")])),
        (
            "archive-behind-index",
            "refuse: behind the index",
            archive(&[(INDEX_PATH, &index("")?), ("a", b"x")]),
        ),
        ("archive-traversal", "refuse: path is not allowed", archive(&[("../a", b"x")])),
        ("archive-absolute", "refuse: path is not allowed", archive(&[("/etc/passwd", b"x")])),
        ("archive-capitals", "refuse: path is not allowed", archive(&[("A", b"x")])),
        ("archive-symlink", "refuse: header", changed(156, b'2')),
        ("archive-mode", "refuse: header", changed(104, b'7')),
        ("archive-padding", "refuse: padding", changed(600, 1)),
        ("archive-cut", "refuse: ends too early", good[..good.len() - 512].to_vec()),
        ("archive-more", "refuse: behind its end", [good.as_slice(), &[0; 512]].concat()),
        ("archive-empty", "refuse: ends too early", Vec::new()),
        ("archive-bomb", "refuse: are allowed", archive(&[(records, &bomb)])),
        ("archive-not-records", "refuse: Zstandard", archive(&[(records, b"{}\n")])),
        ("archive-blob-name", "refuse: sum in the name", archive(&[(&blob, b"x")])),
        (
            "archive-large",
            "refuse: larger than allowed",
            header("a", (16 << 20) + 1).ok_or("header")?.to_vec(),
        ),
        ("index-offset", "refuse: does not agree", listed(&line("a", 513, 0))?),
        ("index-path", "refuse: does not agree", listed(&line("b", 512, 0))?),
        ("index-records", "refuse: does not agree", listed(&line("a", 512, 1))?),
        ("index-missing-line", "refuse: does not agree", listed("")?),
        ("index-extra-line", "refuse: does not agree", listed(&line("a", 512, 0).repeat(2))?),
        ("index-not-json", "refuse: line 1 of the index", listed("path=a\n")?),
    ];
    Ok(cases
        .into_iter()
        .map(|(file, must, plaintext)| {
            let bytes = seal_bytes(&key(), &package_id(), VOLUME, &seal_of(5), &plaintext);
            Case { file, kind: "volume", must, name: VOLUME, bytes }
        })
        .collect())
}

fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, content) in members {
        let size = content.len() as u64;
        bytes.extend(header(name, size).into_iter().flatten());
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len() + padding(size), 0);
    }
    bytes.extend_from_slice(&END);
    bytes
}

fn manifests() -> Result<Vec<Case>> {
    let good = String::from_utf8(small_manifest(Vec::new(), Vec::new()).to_canonical()?)?;
    let case = |file, must, text: &str| {
        let bytes = compress(text.as_bytes(), 3)?;
        Ok::<_, Box<dyn std::error::Error>>(Case {
            file,
            kind: "manifest",
            must,
            name: "manifest.sealed",
            bytes,
        })
    };
    let change = |from: &str, to: &str| good.replacen(from, to, 1);
    let bomb = "{".to_owned() + &" ".repeat(64 << 20);
    Ok(vec![
        case("manifest-good", "open", &good)?,
        case("manifest-unknown-key", "open", &change("{", "{\"a_key_of_1.9\":[null],"))?,
        case("manifest-critical", "refuse: feature", &change("[]", "[\"time-travel\"]"))?,
        case(
            "manifest-type",
            "refuse: contradicts",
            &change("org.lifeboat.manifest", "m.room.message"),
        )?,
        case(
            "manifest-unsigned",
            "refuse: contradicts",
            &change("\"version\"", "\"unsigned\":{},\"version\""),
        )?,
        case("manifest-unsorted", "refuse: canonical", &change("{", "{\"z\":1,"))?,
        case("manifest-float", "refuse: canonical", &change("\"total\":0", "\"total\":0.0"))?,
        case("manifest-miscounted", "refuse: contradicts", &change("\"total\":0", "\"total\":1"))?,
        case("manifest-bomb", "refuse: are allowed", &bomb)?,
        case(
            "manifest-deep",
            "refuse: nested too deep",
            &change("{", &format!("{{\"a\":{}{},", "[".repeat(200), "]".repeat(200))),
        )?,
    ])
}
