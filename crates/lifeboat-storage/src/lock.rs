//! Object lock: until when a store refuses to delete what is written.

/// Who may shorten it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockMode {
    /// Whoever has the right to (`s3:BypassGovernanceRetention`).
    Governance,
    /// Nobody, the owner of the account neither.
    Compliance,
}

/// A lock on what is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// Who may shorten it.
    pub mode: LockMode,
    /// Until when: RFC 3339 in UTC, whole seconds, `2026-12-22T03:15:00Z`.
    pub until: String,
}

impl LockMode {
    /// As configuration writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Governance => "governance",
            Self::Compliance => "compliance",
        }
    }

    /// As S3 writes it.
    pub(crate) fn header(self) -> &'static str {
        match self {
            Self::Governance => "GOVERNANCE",
            Self::Compliance => "COMPLIANCE",
        }
    }
}
