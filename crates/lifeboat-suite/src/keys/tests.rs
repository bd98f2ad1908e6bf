//! What was probably meant.

use super::*;

#[test]
fn nearest_key_is_told_unless_it_is_far() {
    let names = || TOP.keys.iter().map(|key| key.name);
    assert_eq!(nearest("recipient", names()), Some("recipients"));
    assert_eq!(nearest("valut", names()), Some("vault"));
    assert_eq!(nearest("retension", names()), Some("retention"));
    assert_eq!(nearest("servername", names()), Some("server_name"));
    assert_eq!(nearest("passwords", names()), None);
    assert_eq!(nearest(&"x".repeat(100), names()), None);
}

#[test]
fn every_kind_and_bridge_of_the_file_is_one_of_ours() {
    for word in KINDS.iter().chain(BRIDGES).filter(|word| **word != "bridge") {
        let kind = crate::Kind::labelled(word).expect(word);
        assert_eq!(kind.label(), *word);
    }
    assert_eq!(crate::Kind::ALL.len(), KINDS.len() - 1 + BRIDGES.len());
}
