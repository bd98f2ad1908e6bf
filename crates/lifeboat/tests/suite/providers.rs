//! Media that storage providers hold: a bucket as `synapse_s3_storage_provider` fills it, and a
//! second folder.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use lifeboat_storage::{Access, Location, Place};
use serde_json::Value;

use crate::bucket::STORE;
use crate::fault_proxy::FaultProxy;
use crate::harbour::{Suite, suite, world};
use crate::left_out::copy;
use crate::program::{Said, program};

/// Before every name in the bucket; the provider puts nothing after it.
const PREFIX: &str = "of/this";

/// An installation with a media store of its own, and providers.
struct Elsewhere {
    suite: Suite,
    media: PathBuf,
    bucket: String,
    runtime: tokio::runtime::Runtime,
}

impl Elsewhere {
    fn new(name: &str) -> Self {
        let suite = suite(name);
        let media = suite.folder.join("media");
        copy(&world().server.media_store(), &media);
        let text = fs::read_to_string(&suite.yaml).unwrap();
        let own = format!("  - kind: synapse\n    media_store: {}\n", media.display());
        let text = text.replace("  - kind: synapse\n", &own);
        let more = suite.folder.join("providers.yaml");
        let text = text.replacen("    config: [", &format!("    config: [{}, ", more.display()), 1);
        fs::write(&suite.yaml, text).unwrap();
        let bucket = format!("media-{name}");
        STORE.make_bucket(&bucket).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        Self { suite, media, bucket, runtime }
    }

    /// Names the bucket as provider, with these keys.
    fn in_bucket(&self, port: u16, secret: &str) {
        let variables = STORE.writer();
        let of = |name: &str| {
            variables.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).unwrap()
        };
        let text = format!(
            "media_storage_providers:\n  - module: s3_storage_provider.S3StorageProviderBackend\n\
             \x20   store_local: true\n    store_remote: true\n    config:\n\
             \x20     bucket: {}\n      prefix: {PREFIX}\n      region_name: us-east-1\n\
             \x20     endpoint_url: http://127.0.0.1:{port}\n\
             \x20     access_key_id: {}\n      secret_access_key: {secret}\n",
            self.bucket,
            of("AWS_ACCESS_KEY_ID"),
        );
        fs::write(self.suite.folder.join("providers.yaml"), text).unwrap();
    }

    /// Takes the keys out of the configuration again.
    fn without_keys(&self) {
        let file = self.suite.folder.join("providers.yaml");
        let text = fs::read_to_string(&file).unwrap();
        let kept = text.lines().filter(|line| !line.contains("access_key"));
        fs::write(&file, kept.collect::<Vec<_>>().join("\n")).unwrap();
    }

    /// Puts an object into the bucket, under the name that the provider gives it.
    fn put(&self, path: &str, bytes: Vec<u8>) {
        let location = Location::parse(&format!("s3://{}/of", self.bucket)).unwrap();
        let put = async {
            let place = Place::open(&location, &Access::new(STORE.writer())).await.unwrap();
            place.put(&format!("this{path}"), bytes.into()).await.unwrap();
        };
        self.runtime.block_on(put);
    }

    /// Moves the files below a folder of the media store into the bucket.
    fn move_into_bucket(&self, folder: &str) -> Vec<(String, Vec<u8>)> {
        let files = files_below(&self.media, &self.media.join(folder));
        for (path, bytes) in &files {
            self.put(path, bytes.clone());
        }
        fs::remove_dir_all(self.media.join(folder)).unwrap();
        files
    }

    fn back_up(&self, exit: i32) -> Value {
        self.suite.lifeboat(&["backup", "run", "--component", "synapse"]).result(exit)
    }

    /// Puts the media of the newest backup below a folder; gives the media store there.
    fn restore(&self, name: &str) -> PathBuf {
        let root = self.suite.folder.join(name);
        let words = ["restore", "run", "--component", "synapse", "--no-start", "--only"];
        let more = ["files/synapse", "--beside", "_unused", "--root", root.to_str().unwrap()];
        let said = self.suite.lifeboat_opened(&[words.as_slice(), &more].concat());
        assert_eq!(said.exit, 0, "{said:?}");
        root.join(self.media.strip_prefix("/").unwrap())
    }

    fn doctor(&self) -> Said {
        self.suite.lifeboat(&["doctor"])
    }
}

