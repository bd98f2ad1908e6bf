//! Strangers read our packages: programs that share no code with us, from PyPI and Debian alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use lifeboat_testing::world::say_on_stderr;

use crate::harbour::harbour;
use crate::program::{DONE, GAPS, lifeboat};

/// A Python with what the readers need and nothing of Synapse's.
static PYTHON: LazyLock<PathBuf> = LazyLock::new(|| {
    let wanted = ["tink", "zstandard", "signedjson"];
    harbour().world.tools().python("strangers", &wanted, &say_on_stderr).unwrap()
});

const READER: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../lifeboat-package/tests/read_package.py");

/// Checks the signature of a manifest: file, server, key id, public key.
const CHECK_SIGNATURE: &str = "
import json, sys
from signedjson.key import decode_verify_key_bytes
from signedjson.sign import verify_signed_json
from unpaddedbase64 import decode_base64
path, server, key_id, key = sys.argv[1:]
key = decode_verify_key_bytes(key_id, decode_base64(key))
verify_signed_json(json.load(open(path)), server, key)
";

fn read(package: &Path) -> Output {
    let identity = &harbour().identity;
    Command::new(&*PYTHON).arg(READER).arg(package).arg(identity).output().unwrap()
}

#[test]
fn the_reader_is_short_enough_to_be_read() {
    assert!(fs::read_to_string(READER).unwrap().lines().count() <= 150);
}

#[test]
fn a_stranger_opens_checks_and_lists_a_package() {
    let output = read(&harbour().package);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said} {}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains('!') && said.contains('$'), "rooms and events are listed: {said}");
}

#[test]
fn a_stranger_sees_one_flipped_bit() {
    let mut bytes = fs::read(&harbour().package).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    let damaged = harbour().world.directory().join("flipped.lifeboat");
    fs::write(&damaged, bytes).unwrap();
    assert!(!read(&damaged).status.success());
}

#[test]
fn signedjson_believes_the_manifest_and_no_changed_one() {
    let harbour = harbour();
    let folder = harbour.world.directory().join("unpacked");
    let words = ["unpack".into(), harbour.package.clone().into_os_string(), "-i".into()];
    let more = [harbour.identity.clone().into_os_string(), "-d".into(), folder.clone().into()];
    let said = lifeboat(words.into_iter().chain(more));
    assert!([DONE, GAPS].contains(&said.exit), "{said:?}");
    let path = folder.join("manifest.json");
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let server = harbour.world.server.server_name();
    let keys = manifest["signatures"][server].as_object().unwrap();
    let key_id = keys.keys().next().unwrap().clone();
    let check = |path: &Path| {
        let mut command = Command::new(&*PYTHON);
        command.arg("-c").arg(CHECK_SIGNATURE).arg(path);
        command.args([server, key_id.as_str(), harbour.signer.as_str()]);
        command.output().unwrap()
    };
    let good = check(&path);
    assert!(good.status.success(), "{}", String::from_utf8_lossy(&good.stderr));
    let mut changed = manifest;
    changed["metadata"]["export_date"] = "2000-01-01T00:00:00Z".into();
    let other = folder.join("changed.json");
    fs::write(&other, changed.to_string()).unwrap();
    assert!(!check(&other).status.success());
}
