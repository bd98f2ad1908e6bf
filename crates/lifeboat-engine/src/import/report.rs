//! The verification report after an import.

use serde::Serialize;

use super::ImportRequest;
use crate::context::Context;
use crate::failure::Failure;

/// What was found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ImportReport {
    /// Server.
    pub server_name: String,
    /// Whether everything that was checked is right.
    pub valid: bool,
    /// What is wrong.
    pub problems: Vec<String>,
}

/// Verifies.
///
/// # Errors
/// [`Failure`].
pub async fn verify(_cx: &Context, _request: &ImportRequest) -> Result<ImportReport, Failure> {
    Err(Failure::failed("being written", ""))
}
