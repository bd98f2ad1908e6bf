//! Formatted messages (`formatted_body`): what is on a short list of elements stays, all else
//! becomes text or nothing.
//!
//! What comes out is fixed markup and escaped text; no attribute of the sender survives but the
//! address of a link, and that only when it leads to the web or to a mailbox. Elements are closed
//! in the order they were opened, and those that would close an element of ours are dropped.

mod scan;
#[cfg(test)]
mod tests;

use self::scan::{Piece, Tag, attribute, decode, scan};
use crate::markup::Html;

/// Elements within each other.
const DEPTH: usize = 50;

/// What an element of the sender becomes.
struct Element {
    name: &'static str,
    open: &'static str,
    close: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Inline,
    Block,
    /// Only directly within one of these.
    Within(&'static [&'static str]),
}

const fn inline(name: &'static str, open: &'static str, close: &'static str) -> Element {
    Element { name, open, close, kind: Kind::Inline }
}

const fn block(name: &'static str, open: &'static str, close: &'static str) -> Element {
    Element { name, open, close, kind: Kind::Block }
}

const fn within(
    parents: &'static [&'static str],
    name: &'static str,
    open: &'static str,
    close: &'static str,
) -> Element {
    Element { name, open, close, kind: Kind::Within(parents) }
}

const HEADING: &str = "<p class=\"heading\">";
const ROWS: &[&str] = &["table", "thead", "tbody"];

/// The short list. Headings are no headings of the page.
const ELEMENTS: &[Element] = &[
    inline("b", "<b>", "</b>"),
    inline("strong", "<strong>", "</strong>"),
    inline("i", "<i>", "</i>"),
    inline("em", "<em>", "</em>"),
    inline("u", "<u>", "</u>"),
    inline("s", "<s>", "</s>"),
    inline("strike", "<s>", "</s>"),
    inline("del", "<del>", "</del>"),
    inline("sub", "<sub>", "</sub>"),
    inline("sup", "<sup>", "</sup>"),
    inline("code", "<code>", "</code>"),
    inline("span", "<span>", "</span>"),
    inline("font", "<span>", "</span>"),
    block("p", "<p>", "</p>"),
    block("div", "<div>", "</div>"),
    block("h1", HEADING, "</p>"),
    block("h2", HEADING, "</p>"),
    block("h3", HEADING, "</p>"),
    block("h4", HEADING, "</p>"),
    block("h5", HEADING, "</p>"),
    block("h6", HEADING, "</p>"),
    block("blockquote", "<blockquote>", "</blockquote>"),
    block("pre", "<pre>", "</pre>"),
    block("ul", "<ul>", "</ul>"),
    block("ol", "<ol>", "</ol>"),
    block("table", "<table>", "</table>"),
    block("details", "<details>", "</details>"),
    within(&["details"], "summary", "<summary>", "</summary>"),
    within(&["ul", "ol"], "li", "<li>", "</li>"),
    within(&["table"], "caption", "<caption>", "</caption>"),
    within(&["table"], "thead", "<thead>", "</thead>"),
    within(&["table"], "tbody", "<tbody>", "</tbody>"),
    within(ROWS, "tr", "<tr>", "</tr>"),
    within(&["tr"], "td", "<td>", "</td>"),
    within(&["tr"], "th", "<th>", "</th>"),
];

/// Elements whose content is not for readers. `mx-reply` is the quote of an answer, which is shown
/// in its own way.
const SILENT: &[&str] = &[
    "script",
    "style",
    "mx-reply",
    "title",
    "head",
    "template",
    "noscript",
    "textarea",
    "select",
    "iframe",
    "object",
    "embed",
    "svg",
    "math",
    "xmp",
    "noembed",
    "noframes",
    "plaintext",
];

/// The links that stay.
const SCHEMES: &[&str] = &["https://", "http://", "mailto:", "matrix:"];

struct Writer {
    html: Html,
    open: Vec<(&'static str, &'static str)>,
    /// The element whose content is left out, and how often it is open.
    silent: Option<(String, usize)>,
}

/// The formatted text as harmless HTML.
pub fn rich(formatted: &str) -> Html {
    let mut writer = Writer { html: Html::default(), open: Vec::new(), silent: None };
    for piece in scan(formatted) {
        if writer.is_silent(&piece) {
            continue;
        }
        match piece {
            Piece::Text(text) => writer.text(text),
            Piece::Tag(tag) if tag.is_end => writer.end(&tag),
            Piece::Tag(tag) => writer.begin(&tag),
        }
    }
    writer.close_to(0);
    writer.html
}

