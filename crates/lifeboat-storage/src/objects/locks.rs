//! Object lock in a bucket: whether it has it, and objects that are held for longer.
//!
//! What is written gets its lock in the request that writes it. What is there already, and what
//! came of a request, is asked and prolonged one by one.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use object_store::path::Path;
use object_store::signer::Method;
use object_store::{HeaderMap, HeaderValue};

use super::bucket::Bucket;
use super::wire::element;
use crate::error::StorageError;
use crate::lock::{Lock, LockMode};

/// Characters of `2026-12-22T03:15:00`: what follows are fractions and the zone, which is UTC.
const TO_THE_SECOND: usize = 19;

/// Part of the codes for "there is no lock": AWS has one for buckets and one for objects, SeaweedFS
/// one for both.
const NO_LOCK: &str = "ObjectLockConfiguration";

/// The headers that lock what a request writes.
pub(crate) fn headers(lock: &Lock) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-object-lock-mode", HeaderValue::from_static(lock.mode.header()));
    let until = HeaderValue::from_str(&lock.until).ok()?;
    headers.insert("x-amz-object-lock-retain-until-date", until);
    Some(headers)
}

/// Whether the bucket was made with object lock.
pub(crate) async fn is_on(bucket: &Bucket) -> Result<bool, StorageError> {
    let at = bucket.at("ask for the object lock of", "");
    let Some(signed) = bucket.signed() else { return Ok(false) };
    let query = vec![(String::from("object-lock"), String::new())];
    let root = Path::default();
    let ask = || signed.ask((Method::GET, &root), query.clone(), (HeaderMap::new(), Bytes::new()));
    match bucket.persist(&at, 0, ask).await {
        Ok(answer) => Ok(element(&answer, "ObjectLockEnabled") == Some("Enabled")),
        Err(StorageError::NotFound { cause: Some(cause), .. })
            if cause.to_string().contains(NO_LOCK) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Holds an object at least as long as the lock says; whether it had to be prolonged.
pub(crate) async fn hold(bucket: &Bucket, name: &str, lock: &Lock) -> Result<bool, StorageError> {
    let path = bucket.path("lock", name)?;
    let found = match held(bucket, name, &path).await {
        Ok(found) => found,
        // Who may set it need not be one who may look.
        Err(StorageError::Denied { .. }) => None,
        Err(error) => return Err(error),
    };
    if found.as_ref().is_some_and(|found| reaches(&found.until, &lock.until)) {
        return Ok(false);
    }
    // To prolong needs no more than the right to lock; to change the mode may need the right to
    // unlock, which whoever writes must not have.
    let mode = found.map_or(lock.mode, |found| found.mode);
    set(bucket, name, &path, &Lock { mode, until: lock.until.clone() }).await?;
    Ok(true)
}

/// The lock of an object's newest version; none when it has none.
pub(crate) async fn held(
    bucket: &Bucket,
    name: &str,
    path: &Path,
) -> Result<Option<Lock>, StorageError> {
    let at = bucket.at("ask for the lock of", name);
    let Some(signed) = bucket.signed() else { return Ok(None) };
    let query = vec![(String::from("retention"), String::new())];
    let ask = || signed.ask((Method::GET, path), query.clone(), (HeaderMap::new(), Bytes::new()));
    let answer = match bucket.persist(&at, 0, ask).await {
        Err(StorageError::NotFound { cause: Some(cause), .. })
            if cause.to_string().contains(NO_LOCK) =>
        {
            return Ok(None);
        }
        answer => answer?,
    };
    let mode = match element(&answer, "Mode") {
        Some("COMPLIANCE") => LockMode::Compliance,
        Some("GOVERNANCE") => LockMode::Governance,
        _ => return Ok(None),
    };
    let until = element(&answer, "RetainUntilDate").map(str::to_owned);
    Ok(until.map(|until| Lock { mode, until }))
}

async fn set(bucket: &Bucket, name: &str, path: &Path, lock: &Lock) -> Result<(), StorageError> {
    let at = bucket.at("lock", name);
    let Some(signed) = bucket.signed() else { return Ok(()) };
    let body = format!(
        "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>{}</Mode>\
         <RetainUntilDate>{}</RetainUntilDate></Retention>",
        lock.mode.header(),
        lock.until
    );
    let mut headers = HeaderMap::new();
    // S3 wants a sum of what changes a lock.
    let sum = STANDARD.encode(digest(&SHA256, body.as_bytes()));
    let sum = HeaderValue::from_str(&sum)
        .map_err(|error| StorageError::Refused { at: at.clone(), detail: error.to_string() })?;
    headers.insert("x-amz-checksum-sha256", sum);
    let query = vec![(String::from("retention"), String::new())];
    let body = Bytes::from(body);
    let put = || signed.ask((Method::PUT, path), query.clone(), (headers.clone(), body.clone()));
    bucket.persist(&at, 0, put).await.map(drop)
}

/// Whether one date is not before another.
fn reaches(found: &str, wanted: &str) -> bool {
    match (found.get(..TO_THE_SECOND), wanted.get(..TO_THE_SECOND)) {
        (Some(found), Some(wanted)) => found >= wanted,
        _ => false,
    }
}
