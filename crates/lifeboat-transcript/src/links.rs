//! Links to people, rooms and events in formatted texts, and pictures in them.

use crate::ids::Ids;

/// What comes before an id in a link that clients open themselves.
const MATRIX_TO: &str = "https://matrix.to/#/";

/// The text with links that lead to what the ids lead to now. What is not known stays.
pub fn rewrite(text: &str, ids: &Ids) -> String {
    let text = replace(text, MATRIX_TO, |rest| matrix_to(rest, ids));
    let text = replace(&text, "matrix:", |rest| matrix_uri(rest, ids));
    replace(&text, "mxc://", |rest| {
        let address = format!("mxc://{rest}");
        ids.file(&address, false).and_then(|new| new.strip_prefix("mxc://")).map(str::to_owned)
    })
}

/// Addresses of pictures in a formatted text.
pub fn pictures(text: &str) -> impl Iterator<Item = String> {
    text.match_indices("mxc://").map(|(at, mark)| {
        let rest = text.get(at + mark.len()..).unwrap_or_default();
        format!("mxc://{}", reach(rest))
    })
}

/// Calls `with` for what follows each `mark`, up to where a link ends.
fn replace(text: &str, mark: &str, with: impl Fn(&str) -> Option<String>) -> String {
    let mut parts = text.split(mark);
    let mut written = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let link = reach(part);
        written.push_str(mark);
        written.push_str(with(link).as_deref().unwrap_or(link));
        written.push_str(part.get(link.len()..).unwrap_or_default());
    }
    written
}

/// The part of a text that can belong to a link.
fn reach(text: &str) -> &str {
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | ')' | '\\');
    text.split(ends).next().unwrap_or_default()
}

/// `ID`, or `ROOM/EVENT`, with or without `?via=…`.
fn matrix_to(link: &str, ids: &Ids) -> Option<String> {
    let path = link.split('?').next().unwrap_or_default();
    let mut parts = path.split('/').map(decoded);
    let (first, second) = (parts.next()?, parts.next());
    let target = ids.whole(&first)?;
    let is_room = target.starts_with('!');
    let via = if is_room { format!("?via={}", ids.server()) } else { String::new() };
    match second {
        None => Some(format!("{}{via}", encoded(&target))),
        Some(event) => {
            let event = ids.event(&event)?;
            Some(format!("{}/{}{via}", encoded(&target), encoded(event)))
        }
    }
}

/// `u/…`, `roomid/…`, `roomid/…/e/…`, without the marks that ids begin with.
fn matrix_uri(link: &str, ids: &Ids) -> Option<String> {
    let path = link.split('?').next().unwrap_or_default();
    let parts: Vec<String> = path.split('/').map(decoded).collect();
    let bare = |id: &str| encoded(id.get(1..).unwrap_or_default());
    match parts.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["u", user] => Some(format!("u/{}", bare(&ids.person(&format!("@{user}"))?))),
        ["roomid", room] => {
            let room = bare(ids.room(&format!("!{room}"))?);
            Some(format!("roomid/{room}?via={}", ids.server()))
        }
        ["roomid", room, "e", event] => {
            let room = bare(ids.room(&format!("!{room}"))?);
            let event = bare(ids.event(&format!("${event}"))?);
            Some(format!("roomid/{room}/e/{event}?via={}", ids.server()))
        }
        _ => None,
    }
}

/// Percent-encoding taken away.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An id in a link: what would end it is percent-encoded.
fn encoded(id: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$@:=+".contains(&byte);
    let one = |byte: u8| if keep(byte) { char::from(byte).into() } else { format!("%{byte:02X}") };
    id.bytes().map(one).collect()
}
