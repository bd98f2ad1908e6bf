//! The verbs on a real Synapse and a real PostgreSQL, and the journal that they go on from.

mod import_report;
mod imported;
mod journal;
