//! A folder that is full, read-only or somebody else's; and what it looks like from outside.
//!
//! Mounting wants root; the tests run as root or with `sudo`, as the README says.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lifeboat_storage::{Access, Location, Place, StorageError};
use lifeboat_testing::Scratch;

use crate::places::{self, bytes};

/// Tells a copy of this test binary, started under another account, which folder to try.
const PROBED_FOLDER: &str = "LIFEBOAT_TEST_PROBED_FOLDER";

/// A small file system in memory; unmounted when dropped.
struct Mounted {
    path: PathBuf,
    _scratch: Scratch,
}

impl Mounted {
    fn new(options: &str) -> Self {
        let scratch = Scratch::new("mount").unwrap();
        let path = scratch.path().join("disk");
        fs::create_dir(&path).unwrap();
        let output = as_root(&["mount", "-t", "tmpfs", "-o", options, "tmpfs"], &path);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self { path, _scratch: scratch }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        as_root(&["umount", "--lazy"], &self.path);
    }
}

fn as_root(command: &[&str], path: &Path) -> Output {
    let sudo: &[&str] = if is_root() { &[] } else { &["sudo", "-n"] };
    let mut words = sudo.iter().chain(command);
    let program = words.next().unwrap();
    Command::new(program).args(words).arg(path).output().unwrap()
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

async fn open(path: &Path) -> Place {
    let location = Location::parse(path.to_str().unwrap()).unwrap();
    Place::open(&location, &Access::none()).await.unwrap()
}

#[tokio::test]
async fn a_full_disk_is_said_so_and_what_was_there_stays() {
    let disk = Mounted::new("size=2m,mode=0777");
    let place = open(&disk.path).await;
    place.put("seal.json", bytes(1000, 1)).await.unwrap();

    let mut begun = place.upload("a.vol").await.unwrap();
    let error = loop {
        if let Err(error) = begun.write(bytes(1 << 20, 2)).await {
            break error;
        }
    };
    assert!(matches!(error, StorageError::Full { .. }), "{error}");
    assert!(error.to_string().contains("no space left; free some space"), "{error}");
    begun.abort().await.unwrap();

    let error = place.put("seal.json", bytes(3 << 20, 2)).await.unwrap_err();
    assert!(matches!(error, StorageError::Full { .. }), "{error}");
    assert_eq!(place.read_whole("seal.json", 1000).await.unwrap(), bytes(1000, 1));
    assert_eq!(place.list().await.unwrap().len(), 1);
    assert_eq!(place.delete_partials().await.unwrap(), 0);
    // The space came back.
    place.put("b", bytes(1 << 20, 2)).await.unwrap();
}

#[tokio::test]
async fn a_read_only_file_system_is_said_so() {
    let disk = Mounted::new("ro,size=1m,mode=0777");
    let place = open(&disk.path).await;
    assert_eq!(place.list().await.unwrap(), []);
    let error = place.put("a", bytes(1, 1)).await.unwrap_err();
    assert!(matches!(error, StorageError::ReadOnly { .. }), "{error}");
    let error = place.upload("deep/a").await.err().unwrap();
    assert!(matches!(error, StorageError::ReadOnly { .. }), "{error}");
}

#[tokio::test]
async fn files_and_folders_are_for_their_owner_only() {
    let opened = places::directory().await;
    opened.place.put("volumes/000001.vol", bytes(10, 1)).await.unwrap();
    let folder = opened.folder.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join("volumes")), 0o700);
    assert_eq!(mode(&folder.join("volumes/000001.vol")), 0o600);
}

#[tokio::test]
async fn a_link_in_the_way_is_not_followed() {
    let opened = places::directory().await;
    opened.place.put("a", bytes(1, 1)).await.unwrap();
    let folder = opened.folder.unwrap();
    let victim = folder.join("victim");
    fs::write(&victim, "precious").unwrap();
    for upload in 0..1000 {
        let name = format!("b.{}-{upload}.partial", std::process::id());
        std::os::unix::fs::symlink(&victim, folder.join(name)).unwrap();
    }
    std::os::unix::fs::symlink(&victim, folder.join("c")).unwrap();
    opened.place.put("b", bytes(1, 1)).await.unwrap();
    opened.place.put("c", bytes(1, 1)).await.unwrap();
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
}

#[tokio::test]
async fn two_writers_of_one_name_do_not_disturb_each_other() {
    let opened = places::directory().await;
    let mut first = opened.place.upload("a").await.unwrap();
    let mut second = opened.place.upload("a").await.unwrap();
    first.write(bytes(10, 1)).await.unwrap();
    second.write(bytes(20, 2)).await.unwrap();
    assert_eq!(opened.place.delete_partials().await.unwrap(), 0, "both are being written");
    first.finish().await.unwrap();
    assert_eq!(opened.place.read_whole("a", 100).await.unwrap(), bytes(10, 1));
    second.finish().await.unwrap();
    assert_eq!(opened.place.read_whole("a", 100).await.unwrap(), bytes(20, 2));
}

#[test]
fn a_folder_of_another_account_is_denied() {
    let scratch = Scratch::new("denied").unwrap();
    let folder = scratch.path().join("closed");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    // The other account must be able to reach the program.
    let program = scratch.path().join("probe");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
        command
    } else {
        Command::new(&program)
    };
    let output = command
        .args(["--exact", "directory_faults::probe_of_another_account", "--nocapture"])
        .env(PROBED_FOLDER, &folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("denied as it should be"), "{said}");
}

/// Does nothing in an ordinary run; see the test above.
#[tokio::test]
async fn probe_of_another_account() {
    let Some(folder) = std::env::var_os(PROBED_FOLDER) else { return };
    let place = open(Path::new(&folder)).await;
    assert_eq!(place.list().await.unwrap(), []);
    let error = place.put("a", bytes(1, 1)).await.unwrap_err();
    assert!(matches!(error, StorageError::Denied { .. }), "{error}");
    assert!(error.to_string().contains("permission denied; check owner and mode"), "{error}");
    println!("denied as it should be");
}
