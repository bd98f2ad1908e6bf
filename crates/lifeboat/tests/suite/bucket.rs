//! A vault in a bucket: everything a vault is for, with rights that are too few, a store that
//! fails, and objects that are locked.

use std::fs;
use std::process::Child;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use lifeboat_testing::seaweed::Seaweed;
use serde_json::Value;

use crate::fault_proxy::{Fault, FaultProxy, Rule};
use crate::harbour::{Suite, suite, world};
use crate::program::{Said, program};

pub(crate) static STORE: LazyLock<Seaweed> = LazyLock::new(|| {
    Seaweed::start(world().tools(), &lifeboat_testing::world::say_on_stderr).unwrap()
});

pub(crate) type Variables = Vec<(String, String)>;

/// The parts of an installation that are small.
const SMALL: [&str; 6] = ["--component", "accounts", "--component", "bot", "--component", "sydent"];

/// An installation whose vault is in a bucket of its own.
pub(crate) struct Afar {
    pub(crate) suite: Suite,
    pub(crate) bucket: String,
}

impl Afar {
    pub(crate) fn new(name: &str, make: impl FnOnce(&Seaweed, &str)) -> Self {
        let (suite, bucket) = (suite(name), format!("vault-{name}"));
        make(&STORE, &bucket);
        let text = fs::read_to_string(&suite.yaml).unwrap();
        let vault = format!("vault: s3://{bucket}/of/ours\n");
        let text = text.replace(&format!("vault: {}\n", suite.vault.display()), &vault);
        fs::write(&suite.yaml, text).unwrap();
        Self { suite, bucket }
    }

    pub(crate) fn plain(name: &str) -> Self {
        Self::new(name, |store, bucket| store.make_bucket(bucket).unwrap())
    }

    fn command(&self, variables: &Variables, words: &[&str]) -> std::process::Command {
        let mut command = program();
        command.args(words).args(["--json", "-c", self.suite.yaml.to_str().unwrap()]);
        command.envs(variables.iter().cloned());
        command
    }

    pub(crate) fn ask(&self, variables: &Variables, words: &[&str]) -> Said {
        let output = self.command(variables, words).output().unwrap();
        Said {
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            exit: output.status.code().unwrap(),
        }
    }

    pub(crate) fn run(&self, variables: &Variables) -> Said {
        let words: Vec<&str> = ["backup", "run", "--volume-size", "1MiB"].into();
        self.ask(variables, &[words.as_slice(), &SMALL].concat())
    }

    pub(crate) fn verify_all(&self, variables: &Variables) -> Vec<Value> {
        let identity = self.suite.identity.to_str().unwrap();
        let said = self.ask(variables, &["backup", "verify", "--all", "-i", identity]);
        match said.result(0) {
            Value::Array(all) => all,
            one => vec![one],
        }
    }

    /// New noise in the bot's folder, in so many MB.
    pub(crate) fn noise(&self, seed: u64, megabytes: usize) {
        let mut state = seed * 2 + 1;
        let mut noise = vec![0_u8; megabytes << 20];
        for bytes in noise.chunks_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.copy_from_slice(&state.to_le_bytes()[..bytes.len()]);
        }
        fs::write(self.suite.bot.join("store/noise.bin"), noise).unwrap();
    }
}

#[test]
fn vault_in_a_bucket_is_written_checked_thinned_out_and_copied_to() {
    let afar = Afar::plain("afar");
    let writer = STORE.writer();
    for round in 0..3 {
        afar.noise(round, 13);
        afar.run(&writer).result(0);
    }
    assert_eq!(afar.verify_all(&writer).len(), 3);
    afar.ask(&writer, &["backup", "forget"]).result(0);
    let first = afar.ask(&writer, &["backup", "prune"]).result(0);
    assert_eq!(first["deleted_files"], 0, "{first}");
    assert!(first["listed_bytes"].as_u64().unwrap() > 1 << 20, "{first}");
    let second = afar.ask(&writer, &["backup", "prune"]).result(0);
    assert_eq!(second["deleted_bytes"], first["listed_bytes"], "{second} after {first}");
    assert_eq!(afar.verify_all(&writer).len(), 2);
    let near = afar.suite.folder.join("near");
    let near = near.to_str().unwrap();
    afar.ask(&writer, &["backup", "copy", "--to", near]).result(0);
    let again = format!("s3://{}/again", afar.bucket);
    afar.ask(&writer, &["backup", "copy", "--vault", near, "--to", &again]).result(0);
    let identity = afar.suite.identity.to_str().unwrap();
    let words = ["backup", "verify", "--all", "-i", identity, "--vault", &again];
    assert_eq!(afar.ask(&writer, &words).result(0).as_array().unwrap().len(), 2);
}

