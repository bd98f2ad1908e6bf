//! From a location and an access to a client.
//!
//! The usual variables of each cloud are understood by the client library under their own names.
//! Its retries are off: [`super::bucket`] does them, so that there is one budget and one place that
//! knows it.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, Checksum};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::client::HttpConnector as _;
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::path::Path;
use object_store::{ClientOptions, RetryConfig};

use super::bucket::Bucket;
use super::locks;
use super::signed::Signed;
use super::wire::{Wire, no_credentials};
use crate::access::Access;
use crate::error::{At, StorageError};
use crate::location::{Cloud, Location};

/// Time to reach a server.
const CONNECT_SECONDS: u64 = 10;

/// Time to get credentials from the machine we run on; where there are none, nothing may answer at
/// all.
const CREDENTIALS_SECONDS: u64 = 5;

pub(crate) async fn connect(
    cloud: Cloud,
    bucket: &str,
    prefix: &str,
    access: &Access,
) -> Result<Bucket, StorageError> {
    let location = Location::Bucket { cloud, bucket: bucket.to_owned(), prefix: prefix.to_owned() };
    let shown = location.to_string();
    let at = At::new("open", "", &shown);
    let prefix = Path::parse(prefix)
        .map_err(|error| StorageError::Refused { at: at.clone(), detail: error.to_string() })?;
    let patience = access.patience();
    let refused = |error: object_store::Error| StorageError::Refused {
        at: at.clone(),
        detail: error.to_string(),
    };
    Ok(match cloud {
        Cloud::S3 => {
            let options = client_options(access, "AWS_");
            let store = s3(bucket, access, options.clone()).map_err(refused)?;
            check_credentials(&store, &at, access).await?;
            let client = Wire.connect(&options).map_err(refused)?;
            let signed = Signed::new(store.clone(), client);
            let opened = Bucket::new(Arc::new(store), prefix, shown, patience).with_signed(signed);
            match access.lock().and_then(|lock| Some((lock, locks::headers(lock)?))) {
                None => opened,
                Some((lock, headers)) => {
                    let options = options.with_default_headers(headers);
                    let store = s3(bucket, access, options).map_err(refused)?;
                    opened.with_lock(lock.clone(), Arc::new(store))
                }
            }
        }
        Cloud::Google => {
            let store = google(bucket, access).build().map_err(refused)?;
            Bucket::new(Arc::new(store), prefix, shown, patience)
        }
        Cloud::Azure => {
            let store = azure(bucket, access).build().map_err(refused)?;
            Bucket::new(Arc::new(store), prefix, shown, patience)
        }
    })
}

fn s3(bucket: &str, access: &Access, options: ClientOptions) -> object_store::Result<AmazonS3> {
    let mut builder = AmazonS3Builder::new()
        .with_client_options(options)
        .with_http_connector(Wire)
        .with_retry(no_retry())
        .with_disable_bulk_delete(true);
    if access.lock().is_some() {
        // S3 takes nothing into a lock without a sum.
        builder = builder.with_checksum_algorithm(Checksum::SHA256);
    }
    for (key, value) in access.lower_case("AWS_") {
        if let Ok(key) = key.parse::<AmazonS3ConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    builder.with_bucket_name(bucket).build()
}

fn google(bucket: &str, access: &Access) -> GoogleCloudStorageBuilder {
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_client_options(client_options(access, "GOOGLE_"))
        .with_http_connector(Wire)
        .with_retry(no_retry());
    for (key, value) in access.lower_case("GOOGLE_") {
        if let Ok(key) = key.parse::<GoogleConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    builder.with_bucket_name(bucket)
}

fn azure(container: &str, access: &Access) -> MicrosoftAzureBuilder {
    let mut builder = MicrosoftAzureBuilder::new()
        .with_client_options(client_options(access, "AZURE_"))
        .with_http_connector(Wire)
        .with_retry(no_retry());
    for (key, value) in access.lower_case("AZURE_") {
        if let Ok(key) = key.parse::<AzureConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    builder.with_container_name(container)
}

/// Requests have no time limit of the client: ours grows with what is sent. HTTP without TLS is for
/// endpoints that somebody wrote down so.
fn client_options(access: &Access, prefix: &str) -> ClientOptions {
    let plain = access.lower_case(prefix).any(|(key, value)| {
        (key.contains("endpoint") || key.contains("base_url")) && value.starts_with("http://")
    });
    ClientOptions::new()
        .with_timeout_disabled()
        .with_connect_timeout(Duration::from_secs(CONNECT_SECONDS))
        .with_allow_http(plain)
}

fn no_retry() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

/// Without credentials in the environment the client asks the machine's metadata server, which at
/// most machines does not exist. That is found out here, once, and said in words.
async fn check_credentials(store: &AmazonS3, at: &At, access: &Access) -> Result<(), StorageError> {
    const GIVEN: [&str; 5] = [
        "AWS_ACCESS_KEY_ID",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_SKIP_SIGNATURE",
    ];
    if GIVEN.iter().any(|key| access.get(key).is_some()) {
        return Ok(());
    }
    let limit = Duration::from_secs(CREDENTIALS_SECONDS);
    match tokio::time::timeout(limit, store.credentials().get_credential()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(no_credentials(
            at.clone(),
            "there is no AWS_ACCESS_KEY_ID in the environment, and this machine has no role",
        )),
    }
}
