//! Multipart uploads that never finished, at S3: they cost money and no listing shows them.
//!
//! The client library cannot list them: the listing is a signed request of our own.

use bytes::Bytes;
use object_store::HeaderMap;
use object_store::path::Path;
use object_store::signer::Method;

use super::bucket::Bucket;
use super::signed::Signed;
use super::wire::element;
use crate::error::StorageError;

/// Listings that are asked; each names up to 1000 uploads.
const ROUNDS: usize = 100;

/// An unfinished upload.
#[derive(Debug, PartialEq, Eq)]
struct Leftover {
    key: String,
    id: String,
}

/// Aborts every unfinished upload under the bucket's prefix.
pub(crate) async fn delete(bucket: &Bucket) -> Result<u64, StorageError> {
    let Some(signed) = bucket.signed() else { return Ok(0) };
    let at = bucket.at("delete leftovers of", "");
    let mut deleted = 0;
    for _ in 0..ROUNDS {
        let listing = bucket.persist(&at, 0, || list(signed, bucket.prefix())).await?;
        let leftovers = parse(&listing);
        let ours: Vec<_> = leftovers
            .into_iter()
            .filter_map(|leftover| Some((Path::parse(&leftover.key).ok()?, leftover.id)))
            .filter(|(path, _)| bucket.name_of(path).is_some())
            .collect();
        if ours.is_empty() {
            break;
        }
        for (path, id) in ours {
            let store = bucket.multipart();
            match bucket.persist(&at, 0, || store.abort_multipart(&path, &id)).await {
                Ok(()) => deleted += 1,
                Err(StorageError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(deleted)
}

async fn list(signed: &Signed, prefix: &Path) -> object_store::Result<String> {
    let mut query = vec![(String::from("uploads"), String::new())];
    if !prefix.as_ref().is_empty() {
        query.push((String::from("prefix"), format!("{prefix}/")));
    }
    signed.ask((Method::GET, &Path::default()), query, (HeaderMap::new(), Bytes::new())).await
}

fn parse(listing: &str) -> Vec<Leftover> {
    listing
        .split("<Upload>")
        .skip(1)
        .filter_map(|upload| {
            let (upload, _) = upload.split_once("</Upload>")?;
            let id = element(upload, "UploadId")?.to_owned();
            // Names of ours have no character that XML would write otherwise.
            Some(Leftover { key: element(upload, "Key")?.to_owned(), id })
        })
        .collect()
}

#[cfg(test)]
mod tests;
