//! Retention by tables and by properties.

use proptest::prelude::*;

use super::*;

const DAY: i64 = 86_400;
/// 2026-06-15 12:00 UTC, a Monday.
const NOON: i64 = 1_781_524_800;

fn backup(id: &str, at: i64) -> Dated {
    Dated { id: id.to_owned(), at, verified: false, wrong: false, pinned: false }
}

fn kept(backups: &[Dated], policy: &Retention) -> Vec<String> {
    let verdicts = keep(backups, policy, &Zone::utc(), NOON);
    verdicts.into_iter().filter(|verdict| verdict.keep).map(|verdict| verdict.id).collect()
}

fn reasons(backups: &[Dated], policy: &Retention, id: &str) -> Vec<String> {
    let verdicts = keep(backups, policy, &Zone::utc(), NOON);
    verdicts.into_iter().find(|verdict| verdict.id == id).unwrap().reasons
}

/// One a day at noon, d0 today.
fn days(count: i64) -> Vec<Dated> {
    (0..count).map(|day| backup(&format!("d{day}"), NOON - day * DAY)).collect()
}

#[test]
fn each_line_of_the_policy_keeps_its_newest() {
    let nothing = Retention::default();
    let check =
        |policy: Retention, expected: &[&str]| assert_eq!(kept(&days(20), &policy), expected);
    check(Retention { last: 3, ..nothing }, &["d0", "d1", "d2"]);
    check(Retention { daily: 2, ..nothing }, &["d0", "d1"]);
    // Weeks begin on Monday, and today is one.
    check(Retention { weekly: 3, ..nothing }, &["d0", "d1", "d8"]);
    check(Retention { monthly: 2, ..nothing }, &["d0", "d15"]);
    check(Retention { yearly: 5, ..nothing }, &["d0"]);
    check(Retention { within_seconds: 2 * 86_400, ..nothing }, &["d0", "d1", "d2"]);
}

#[test]
fn one_found_wrong_takes_the_place_of_none_that_was_not() {
    let hour = 3_600;
    let mut backups = vec![
        backup("new-wrong", NOON - hour),
        backup("new-good", NOON - 2 * hour),
        backup("only-wrong", NOON - DAY),
        backup("old-wrong", NOON - 2 * DAY + hour),
        backup("old-good", NOON - 2 * DAY),
        backup("older", NOON - 3 * DAY),
    ];
    for one in backups.iter_mut().filter(|one| one.id.ends_with("wrong")) {
        one.wrong = true;
    }
    let check =
        |policy: Retention, expected: &[&str]| assert_eq!(kept(&backups, &policy), expected);
    let nothing = Retention::default();
    // The newest stays; a day that has only a wrong one is no day of the two.
    let daily = Retention { daily: 2, ..nothing };
    check(daily, &["new-wrong", "new-good", "only-wrong", "old-good"]);
    check(Retention { monthly: 1, ..nothing }, &["new-wrong", "new-good"]);
    check(Retention { last: 1, ..nothing }, &["new-wrong", "new-good"]);
    check(Retention { within_seconds: 1, ..nothing }, &["new-wrong", "new-good"]);
    let wrong = "but its newest check found it wrong";
    assert_eq!(reasons(&backups, &daily, "new-wrong"), ["newest", wrong]);
    assert_eq!(reasons(&backups, &daily, "only-wrong"), ["daily 2026-06-14", wrong]);
}

#[test]
fn several_of_an_hour_count_once() {
    let backups: Vec<Dated> =
        (0..6).map(|at| backup(&format!("m{at}"), NOON + 50 * 60 - at * 20 * 60)).collect();
    let policy = Retention { hourly: 2, ..Retention::default() };
    let verdicts = keep(&backups, &policy, &Zone::utc(), NOON + 3_600);
    let kept: Vec<_> = verdicts.iter().filter(|verdict| verdict.keep).map(|v| &v.id).collect();
    assert_eq!(kept, ["m0", "m3"]);
    assert_eq!(verdicts[3].reasons, ["hourly 2026-06-15T11"]);
}

#[test]
fn an_hour_that_the_clock_shows_twice_is_two() {
    // 25 October 2026 in Berlin: 02:30 summer time, and 02:30 an hour later.
    let first: i64 = 1_792_888_200;
    let backups: Vec<Dated> =
        [("before", first - 3_600), ("first", first), ("again", first + 3_600)]
            .map(|(id, at)| backup(id, at))
            .to_vec();
    let policy = Retention { hourly: 3, ..Retention::default() };
    let berlin: Zone = "Europe/Berlin".parse().unwrap();
    let verdicts = keep(&backups, &policy, &berlin, first + DAY);
    let reasons: Vec<&str> =
        verdicts.iter().map(|verdict| verdict.reasons.last().unwrap().as_str()).collect();
    let hours = ["01", "02 at UTC+02", "02 at UTC+01"];
    assert_eq!(reasons, hours.map(|hour| format!("hourly 2026-10-25T{hour}")));
}

