//! A database as `NeDB` writes it, and what is none.

use lifeboat_config::Secret;

use super::stored_password;
use crate::key_fit::irc_passkey;

/// Written by `NeDB`, passwords sealed by Node as the bridge does it: Anna's under another key and
/// then again under this, Bert's, and under another key Cora's and Dora's, who took theirs back.
const USERS: &[u8] = include_bytes!("../../fixtures/irc/users.db");
const PASSKEY: &str = include_str!("../../fixtures/irc/passkey.pem");

#[test]
fn newest_password_that_nobody_took_back_is_the_one_to_try() {
    let stored = stored_password(USERS).unwrap().unwrap();
    irc_passkey(&Secret::new(PASSKEY), &stored).unwrap();
    let anna = USERS
        .split(|byte| *byte == b'\n')
        .rfind(|line| line.starts_with(b"{\"type\"") && line.windows(4).any(|four| four == b"anna"))
        .unwrap();
    assert!(String::from_utf8_lossy(anna).contains(&stored));
}

#[test]
fn database_without_passwords_has_none() {
    for text in
        ["", "{\"$$indexCreated\":{\"fieldName\":\"id\"}}\n", "{\"_id\":\"a\",\"data\":{}}\n"]
    {
        assert_eq!(stored_password(text.as_bytes()).unwrap(), None, "{text}");
    }
}

#[test]
fn torn_and_endless_lines_are_passed_over() {
    let mut text = vec![b'x'; 3 << 20];
    text.push(b'\n');
    text.extend_from_slice(USERS);
    text.extend_from_slice(b"{\"_id\":\"torn\",\"data\":{\"client_config\":{\"irc\":{\"pass");
    assert_eq!(stored_password(&text[..]).unwrap(), stored_password(USERS).unwrap());
}
