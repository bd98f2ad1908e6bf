//! Object lock that a run sets by itself: on what it writes, and longer on what it borrows.

use std::fs;

use serde_json::Value;

use crate::bucket::{Afar, STORE};
use crate::harbour::keygen;
use crate::program::Said;

/// A vault in a bucket with object lock and no rule of its own.
fn locked(name: &str) -> Afar {
    Afar::new(name, |store, bucket| {
        let headers = r#"{"x-amz-bucket-object-lock-enabled":"true"}"#;
        let answer = store.ask("PUT", &format!("/{bucket}"), (headers, "")).unwrap();
        assert!(answer.starts_with("200"), "{answer}");
    })
}

/// Says in lifeboat.yaml for how long.
fn set(afar: &Afar, lock: &str) {
    let text = fs::read_to_string(&afar.suite.yaml).unwrap();
    let kept = text.lines().filter(|line| !line.starts_with("object_lock"));
    let kept: Vec<&str> = kept.collect();
    fs::write(&afar.suite.yaml, format!("object_lock: {lock}\n{}\n", kept.join("\n"))).unwrap();
}

/// Every object of the bucket: its name, and until when it is locked, to the day.
fn held(afar: &Afar) -> Vec<(String, Option<String>)> {
    let target = format!("/{}?list-type=2&max-keys=1000", afar.bucket);
    let listed = STORE.ask("GET", &target, ("{}", "")).unwrap();
    let keys = listed.split("<Key>").skip(1).map(|rest| rest.split_once("</Key>").unwrap().0);
    let until = |key: &str| {
        let target = format!("/{}/{key}?retention", afar.bucket);
        let answer = STORE.ask("GET", &target, ("{}", "")).unwrap();
        assert!(!answer.contains("COMPLIANCE"), "{answer}");
        let date = answer.split_once("<RetainUntilDate>")?.1;
        Some(date[..10].to_owned())
    };
    keys.map(|key| (key.to_owned(), until(key))).collect()
}

/// The volumes that a backup borrows, as its seal names them: package and file.
fn borrowed(afar: &Afar, backup: &str) -> Vec<(String, String)> {
    let is_seal = |name: &String| name.contains(backup) && name.ends_with("/seal.json");
    let (seal, _) = held(afar).into_iter().find(|(name, _)| is_seal(name)).unwrap();
    let text = STORE.ask("GET", &format!("/{}/{seal}", afar.bucket), ("{}", "")).unwrap();
    // The status stands before it.
    let json = &text[text.find('{').unwrap()..];
    let seal: serde_json::Value = serde_json::from_str(json).unwrap();
    let word = |file: &serde_json::Value, key: &str| file[key].as_str().unwrap().to_owned();
    let files = seal["borrowed"].as_array().unwrap().iter();
    files.map(|file| (word(file, "package"), word(file, "name"))).collect()
}

/// The day so many days from now, as the database of the tests knows it.
fn day(days: u32) -> String {
    let ask = format!("SELECT to_char(now() AT TIME ZONE 'UTC' + '{days} days', 'YYYY-MM-DD')");
    crate::harbour::world().cluster.psql("postgres", &ask).unwrap().trim().to_owned()
}

fn doctor(afar: &Afar) -> Said {
    afar.ask(&STORE.writer(), &["doctor"])
}

