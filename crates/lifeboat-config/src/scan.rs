//! One walk over the merged configuration: open settings, secrets, and the files that are named.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lifeboat_package::flow::Gap;
use serde_json::Value;

use super::absolute;
use super::kept::SecretSetting;
use super::known;
use super::secret::Secret;
use super::tree::Tree;
use super::yaml::{Node, Yaml};

/// A step of a setting's path.
#[derive(Clone, Copy)]
pub(super) enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// What a setting names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One file.
    File,
    /// A folder; all files in it count.
    Folder,
}

/// A file or folder that a setting names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFile {
    /// The setting's path: `app_service_config_files[0]`.
    pub setting: String,
    /// Absolute.
    pub path: PathBuf,
    /// File or folder.
    pub shape: Shape,
    /// Whether its content is a secret.
    pub secret: bool,
    /// What came of reading it.
    pub state: FileState,
}

/// What came of reading a named file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// Not tried.
    Unread,
    /// It is among the kept files.
    Read,
    /// Nothing is there.
    Absent,
    /// Something is there that could not be read.
    Unreadable,
}

/// What the walk found.
pub(super) struct Scanned {
    pub(super) settings: BTreeMap<String, Value>,
    pub(super) secrets: Vec<SecretSetting>,
    pub(super) files: Vec<NamedFile>,
    pub(super) gaps: Vec<Gap>,
}

/// Walks the configuration. `config_dir` is where an unnamed signing key is looked for.
pub(super) fn scan(tree: &Tree, config_dir: &Path, workdir: &Path, server_name: &str) -> Scanned {
    let mut walk = Walk {
        workdir,
        path: Vec::new(),
        found: Scanned {
            settings: BTreeMap::new(),
            secrets: Vec::new(),
            files: Vec::new(),
            gaps: Vec::new(),
        },
    };
    for (key, node) in &tree.root {
        walk.path.push(Step::Key(key));
        let open = walk.open(node);
        walk.path.pop();
        walk.found.settings.insert(key.clone(), open);
    }
    let mut found = walk.found;
    let set =
        |name: &str| tree.root.get(name).is_some_and(|node| !matches!(node.value, Yaml::Null));
    if !set("signing_key") && !set("signing_key_path") {
        found.files.push(NamedFile {
            setting: "signing_key_path".to_owned(),
            path: absolute(config_dir, format!("{server_name}.signing.key")),
            shape: Shape::File,
            secret: true,
            state: FileState::Unread,
        });
    }
    found
}

struct Walk<'a> {
    workdir: &'a Path,
    path: Vec<Step<'a>>,
    found: Scanned,
}

impl<'a> Walk<'a> {
    /// The value as JSON with secrets replaced by null; secrets and files go to the side.
    fn open(&mut self, node: &'a Node) -> Value {
        match &node.value {
            Yaml::Null => Value::Null,
            Yaml::Bool(flag) => Value::Bool(*flag),
            Yaml::Int(number) => self.leaf(&number.to_string(), None, || integer(*number)),
            Yaml::Float(number) => self.leaf(&format!("{number:?}"), None, || Value::from(*number)),
            Yaml::Text(text) => {
                self.file(text);
                self.leaf(text, Some(text), || Value::String(text.to_string()))
            }
            Yaml::List(list) => {
                let below = |(number, node)| self.below(Step::Index(number), node);
                Value::Array(list.iter().enumerate().map(below).collect())
            }
            Yaml::Map(map) => {
                let below =
                    |(key, node): (&'a String, _)| (key.clone(), self.below(Step::Key(key), node));
                Value::Object(map.iter().map(below).collect())
            }
        }
    }

    fn below(&mut self, step: Step<'a>, node: &'a Node) -> Value {
        self.path.push(step);
        let open = self.open(node);
        self.path.pop();
        open
    }

    fn leaf(&mut self, secret: &str, text: Option<&str>, open: impl FnOnce() -> Value) -> Value {
        if known::named_file(&self.path).is_some() && !known::is_opaque(&self.path) {
            return open();
        }
        if !known::is_secret(&self.path, text) {
            return open();
        }
        let value = Secret::new(secret);
        self.found.secrets.push(SecretSetting { setting: written(&self.path), value });
        Value::Null
    }

    fn file(&mut self, text: &str) {
        let Some((shape, secret)) = known::named_file(&self.path) else { return };
        if text.is_empty() || text.contains('\0') {
            return;
        }
        let setting = written(&self.path);
        if known::is_opaque(&self.path) {
            self.found.gaps.push(not_followed(setting));
            return;
        }
        let path = absolute(self.workdir, text);
        let state = FileState::Unread;
        self.found.files.push(NamedFile { setting, path, shape, secret, state });
    }
}

fn integer(number: i128) -> Value {
    match (i64::try_from(number), u64::try_from(number)) {
        (Ok(number), _) => Value::from(number),
        (_, Ok(number)) => Value::from(number),
        _ => Value::String(number.to_string()),
    }
}

/// `a.b[0].c`; keys with other characters in JSON's quotes.
pub(super) fn written(path: &[Step<'_>]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Index(number) => text.extend(["[", &number.to_string(), "]"]),
            Step::Key(key) => {
                if !text.is_empty() {
                    text.push('.');
                }
                let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
                if !key.is_empty() && key.chars().all(plain) {
                    text.push_str(key);
                } else {
                    text.push_str(&Value::from(*key).to_string());
                }
            }
        }
    }
    text
}

fn not_followed(setting: String) -> Gap {
    Gap {
        kind: "config-not-followed".to_owned(),
        object: setting,
        detail: "a module's setting seems to name a file; it was not read".to_owned(),
        remedy: "keep that file by other means, or check that the module can make it again"
            .to_owned(),
    }
}
