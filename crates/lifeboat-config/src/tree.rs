//! The merged configuration, with typed ways in that know where each value stands.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lifeboat_package::flow::Gap;

use super::read::Document;
use super::yaml::{self, Node, Yaml};
use super::{ConfigError, place_of};

/// The merged configuration.
pub(super) struct Tree {
    pub(super) root: BTreeMap<String, Node>,
    sources: Vec<PathBuf>,
}

/// A part of the configuration: a mapping inside it and how it is called.
pub(super) struct Branch<'a> {
    tree: &'a Tree,
    name: String,
    map: &'a BTreeMap<String, Node>,
}

impl Tree {
    /// Parses and merges: a top-level key of a later file replaces that of an earlier one whole.
    pub(super) fn merge(documents: &[Document<'_>]) -> Result<(Self, Vec<Gap>), ConfigError> {
        let sources: Vec<PathBuf> = documents.iter().map(|file| file.path.clone()).collect();
        let mut root = BTreeMap::new();
        let mut gaps = Vec::new();
        for (number, document) in documents.iter().enumerate() {
            let path = document.path.display().to_string();
            let node = yaml::parse(document.text, number).map_err(|error| ConfigError::Yaml {
                path: path.clone(),
                line: error.mark.line,
                column: error.mark.column,
                detail: error.detail,
            })?;
            match node.value {
                Yaml::Map(map) => root.extend(map),
                _ => gaps.push(not_a_mapping(path)),
            }
        }
        Ok((Self { root, sources }, gaps))
    }

    /// The whole as a branch.
    pub(super) fn branch(&self) -> Branch<'_> {
        Branch { tree: self, name: String::new(), map: &self.root }
    }

    pub(super) fn text(&self, path: &[&str]) -> Result<Option<&str>, ConfigError> {
        self.branch().text(path)
    }

    pub(super) fn flag(&self, path: &[&str]) -> Result<Option<bool>, ConfigError> {
        self.branch().flag(path)
    }

    pub(super) fn integer(&self, path: &[&str]) -> Result<Option<i64>, ConfigError> {
        self.branch().integer(path)
    }

    /// The keys of a mapping; none when it is not set.
    pub(super) fn keys(&self, path: &[&str]) -> Result<Vec<&str>, ConfigError> {
        let branch = self.branch().mapping(path)?;
        Ok(branch.map_or_else(Vec::new, |branch| branch.map.keys().map(String::as_str).collect()))
    }

    /// The mappings of a list; none when it is not set.
    pub(super) fn items(&self, path: &[&str]) -> Result<Vec<Branch<'_>>, ConfigError> {
        let Some(node) = find(&self.root, path) else { return Ok(Vec::new()) };
        let Yaml::List(list) = &node.value else {
            return Err(self.wrong(node, path.join("."), "a list"));
        };
        let mut items = Vec::with_capacity(list.len());
        for (number, node) in list.iter().enumerate() {
            let name = format!("{}[{number}]", path.join("."));
            let Yaml::Map(map) = &node.value else {
                return Err(self.wrong(node, name, "a mapping"));
            };
            items.push(Branch { tree: self, name, map });
        }
        Ok(items)
    }

    pub(super) fn missing(&self, setting: &'static str) -> ConfigError {
        let files: Vec<_> = self.sources.iter().map(|path| path.display().to_string()).collect();
        ConfigError::Missing { setting, files: files.join(", ") }
    }

    fn wrong(&self, node: &Node, setting: String, wanted: &'static str) -> ConfigError {
        ConfigError::Setting { place: place_of(&self.sources, node.mark), setting, wanted }
    }
}

impl<'a> Branch<'a> {
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, &'a Node)> + use<'a> {
        self.map.iter().map(|(key, node)| (key.as_str(), node))
    }

    pub(super) fn text(&self, path: &[&str]) -> Result<Option<&'a str>, ConfigError> {
        match self.find(path) {
            None => Ok(None),
            Some(Node { value: Yaml::Text(text), .. }) => Ok(Some(text.as_str())),
            Some(node) => Err(self.wrong(node, path, "a text")),
        }
    }

    /// Python takes `0` and `1` for booleans, and so do we.
    pub(super) fn flag(&self, path: &[&str]) -> Result<Option<bool>, ConfigError> {
        match self.find(path) {
            None => Ok(None),
            Some(Node { value: Yaml::Bool(flag), .. }) => Ok(Some(*flag)),
            Some(Node { value: Yaml::Int(number @ (0 | 1)), .. }) => Ok(Some(*number == 1)),
            Some(node) => Err(self.wrong(node, path, "true or false")),
        }
    }

    pub(super) fn integer(&self, path: &[&str]) -> Result<Option<i64>, ConfigError> {
        match self.find(path) {
            None => Ok(None),
            Some(node @ Node { value: Yaml::Int(number), .. }) => match i64::try_from(*number) {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(self.wrong(node, path, "a number of 64 bits")),
            },
            Some(node) => Err(self.wrong(node, path, "a whole number")),
        }
    }

    pub(super) fn mapping(&self, path: &[&str]) -> Result<Option<Branch<'a>>, ConfigError> {
        match self.find(path) {
            None => Ok(None),
            Some(Node { value: Yaml::Map(map), .. }) => {
                Ok(Some(Branch { tree: self.tree, name: self.full(path), map }))
            }
            Some(node) => Err(self.wrong(node, path, "a mapping")),
        }
    }

    /// The texts of a list; `None` when it is not set.
    pub(super) fn texts(&self, path: &[&str]) -> Result<Option<Vec<&'a str>>, ConfigError> {
        let Some(node) = self.find(path) else { return Ok(None) };
        let Yaml::List(list) = &node.value else { return Err(self.wrong(node, path, "a list")) };
        let text = |node: &'a Node| match &node.value {
            Yaml::Text(text) => Ok(text.as_str()),
            _ => Err(self.wrong(node, path, "a list of texts")),
        };
        list.iter().map(text).collect::<Result<_, _>>().map(Some)
    }

    /// The name of a setting in here, from the top.
    pub(super) fn full(&self, path: &[&str]) -> String {
        let path = path.join(".");
        if self.name.is_empty() { path } else { format!("{}.{path}", self.name) }
    }

    fn find(&self, path: &[&str]) -> Option<&'a Node> {
        find(self.map, path)
    }

    pub(super) fn wrong(&self, node: &Node, path: &[&str], wanted: &'static str) -> ConfigError {
        self.tree.wrong(node, self.full(path), wanted)
    }
}

/// The value at a path; what is null counts as not set.
fn find<'a>(map: &'a BTreeMap<String, Node>, path: &[&str]) -> Option<&'a Node> {
    let (first, rest) = path.split_first()?;
    let node = map.get(*first)?;
    match &node.value {
        Yaml::Null => None,
        _ if rest.is_empty() => Some(node),
        Yaml::Map(map) => find(map, rest),
        _ => None,
    }
}

fn not_a_mapping(path: String) -> Gap {
    Gap {
        kind: "config-ignored".to_owned(),
        object: path,
        detail: "the file is empty or not a mapping; Synapse ignores it and so did we".to_owned(),
        remedy: "check that this is the file you meant".to_owned(),
    }
}