#[test]
fn run_locks_all_it_writes_and_prolongs_all_it_needs_of_others() {
    let afar = locked("own-lock");
    let writer = STORE.writer();
    set(&afar, "{mode: governance, days: 3}");
    let said = doctor(&afar);
    assert!(said.stdout.contains("has object lock"), "{said:?}");
    afar.noise(1, 13);
    let (early, begun) = (day(3), afar.run(&writer).result(0));
    let first = held(&afar);
    let days = [early, day(3)];
    assert!(first.len() > 6, "{first:?}");
    for (name, until) in first.iter().filter(|(name, _)| !name.contains("/probes/")) {
        assert!(until.as_ref().is_some_and(|until| days.contains(until)), "{name}: {until:?}");
    }
    // The noise is borrowed, some rows are new, and what is needed is held for longer.
    set(&afar, "{mode: governance, days: 9}");
    fs::write(afar.suite.bot.join("store/new.bin"), "new").unwrap();
    let early = day(9);
    let second = afar.run(&writer).result(0);
    assert!(second["volumes_borrowed"].as_u64().unwrap() > 3, "{second}");
    let days = [early, day(9)];
    let of_first = begun["backup"].as_str().unwrap();
    let needed = borrowed(&afar, second["backup"].as_str().unwrap());
    let is_left = |name: &str| {
        let is_volume = name.contains(of_first) && name.contains("/volumes/");
        let is_it = |(of, file): &(String, String)| of == of_first && name.ends_with(file);
        is_volume && !needed.iter().any(is_it)
    };
    let mut prolonged = 0;
    for (name, until) in held(&afar) {
        let is_mark = name.contains("/partial/") && name.contains(of_first);
        // A volume of which all was replaced is nobody's any more but the first one's.
        if !is_mark && !name.contains("/probes/") && !is_left(&name) {
            assert!(until.as_ref().is_some_and(|until| days.contains(until)), "{name}: {until:?}");
            prolonged += u64::from(name.contains(of_first));
        }
    }
    // The volumes, and the four files without which nobody reads them.
    assert_eq!(prolonged, needed.len() as u64 + 4, "{needed:?}");
    // A shorter lock shortens nothing.
    set(&afar, "{mode: governance, days: 1}");
    afar.run(&writer).result(0);
    let still = held(&afar).into_iter().filter(|(name, _)| name.contains(of_first));
    let still = still.filter(|(_, until)| until.as_ref().is_some_and(|day| days.contains(day)));
    assert_eq!(still.count() as u64, prolonged);
    assert_eq!(afar.verify_all(&writer).len(), 3);
}

#[test]
fn envelopes_that_are_rewritten_and_copies_are_locked_too() {
    let afar = locked("lock-others");
    let writer = STORE.writer();
    set(&afar, "{mode: governance, days: 3}");
    afar.noise(1, 3);
    afar.run(&writer).result(0);
    let is_until = |found: &(String, Option<String>), days: &[String]| {
        let (name, until) = found;
        assert!(until.as_ref().is_some_and(|until| days.contains(until)), "{name}: {until:?}");
    };
    set(&afar, "{mode: governance, days: 9}");
    let recipient = keygen(&afar.suite.folder.join("other.txt"));
    let identity = afar.suite.identity.to_str().unwrap().to_owned();
    let early = day(9);
    afar.ask(&writer, &["backup", "key", "add", &recipient, "-i", &identity]).result(0);
    let days = [early, day(9)];
    let rewritten = |(name, _): &&(String, Option<String>)| {
        name.ends_with("/key.age") || name.ends_with("/seal.json")
    };
    let all = held(&afar);
    assert_eq!(all.iter().filter(rewritten).count(), 2);
    all.iter().filter(rewritten).for_each(|found| is_until(found, &days));
    let again = format!("s3://{}/again", afar.bucket);
    for (lock, length) in [("governance:5", 5), ("governance:7", 7)] {
        let early = day(length);
        let words = ["backup", "copy", "--to", &again, "--object-lock", lock];
        afar.ask(&writer, &words).result(0);
        let days = [early, day(length)];
        let all = held(&afar);
        let copied = |(name, _): &&(String, Option<String>)| {
            name.starts_with("again/") && !name.contains("/partial/")
        };
        assert!(all.iter().filter(copied).count() > 6, "{all:?}");
        all.iter().filter(copied).for_each(|found| is_until(found, &days));
    }
    let words = ["backup", "copy", "--to", &again, "--object-lock", "governance:0"];
    assert_eq!(afar.ask(&writer, &words).exit, 2);
}

#[test]
fn bucket_without_a_lock_is_told_before_anything_is_written() {
    let afar = Afar::plain("no-lock");
    set(&afar, "{mode: compliance, days: 3}");
    let said = afar.run(&STORE.writer());
    assert_eq!(said.exit, 1, "{said:?}");
    let error: Value = said.last_json();
    assert!(error["what"].as_str().unwrap().contains("has no object lock"), "{error}");
    assert_eq!(held(&afar), [], "nothing was written");
    let said = doctor(&afar);
    assert!(said.stdout.contains("has no object lock: no backup would begin"), "{said:?}");
}

#[test]
fn credentials_that_may_not_lock_make_no_backup_and_say_what_they_lack() {
    let afar = locked("may-not");
    set(&afar, "{mode: governance, days: 3}");
    let said = afar.run(&STORE.appender());
    assert_eq!(said.exit, 1, "{said:?}");
    let error = said.last_json();
    assert!(error.to_string().contains("permission denied"), "{error}");
    assert_eq!(held(&afar), [], "nothing was written");
    afar.run(&STORE.writer()).result(0);
    assert_eq!(afar.verify_all(&STORE.writer()).len(), 1);
}
