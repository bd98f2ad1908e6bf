//! What a package shows without its key, and who can open it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::conversation::{lifeboat, run};
use crate::harbour::harbour;
use crate::moments::Berth;

/// Words of the seeded server that nobody may read in a package: names, ids, texts. Shorter ones
/// would turn up among so many random bytes.
fn words() -> BTreeSet<Vec<u8>> {
    let world = harbour().world();
    let sql = "SELECT room_id FROM rooms UNION SELECT name FROM users
               UNION SELECT room_alias FROM room_aliases UNION SELECT event_id FROM events
               UNION SELECT displayname FROM profiles WHERE length(displayname) > 3
               UNION SELECT media_id FROM local_media_repository
               UNION SELECT token FROM access_tokens UNION SELECT device_id FROM devices
               UNION SELECT substring(json FROM '\"body\":\"([^\"\\\\]{8,})') FROM event_json";
    let text = world.cluster.psql(world.server.database(), sql).unwrap();
    let mut words: BTreeSet<Vec<u8>> =
        text.lines().filter(|line| line.len() >= 8).map(|line| line.as_bytes().to_vec()).collect();
    assert!(words.len() > 200, "{}", words.len());
    words.insert(b"lifeboat.test".to_vec());
    words.insert(harbour().recipient.clone().into_bytes());
    words.insert(b"postgresql".to_vec());
    words
}

/// The words that occur in some bytes.
fn found(words: &BTreeSet<Vec<u8>>, bytes: &[u8]) -> Vec<String> {
    // Words by their first four bytes: one pass, however many words there are.
    let mut first: std::collections::HashMap<&[u8], Vec<&[u8]>> = std::collections::HashMap::new();
    for word in words {
        first.entry(&word[..4]).or_default().push(word);
    }
    let mut found = BTreeSet::new();
    for at in 0..bytes.len().saturating_sub(3) {
        for word in first.get(&bytes[at..at + 4]).into_iter().flatten() {
            if bytes[at..].starts_with(word) {
                found.insert(String::from_utf8_lossy(word).into_owned());
            }
        }
    }
    found.into_iter().collect()
}

#[test]
fn no_name_id_or_text_can_be_read_without_the_key() {
    let words = words();
    let package = fs::read(&harbour().undisturbed().package).unwrap();
    assert_eq!(found(&words, &package), Vec::<String>::new());
    // The search finds what is there: the opened package has them.
    let content = harbour().undisturbed().content.iter();
    let records = content.filter(|(name, _)| !name.starts_with("media/files/"));
    let opened: BTreeSet<String> = records.flat_map(|(_, bytes)| found(&words, bytes)).collect();
    assert!(opened.len() > 100, "{}", opened.len());
}

/// Makes an SSH key pair; the file of the private key and the public line.
fn ssh_key(folder: &Path, kind: &str) -> (String, String) {
    let path = folder.join(kind);
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-N", "", "-t", kind, "-f"]).arg(&path);
    if kind == "rsa" {
        command.args(["-b", "2048"]);
    }
    assert!(command.status().unwrap().success());
    let public = fs::read_to_string(path.with_extension("pub")).unwrap();
    (path.display().to_string(), public.trim().to_owned())
}

fn server_name(said: &Value) -> &str {
    said["content"]["server_name"].as_str().unwrap()
}

#[test]
fn each_of_several_recipients_opens_the_package_and_nobody_else() {
    let berth = Berth::archive();
    let (ed25519, ed25519_public) = ssh_key(&berth.folder, "ed25519");
    let (rsa, rsa_public) = ssh_key(&berth.folder, "rsa");
    let team = berth.folder.join("team.txt");
    fs::write(&team, format!("# the team\n{rsa_public}\n")).unwrap();
    let world = harbour().world();
    let mut command = berth.export(&world);
    command.args(["-r", &ed25519_public, "--media", "none"]).arg("-R").arg(&team);
    let said = run(&mut command);
    assert_eq!(said.exit, Some(0), "{said:?}");
    let identity = harbour().identity.display().to_string();
    for key in [&identity, &ed25519, &rsa] {
        let said = run(lifeboat().args(["inspect", &berth.target, "-i", key]));
        assert_eq!(said.exit, Some(0), "{key}: {said:?}");
        assert_eq!(server_name(said.outcome()), "lifeboat.test");
    }
    let other = berth.folder.join("other.txt");
    assert_eq!(run(lifeboat().arg("keygen").arg("-o").arg(&other)).exit, Some(0));
    for verb in ["inspect", "verify"] {
        let said = run(lifeboat().args([verb, &berth.target, "-i"]).arg(&other));
        assert_eq!(said.exit, Some(1), "{said:?}");
        assert!(said.error().contains("the identity does not open this package"), "{said:?}");
    }
}

#[test]
fn a_passphrase_from_a_file_seals_and_opens_a_package() {
    let berth = Berth::archive();
    let world = harbour().world();
    let (right, wrong) = (berth.folder.join("right"), berth.folder.join("wrong"));
    fs::write(&right, "six random words on one line\n").unwrap();
    fs::write(&wrong, "six random words on one lime\n").unwrap();
    let command = berth.export(&world);
    let mut words: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let at = words.iter().position(|word| word == "-r").unwrap();
    words.drain(at..at + 2);
    let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
    command.env_clear().args(words).env("HOME", &berth.folder);
    let said = run(command.args(["--media", "none", "--passphrase-file"]).arg(&right));
    assert_eq!(said.exit, Some(0), "{said:?}");
    let open = |file: &Path| {
        run(lifeboat().args(["inspect", &berth.target, "--passphrase-file"]).arg(file))
    };
    assert_eq!(server_name(open(&right).outcome()), "lifeboat.test");
    let said = open(&wrong);
    assert_eq!(said.exit, Some(1), "{said:?}");
    assert!(said.error().contains("the passphrase does not open this package"), "{said:?}");
}
