//! One request and its answer: tried again where that may help, held back where the server asks.

use std::time::Duration;

use lifeboat_live::way;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Response, Url};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::ClientError;

/// How long we wait for an answer.
const PATIENCE: Duration = Duration::from_mins(2);
/// How often a server that fails is asked again.
const TRIES: u32 = 5;
/// The first wait before that; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// How long we wait at once, where the server asks us to.
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// How long we wait for one request in all, where the server asks us to.
const WAITS: Duration = Duration::from_mins(15);
/// Bytes of an answer: the members of a very large room.
const ANSWER_BYTES: usize = 128 << 20;

/// What is asked for.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    /// Below `/_matrix`.
    pub(super) path: Vec<&'a str>,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<&'a Map<String, Value>>,
    /// Whether asking twice does nothing twice.
    pub(super) may_repeat: bool,
}

impl<'a> Ask<'a> {
    pub(super) fn get(path: Vec<&'a str>) -> Self {
        Self { method: Method::GET, path, query: Vec::new(), body: None, may_repeat: true }
    }

    pub(super) fn put(path: Vec<&'a str>, body: &'a Map<String, Value>) -> Self {
        Self { method: Method::PUT, path, query: Vec::new(), body: Some(body), may_repeat: true }
    }

    pub(super) fn post(path: Vec<&'a str>, body: &'a Map<String, Value>) -> Self {
        Self { method: Method::POST, path, query: Vec::new(), body: Some(body), may_repeat: false }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// What it is, without ids.
    pub(super) fn what(&self) -> String {
        let is_word = |part: &&&str| part.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        let words: Vec<&str> = self.path.iter().filter(is_word).copied().collect();
        format!("{} {}", self.method, words.join(" "))
    }
}

/// Where requests go. No `Debug`: it holds a token.
pub(super) struct Wire {
    http: reqwest::Client,
    address: Url,
    token: Zeroizing<String>,
}

impl Wire {
    pub(super) fn new(address: &str, token: Zeroizing<String>) -> Result<Self, ClientError> {
        let parsed = way::address(address);
        let parsed = parsed.ok_or_else(|| ClientError::Address(address.to_owned()))?;
        let builder = way::straight().connect_timeout(PATIENCE).read_timeout(PATIENCE);
        let http = builder.build().map_err(|cause| ClientError::Unreachable {
            what: "prepare to connect".to_owned(),
            cause,
        })?;
        Ok(Self { http, address: parsed, token })
    }

    /// The answer to a request.
    pub(super) async fn ask(&self, ask: &Ask<'_>) -> Result<Value, ClientError> {
        let url = self.url(ask)?;
        let what = ask.what();
        let body =
            ask.body.map(|body| serde_json::to_vec(body).expect("JSON values have text for keys"));
        let (mut tries, mut waited) = (0, Duration::ZERO);
        loop {
            let mut request = self.http.request(ask.method.clone(), url.clone());
            request = request.header(AUTHORIZATION, self.authorization()?).timeout(PATIENCE);
            if let Some(body) = &body {
                request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
            }
            let failed = match request.send().await {
                Ok(response) => match read(response, &what).await? {
                    Read::Answer(answer) => return Ok(answer),
                    Read::Wait(wait) => {
                        waited += pause(wait, waited, &what).await?;
                        continue;
                    }
                    Read::Failed(failed) => failed,
                },
                Err(cause) => {
                    ClientError::Unreachable { what: what.clone(), cause: cause.without_url() }
                }
            };
            tries += 1;
            if !ask.may_repeat || tries >= TRIES {
                return Err(failed);
            }
            tokio::time::sleep(FIRST_WAIT * 2_u32.pow(tries - 1)).await;
        }
    }

    /// Sends a body that is not JSON, once. How long to wait, where the server asks for that.
    pub(super) async fn upload(
        &self,
        ask: &Ask<'_>,
        (media_type, length): (&str, u64),
        body: reqwest::Body,
    ) -> Result<Result<Value, Duration>, ClientError> {
        let what = ask.what();
        let media_type = HeaderValue::from_str(media_type)
            .unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"));
        let request = self.http.request(ask.method.clone(), self.url(ask)?);
        let request = request.header(AUTHORIZATION, self.authorization()?);
        let request = request.header(CONTENT_TYPE, media_type);
        let request = request.header(reqwest::header::CONTENT_LENGTH, length).body(body);
        let response = request.send().await.map_err(|cause| ClientError::Unreachable {
            what: what.clone(),
            cause: cause.without_url(),
        })?;
        match read(response, &what).await? {
            Read::Answer(answer) => Ok(Ok(answer)),
            Read::Wait(wait) => Ok(Err(wait.min(LONGEST_WAIT))),
            Read::Failed(failed) => Err(failed),
        }
    }

    fn url(&self, ask: &Ask<'_>) -> Result<Url, ClientError> {
        // Parts that are dots would lead elsewhere.
        if ask.path.iter().any(|part| matches!(*part, "." | "..")) {
            return Err(ClientError::Unaddressable);
        }
        let mut url = self.address.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("_matrix").extend(&ask.path);
        }
        if !ask.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&ask.query);
        }
        Ok(url)
    }

    fn authorization(&self) -> Result<HeaderValue, ClientError> {
        let text = Zeroizing::new(format!("Bearer {}", self.token.as_str()));
        let mut value = HeaderValue::from_str(&text).map_err(|_| ClientError::Token)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// What came of a request.
enum Read {
    Answer(Value),
    Wait(Duration),
    /// The server is in trouble; another time it may not be.
    Failed(ClientError),
}

async fn read(mut response: Response, what: &str) -> Result<Read, ClientError> {
    let status = response.status().as_u16();
    let header = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
    let seconds = header.and_then(|text| text.parse().ok()).map(Duration::from_secs);
    let mut bytes = Vec::new();
    let broken = |cause: reqwest::Error| ClientError::Unreachable {
        what: what.to_owned(),
        cause: cause.without_url(),
    };
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() <= ANSWER_BYTES => bytes.extend(chunk),
            Ok(Some(_)) => return Err(ClientError::Answer(what.to_owned())),
            Ok(None) => break,
            Err(cause) => return Ok(Read::Failed(broken(cause))),
        }
    }
    let answer: Option<Value> = serde_json::from_slice(&bytes).ok().filter(Value::is_object);
    let text = |key: &str| {
        let value = answer.as_ref().and_then(|answer| answer.get(key)?.as_str());
        value.unwrap_or_default().to_owned()
    };
    if status == 429 {
        let asked = answer.as_ref().and_then(|answer| answer.get("retry_after_ms")?.as_u64());
        let wait = asked.map(Duration::from_millis).or(seconds);
        return Ok(Read::Wait(wait.unwrap_or(FIRST_WAIT)));
    }
    if status == 200 {
        let is_none = || ClientError::Answer(what.to_owned());
        return answer.map(Read::Answer).ok_or_else(is_none);
    }
    let (errcode, error) = (text("errcode"), text("error"));
    let refused = ClientError::Refused { what: what.to_owned(), status, errcode, error };
    if status >= 500 { Ok(Read::Failed(refused)) } else { Err(refused) }
}

/// Waits as long as the server asks for, within bounds; how long that was.
async fn pause(asked: Duration, waited: Duration, what: &str) -> Result<Duration, ClientError> {
    let wait = asked.clamp(Duration::from_millis(10), LONGEST_WAIT);
    if waited + wait > WAITS {
        return Err(ClientError::Busy(what.to_owned()));
    }
    tokio::time::sleep(wait).await;
    Ok(wait)
}
