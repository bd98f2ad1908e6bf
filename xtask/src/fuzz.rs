//! Every fuzz target for a while. The corpus of earlier runs and the checked-in seeds are kept.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell::{Done, cargo, run, say};

/// How long one target runs unless told otherwise.
pub(crate) const SECONDS: u32 = 30;

/// The release of cargo-fuzz that is known to work with our toolchain.
const CARGO_FUZZ: &str = "0.13.2";

/// Memory above which a target has gone wrong, in MiB.
const MEMORY_MIB: u32 = 2048;

/// Runs each target of `fuzz/fuzz_targets` for `seconds`, as many at a time as there are cores.
///
/// # Errors
/// There is no target, cargo-fuzz cannot be installed, or a target crashed: cargo-fuzz prints
/// where the input lies that did it.
pub(crate) fn fuzz(root: &Path, seconds: u32) -> Done {
    let targets = targets(&root.join("fuzz/fuzz_targets"))?;
    let program = install(root)?;
    run(&cargo_fuzz(root, &program, &["build"]))?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    for together in targets.chunks(cores) {
        std::thread::scope(|scope| {
            let runs: Vec<_> = together
                .iter()
                .map(|target| scope.spawn(|| fuzz_one(root, &program, target, seconds)))
                .collect();
            runs.into_iter().try_for_each(|run| {
                run.join().unwrap_or_else(|_| Err("a run of a target broke off".to_owned()))
            })
        })?;
    }
    say(&format!("fuzz: {} targets, {seconds} s each, no crash", targets.len()));
    Ok(())
}

fn fuzz_one(root: &Path, program: &Path, target: &str, seconds: u32) -> Done {
    let mut command = cargo_fuzz(root, program, &["run", target]);
    let corpus = root.join("fuzz/corpus").join(target);
    std::fs::create_dir_all(&corpus).map_err(|e| format!("create the corpus folder: {e}"))?;
    command.arg(corpus);
    let seeds = root.join("fuzz/seeds").join(target);
    if seeds.is_dir() {
        command.arg(seeds);
    }
    command.arg("--").args([
        format!("-max_total_time={seconds}"),
        format!("-rss_limit_mb={MEMORY_MIB}"),
        "-print_final_stats=1".to_owned(),
    ]);
    run(&command)
}

fn targets(folder: &Path) -> Done<Vec<String>> {
    let files = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
    let mut targets: Vec<String> =
        names.filter_map(|name| Some(name.strip_suffix(".rs")?.to_owned())).collect();
    targets.sort();
    if targets.is_empty() { Err(format!("no target in {}", folder.display())) } else { Ok(targets) }
}

fn install(root: &Path) -> Done<PathBuf> {
    let folder = root.join("target/tools").join(format!("cargo-fuzz-{CARGO_FUZZ}"));
    let program = folder.join("bin/cargo-fuzz");
    if !program.is_file() {
        say(&format!("installs cargo-fuzz {CARGO_FUZZ} from crates.io into {}", folder.display()));
        let mut command =
            cargo(root, &["install", "cargo-fuzz", "--version", CARGO_FUZZ, "--locked", "--debug"]);
        command.arg("--root").arg(&folder);
        run(&command)?;
    }
    Ok(program)
}

/// The sanitizer wants unstable flags; `RUSTC_BOOTSTRAP` lets the stable compiler take them.
fn cargo_fuzz(root: &Path, program: &Path, words: &[&str]) -> Command {
    let cleaned = cargo(root, &[]);
    let mut fuzz = Command::new(program);
    fuzz.current_dir(root).env("RUSTC_BOOTSTRAP", "1").arg("fuzz").args(words);
    for (name, _) in cleaned.get_envs().filter(|(_, value)| value.is_none()) {
        fuzz.env_remove(name);
    }
    fuzz
}
