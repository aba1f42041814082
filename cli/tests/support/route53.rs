//! As much of Route 53 as a hand-back and a flip use: one zone, read whole, and batches that are applied whole or not at
//! all, whose deletes match to the letter and whose creates find nothing there. What it does not prove: paging,
//! throttling, the limits of a batch, and that a private zone answers with what it holds.

use std::sync::{Arc, Mutex};

use super::http::{self, Answer, Request};

/// Name, type, time to live, values.
pub type Record = (String, String, String, Vec<String>);

#[derive(Default)]
struct State {
    records: Vec<Record>,
    calls: usize,
    /// Status of every change, once set.
    refuse_changes: Option<u16>,
    refuse_reads: Option<u16>,
    /// The next change takes effect, and its answer is an error.
    lose_answer: bool,
    /// Records with a routing policy.
    weighted: bool,
}

pub struct Route53 {
    endpoint: String,
    state: Arc<Mutex<State>>,
}

impl Route53 {
    pub fn start(records: &[(&str, &str, &str, &[&str])]) -> Self {
        let records = records
            .iter()
            .map(|(name, kind, ttl, values)| {
                let values = values.iter().map(|value| (*value).to_owned()).collect();
                ((*name).to_owned(), (*kind).to_owned(), (*ttl).to_owned(), values)
            })
            .collect();
        let state = Arc::new(Mutex::new(State { records, ..State::default() }));
        let shared = Arc::clone(&state);
        let endpoint =
            http::serve(move |request| answer(request, &mut shared.lock().expect("no panic in the server")));
        Self { endpoint, state }
    }

    pub fn environment(&self) -> [(&str, &str); 1] {
        [("AWS_ENDPOINT_URL_ROUTE_53", self.endpoint.as_str())]
    }

    /// The values of one record; none where there is none.
    pub fn values(&self, name: &str, kind: &str) -> Vec<String> {
        let state = self.lock();
        let found = state.records.iter().find(|record| record.0 == name && record.1 == kind);
        found.map(|record| record.3.clone()).unwrap_or_default()
    }

    pub fn calls(&self) -> usize {
        self.lock().calls
    }

    pub fn refuse_changes(&self, status: Option<u16>) {
        self.lock().refuse_changes = status;
    }

    pub fn refuse_reads(&self, status: Option<u16>) {
        self.lock().refuse_reads = status;
    }

    /// The next batch is applied, and whoever sent it is not told.
    pub fn lose_answer(&self) {
        self.lock().lose_answer = true;
    }

    /// Whether that has happened.
    pub fn has_lost_it(&self) -> bool {
        !self.lock().lose_answer
    }

    /// Somebody edits a record by hand.
    pub fn edit(&self, name: &str, kind: &str, value: &str) {
        let mut state = self.lock();
        let found = state.records.iter_mut().find(|record| record.0 == name && record.1 == kind);
        found.expect("it is there").3 = vec![value.to_owned()];
    }

    pub fn give_records_a_policy(&self) {
        self.lock().weighted = true;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no panic in the server")
    }
}

fn answer(request: &Request, state: &mut State) -> Answer {
    state.calls += 1;
    match request.method.as_str() {
        "GET" => match state.refuse_reads {
            Some(status) => error(status, "AccessDenied"),
            None => list(state),
        },
        "POST" => match state.refuse_changes {
            Some(status) => error(status, "AccessDenied"),
            None => change(&String::from_utf8_lossy(&request.body), state),
        },
        _ => error(405, "MethodNotAllowed"),
    }
}

fn xml(body: String) -> Answer {
    (200, "content-type: application/xml\r\n".to_owned(), body.into_bytes())
}

fn list(state: &State) -> Answer {
    let sets: String = state.records.iter().map(|(name, kind, ttl, values)| {
        let values: String = values
            .iter()
            .map(|value| {
                let value = value.replace('"', "&quot;");
                format!("<ResourceRecord><Value>{value}</Value></ResourceRecord>")
            })
            .collect();
        let policy = if state.weighted { "<SetIdentifier>a</SetIdentifier><Weight>1</Weight>" } else { "" };
        format!(
            "<ResourceRecordSet><Name>{name}.</Name><Type>{kind}</Type>{policy}<TTL>{ttl}</TTL><ResourceRecords>{values}\
             </ResourceRecords></ResourceRecordSet>"
        )
    }).collect();
    xml(format!(
        "<ListResourceRecordSetsResponse><ResourceRecordSets>{sets}</ResourceRecordSets><IsTruncated>false</IsTruncated>\
         <MaxItems>300</MaxItems></ListResourceRecordSetsResponse>"
    ))
}

fn change(body: &str, state: &mut State) -> Answer {
    let mut next = state.records.clone();
    for change in parts(body, "Change") {
        let value = |tag: &str| parts(&change, tag).first().cloned().unwrap_or_default();
        let name = value("Name").trim_end_matches('.').to_owned();
        let values = parts(&change, "Value").iter().map(|value| value.replace("&quot;", "\"")).collect();
        let record: Record = (name, value("Type"), value("TTL"), values);
        let there = next.iter().position(|have| (&have.0, &have.1) == (&record.0, &record.1));
        match (value("Action").as_str(), there) {
            ("DELETE", Some(at)) if next[at] == record => {
                next.remove(at);
            }
            ("CREATE", None) => next.push(record),
            _ => return error(400, "InvalidChangeBatch"),
        }
    }
    state.records = next;
    if std::mem::take(&mut state.lose_answer) {
        return error(500, "InternalFailure");
    }
    xml("<ChangeResourceRecordSetsResponse><ChangeInfo><Id>/change/C1</Id><Status>PENDING</Status>\
         <SubmittedAt>2026-11-23T12:00:00Z</SubmittedAt></ChangeInfo></ChangeResourceRecordSetsResponse>"
        .to_owned())
}

/// What Route 53 says where it refuses: the same as S3, in an envelope.
fn error(status: u16, code: &str) -> Answer {
    let (status, headers, body) = http::error(status, code);
    (status, headers, [&b"<ErrorResponse>"[..], &body, b"</ErrorResponse>"].concat())
}

/// What stands between `<tag>` and `</tag>`, each time.
fn parts(xml: &str, tag: &str) -> Vec<String> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let pieces = xml.split(&open).skip(1);
    pieces.filter_map(|piece| piece.split(&close).next()).map(str::to_owned).collect()
}
