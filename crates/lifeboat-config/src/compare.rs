//! Does a target's configuration fit what a package was taken from? Asked before anything is
//! written: a wrong pepper or a fresh signing key cannot be put right afterwards.

use super::kept::KeptConfig;
use super::scan::{FileState, NamedFile};
use super::{SigningKeyError, SynapseConfig};
use lifeboat_matrix::SigningKey;

/// How grave it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Goes on; someone will notice.
    Warn,
    /// Must not go on.
    Refuse,
}

/// One difference that matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How grave.
    pub severity: Severity,
    /// The setting.
    pub setting: String,
    /// What was found, and what it means.
    pub found: String,
    /// What to do.
    pub remedy: String,
}

/// Secrets that should be equal, and what happens where they are not.
const WORTH_A_WARNING: &[(&str, &str)] = &[
    (
        "macaroon_secret_key",
        "guest access, logins through single sign-on that are under way, and unsubscribe links in \
         mails stop working",
    ),
    ("form_secret", "consent forms that are open now stop working"),
    (
        "matrix_authentication_service.secret",
        "the authentication service cannot talk to Synapse unless it has the target's secret",
    ),
    ("registration_shared_secret", "scripts that register users with the old secret stop working"),
];

/// Compares what is packed with a target; the gravest findings first.
pub fn compare_for_restore(packaged: &KeptConfig, target: &SynapseConfig) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(server_name(packaged, target));
    findings.extend(pepper(packaged, &target.kept));
    findings.extend(signing_key(packaged, target));
    findings.extend(warnings(packaged, target));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

fn server_name(packaged: &KeptConfig, target: &SynapseConfig) -> Option<Finding> {
    let name = packaged.server_name().unwrap_or_default();
    (name != target.server_name).then(|| Finding {
        severity: Severity::Refuse,
        setting: "server_name".to_owned(),
        found: format!(
            "the package is of {name}, the target is {}; a server's name can never change",
            target.server_name
        ),
        remedy: format!("set `server_name: {name}` in the target's configuration"),
    })
}

fn pepper(packaged: &KeptConfig, target: &KeptConfig) -> Option<Finding> {
    const NAME: &str = "password_config.pepper";
    // A number is a text for Python's string formatting too, and no pepper is the empty one.
    let (ours, theirs) = (packaged.secret(NAME), target.secret(NAME));
    (ours != theirs).then(|| {
        let found = match (&ours, &theirs) {
            (Some(_), None) => "the packaged server has a pepper, the target has none",
            (None, _) => "the packaged server has no pepper, the target has one",
            _ => "the pepper differs",
        };
        let remedy = match ours {
            Some(_) => "set password_config.pepper to the packaged value (config/secrets)",
            None => "remove password_config.pepper from the target's configuration",
        };
        Finding {
            severity: Severity::Refuse,
            setting: NAME.to_owned(),
            found: format!("{found}; no user could log in with a password"),
            remedy: remedy.to_owned(),
        }
    })
}

fn signing_key(packaged: &KeptConfig, target: &SynapseConfig) -> Option<Finding> {
    const PATH: &str = "signing_key_path";
    let refuse = |found: String, remedy: String| {
        let setting = PATH.to_owned();
        Some(Finding { severity: Severity::Refuse, setting, found, remedy })
    };
    let place = named(target, PATH).map(|file| file.path.display().to_string());
    let theirs = target.signing_keys();
    match (packaged.signing_keys(None), theirs) {
        (Ok(ours), Ok(theirs)) if same_keys(&ours, &theirs) => None,
        (Ok(ours), Ok(theirs)) => {
            let (ours, theirs) = (names(&ours), names(&theirs));
            let place = place.unwrap_or_else(|| "signing_key".to_owned());
            refuse(
                format!(
                    "the target signs with {theirs}, the packaged server with {ours}; other \
                     servers would not believe its history"
                ),
                format!("replace the key at {place} with the packaged one"),
            )
        }
        // It will be written to where the target looks for it.
        (Ok(_), Err(SigningKeyError::Missing { .. })) if will_be_placed(target, PATH) => None,
        (Ok(_), Err(error)) => refuse(
            format!("the target's signing key cannot be used: {error}"),
            "put the packaged key there, readable for Synapse and for you".to_owned(),
        ),
        (Err(_), Ok(_)) => Some(Finding {
            severity: Severity::Warn,
            setting: PATH.to_owned(),
            found: "the package holds no usable signing key; the target's was not compared"
                .to_owned(),
            remedy: "make sure that it is the old server's key".to_owned(),
        }),
        (Err(_), Err(_)) => refuse(
            "neither package nor target has a usable signing key; Synapse would make a new one \
             and other servers would not believe its history"
                .to_owned(),
            "find the old server's signing key and put it where the target looks for it".to_owned(),
        ),
    }
}

fn warnings(packaged: &KeptConfig, target: &SynapseConfig) -> Vec<Finding> {
    let differs = |name: &str| {
        // What the package does not have cannot be missed; what will be written is equal.
        let ours = packaged.secret(name)?;
        let path = format!("{name}_path");
        let is_placed = packaged.file(&path).is_some() && will_be_placed(target, &path);
        (!is_placed && target.kept.secret(name).as_ref() != Some(&ours)).then_some(())
    };
    let finding = |(name, meaning): &(&str, &str)| {
        differs(name).map(|()| Finding {
            severity: Severity::Warn,
            setting: (*name).to_owned(),
            found: format!("the value differs from the packaged one: {meaning}"),
            remedy: format!("set {name} to the packaged value (config/secrets)"),
        })
    };
    WORTH_A_WARNING.iter().filter_map(finding).collect()
}

/// Whether the target names a file for this setting and nothing is there yet.
fn will_be_placed(target: &SynapseConfig, setting: &str) -> bool {
    named(target, setting).is_some_and(|file| file.state == FileState::Absent)
}

fn named<'a>(target: &'a SynapseConfig, setting: &str) -> Option<&'a NamedFile> {
    target.named.iter().find(|file| file.setting == setting)
}

/// The first key is the one a server signs with.
fn same_keys(ours: &[SigningKey], theirs: &[SigningKey]) -> bool {
    match (ours.first(), theirs.first()) {
        (Some(ours), Some(theirs)) => {
            ours.key_id() == theirs.key_id() && ours.public_key() == theirs.public_key()
        }
        _ => false,
    }
}

fn names(keys: &[SigningKey]) -> String {
    keys.first().map_or_else(String::new, |key| format!("{} {}", key.key_id(), key.public_base64()))
}
