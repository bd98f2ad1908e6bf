//! INI as Python's `configparser` reads it, as far as Sydent's configuration goes: sections, one
//! of defaults, `=` or `:`, names without case, values that go on in indented lines.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

/// Section → option → value, all wiped when dropped. Options of `[DEFAULT]` hold everywhere.
pub(crate) struct Ini {
    sections: BTreeMap<String, Options>,
}

type Options = BTreeMap<String, Zeroizing<String>>;

impl Ini {
    /// Reads a text. On a line that is neither of both its number, from 1.
    pub(crate) fn parse(text: &str) -> Result<Self, usize> {
        let mut sections: BTreeMap<String, Options> = BTreeMap::new();
        let mut section: Option<String> = None;
        let mut option: Option<String> = None;
        for (number, line) in text.lines().enumerate() {
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
                continue;
            }
            let indented = line.starts_with([' ', '\t']);
            let open = section.as_ref().and_then(|name| sections.get_mut(name));
            if indented && let (Some(options), Some(name)) = (open, option.as_ref()) {
                if let Some(value) = options.get_mut(name) {
                    value.push('\n');
                    value.push_str(trimmed);
                }
                continue;
            }
            // Up to the last bracket: what comes behind it counts as a comment.
            let heading = trimmed.strip_prefix('[').and_then(|rest| rest.rsplit_once(']'));
            if let Some((name, _)) = heading {
                sections.entry(name.to_owned()).or_default();
                (section, option) = (Some(name.to_owned()), None);
                continue;
            }
            let (Some(at), Some(into)) = (trimmed.find(['=', ':']), section.as_ref()) else {
                return Err(number + 1);
            };
            let name = trimmed[..at].trim().to_lowercase();
            let value = Zeroizing::new(trimmed[at + 1..].trim().to_owned());
            sections.entry(into.clone()).or_default().insert(name.clone(), value);
            option = Some(name);
        }
        Ok(Self { sections })
    }

    /// A value that is not empty; that of `[DEFAULT]` where the section has none.
    pub(crate) fn get(&self, section: &str, option: &str) -> Option<&str> {
        let of = |section: &str| self.sections.get(section).and_then(|all| all.get(option));
        let value = of(section).or_else(|| of("DEFAULT"));
        value.map(|value| value.as_str()).filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests;
