//! Every committed vector: each begins with lines that say what must happen.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use lifeboat_package::contents::Contents;
use lifeboat_package::header::Header;
use lifeboat_package::id::{PackageId, parse_volume_name};
use lifeboat_package::key::PackageKey;
use lifeboat_package::manifest::Manifest;
use lifeboat_package::seal::open_bytes;
use lifeboat_package::unpack::VolumeUnpacker;

use crate::independent;

type Outcome = Result<(), Box<dyn Error>>;

struct Case<'a> {
    fields: BTreeMap<&'a str, &'a str>,
    body: &'a [u8],
}

impl<'a> Case<'a> {
    fn parse(bytes: &'a [u8]) -> Self {
        let end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap();
        let head = str::from_utf8(&bytes[..end]).unwrap();
        let fields = head.lines().map(|line| line.split_once(": ").unwrap()).collect();
        Self { fields, body: &bytes[end + 2..] }
    }

    fn key(&self) -> [u8; 32] {
        let hex = self.fields["key"];
        std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
    }

    fn read(&self) -> Outcome {
        let (key, name) = (PackageKey::from_bytes(self.key()), self.fields["name"]);
        let package = PackageId::parse(self.fields["package"])?;
        match self.fields["kind"] {
            "header" => Ok(Header::parse(self.body)?.check_key(&key)?),
            "seal" => Ok(Contents::parse(self.body).map(drop)?),
            "sealed" => Ok(open_bytes(&key, &package, name, self.body).map(drop)?),
            "manifest" => Ok(Manifest::from_frame(self.body).map(drop)?),
            "volume" => {
                let number = parse_volume_name(name).ok_or("not a volume's name")?;
                let mut unpacker = VolumeUnpacker::begin(&key, &package, number);
                let mut entries = Vec::new();
                unpacker.feed(self.body, &mut entries)?;
                unpacker.finish(&mut entries)?;
                Ok(())
            }
            other => Err(format!("no such kind: {other}").into()),
        }
    }
}

/// The words of an error and of everything that caused it.
fn words(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}

fn problem(case: &Case<'_>) -> Option<String> {
    let must = case.fields["must"];
    match (case.read(), must.strip_prefix("refuse: ")) {
        (Ok(()), None) if must == "open" => None,
        (Err(error), Some(expected)) => {
            let words = words(error.as_ref());
            (!words.contains(expected)).then(|| format!("{expected:?} is not in {words:?}"))
        }
        (Ok(()), _) => Some("was not refused".to_owned()),
        (Err(error), None) => Some(format!("was refused: {}", words(error.as_ref()))),
    }
}

#[test]
fn every_vector_is_read_or_refused_as_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/cases");
    let (mut problems, mut count) = (Vec::new(), 0);
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let case = Case::parse(&bytes);
        problems.extend(problem(&case).map(|problem| format!("{}: {problem}", path.display())));
        count += 1;
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(count >= 79, "{count} vectors");
}

/// The decoder of other crates agrees on which sealed files open.
#[test]
fn the_independent_decoder_says_the_same_of_sealed_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/cases");
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let case = Case::parse(&bytes);
        if case.fields["kind"] == "sealed" {
            let (package, name) = (case.fields["package"], case.fields["name"]);
            let opened = independent::open(&case.key(), package, name, case.body);
            assert_eq!(opened.is_some(), case.fields["must"] == "open", "{}", path.display());
        }
    }
}
