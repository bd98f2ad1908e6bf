//! Who made this package? Encryption to a public key says nothing about it; a signature does.

use lifeboat_components::matrix::PublicKeys;
use lifeboat_components::synapse::config::SynapseConfig;

use super::ImportRequest;
use crate::failure::Failure;
use crate::reader::Package;
use crate::signature::{self, signers};

/// Demands that the manifest is signed by the target's own key, a pinned key, or one that is
/// accepted by name. Returns why it is trusted, in words.
///
/// # Errors
/// [`Failure`] for a package that is not to be trusted.
pub fn demand(
    package: &Package,
    target: &SynapseConfig,
    request: &ImportRequest,
) -> Result<String, Failure> {
    let mut own = PublicKeys::new();
    for key in target.signing_keys().unwrap_or_default() {
        own.insert_own(package.manifest.metadata.server_id.as_str(), &key);
    }
    let claims = Claims {
        accept_signer: request.accept_signer.as_deref(),
        trusted_keys: &request.trusted_keys,
        accept_unsigned: request.accept_unsigned,
    };
    demand_of(package, &own, &claims)
}

/// What the operator says of whom to trust.
#[derive(Debug, Clone, Copy)]
pub struct Claims<'a> {
    /// Server name or public key of a signer that is accepted.
    pub accept_signer: Option<&'a str>,
    /// Keys to trust, `<server> <key id> <base64>` each.
    pub trusted_keys: &'a [String],
    /// Whether a package without a signature is accepted.
    pub accept_unsigned: bool,
}

/// The same, where the target's own keys are these.
///
/// # Errors
/// [`Failure`] for a package that is not to be trusted.
pub fn demand_of(
    package: &Package,
    own: &PublicKeys,
    claims: &Claims<'_>,
) -> Result<String, Failure> {
    let signers = signers(&package.manifest);
    if signers.is_empty() {
        if claims.accept_unsigned {
            return Ok("not signed; accepted by --accept-unsigned".to_owned());
        }
        return Err(Failure::not_valid(
            "the package is not signed: nobody knows who made it",
            "if you made it yourself, run again with --accept-unsigned",
        ));
    }
    if let Ok(key) = signature::check(package, own)? {
        return Ok(format!("signed with {key}, the target's own key"));
    }
    if let Ok(key) = signature::check(package, &pinned(claims)?)? {
        return Ok(format!("signed with {key}, which --trust-key pins"));
    }
    accepted(package, claims, &signers)
}

/// The signature is checked against the key the package names itself, and the operator says that it
/// is theirs.
fn accepted(package: &Package, claims: &Claims<'_>, signers: &[String]) -> Result<String, Failure> {
    let server = package.manifest.metadata.server_id.as_str();
    let (id, public) = signature::named_key(&package.manifest).unwrap_or_default();
    if !signature::fits_named_key(package)? {
        return Err(Failure::not_valid(
            format!("the signature of the package ({}) is wrong", signers.join(", ")),
            "do not import it; look for another copy",
        ));
    }
    match claims.accept_signer {
        Some(accepted) if accepted == public => {
            Ok(format!("signed with {id} {public}; accepted by --accept-signer"))
        }
        // Whoever makes a package chooses the name in it, so this says less than the key does.
        Some(accepted) if accepted == server => Ok(format!(
            "signed with {id} {public}; accepted by NAME ONLY, the key was not compared"
        )),
        _ => Err(Failure::not_valid(
            format!(
                "the package is signed by {server} with {id} {public}, which is not trusted here"
            ),
            format!(
                "compare the key with your server's (GET /_matrix/key/v2/server, or \
                 signing_key_path); if it is yours, run again with --accept-signer {public}"
            ),
        )),
    }
}

fn pinned(claims: &Claims<'_>) -> Result<PublicKeys, Failure> {
    let mut keys = PublicKeys::new();
    for line in claims.trusted_keys {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let wrong = || {
            Failure::usage(
                "a trusted key is not `<server> <key id> <base64>`",
                "write it as `example.org ed25519:a_abcd base64`",
            )
        };
        let [server, id, public] = words[..] else { return Err(wrong()) };
        keys.insert(server, id, public).map_err(|e| wrong().because(e))?;
    }
    Ok(keys)
}