/// Files below a folder: path from the root, and content.
fn files_below(root: &Path, folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(root, &path));
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            found.push((name, fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

/// Bytes that do not compress.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = vec![0; count];
    for eight in bytes.chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        eight.copy_from_slice(&state.to_le_bytes()[..eight.len()]);
    }
    bytes
}

fn component(outcome: &Value) -> &Value {
    let all = outcome["components"].as_array().unwrap();
    all.iter().find(|one| one["name"] == "synapse").unwrap()
}

#[test]
fn media_that_only_a_bucket_has_are_kept_once_and_come_back_into_the_media_store() {
    let at = Elsewhere::new("moved");
    let proxy = at.runtime.block_on(FaultProxy::start(STORE.port(), &[]));
    at.in_bucket(proxy.port(), "writer-of-tests-only");
    fs::set_permissions(&at.media, fs::Permissions::from_mode(0o750)).unwrap();
    let before = files_below(&at.media, &at.media);
    let moved = at.move_into_bucket("local_content");
    assert!(moved.len() > 3, "{} files", moved.len());
    // One is in both: the disk's counts.
    let (both, bytes) = &moved[0];
    fs::create_dir_all(at.media.join(both).parent().unwrap()).unwrap();
    fs::write(at.media.join(both), bytes).unwrap();
    at.put(both, b"not what the disk has".to_vec());
    // What a backup reads in pieces, what another server's port is in, and what is no media.
    at.put("local_content/zz/zz/large", noise((33 << 20) + 5));
    at.put("foreign/of/others", noise(10));
    let with_port = format!("/{}/{PREFIX}remote_content/far.test:8448/aa/bb/c", at.bucket);
    STORE.ask("PUT", &with_port, ("{}", "from a port")).unwrap();
    let said = at.doctor();
    assert!(said.stdout.contains("can be listed and read"), "{said:?}");

    let first = at.back_up(0);
    let files = component(&first)["files"].as_u64().unwrap();
    let reads = |proxy: &FaultProxy| {
        let is_read = |head: &&String| head.starts_with("GET") && !head.contains("list-type");
        proxy.heads().iter().filter(is_read).count()
    };
    let after_first = reads(&proxy);
    assert!(after_first >= moved.len(), "{after_first} reads");
    let second = at.back_up(0);
    assert_eq!(reads(&proxy), after_first, "what is known is not read again");
    assert_eq!(component(&second)["files"], files, "{second}");
    assert!(component(&second)["new_bytes"].as_u64().unwrap() < 100_000, "{second}");
    at.suite.lifeboat_opened(&["backup", "verify", "--all"]).result(0);

    // Consoles show a folder by an object without content whose name ends in a slash.
    for folder in ["", "aa/"] {
        let marker = format!("/{}/{PREFIX}local_content/{folder}", at.bucket);
        STORE.ask("PUT", &marker, ("{}", "")).unwrap();
    }
    assert_eq!(component(&at.back_up(0))["files"], files);
    let said = at.doctor();
    assert!(said.stdout.contains("can be listed and read"), "{said:?}");

    let restored = at.restore("back");
    let mut expected = before;
    expected.push(("local_content/zz/zz/large".to_owned(), noise((33 << 20) + 5)));
    expected.push(("remote_content/far.test:8448/aa/bb/c".to_owned(), b"from a port".to_vec()));
    expected.sort();
    let back = files_below(&restored, &restored);
    let names = |all: &[(String, Vec<u8>)]| all.iter().map(|f| f.0.clone()).collect::<Vec<_>>();
    assert_eq!(names(&back), names(&expected));
    assert!(back == expected, "each is what it was");
    let (owner, found) = (
        fs::metadata(&at.media).unwrap(),
        fs::metadata(restored.join("local_content/zz/zz/large")).unwrap(),
    );
    assert_eq!(
        (found.mode() & 0o7777, found.uid(), found.gid()),
        (0o640, owner.uid(), owner.gid())
    );
    let folder = fs::metadata(restored.join("local_content/zz")).unwrap();
    assert_eq!((folder.mode() & 0o7777, folder.uid()), (0o750, owner.uid()));
}

