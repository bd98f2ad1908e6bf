//! Pauses, and what a proof looks like.

use super::{MemberProof, Method, Proof, pause};

#[test]
fn pauses_double_up_to_the_longest_and_chance_moves_them() {
    let millis = |tries, random| pause(tries, random).as_millis();
    assert_eq!((millis(1, 0), millis(1, 19)), (10, 29));
    assert_eq!((millis(2, 0), millis(3, 0)), (20, 40));
    assert_eq!((millis(60, 0), millis(60, 1999)), (1000, 2999));
}

#[test]
fn proof_is_written_as_the_format_says_and_read_again() {
    let proof = Proof {
        method: Method::SnapshotEquality,
        tries: 3,
        window_micros: 180,
        opened_at: "2026-03-01T12:00:00.000Z".to_owned(),
        reason: None,
        members: vec![MemberProof {
            name: "synapse".to_owned(),
            database: "matrix".to_owned(),
            snapshot_text: "7:9:7".to_owned(),
            lsn: Some("0/1".to_owned()),
            system_identifier: None,
        }],
    };
    let text = serde_json::to_string(&proof).unwrap();
    let expected = concat!(
        r#"{"method":"snapshot-equality","tries":3,"window_micros":180,"#,
        r#""opened_at":"2026-03-01T12:00:00.000Z","members":[{"name":"synapse","#,
        r#""database":"matrix","snapshot_text":"7:9:7","lsn":"0/1"}]}"#,
    );
    assert_eq!(text, expected);
    assert_eq!(serde_json::from_str::<Proof>(&text).unwrap(), proof);
}
