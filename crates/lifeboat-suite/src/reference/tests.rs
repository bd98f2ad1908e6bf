//! The page and the schema are those of the reader.

use std::path::Path;

use super::*;

#[test]
fn reference_page_is_up_to_date() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/reference/lifeboat-yaml.md");
    lifeboat_testing::page::assert_fresh(&path, &markdown());
}

#[test]
fn schema_knows_every_key_and_no_other() {
    let schema = schema();
    let at = |path: &str| schema.pointer(path).unwrap_or_else(|| panic!("{path} is missing"));
    for key in crate::keys::COMMANDS.keys {
        at(&format!("/properties/components/items/properties/commands/properties/{}", key.name));
    }
    for key in crate::keys::RETENTION.keys {
        at(&format!("/properties/retention/properties/{}", key.name));
    }
    let items = "/properties/components/items";
    assert_eq!(at(&format!("{items}/additionalProperties")), &json!(false));
    assert_eq!(at(&format!("{items}/required")), &json!(["kind"]));
    assert_eq!(at("/required"), &json!(["server_name", "vault", "components"]));
}
