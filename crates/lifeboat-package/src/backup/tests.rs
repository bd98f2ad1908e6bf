//! Records of older programs.

use super::DatabaseRecord;

#[test]
fn record_of_a_database_from_before_rights_were_kept_is_read_and_written_as_it_was() {
    let line = r#"{"database":"main","engine":"postgresql","facts":{"name":"synapse"},"#.to_owned()
        + r#""pre_data":{"segments":[]},"post_data":{"segments":[]},"sequences":[],"file":null}"#;
    let record: DatabaseRecord = serde_json::from_str(&line).unwrap();
    assert_eq!(record.rights, None);
    assert_eq!(serde_json::to_string(&record).unwrap(), line);
}
