//! A mapping of a YAML file with typed ways in that know where each value stands.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lifeboat_config::yaml::{self, Mark, Node, Yaml, YamlError};
use zeroize::Zeroizing;

use crate::error::{SuiteError, place};

/// Bytes of one configuration file.
const FILE_BYTES: u64 = 4 << 20;

/// A YAML file that was read. No `Debug`: it may hold secrets.
pub(crate) struct Document {
    /// One, or those that were merged: a mark says which by its number.
    paths: Vec<PathBuf>,
    root: Node,
}

/// A mapping in it.
#[derive(Clone)]
pub(crate) struct View<'a> {
    paths: &'a [PathBuf],
    name: String,
    mark: Mark,
    map: &'a BTreeMap<String, Node>,
}

/// Reads a text file of at most 4 MiB.
pub(crate) fn read_text(path: &Path) -> Result<Zeroizing<String>, SuiteError> {
    let bytes = lifeboat_config::read_small_file(path, FILE_BYTES).map_err(|source| {
        let remedy = if source.kind() == std::io::ErrorKind::NotFound {
            "correct the path, or remove the component if it is not used any more"
        } else {
            "run as root, or as a user that may read it, and check that it is a file"
        };
        SuiteError::Read { path: path.to_owned(), remedy, source }
    })?;
    let text = std::str::from_utf8(&bytes).map(|text| Zeroizing::new(text.to_owned()));
    text.map_err(|_| SuiteError::Syntax {
        path: path.to_owned(),
        line: 1,
        column: 1,
        detail: "the file is not UTF-8".to_owned(),
    })
}

impl Document {
    pub(crate) fn read(path: &Path) -> Result<Self, SuiteError> {
        Self::parse(path, &read_text(path)?)
    }

    /// Reads several, the later merged into the earlier; `None` when there is none.
    pub(crate) fn read_merged(paths: &[PathBuf]) -> Result<Option<Self>, SuiteError> {
        let mut merged: Option<Node> = None;
        for (path, number) in paths.iter().zip(0..) {
            let root = parsed(path, yaml::parse(&read_text(path)?, number))?;
            match &mut merged {
                Some(merged) => merge(merged, root),
                none => *none = Some(root),
            }
        }
        Ok(merged.map(|root| Self { paths: paths.to_owned(), root }))
    }

    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, SuiteError> {
        Self::of(path, yaml::parse(text, 0))
    }

    /// As [`Self::parse`]; equal keys in a mapping are refused.
    pub(crate) fn parse_strict(path: &Path, text: &str) -> Result<Self, SuiteError> {
        Self::of(path, yaml::parse_strict(text, 0))
    }

    fn of(path: &Path, found: Result<Node, YamlError>) -> Result<Self, SuiteError> {
        Ok(Self { root: parsed(path, found)?, paths: vec![path.to_owned()] })
    }

    /// The whole.
    pub(crate) fn view(&self) -> Result<View<'_>, SuiteError> {
        let Yaml::Map(map) = &self.root.value else {
            return Err(SuiteError::Syntax {
                path: self.paths.first().cloned().unwrap_or_default(),
                line: 1,
                column: 1,
                detail: "this is not a mapping of keys to values".to_owned(),
            });
        };
        Ok(View { paths: &self.paths, name: String::new(), mark: self.root.mark, map })
    }
}

fn parsed(path: &Path, found: Result<Node, YamlError>) -> Result<Node, SuiteError> {
    found.map_err(|error| SuiteError::Syntax {
        path: path.to_owned(),
        line: error.mark.line,
        column: error.mark.column,
        detail: error.detail,
    })
}

/// Mappings key by key; everything else is replaced.
fn merge(into: &mut Node, later: Node) {
    match (&mut into.value, later.value) {
        (Yaml::Map(map), Yaml::Map(later)) => {
            for (key, node) in later {
                match map.get_mut(&key) {
                    Some(old) => merge(old, node),
                    None => drop(map.insert(key, node)),
                }
            }
        }
        (value, later) => *value = later,
    }
}

