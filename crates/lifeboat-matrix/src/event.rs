//! Events as servers exchange them (PDUs): ids, content hashes and signatures, by room version.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ruma::canonical_json::{CanonicalJsonValue, redact};
use ruma::room_version_rules::{EventIdFormatVersion, RoomVersionRules};
use ruma::signatures::{VerificationError, Verified, content_hash, reference_hash};
use ruma::signatures::{required_server_signatures_to_verify_event, verify_event};
use ruma::{CanonicalJsonObject, RoomVersionId};
use thiserror::Error;

use super::keys::PublicKeys;

/// What a room version prescribes.
#[derive(Debug, Clone)]
pub struct RoomRules {
    rules: RoomVersionRules,
}

impl RoomRules {
    /// The rules of a room version, `None` for one that this program does not know.
    pub fn of(room_version: &str) -> Option<Self> {
        let rules = RoomVersionId::try_from(room_version).ok()?.rules()?;
        Some(Self { rules })
    }

    /// Whether an event that cannot be parsed is certainly a bad one: before room version 6, floats
    /// and large integers were let in, so there only text that is not JSON at all is.
    fn settles(&self, error: &PduError) -> bool {
        let PduError::NotCanonical(source) = error else { return false };
        self.rules.authorization.strict_canonical_json || !source.is_data()
    }
}

/// An event, parsed.
pub struct Pdu {
    object: CanonicalJsonObject,
}

/// What checking an event said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Hash and signatures are right.
    Good,
    /// The signatures are right, the content hash is not: content was removed by a redaction.
    Redacted,
    /// Damaged or forged, and why.
    Bad(String),
    /// A server that had to sign has no key among those given.
    NoKey(String),
    /// This program cannot tell, and why: unknown room version, or numbers that no rule covers.
    Unknown(String),
}

