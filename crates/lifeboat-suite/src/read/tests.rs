//! `lifeboat.yaml` by tables: what is found, and what is refused with place and remedy.

use super::*;
use crate::installation::{At, Role};

const HEAD: &str = "server_name: example.org\nvault: vault\nrecipients: [age1x]\n";
const FILES: &str = "components:\n  - kind: files\n    paths: /etc\n";

fn parsed(text: &str) -> Result<Installation, SuiteError> {
    let around = Surroundings { user: Some("me".to_owned()), ..Surroundings::default() };
    parse(Path::new("/etc/lifeboat/lifeboat.yaml"), text, &around)
}

fn good(text: &str) -> Installation {
    parsed(text).unwrap_or_else(|error| panic!("{error}: {}", error.remedy()))
}

/// Error and remedy.
fn refused(text: &str) -> String {
    let error = parsed(text).err().expect("must be refused");
    format!("{error} | {}", error.remedy())
}

#[test]
fn every_setting_is_understood() {
    let text = format!(
        "{HEAD}recipients_file: more.txt\nstate: state\n\
         retention: {{keep_last: 3, keep_daily: 7, keep_within: 2d}}\n\
         schedule: {{backup: 15 3 * * *, drill: 0 5 * * sun, time_zone: Europe/Berlin}}\n{FILES}"
    );
    let found = good(&text);
    assert_eq!(found.server_name, "example.org");
    assert_eq!(found.vault, "/etc/lifeboat/vault");
    assert_eq!(found.recipients, ["age1x", "@/etc/lifeboat/more.txt"]);
    assert_eq!(found.state, Path::new("/etc/lifeboat/state"));
    assert_eq!((found.retention.last, found.retention.daily), (3, 7));
    assert_eq!(found.retention.within_seconds, 2 * 86_400);
    assert_eq!(found.schedule.backup.unwrap().to_string(), "15 3 * * *");
    assert_eq!(found.schedule.time_zone.name(), "Europe/Berlin");
    assert!(found.schedule.verify.is_none());
    let [component] = &found.components[..] else { panic!("one component") };
    assert_eq!((component.name.as_str(), component.kind), ("files", Kind::Files));
    assert_eq!(component.files[0].path, Path::new("/etc"));
    assert_eq!(component.files[0].role, Role::Data);
}

#[test]
fn bucket_stays_as_it_is() {
    let text = format!("{HEAD}{FILES}").replace("vault: vault", "vault: s3://bucket/prefix");
    assert_eq!(good(&text).vault, "s3://bucket/prefix");
}

#[test]
fn lock_is_read_and_needs_a_bucket_a_mode_and_days() {
    let of = |lock: &str| {
        format!("{HEAD}object_lock: {lock}\n{FILES}").replace("vault: vault", "vault: s3://bucket")
    };
    let found = good(&of("{mode: compliance, days: 30}")).object_lock.unwrap();
    assert_eq!((found.mode, found.days), (lifeboat_storage::LockMode::Compliance, 30));
    for (text, told) in [
        (of("{mode: hard, days: 30}"), "write governance or compliance"),
        (of("{days: 30}"), "`object_lock.mode` is missing"),
        (of("{mode: governance}"), "`object_lock.days` is missing"),
        (of("{mode: governance, days: 0}"), "not from 1 to 36500"),
        (of("{mode: governance, days: 3}").replace("s3://bucket", "/srv"), "in an S3 bucket"),
    ] {
        assert!(refused(&text).contains(told), "{told}: {}", refused(&text));
    }
}

#[test]
fn mistakes_are_told_with_place_and_remedy() {
    let check = |text: String, expected: &[&str]| {
        let told = refused(&text);
        for part in expected {
            assert!(told.contains(part), "{part:?} is not in: {told}");
        }
    };
    let with = |more: &str| format!("{HEAD}{more}{FILES}");
    check(
        with("retension:\n  keep_last: 1\n"),
        &["lifeboat.yaml:4:1", "`retension`", "`retention`"],
    );
    check(with("retention:\n  keep_lst: 1\n"), &["yaml:5:3", "`keep_lst`", "`keep_last`"]);
    check(with("password: x\n"), &["yaml:4:1", "no key `password`", "reference page"]);
    check(with("retention: {keep_last: many}\n"), &["keep_last", "not a whole number"]);
    check(with("retention: {keep_last: 0}\n"), &["keeps nothing"]);
    check(with("retention: {keep_within: 5m}\n"), &["no span of time", "36h"]);
    check(with("schedule: {backup: 3 o'clock}\n"), &["no schedule", "five fields"]);
    check(with("schedule: {time_zone: Mars}\n"), &["time_zone", "Europe/Berlin"]);
    check(HEAD.to_owned(), &["`components` is missing"]);
    check(with("").replace("kind: files", "kind: synaps"), &["kind", "did you mean `synapse`"]);
    check(with("").replace("kind: files", "kind: bridge"), &["bridge", "irc, xmpp"]);
    check(with("").replace("kind: files", "kind: files\n    bridge: irc"), &["kind: bridge` only"]);
    check(with("").replace("paths: /etc", "name: a/b\n    paths: /etc"), &["cannot be a name"]);
    check(with("") + "  - kind: files\n    paths: /usr\n", &["names two components", "own"]);
    check(with("").replace("paths: /etc", "media_store: /m\n    paths: /etc"), &["belong"]);
    check(with("").replace("age1x", "AGE-SECRET-KEY-1ABC"), &["holds a secret key", "keygen"]);
    check(with("").replace("vault: vault", "vault: s3://key:word@b/p"), &["vault", "environment"]);
    check(with("vault: [a\n"), &["lifeboat.yaml:"]);
    check("- a\n".to_owned(), &["not a mapping"]);
}

