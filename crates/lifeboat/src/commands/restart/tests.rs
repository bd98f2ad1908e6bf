//! Words, and how a command ends.

use super::*;

fn run(text: &str) -> Result<Vec<String>, String> {
    let environment = [("PATH", "/usr/bin:/bin"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    text.parse::<RestartCommand>().expect("it is a command").run(&environment)
}

#[test]
fn words_are_split_as_a_shell_does_and_nothing_is_expanded() {
    let cases = [
        ("systemctl restart matrix-synapse", &["systemctl", "restart", "matrix-synapse"][..]),
        ("  a\t'b c' \"d \\\" $e\" f\\ g ''", &["a", "b c", "d \" $e", "f g", ""]),
        ("a'b'\"c\"d $HOME *", &["abcd", "$HOME", "*"]),
    ];
    for (text, expected) in cases {
        assert_eq!(words(text).expect("they are words"), expected, "{text}");
    }
    for text in ["", "  ", "a 'b", "a \"b", "a \\"] {
        assert!(text.parse::<RestartCommand>().is_err(), "{text:?}");
    }
}

#[test]
fn what_it_says_is_told_and_a_failure_is_one() {
    assert_eq!(run("echo 'it is done'"), Ok(vec!["it is done".to_owned()]));
    let failed = run("sh -c 'echo no >&2; exit 7'").expect_err("it fails");
    assert!(failed.contains('7') && failed.ends_with(": no"), "{failed}");
    let absent = run("/no/such/program").expect_err("it is not there");
    assert!(absent.contains("cannot be run"), "{absent}");
}

#[test]
fn secrets_of_our_environment_are_not_in_its() {
    let said = run("env").expect("it runs");
    assert_eq!(said, ["PATH=/usr/bin:/bin"]);
}
