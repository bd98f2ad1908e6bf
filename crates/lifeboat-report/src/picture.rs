//! The order of a restore as a picture: a row a phase, a box a step, from top to bottom.

use lifeboat_pages::markup::Html;
use lifeboat_restore::plan::{Step, What};

const BOX_WIDTH: usize = 190;
const BOX_HEIGHT: usize = 30;
const GAP: usize = 12;
const LABEL_WIDTH: usize = 130;
const ROW_HEIGHT: usize = BOX_HEIGHT + 28;
const BOXES_IN_A_ROW: usize = 4;
/// Letters of a step that fit into its box.
const LETTERS: usize = 26;

pub(crate) fn of(steps: &[Step]) -> Html {
    let rows = rows(steps);
    let (width, height) =
        (LABEL_WIDTH + BOXES_IN_A_ROW * (BOX_WIDTH + GAP), rows.len() * ROW_HEIGHT);
    let mut svg = Html::default();
    svg.raw("<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" viewBox=\"0 0 ");
    svg.number(width).raw(" ").number(height).raw("\" width=\"").number(width);
    svg.raw("\" font-family=\"sans-serif\" font-size=\"12\"><title>Order of a restore</title>\n");
    for (at, (phase, steps)) in rows.iter().enumerate() {
        let top = at * ROW_HEIGHT;
        svg.raw("<text x=\"0\" y=\"").number(top + 20).raw("\" font-weight=\"bold\">");
        svg.text(phase).raw("</text>\n");
        for (column, step) in steps.iter().enumerate() {
            one(&mut svg, (LABEL_WIDTH + column * (BOX_WIDTH + GAP), top), step);
        }
        if at + 1 < rows.len() {
            arrow(&mut svg, top + BOX_HEIGHT);
        }
    }
    svg.raw("</svg>\n");
    svg
}

fn one(svg: &mut Html, (left, top): (usize, usize), step: &Step) {
    svg.raw("<rect x=\"").number(left + 1).raw("\" y=\"").number(top + 1).raw("\" width=\"");
    svg.number(BOX_WIDTH - 2).raw("\" height=\"").number(BOX_HEIGHT - 2);
    svg.raw("\" rx=\"4\" fill=\"#fff\" stroke=\"#333\"/><text x=\"").number(left + 8);
    svg.raw("\" y=\"").number(top + 20).raw("\">").number(step.number as usize).raw(" ");
    let name = short(&step.name);
    svg.text(&name).raw("</text>\n");
}

fn arrow(svg: &mut Html, top: usize) {
    let x = LABEL_WIDTH + BOX_WIDTH / 2;
    svg.raw("<path d=\"M").number(x).raw(" ").number(top).raw("v24m-5 -7l5 7l5 -7");
    svg.raw("\" fill=\"none\" stroke=\"#333\"/>\n");
}

fn short(name: &str) -> String {
    if name.chars().count() <= LETTERS {
        return name.to_owned();
    }
    name.chars().take(LETTERS - 1).chain(['…']).collect()
}

/// The steps by phase; a phase with many steps has several rows.
fn rows(steps: &[Step]) -> Vec<(&'static str, Vec<&Step>)> {
    let mut rows: Vec<(&'static str, Vec<&Step>)> = Vec::new();
    for step in steps {
        let phase = phase(&step.what);
        match rows.last_mut() {
            Some((last, row)) if *last == phase && row.len() < BOXES_IN_A_ROW => row.push(step),
            _ => rows.push((phase, vec![step])),
        }
    }
    rows
}

fn phase(what: &What) -> &'static str {
    match what {
        What::Fence => "stop",
        What::Configuration { .. } | What::Secrets => "configuration",
        What::Database { .. } | What::Rules { .. } | What::Rights { .. } => "databases",
        What::Files { .. } => "files",
        What::Compare | What::Check | What::Erasures { .. } | What::Gate => "check",
        What::Start { .. } => "start",
    }
}
