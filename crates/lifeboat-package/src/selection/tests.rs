//! Picks, patterns, ranges, and the normal form.

use proptest::prelude::*;

use super::*;

fn pick(text: &str) -> RoomPick {
    text.parse().unwrap()
}

#[test]
fn every_way_to_name_rooms_is_read_and_printed_back() {
    for text in
        ["!a:b", "!v12opaque", "#alias:b", "@user:b", "space:!a:b", "space:#s:b", "name:Board *"]
    {
        assert_eq!(pick(text).to_string(), text);
    }
    assert_eq!(pick("space:!a:b"), RoomPick::Space("!a:b".to_owned()));
    assert_eq!(pick("@user:b"), RoomPick::Of("@user:b".to_owned()));
}

#[test]
fn what_names_no_rooms_or_users_is_refused() {
    let long = format!("!{}:b", "a".repeat(300));
    for text in ["", "a:b", "!", "#alias", "@user", "#:b", "space:@u:b", "! a:b", "name:", &long] {
        assert!(text.parse::<RoomPick>().is_err(), "{text:?}");
    }
    for text in ["", "@", "user:b", "@user", "@us er:b", "!a:b"] {
        assert!(text.parse::<UserPick>().is_err(), "{text:?}");
    }
}

#[test]
fn patterns_take_any_characters_or_one() {
    let fits = |pattern: &str, name: &str| Pattern::parse(pattern).unwrap().fits(name);
    assert!(fits("m.room.*", "m.room.message"));
    assert!(!fits("m.room.*", "m.reaction"));
    assert!(fits("image/?ng", "image/png"));
    assert!(!fits("image/?ng", "image/jpeg"));
    assert!(fits("*a*b*", "xxaxxbxx") && !fits("*a*b*", "xxbxxaxx"));
    assert!(fits("Grüße ?", "Grüße ü") && fits("*", "") && !fits("a", "ab"));
}

#[test]
fn patterns_of_sql_escape_its_own_signs() {
    assert_eq!(Pattern::parse(r"50%_\*?").unwrap().to_like(), r"50\%\_\\%_");
}

#[test]
fn ranges_are_half_open() {
    let range = DateRange { since: Some(10), until: Some(20), by: Clock::Sent };
    assert!(range.includes(10) && range.includes(19));
    assert!(!range.includes(9) && !range.includes(20));
    let backwards = Selection {
        range: DateRange { since: Some(20), until: Some(10), by: Clock::Sent },
        ..Selection::EVERYTHING
    };
    assert_eq!(backwards.normal(), Err(SelectionError::Range));
}

#[test]
fn everything_is_written_briefly_and_old_manifests_are_read() {
    let text = serde_json::to_string(&Selection::EVERYTHING).unwrap();
    assert_eq!(text, r#"{"media":"all","config":true}"#);
    let read: Selection = serde_json::from_str(r#"{"media":"none","config":false}"#).unwrap();
    assert_eq!(read.media, MediaScope::None);
    assert!(!read.is_partial() && !read.is_everything());
}

#[test]
fn profile_is_about_one_person_and_narrows_to_what_it_means() {
    let of = |users: &[&str], profile| {
        let users = users.iter().map(|user| user.parse().unwrap()).collect();
        Selection {
            users: Scope::only(users, Scope::All),
            profile: Some(profile),
            ..Selection::EVERYTHING
        }
        .normal()
    };
    for users in [&[][..], &["@a:b", "@c:b"], &["@*:b"]] {
        assert_eq!(of(users, Profile::Access), Err(SelectionError::Profile), "{users:?}");
    }
    let portable = of(&["@a:b"], Profile::Portability).unwrap();
    assert_eq!(portable.rooms, Scope::Only(vec![pick("@a:b")]));
    assert!(portable.includes_message("m.room.message", "@a:b", 0));
    assert!(!portable.includes_message("m.room.message", "@c:b", 0) && !portable.config);
    let access = of(&["@a:b"], Profile::Access).unwrap();
    assert!(access.is_cut() && access.includes_message("m.room.message", "@c:b", 0));
    assert_eq!(access.clone().normal(), Ok(access));
}

fn any_selection() -> impl Strategy<Value = Selection> {
    let rooms = prop_oneof![
        Just(Scope::All),
        Just(Scope::None),
        prop::collection::vec("(!|#|@|space:!|space:#)[a-z]{1,3}:b|name:[a-z*?]{1,4}", 1..5)
            .prop_map(|texts| Scope::only(texts.iter().map(|t| pick(t)).collect(), Scope::All)),
    ];
    let users = prop::collection::vec("@[a-z*]{1,3}:b", 0..3).prop_map(|texts| {
        Scope::only(texts.iter().map(|t| t.parse().unwrap()).collect(), Scope::None)
    });
    let types = prop::collection::vec("[a-z.*]{1,6}", 0..4)
        .prop_map(|texts| texts.iter().map(|t| Pattern::parse(t).unwrap()).collect::<Vec<_>>());
    let range = (prop::option::of(0..100_i64), prop::option::of(100..200_i64));
    (rooms, users, types.clone(), types, range, any::<(bool, bool, bool)>()).prop_map(
        |(rooms, users, event_types, types, (since, until), (config, redacted, thumbnails))| {
            Selection {
                rooms,
                users,
                event_types,
                range: DateRange { since, until, by: Clock::Received },
                media_filter: MediaFilter { types, thumbnails, ..MediaFilter::OPEN },
                config,
                leave: Leave { redacted, ..Leave::default() },
                ..Selection::EVERYTHING
            }
        },
    )
}

proptest! {
    #[test]
    fn normal_form_is_stable_and_survives_the_manifest(selection in any_selection()) {
        let normal = selection.normal().unwrap();
        prop_assert_eq!(&normal.clone().normal().unwrap(), &normal);
        let text = serde_json::to_string(&normal).unwrap();
        prop_assert_eq!(serde_json::from_str::<Selection>(&text).unwrap(), normal);
    }

    #[test]
    fn order_and_repetition_of_a_wish_do_not_matter(
        mut types in prop::collection::vec("[a-z.*]{1,6}", 1..5)
    ) {
        let of = |types: &[String]| {
            let event_types = types.iter().map(|t| Pattern::parse(t).unwrap()).collect();
            Selection { event_types, ..Selection::EVERYTHING }.normal().unwrap()
        };
        let before = of(&types);
        types.reverse();
        types.push(types[0].clone());
        prop_assert_eq!(of(&types), before);
    }

    #[test]
    fn pattern_of_a_name_with_holes_fits_it(name in "[a-c]{0,12}", holes in any::<u16>()) {
        let pattern: String = name
            .chars()
            .enumerate()
            .map(|(at, c)| match holes >> at & 1 { 0 => c, _ => '?' })
            .collect();
        prop_assume!(!pattern.is_empty());
        prop_assert!(Pattern::parse(&pattern).unwrap().fits(&name));
        let around = format!("*{pattern}*");
        prop_assert!(Pattern::parse(&around).unwrap().fits(&name));
    }
}
