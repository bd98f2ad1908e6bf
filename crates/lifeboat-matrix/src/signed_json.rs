//! Signed JSON (Matrix appendices, "Signing JSON").

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ruma::CanonicalJsonObject;
use ruma::CanonicalJsonValue;
use ruma::canonical_json::try_from_json_map;
use ruma::signatures::{
    KeyPair as _, to_canonical_json_string_for_signing, verify_canonical_json_bytes,
};
use serde_json::{Map, Value};
use thiserror::Error;

use super::keys::{PublicKeys, SigningKey};

/// An object cannot be signed.
#[derive(Debug, Error)]
pub enum SignJsonError {
    /// Floats, or integers beyond 2⁵³.
    #[error("the object is not canonical JSON; only integers below 2^53 can be signed")]
    NotCanonical(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// `signatures` is there and is not an object of objects.
    #[error("the object's `signatures` is not an object; remove it before signing")]
    Signatures,
}

/// A signature is missing or wrong.
#[derive(Debug, Error)]
pub enum VerifyJsonError {
    /// The object has no form that could have been signed.
    #[error("the signed object is damaged: it is not canonical JSON")]
    NotCanonical(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nothing there is signed by the server.
    #[error("there is no signature of {server}; ask for the object from its origin again")]
    Unsigned {
        /// The server that should have signed.
        server: String,
    },
    /// Signed, but with keys that are not believed.
    #[error("{server} signed with {key_ids}, which is not a key we trust; name the key to trust")]
    Untrusted {
        /// The server.
        server: String,
        /// The ids of the keys used.
        key_ids: String,
    },
    /// A believed key's signature does not fit: changed or forged.
    #[error("the signature {key_id} of {server} is wrong: the object was changed or forged")]
    Wrong {
        /// The server.
        server: String,
        /// The key's id.
        key_id: String,
    },
}

/// The canonical JSON of an object: sorted keys, no white space, integers only.
///
/// # Errors
/// When the object has floats or integers beyond 2⁵³.
pub fn canonical_json(object: &Map<String, Value>) -> Result<Vec<u8>, SignJsonError> {
    let object = canonical(object).map_err(SignJsonError::NotCanonical)?;
    serde_json::to_vec(&object).map_err(|source| SignJsonError::NotCanonical(source.into()))
}

/// Adds `key`'s signature as `server_name` to `object`; it does not cover `signatures` and
/// `unsigned`.
///
/// # Errors
/// When the object is not canonical JSON or its `signatures` is not an object.
pub fn sign_json(
    object: &mut Map<String, Value>,
    server_name: &str,
    key: &SigningKey,
) -> Result<(), SignJsonError> {
    let canonical = canonical(object).map_err(SignJsonError::NotCanonical)?;
    let text = to_canonical_json_string_for_signing(&canonical)
        .map_err(|source| SignJsonError::NotCanonical(source.into()))?;
    let signature = STANDARD_NO_PAD.encode(key.pair.sign(text.as_bytes()).as_bytes());
    let signatures = object.entry("signatures").or_insert_with(|| Value::Object(Map::new()));
    let signatures = signatures.as_object_mut().ok_or(SignJsonError::Signatures)?;
    let of_server = signatures.entry(server_name).or_insert_with(|| Value::Object(Map::new()));
    let of_server = of_server.as_object_mut().ok_or(SignJsonError::Signatures)?;
    of_server.insert(key.key_id().to_owned(), Value::String(signature));
    Ok(())
}

/// Checks that `server_name` signed `object` with a believed key and returns that key's id. Other
/// servers' signatures are not looked at. One wrong signature of a believed key is enough to
/// refuse.
///
/// # Errors
/// See [`VerifyJsonError`].
pub fn verify_json(
    object: &Map<String, Value>,
    server_name: &str,
    keys: &PublicKeys,
) -> Result<String, VerifyJsonError> {
    let object = canonical(object).map_err(VerifyJsonError::NotCanonical)?;
    let text = to_canonical_json_string_for_signing(&object)
        .map_err(|source| VerifyJsonError::NotCanonical(source.into()))?;
    let server = server_name.to_owned();
    let Some(signatures) = signatures_of(&object, server_name) else {
        return Err(VerifyJsonError::Unsigned { server });
    };
    let mut good = None;
    for (key_id, signature) in signatures {
        let Some(public) = keys.get(server_name, key_id) else { continue };
        let wrong = || VerifyJsonError::Wrong { server: server.clone(), key_id: key_id.clone() };
        let signature = signature.as_str().and_then(|text| ruma::serde::Base64::parse(text).ok());
        let signature: ruma::serde::Base64 = signature.ok_or_else(wrong)?;
        let algorithm = key_id.split(':').next().unwrap_or_default().into();
        verify_canonical_json_bytes(&algorithm, public, signature.as_bytes(), text.as_bytes())
            .map_err(|_| wrong())?;
        good = Some(key_id.clone());
    }
    good.ok_or_else(|| {
        let key_ids = signatures.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        VerifyJsonError::Untrusted { server, key_ids }
    })
}

fn canonical(
    object: &Map<String, Value>,
) -> Result<CanonicalJsonObject, Box<dyn std::error::Error + Send + Sync>> {
    Ok(try_from_json_map(object.clone())?)
}

fn signatures_of<'a>(
    object: &'a CanonicalJsonObject,
    server: &str,
) -> Option<&'a CanonicalJsonObject> {
    let CanonicalJsonValue::Object(signatures) = object.get("signatures")? else { return None };
    match signatures.get(server)? {
        CanonicalJsonValue::Object(of_server) if !of_server.is_empty() => Some(of_server),
        _ => None,
    }
}
