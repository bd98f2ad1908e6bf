//! All automation of the project, for any machine that has cargo: `cargo xtask VERB`.
//!
//! It builds in seconds and so depends on nothing but the standard library and `lifeboat-testing`.

mod bench;
mod ci;
mod demo;
mod dependencies;
mod fuzz;
mod shell;
mod test;
mod tidy;

use std::process::ExitCode;

use shell::{Done, say, workspace_root};
use test::Which;

const USAGE: &str = "\
cargo xtask VERB

  ci              everything below but demo and bench, cheapest first, with the time of each step
  fmt [--check]   format the code
  tidy            the rules of the house: layering, bounds, names, the map, links
  lint            licences and banned crates; clippy with warnings denied
  test [FILTER]   install what the tests need, then run them, or those of this name
  test --all      also the few that take a minute each
  fuzz [SECONDS]  run every fuzz target, 30 seconds each unless told otherwise
  docs            the rustdoc pages with warnings denied; the book where mdbook is installed
  demo [--keep]   a real server out, checked, and into a second one, compared
  bench [--rounds N] [--twice] [--hold]
                  ours beside the usual tools on a large server; writes the page of the book.
                  --twice: memory on twice as much; --hold: only fill and keep the database up";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match obey(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            say(&format!("error: {trouble}"));
            ExitCode::FAILURE
        }
    }
}

fn obey(words: &[&str]) -> Done {
    let root = workspace_root();
    match words {
        ["ci"] => ci::ci(&root),
        ["fmt"] => ci::fmt(&root, ci::Formatting::Write),
        ["fmt", "--check"] => ci::fmt(&root, ci::Formatting::Check),
        ["tidy"] => tidy::tidy(&root),
        ["lint"] => ci::lint(&root),
        ["test"] => test::test(&root, Which::Usual),
        ["test", "--all"] => test::test(&root, Which::All),
        ["test", filter] => test::test(&root, Which::Named(filter)),
        ["fuzz"] => fuzz::fuzz(&root, fuzz::SECONDS),
        ["fuzz", seconds] => match seconds.parse() {
            Ok(seconds) => fuzz::fuzz(&root, seconds),
            Err(_) => Err(format!("`{seconds}` is not a number of seconds")),
        },
        ["docs"] => ci::docs(&root),
        ["demo"] => demo::demo(&root, demo::Afterwards::Stop),
        ["demo", "--keep"] => demo::demo(&root, demo::Afterwards::Keep),
        ["bench", wish @ ..] => bench::bench(&root, bench::Wish::parse(wish)?),
        _ => Err(format!("what is to be done?\n\n{USAGE}")),
    }
}
