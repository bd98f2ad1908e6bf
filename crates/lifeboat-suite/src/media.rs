//! The places besides the media store where a Synapse keeps media, ready to be opened.

use std::path::PathBuf;

use lifeboat_storage::Access;

use crate::installation::Component;
use crate::read_synapse;

/// Variables that begin so are for the media's bucket, where that is another store than the
/// vault's: `LIFEBOAT_MEDIA_AWS_ACCESS_KEY_ID`.
pub const VARIABLES: &str = "LIFEBOAT_MEDIA_";

/// A storage provider. No `Debug`: it may hold keys.
#[derive(Clone)]
pub struct Provider {
    /// As it is told: its place, and the module.
    pub name: String,
    /// Where its files are.
    pub at: ProviderAt,
}

/// Where the files of a provider are.
#[derive(Clone)]
pub enum ProviderAt {
    /// In a folder, under the same paths as in the media store.
    Folder(PathBuf),
    /// In a bucket.
    Bucket {
        /// Its name.
        bucket: String,
        /// What all names begin with.
        prefix: String,
        /// The way in.
        access: Box<Access>,
    },
    /// Nobody knows; this is why.
    Unknown(&'static str),
}

/// The providers of a Synapse, in the order of its configuration. Keys stand in the configuration;
/// else they are looked for in the environment.
pub fn providers(component: &Component, environment: &[(String, String)]) -> Vec<Provider> {
    let Some(media) = &component.media else { return Vec::new() };
    if media.providers.is_empty() {
        return Vec::new();
    }
    let config = read_synapse(&component.config, &component.read_options()).ok();
    let mut found = Vec::new();
    for (number, provider) in media.providers.iter().enumerate() {
        let module = &provider.module;
        let (place, at) = match (&provider.directory, &provider.bucket) {
            // A provider that is the media store itself adds nothing.
            (Some(folder), _) if *folder == media.store_path => continue,
            (Some(folder), _) => (folder.display().to_string(), ProviderAt::Folder(folder.clone())),
            (None, Some(bucket)) if bucket.has_own_key => {
                let why = "its objects are encrypted with a key of its own (sse_customer_key)";
                (format!("s3://{}", bucket.bucket), ProviderAt::Unknown(why))
            }
            (None, Some(bucket)) => {
                let keys = config.as_ref().and_then(|read| read.bucket_keys(number).ok()?);
                let mut access = match &keys {
                    // Keys of their own: nothing of the vault's store belongs to them.
                    Some(keys) => Access::none()
                        .with("AWS_ACCESS_KEY_ID", keys.id.expose())
                        .with("AWS_SECRET_ACCESS_KEY", keys.secret.expose()),
                    None => Access::named_apart(environment, VARIABLES),
                };
                let session = keys.and_then(|keys| keys.session);
                for (key, value) in [
                    ("AWS_SESSION_TOKEN", session.as_ref().map(lifeboat_config::Secret::expose)),
                    ("AWS_ENDPOINT_URL_S3", bucket.endpoint_url.as_deref()),
                    ("AWS_REGION", bucket.region.as_deref()),
                ] {
                    access = value.iter().fold(access, |access, value| access.with(key, value));
                }
                let (name, prefix) = (bucket.bucket.clone(), bucket.prefix.clone());
                let at = ProviderAt::Bucket { bucket: name, prefix, access: Box::new(access) };
                (format!("s3://{}/{}", bucket.bucket, bucket.prefix), at)
            }
            (None, None) => {
                ("-".to_owned(), ProviderAt::Unknown("Lifeboat does not know this module"))
            }
        };
        found.push(Provider { name: format!("{place} ({module})"), at });
    }
    found
}
