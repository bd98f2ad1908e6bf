//! YAML as `PyYAML`'s `safe_load` understands it, because Synapse's configuration means what
//! `PyYAML` makes of it: YAML 1.1 words and numbers, merge keys, the last of two equal keys wins.
//!
//! Pure and bounded: size, depth, and what anchors expand to are limited. Text is wiped when it is
//! dropped, since any of it may be a secret; errors give a place, never the text.

use std::collections::BTreeMap;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};
use thiserror::Error;
use zeroize::Zeroizing;

use super::scalar::{self, Scalar};

/// Bytes of one configuration file.
pub const YAML_BYTES: usize = 4 << 20;
/// Values nested in each other.
const DEPTH: usize = 64;
/// Values of a document after anchors are expanded.
const NODES: usize = 200_000;
/// Bytes of text of a document after anchors are expanded.
const TEXT_BYTES: usize = 32 << 20;

/// Where a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Which of the configuration files, from 0.
    pub file: usize,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
}

/// A value and its place. No `Debug`: it may be a secret.
#[derive(Clone)]
pub struct Node {
    /// The place.
    pub mark: Mark,
    /// The place of its key, for a value of a mapping; else its own.
    pub key: Mark,
    /// The value.
    pub value: Yaml,
}

/// A value.
#[derive(Clone)]
pub enum Yaml {
    /// `null`, `~`, nothing.
    Null,
    /// `yes`, `off`, `true`, …
    Bool(bool),
    /// `12`, `1_000`, `0x1f`, `017`, `1:30`.
    Int(i128),
    /// `1.5`.
    Float(f64),
    /// Everything else.
    Text(Zeroizing<String>),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping; keys as text.
    Map(BTreeMap<String, Node>),
}

/// A text is not YAML that Synapse would take.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {}, column {}: {detail}", mark.line, mark.column)]
pub struct YamlError {
    /// The place.
    pub mark: Mark,
    /// What is wrong there.
    pub detail: String,
}

/// Parses one document; an empty one is [`Yaml::Null`]. Of equal keys the last counts, as in
/// `PyYAML`, which Synapse reads with.
///
/// # Errors
/// When the text is not one YAML document of plain values, or passes a limit.
pub fn parse(text: &str, file: usize) -> Result<Node, YamlError> {
    parse_with(text, file, Equal::LastCounts)
}

/// As [`parse`], and equal keys of one mapping are refused: the earlier would be lost in silence.
///
/// # Errors
/// As [`parse`], and for equal keys.
pub fn parse_strict(text: &str, file: usize) -> Result<Node, YamlError> {
    parse_with(text, file, Equal::Refused)
}

fn parse_with(text: &str, file: usize, equal: Equal) -> Result<Node, YamlError> {
    let start = Mark { file, line: 1, column: 1 };
    if text.len() > YAML_BYTES {
        return Err(YamlError { mark: start, detail: "the file is larger than 4 MiB".to_owned() });
    }
    let mut builder = Builder::new(file, equal);
    let mut options = serde_saphyr::granit_parser::options! {};
    options.set_emit_comments(false);
    let mut parser = Parser::<StrInput>::new_from_str_with_options(text, options);
    while let Some(next) = parser.next_event() {
        let (event, span) = next.map_err(|error| YamlError {
            mark: place(file, error.marker().line(), error.marker().col()),
            detail: error.info(),
        })?;
        builder.take(event, span)?;
    }
    Ok(builder.root.unwrap_or(Node { mark: start, key: start, value: Yaml::Null }))
}

fn place(file: usize, line: usize, column: usize) -> Mark {
    Mark { file, line, column: column + 1 }
}

/// A collection that is not closed yet.
struct Frame {
    mark: Mark,
    anchor: usize,
    kind: Kind,
    /// Depth of its deepest value.
    deepest: usize,
}

enum Kind {
    List(Vec<Node>),
    Map { merged: Vec<Node>, own: BTreeMap<String, Node>, key: Option<Key> },
}

