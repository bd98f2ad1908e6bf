//! The registration file of an application service: what Synapse reads, and what we may do.

use std::fmt::Write;

use lifeboat_config::yaml::{self, Node, Yaml};
use lifeboat_transcript::ghost;
use thiserror::Error;
use zeroize::Zeroizing;

/// The localpart of the application service itself.
const BOT: &str = "_lb_";

/// What we need of a registration. No `Debug`: it holds a token.
pub struct Registration {
    /// What we show the server.
    pub token: Zeroizing<String>,
    /// The localpart of the application service itself.
    pub sender_localpart: String,
    /// Whether the server holds us back.
    pub rate_limited: bool,
}

/// A text is no registration.
#[derive(Debug, Error)]
pub enum RegistrationError {
    /// It is no YAML.
    #[error("it is not YAML")]
    Yaml(#[source] yaml::YamlError),
    /// Something is missing.
    #[error("it has no {0}")]
    Missing(&'static str),
}

/// Reads a registration.
///
/// # Errors
/// [`RegistrationError`], without a word of the text.
pub fn parse(text: &str) -> Result<Registration, RegistrationError> {
    let node = yaml::parse(text, 0).map_err(RegistrationError::Yaml)?;
    let token = text_of(&node, "as_token").ok_or(RegistrationError::Missing("as_token"))?;
    let sender = text_of(&node, "sender_localpart");
    let sender = sender.ok_or(RegistrationError::Missing("sender_localpart"))?;
    let rate_limited = !matches!(member(&node, "rate_limited"), Some(Yaml::Bool(false)));
    Ok(Registration { token, sender_localpart: sender.to_string(), rate_limited })
}

/// A registration for a new application service, with tokens made of these random bytes.
pub fn write(as_token: &[u8; 32], hs_token: &[u8; 32]) -> Zeroizing<String> {
    // Sized at once: a buffer that grows leaves copies of the secret behind.
    let mut text = Zeroizing::new(String::with_capacity(1024));
    text.push_str(
        "# An application service that lets Lifeboat speak for people of another server.\n",
    );
    text.push_str("# Name this file in app_service_config_files, and restart Synapse.\n");
    text.push_str("id: lifeboat-transcript\nurl: null\n");
    for (name, bytes) in [("as_token", as_token), ("hs_token", hs_token)] {
        text.push_str(name);
        text.push_str(": ");
        for byte in bytes {
            write!(text, "{byte:02x}").expect("writing to a string does not fail");
        }
        text.push('\n');
    }
    let lines = format!(
        "sender_localpart: {BOT}\nrate_limited: false\nnamespaces:\n  users:\n    - exclusive: \
         true\n      regex: '@{}.*'\n  rooms: []\n  aliases: []\n",
        ghost::PREFIX
    );
    text.push_str(&lines);
    text
}

fn member<'a>(node: &'a Node, key: &str) -> Option<&'a Yaml> {
    match &node.value {
        Yaml::Map(members) => members.get(key).map(|node| &node.value),
        _ => None,
    }
}

fn text_of(node: &Node, key: &str) -> Option<Zeroizing<String>> {
    match member(node, key)? {
        Yaml::Text(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    }
}
