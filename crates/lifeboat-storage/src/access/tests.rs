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
