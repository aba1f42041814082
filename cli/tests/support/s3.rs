//! As much of S3 as the commands use, on a port of its own: conditional puts, gets, listings. It keeps to the wire
//! form of AWS, so that the SDK's own reading of answers is tested too.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Vec<u8>>,
    puts: Vec<String>,
    versioned: bool,
    /// Status and code of every answer, once set.
    refusal: Option<(u16, &'static str)>,
    /// Regions that requests were signed for.
    regions: Vec<String>,
}

/// A running S3. It ends with the process: nothing of it outlives the test binary.
pub struct S3 {
    pub endpoint: String,
    state: Arc<Mutex<State>>,
}

impl S3 {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(Mutex::new(State { versioned: true, ..State::default() }));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                thread::spawn(move || serve(stream, &state));
            }
        });
        Self { endpoint, state }
    }

    /// What the command needs in its environment to find this S3.
    pub fn environment(&self) -> [(&str, &str); 3] {
        [
            ("AWS_ENDPOINT_URL", self.endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ]
    }

    pub fn unversioned(&self) {
        self.lock().versioned = false;
    }

    /// From now on every call is answered with this.
    pub fn refuse(&self, status: u16, code: &'static str) {
        self.lock().refusal = Some((status, code));
    }

    /// `<bucket>/<key>` of all objects.
    pub fn keys(&self) -> Vec<String> {
        self.lock().objects.keys().cloned().collect()
    }

    pub fn object(&self, path: &str) -> Vec<u8> {
        self.lock().objects.get(path).unwrap_or_else(|| panic!("no object {path}")).clone()
    }

    pub fn put(&self, path: &str, body: &[u8]) {
        self.lock().objects.insert(path.to_owned(), body.to_vec());
    }

    /// The paths of all puts that stored something, in their order.
    pub fn puts(&self) -> Vec<String> {
        self.lock().puts.clone()
    }

    /// The Regions that were called, each once.
    pub fn regions(&self) -> Vec<String> {
        let mut regions = self.lock().regions.clone();
        regions.dedup();
        regions
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no panic in the server")
    }
}

struct Request {
    method: String,
    path: String,
    query: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
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
    let path = path.trim_start_matches('/').to_owned();
    Some(Request { method, path, query: query.to_owned(), headers, body })
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

fn serve(stream: TcpStream, state: &Mutex<State>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream) {
        let (status, headers, body) = answer(&request, &mut state.lock().expect("no panic in the server"));
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

fn answer(request: &Request, state: &mut State) -> (u16, String, Vec<u8>) {
    // Credential=<key>/<date>/<Region>/s3/aws4_request
    let region = request.headers.get("authorization").and_then(|value| value.split('/').nth(2));
    state.regions.push(region.unwrap_or("unsigned").to_owned());
    if let Some((status, code)) = state.refusal {
        return error(status, code);
    }
    match request.method.as_str() {
        "PUT" => {
            if request.headers.contains_key("if-none-match") && state.objects.contains_key(&request.path) {
                return error(412, "PreconditionFailed");
            }
            state.objects.insert(request.path.clone(), request.body.clone());
            state.puts.push(request.path.clone());
            let version = if state.versioned { format!("v{}", state.puts.len()) } else { "null".to_owned() };
            (200, format!("etag: \"x\"\r\nx-amz-version-id: {version}\r\n"), Vec::new())
        }
        "GET" if request.query.contains("list-type=2") => list(request, state),
        "GET" => match state.objects.get(&request.path) {
            Some(body) => (200, "etag: \"x\"\r\nx-amz-version-id: v1\r\n".to_owned(), body.clone()),
            None => error(404, "NoSuchKey"),
        },
        _ => error(405, "MethodNotAllowed"),
    }
}

fn list(request: &Request, state: &State) -> (u16, String, Vec<u8>) {
    let parameter = |name: &str| {
        request
            .query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value.replace("%2F", "/"))
            .unwrap_or_default()
    };
    let bucket = request.path.trim_end_matches('/');
    let (prefix, after) = (parameter("prefix"), parameter("start-after"));
    let mut xml = String::from("<ListBucketResult><IsTruncated>false</IsTruncated>");
    let keys = state.objects.keys().filter_map(|path| path.strip_prefix(bucket)?.strip_prefix('/'));
    for key in keys.filter(|key| key.starts_with(&prefix) && **key > *after) {
        xml.push_str(&format!(
            "<Contents><Key>{key}</Key><Size>1</Size><LastModified>2026-11-23T12:00:00.000Z</LastModified></Contents>"
        ));
    }
    xml.push_str("</ListBucketResult>");
    (200, "content-type: application/xml\r\n".to_owned(), xml.into_bytes())
}

fn error(status: u16, code: &str) -> (u16, String, Vec<u8>) {
    let xml = format!("<Error><Code>{code}</Code><Message>{code} it is</Message></Error>");
    (status, "content-type: application/xml\r\n".to_owned(), xml.into_bytes())
}
