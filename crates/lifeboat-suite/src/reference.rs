//! The reference page and the JSON schema of `lifeboat.yaml`, from the keys the reader knows.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::example::example;
use crate::keys::{BRIDGES, KINDS, Key, PRESETS, SECTIONS, Section, Shape};

/// The page `docs/src/reference/lifeboat-yaml.md`.
pub fn markdown() -> String {
    let mut page = String::from(
        "# lifeboat.yaml\n\n<!-- Made from crates/lifeboat-suite/src/keys.rs; see the test \
         `reference_page_is_up_to_date`. -->\n\n",
    );
    page.push_str(
        "What the installation is: `lifeboat config check -c lifeboat.yaml` shows what was \
         understood and\nfound, `lifeboat config example` prints a file to begin with, `lifeboat \
         config schema` a JSON schema\nfor editors. A key that is not here is refused.\n",
    );
    for section in SECTIONS {
        section_page(section, &mut page);
    }
    let words = |words: &[&str]| words.join("`, `");
    // Writing into a text cannot fail.
    write!(
        page,
        "\n## Words\n\n* `kind`: `{}`\n* `bridge`: `{}`\n* `preset`: `{}`\n",
        words(KINDS),
        words(BRIDGES),
        words(PRESETS)
    )
    .ok();
    page.push_str("\n## Example\n\n```yaml\n");
    page.push_str(example("standalone").unwrap_or_default());
    page.push_str("```\n");
    page
}

fn section_page(section: &Section, page: &mut String) {
    let title = if section.name.is_empty() { "The file" } else { section.name };
    let title = if section.name.is_empty() { title.to_owned() } else { format!("`{title}`") };
    write!(page, "\n## {title}\n\n{}\n\n", section.about).ok();
    page.push_str("| key | value | otherwise | meaning |\n| --- | --- | --- | --- |\n");
    for key in section.keys {
        let otherwise = key.otherwise.unwrap_or("**must be set**");
        let (name, shape, about) = (key.name, key.shape.words(), key.about);
        writeln!(page, "| `{name}` | {shape} | {otherwise} | {about} |").ok();
    }
}

/// The JSON schema, draft 2020-12.
pub fn schema() -> Value {
    let mut schema = section_schema(SECTIONS[0]);
    if let Value::Object(map) = &mut schema {
        map.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
        map.insert("title".to_owned(), "lifeboat.yaml".into());
    }
    schema
}

fn section_schema(section: &Section) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for key in section.keys {
        properties.insert(key.name.to_owned(), key_schema(section, key));
        if key.otherwise.is_none() {
            required.push(key.name);
        }
    }
    json!({
        "type": "object",
        "description": section.about,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn key_schema(section: &Section, key: &Key) -> Value {
    let below = || {
        let plain = if section.name.is_empty() {
            key.name.to_owned()
        } else {
            format!("{}.{}", section.name, key.name)
        };
        let list = format!("{plain}[]");
        let found = SECTIONS.iter().find(|section| section.name == plain || section.name == list);
        found.map_or(json!(true), |section| section_schema(section))
    };
    let texts = || json!({"oneOf": [text(), {"type": "array", "items": text(), "minItems": 1}]});
    let mut schema = match key.shape {
        Shape::Text | Shape::Path | Shape::Cron => text(),
        Shape::Span => json!({"type": "string", "pattern": "^[0-9]+[hdwy]$"}),
        Shape::Paths | Shape::Texts | Shape::Command => texts(),
        Shape::Count => json!({"type": "integer", "minimum": 0, "maximum": 100_000}),
        Shape::NamedPaths => json!({"type": "object", "additionalProperties": text()}),
        Shape::OneOf(words) => json!({"enum": words}),
        Shape::Section => below(),
        Shape::Sections => json!({"type": "array", "items": below(), "minItems": 1}),
    };
    if let Value::Object(map) = &mut schema {
        map.insert("description".to_owned(), key.about.into());
    }
    schema
}

fn text() -> Value {
    json!({"type": "string", "minLength": 1})
}

impl Shape {
    fn words(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Path => "path",
            Self::Paths => "path or list of paths",
            Self::Texts => "text or list of texts",
            Self::Count => "number",
            Self::Span => "`36h`, `2d`, `8w`, `1y`",
            Self::Cron => "five fields of cron",
            Self::Command => "words or list of words",
            Self::NamedPaths => "names and paths",
            Self::OneOf(_) => "a word, see below",
            Self::Section => "mapping, see below",
            Self::Sections => "list of mappings, see below",
        }
    }
}

#[cfg(test)]
mod tests;
