//! The manifest's signature: who says to have made it, and whether that fits.

use lifeboat_components::matrix::{self, PublicKeys, VerifyJsonError};
use lifeboat_package::manifest::Manifest;
use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::reader::{Package, damaged};

/// Who says to have signed a manifest: server name and key id.
pub fn signers(manifest: &Manifest) -> Vec<String> {
    let of_server = |(server, keys): (&String, &Value)| {
        let keys = keys.as_object().into_iter().flatten().map(|(key, _)| key.clone());
        let server = server.clone();
        keys.collect::<Vec<_>>().into_iter().map(move |key| format!("{server} {key}"))
    };
    manifest.signatures.iter().flat_map(of_server).collect()
}

/// The key that the package itself names: key id and public key. Whose it is, it cannot say.
pub fn named_key(manifest: &Manifest) -> Option<(&str, &str)> {
    manifest.metadata.source.get("signing_key")?.split_once(' ')
}

/// Checks the signature of the package's server with believed keys; the key id that fits.
///
/// # Errors
/// [`Failure`] when the manifest is no object; inside, why no key fits.
pub fn check(
    package: &Package,
    keys: &PublicKeys,
) -> Result<Result<String, VerifyJsonError>, Failure> {
    let object: Map<String, Value> = serde_json::from_slice(&package.manifest_json)
        .map_err(|e| damaged("manifest.sealed").because(e))?;
    Ok(matrix::verify_json(&object, &package.manifest.metadata.server_id, keys))
}

/// Whether the signature was made with the key that the package names.
///
/// # Errors
/// [`Failure`] when the manifest is no object.
pub fn fits_named_key(package: &Package) -> Result<bool, Failure> {
    let Some((id, public)) = named_key(&package.manifest) else { return Ok(false) };
    let mut keys = PublicKeys::new();
    if keys.insert(&package.manifest.metadata.server_id, id, public).is_err() {
        return Ok(false);
    }
    Ok(check(package, &keys)?.is_ok())
}
