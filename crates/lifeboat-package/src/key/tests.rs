//! The key's text form and check value.

use super::*;

fn package() -> PackageId {
    PackageId::from_bytes([0x11; 16])
}

#[test]
fn key_text_reads_back() {
    let text = PackageKey::from_bytes([0xa5; 32]).to_key_text(&package());
    let expected = format!("lifeboat-package-key/1.0 {} {}\n", "11".repeat(16), "a5".repeat(32));
    assert_eq!(*text, expected);
    let key = PackageKey::parse_key_text(&text, &package()).map_err(|e| e.to_string()).unwrap();
    assert!(*key.as_bytes() == [0xa5; 32]);
}

#[test]
fn key_text_of_another_package_is_refused() {
    let text = PackageKey::from_bytes([1; 32]).to_key_text(&PackageId::from_bytes([2; 16]));
    let error = PackageKey::parse_key_text(&text, &package()).err();
    assert!(matches!(error, Some(KeyTextError::OtherPackage { .. })));
}

#[test]
fn anything_but_the_one_line_is_refused() {
    let text = PackageKey::from_bytes([1; 32]).to_key_text(&package());
    let line = text.trim_end();
    for text in
        [line, &format!("{line}\n\n"), &format!(" {line}\n"), &line.to_uppercase(), "\n", ""]
    {
        let error = PackageKey::parse_key_text(text, &package()).err();
        assert_eq!(error, Some(KeyTextError::Malformed), "{text:?}");
    }
}

#[test]
fn key_check_commits_to_key_and_package() {
    let check = PackageKey::from_bytes([1; 32]).key_check(&package());
    assert_ne!(check, PackageKey::from_bytes([2; 32]).key_check(&package()));
    assert_ne!(check, PackageKey::from_bytes([1; 32]).key_check(&PackageId::from_bytes([1; 16])));
}
