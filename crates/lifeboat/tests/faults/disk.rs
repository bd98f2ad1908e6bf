//! Targets that cannot take the package: full, read-only.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::conversation::{files_under, run};
use crate::harbour::harbour;
use crate::moments::noted;

/// A small file system of its own, unmounted at the end.
struct Island(PathBuf);

impl Island {
    fn mount(options: &str) -> Self {
        let place = harbour().folder();
        system("mount", &["-t", "tmpfs", "-o", options, "tmpfs", &place.display().to_string()]);
        Self(place)
    }

    fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        system("mount", &["-o", &options, &self.0.display().to_string()]);
    }

    fn target(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Island {
    fn drop(&mut self) {
        system("umount", &["-l", &self.0.display().to_string()]);
    }
}

/// Runs a program of the system, as root.
fn system(program: &str, arguments: &[&str]) {
    let is_root = rustix::process::geteuid().is_root();
    let mut command = Command::new(if is_root { program } else { "sudo" });
    if !is_root {
        command.args(["-n", program]);
    }
    let output = command.args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
}

#[test]
fn a_full_disk_is_told_and_the_same_command_goes_on_when_there_is_room() {
    for name in ["server.lifeboat", "server/"] {
        let island = Island::mount("size=6m,mode=0777");
        let folder = harbour().folder();
        let target = island.target(name);
        let world = harbour().world();
        let said = run(&mut harbour().export(&world, &folder, &target));
        assert_eq!(said.exit, Some(1), "{said:?}");
        let error = said.error();
        assert!(error.contains("no space left"), "{error}");
        assert!(error.contains("free some space"), "{error}");
        assert!(error.contains("same command again"), "{error}");
        let journal = PathBuf::from(format!("{}.journal", target.trim_end_matches('/')));
        let before = noted(&journal);
        assert!(!before.volumes.is_empty());
        island.remount("size=200m");
        let said = run(&mut harbour().export(&world, &folder, &target));
        assert_eq!(said.exit, Some(3), "{said:?}");
        assert_eq!(said.outcome()["volumes_resumed"], before.volumes.len());
        harbour().assert_undisturbed(&target, &[]);
    }
}

#[test]
fn a_disk_that_is_full_from_the_start_is_told() {
    let island = Island::mount("size=4k,mode=0777");
    let folder = harbour().folder();
    fs::write(island.0.join("ballast"), [0; 4096]).unwrap();
    let target = island.target("server.lifeboat");
    let world = harbour().world();
    let said = run(&mut harbour().export(&world, &folder, &target));
    assert_eq!(said.exit, Some(1), "{said:?}");
    assert!(said.error().contains("space"), "{said:?}");
    island.remount("size=200m");
    let said = run(&mut harbour().export(&world, &folder, &target));
    assert_eq!(said.exit, Some(3), "{said:?}");
    harbour().assert_valid(&target, &[]);
}

#[test]
fn a_read_only_target_is_told_and_nothing_is_written() {
    for name in ["server.lifeboat", "server/"] {
        let island = Island::mount("size=6m,mode=0777");
        island.remount("ro");
        let folder = harbour().folder();
        let target = island.target(name);
        let said = run(&mut harbour().export(&harbour().world(), &folder, &target));
        assert_eq!(said.exit, Some(1), "{said:?}");
        let error = said.error();
        assert!(error.to_lowercase().contains("read-only"), "{error}");
        assert!(error.contains("another place"), "{error}");
        assert_eq!(files_under(&island.0), Vec::<String>::new());
    }
}

#[test]
fn a_target_that_is_taken_is_left_alone() {
    let folder = harbour().folder();
    let quay = folder.join("quay");
    fs::create_dir(&quay).unwrap();
    fs::write(quay.join("server.lifeboat"), "mine").unwrap();
    let archive = quay.join("server.lifeboat").display().to_string();
    for target in [archive, quay.display().to_string()] {
        let said = run(&mut harbour().export(&harbour().world(), &folder, &target));
        assert_eq!(said.exit, Some(2), "{said:?}");
        assert!(said.error().contains("there already"), "{said:?}");
        assert_eq!(files_under(&quay), ["server.lifeboat"]);
        assert_eq!(fs::read(quay.join("server.lifeboat")).unwrap(), b"mine");
        assert!(!folder.join("quay.journal").exists());
    }
}
