//! A go-between of a store and its client that counts what the store sends.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use lifeboat_testing::port::Port;

/// Bytes that are passed on at once.
const PIECE: usize = 64 << 10;

/// Stands before a store until the process ends.
pub(crate) struct Counted {
    port: Port,
    sent: Arc<AtomicU64>,
}

impl Counted {
    /// Before the store at a port.
    pub(crate) fn before(store: u16) -> Self {
        let port = Port::claim().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.number())).unwrap();
        let sent = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&sent);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let store = TcpStream::connect((Ipv4Addr::LOCALHOST, store)).unwrap();
                let (asking, asked) = (client.try_clone().unwrap(), store.try_clone().unwrap());
                thread::spawn(move || pass_on(asking, asked, None));
                let counter = Arc::clone(&counter);
                thread::spawn(move || pass_on(store, client, Some(&counter)));
            }
        });
        Self { port, sent }
    }

    /// The variables with which a client finds the store through this.
    pub(crate) fn variables(&self, of_store: Vec<(String, String)>) -> Vec<(String, String)> {
        let here = format!("http://127.0.0.1:{}", self.port.number());
        let place = |(name, value): (String, String)| {
            let value = if name == "AWS_ENDPOINT_URL_S3" { here.clone() } else { value };
            (name, value)
        };
        of_store.into_iter().map(place).collect()
    }

    /// Bytes that the store has sent since this was asked last.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.swap(0, Ordering::Relaxed)
    }
}

/// Passes on until one side ends; a connection that breaks is the client's to notice.
fn pass_on(mut from: TcpStream, mut to: TcpStream, counter: Option<&AtomicU64>) {
    let mut piece = vec![0; PIECE];
    while let Ok(length) = from.read(&mut piece) {
        if length == 0 || to.write_all(&piece[..length]).is_err() {
            break;
        }
        if let Some(counter) = counter {
            counter.fetch_add(length as u64, Ordering::Relaxed);
        }
    }
    drop(to.shutdown(Shutdown::Write));
}
