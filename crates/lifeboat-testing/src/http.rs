//! Just enough HTTP to ask a server on this machine something.
//!
//! HTTP/1.0, so that answers come whole and unchunked. No TLS, no redirects, no other machine.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::WorldError;

const TIME_LIMIT: Duration = Duration::from_mins(1);
const LARGEST_ANSWER: u64 = 64 * 1024 * 1024;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, as it came.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One request to a server on the loopback interface.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The port on 127.0.0.1.
    pub port: u16,
    /// `GET`, `POST`, …
    pub method: &'a str,
    /// Path and query, already percent-encoded.
    pub path: &'a str,
    /// An access token.
    pub token: Option<&'a str>,
    /// A JSON body.
    pub json: Option<&'a str>,
}

impl<'a> Request<'a> {
    /// A plain `GET`.
    pub fn get(port: u16, path: &'a str) -> Self {
        Self { port, method: "GET", path, token: None, json: None }
    }

    /// Sends it and reads the whole answer.
    ///
    /// # Errors
    /// When the server cannot be reached, or what it says is not HTTP.
    pub fn send(self) -> Result<Answer, WorldError> {
        let task = format!("{} http://127.0.0.1:{}{}", self.method, self.port, self.path);
        let reply = self.exchange().map_err(WorldError::io(task.clone()))?;
        parse(&reply).ok_or_else(|| WorldError::Command {
            command: task,
            outcome: "the answer is not HTTP".into(),
        })
    }

    fn exchange(self) -> std::io::Result<Vec<u8>> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let mut stream = TcpStream::connect_timeout(&address, TIME_LIMIT)?;
        stream.set_read_timeout(Some(TIME_LIMIT))?;
        stream.set_write_timeout(Some(TIME_LIMIT))?;
        let body = self.json.unwrap_or_default();
        let bearer = self.token.map_or(String::new(), |t| format!("Authorization: Bearer {t}\r\n"));
        write!(
            stream,
            "{} {} HTTP/1.0\r\nHost: 127.0.0.1:{}\r\n{bearer}Content-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.method,
            self.path,
            self.port,
            body.len(),
        )?;
        let mut reply = Vec::new();
        stream.take(LARGEST_ANSWER).read_to_end(&mut reply)?;
        Ok(reply)
    }
}

fn parse(reply: &[u8]) -> Option<Answer> {
    let split = reply.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&reply[..split]).ok()?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, body: reply[split + 4..].to_vec() })
}
