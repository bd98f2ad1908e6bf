//! An IRC bridge whose database is a folder of files, written by `NeDB` and sealed by Node.

use std::fs;

use super::*;

const PASSKEY: &str = include_str!("../../../lifeboat-suite/fixtures/irc/passkey.pem");
const OTHER_PASSKEY: &str = include_str!("../../../lifeboat-suite/fixtures/irc/other.pem");
const USERS: &str = include_str!("../../../lifeboat-suite/fixtures/irc/users.db");

/// What is found of a bridge with this key and these users.
async fn bridge(passkey: Option<&str>, users: Option<&str>) -> Findings {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    fs::create_dir(folder.path().join("vault")).unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    let key = if passkey.is_some() { "{passwordEncryptionKeyPath: passkey.pem}" } else { "{}" };
    let config =
        format!("database: {{engine: nedb, connectionString: 'nedb://data'}}\nircService: {key}\n");
    write("irc.yaml", &config);
    write("registration.yaml", "id: irc\nas_token: a\nhs_token: h\n");
    write("passkey.pem", passkey.unwrap_or_default());
    if let Some(users) = users {
        write("data/users.db", users);
    }
    let component = "  - {kind: bridge, bridge: irc, config: irc.yaml}\n";
    examined(&installation(folder.path(), "lifeboat.test", component)).await
}

#[tokio::test]
async fn passkey_is_tried_on_a_password_of_the_files() {
    let findings = bridge(Some(PASSKEY), Some(USERS)).await;
    let fine = finding(&findings, "irc", "its passkey.pem opens what is stored");
    assert_eq!(fine.severity, Severity::Fine);
    let findings = bridge(Some(OTHER_PASSKEY), Some(USERS)).await;
    let bad = finding(&findings, "irc", "its passkey.pem does not fit its database");
    assert_eq!(bad.severity, Severity::Failure);
}

#[tokio::test]
async fn files_without_passwords_need_no_passkey_and_passwords_do() {
    let none = USERS.lines().filter(|line| !line.contains("password")).collect::<Vec<_>>();
    let findings = bridge(None, Some(&none.join("\n"))).await;
    let fine = finding(&findings, "irc", "nothing is stored yet");
    assert_eq!(fine.severity, Severity::Fine);
    let findings = bridge(None, Some(USERS)).await;
    let bad = finding(&findings, "irc", "its passkey.pem was not found");
    assert_eq!(bad.severity, Severity::Failure);
}

#[tokio::test]
async fn folder_without_the_users_is_told() {
    let findings = bridge(Some(PASSKEY), None).await;
    let bad = finding(&findings, "irc", "users.db cannot be read");
    assert_eq!(bad.severity, Severity::Failure);
}
