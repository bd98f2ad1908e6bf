//! The verb that writes a package's rooms as pages for people who will never see JSON.

pub mod render;
