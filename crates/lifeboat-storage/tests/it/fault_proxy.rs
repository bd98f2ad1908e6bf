//! Stands between a client and a store and breaks what it is told to.
//!
//! Each connection carries one request (the proxy adds `Connection: close`), so requests can be
//! counted without speaking HTTP any further than its head.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use lifeboat_testing::port::Port;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Bytes of a request's head.
const HEAD_BYTES: usize = 64 << 10;

/// What happens to a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// It is answered with this status and never reaches the store.
    Answer(u16),
    /// The connection is cut when this many bytes of it came through.
    CutRequest(usize),
    /// It reaches the store; the connection is cut when this many bytes of the answer came through.
    CutAnswer(usize),
    /// Nothing is answered, and the connection stays.
    Silence,
}

/// Which requests a fault meets: those with this method and this text in the first line, from the
/// `first`-th on (counted from 1), so many times.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) method: &'static str,
    pub(crate) contains: &'static str,
    pub(crate) first: usize,
    pub(crate) times: usize,
    pub(crate) fault: Fault,
}

/// A running proxy; it ends when it is dropped.
pub(crate) struct FaultProxy {
    port: Port,
    seen: Arc<Mutex<Seen>>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    heads: Vec<String>,
    matched: Vec<usize>,
}

impl FaultProxy {
    pub(crate) async fn start(upstream: u16, rules: &[Rule]) -> Self {
        let port = Port::claim().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.number())).await.unwrap();
        let seen = Arc::new(Mutex::new(Seen { heads: Vec::new(), matched: vec![0; rules.len()] }));
        let (ours, rules) = (Arc::clone(&seen), rules.to_vec());
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(serve(client, upstream, rules.clone(), Arc::clone(&ours)));
            }
        });
        Self { port, seen, serving }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port.number()
    }

    /// The heads of the requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.seen.lock().unwrap().heads.clone()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A broken connection is what this is about: errors end it, no more.
async fn serve(mut client: TcpStream, upstream: u16, rules: Vec<Rule>, seen: Arc<Mutex<Seen>>) {
    let Some((head, early)) = read_head(&mut client).await else { return };
    let fault = seen.lock().unwrap().note(&head, &rules);
    match fault {
        Some(Fault::Silence) => std::future::pending().await,
        Some(Fault::Answer(status)) => answer(client, &head, early.len(), status).await,
        other => drop(pass(client, upstream, (&head, &early), other).await),
    }
}

impl Seen {
    fn note(&mut self, head: &str, rules: &[Rule]) -> Option<Fault> {
        self.heads.push(head.to_owned());
        let line = head.lines().next().unwrap_or_default();
        let mut fault = None;
        for (rule, matched) in rules.iter().zip(&mut self.matched) {
            if line.starts_with(rule.method) && line.contains(rule.contains) {
                *matched += 1;
                if *matched >= rule.first && *matched - rule.first < rule.times {
                    fault = fault.or(Some(rule.fault));
                }
            }
        }
        fault
    }
}

/// The head of the request, and the bytes that came with it.
async fn read_head(client: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let early = bytes.split_off(end + 4);
            return Some((String::from_utf8(bytes).ok()?, early));
        }
        if bytes.len() > HEAD_BYTES || client.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// Takes the whole request, so that the client is sure to see the answer, and not only a closed
/// door.
async fn answer(mut client: TcpStream, head: &str, early: usize, status: u16) {
    let length: usize = head
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()
        })
        .unwrap_or(0);
    let mut rest = (&mut client).take((length - early) as u64);
    drop(tokio::io::copy(&mut rest, &mut tokio::io::sink()).await);
    let body = "<Error><Code>InternalError</Code><Message>a planned fault</Message></Error>";
    let answer = format!(
        "HTTP/1.1 {status} Fault\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    drop(client.write_all(answer.as_bytes()).await);
}

async fn pass(
    client: TcpStream,
    upstream: u16,
    (head, early): (&str, &[u8]),
    fault: Option<Fault>,
) -> std::io::Result<()> {
    let store = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream)).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_store, mut to_store) = store.into_split();
    let (line, rest) = head.split_once("\r\n").unwrap_or((head, ""));
    to_store.write_all(format!("{line}\r\nConnection: close\r\n{rest}").as_bytes()).await?;
    let mut up = usize::MAX;
    let mut down = usize::MAX;
    match fault {
        Some(Fault::CutRequest(bytes)) => up = bytes,
        Some(Fault::CutAnswer(bytes)) => down = bytes,
        _ => {}
    }
    let early = &early[..early.len().min(up)];
    to_store.write_all(early).await?;
    let mut going_up = (&mut from_client).take((up - early.len()) as u64);
    // The answer ends the connection; so does a request that reached its cut.
    tokio::select! {
        () = async {
            drop(tokio::io::copy(&mut going_up, &mut to_store).await);
            if up == usize::MAX { std::future::pending().await }
        } => {}
        () = async {
            // An answer is cut when there is one: the store has then done what it was asked.
            drop(from_store.peek(&mut [0]).await);
            drop(tokio::io::copy(&mut from_store.take(down as u64), &mut to_client).await);
        } => {}
    }
    Ok(())
}
