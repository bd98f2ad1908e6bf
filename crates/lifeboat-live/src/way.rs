//! The way to one server, and to nothing else.

use reqwest::{ClientBuilder, Url, redirect};

/// The address of a server: HTTP or HTTPS, with a host and without a login, which would be in logs.
pub fn address(text: &str) -> Option<Url> {
    let parsed = Url::parse(text).ok()?;
    let has_login = !parsed.username().is_empty() || parsed.password().is_some();
    let is_one = matches!(parsed.scheme(), "http" | "https") && parsed.has_host() && !has_login;
    is_one.then_some(parsed)
}

/// A client that goes straight there: the environment's proxies do not count and no answer sends it
/// elsewhere, so a token reaches nobody but the address.
pub fn straight() -> ClientBuilder {
    reqwest::Client::builder().no_proxy().redirect(redirect::Policy::none())
}
