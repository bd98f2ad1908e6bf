//! Markdown. Everything that others wrote is escaped.

use lifeboat_pages::tame;

use crate::block::Block;

pub(crate) fn write(blocks: &[Block]) -> String {
    let mut page = String::new();
    for block in blocks {
        page.push_str(&one(block));
        page.push('\n');
    }
    page
}

fn one(block: &Block) -> String {
    match block {
        Block::Heading(level, title) => {
            format!("{} {}\n", "#".repeat(usize::from(*level)), escaped(title))
        }
        Block::Text(text) => format!("{}\n", escaped(text)),
        Block::List(items) => {
            let items: Vec<String> = items.iter().map(|item| escaped(item)).collect();
            format!("* {}\n", items.join("\n* "))
        }
        Block::Table { head, rows } => table(head, rows),
        Block::Commands(lines) => commands(lines),
        Block::FillIn(label) => {
            format!("{}: \\_\\_\\_\\_\\_\\_\\_\\_\\_\\_\\_\\_\n", escaped(label))
        }
        Block::Order { steps, .. } => {
            let numbered = (1..).zip(steps);
            let lines = numbered.map(|(number, words)| format!("{number}. {}\n", escaped(words)));
            lines.collect::<Vec<_>>().concat()
        }
    }
}

fn table(head: &[&'static str], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(|cell| escaped(cell)).collect();
    let mut text = line(&head);
    text.push_str(&line(&vec!["---".to_owned(); head.len()]));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| escaped(cell)).collect();
        text.push_str(&line(&cells));
    }
    text
}

/// A fence is longer than any run of backticks in it.
fn commands(lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| on_one_line(line)).collect();
    let body = lines.join("\n");
    let longest = body.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(3.max(longest + 1));
    format!("{fence}sh\n{body}\n{fence}\n")
}

/// On one line, without characters that turn or hide text.
fn on_one_line(text: &str) -> String {
    tame::tame(text).replace(['\n', '\t'], " ")
}

pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in on_one_line(text).chars() {
        if "\\`*_[]<>|#~&!".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
