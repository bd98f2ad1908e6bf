//! A document for one reader with a printer: blocks of plain text, written as one HTML file without
//! scripts and with nothing from elsewhere.

use crate::markup::Html;

/// A piece of a document. Texts are plain: whoever writes them out escapes them.
pub enum Block {
    /// The title of a section; 1 is that of the document.
    Heading(u8, String),
    /// A paragraph.
    Text(String),
    /// A list.
    List(Vec<String>),
    /// A table.
    Table {
        /// The titles of its columns.
        head: Vec<&'static str>,
        /// Its cells.
        rows: Vec<Vec<String>>,
    },
    /// Commands to type, a line each.
    Commands(Vec<String>),
    /// Something to fill in by hand on paper.
    FillIn(String),
    /// Steps, one after the other.
    Order {
        /// The same as a picture.
        picture: Html,
        /// In words.
        steps: Vec<String>,
    },
}

const HEAD: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="robots" content="noindex">
<style>
body { font: 11pt/1.45 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #111 }
h1, h2, h3 { line-height: 1.2; break-after: avoid }
h2 { margin-top: 2em; border-bottom: 1px solid #999 }
table { border-collapse: collapse; width: 100%; font-size: 90% }
th, td { border: 1px solid #999; padding: .25em .5em; text-align: left; vertical-align: top }
tr, pre, svg, li { break-inside: avoid }
pre { background: #eee; padding: .6em; white-space: pre-wrap; overflow-wrap: anywhere }
td { overflow-wrap: anywhere }
svg { max-width: 100%; height: auto }
.line { display: inline-block; min-width: 20em; border-bottom: 1px solid #111 }
@media print { body { margin: 0; max-width: none } pre { border: 1px solid #999 } }
</style>
<title>"#;

/// The document as one HTML file, to be shown or printed.
pub fn html(title: &str, blocks: &[Block]) -> String {
    let mut page = Html::default();
    page.raw(HEAD).text(title).raw("</title>\n</head>\n<body>\n");
    for block in blocks {
        one(&mut page, block);
    }
    page.raw("</body>\n</html>\n");
    page.into_string()
}

fn one(page: &mut Html, block: &Block) {
    match block {
        Block::Heading(1, title) => tagged(page, ("<h1>", "</h1>\n"), title),
        Block::Heading(2, title) => tagged(page, ("<h2>", "</h2>\n"), title),
        Block::Heading(_, title) => tagged(page, ("<h3>", "</h3>\n"), title),
        Block::Text(text) => tagged(page, ("<p>", "</p>\n"), text),
        Block::List(items) => {
            page.raw("<ul>\n");
            all(page, ("<li>", "</li>\n"), items);
            page.raw("</ul>\n");
        }
        Block::Table { head, rows } => {
            page.raw("<table>\n<tr>");
            all(page, ("<th>", "</th>"), head);
            page.raw("</tr>\n");
            for row in rows {
                page.raw("<tr>");
                all(page, ("<td>", "</td>"), row);
                page.raw("</tr>\n");
            }
            page.raw("</table>\n");
        }
        Block::Commands(lines) => {
            page.raw("<pre>");
            all(page, ("", "\n"), lines);
            page.raw("</pre>\n");
        }
        Block::FillIn(label) => {
            page.raw("<p>").text(label).raw(": <span class=\"line\">&nbsp;</span></p>\n");
        }
        Block::Order { picture, steps } => {
            page.add(picture).raw("<ol>\n");
            all(page, ("<li>", "</li>\n"), steps);
            page.raw("</ol>\n");
        }
    }
}

fn all(page: &mut Html, tags: (&'static str, &'static str), texts: &[impl AsRef<str>]) {
    for text in texts {
        tagged(page, tags, text.as_ref());
    }
}

fn tagged(page: &mut Html, (open, close): (&'static str, &'static str), text: &str) {
    page.raw(open).text(text).raw(close);
}
