//! PostgreSQL connection strings: `key=value …` and `postgres://…` (PostgreSQL manual §34.1.1).
//!
//! Pure; values are secrets until someone knows better, and errors never quote them.

use std::collections::BTreeMap;

use thiserror::Error;

use super::secret::Secret;

/// Bytes of a connection string.
const BYTES: usize = 64 << 10;

/// Connection parameters by their libpq names.
pub type Parameters = BTreeMap<String, Secret>;

/// A connection string cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConninfoError {
    /// Longer than any real one.
    #[error("the connection string is longer than 64 KiB")]
    TooLong,
    /// A word without `=`.
    #[error(
        "`=` is missing after a word of the connection string (at byte {at}); \
         write `key=value key=value` or postgres://USER@HOST/NAME"
    )]
    NoValue {
        /// Byte offset.
        at: usize,
    },
    /// A quote that is not closed, or a backslash at the end.
    #[error("a quoted value of the connection string is not closed; add the `'`")]
    Quote,
    /// `%` without two hexadecimal digits, or bytes that are not UTF-8.
    #[error("`%` must be followed by two hexadecimal digits; write %25 for a percent sign")]
    Percent,
    /// Brackets around an IPv6 address do not fit.
    #[error("the host in the address is not closed with `]`")]
    Bracket,
}

/// Reads a connection string of either form.
///
/// # Errors
/// See [`ConninfoError`].
pub fn parse(text: &str) -> Result<Parameters, ConninfoError> {
    if text.len() > BYTES {
        return Err(ConninfoError::TooLong);
    }
    let text = text.trim();
    let address = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
    match address {
        Some(address) => parse_address(address),
        None => parse_words(text),
    }
}

fn parse_words(text: &str) -> Result<Parameters, ConninfoError> {
    let mut found = Parameters::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let at = text.len() - rest.len();
        let (key, value) = rest.split_once('=').ok_or(ConninfoError::NoValue { at })?;
        let key = key.trim_end();
        if key.is_empty() || key.contains(char::is_whitespace) {
            return Err(ConninfoError::NoValue { at });
        }
        let (value, after) = take_value(value.trim_start())?;
        found.insert(key.to_owned(), value);
        rest = after.trim_start();
    }
    Ok(found)
}

fn take_value(text: &str) -> Result<(Secret, &str), ConninfoError> {
    let (quoted, body) = match text.strip_prefix('\'') {
        Some(body) => (true, body),
        None => (false, text),
    };
    let mut value = zeroize::Zeroizing::new(String::with_capacity(body.len()));
    let mut characters = body.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.push(characters.next().ok_or(ConninfoError::Quote)?.1),
            '\'' if quoted => return Ok((Secret::new(value.as_str()), &body[at + 1..])),
            space if !quoted && space.is_whitespace() => {
                return Ok((Secret::new(value.as_str()), &body[at..]));
            }
            other => value.push(other),
        }
    }
    if quoted { Err(ConninfoError::Quote) } else { Ok((Secret::new(value.as_str()), "")) }
}

fn parse_address(text: &str) -> Result<Parameters, ConninfoError> {
    let mut found = Parameters::new();
    let (text, query) =
        text.split_once('?').map_or((text, None), |(text, query)| (text, Some(query)));
    let (authority, dbname) = text.split_once('/').unwrap_or((text, ""));
    let (login, hosts) = match authority.rsplit_once('@') {
        Some((login, hosts)) => (login, hosts),
        None => ("", authority),
    };
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let mut put = |key: &str, value: &str| {
        if !value.is_empty() {
            found.insert(key.to_owned(), decoded(value)?);
        }
        Ok::<_, ConninfoError>(())
    };
    put("user", user)?;
    put("password", password)?;
    put("dbname", dbname)?;
    let (names, ports) = split_hosts(hosts)?;
    if names.iter().any(|name| !name.is_empty()) {
        put("host", &names.join(","))?;
    }
    if ports.iter().any(|port| !port.is_empty()) {
        put("port", &ports.join(","))?;
    }
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or(ConninfoError::NoValue { at: 0 })?;
        match (key, value) {
            ("ssl", "true") => put("sslmode", "require")?,
            _ => put(key, value)?,
        }
    }
    Ok(found)
}

fn split_hosts(hosts: &str) -> Result<(Vec<&str>, Vec<&str>), ConninfoError> {
    let mut names = Vec::new();
    let mut ports = Vec::new();
    for host in hosts.split(',') {
        let (name, port) = match host.strip_prefix('[') {
            Some(inner) => {
                let (name, port) = inner.split_once(']').ok_or(ConninfoError::Bracket)?;
                (name, port.strip_prefix(':').unwrap_or_default())
            }
            None => host.split_once(':').unwrap_or((host, "")),
        };
        names.push(name);
        ports.push(port);
    }
    Ok((names, ports))
}

/// What `%` and two hexadecimal digits stand for, in an address (RFC 3986, 2.1).
///
/// # Errors
/// [`ConninfoError::Percent`].
pub fn decoded(text: &str) -> Result<Secret, ConninfoError> {
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first != b'%' {
            bytes.push(first);
            rest = after;
            continue;
        }
        let [high, low, after @ ..] = after else { return Err(ConninfoError::Percent) };
        let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(ConninfoError::Percent);
        let byte = digit(*high)? * 16 + digit(*low)?;
        bytes.push(u8::try_from(byte).map_err(|_| ConninfoError::Percent)?);
        rest = after;
    }
    std::str::from_utf8(&bytes).map(Secret::new).map_err(|_| ConninfoError::Percent)
}
