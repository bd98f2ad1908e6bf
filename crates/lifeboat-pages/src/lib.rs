//! A room's events as pages for people who will never see JSON: static HTML without scripts, plain
//! text, CSV.
//!
//! Events in, text out: no files, no clock, no runtime. What people wrote is hostile until shown
//! otherwise, and is harmless by construction: [`markup::Html`] takes fixed markup as `&'static
//! str` and everything else as text, which it escapes. Begin reading at [`timeline`], which says
//! what belongs to what; [`html`], [`csv`] and [`plain`] are three ways to write it down.
//! [`document`] is for pages that are about no room.

pub mod date;
pub mod event;
pub mod markup;
pub mod rich;
pub mod tame;

pub mod people;
pub mod say;
pub mod timeline;
pub mod words;

pub mod csv;
pub mod document;
pub mod html;
pub mod place;
pub mod plain;