/// Kills a run once the bucket holds a volume of it.
fn kill_in_the_middle(afar: &Afar, mut run: Child) {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_mins(1) {
        let target = format!("/{}?list-type=2", afar.bucket);
        let listed = STORE.ask("GET", &target, ("{}", "")).unwrap();
        if listed.contains("/volumes/") || run.try_wait().unwrap().is_some() {
            break;
        }
    }
    run.kill().unwrap();
    run.wait().unwrap();
}

#[test]
fn rights_to_read_and_add_are_enough_for_runs_that_are_killed_and_a_prune_says_what_it_may_not() {
    let afar = Afar::plain("append");
    let (appender, writer) = (STORE.appender(), STORE.writer());
    afar.noise(1, 30);
    let words = [&["backup", "run", "--volume-size", "1MiB"], SMALL.as_slice()].concat();
    let run = afar.command(&appender, &words).spawn().unwrap();
    kill_in_the_middle(&afar, run);
    let outcome = afar.run(&appender).result(0);
    assert!(outcome["volumes_resumed"].as_u64().unwrap() > 0, "{outcome}");
    for round in 2..4 {
        afar.noise(round, 13);
        afar.run(&appender).result(0);
    }
    assert_eq!(afar.verify_all(&appender).len(), 3);
    afar.ask(&appender, &["backup", "forget"]).result(0);
    afar.ask(&appender, &["backup", "prune"]).result(0);
    let said = afar.ask(&appender, &["backup", "prune"]);
    let outcome = said.result(3);
    assert_eq!(outcome["deleted_files"], 0, "{outcome}");
    // Two lanes share the volumes, so what nobody needs any more lies in fewer or more of them.
    assert!(outcome["kept_back_files"].as_u64().unwrap() > 2, "{outcome}");
    assert!(outcome["kept_back"][0].as_str().unwrap().contains("permission denied"), "{outcome}");
    // Who may delete goes on where it was left.
    let outcome = afar.ask(&writer, &["backup", "prune"]).result(0);
    assert!(outcome["deleted_files"].as_u64().unwrap() > 2, "{outcome}");
    assert_eq!(afar.verify_all(&appender).len(), 2);
}

/// Variables that lead through a proxy with these faults.
fn through(runtime: &tokio::runtime::Runtime, rules: &[Rule]) -> (FaultProxy, Variables) {
    let proxy = runtime.block_on(FaultProxy::start(STORE.port(), rules));
    let endpoint = format!("http://127.0.0.1:{}", proxy.port());
    let variables = STORE.writer().into_iter().map(|(name, value)| match name.as_str() {
        "AWS_ENDPOINT_URL_S3" => (name, endpoint.clone()),
        _ => (name, value),
    });
    let variables = variables.collect();
    (proxy, variables)
}

const fn rule(method: &'static str, contains: &'static str, first: usize, fault: Fault) -> Rule {
    Rule { method, contains, first, times: 1, fault }
}

#[test]
fn store_that_fails_and_cuts_lines_now_and_then_is_asked_again() {
    let afar = Afar::plain("moody");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let rules = [
        rule("PUT", "header.json", 1, Fault::Answer(500)),
        rule("PUT", "/volumes/", 1, Fault::CutRequest(100_000)),
        rule("PUT", "/volumes/", 3, Fault::Answer(503)),
        rule("PUT", "/volumes/", 5, Fault::CutAnswer(10)),
        rule("GET", "list-type", 2, Fault::Answer(500)),
        rule("PUT", "manifest.sealed", 1, Fault::CutAnswer(0)),
        rule("PUT", "seal.json", 1, Fault::CutRequest(10)),
    ];
    let (proxy, variables) = through(&runtime, &rules);
    afar.noise(1, 21);
    afar.run(&variables).result(0);
    let seals = proxy.heads().iter().filter(|head| head.contains("seal.json")).count();
    assert!(seals > 1, "the seal was tried again");
    assert_eq!(afar.verify_all(&STORE.writer()).len(), 1);
}

