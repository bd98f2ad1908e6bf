//! Answers, as they come over a socket.

use std::net::TcpListener;

use super::*;

/// Answers one request with `answer`; the port, and what was asked.
fn server(answer: &'static str) -> (u16, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = [0; 1024];
        let read = stream.read(&mut asked).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8_lossy(&asked[..read]).into_owned()
    });
    (port, asked)
}

#[test]
fn rooms_are_read_and_the_token_goes_in_the_header() {
    let (port, asked) =
        server("HTTP/1.1 200 OK\r\nContent-Type: x\r\n\r\n{\"joined_rooms\":[\"!a:b\"]}");
    let rooms = BTreeSet::from(["!a:b".to_owned()]);
    assert_eq!(joined_rooms(port, "syt_x").unwrap(), Answer::Rooms(rooms));
    assert!(asked.join().unwrap().contains("\r\nAuthorization: Bearer syt_x\r\n"));
}

#[test]
fn refusals_keep_their_code_and_nonsense_is_an_error() {
    let (port, _) = server("HTTP/1.1 401 No\r\n\r\n{\"errcode\":\"M_UNKNOWN_TOKEN\"}");
    let refused = Answer::Refused(401, "M_UNKNOWN_TOKEN".to_owned());
    assert_eq!(joined_rooms(port, "x").unwrap(), refused);
    let (port, _) = server("220 mail.example.org ESMTP");
    assert!(joined_rooms(port, "x").is_err());
    let (port, _) = server("HTTP/1.1 200 OK\r\n\r\n{\"versions\":[]}");
    assert!(answers(port));
}
