//! A whole suite: backed up into a vault, looked after there, and put back.

mod backup;
mod harbour;
#[path = "../e2e/program.rs"]
mod program;
mod restored;
