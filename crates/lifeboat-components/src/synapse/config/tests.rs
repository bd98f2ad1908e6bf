//! Pure parts: YAML limits, merging, classification of settings, connection strings, units.

mod connection;
mod settings;
mod yaml;
