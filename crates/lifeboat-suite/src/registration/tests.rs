//! Registrations compared over both sides, as files.

use std::fs;

use lifeboat_config::target::Surroundings;

use super::*;

const SYNAPSE: &str = "\
server_name: example.org
database: {name: psycopg2, args: {user: s, dbname: synapse}}
app_service_config_files: [telegram.yaml]
";

/// What is wrong between Synapse's registration and the bridge's file and configuration.
fn wrong(theirs: &str, own: &str, setting: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("synapse/homeserver.yaml", SYNAPSE);
    write("synapse/telegram.yaml", theirs);
    write("bridge/registration.yaml", own);
    let database = "database: \"postgres://t@db/t\"";
    write("bridge/config.yaml", &format!("appservice: {{{database}{setting}}}\n"));
    let text = "server_name: example.org\nvault: v\nrecipients: [age1x]\ncomponents:\n  \
                - {kind: synapse, config: synapse/homeserver.yaml}\n  \
                - {kind: bridge, bridge: telegram, config: bridge/config.yaml}\n";
    let path = folder.path().join("lifeboat.yaml");
    let installation = crate::parse(&path, text, &Surroundings::default());
    let installation = installation.unwrap_or_else(|error| panic!("{error}"));
    let found = compare(&installation);
    assert!(found.iter().all(|(component, _)| component == "telegram"));
    found.into_iter().map(|(_, note)| note.what).collect()
}

#[test]
fn equal_tokens_are_fine() {
    let text = "id: telegram\nas_token: a1\nhs_token: h1\n";
    assert_eq!(wrong(text, text, ", as_token: a1, hs_token: h1"), Vec::<String>::new());
    assert_eq!(wrong(text, text, ""), Vec::<String>::new());
}

#[test]
fn differing_tokens_are_told_without_the_tokens() {
    let text = |token: &str| format!("id: telegram\nas_token: {token}\nhs_token: h1\n");
    let told = wrong(&text("secret1"), &text("secret2"), "");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("bridge/registration.yaml are not those in"), "{told:?}");
    let told = wrong(&text("secret1"), &text("secret1"), ", as_token: secret2, hs_token: h1");
    assert!(told[0].contains("bridge/config.yaml are not those in"), "{told:?}");
    assert!(!told.concat().contains("secret"), "{told:?}");
}

#[test]
fn registration_that_synapse_does_not_have_is_told() {
    let own = "id: telegram\nas_token: a\nhs_token: h\n";
    let told = wrong(&own.replace("telegram", "other"), own, "");
    assert_eq!(told, ["Synapse has no registration with the id telegram"]);
}

#[test]
fn file_that_is_no_registration_is_told() {
    let own = "id: telegram\nas_token: a\nhs_token: h\n";
    let told = wrong(own, "id: telegram\n", "");
    assert!(told[0].ends_with("`as_token` is missing"), "{told:?}");
}
