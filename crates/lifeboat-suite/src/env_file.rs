//! A file of environment variables, as systemd, Docker and shells read it: `NAME=value`.

use std::collections::BTreeMap;
use std::path::Path;

use lifeboat_config::Secret;

use crate::error::SuiteError;
use crate::view::read_text;

/// Variables by name. No `Debug`: values are secrets until someone knows better.
pub(crate) struct EnvFile(BTreeMap<String, Secret>);

impl EnvFile {
    pub(crate) fn read(path: &Path) -> Result<Self, SuiteError> {
        Ok(Self::parse(&read_text(path)?))
    }

    /// What is not `NAME=value` is left alone, as systemd does.
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
        let pairs = lines.filter_map(|line| {
            let (name, value) = line.split_once('=')?;
            let name = name.trim();
            let name = name.strip_prefix("export ").map_or(name, str::trim);
            Some((name.to_owned(), Secret::new(unquoted(value.trim()))))
        });
        Self(pairs.collect())
    }

    /// A value that is not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&Secret> {
        self.0.get(name).filter(|value| !value.expose().is_empty())
    }
}

fn unquoted(value: &str) -> &str {
    let inside = |quote| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inside('"').or_else(|| inside('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests;
