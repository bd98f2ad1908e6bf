//! The list of what was erased, as vaults hold it.

use lifeboat_components::synapse::erasures::Erasures;

#[test]
fn a_list_of_an_older_writer_is_read_and_says_nothing_about_up_to_where() {
    let old = r#"{"erased":[],"deactivated":[],"redacted":[],
        "purged":[{"room":"!a:example.org","what":"history"}]}"#;
    let erasures: Erasures = serde_json::from_str(old).unwrap();
    let purge = erasures.purged.first().unwrap();
    assert_eq!(purge.before, None);
    assert!(!serde_json::to_string(purge).unwrap().contains("before"));
}