#[test]
fn a_day_is_one_of_the_time_zone() {
    // 23:30 and 00:30 in Berlin: two days there, one in UTC.
    let late = NOON - DAY + 9 * 3_600 + 1_800;
    let backups = [backup("late", late), backup("early", late + 3_600), backup("now", NOON)];
    let policy = Retention { daily: 3, ..Retention::default() };
    assert_eq!(kept(&backups, &policy), ["early", "now"]);
    let berlin = keep(&backups, &policy, &"Europe/Berlin".parse().unwrap(), NOON);
    assert_eq!(berlin.iter().map(|verdict| verdict.keep).collect::<Vec<_>>(), [true, false, true]);
}

#[test]
fn what_is_dated_after_now_stays_and_takes_nobodys_place() {
    let mut backups = days(3);
    backups.push(backup("tomorrow", NOON + DAY));
    let policy = Retention { last: 1, ..Retention::default() };
    assert_eq!(kept(&backups, &policy), ["d0", "tomorrow"]);
    assert_eq!(reasons(&backups, &policy, "tomorrow"), ["dated after now"]);
}

#[test]
fn newest_verified_one_stays_however_old() {
    let mut backups = days(30);
    backups[20].verified = true;
    backups[25].verified = true;
    backups[28].pinned = true;
    let policy = Retention { last: 2, ..Retention::default() };
    assert_eq!(kept(&backups, &policy), ["d0", "d1", "d20", "d28"]);
    assert_eq!(reasons(&backups, &policy, "d20"), ["newest verified"]);
    assert_eq!(reasons(&backups, &policy, "d28"), ["pinned"]);
}

#[test]
fn newest_stays_where_the_policy_would_leave_nothing() {
    let backups = [backup("old", NOON - 400 * DAY), backup("older", NOON - 500 * DAY)];
    let policy = Retention { within_seconds: 3_600, ..Retention::default() };
    assert_eq!(kept(&backups, &policy), ["old"]);
}

#[test]
fn no_policy_forgets_nothing() {
    assert_eq!(kept(&days(9), &Retention::default()).len(), 9);
}

fn policies() -> impl Strategy<Value = Retention> {
    let few = || 0_u32..4;
    let within = prop_oneof![Just(0), 0_u64..30 * 86_400];
    (few(), few(), few(), few(), (few(), few()), within).prop_map(
        |(last, hourly, daily, weekly, (monthly, yearly), within_seconds)| Retention {
            last,
            hourly,
            daily,
            weekly,
            monthly,
            yearly,
            within_seconds,
        },
    )
}

fn histories() -> impl Strategy<Value = Vec<Dated>> {
    let state = prop::sample::select(vec![(true, false), (false, true), (false, false)]);
    let one = (-400 * DAY..3 * DAY, state, prop::bool::weighted(0.1));
    prop::collection::vec(one, 0..40).prop_map(|all| {
        let named = all.into_iter().enumerate();
        named
            .map(|(number, (at, (verified, wrong), pinned))| Dated {
                id: format!("b{number}"),
                at: NOON + at,
                verified,
                wrong,
                pinned,
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn what_must_stay_stays(backups in histories(), policy in policies()) {
        let verdicts = keep(&backups, &policy, &Zone::utc(), NOON);
        prop_assert_eq!(verdicts.len(), backups.len());
        let newest = |is_it: fn(&Dated) -> bool| {
            let all = backups.iter().filter(|b| b.at <= NOON && is_it(b));
            all.max_by_key(|b| (b.at, b.id.clone())).map(|b| &b.id)
        };
        for (backup, verdict) in backups.iter().zip(&verdicts) {
            prop_assert_eq!(&backup.id, &verdict.id);
            prop_assert_eq!(verdict.keep, !verdict.reasons.is_empty());
            let must = backup.pinned
                || backup.at > NOON
                || newest(|_| true) == Some(&backup.id)
                || newest(|b| b.verified) == Some(&backup.id)
                || newest(|b| !b.wrong) == Some(&backup.id);
            prop_assert!(verdict.keep || !must);
        }
    }

    /// Forgetting twice forgets no more than once; otherwise prune would eat its way down.
    #[test]
    fn what_was_kept_is_kept_again(backups in histories(), policy in policies()) {
        let verdicts = keep(&backups, &policy, &Zone::utc(), NOON);
        let left: Vec<Dated> = backups
            .into_iter()
            .zip(verdicts)
            .filter(|(_, verdict)| verdict.keep)
            .map(|(backup, _)| backup)
            .collect();
        prop_assert!(keep(&left, &policy, &Zone::utc(), NOON).iter().all(|verdict| verdict.keep));
    }

    #[test]
    fn order_given_does_not_matter(backups in histories(), policy in policies()) {
        let mut there = keep(&backups, &policy, &Zone::utc(), NOON);
        let mut turned = backups;
        turned.reverse();
        let mut back = keep(&turned, &policy, &Zone::utc(), NOON);
        there.sort_by(|a, b| a.id.cmp(&b.id));
        back.sort_by(|a, b| a.id.cmp(&b.id));
        prop_assert_eq!(there, back);
    }
}
