//! Asking a Synapse that runs on this machine, as a client would: three questions, no more.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use zeroize::Zeroizing;

/// How long we wait for an answer to begin, and for each of its pieces.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long we wait for a port that may be nobody's.
const ANSWER: Duration = Duration::from_secs(2);
/// Bytes of an answer.
const ANSWER_BYTES: u64 = 8 << 20;

/// Where a server on this machine is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door<'a> {
    /// A port of 127.0.0.1.
    Port(u16),
    /// A Unix socket.
    Socket(&'a Path),
}

impl From<u16> for Door<'_> {
    fn from(port: u16) -> Self {
        Self::Port(port)
    }
}

/// What a server said to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The rooms the client's user is joined to.
    Rooms(BTreeSet<String>),
    /// HTTP status and Matrix error code (`errcode`).
    Refused(u16, String),
}

/// Whether a Matrix server answers on this port.
pub fn answers(port: u16) -> bool {
    let versions = get(port.into(), "/_matrix/client/versions", None, ANSWER);
    versions.is_ok_and(|(_, body)| String::from_utf8_lossy(&body).contains("\"versions\""))
}

/// Whether a Synapse says there that it is well (`GET /health`).
pub fn is_well<'a>(at: impl Into<Door<'a>>) -> bool {
    get(at.into(), "/health", None, ANSWER).is_ok_and(|(status, _)| status == 200)
}

/// Asks as the client with this access token for its rooms (`GET /_matrix/client/v3/joined_rooms`).
///
/// # Errors
/// When the server cannot be reached or its answer not be read.
pub fn joined_rooms<'a>(at: impl Into<Door<'a>>, token: &str) -> io::Result<Answer> {
    #[derive(Deserialize)]
    struct Body {
        joined_rooms: Option<BTreeSet<String>>,
        errcode: Option<String>,
    }
    let (status, body) = get(at.into(), "/_matrix/client/v3/joined_rooms", Some(token), PATIENCE)?;
    let body: Body = serde_json::from_slice(&body).map_err(io::Error::other)?;
    Ok(match body.joined_rooms {
        Some(rooms) if status == 200 => Answer::Rooms(rooms),
        _ => Answer::Refused(status, body.errcode.unwrap_or_default()),
    })
}

/// Asks as the client with this access token who is in a room, which only its members are told
/// (`GET /_matrix/client/v3/rooms/{room}/joined_members`); the HTTP status.
///
/// # Errors
/// When the server cannot be reached or its answer not be read.
pub fn members_of(port: u16, token: &str, room: &str) -> io::Result<u16> {
    let path = format!("/_matrix/client/v3/rooms/{}/joined_members", escaped(room));
    Ok(get(port.into(), &path, Some(token), PATIENCE)?.0)
}

/// The keys that the server tells others to check its signatures with: id and public key in base64
/// (`GET /_matrix/key/v2/server`).
///
/// # Errors
/// When the server cannot be reached, does not say it there, or its answer not be read.
pub fn published_keys<'a>(at: impl Into<Door<'a>>) -> io::Result<Vec<(String, String)>> {
    #[derive(Deserialize)]
    struct Key {
        key: String,
    }
    #[derive(Deserialize)]
    struct Body {
        verify_keys: BTreeMap<String, Key>,
    }
    let (status, body) = get(at.into(), "/_matrix/key/v2/server", None, ANSWER)?;
    if status != 200 {
        return Err(io::Error::other("keys are not told there"));
    }
    let body: Body = serde_json::from_slice(&body).map_err(io::Error::other)?;
    Ok(body.verify_keys.into_iter().map(|(id, key)| (id, key.key)).collect())
}

/// Text as a part of a path (RFC 3986, 2.3).
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// Status and body. HTTP/1.0, so that the body simply ends with the connection.
fn get(
    at: Door<'_>,
    path: &str,
    token: Option<&str>,
    patience: Duration,
) -> io::Result<(u16, Vec<u8>)> {
    match at {
        Door::Port(port) => {
            let address = (Ipv4Addr::LOCALHOST, port).into();
            let stream = TcpStream::connect_timeout(&address, ANSWER)?;
            stream.set_read_timeout(Some(patience))?;
            stream.set_write_timeout(Some(patience))?;
            exchange(stream, path, token)
        }
        Door::Socket(socket) => {
            let stream = UnixStream::connect(socket)?;
            stream.set_read_timeout(Some(patience))?;
            stream.set_write_timeout(Some(patience))?;
            exchange(stream, path, token)
        }
    }
}

fn exchange(
    mut stream: impl Read + Write,
    path: &str,
    token: Option<&str>,
) -> io::Result<(u16, Vec<u8>)> {
    let login = Zeroizing::new(
        token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n")),
    );
    let request = Zeroizing::new(format!(
        "GET {path} HTTP/1.0\r\nHost: localhost\r\nAccept: application/json\r\n{}\r\n",
        login.as_str()
    ));
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES).read_to_end(&mut answer)?;
    split(&answer).ok_or_else(|| io::Error::other("what answered is no HTTP server"))
}

fn split(answer: &[u8]) -> Option<(u16, Vec<u8>)> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(answer.get(..end)?).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer.get(end + 4..)?.to_vec()))
}

#[cfg(test)]
mod tests;
