//! The password file of libpq (PostgreSQL manual §34.16): `host:port:database:user:password`.

use super::secret::Secret;

/// Bytes of a password file that are looked at.
const BYTES: usize = 1 << 20;

/// For whom a password is looked up.
#[derive(Debug, Clone, Copy)]
pub struct Login<'a> {
    /// Host name, socket folder, or `localhost` for the default socket folder.
    pub host: &'a str,
    /// Port.
    pub port: u16,
    /// Database.
    pub dbname: &'a str,
    /// User.
    pub user: &'a str,
}

/// The password of the first line that fits; `*` fits everything, `\` keeps `:` and `\` literal.
pub fn find(text: &str, login: &Login<'_>) -> Option<Secret> {
    if text.len() > BYTES {
        return None;
    }
    let port = login.port.to_string();
    let wanted = [login.host, &port, login.dbname, login.user];
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| password(line, &wanted))
}

fn password(line: &str, wanted: &[&str]) -> Option<Secret> {
    let mut rest = line;
    for wanted in wanted {
        let (field, after) = field(rest)?;
        if rest.starts_with("*:") {
            rest = after;
            continue;
        }
        if field.expose() != *wanted {
            return None;
        }
        rest = after;
    }
    let last = field(rest).map_or_else(|| unescaped(rest), |(password, _)| password);
    (!last.expose().is_empty()).then_some(last)
}

/// A field up to the next bare colon, and what comes after the colon.
fn field(text: &str) -> Option<(Secret, &str)> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b':' => return Some((unescaped(&text[..at]), &text[at + 1..])),
            _ => {}
        }
    }
    None
}

fn unescaped(text: &str) -> Secret {
    let mut plain = zeroize::Zeroizing::new(String::with_capacity(text.len()));
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => plain.extend(characters.next()),
            other => plain.push(other),
        }
    }
    Secret::new(plain.as_str())
}
