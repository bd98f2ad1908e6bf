//! Requests that the client library does not know, signed by it.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use object_store::HeaderMap;
use object_store::aws::AmazonS3;
use object_store::client::{HttpClient, HttpError, HttpRequest};
use object_store::path::Path;
use object_store::signer::{Method, SignedUrlOptions, Signer as _};

/// Bytes of an answer that are read.
const ANSWER_BYTES: usize = 8 << 20;

/// How long a signature is good.
const SIGNATURE_LIFE: Duration = Duration::from_mins(5);

/// Signs and sends.
pub(crate) struct Signed {
    signer: AmazonS3,
    client: HttpClient,
}

impl Signed {
    pub(crate) fn new(signer: AmazonS3, client: HttpClient) -> Self {
        Self { signer, client }
    }

    /// Sends a request about an object, or about the bucket where the path is empty; the query is
    /// signed as well as the headers. Gives the answer's text.
    pub(crate) async fn ask(
        &self,
        (method, path): (Method, &Path),
        query: Vec<(String, String)>,
        (headers, body): (HeaderMap, Bytes),
    ) -> object_store::Result<String> {
        let mut options = SignedUrlOptions::new().with_query(query);
        options.signed_headers.clone_from(&headers);
        let signed =
            self.signer.signed_url_opts(method.clone(), path, SIGNATURE_LIFE, &options).await?;
        let mut request = HttpRequest::new(body.into());
        *request.method_mut() = method;
        *request.headers_mut() = headers;
        *request.uri_mut() = signed.as_str().parse().map_err(generic)?;
        let response = self.client.execute(request).await.map_err(generic)?;
        let mut body = response.into_body().bytes_stream();
        let mut answer = Vec::new();
        while let Some(bytes) = body.next().await {
            answer.extend_from_slice(&bytes.map_err(generic::<HttpError>)?);
            if answer.len() > ANSWER_BYTES {
                break;
            }
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

fn generic<E: std::error::Error + Send + Sync + 'static>(error: E) -> object_store::Error {
    object_store::Error::Generic { store: "S3", source: Box::new(error) }
}