#[test]
fn run_that_a_store_refuses_in_the_middle_is_gone_on_with_and_everything_is_whole() {
    let afar = Afar::plain("refused");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    afar.noise(1, 21);
    for (name, first) in [("/volumes/", 3), ("manifest.sealed", 1), ("seal.json", 1)] {
        let forever = Rule { times: 1_000, ..rule("PUT", name, first, Fault::Answer(403)) };
        let (_proxy, variables) = through(&runtime, &[forever]);
        let said = afar.run(&variables);
        assert_eq!(said.exit, 1, "{said:?}");
        assert!(said.stdout.contains("permission denied"), "{said:?}");
    }
    let outcome = afar.run(&STORE.writer()).result(0);
    assert!(outcome["volumes_resumed"].as_u64().unwrap() > 2, "{outcome}");
    assert_eq!(afar.verify_all(&STORE.writer()).len(), 1);
    let listed = afar.ask(&STORE.writer(), &["backup", "list"]).result(0);
    assert_eq!(listed["unfinished"], serde_json::json!([]), "{listed}");
}

/// Takes a value out of XML that is known.
fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    text.split_once(open)?.1.split_once(close).map(|(value, _)| value)
}

#[test]
fn locked_objects_survive_a_prune_and_whoever_deletes_everything() {
    let afar = Afar::new("locked", |store, bucket| store.make_locked_bucket(bucket).unwrap());
    let writer = STORE.writer();
    for round in 0..3 {
        afar.noise(round, 13);
        afar.run(&writer).result(0);
    }
    assert_eq!(afar.verify_all(&writer).len(), 3);
    afar.ask(&writer, &["backup", "forget"]).result(0);
    afar.ask(&writer, &["backup", "prune"]).result(0);
    afar.ask(&writer, &["backup", "prune"]).result(0);
    assert_eq!(afar.verify_all(&writer).len(), 2);
    // A delete hides the newest version behind a mark, and no more: the mark can be deleted.
    let versions =
        STORE.ask("GET", &format!("/{}?versions&max-keys=1000", afar.bucket), ("{}", "")).unwrap();
    let marks: Vec<&str> = versions.split("<DeleteMarker>").skip(1).collect();
    assert!(marks.len() > 3, "{versions}");
    for mark in marks {
        let key = between(mark, "<Key>", "</Key>").unwrap();
        let number = between(mark, "<VersionId>", "</VersionId>").unwrap();
        let target = format!("/{}/{key}?versionId={number}", afar.bucket);
        let answer = STORE.ask("DELETE", &target, ("{}", "")).unwrap();
        assert!(answer.starts_with("204"), "{answer}");
    }
    let versions =
        STORE.ask("GET", &format!("/{}?versions&max-keys=1000", afar.bucket), ("{}", "")).unwrap();
    for version in versions.split("<Version>").skip(1) {
        let key = between(version, "<Key>", "</Key>").unwrap();
        let number = between(version, "<VersionId>", "</VersionId>").unwrap();
        let target = format!("/{}/{key}?versionId={number}", afar.bucket);
        let answer = STORE.ask("DELETE", &target, ("{}", "")).unwrap();
        assert!(answer.starts_with("403"), "{key}: {answer}");
    }
    let listed = afar.ask(&writer, &["backup", "list", "--all"]).result(0);
    let backups = listed["backups"].as_array().unwrap();
    assert_eq!(backups.len(), 3, "{listed}");
    let identity = afar.suite.identity.to_str().unwrap();
    let oldest = backups[0]["backup"].as_str().unwrap();
    afar.ask(&writer, &["backup", "verify", oldest, "-i", identity]).result(0);
}
