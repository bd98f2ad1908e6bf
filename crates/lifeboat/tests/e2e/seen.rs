//! The readable archive in a browser: axe finds nothing in its pages that the Web Content
//! Accessibility Guidelines (levels A and AA) forbid, in light and in dark colours.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_testing::{Part, Tools, world};
use serde_json::Value;

use crate::harbour::harbour;
use crate::program::{DONE, GAPS, lifeboat};

/// The policy of a page lets no script run; the copy that is checked goes without.
const POLICY: &str = "<meta http-equiv=\"Content-Security-Policy\"";

/// How many of the pages with most on them are looked at.
const LARGEST: usize = 5;

/// Opens what is folded, has axe look at the page, and leaves what it found as the page's text:
/// JSON without a character that HTML would escape.
const CHECK: &str = "
    for (const part of document.querySelectorAll('details')) part.open = true;
    const levels = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
    axe.run(document, {runOnly: levels}).then(({violations, passes}) => {
        const found = violations.map(({id, nodes}) => [id, nodes[0].html, nodes[0].failureSummary]);
        const text = JSON.stringify({found, passed: passes.map(({id}) => id)});
        const plain = (c) => '\\\\u' + c.charCodeAt(0).toString(16).padStart(4, '0');
        document.body.textContent = 'axe' + text.replace(/[<>&\\u0080-\\uffff]/g, plain) + 'axe';
    });
";

/// Shows pages, and has them checked.
struct Browser {
    axe: PathBuf,
    profile: PathBuf,
}

impl Browser {
    fn open(profile: PathBuf) -> Self {
        let tools = Tools::ready(&[Part::Browser], &world::say_on_stderr).unwrap();
        Self { axe: tools.page_checker(), profile }
    }

    /// What axe finds in a page, and by which rules it passes.
    fn check(&self, page: &Path, html: &str, flags: &[&str]) -> (Vec<Value>, BTreeSet<String>) {
        let (before, policy) = html.split_once(POLICY).unwrap();
        let (_, after) = policy.split_once('>').unwrap();
        let (body, end) = after.rsplit_once("</body>").unwrap();
        let axe = format!("<script src=\"file://{}\"></script>", self.axe.display());
        let copy = page.with_file_name("checked.html");
        let script = format!("{axe}<script>{CHECK}</script></body>");
        fs::write(&copy, [before, body, &script, end].concat()).unwrap();
        let mut command = Command::new("chromium");
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]);
        command.args(["--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND"]);
        command.arg(format!("--user-data-dir={}", self.profile.display()));
        command.args(["--virtual-time-budget=60000", "--dump-dom"]).args(flags);
        let output = command.arg(format!("file://{}", copy.display())).output().unwrap();
        fs::remove_file(copy).unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let json = text.split("axe{").nth(1).and_then(|rest| rest.split("}axe").next());
        let json = json.unwrap_or_else(|| panic!("{}: {text}", page.display()));
        let said: Value = serde_json::from_str(&format!("{{{json}}}")).unwrap();
        let passed = said["passed"].as_array().unwrap();
        let passed = passed.iter().map(|rule| rule.as_str().unwrap().to_owned()).collect();
        (said["found"].as_array().unwrap().clone(), passed)
    }
}

/// All pages of a folder, those with most on them first.
fn pages(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(pages(&path));
        } else if path.extension().is_some_and(|ending| ending == "html") {
            found.push(path);
        }
    }
    found.sort_by_key(|path| Reverse(fs::metadata(path).unwrap().len()));
    found
}

/// The front page, a room's own, and those with most on them.
fn sample(folder: &Path) -> Vec<PathBuf> {
    let mut pages = pages(folder);
    let front = folder.join("index.html");
    let is_index = |path: &&PathBuf| path.ends_with("index.html") && **path != front;
    let of_room = pages.iter().find(is_index).unwrap().clone();
    pages.retain(|path| !path.ends_with("index.html"));
    pages.truncate(LARGEST);
    pages.extend([of_room, front]);
    pages
}

#[test]
fn axe_finds_nothing_in_the_pages_in_light_and_in_dark() {
    let harbour = harbour();
    let folder = harbour.world.directory().join("seen");
    let (package, identity) = (harbour.package.as_os_str(), harbour.identity.as_os_str());
    let words = ["render".as_ref(), package, "-i".as_ref(), identity, "-d".as_ref()];
    let said = lifeboat(words.into_iter().chain([folder.as_os_str()]));
    assert!([DONE, GAPS].contains(&said.exit), "{said:?}");
    let browser = Browser::open(harbour.world.directory().join("chromium"));
    let pages = sample(&folder);
    assert_eq!(pages.len(), LARGEST + 2, "{pages:?}");
    let mut passed = BTreeSet::new();
    for page in &pages {
        let html = fs::read_to_string(page).unwrap();
        for flags in [&[][..], &["--force-dark-mode"]] {
            let (found, rules) = browser.check(page, &html, flags);
            assert_eq!(found, Vec::<Value>::new(), "{} {flags:?}", page.display());
            passed.extend(rules);
        }
    }
    for rule in ["color-contrast", "image-alt", "document-title", "html-has-lang", "link-name"] {
        assert!(passed.contains(rule), "{rule} was not looked at: {passed:?}");
    }
    // The same page in a grey too pale to read: whoever looks must see it.
    let html = fs::read_to_string(&pages[0]).unwrap();
    let pale = html.replace("--soft: #5b626b", "--soft: #c5c9cf");
    assert_ne!(html, pale);
    let (found, _) = browser.check(&pages[0], &pale, &[]);
    assert!(found.iter().any(|finding| finding[0] == "color-contrast"), "{found:?}");
}