impl<'a> View<'a> {
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&'a str, Mark)> {
        self.map.iter().map(|(key, node)| (key.as_str(), node.key))
    }

    /// The file in which the mapping begins.
    pub(crate) fn path(&self) -> &'a Path {
        self.path_of(self.mark)
    }

    /// The file in which a setting stands.
    pub(crate) fn file_of(&self, path: &[&str]) -> &'a Path {
        self.path_of(self.find(path).map_or(self.mark, |node| node.mark))
    }

    fn path_of(&self, mark: Mark) -> &'a Path {
        self.paths.get(mark.file).map_or(Path::new(""), PathBuf::as_path)
    }

    /// Where the mapping begins.
    pub(crate) fn place(&self) -> String {
        place(self.path(), self.mark)
    }

    /// Where a setting stands, for errors; the mapping itself when it is not set.
    pub(crate) fn place_of(&self, path: &[&str]) -> String {
        let mark = self.find(path).map_or(self.mark, |node| node.key);
        place(self.path_of(mark), mark)
    }

    pub(crate) fn has(&self, path: &[&str]) -> bool {
        self.find(path).is_some()
    }

    /// A text that is not empty.
    pub(crate) fn text(&self, path: &[&str]) -> Result<Option<&'a str>, SuiteError> {
        match self.find(path) {
            None => Ok(None),
            Some(Node { value: Yaml::Text(text), .. }) => {
                Ok(Some(text.as_str()).filter(|text| !text.is_empty()))
            }
            Some(_) => Err(self.wrong(path, "is not a text", "put it into quotes")),
        }
    }

    /// A text or number, as text.
    pub(crate) fn scalar(&self, path: &[&str]) -> Option<Zeroizing<String>> {
        match &self.find(path)?.value {
            Yaml::Text(text) => Some(text.clone()).filter(|text| !text.is_empty()),
            Yaml::Int(number) => Some(Zeroizing::new(number.to_string())),
            _ => None,
        }
    }

    pub(crate) fn count(&self, path: &[&str]) -> Result<Option<u32>, SuiteError> {
        match self.find(path) {
            None => Ok(None),
            Some(Node { value: Yaml::Int(number), .. }) => {
                let number = u32::try_from(*number).ok().filter(|number| *number <= 100_000);
                let wrong = || self.wrong(path, "is out of range", "write 0 to 100000");
                number.map(Some).ok_or_else(wrong)
            }
            Some(_) => Err(self.wrong(path, "is not a whole number", "write 0 to 100000")),
        }
    }

    /// One text, or a list of texts.
    pub(crate) fn texts(&self, path: &[&str]) -> Result<Vec<&'a str>, SuiteError> {
        let Some(node) = self.find(path) else { return Ok(Vec::new()) };
        let list = match &node.value {
            Yaml::List(list) => list.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let text = |node: &'a Node| match &node.value {
            Yaml::Text(text) if !text.is_empty() => Ok(text.as_str()),
            _ => Err(self.wrong(path, "is neither a text nor a list of texts", "write texts")),
        };
        list.iter().map(text).collect()
    }

    pub(crate) fn mapping(&self, path: &[&str]) -> Result<Option<Self>, SuiteError> {
        match self.find(path) {
            None => Ok(None),
            Some(Node { value: Yaml::Map(map), mark, .. }) => {
                Ok(Some(View { paths: self.paths, name: self.full(path), mark: *mark, map }))
            }
            Some(_) => Err(self.wrong(path, "is not a mapping", "write `key: value` under it")),
        }
    }

    /// The mappings of a list; none when it is not set.
    pub(crate) fn items(&self, path: &[&str]) -> Result<Vec<Self>, SuiteError> {
        let Some(node) = self.find(path) else { return Ok(Vec::new()) };
        let wrong = || self.wrong(path, "is not a list of mappings", "begin each with `- `");
        let Yaml::List(list) = &node.value else { return Err(wrong()) };
        let item = |(number, node): (usize, &'a Node)| match &node.value {
            Yaml::Map(map) => {
                let name = format!("{}[{number}]", self.full(path));
                Ok(View { paths: self.paths, name, mark: node.mark, map })
            }
            _ => Err(wrong()),
        };
        list.iter().enumerate().map(item).collect()
    }

    /// The name of a setting in here, from the top.
    pub(crate) fn full(&self, path: &[&str]) -> String {
        let path = path.join(".");
        if self.name.is_empty() { path } else { format!("{}.{path}", self.name) }
    }

    pub(crate) fn wrong(
        &self,
        path: &[&str],
        wrong: impl Into<String>,
        remedy: impl Into<String>,
    ) -> SuiteError {
        let (wrong, remedy) = (wrong.into(), remedy.into());
        SuiteError::Setting { place: self.place_of(path), setting: self.full(path), wrong, remedy }
    }

    pub(crate) fn missing(&self, path: &[&str], remedy: impl Into<String>) -> SuiteError {
        let (place, setting) = (self.place(), self.full(path));
        SuiteError::Missing { place, setting, remedy: remedy.into() }
    }

    fn find(&self, path: &[&str]) -> Option<&'a Node> {
        let mut map = self.map;
        let (last, before) = path.split_last()?;
        for key in before {
            let Yaml::Map(below) = &map.get(*key)?.value else { return None };
            map = below;
        }
        map.get(*last).filter(|node| !matches!(node.value, Yaml::Null))
    }
}
