//! Multipart uploads that never finished, at S3: they cost money and no listing shows them.
//!
//! The client library cannot list them, but it signs: the listing is one signed request of our own.

use std::time::Duration;

use futures_util::StreamExt as _;
use object_store::HeaderMap;
use object_store::aws::AmazonS3;
use object_store::client::{HttpClient, HttpError, HttpRequest, HttpRequestBody};
use object_store::path::Path;
use object_store::signer::{Method, SignedUrlOptions, Signer as _};

use super::bucket::Bucket;
use super::wire::element;
use crate::error::StorageError;

/// Bytes of a listing that are read.
const LISTING_BYTES: usize = 8 << 20;

/// Listings that are asked; each names up to 1000 uploads.
const ROUNDS: usize = 100;

/// How long a signature is good.
const SIGNATURE_LIFE: Duration = Duration::from_mins(5);

/// Lists unfinished uploads.
pub(crate) struct Lister {
    signer: AmazonS3,
    client: HttpClient,
}

/// An unfinished upload.
#[derive(Debug, PartialEq, Eq)]
struct Leftover {
    key: String,
    id: String,
}

/// Aborts every unfinished upload under the bucket's prefix.
pub(crate) async fn delete(bucket: &Bucket) -> Result<u64, StorageError> {
    let Some(lister) = bucket.lister() else { return Ok(0) };
    let at = bucket.at("delete leftovers of", "");
    let mut deleted = 0;
    for _ in 0..ROUNDS {
        let listing = bucket.persist(&at, 0, || lister.list(bucket.prefix())).await?;
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

impl Lister {
    pub(crate) fn new(signer: AmazonS3, client: HttpClient) -> Self {
        Self { signer, client }
    }

    async fn list(&self, prefix: &Path) -> object_store::Result<String> {
        let mut query = vec![(String::from("uploads"), String::new())];
        if !prefix.as_ref().is_empty() {
            query.push((String::from("prefix"), format!("{prefix}/")));
        }
        let options = SignedUrlOptions::new().with_query(query);
        let url = self
            .signer
            .signed_url_opts(Method::GET, &Path::default(), SIGNATURE_LIFE, &options)
            .await?;
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.headers_mut() = HeaderMap::new();
        *request.uri_mut() = url.as_str().parse().map_err(generic)?;
        let response = self.client.execute(request).await.map_err(generic)?;
        let mut body = response.into_body().bytes_stream();
        let mut listing = Vec::new();
        while let Some(bytes) = body.next().await {
            listing.extend_from_slice(&bytes.map_err(generic::<HttpError>)?);
            if listing.len() > LISTING_BYTES {
                break;
            }
        }
        Ok(String::from_utf8_lossy(&listing).into_owned())
    }
}

fn generic<E: std::error::Error + Send + Sync + 'static>(error: E) -> object_store::Error {
    object_store::Error::Generic { store: "S3", source: Box::new(error) }
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
