//! The verbs on a real Synapse and a real PostgreSQL.

mod import_report;
mod imported;
