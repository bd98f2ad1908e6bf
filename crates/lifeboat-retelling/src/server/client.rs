//! What is asked of the server, in the name of the application service and of its ghosts.

use std::time::Duration;

use futures_util::Stream;
use lifeboat_transcript::event::ORIGINAL;
use lifeboat_transcript::script::{Act, Call};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::ClientError;
use super::answers::{self, Page};
use super::request::{Ask, Wire};

/// Events asked for at once.
const PAGE: &str = "100";

/// A server, as its application service. No `Debug`: it holds a token.
pub struct Client {
    wire: Wire,
}

/// A file to upload.
#[derive(Debug, Clone, Copy)]
pub struct Upload<'a> {
    /// Its name, if it has one.
    pub name: Option<&'a str>,
    /// For example `image/png`.
    pub media_type: &'a str,
    /// Bytes.
    pub length: u64,
}

impl Client {
    /// A client of the server at an address; nothing is sent yet.
    ///
    /// # Errors
    /// [`ClientError::Address`].
    pub fn new(address: &str, token: Zeroizing<String>) -> Result<Self, ClientError> {
        Ok(Self { wire: Wire::new(address, token)? })
    }

    /// The user id of the application service.
    ///
    /// # Errors
    /// [`ClientError`], for example when the server does not know the token.
    pub async fn whoami(&self) -> Result<String, ClientError> {
        let ask = Ask::get(vec!["client", "v3", "account", "whoami"]);
        self.text(&ask, "user_id").await
    }

    /// The version that new rooms get.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn room_version(&self) -> Result<String, ClientError> {
        let ask = Ask::get(vec!["client", "v3", "capabilities"]);
        let answer = self.wire.ask(&ask).await?;
        let version = answer.pointer("/capabilities/m.room_versions/default");
        version.and_then(Value::as_str).map(str::to_owned).ok_or(ClientError::Answer(ask.what()))
    }

    /// The bytes of the largest file that is taken; nothing where the server does not say.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn upload_limit(&self) -> Result<Option<u64>, ClientError> {
        let answer = self.wire.ask(&Ask::get(vec!["client", "v1", "media", "config"])).await;
        match answer {
            Ok(answer) => Ok(answer.get("m.upload.size").and_then(Value::as_u64)),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes the account of a ghost; whether it was not there before.
    ///
    /// # Errors
    /// [`ClientError`]; `M_EXCLUSIVE` when the registration does not cover the name.
    pub async fn register(&self, localpart: &str) -> Result<bool, ClientError> {
        let body = json!({
            "type": "m.login.application_service",
            "username": localpart,
            "inhibit_login": true,
        });
        let body = object(body);
        let mut ask = Ask::post(vec!["client", "v3", "register"], &body);
        ask.may_repeat = true;
        match self.wire.ask(&ask).await {
            Ok(_) => Ok(true),
            Err(error) if error.errcode() == Some("M_USER_IN_USE") => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes a room; its id.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn create_room(&self, body: &Map<String, Value>) -> Result<String, ClientError> {
        self.text(&Ask::post(vec!["client", "v3", "createRoom"], body), "room_id").await
    }

    /// The rooms of the application service that were made for a room of the past: that, and now.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn made_rooms(&self) -> Result<Vec<(String, String)>, ClientError> {
        let answer = self.wire.ask(&Ask::get(vec!["client", "v3", "joined_rooms"])).await?;
        let rooms = answer.get("joined_rooms").and_then(Value::as_array).into_iter().flatten();
        let mut made = Vec::new();
        for room in rooms.filter_map(Value::as_str) {
            let path = vec!["client", "v3", "rooms", room, "state", "m.room.create", ""];
            let create = self.wire.ask(&Ask::get(path)).await?;
            let old = create.get(ORIGINAL).and_then(|original| original.get("room_id")?.as_str());
            made.extend(old.map(|old| (old.to_owned(), room.to_owned())));
        }
        Ok(made)
    }

    /// A page of a room, newest first, from the end or where another page ended.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn page(&self, room: &str, from: Option<&str>) -> Result<Page, ClientError> {
        let ask = Ask::get(vec!["client", "v3", "rooms", room, "messages"]);
        let mut ask = ask.with("dir", "b").with("limit", PAGE);
        if let Some(from) = from {
            ask = ask.with("from", from);
        }
        Ok(answers::page(&self.wire.ask(&ask).await?))
    }

    /// The content of a state event with an empty key; nothing where there is none.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn state(&self, room: &str, kind: &str) -> Result<Map<String, Value>, ClientError> {
        let ask = Ask::get(vec!["client", "v3", "rooms", room, "state", kind, ""]);
        match self.wire.ask(&ask).await {
            Ok(content) => Ok(object(content)),
            Err(error) if error.status() == Some(404) => Ok(Map::new()),
            Err(error) => Err(error),
        }
    }

    /// User ids and memberships of a room.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn members(&self, room: &str) -> Result<Vec<(String, String)>, ClientError> {
        let ask = Ask::get(vec!["client", "v3", "rooms", room, "members"]);
        Ok(answers::members(&self.wire.ask(&ask).await?))
    }

    /// Does a call of a script in a room; the id of the event.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn act(&self, room: &str, call: &Call) -> Result<String, ClientError> {
        let mut path = vec!["client", "v3", "rooms", room];
        let (content, dated) = match &call.act {
            Act::Send { kind, content } => {
                path.extend(["send", kind, &call.transaction]);
                (content, true)
            }
            Act::State { kind, key, content } => {
                path.extend(["state", kind, key]);
                (content, true)
            }
            Act::Redact { target, content } => {
                path.extend(["redact", target, &call.transaction]);
                (content, false)
            }
        };
        let mut ask = Ask::put(path, content).with("user_id", &call.sender);
        if dated {
            // A moment before 1970 is no moment to the server.
            ask = ask.with("ts", call.sent.max(0).to_string());
        }
        self.text(&ask, "event_id").await
    }

    /// Invites somebody in the name of the application service.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn invite(&self, room: &str, user: &str) -> Result<(), ClientError> {
        let body = object(json!({"user_id": user}));
        let ask = Ask::post(vec!["client", "v3", "rooms", room, "invite"], &body);
        self.wire.ask(&ask).await.map(drop)
    }

    /// Uploads a file; its address, or how long to wait before the next try.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn upload<S>(
        &self,
        file: Upload<'_>,
        pieces: S,
    ) -> Result<Result<String, Duration>, ClientError>
    where
        S: Stream<Item = Result<Vec<u8>, std::io::Error>> + Send + 'static,
    {
        let empty = Map::new();
        let mut ask = Ask::post(vec!["media", "v3", "upload"], &empty);
        if let Some(name) = file.name {
            ask = ask.with("filename", name);
        }
        let body = reqwest::Body::wrap_stream(pieces);
        let sent = self.wire.upload(&ask, (file.media_type, file.length), body).await?;
        let Ok(answer) = sent else { return Ok(Err(sent.err().unwrap_or_default())) };
        let address = answer.get("content_uri").and_then(Value::as_str);
        let address = address.filter(|address| address.starts_with("mxc://"));
        let address = address.ok_or_else(|| ClientError::Answer(ask.what()))?;
        Ok(Ok(address.to_owned()))
    }

    async fn text(&self, ask: &Ask<'_>, key: &str) -> Result<String, ClientError> {
        let answer = self.wire.ask(ask).await?;
        let text = answer.get(key).and_then(Value::as_str).map(str::to_owned);
        text.ok_or_else(|| ClientError::Answer(ask.what()))
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}