enum Key {
    Name(String, Mark),
    Merge,
}

/// What is left of the limits.
struct Budget {
    nodes: usize,
    text: usize,
}

/// What becomes of equal keys in one mapping.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Equal {
    LastCounts,
    Refused,
}

struct Builder {
    file: usize,
    equal: Equal,
    root: Option<Node>,
    documents: usize,
    frames: Vec<Frame>,
    /// Anchored values, with their depth.
    anchors: BTreeMap<usize, (Node, usize)>,
    budget: Budget,
}

impl Builder {
    fn new(file: usize, equal: Equal) -> Self {
        let budget = Budget { nodes: NODES, text: TEXT_BYTES };
        Self {
            file,
            equal,
            root: None,
            documents: 0,
            frames: Vec::new(),
            anchors: BTreeMap::new(),
            budget,
        }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        let mark = place(self.file, span.start.line(), span.start.col());
        match event {
            Event::DocumentStart(..) => self.begin_document(mark),
            Event::Scalar(text, style, anchor, tag) => {
                let (plain, tag) = (matches!(style, ScalarStyle::Plain), tag.as_deref());
                self.scalar(&Scalar { text: &text, plain, tag }, anchor, mark)
            }
            Event::SequenceStart(_, anchor, tag) => {
                collection_tag(tag.as_deref(), "seq", mark)?;
                self.open(mark, anchor, Kind::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                collection_tag(tag.as_deref(), "map", mark)?;
                let (merged, own) = (Vec::new(), BTreeMap::new());
                self.open(mark, anchor, Kind::Map { merged, own, key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => self.alias(anchor, mark),
            _ => Ok(()),
        }
    }

    fn begin_document(&mut self, mark: Mark) -> Result<(), YamlError> {
        self.documents += 1;
        if self.documents > 1 {
            return Err(wrong(mark, "a second document begins here; a file holds one"));
        }
        Ok(())
    }

    fn scalar(&mut self, scalar: &Scalar<'_>, anchor: usize, mark: Mark) -> Result<(), YamlError> {
        self.budget.spend(1, scalar.text.len(), mark)?;
        let merge = scalar.plain && scalar.tag.is_none() && scalar.text == "<<";
        if merge && self.expects_key() {
            self.set_key(Key::Merge);
            return Ok(());
        }
        let value =
            scalar.resolve().ok_or_else(|| wrong(mark, "a tag that plain YAML does not have"))?;
        self.node(Node { mark, key: mark, value }, 1, anchor)
    }

    fn alias(&mut self, anchor: usize, mark: Mark) -> Result<(), YamlError> {
        let Some((target, depth)) = self.anchors.get(&anchor) else {
            return Err(wrong(mark, "this alias refers to the value that it is part of"));
        };
        self.budget.spend_all(target, mark)?;
        let node = Node { mark, key: mark, value: target.value.clone() };
        self.node(node, *depth, 0)
    }

    fn open(&mut self, mark: Mark, anchor: usize, kind: Kind) -> Result<(), YamlError> {
        self.budget.spend(1, 0, mark)?;
        self.check_depth(1, mark)?;
        if self.expects_key() {
            return Err(wrong(mark, "a key is a list or a mapping; use plain text"));
        }
        self.frames.push(Frame { mark, anchor, kind, deepest: 0 });
        Ok(())
    }

    fn close(&mut self) -> Result<(), YamlError> {
        let Some(Frame { mark, anchor, kind, deepest }) = self.frames.pop() else {
            return Ok(());
        };
        let value = match kind {
            Kind::List(list) => Yaml::List(list),
            Kind::Map { merged, own, .. } => Yaml::Map(merge(merged, own)?),
        };
        self.node(Node { mark, key: mark, value }, deepest + 1, anchor)
    }

    /// More than this many values inside each other would make readers of the records stumble.
    fn check_depth(&self, more: usize, mark: Mark) -> Result<(), YamlError> {
        if self.frames.len() + more > DEPTH {
            return Err(wrong(mark, "more than 64 values are nested in each other"));
        }
        Ok(())
    }

    /// Puts a finished value where it belongs.
    fn node(&mut self, node: Node, depth: usize, anchor: usize) -> Result<(), YamlError> {
        if anchor != 0 {
            self.budget.spend_all(&node, node.mark)?;
            self.anchors.insert(anchor, (node.clone(), depth));
        }
        if self.expects_key() {
            let mark = node.mark;
            let name = scalar::key(&node.value);
            let name = name.ok_or_else(|| wrong(mark, "a key is a list or a mapping"))?;
            self.set_key(Key::Name(name, mark));
            return Ok(());
        }
        self.check_depth(depth, node.mark)?;
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        frame.deepest = frame.deepest.max(depth);
        match &mut frame.kind {
            Kind::List(list) => list.push(node),
            Kind::Map { merged, own, key } => match key.take() {
                Some(Key::Name(name, key)) => {
                    if let (Equal::Refused, Some(first)) = (self.equal, own.get(&name)) {
                        let line = first.key.line;
                        let detail = format!("{name} is there already, in line {line}");
                        return Err(wrong(key, &detail));
                    }
                    own.insert(name, Node { key, ..node });
                }
                Some(Key::Merge) => merged.push(node),
                None => {}
            },
        }
        Ok(())
    }

    fn expects_key(&self) -> bool {
        let last = self.frames.last().map(|frame| &frame.kind);
        matches!(last, Some(Kind::Map { key: None, .. }))
    }

    fn set_key(&mut self, new: Key) {
        if let Some(Frame { kind: Kind::Map { key, .. }, .. }) = self.frames.last_mut() {
            *key = Some(new);
        }
    }
}

impl Budget {
    fn spend(&mut self, nodes: usize, text: usize, mark: Mark) -> Result<(), YamlError> {
        match (self.nodes.checked_sub(nodes), self.text.checked_sub(text)) {
            (Some(nodes), Some(text)) => {
                (self.nodes, self.text) = (nodes, text);
                Ok(())
            }
            _ => Err(wrong(mark, "the file expands to more than 200,000 values or 32 MiB")),
        }
    }

    fn spend_all(&mut self, node: &Node, mark: Mark) -> Result<(), YamlError> {
        match &node.value {
            Yaml::Text(text) => self.spend(1, text.len(), mark),
            Yaml::List(list) => {
                self.spend(1, 0, mark)?;
                list.iter().try_for_each(|node| self.spend_all(node, mark))
            }
            Yaml::Map(map) => {
                self.spend(1, 0, mark)?;
                for (key, node) in map {
                    self.spend(1, key.len(), mark)?;
                    self.spend_all(node, mark)?;
                }
                Ok(())
            }
            _ => self.spend(1, 0, mark),
        }
    }
}

/// Own keys win over merged ones; of several merged mappings in a list the first wins.
fn merge(
    merged: Vec<Node>,
    own: BTreeMap<String, Node>,
) -> Result<BTreeMap<String, Node>, YamlError> {
    let mut all = BTreeMap::new();
    for node in merged {
        let mark = node.mark;
        let mappings = match node.value {
            Yaml::List(list) => list.into_iter().rev().map(|node| node.value).collect(),
            value => vec![value],
        };
        for mapping in mappings {
            let Yaml::Map(map) = mapping else {
                return Err(wrong(mark, "`<<` wants a mapping or a list of mappings"));
            };
            all.extend(map);
        }
    }
    all.extend(own);
    Ok(all)
}

fn collection_tag(tag: Option<&Tag>, wanted: &str, mark: Mark) -> Result<(), YamlError> {
    match tag {
        None => Ok(()),
        Some(tag) if tag.is_yaml_core_schema_tag(wanted) => Ok(()),
        Some(_) => Err(wrong(mark, "a tag that plain YAML does not have")),
    }
}

fn wrong(mark: Mark, detail: &str) -> YamlError {
    YamlError { mark, detail: detail.to_owned() }
}

#[cfg(test)]
mod tests;
