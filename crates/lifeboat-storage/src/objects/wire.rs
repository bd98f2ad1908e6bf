//! What a server's answer means.
//!
//! The client library gives a type to a few statuses, in some of its requests, and hides the rest
//! in text. So a thin layer around its HTTP client turns each failed answer into an [`Answer`],
//! which travels through the library as the cause of its error and is found again by [`explain`].

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    ReqwestConnector,
};

use crate::error::{At, Cause, StorageError};

/// Bytes of a failed answer that are read.
const ANSWER_BYTES: usize = 64 << 10;

/// Characters of an answer's text that an error keeps.
const CAUSE_CHARS: usize = 300;

/// S3 codes (with any status) that pass by themselves.
const TRANSIENT_CODES: [&str; 5] =
    ["RequestTimeout", "BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody", "SlowDown"];

/// S3 codes that mean the credentials are no good, though the status is another.
const DENIED_CODES: [&str; 4] =
    ["ExpiredToken", "InvalidToken", "InvalidAccessKeyId", "AuthorizationHeaderMalformed"];

/// S3 codes of several servers for a full disk or quota, or an object that is too large.
const FULL_CODES: [&str; 5] = [
    "QuotaExceeded",
    "XMinioStorageFull",
    "InsufficientStorage",
    "InsufficientCapacity",
    "EntityTooLarge",
];

/// Makes HTTP clients that keep what a server answered.
#[derive(Debug)]
pub(crate) struct Wire;

#[derive(Debug)]
struct Listening(HttpClient);

/// A failed answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    status: u16,
    text: String,
}

impl HttpConnector for Wire {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Listening(ReqwestConnector::default().connect(options)?)))
    }
}

impl HttpService for Listening {
    fn call<'a, 'b>(
        &'a self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move {
            let response = self.0.execute(request).await?;
            let status = response.status();
            if status.is_success() {
                return Ok(response);
            }
            let text = read_text(response).await;
            let answer = Answer { status: status.as_u16(), text };
            Err(HttpError::new(HttpErrorKind::Unknown, answer))
        })
    }
}

/// As much of the body as comes; an answer without one is an answer too.
async fn read_text(response: HttpResponse) -> String {
    let mut body = response.into_body().bytes_stream();
    let mut bytes = Vec::new();
    while let Some(Ok(more)) = body.next().await {
        bytes.extend_from_slice(&more);
        if bytes.len() >= ANSWER_BYTES {
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server answered {}", self.status)?;
        match (code(&self.text), element(&self.text, "Message")) {
            (Some(code), Some(message)) => write!(f, " {code}: {}", one_line(message)),
            _ if self.text.is_empty() => Ok(()),
            _ => write!(f, ": {}", one_line(&self.text)),
        }
    }
}

impl Error for Answer {}

/// What the server or the connection said, on one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Told(String);

fn told(text: impl Into<String>) -> Cause {
    Box::new(Told(text.into()))
}

/// A connection on which nothing moves.
pub(crate) fn stalled(at: At, limit: Duration) -> StorageError {
    let cause = told(format!("nothing came for {:.1} s", limit.as_secs_f64()));
    StorageError::Unreachable { at, cause }
}

/// A stream that ended before its length.
pub(crate) fn cut_short(at: At) -> StorageError {
    StorageError::Unreachable { at, cause: told("the connection ended too early") }
}

/// Credentials that were not found where they could be.
pub(crate) fn no_credentials(at: At, detail: &str) -> StorageError {
    StorageError::Denied { at, cause: told(detail) }
}

/// An object beyond what multipart uploads can hold.
pub(crate) fn too_many_parts(at: At) -> StorageError {
    StorageError::Full { at, cause: told("an object has at most 10,000 parts") }
}

/// Sorts an error of the client library.
pub(crate) fn explain(at: At, error: &object_store::Error) -> StorageError {
    if let Some(answer) = find::<Answer>(error) {
        return explain_answer(at, answer);
    }
    if let Some(error) = find::<HttpError>(error) {
        return StorageError::Unreachable { at, cause: told(chain(error)) };
    }
    match error {
        object_store::Error::NotFound { .. } => StorageError::NotFound { at, cause: None },
        _ => StorageError::Other { at, cause: told(one_line(&error.to_string())) },
    }
}

fn explain_answer(at: At, answer: &Answer) -> StorageError {
    let code = code(&answer.text).unwrap_or_default();
    let cause = told(match (answer.status, code) {
        (_, "NoSuchBucket") => "the bucket does not exist".to_owned(),
        (300..=399, _) => format!("{answer} (is the region right? set AWS_REGION)"),
        _ => answer.to_string(),
    });
    if FULL_CODES.contains(&code) {
        return StorageError::Full { at, cause };
    }
    if DENIED_CODES.contains(&code) {
        return StorageError::Denied { at, cause };
    }
    if TRANSIENT_CODES.contains(&code) {
        return StorageError::Unreachable { at, cause };
    }
    match answer.status {
        401 | 403 => StorageError::Denied { at, cause },
        404 => StorageError::NotFound { at, cause: Some(cause) },
        413 | 507 => StorageError::Full { at, cause },
        // 409: another request on the same name is under way.
        408 | 409 | 429 | 500 | 502..=504 => StorageError::Unreachable { at, cause },
        _ => StorageError::Other { at, cause },
    }
}

/// The innermost texts of an error, each once.
fn chain(error: &HttpError) -> String {
    let mut text = String::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(if text.is_empty() { "" } else { ": " });
            text.push_str(&words);
        }
        next = cause.source();
    }
    one_line(&text)
}

fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

fn code(text: &str) -> Option<&str> {
    element(text, "Code")
}

/// The text of the first XML element `name` (the answers are small, flat and the same everywhere).
pub(crate) fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}

fn one_line(text: &str) -> String {
    let short: String = text.chars().take(CAUSE_CHARS).collect();
    short.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