impl Writer {
    /// Whether the piece belongs to an element that is left out, or begins one.
    fn is_silent(&mut self, piece: &Piece<'_>) -> bool {
        let tag = match piece {
            Piece::Tag(tag) => Some(tag),
            Piece::Text(_) => None,
        };
        if let Some((name, depth)) = &mut self.silent {
            if let Some(tag) = tag.filter(|tag| tag.name == *name) {
                *depth = if tag.is_end { *depth - 1 } else { *depth + 1 };
            }
            if *depth == 0 {
                self.silent = None;
            }
            return true;
        }
        let Some(tag) = tag.filter(|tag| SILENT.contains(&tag.name.as_str())) else {
            return false;
        };
        if !tag.is_end {
            self.silent = Some((tag.name.clone(), 1));
        }
        true
    }

    /// Text with references to characters, which are kept where they name one.
    fn text(&mut self, text: &str) {
        for (at, part) in text.split('&').enumerate() {
            if at == 0 {
                self.html.text(part);
                continue;
            }
            match part.split_once(';') {
                Some((name, rest)) if scan::is_name(name) => {
                    self.html.reference(name).text(rest);
                }
                Some((name, rest)) if name.starts_with('#') => {
                    self.html.text(&decode(&format!("&{name};"))).text(rest);
                }
                _ => {
                    self.html.text("&").text(part);
                }
            }
        }
    }

    fn begin(&mut self, tag: &Tag<'_>) {
        match tag.name.as_str() {
            "br" => {
                self.html.raw("<br>");
            }
            "hr" => {
                self.close_paragraph();
                self.html.raw("<hr>");
            }
            // Pictures in a text are loaded from elsewhere: what they stand for is shown.
            "img" => {
                let says = attribute(tag.attributes, "alt");
                self.html.text(says.as_deref().unwrap_or("[picture]"));
            }
            "a" => self.link(tag),
            name => {
                if let Some(element) = ELEMENTS.iter().find(|element| element.name == name) {
                    self.open(element);
                }
            }
        }
    }

    fn open(&mut self, element: &Element) {
        if self.open.len() >= DEPTH {
            return;
        }
        match element.kind {
            Kind::Inline => {}
            Kind::Block => self.close_paragraph(),
            Kind::Within(parents) => {
                // A list item ends the one before it, and so do rows and cells.
                if self.open.last().is_some_and(|(name, _)| *name == element.name) {
                    self.close_to(self.open.len() - 1);
                }
                if !self.open.last().is_some_and(|(name, _)| parents.contains(name)) {
                    return;
                }
            }
        }
        self.html.raw(element.open);
        self.open.push((element.name, element.close));
    }

    fn link(&mut self, tag: &Tag<'_>) {
        let is_within = self.open.iter().any(|(name, _)| *name == "a");
        let Some(address) = attribute(tag.attributes, "href") else { return };
        let address = address.trim();
        let leads = |scheme: &&str| {
            let start = address.get(..scheme.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        };
        let clean = !address.chars().any(|c| c.is_control() || c.is_whitespace());
        if is_within || !clean || !SCHEMES.iter().any(leads) || self.open.len() >= DEPTH {
            return;
        }
        self.html.raw("<a rel=\"noreferrer noopener nofollow\" href=\"").text(address).raw("\">");
        self.open.push(("a", "</a>"));
    }

    fn end(&mut self, tag: &Tag<'_>) {
        let found = self.open.iter().rposition(|(name, _)| *name == tag.name);
        if let Some(at) = found {
            self.close_to(at);
        }
    }

    /// Browsers end a paragraph before a block; so do we, or the ends would not match.
    fn close_paragraph(&mut self) {
        let is_paragraph =
            |name: &str| matches!(name, "p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6");
        if let Some(at) = self.open.iter().position(|(name, _)| is_paragraph(name)) {
            self.close_to(at);
        }
    }

    fn close_to(&mut self, depth: usize) {
        while self.open.len() > depth {
            if let Some((_, close)) = self.open.pop() {
                self.html.raw(close);
            }
        }
    }
}