/// An event cannot be read or its hash cannot be computed.
#[derive(Debug, Error)]
pub enum PduError {
    /// Not a JSON object, or with numbers outside canonical JSON (floats exist in rooms of
    /// version 1 to 5, whose hashing no specification settles).
    #[error("the event is not a canonical JSON object")]
    NotCanonical(#[source] serde_json::Error),
    /// The room version is not one of 1 to 12.
    #[error("room version {0} is not known; use a newer Lifeboat to check its events")]
    UnknownVersion(String),
    /// A field that the rule needs is missing or of another type.
    #[error("the event lacks the field {0}, or it has another type than the rules say")]
    Field(&'static str),
    /// Too large, or fields of types that redaction does not expect.
    #[error("the event cannot be hashed")]
    Hash(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Pdu {
    /// Parses an event.
    ///
    /// # Errors
    /// [`PduError::NotCanonical`].
    pub fn parse(json: &[u8]) -> Result<Self, PduError> {
        let object = serde_json::from_slice(json).map_err(PduError::NotCanonical)?;
        Ok(Self { object })
    }

    /// The event's id: inside it in rooms of version 1 and 2, else its reference hash.
    ///
    /// # Errors
    /// When the event has no id inside where it must, or cannot be hashed.
    pub fn event_id(&self, rules: &RoomRules) -> Result<String, PduError> {
        if matches!(rules.rules.event_id_format, EventIdFormatVersion::V1) {
            return match self.object.get("event_id") {
                Some(CanonicalJsonValue::String(id)) => Ok(id.clone()),
                _ => Err(PduError::Field("event_id")),
            };
        }
        let hash = reference_hash(&self.object, &rules.rules)
            .map_err(|source| PduError::Hash(source.into()))?;
        Ok(format!("${hash}"))
    }

    /// Whether the content hash inside is that of the event; false also for redacted events.
    ///
    /// # Errors
    /// When the event has no hash or cannot be hashed.
    pub fn content_hash_fits(&self) -> Result<bool, PduError> {
        let hashes = self.object.get("hashes").and_then(CanonicalJsonValue::as_object);
        let hash = hashes.and_then(|hashes| hashes.get("sha256")?.as_str());
        let hash = hash.ok_or(PduError::Field("hashes.sha256"))?;
        let computed =
            content_hash(&self.object).map_err(|source| PduError::Hash(source.into()))?;
        Ok(STANDARD_NO_PAD.encode(computed.as_bytes()) == hash.trim_end_matches('='))
    }

    /// Whether a redaction would take nothing more away, but for what servers keep in `unsigned`.
    /// Only such an event may have a content hash that does not fit.
    ///
    /// # Errors
    /// When a field that redaction looks at has another type than the rules say.
    pub fn is_stripped(&self, rules: &RoomRules) -> Result<bool, PduError> {
        let mut signed = self.object.clone();
        signed.remove("unsigned");
        let stripped = redact(signed.clone(), &rules.rules.redaction, None);
        Ok(stripped.map_err(|source| PduError::Hash(source.into()))? == signed)
    }

    /// The event as it is after a redaction, in canonical form.
    ///
    /// # Errors
    /// When a field that redaction looks at has another type than the rules say.
    pub fn redacted(&self, rules: &RoomRules) -> Result<Vec<u8>, PduError> {
        let stripped = redact(self.object.clone(), &rules.rules.redaction, None);
        let mut stripped = stripped.map_err(|source| PduError::Hash(source.into()))?;
        stripped.remove("unsigned");
        serde_json::to_vec(&stripped).map_err(PduError::NotCanonical)
    }

    /// Checks the signatures of every server that had to sign, and the content hash.
    pub fn verify(&self, rules: &RoomRules, keys: &PublicKeys) -> Verdict {
        let servers =
            match required_server_signatures_to_verify_event(&self.object, &rules.rules.signatures)
            {
                Ok(servers) => servers,
                Err(error) => return Verdict::Bad(told(&error)),
            };
        if let Some(server) = servers.iter().find(|server| !keys.knows(server.as_str())) {
            return Verdict::NoKey(server.to_string());
        }
        match verify_event(&keys.map, &self.object, &rules.rules) {
            Ok(Verified::All) => Verdict::Good,
            Ok(Verified::Signatures) => Verdict::Redacted,
            Err(VerificationError::NoSupportedSignatureForEntity(server)) => self.unmatched(server),
            Err(error) => Verdict::Bad(told(&error)),
        }
    }

    /// No signature of `server` is by a key we have: either it used another key or it did not sign.
    fn unmatched(&self, server: String) -> Verdict {
        let signatures = self.object.get("signatures").and_then(CanonicalJsonValue::as_object);
        let of_server = signatures.and_then(|all| all.get(&server)?.as_object());
        match of_server {
            Some(of_server) if !of_server.is_empty() => Verdict::NoKey(server),
            _ => Verdict::Bad(format!("no signature of {server}")),
        }
    }
}

/// The id of the event with these bytes, in a room of this version.
///
/// # Errors
/// See [`PduError`].
pub fn event_id(pdu: &[u8], room_version: &str) -> Result<String, PduError> {
    let rules = known(room_version)?;
    Pdu::parse(pdu)?.event_id(&rules)
}

/// Whether the content hash inside the event with these bytes is right. It does not depend on the
/// room version.
///
/// # Errors
/// See [`PduError`].
pub fn check_content_hash(pdu: &[u8]) -> Result<bool, PduError> {
    Pdu::parse(pdu)?.content_hash_fits()
}

/// Checks hash and signatures of the event with these bytes.
pub fn verify_event_signatures(pdu: &[u8], room_version: &str, keys: &PublicKeys) -> Verdict {
    let rules = match known(room_version) {
        Ok(rules) => rules,
        Err(error) => return Verdict::Unknown(error.to_string()),
    };
    match Pdu::parse(pdu) {
        Ok(pdu) => pdu.verify(&rules, keys),
        Err(error) if rules.settles(&error) => Verdict::Bad(error.to_string()),
        Err(error) => Verdict::Unknown(error.to_string()),
    }
}

fn known(room_version: &str) -> Result<RoomRules, PduError> {
    let rules = RoomRules::of(room_version);
    rules.ok_or_else(|| PduError::UnknownVersion(room_version.chars().take(40).collect()))
}

/// The reason in words: the verification error and its first cause.
fn told(error: &VerificationError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
