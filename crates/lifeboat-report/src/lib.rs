//! The plan for the worst day of one installation, to be printed and kept elsewhere.
//!
//! ```text
//! installation, vault ──gather──▶ Facts ──plan──▶ blocks ──markdown, html──▶ text
//! ```
//!
//! What is not known is said to be not known: nothing here claims what was not seen. Only
//! [`gather`] reads anything; the rest is pure.

pub mod facts;
pub mod gather;

mod decisions;
mod plan;
mod proof;

mod block;
mod markdown;
mod picture;

pub use self::facts::Facts;

/// The plan as Markdown.
pub fn markdown(facts: &Facts) -> String {
    markdown::write(&plan::blocks(facts))
}

/// The plan as one HTML file without scripts, to be printed.
pub fn html(facts: &Facts) -> String {
    lifeboat_pages::document::html(&plan::title(facts), &plan::blocks(facts))
}

#[cfg(test)]
mod tests;