#[test]
fn bucket_that_lets_nobody_in_is_a_gap_and_its_files_are_told_as_missing() {
    let at = Elsewhere::new("shut");
    at.in_bucket(STORE.port(), "not-the-secret");
    let moved = at.move_into_bucket("local_content");
    let outcome = at.back_up(3);
    let kinds = &outcome["gaps"]["kinds"];
    assert_eq!(kinds["media-provider-unreadable"], 1, "{outcome}");
    assert_eq!(kinds["media-missing"], moved.len(), "{outcome}");
    let gap = &outcome["gaps"]["first"];
    let gap = gap.as_array().unwrap().iter().find(|g| g["kind"] != "media-missing").unwrap();
    assert!(gap["object"].as_str().unwrap().starts_with("s3://media-shut/of/this ("), "{gap}");
    assert!(!outcome.to_string().contains("not-the-secret"), "{outcome}");
    let said = at.doctor();
    assert!(said.stdout.contains("cannot list the media in s3://media-shut/of/this"), "{said:?}");
    at.suite.lifeboat_opened(&["backup", "verify"]).result(0);
    // Once it opens, everything is there.
    at.in_bucket(STORE.port(), "writer-of-tests-only");
    assert_eq!(at.back_up(0)["gaps"]["total"], 0);
    // Keys may be in the environment, beside others that are the vault's.
    at.without_keys();
    let yaml = at.suite.yaml.to_str().unwrap();
    let run = |variables: Vec<(String, String)>| {
        let mut command = program();
        command.args(["backup", "run", "--component", "synapse", "--json", "-c", yaml]);
        command.env("AWS_ACCESS_KEY_ID", "vault").env("AWS_SECRET_ACCESS_KEY", "vault");
        command.envs(variables).output().unwrap().status.code()
    };
    assert_eq!(run(Vec::new()), Some(3));
    let apart = STORE.writer().into_iter();
    let apart = apart.map(|(name, value)| (format!("LIFEBOAT_MEDIA_{name}"), value)).collect();
    assert_eq!(run(apart), Some(0));
}

#[test]
fn media_of_a_second_folder_are_kept_and_a_module_that_nobody_knows_is_a_gap() {
    let at = Elsewhere::new("second");
    let second = at.suite.folder.join("second");
    let text = format!(
        "media_storage_providers:\n  - module: file_system\n    config: {{directory: {}}}\n",
        second.display()
    );
    let providers = at.suite.folder.join("providers.yaml");
    fs::write(&providers, &text).unwrap();
    let before = files_below(&at.media, &at.media);
    fs::create_dir(&second).unwrap();
    fs::rename(at.media.join("local_content"), second.join("local_content")).unwrap();
    fs::write(second.join("lost+found"), "no media").unwrap();
    at.back_up(0);
    let restored = at.restore("back");
    assert!(files_below(&restored, &restored) == before, "each is what it was");
    fs::write(&providers, format!("{text}  - module: odd.Provider\n    config: {{}}\n")).unwrap();
    let outcome = at.back_up(3);
    let gap = &outcome["gaps"]["first"][0];
    assert_eq!(outcome["gaps"]["total"], 1, "{outcome}");
    assert!(gap["object"].as_str().unwrap().contains("odd.Provider"), "{gap}");
}
