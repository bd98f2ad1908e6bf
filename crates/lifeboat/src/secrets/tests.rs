//! What may be said on a command line.

use std::fs;

use std::sync::Arc;

use lifeboat_engine::context::Stop;
use tokio::sync::watch::channel;

use super::*;

/// A context that tells nobody anything.
fn context() -> Context {
    Context {
        report: Arc::new(|_| ()),
        stop: channel(Stop::Go).1,
        now: || 0,
        entropy: |_| (),
        generator: String::new(),
    }
}

#[test]
fn an_address_with_a_password_is_noticed() {
    let check = |text: &str, expected| assert_eq!(holds_password(text), expected, "{text}");
    check("postgres://synapse@localhost/synapse", false);
    check("postgresql:///synapse?host=/run/postgresql", false);
    check("postgres://[::1]:5432/synapse", false);
    check("postgres://db.example.org:5433/synapse?application_name=a@b", false);
    check("host=/run/postgresql dbname=synapse user=synapse", false);
    check("postgres://synapse:secret@localhost/synapse", true);
    check("postgres://synapse:se/cret@localhost/synapse", true);
    check("postgres://localhost/synapse?password=secret", true);
    check("postgres://localhost/synapse?p%61ssword=secret", true);
    check("host=localhost password = secret", true);
    check("host=localhost PASSWORD=secret", true);
}

#[test]
fn an_address_may_hold_a_password_in_a_file_only() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    let address = "postgres://synapse:secret@localhost/synapse".to_owned();
    fs::write(&file, format!("{address}\r\nignored\n")).unwrap();
    assert_eq!(database_url(&context(), None, Some(&file)).unwrap(), Some(address.clone()));
    let refused = database_url(&context(), Some(&address), None).unwrap_err();
    assert!(refused.remedy.contains("--database-url-file"));
    assert!(!format!("{refused:?}").contains("secret"));
}

#[test]
fn only_the_first_line_of_a_file_counts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("words");
    for (content, expected) in [("a b \n", "a b "), ("a\r\nb\n", "a"), ("", ""), ("a", "a")] {
        fs::write(&file, content).unwrap();
        assert_eq!(*first_line(&context(), &file).unwrap(), expected);
    }
    fs::write(&file, [0xff]).unwrap();
    assert!(first_line(&context(), &file).is_err());
    assert!(first_line(&context(), &folder.path().join("none")).is_err());
}
