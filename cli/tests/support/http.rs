//! As much of HTTP/1.1 as the SDK speaks to the servers of these tests, on a loopback port of its own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

pub struct Request {
    pub method: String,
    /// Without the leading slash.
    pub path: String,
    pub query: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Request {
    /// A parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(found, _)| *found == name).map(|(_, value)| unescape(value))
    }
}

/// Status, headers (each with its line end) and body.
pub type Answer = (u16, String, Vec<u8>);

/// Serves until the process ends: nothing of it outlives the test binary. Returns the endpoint.
pub fn serve(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            thread::spawn(move || converse(stream, &*answer));
        }
    });
    endpoint
}

/// What AWS says where it refuses.
pub fn error(status: u16, code: &str) -> Answer {
    let xml = format!("<Error><Code>{code}</Code><Message>{code} it is</Message></Error>");
    (status, "content-type: application/xml\r\n".to_owned(), xml.into_bytes())
}

fn converse(stream: TcpStream, answer: &impl Fn(&Request) -> Answer) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream) {
        let (status, headers, body) = answer(&request);
        let head = format!(
            "HTTP/1.1 {status} X\r\ndate: Mon, 23 Nov 2026 12:00:00 GMT\r\ncontent-length: {}\r\n{headers}\r\n",
            body.len()
        );
        let sent =
            stream.get_mut().write_all(head.as_bytes()).and_then(|()| stream.get_mut().write_all(&body));
        if sent.is_err() {
            return;
        }
    }
}

fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    if stream.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let mut body = Vec::new();
    if let Some(length) = headers.get("content-length") {
        body = vec![0; length.parse().ok()?];
        if headers.contains_key("expect") {
            stream.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
        }
        stream.read_exact(&mut body).ok()?;
    }
    if headers.get("content-encoding").is_some_and(|encoding| encoding.contains("aws-chunked")) {
        body = unchunk(&body)?;
    }
    let path = unescape(path.trim_start_matches('/'));
    Some(Request { method, path, query: query.to_owned(), headers, body })
}

/// `%3A` is a colon.
fn unescape(text: &str) -> String {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at(2);
        bytes.push(u8::from_str_radix(digits, 16).expect("two digits"));
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).expect("UTF-8")
}

/// AWS's own chunks: a size in hexadecimal, perhaps a signature, the bytes; trailers after the last.
fn unchunk(body: &[u8]) -> Option<Vec<u8>> {
    let (mut rest, mut bytes) = (body, Vec::new());
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?.split(';').next()?.trim().to_owned();
        let size = usize::from_str_radix(&size, 16).ok()?;
        if size == 0 {
            return Some(bytes);
        }
        bytes.extend_from_slice(rest.get(end + 2..end + 2 + size)?);
        rest = rest.get(end + 4 + size..)?;
    }
}
