//! `commands:` of a component: presets for who runs it, and what is said itself.

use std::path::Path;

use lifeboat_config::absolute;

use crate::error::SuiteError;
use crate::installation::{Bridge, Commands, Kind};
use crate::keys;
use crate::view::View;

pub(super) fn read(
    item: &View<'_>,
    folder: &Path,
    kind: Kind,
    name: &str,
) -> Result<Commands, SuiteError> {
    let Some(view) = item.mapping(&["commands"])? else { return Ok(Commands::default()) };
    keys::COMMANDS.check(&view)?;
    let preset = view.text(&["preset"])?.unwrap_or("none");
    let allowed: &[&str] = match preset {
        "systemd" => &["unit"],
        "compose" => &["file", "service"],
        "kubectl" => &["namespace", "workload", "selector", "replicas"],
        "none" => &[],
        _ => {
            let remedy = format!("write one of {}", keys::PRESETS.join(", "));
            return Err(view.wrong(&["preset"], "is none that is known", remedy));
        }
    };
    for key in ["unit", "file", "service", "namespace", "workload", "selector", "replicas"] {
        if view.has(&[key]) && !allowed.contains(&key) {
            let wrong = format!("does not belong to `preset: {preset}`");
            return Err(view.wrong(&[key], wrong, "remove it, or change the preset"));
        }
    }
    let mut commands = match preset {
        "systemd" => systemd(view.text(&["unit"])?.unwrap_or(name)),
        "compose" => {
            let file = view.text(&["file"])?.map(|file| absolute(folder, file));
            let file = file.map(|file| file.display().to_string());
            compose(file.as_deref(), view.text(&["service"])?.unwrap_or(name))
        }
        "kubectl" => kubectl(&view, kind)?,
        _ => Commands::default(),
    };
    commands.stop = command(&view, "stop")?.or(commands.stop);
    commands.start = command(&view, "start")?.or(commands.start);
    commands.health = command(&view, "health")?.or(commands.health);
    commands.health_url = view.text(&["health_url"])?.map(str::to_owned);
    if let Some(url) = &commands.health_url {
        check_url(&view, url)?;
    }
    Ok(commands)
}

fn check_url(view: &View<'_>, url: &str) -> Result<(), SuiteError> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let remedy = "write http://127.0.0.1:8008/health or the like, without user and password";
    match rest {
        Some(rest) if !rest.split('/').next().unwrap_or_default().contains('@') => Ok(()),
        _ => Err(view.wrong(&["health_url"], "is no plain web address", remedy)),
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn systemd(unit: &str) -> Commands {
    Commands {
        stop: Some(words(&["systemctl", "stop", unit])),
        start: Some(words(&["systemctl", "start", unit])),
        health: Some(words(&["systemctl", "is-active", "--quiet", unit])),
        health_url: None,
    }
}

fn compose(file: Option<&str>, service: &str) -> Commands {
    let with = |rest: &[&str]| {
        let mut all = vec!["docker", "compose"];
        all.extend(file.iter().flat_map(|file| ["-f", *file]));
        all.extend(rest);
        Some(words(&all))
    };
    Commands {
        stop: with(&["stop", service]),
        start: with(&["up", "--detach", "--no-deps", service]),
        // Fails when the service has no running container.
        health: with(&["exec", "-T", service, "true"]),
        health_url: None,
    }
}

/// By labels, as the charts and operators of ESS set them: names of objects differ by release.
fn kubectl(view: &View<'_>, kind: Kind) -> Result<Commands, SuiteError> {
    let usual = match kind {
        Kind::Synapse => Some(("statefulset", "app.kubernetes.io/component=matrix-server")),
        Kind::Mas => Some(("deployment", "app.kubernetes.io/component=matrix-authentication")),
        Kind::SlidingSync => {
            Some(("deployment", "app.kubernetes.io/component=matrix-sliding-sync"))
        }
        Kind::Bridge(Bridge::Hookshot) => {
            Some(("statefulset", "app.kubernetes.io/component=matrix-integrations"))
        }
        _ => None,
    };
    let remedy = "say by which labels it is found, as app.kubernetes.io/name=NAME";
    let selector = view.text(&["selector"])?.or(usual.map(|(_, labels)| labels));
    let selector = selector.ok_or_else(|| view.missing(&["selector"], remedy))?;
    let workload = view.text(&["workload"])?.or(usual.map(|(workload, _)| workload));
    let workload = workload.unwrap_or("statefulset");
    if !keys::WORKLOADS.contains(&workload) {
        let remedy = format!("write one of {}", keys::WORKLOADS.join(", "));
        return Err(view.wrong(&["workload"], "is none that can be scaled", remedy));
    }
    let namespace = view.text(&["namespace"])?.unwrap_or("default");
    let replicas = format!("--replicas={}", view.count(&["replicas"])?.unwrap_or(1));
    let scale = |replicas: &str| {
        Some(words(&["kubectl", "-n", namespace, "scale", workload, "-l", selector, replicas]))
    };
    Ok(Commands {
        stop: scale("--replicas=0"),
        start: scale(&replicas),
        health: Some(words(&[
            "kubectl",
            "-n",
            namespace,
            "rollout",
            "status",
            workload,
            "-l",
            selector,
            "--timeout=60s",
        ])),
        health_url: None,
    })
}

/// A list of words, or a text of words without anything that only a shell would understand.
pub(super) fn command(view: &View<'_>, name: &str) -> Result<Option<Vec<String>>, SuiteError> {
    if !view.has(&[name]) {
        return Ok(None);
    }
    if let Ok(Some(text)) = view.text(&[name]) {
        if text.contains(['"', '\'', '$', '|', '&', ';', '<', '>', '`', '\\']) {
            let remedy = "no shell reads it: write a list of words, as [sh, -c, \"…\"]";
            return Err(view.wrong(&[name], "is written for a shell", remedy));
        }
        return Ok(Some(text.split_whitespace().map(str::to_owned).collect()));
    }
    let list = view.texts(&[name])?;
    if list.is_empty() {
        return Err(view.wrong(&[name], "is empty", "name a program, or leave it out"));
    }
    Ok(Some(list.into_iter().map(str::to_owned).collect()))
}
