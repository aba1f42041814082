//! As much of S3 as the commands use, on a port of its own: conditional puts, gets, listings in pages. It keeps to the
//! wire form of AWS, so that the SDK's own reading of answers is tested too. What it does not prove: that the bucket
//! policies let these calls through, and what S3 does when two puts of one key are truly under way at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use lifeboat_rules::evidence::sha256;

use super::http::{self, Answer, Request, error};

/// Objects of one page, as AWS has it.
const PAGE: usize = 1_000;
/// When an object was stored, unless a test says otherwise: five seconds before every answer's date.
const STORED_AT: &str = "2026-11-23T11:59:55.000Z";

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Object>,
    puts: Vec<String>,
    /// What each put that was answered with a version has stored, by its path and that version.
    versions: BTreeMap<(String, String), Vec<u8>>,
    versioned: bool,
    /// Status and code of every answer, once set.
    refusal: Option<(u16, &'static str)>,
    trouble: Option<Trouble>,
    /// Stored together with the first put of a path that contains the first text: its path and its body.
    companion: Option<(String, String, Vec<u8>)>,
    /// How large listings say that each object is whose key begins so, once set.
    listed_as: Option<(&'static str, u64)>,
    /// The prefixes of all listings, page by page.
    listings: Vec<String>,
    /// Regions that requests were signed for.
    regions: Vec<String>,
}

struct Object {
    body: Vec<u8>,
    stored_at: String,
    hidden: bool,
}

/// What goes wrong with the calls on one object.
#[derive(Clone, Copy)]
enum Kind {
    PutRefused,
    /// Each put takes effect, and its answer is an error.
    AnswerLost,
    GetRefused,
}

struct Trouble {
    kind: Kind,
    /// A part of the path.
    at: String,
    status: u16,
    /// How many calls are still to suffer.
    times: usize,
}

/// A running S3.
pub struct S3 {
    pub endpoint: String,
    state: Arc<Mutex<State>>,
}

impl S3 {
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State { versioned: true, ..State::default() }));
        let shared = Arc::clone(&state);
        let endpoint =
            http::serve(move |request| answer(request, &mut shared.lock().expect("no panic in the server")));
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

    /// From now on no put of a path that contains `at` takes effect.
    pub fn refuse_puts_of(&self, at: &str, status: u16) {
        self.trouble(Kind::PutRefused, at, status, usize::MAX);
    }

    /// The next put of a path that contains `at` takes effect, and its answer is an error.
    pub fn lose_answer_of(&self, at: &str) {
        self.trouble(Kind::AnswerLost, at, 500, 1);
    }

    /// From now on no object whose path contains `at` can be read.
    pub fn refuse_gets_of(&self, at: &str, status: u16) {
        self.trouble(Kind::GetRefused, at, status, usize::MAX);
    }

    /// Whether the trouble that was set has been met as often as it was to be.
    pub fn has_suffered(&self) -> bool {
        self.lock().trouble.as_ref().is_some_and(|trouble| trouble.times == 0)
    }

    pub fn mend(&self) {
        self.lock().trouble = None;
    }

    fn trouble(&self, kind: Kind, at: &str, status: u16, times: usize) {
        self.lock().trouble = Some(Trouble { kind, at: at.to_owned(), status, times });
    }

    /// `<bucket>/<key>` of all objects.
    pub fn keys(&self) -> Vec<String> {
        self.lock().objects.keys().cloned().collect()
    }

    pub fn object(&self, path: &str) -> Vec<u8> {
        let state = self.lock();
        state.objects.get(path).unwrap_or_else(|| panic!("no object {path}")).body.clone()
    }

    pub fn put(&self, path: &str, body: &[u8]) {
        self.put_at(path, body, STORED_AT);
    }

    pub fn put_at(&self, path: &str, body: &[u8], stored_at: &str) {
        let object = Object { body: body.to_vec(), stored_at: stored_at.to_owned(), hidden: false };
        self.lock().objects.insert(path.to_owned(), object);
    }

    /// Puts what no listing shows: somebody else's object of the moment between the command's look and its act.
    pub fn put_unlisted(&self, path: &str, body: &[u8]) {
        self.put(path, body);
        self.lock().objects.get_mut(path).expect("just put").hidden = true;
    }

    /// From now on listings say of every object whose key begins with `prefix` that it is so large.
    pub fn lists_each_as(&self, prefix: &'static str, bytes: u64) {
        self.lock().listed_as = Some((prefix, bytes));
    }

    /// Stores `path` at the moment of the first put of a path that contains `at`: somebody else's object, which a listing
    /// shows from then on.
    pub fn put_together_with(&self, at: &str, path: &str, body: &[u8]) {
        self.lock().companion = Some((at.to_owned(), path.to_owned(), body.to_vec()));
    }

    /// The paths of all puts that stored something, in their order.
    pub fn puts(&self) -> Vec<String> {
        self.lock().puts.clone()
    }

    /// How often what begins with `prefix` was listed.
    pub fn listings_of(&self, prefix: &str) -> usize {
        self.lock().listings.iter().filter(|listed| *listed == prefix).count()
    }

    /// The version that the newest put of `path` was answered with.
    pub fn version(&self, path: &str) -> String {
        self.lock().version(path).unwrap_or_else(|| panic!("no put of {path}"))
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

impl State {
    /// Whether this call suffers `kind` of trouble now, and with which status.
    /// The version that the newest put of `path` was answered with.
    fn version(&self, path: &str) -> Option<String> {
        let number = |version: &str| version.trim_start_matches('v').parse::<usize>().ok();
        let of_path = self.versions.keys().filter(|(at, _)| at == path);
        of_path.max_by_key(|(_, version)| number(version)).map(|(_, version)| version.clone())
    }

    fn suffers(&mut self, kind: Kind, path: &str) -> Option<u16> {
        let trouble = self.trouble.as_mut()?;
        let same = std::mem::discriminant(&trouble.kind) == std::mem::discriminant(&kind);
        if !same || !path.contains(&trouble.at) || trouble.times == 0 {
            return None;
        }
        trouble.times -= 1;
        Some(trouble.status)
    }
}

fn answer(request: &Request, state: &mut State) -> Answer {
    // Credential=<key>/<date>/<Region>/s3/aws4_request
    let region = request.headers.get("authorization").and_then(|value| value.split('/').nth(2));
    state.regions.push(region.unwrap_or("unsigned").to_owned());
    if let Some((status, code)) = state.refusal {
        return error(status, code);
    }
    match request.method.as_str() {
        "PUT" => put(request, state),
        "GET" if request.query.contains("list-type=2") => {
            state.listings.push(request.parameter("prefix").unwrap_or_default());
            list(request, state)
        }
        "GET" => {
            if let Some(status) = state.suffers(Kind::GetRefused, &request.path) {
                return error(status, "Trouble");
            }
            if let Some(version) = request.parameter("versionId") {
                return match state.versions.get(&(request.path.clone(), version)) {
                    Some(body) => (200, format!("etag: {}\r\n", etag(body)), body.clone()),
                    None => error(404, "NoSuchVersion"),
                };
            }
            match state.objects.get(&request.path) {
                Some(Object { body, stored_at, .. }) => {
                    let stored_at: Timestamp = stored_at.parse().expect("a moment");
                    let stored_at = stored_at.strftime("%a, %d %b %Y %H:%M:%S GMT");
                    // What a test has put itself was never answered with one.
                    let version = state.version(&request.path).unwrap_or_else(|| "v1".to_owned());
                    let etag = etag(body);
                    let headers = format!(
                        "etag: {etag}\r\nlast-modified: {stored_at}\r\nx-amz-version-id: {version}\r\n"
                    );
                    (200, headers, body.clone())
                }
                None => error(404, "NoSuchKey"),
            }
        }
        _ => error(405, "MethodNotAllowed"),
    }
}

fn put(request: &Request, state: &mut State) -> Answer {
    if let Some(status) = state.suffers(Kind::PutRefused, &request.path) {
        return error(status, "Trouble");
    }
    if request.headers.contains_key("if-none-match") && state.objects.contains_key(&request.path) {
        return error(412, "PreconditionFailed");
    }
    if let Some(wanted) = request.headers.get("if-match") {
        match state.objects.get(&request.path) {
            None => return error(404, "NoSuchKey"),
            Some(there) if etag(&there.body) != *wanted => return error(412, "PreconditionFailed"),
            Some(_) => {}
        }
    }
    let object = Object { body: request.body.clone(), stored_at: STORED_AT.to_owned(), hidden: false };
    state.objects.insert(request.path.clone(), object);
    state.puts.push(request.path.clone());
    if let Some((_, path, body)) = state.companion.take_if(|(at, ..)| request.path.contains(at.as_str())) {
        state.objects.insert(path, Object { body, stored_at: STORED_AT.to_owned(), hidden: false });
    }
    if let Some(status) = state.suffers(Kind::AnswerLost, &request.path) {
        return error(status, "InternalError");
    }
    let version = if state.versioned { format!("v{}", state.puts.len()) } else { "null".to_owned() };
    state.versions.insert((request.path.clone(), version.clone()), request.body.clone());
    (200, format!("etag: {}\r\nx-amz-version-id: {version}\r\n", etag(&request.body)), Vec::new())
}

/// By the content, as S3's own.
fn etag(body: &[u8]) -> String {
    format!("\"{}\"", sha256(body))
}

fn list(request: &Request, state: &State) -> Answer {
    let parameter = |name: &str| request.parameter(name).unwrap_or_default();
    let bucket = format!("{}/", request.path.trim_end_matches('/'));
    let (prefix, delimiter) = (parameter("prefix"), parameter("delimiter"));
    let after = parameter("start-after").max(parameter("continuation-token"));
    let mut xml = String::new();
    let mut common = BTreeSet::new();
    let (mut count, mut last, mut more) = (0, String::new(), false);
    for (path, object) in state.objects.range(format!("{bucket}{prefix}")..) {
        let Some(key) = path.strip_prefix(&bucket).filter(|key| key.starts_with(&prefix)) else { break };
        if key <= after.as_str() || object.hidden {
            continue;
        }
        if let Some((folder, _)) = key[prefix.len()..].split_once('/').filter(|_| delimiter == "/") {
            common.insert(format!("{prefix}{folder}/"));
            continue;
        }
        if count == PAGE {
            more = true;
            break;
        }
        count += 1;
        last = key.to_owned();
        let listed_as = state.listed_as.filter(|(prefix, _)| key.starts_with(prefix)).map(|(_, bytes)| bytes);
        xml.push_str(&format!(
            "<Contents><Key>{key}</Key><Size>{}</Size><LastModified>{}</LastModified></Contents>",
            listed_as.unwrap_or(object.body.len() as u64),
            object.stored_at
        ));
    }
    for prefix in common {
        xml.push_str(&format!("<CommonPrefixes><Prefix>{prefix}</Prefix></CommonPrefixes>"));
    }
    let next =
        if more { format!("<NextContinuationToken>{last}</NextContinuationToken>") } else { String::new() };
    let xml = format!("<ListBucketResult><IsTruncated>{more}</IsTruncated>{next}{xml}</ListBucketResult>");
    (200, "content-type: application/xml\r\n".to_owned(), xml.into_bytes())
}
