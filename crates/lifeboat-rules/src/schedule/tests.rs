//! Due times by tables, on days when clocks jump too, and by properties.

use proptest::prelude::*;

use super::*;

fn berlin() -> Zone {
    "Europe/Berlin".parse().unwrap()
}

fn at(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_second()
}

fn shown(at: Option<i64>) -> String {
    at.map_or("never".to_owned(), |at| Timestamp::from_second(at).unwrap().to_string())
}

#[test]
fn next_due_time_is_that_of_the_wall_clock() {
    let check = |cron: &str, after: &str, expected: &str| {
        let cron: Cron = cron.parse().unwrap();
        assert_eq!(shown(cron.next(at(after), &berlin())), expected, "{cron} after {after}");
    };
    check("15 3 * * *", "2026-01-10T00:00:00Z", "2026-01-10T02:15:00Z");
    check("15 3 * * *", "2026-01-10T02:15:00Z", "2026-01-11T02:15:00Z");
    check("*/20 * * * *", "2026-01-10T00:01:00Z", "2026-01-10T00:20:00Z");
    check("10/20 * * * *", "2026-01-10T00:11:00Z", "2026-01-10T00:30:00Z");
    check("0 4 * * sun", "2026-01-10T12:00:00Z", "2026-01-11T03:00:00Z");
    check("0 4 * * 7", "2026-01-10T12:00:00Z", "2026-01-11T03:00:00Z");
    check("0 4 1 jan,JUL *", "2026-01-10T12:00:00Z", "2026-07-01T02:00:00Z");
    check("0 0 29 2 *", "2026-01-10T12:00:00Z", "2028-02-28T23:00:00Z");
    // Both kinds of day: either is enough.
    check("0 12 13 * fri", "2026-01-10T12:00:00Z", "2026-01-13T11:00:00Z");
    check("0 12 13 * fri", "2026-01-13T12:00:00Z", "2026-01-16T11:00:00Z");
    check("@daily", "2026-01-10T12:00:00Z", "2026-01-10T23:00:00Z");
}

#[test]
fn time_that_clocks_skip_is_due_when_the_skip_ends() {
    // On 2026-03-29 Berlin's clocks go from 02:00 to 03:00, at 01:00 UTC.
    let cron: Cron = "30 2 * * *".parse().unwrap();
    let due = cron.next(at("2026-03-28T12:00:00Z"), &berlin());
    assert_eq!(shown(due), "2026-03-29T01:00:00Z");
    assert_eq!(shown(cron.next(due.unwrap(), &berlin())), "2026-03-30T00:30:00Z");
    assert_eq!(shown(cron.previous(at("2026-03-29T12:00:00Z"), &berlin())), "2026-03-29T01:00:00Z");
}

#[test]
fn time_that_clocks_show_twice_is_due_once() {
    // On 2026-10-25 Berlin's clocks go from 03:00 back to 02:00, at 01:00 UTC.
    let cron: Cron = "30 2 * * *".parse().unwrap();
    let due = cron.next(at("2026-10-24T12:00:00Z"), &berlin());
    assert_eq!(shown(due), "2026-10-25T00:30:00Z");
    assert_eq!(shown(cron.next(due.unwrap(), &berlin())), "2026-10-26T01:30:00Z");
    assert_eq!(shown(cron.previous(at("2026-10-25T12:00:00Z"), &berlin())), "2026-10-25T00:30:00Z");
}

#[test]
fn a_run_is_due_when_a_time_passed_since_the_last() {
    let cron: Cron = "15 3 * * *".parse().unwrap();
    let now = at("2026-01-10T12:00:00Z");
    let due = |last: &str| cron.is_due(Some(at(last)), now, &berlin());
    assert!(due("2026-01-10T02:14:59Z"));
    assert!(!due("2026-01-10T02:15:00Z"), "the run that began on time is the run");
    assert!(cron.is_due(None, now, &berlin()));
}

#[test]
fn a_due_time_may_be_many_years_away() {
    // A seventh day of March, counted from the first, that is a Tuesday.
    let cron: Cron = "0 3 */7 3 2".parse().unwrap();
    assert_eq!(
        cron.next(at("2022-04-01T00:00:00Z"), &"UTC".parse().unwrap()),
        Some(at("2033-03-01T03:00:00Z"))
    );
    assert_eq!(
        cron.previous(at("2033-02-01T00:00:00Z"), &"UTC".parse().unwrap()),
        Some(at("2022-03-29T03:00:00Z"))
    );
}

#[test]
fn what_is_no_schedule_says_why() {
    let check = |text: &str, expected: &str| {
        let error = text.parse::<Cron>().unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    };
    check("", "five fields");
    check("1 2 3 4", "five fields");
    check("1 2 3 4 5 6", "five fields");
    check("60 * * * *", "no minute");
    check("* 24 * * *", "no hour");
    check("* * 0 * *", "no day of the month");
    check("* * * 13 *", "no month");
    check("* * * * 8", "no day of the week");
    check("5-1 * * * *", "no minute");
    check("*/0 * * * *", "no minute");
    check("+5 * * * *", "no minute");
    check("1, * * * *", "no minute");
    check("0 0 30 2 *", "never due");
    check("0 0 31 4,6,9,11 *", "never due");
    assert!("Europe/Atlantis".parse::<Zone>().is_err());
}

#[test]
fn every_zone_name_is_in_the_program_itself() {
    for name in ["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kolkata"]
    {
        assert_eq!(name.parse::<Zone>().unwrap().name(), name);
    }
}

fn crons() -> impl Strategy<Value = Cron> {
    let field = |low: u8, high: u8| {
        prop_oneof![
            3 => Just("*".to_owned()),
            3 => (low..=high).prop_map(|number| number.to_string()),
            1 => (1..=high).prop_map(|step| format!("*/{step}")),
            1 => (low..=high, low..=high)
                .prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        ]
    };
    (field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6))
        .prop_map(|(m, h, d, mo, w)| format!("{m} {h} {d} {mo} {w}").parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn next_and_previous_agree(
        cron in crons(),
        now in 1_700_000_000_i64..1_900_000_000,
        zone in prop_oneof![Just("UTC"), Just("Europe/Berlin"), Just("Australia/Lord_Howe")],
    ) {
        let zone: Zone = zone.parse().unwrap();
        let next = cron.next(now, &zone).unwrap();
        prop_assert!(next > now);
        prop_assert_eq!(cron.previous(next, &zone), Some(next));
        let previous = cron.previous(now, &zone).unwrap();
        prop_assert!(previous <= now);
        // Nothing falls between the two.
        prop_assert_eq!(cron.next(previous, &zone), Some(next));
        prop_assert_eq!(cron.previous(next - 1, &zone), Some(previous));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,40}") {
        text.parse::<Cron>().ok();
        text.parse::<Zone>().ok();
    }
}
