//! The vault, the state folder, recipients and files, on this machine's disk.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::*;

const FILES: &str = "  - {kind: files, paths: [.]}\n";

#[tokio::test]
async fn vault_is_probed_and_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let vault = folder.path().join("vault");
    fs::create_dir(&vault).unwrap();
    fs::set_permissions(&vault, Permissions::from_mode(0o700)).unwrap();
    let findings = examined(&installation(folder.path(), "example.org", FILES)).await;
    assert_eq!(problems(&findings), Vec::<String>::new());
    finding(&findings, INSTALLATION, "can be written to");
    finding(&findings, INSTALLATION, "only its owner");
    let left: Vec<_> = fs::read_dir(vault.join("probes")).into_iter().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn vault_that_others_can_write_to_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let vault = folder.path().join("vault");
    fs::create_dir(&vault).unwrap();
    for (mode, who) in [(0o770, "its group"), (0o707, "everybody")] {
        fs::set_permissions(&vault, Permissions::from_mode(mode)).unwrap();
        let findings = examined(&installation(folder.path(), "example.org", FILES)).await;
        let found = finding(&findings, INSTALLATION, who);
        assert_eq!(found.severity, Severity::Warning);
        assert!(found.remedy.starts_with("chmod go-w"), "{}", found.remedy);
    }
}

#[tokio::test]
async fn vault_that_is_not_there_would_fail_and_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let findings = examined(&installation(folder.path(), "example.org", FILES)).await;
    let found = finding(&findings, INSTALLATION, "is not there");
    assert_eq!(found.severity, Severity::Failure);
    assert!(!folder.path().join("vault").exists());
    assert_eq!(findings.worst(), Severity::Failure);
}

#[tokio::test]
async fn recipients_that_are_none_would_fail() {
    let folder = tempfile::tempdir().unwrap();
    let mut installation = installation(folder.path(), "example.org", FILES);
    installation.recipients = vec!["age1nonsense".to_owned()];
    let findings = examined(&installation).await;
    let found = finding(&findings, INSTALLATION, "recipient");
    assert_eq!(found.severity, Severity::Failure);
    installation.recipients =
        vec!["age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z".to_owned()];
    let findings = examined(&installation).await;
    assert_eq!(finding(&findings, INSTALLATION, "one recipient").severity, Severity::Warning);
}

#[tokio::test]
async fn file_that_went_after_the_reading_would_fail() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("word"), "x").unwrap();
    fs::create_dir(folder.path().join("bot")).unwrap();
    let component = "  - {kind: adminbot, paths: bot, secrets: {passphrase: word}}\n";
    let installation = installation(folder.path(), "example.org", component);
    finding(&examined(&installation).await, "adminbot", "2 files and folders and 1 secrets");
    fs::remove_file(folder.path().join("word")).unwrap();
    fs::remove_dir(folder.path().join("bot")).unwrap();
    let findings = examined(&installation).await;
    let found = finding(&findings, "adminbot", "the backup passphrase");
    assert_eq!(found.severity, Severity::Failure);
    assert!(found.remedy.contains("reads no message of before"), "{}", found.remedy);
    assert_eq!(finding(&findings, "adminbot", "data ").severity, Severity::Failure);
}

#[tokio::test]
async fn file_that_is_not_there_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("vault")).unwrap();
    let component = "  - {kind: files, paths: gone}\n";
    let findings = examined(&installation(folder.path(), "example.org", component)).await;
    let gone: Vec<_> = problems(&findings).into_iter().filter(|one| one.contains("gone")).collect();
    assert_eq!(gone.len(), 1, "{gone:?}");
    assert!(gone[0].starts_with("files failure: data "), "{gone:?}");
}

#[tokio::test]
async fn file_that_is_no_sqlite_database_would_fail() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("bad.db"), "this is not a database at all").unwrap();
    fs::write(folder.path().join("good.db"), b"SQLite format 3\0 and so on").unwrap();
    let component = "  - {kind: database, sqlite: [bad.db, good.db]}\n";
    let findings = examined(&installation(folder.path(), "example.org", component)).await;
    let found = finding(&findings, "database", "bad.db is no SQLite database");
    assert_eq!(found.severity, Severity::Failure);
    assert_eq!(finding(&findings, "database", "good.db can be read").severity, Severity::Fine);
}

#[tokio::test]
async fn program_that_a_restore_can_neither_stop_nor_ask_is_told_beforehand() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("vault")).unwrap();
    fs::create_dir(folder.path().join("bot")).unwrap();
    for (commands, is_told) in [
        ("{health: 'systemctl is-active bot'}", true),
        ("{stop: 'systemctl stop bot'}", false),
        ("{health_url: 'http://127.0.0.1:9/health'}", false),
    ] {
        let components =
            format!("  - {{kind: adminbot, name: bot, paths: [bot], commands: {commands}}}\n");
        let findings = examined(&installation(folder.path(), "lifeboat.test", &components)).await;
        let problems = problems(&findings);
        let told = problems.iter().any(|one| one.contains("neither stop it nor see"));
        assert_eq!(told, is_told, "{commands}: {problems:?}");
    }
}
