//! From an installation to what a backup reads.

use std::collections::BTreeSet;
use std::path::PathBuf;

use lifeboat_engine::failure::Failure;
use lifeboat_suite::media::providers;
use lifeboat_suite::{At, Component, Installation, Kind, OWN, Surroundings, proof};

use crate::run::tree::{Tree, is_configuration};
use crate::run::union::Union;
use crate::run::{DatabaseAt, ServerKeys, Subject, SubjectDatabase, Sync};

/// The components of an installation, or those of them that are named.
///
/// # Errors
/// [`Failure`] when a name is none, or a database's address cannot be used.
pub fn subjects(
    installation: &Installation,
    only: &[String],
    (around, environment): (&Surroundings, &[(String, String)]),
) -> Result<Vec<Subject>, Failure> {
    for name in only {
        if installation.component(name).is_none() {
            let known: Vec<&str> =
                installation.components.iter().map(|c| c.name.as_str()).collect();
            return Err(Failure::usage(
                format!("there is no component {name}"),
                format!("there are: {}", known.join(", ")),
            ));
        }
    }
    let is_wanted = |component: &&Component| only.is_empty() || only.contains(&component.name);
    let wanted: Vec<&Component> = installation.components.iter().filter(is_wanted).collect();
    let databases = |kind| {
        let of_kind = wanted.iter().filter(move |component| component.kind == kind);
        of_kind.map(|component| component.databases.len()).sum::<usize>()
    };
    // One database alone needs no other to be cut with.
    let in_sync = databases(Kind::Synapse) + databases(Kind::Mas) > 1;
    let has_mas = databases(Kind::Mas) > 0;
    let subjects = wanted.iter().map(|component| subject(component, (in_sync, has_mas), around));
    let mut subjects = subjects.collect::<Result<Vec<_>, _>>()?;
    for (subject, component) in subjects.iter_mut().zip(&wanted) {
        if component.kind == Kind::Synapse {
            unite(subject, component, environment);
        }
    }
    subjects.push(own(installation));
    Ok(subjects)
}

/// What says what the installation is: without it nobody knows where things belong.
fn own(installation: &Installation) -> Subject {
    let root = installation.path.clone();
    Subject {
        name: OWN.to_owned(),
        kind: OWN.to_owned(),
        databases: Vec::new(),
        trees: vec![Tree { role: "config".to_owned(), root, without: Vec::new() }],
        media_store: None,
        union: None,
    }
}

/// Media of which storage providers have some are taken from all of them.
fn unite(subject: &mut Subject, component: &Component, environment: &[(String, String)]) {
    let providers = providers(component, environment);
    let Some(media) = component.media.as_ref().filter(|_| !providers.is_empty()) else { return };
    let is_media = |tree: &Tree| tree.role == "media" && tree.root == media.store_path;
    let at = subject.trees.iter().position(is_media);
    let tree = at.map_or_else(
        || {
            let (role, root) = ("media".to_owned(), media.store_path.clone());
            Tree { role, root, without: Vec::new() }
        },
        |at| subject.trees.remove(at),
    );
    subject.media_store = Some(media.store_path.clone());
    subject.union = Some(Union::of(tree, media.local_storage, providers));
}

fn subject(
    component: &Component,
    (in_sync, has_mas): (bool, bool),
    around: &Surroundings,
) -> Result<Subject, Failure> {
    let sync_of = |name: &str| match component.kind {
        // Of two databases of Synapse the smaller waits: what joins them passes through it.
        Kind::Synapse if in_sync && !has_mas && name != "main" => Sync::Guarded,
        Kind::Synapse if in_sync => Sync::Together,
        Kind::Mas if in_sync => Sync::Guarded,
        _ => Sync::Alone,
    };
    let mut databases = Vec::new();
    for database in &component.databases {
        let at = match &database.at {
            At::Sqlite(path) => DatabaseAt::Sqlite(path.clone()),
            At::Postgres(target) => {
                let mut target = (**target).clone();
                target.find_password(around);
                let connector = target.connector().map_err(|e| {
                    Failure::failed(
                        format!("cannot use the database of {}", component.name),
                        "correct its address in the component's configuration",
                    )
                    .because(e)
                })?;
                DatabaseAt::Postgres(Box::new(connector))
            }
        };
        let (name, sync) = (database.name.clone(), sync_of(&database.name));
        databases.push(SubjectDatabase { name, at, sync });
    }
    Ok(Subject {
        name: component.name.clone(),
        kind: component.kind.label().to_owned(),
        databases,
        trees: trees(component),
        media_store: component
            .media
            .iter()
            .find(|media| media.local_storage && component.kind == Kind::Synapse)
            .map(|media| media.store_path.clone()),
        union: None,
    })
}

/// The trees of a component, none inside another of them. But what a restore puts back first, the
/// configuration and the secrets, and media, are trees of their own wherever they lie.
fn trees(component: &Component) -> Vec<Tree> {
    let listed = component.files.iter().map(|tree| (tree.role.word(), tree.path.clone()));
    let secrets = component.secrets.iter().map(|secret| ("secrets", secret.path.clone()));
    let media = component.media.iter().filter(|media| media.local_storage);
    let media = media.map(|media| ("media", media.store_path.clone()));
    let all: Vec<(&str, PathBuf)> = listed.chain(media).chain(secrets).collect();
    let mut taken = BTreeSet::new();
    let mut trees = Vec::new();
    for (role, root) in &all {
        let is_inside = all.iter().any(|(outer, other)| {
            let goes_along = is_configuration(outer) || !is_configuration(role);
            other != root && root.starts_with(other) && goes_along
        });
        let is_media = *role == "media";
        if (is_inside && !is_media) || !taken.insert(root.clone()) {
            continue;
        }
        let mut without = Vec::new();
        if !is_configuration(role) {
            let inner = all.iter().filter(|(inner, path)| is_configuration(inner) && path != root);
            without.extend(inner.map(|(_, path)| path.clone()));
        }
        // Media inside another tree are taken as media.
        without.extend(component.media.iter().map(|m| m.store_path.clone()).filter(|_| !is_media));
        trees.push(Tree { role: (*role).to_owned(), root: root.clone(), without });
    }
    trees
}

/// The keys of the installation's Synapse; none when they cannot be read.
pub fn server_keys(installation: &Installation) -> ServerKeys {
    let synapse = installation.of_kind(Kind::Synapse).next();
    let signing = synapse.and_then(|component| proof::signing_keys(component).ok());
    let known = synapse.and_then(|component| proof::known_keys(component).ok());
    ServerKeys {
        signing: signing.unwrap_or_default(),
        known: known.unwrap_or_default(),
        is_due: synapse.is_some(),
    }
}
