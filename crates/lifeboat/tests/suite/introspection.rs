//! Stands for MAS where Synapse asks it: whose token is this? The answer is in MAS's database, so
//! whoever has only one half of a suite is found out.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use lifeboat_testing::Cluster;
use lifeboat_testing::Role;
use lifeboat_testing::port::Port;

/// What Synapse and MAS share, as `mas.yaml` has it.
pub(crate) const SECRET: &str = "shared";
/// Its size is that of a token and two words.
const BODY_BYTES: u64 = 16 << 10;

/// A server that answers Synapse from MAS's database.
pub(crate) struct Introspection {
    port: Port,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The way to the database.
struct Rows {
    psql: PathBuf,
    url: String,
}

impl Introspection {
    /// Starts it; the database need not be there before somebody asks.
    pub(crate) fn start(cluster: &Cluster, database: &str, role: &Role) -> Self {
        let port = Port::claim().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.number())).unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&is_over);
        let rows = Rows { psql: cluster.programs().join("psql"), url: cluster.url(database, role) };
        let thread = std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                // Who hangs up before the answer does not want it.
                rows.answer(stream).ok();
            }
        });
        Self { port, is_over, thread: Some(thread) }
    }

    /// Where it answers.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port.number())
    }
}

impl Drop for Introspection {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port.number())));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Rows {
    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
                break;
            }
            head.push(line.trim().to_ascii_lowercase());
        }
        let value = |name: &str| head.iter().find_map(|line| line.strip_prefix(name));
        let length = value("content-length: ").and_then(|n| n.parse().ok()).unwrap_or(0);
        let mut body = String::new();
        reader.take(BODY_BYTES.min(length)).read_to_string(&mut body)?;
        let is_asked = head.first().is_some_and(|line| line.starts_with("post /oauth2/introspect"));
        let is_known = value("authorization: bearer ") == Some(SECRET);
        let (status, said) = match (is_asked, is_known) {
            (true, true) => ("200 OK", self.whose(&body)),
            (true, false) => ("401 Unauthorized", "{}".to_owned()),
            (false, _) => ("404 Not Found", "{}".to_owned()),
        };
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{said}",
            said.len()
        )
    }

    /// What MAS says of a token.
    fn whose(&self, body: &str) -> String {
        let mut fields = body.split('&');
        let token = fields.find_map(|field| field.strip_prefix("token=")).unwrap_or_default();
        if !token.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-".contains(letter)) {
            return r#"{"active": false}"#.to_owned();
        }
        let query = format!(
            "SELECT json_build_object('active', true, 'username', u.username, 'sub', u.user_id,
                                      'scope', array_to_string(s.scope_list, ' '))
             FROM oauth2_access_tokens t JOIN oauth2_sessions s USING (oauth2_session_id)
                  JOIN users u USING (user_id)
             WHERE t.access_token = '{token}' AND t.revoked_at IS NULL AND s.finished_at IS NULL
               AND u.locked_at IS NULL AND u.deactivated_at IS NULL"
        );
        let output = Command::new(&self.psql)
            .args(["--no-psqlrc", "-At", "-v", "ON_ERROR_STOP=1", "-c", &query])
            .arg(&self.url)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        // What is no answer is an error on Synapse's side, as it should be.
        match (output.status.success(), said.trim()) {
            (false, _) => String::new(),
            (true, "") => r#"{"active": false}"#.to_owned(),
            (true, found) => found.to_owned(),
        }
    }
}