#[test]
fn secret_of_a_refused_file_is_not_told() {
    let component = "components:\n  - kind: database\n    database_url: ";
    for url in [
        "postgres://synapse:hunter2@db/synapse",
        "host=db user=synapse password=hunter2",
        "postgres://db/synapse?user=me&password=hunter2",
    ] {
        let told = refused(&format!("{HEAD}{component}{url}\n"));
        assert!(told.contains("lifeboat.yaml:6:5"), "{told}");
        assert!(told.contains("holds a password") && told.contains("pgpass"), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn missing_configuration_names_the_component() {
    let text =
        format!("{HEAD}components:\n  - kind: mas\n    name: auth\n    config: /nowhere.yaml\n");
    let error = parsed(&text).err().expect("must be refused");
    assert_eq!(error.to_string(), "the component `auth` cannot be used");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "cannot read /nowhere.yaml");
    assert!(error.remedy().contains("correct the path"));
    let text = format!("{HEAD}components:\n  - kind: mas\n");
    assert!(refused(&text).contains("`components[0].config` is missing"), "{}", refused(&text));
}

#[test]
fn password_comes_from_a_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    std::fs::write(&file, "postgres://other:hunter2@db.example:5433/other\nsecond line\n").unwrap();
    let path = file.display();
    let text = format!(
        "{HEAD}components:\n  - kind: database\n    name: other\n    database_url_file: {path}\n"
    );
    let found = good(&text);
    let At::Postgres(target) = &found.components[0].databases[0].at else { panic!("PostgreSQL") };
    assert_eq!(target.password.as_ref().unwrap().expose(), "hunter2");
    assert_eq!(
        found.components[0].databases[0].at.shown(),
        "postgres://other@db.example:5433/other"
    );
}

#[test]
fn commands_come_from_presets_and_from_words() {
    let commands = |written: &str| {
        let text = format!("{HEAD}{FILES}    commands: {written}\n");
        good(&text).components.remove(0).commands
    };
    let joined = |command: &Option<Vec<String>>| command.clone().unwrap_or_default().join(" ");
    let systemd = commands("{preset: systemd, unit: matrix-synapse}");
    assert_eq!(joined(&systemd.stop), "systemctl stop matrix-synapse");
    let compose = commands("{preset: compose, file: c.yaml, service: s}");
    assert_eq!(joined(&compose.stop), "docker compose -f /etc/lifeboat/c.yaml stop s");
    let kubectl = commands("{preset: kubectl, namespace: ess, selector: app=x, replicas: 2}");
    assert_eq!(joined(&kubectl.start), "kubectl -n ess scale statefulset -l app=x --replicas=2");
    let own = commands("{preset: systemd, stop: [sh, -c, 'a; b'], health_url: 'http://h/health'}");
    assert_eq!(own.stop.unwrap(), ["sh", "-c", "a; b"]);
    assert_eq!(joined(&own.start), "systemctl start files");
    assert_eq!(own.health_url.as_deref(), Some("http://h/health"));
}

#[test]
fn commands_that_cannot_be_meant_are_refused() {
    let check = |written: &str, expected: &str| {
        let told = refused(&format!("{HEAD}{FILES}    commands: {written}\n"));
        assert!(told.contains(expected), "{written}: {told}");
    };
    check("{stop: 'a && b'}", "written for a shell");
    check("{preset: systemd, namespace: x}", "does not belong to `preset: systemd`");
    check("{preset: kubectl}", "selector` is missing");
    check("{preset: docker}", "systemd, compose, kubectl, none");
    check("{health_url: 'http://user:word@h/'}", "no plain web address");
    check("{stop: []}", "is empty");
}

#[test]
fn nothing_that_is_written_panics() {
    for text in ["", "\u{0}", "{", "a: b: c", "? [x]\n: y", "components: {}", "&a [*a]"] {
        assert!(parsed(text).is_err(), "{text:?}");
    }
}

proptest::proptest! {
    /// Whatever is cut out of a good file, or put into it: an answer, and the same one again.
    #[test]
    fn no_slip_of_the_hand_panics(
        from in 0_usize..4000,
        length in 0_usize..40,
        put in "\\PC{0,8}",
    ) {
        let text = crate::example("standalone").unwrap();
        let characters: Vec<char> = text.chars().collect();
        let from = from.min(characters.len());
        let after = (from + length).min(characters.len());
        let mut changed: String = characters[..from].iter().collect();
        changed.push_str(&put);
        changed.extend(&characters[after..]);
        let told = |text: &str| parsed(text).err().map(|error| (error.to_string(), error.remedy()));
        let first = told(&changed);
        let is_told = first.iter().all(|(what, remedy)| !what.is_empty() && !remedy.is_empty());
        proptest::prop_assert!(is_told);
        proptest::prop_assert_eq!(first, told(&changed));
    }
}

#[test]
fn second_mas_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("mas.yaml");
    std::fs::write(&config, "database: {uri: postgres://mas@db/mas}\n").unwrap();
    let one = format!("components:\n  - {{kind: mas, config: {}}}\n", config.display());
    good(&format!("{HEAD}{one}"));
    let two = format!("{one}  - {{kind: mas, name: other, config: {}}}\n", config.display());
    let told = refused(&format!("{HEAD}{two}"));
    assert!(told.contains("is there twice") && told.contains("another lifeboat.yaml"), "{told}");
}
