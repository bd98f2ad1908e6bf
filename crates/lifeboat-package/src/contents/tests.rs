//! What a reader accepts and refuses of `seal.json`.

use super::*;

fn contents(volumes: u32) -> Contents {
    let file = |name: &str| SealedFile { name: name.to_owned(), sha256: Digest::of(b""), size: 9 };
    let mut files = vec![file("header.json"), file("key.age")];
    files.extend((1..=volumes).map(|number| file(&crate::id::volume_name(number))));
    files.push(file("manifest.sealed"));
    Contents { package: PackageId::from_bytes([1; 16]), files, borrowed: Vec::new() }
}

#[test]
fn contents_read_back() {
    for volumes in [0, 1, 12] {
        let written = contents(volumes);
        let read = Contents::parse(&written.to_bytes().unwrap()).unwrap();
        assert_eq!(read, written);
        assert_eq!(read.volumes().len(), volumes as usize);
    }
    let bytes = contents(0).to_bytes().unwrap();
    assert!(bytes.starts_with(br#"{"borrowed":[],"files":[{"name":"header.json","sha256":""#));
}

#[test]
fn files_missing_doubled_or_out_of_order_are_refused() {
    for at in 0..6 {
        let mut missing = contents(3);
        missing.files.remove(at);
        let is_last_volume = at == 4;
        assert_eq!(missing.to_bytes().is_ok(), is_last_volume, "without file {at}");
        let mut doubled = contents(3);
        doubled.files.insert(at, doubled.files[at].clone());
        assert!(doubled.to_bytes().is_err(), "twice file {at}");
    }
    let mut more = contents(3);
    more.files.push(SealedFile { name: "seal.json".to_owned(), ..more.files[0].clone() });
    assert!(matches!(more.to_bytes(), Err(ContentsError::Order { name }) if name == "seal.json"));
    more.files.pop();
    more.files[2].size = VOLUME_BYTES + 1;
    assert!(matches!(more.to_bytes(), Err(ContentsError::Size { .. })));
}

#[test]
fn other_formats_and_borrowed_volumes_are_refused() {
    let text = String::from_utf8(contents(1).to_bytes().unwrap()).unwrap();
    let parse = |from: &str, to: &str| Contents::parse(text.replace(from, to).as_bytes());
    assert!(matches!(parse("lifeboat-seal", "x"), Err(ContentsError::Version { .. })));
    assert!(matches!(parse("\"1.0\"", "\"2.0\""), Err(ContentsError::Version { .. })));
    assert!(matches!(parse("\"1.0\"", "\"1.1\""), Err(ContentsError::Version { .. })));
    assert!(matches!(parse("\"borrowed\":[]", "\"borrowed\":[{}]"), Err(ContentsError::Json(_))));
    assert!(matches!(parse("\"size\":9", "\"size\":9.0"), Err(ContentsError::Canonical(_))));
}
