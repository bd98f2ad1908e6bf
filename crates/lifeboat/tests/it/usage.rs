//! Help, and command lines that make no sense.

use std::fs;

use crate::conversation::lifeboat;

const VERBS: [&str; 12] = [
    "keygen",
    "export",
    "inspect",
    "verify",
    "unpack",
    "import",
    "completions",
    "man",
    "config",
    "components",
    "doctor",
    "schedule",
];

#[test]
fn help_names_every_command_and_exit_code() {
    let said = lifeboat(["--help"]);
    assert_eq!((said.exit, said.stderr.as_str()), (0, ""));
    for word in VERBS.into_iter().chain(["Examples:", "Exit codes:", "--json", "--quiet"]) {
        assert!(said.stdout.contains(word), "{word} is not in\n{}", said.stdout);
    }
}

#[test]
fn every_command_has_examples() {
    for verb in VERBS {
        let said = lifeboat([verb, "--help"]);
        assert_eq!(said.exit, 0);
        assert!(said.stdout.contains("Examples:\n  lifeboat "), "{}", said.stdout);
        assert!(said.stdout.lines().all(|line| line.chars().count() <= 100), "{}", said.stdout);
    }
}

#[test]
fn the_version_is_told() {
    let said = lifeboat(["--version"]);
    assert_eq!(said.stdout, format!("lifeboat {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn command_lines_that_make_no_sense_exit_with_2() {
    let check = |words: &[&str], part: &str| {
        let said = lifeboat(words);
        assert_eq!((said.exit, said.stdout.as_str()), (2, ""), "{words:?}");
        assert!(said.stderr.starts_with("error: "), "{}", said.stderr);
        assert!(said.stderr.contains(part), "{part} is not in\n{}", said.stderr);
    };
    check(&["sink"], "unrecognized subcommand");
    check(&["export", "-r", "age1x", "-o", "x.lifeboat"], "--synapse");
    check(&["export", "--synapse", "x.yaml", "-o", "x.lifeboat"], "no recipient is given");
    check(&["export", "--synapse", "x.yaml", "-r", "age1x"], "--output");
    check(&["import", "x.lifeboat", "--synapse", "x.yaml"], "no identity is given");
    check(&["unpack", "x.lifeboat", "-d", "opened"], "no identity is given");
    check(&["inspect", "x.lifeboat", "--rooms"], "the names of rooms are sealed");
    let twice = ["--map-user", "@a:s.test=@b:s.test", "--map-user", "@a:s.test=@c:s.test"];
    let words = [&["import", "x.lifeboat", "--synapse", "x.yaml"][..], &twice].concat();
    check(&words, "gives @a:s.test to @b:s.test and to @c:s.test");
    let export = ["export", "--synapse", "x.yaml", "-o", "x.lifeboat"];
    let with = |more: &[&'static str]| [&export[..], more].concat();
    check(&with(&["-r", "age1wrong"]), "age1wrong is neither a recipient");
    check(&with(&["-r", "AGE-SECRET-KEY-1QQQ"]), "is a secret key, not a recipient");
    check(&with(&["-r", "age1x", "--passphrase"]), "not both");
    check(&with(&["--passphrase", "--passphrase-file", "x"]), "cannot be used with");
    check(&with(&["--volume-size", "1KiB"]), "between 1MiB and 3GiB");
    check(&with(&["--volume-size", "much"]), "a size such as");
    check(&with(&["--lanes", "0"]), "not in 1..=64");
    check(&with(&["--media", "some"]), "possible values: all, local, none");
    check(&with(&["--estimate", "--dry-run"]), "cannot be used with");
    let hyphen = ["export", "--synapse", "x.yaml", "-r", "age1x", "-o", "-"];
    check(&hyphen, "not written to standard output");
    let nowhere = ["-r", "age1x", "--media-store", "/nowhere"];
    check(&with(&nowhere), "the media store /nowhere is no folder");
}

#[test]
fn errors_tell_the_cause_and_the_remedy() {
    let said = lifeboat(["verify", "/nowhere.lifeboat", "-i", "/no-identity"]);
    assert_eq!(said.exit, 1);
    assert_eq!(
        said.stderr,
        "error: cannot read /no-identity\n\
         caused by: No such file or directory (os error 2)\n\
         help: check the path; identity and recipient files are small text files\n"
    );
}

#[test]
fn machines_get_every_error_as_the_last_line() {
    let said = lifeboat(["verify", "/nowhere.lifeboat", "-i", "/no-identity", "--json"]);
    let error = said.last_json();
    assert_eq!((said.exit, said.stderr.as_str()), (1, ""));
    assert_eq!((&error["event"], &error["code"]), (&"error".into(), &"failed".into()));
    assert_eq!(error["what"], "cannot read /no-identity");
    assert_eq!(error["causes"][0], "No such file or directory (os error 2)");

    let said = lifeboat(["--json", "sink"]);
    let error = said.last_json();
    assert_eq!((said.exit, said.stderr.as_str()), (2, ""));
    assert_eq!((&error["code"], &error["exit"]), (&"usage".into(), &2.into()));
}

#[test]
fn an_address_with_a_password_is_refused_and_not_repeated() {
    let recipient = lifeboat(["keygen"]).stderr;
    let recipient = recipient.trim().strip_prefix("public key: ").unwrap();
    let address = "postgres://synapse:hunter2@localhost/synapse";
    let words = ["export", "--synapse", "x.yaml", "-o", "x.lifeboat", "-r", recipient];
    let said = lifeboat(words.into_iter().chain(["--database-url", address]));
    assert_eq!(said.exit, 2);
    assert!(said.stderr.contains("help: ") && said.stderr.contains("--database-url-file"));
    assert!(!said.stderr.contains("hunter2"), "{}", said.stderr);
}

#[test]
fn a_file_that_is_no_package_is_not_valid() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.lifeboat");
    fs::write(&file, "not a package").unwrap();
    let said = lifeboat(["verify".as_ref(), file.as_os_str()]);
    assert_eq!(said.exit, 4, "{}", said.stderr);
}

#[test]
fn a_package_is_not_unpacked_into_itself() {
    let folder = tempfile::tempdir().unwrap();
    let identity = folder.path().join("identity.txt");
    let words = ["keygen".as_ref(), "-o".as_ref(), identity.as_os_str()];
    assert_eq!(lifeboat(words).exit, 0);
    let package = folder.path().join("package");
    fs::create_dir(&package).unwrap();
    let inside = package.join("opened/here");
    let words = ["unpack".as_ref(), package.as_os_str(), "-i".as_ref(), identity.as_os_str()];
    let said = lifeboat(words.into_iter().chain(["-d".as_ref(), inside.as_os_str()]));
    assert_eq!(said.exit, 2, "{}", said.stderr);
    assert!(said.stderr.contains("lies in the package itself"), "{}", said.stderr);
    assert!(!inside.exists());
}
