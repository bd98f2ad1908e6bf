//! Who speaks for a person of the past: one account a person, whose name tells whom.

use lifeboat_package::digest::Digest;

/// How the localpart of every ghost begins.
pub const PREFIX: &str = "_lb_";

/// What comes between [`PREFIX`] and a digest, where the whole name has no room. Never part of an
/// escaped name, in which two hexadecimal digits follow every `=`.
const DIGEST: &str = "=.";

/// Bytes of a user id.
const USER_ID_BYTES: usize = 255;

/// The localpart of the ghost of a person on a server: the whole user id, escaped so that it can
/// be read back, or a digest of it where it would be too long.
pub fn localpart(person: &str, server: &str) -> String {
    let mut text = PREFIX.to_owned();
    for byte in person.strip_prefix('@').unwrap_or(person).bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' => text.push(char::from(byte)),
            b'_' => text.push_str("__"),
            b'A'..=b'Z' => {
                text.push('_');
                text.push(char::from(byte.to_ascii_lowercase()));
            }
            _ => {
                let digit = |number: u8| char::from_digit(number.into(), 16).unwrap_or_default();
                text.extend(['=', digit(byte >> 4), digit(byte & 15)]);
            }
        }
    }
    if text.len() + server.len() + "@:".len() > USER_ID_BYTES {
        return format!("{PREFIX}{DIGEST}{}", Digest::of(person.as_bytes()));
    }
    text
}

/// The user id of the ghost of a person on a server.
pub fn user_id(person: &str, server: &str) -> String {
    format!("@{}:{server}", localpart(person, server))
}

/// The person behind a ghost's localpart; nothing when it is no ghost's, or only a digest.
pub fn person(localpart: &str) -> Option<String> {
    let mut bytes = localpart.strip_prefix(PREFIX)?.bytes();
    let mut person = vec![b'@'];
    while let Some(byte) = bytes.next() {
        person.push(match byte {
            b'_' => match bytes.next()? {
                b'_' => b'_',
                letter @ b'a'..=b'z' => letter.to_ascii_uppercase(),
                _ => return None,
            },
            b'=' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(person).ok()
}
