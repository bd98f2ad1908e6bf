//! What an administrator asks of a Synapse that runs, by its admin API: to purge rooms and
//! history and to close accounts, which only the server itself does whole.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Url};
use serde_json::{Value, json};
use thiserror::Error;
use tokio::time::{Instant, sleep};
use zeroize::Zeroizing;

use crate::way;

/// How long we wait for an answer; closing an account with many devices takes its time.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long one room may take to be purged.
const PURGE_LIMIT: Duration = Duration::from_mins(30);
/// How long to wait between two questions about that.
const PAUSE: Duration = Duration::from_millis(250);
/// Bytes of an answer; all we ask for are short.
const ANSWER_BYTES: usize = 1 << 20;
/// Characters of the server's words that an error repeats.
const WORDS: usize = 300;

/// The server did not do what it was asked for.
#[derive(Debug, Error)]
pub enum AdminError {
    /// The address is none.
    #[error("{0} is no address of a server")]
    Address(String),
    /// The token is no text that a header can hold.
    #[error("the token cannot be sent")]
    Token,
    /// The token is not an administrator's.
    #[error("the server does not take the token for an administrator's: {0}")]
    NotAllowed(String),
    /// No answer.
    #[error("the server does not answer")]
    Unreachable(#[source] reqwest::Error),
    /// An answer that says no.
    #[error("the server refused: {status} {words}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// What it says.
        words: String,
    },
    /// It began to purge and did not end.
    #[error("the server could not purge it: {0}")]
    Failed(String),
    /// It still does.
    #[error("the server is still at it")]
    Unfinished,
}

impl AdminError {
    /// Whether nothing else will go better.
    pub fn is_about_all(&self) -> bool {
        matches!(self, Self::Address(_) | Self::Token | Self::NotAllowed(_) | Self::Unreachable(_))
    }
}

/// An administrator of a server. No `Debug`: it holds a token.
pub struct Admin {
    http: reqwest::Client,
    address: Url,
    token: Zeroizing<String>,
}

impl Admin {
    /// At an address such as `http://127.0.0.1:8008`; nothing is sent yet.
    ///
    /// # Errors
    /// [`AdminError::Address`].
    pub fn at(address: &str, token: Zeroizing<String>) -> Result<Self, AdminError> {
        let parsed = way::address(address);
        let parsed = parsed.ok_or_else(|| AdminError::Address(address.to_owned()))?;
        let built = way::straight().timeout(PATIENCE).build();
        let http = built.map_err(AdminError::Unreachable)?;
        Ok(Self { http, address: parsed, token })
    }

    /// Has a room purged, and waits until that has ended
    /// (`DELETE /_synapse/admin/v2/rooms/{room}`).
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn purge_room(&self, room: &str) -> Result<(), AdminError> {
        let body = json!({"purge": true, "block": false});
        let path = ["_synapse", "admin", "v2", "rooms", room];
        let answer = self.ask(Method::DELETE, &path, Some(&body)).await?;
        let id = answer.get("delete_id").and_then(Value::as_str);
        let id = id.ok_or_else(|| AdminError::Failed("it does not say how it goes".to_owned()))?;
        self.ended(&["_synapse", "admin", "v2", "rooms", "delete_status", id]).await
    }

    /// Has history of a room purged, what is less deep than an event, and waits until that has
    /// ended (`POST /_synapse/admin/v1/purge_history/{room}/{event}`); with `own` also what users
    /// of the server sent.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn purge_history(
        &self,
        (room, event): (&str, &str),
        own: bool,
    ) -> Result<(), AdminError> {
        let path = ["_synapse", "admin", "v1", "purge_history", room, event];
        let body = json!({"delete_local_events": own});
        let answer = self.ask(Method::POST, &path, Some(&body)).await?;
        let id = answer.get("purge_id").and_then(Value::as_str);
        let id = id.ok_or_else(|| AdminError::Failed("it does not say how it goes".to_owned()))?;
        self.ended(&["_synapse", "admin", "v1", "purge_history_status", id]).await
    }

    /// Waits until a purge has ended.
    async fn ended(&self, path: &[&str]) -> Result<(), AdminError> {
        let begun = Instant::now();
        while begun.elapsed() < PURGE_LIMIT {
            let answer = self.ask(Method::GET, path, None).await?;
            let word = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default();
            match word("status") {
                "complete" => return Ok(()),
                "failed" => return Err(AdminError::Failed(cut(word("error")))),
                _ => sleep(PAUSE).await,
            }
        }
        Err(AdminError::Unfinished)
    }

    /// Closes an account, for good (`POST /_synapse/admin/v1/deactivate/{user}`); `erase` as its
    /// owner asked for to be forgotten.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn deactivate(&self, user: &str, erase: bool) -> Result<(), AdminError> {
        let path = ["_synapse", "admin", "v1", "deactivate", user];
        self.ask(Method::POST, &path, Some(&json!({"erase": erase}))).await.map(drop)
    }

    async fn ask(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&Value>,
    ) -> Result<Value, AdminError> {
        let mut url = self.address.clone();
        url.path_segments_mut()
            .map_err(|()| AdminError::Address(self.address.to_string()))?
            .pop_if_empty()
            .extend(path);
        let login = Zeroizing::new(format!("Bearer {}", self.token.as_str()));
        let mut login = HeaderValue::from_str(&login).map_err(|_| AdminError::Token)?;
        login.set_sensitive(true);
        let mut request = self.http.request(method, url).header(AUTHORIZATION, login);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let mut answer = request.send().await.map_err(unreachable)?;
        let status = answer.status().as_u16();
        let mut bytes = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(unreachable)? {
            if bytes.len() + piece.len() > ANSWER_BYTES {
                let words = "an answer that is too long".to_owned();
                return Err(AdminError::Refused { status, words });
            }
            bytes.extend_from_slice(&piece);
        }
        let said = serde_json::from_slice::<Value>(&bytes).unwrap_or_default();
        let word = |key: &str| said.get(key).and_then(Value::as_str).unwrap_or_default();
        let words = cut(&format!("{} {}", word("errcode"), word("error")));
        match status {
            200 => Ok(said),
            401 | 403 => Err(AdminError::NotAllowed(words)),
            _ => Err(AdminError::Refused { status, words }),
        }
    }
}

/// An error without the address, which holds ids.
fn unreachable(error: reqwest::Error) -> AdminError {
    AdminError::Unreachable(error.without_url())
}

fn cut(words: &str) -> String {
    words.trim().chars().filter(|c| !c.is_control()).take(WORDS).collect()
}

#[cfg(test)]
mod tests;
