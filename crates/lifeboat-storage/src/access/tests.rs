//! Patience in numbers.

use super::*;

#[test]
fn the_usual_patience_bridges_the_restart_of_a_store_and_ends() {
    let usual = Patience::USUAL;
    let total: Duration = (1..usual.attempts).map(|failures| usual.pause(failures)).sum();
    assert!((45..60).contains(&total.as_secs()), "{total:?}");
    assert_eq!(usual.pause(u32::MAX), usual.longest_pause);
}

#[test]
fn only_variables_of_object_stores_are_kept() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let access = Access::new([
        pair("AWS_REGION", "eu-1"),
        pair("AWS_PROXY_URL", ""),
        pair("PGPASSWORD", "secret"),
    ]);
    assert_eq!(access.get("AWS_REGION"), Some("eu-1"));
    assert_eq!((access.get("AWS_PROXY_URL"), access.get("PGPASSWORD")), (None, None));
    assert_eq!(access.lower_case("AWS_").collect::<Vec<_>>(), [("aws_region".into(), "eu-1")]);
}

#[test]
fn variables_named_apart_stand_in_for_all_others() {
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let both = [pair("AWS_ACCESS_KEY_ID", "a"), pair("AWS_SESSION_TOKEN", "b")];
    let alone = Access::named_apart(&both, "APART_");
    assert_eq!(alone.get("AWS_SESSION_TOKEN"), Some("b"));
    let apart = [&both[..], &[pair("APART_AWS_ACCESS_KEY_ID", "c")]].concat();
    let apart = Access::named_apart(&apart, "APART_").with("AWS_REGION", "r");
    assert_eq!(apart.get("AWS_ACCESS_KEY_ID"), Some("c"));
    assert_eq!((apart.get("AWS_SESSION_TOKEN"), apart.get("AWS_REGION")), (None, Some("r")));
}
