//! The XMPP bridge, Bifrost.

use super::irc::store;
use super::{Finding, Known};
use crate::error::SuiteError;

const PASSWORD: Known = Known {
    name: "password of the XMPP component",
    without_it: "the XMPP server does not let the bridge in until both have another",
};
const REGISTRATIONS: &[&str] = &[
    "bifrost-registration.yaml",
    "purple-registration.yaml",
    "xmpp-registration.yaml",
    "registration.yaml",
];

pub(super) fn find(at: &mut Finding<'_>) -> Result<(), SuiteError> {
    let document = at.needed_document()?;
    let view = document.view()?;
    let engine = view.text(&["datastore", "engine"])?;
    store(at, &view, engine, view.text(&["datastore", "connectionString"])?)?;
    for options in [["purple", "backendOpts"], ["bridge", "backendOpts"]] {
        let [first, second] = options;
        let setting = [first, second, "password"];
        if view.scalar(&setting).is_some() {
            at.secret_setting(PASSWORD, view.full(&setting));
        }
    }
    at.registration(REGISTRATIONS)
}
