//! The verification report of an import: signed, and outspoken.

use std::fs;
use std::process::Command;

use lifeboat_testing::Homeserver;
use lifeboat_testing::http::Request;
use lifeboat_testing::world::say_on_stderr;
use serde_json::Value;

use crate::port::Port;

/// Checks the signature of a report: file, server, key id, public key.
const CHECK_SIGNATURE: &str = "
import json, sys
from signedjson.key import decode_verify_key_bytes
from signedjson.sign import verify_signed_json
from unpaddedbase64 import decode_base64
path, server, key_id, key = sys.argv[1:]
key = decode_verify_key_bytes(key_id, decode_base64(key))
verify_signed_json(json.load(open(path))['report'], server, key)
";

/// A check of the report in an outcome.
pub(crate) fn check<'a>(outcome: &'a Value, name: &str) -> &'a Value {
    let checks = outcome["report"]["checks"].as_array().unwrap_or_else(|| panic!("{outcome}"));
    let found = checks.iter().find(|found| found["name"] == name);
    found.unwrap_or_else(|| panic!("no check of {name}: {outcome}"))
}

/// The report is valid, and nothing was left to be known or unchecked but by `others`.
pub(crate) fn demand(outcome: &Value, others: &[(&str, &str)]) {
    let report = &outcome["report"];
    assert_eq!(report["valid"], true, "{report:#}");
    for check in report["checks"].as_array().unwrap() {
        let name = check["name"].as_str().unwrap();
        let other = others.iter().find(|(other, _)| *other == name);
        let expected = other.map_or("ok", |(_, result)| *result);
        assert_eq!(check["result"], expected, "{report:#}");
    }
}

/// The report in a file that `--report` wrote is signed with the key that the server publishes, and
/// signs nothing else.
pub(crate) fn demand_signature(port: &Port, server: &Homeserver, name: &str) {
    let answer = Request::get(server.port(), "/_matrix/key/v2/server").send().unwrap();
    let published: Value = serde_json::from_slice(&answer.body).unwrap();
    let keys = published["verify_keys"].as_object().unwrap();
    let (key_id, key) = keys.iter().next().unwrap();
    let wanted = ["tink", "zstandard", "signedjson"];
    let python = port.world.tools().python("strangers", &wanted, &say_on_stderr).unwrap();
    let path = port.world.directory().join(name);
    let check = || {
        let mut command = Command::new(&python);
        command.args(["-c", CHECK_SIGNATURE]).arg(&path);
        command.args([server.server_name(), key_id, key["key"].as_str().unwrap()]);
        command.output().unwrap()
    };
    let good = check();
    assert!(good.status.success(), "{}", String::from_utf8_lossy(&good.stderr));
    let json = fs::read_to_string(&path).unwrap();
    let text = fs::read_to_string(path.with_extension("json.txt")).unwrap();
    assert!(text.contains(&format!("signed    by {} with {key_id}", server.server_name())));
    fs::write(&path, json.replacen("\"valid\": true", "\"valid\": false", 1)).unwrap();
    assert!(!check().status.success());
}
