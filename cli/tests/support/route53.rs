//! As much of Route 53 as the commands use: one zone, read whole, and batches that are applied whole or not at all, whose
//! deletes match to the letter and whose creates find nothing there, no plain record beside halves of a pair; the zone
//! itself and one health check. What it does not prove: paging, when Route 53 throttles, the limits of a batch, that a private zone
//! answers with what it holds, and that a health check follows its alarm.

use std::sync::{Arc, Mutex};

use aws_sdk_route53::Client;
use aws_sdk_route53::config::{BehaviorVersion, Config, Credentials, Region};
use dns_flip::Zone;
use lifeboat_rules::Plan;
use lifeboat_rules::dns::{Change, Flip, decide};
use lifeboat_rules::plan::Side;
use tokio::runtime::Runtime;

use super::http::{self, Answer, Request};

/// A record set as the wire has it.
#[derive(Clone, Debug, PartialEq)]
struct Record {
    name: String,
    kind: String,
    ttl: String,
    values: Vec<String>,
    half: Option<Half>,
}

/// What makes one a half of a failover pair.
#[derive(Clone, Debug, PartialEq)]
pub struct Half {
    pub identifier: String,
    pub failover: String,
    pub health_check: Option<String>,
}

impl Record {
    fn xml(&self, weighted: bool) -> String {
        let values: String = self
            .values
            .iter()
            .map(|value| {
                format!("<ResourceRecord><Value>{}</Value></ResourceRecord>", value.replace('"', "&quot;"))
            })
            .collect();
        let (mut policy, mut gate) = (String::new(), String::new());
        if weighted {
            policy = "<SetIdentifier>a</SetIdentifier><Weight>1</Weight>".to_owned();
        } else if let Some(Half { identifier, failover, health_check }) = &self.half {
            policy = format!("<SetIdentifier>{identifier}</SetIdentifier><Failover>{failover}</Failover>");
            if let Some(id) = health_check {
                gate = format!("<HealthCheckId>{id}</HealthCheckId>");
            }
        }
        format!(
            "<ResourceRecordSet><Name>{}.</Name><Type>{}</Type>{policy}<TTL>{}</TTL><ResourceRecords>{values}\
             </ResourceRecords>{gate}</ResourceRecordSet>",
            self.name, self.kind, self.ttl
        )
    }

    fn parse(xml: &str) -> Self {
        let value = |tag: &str| parts(xml, tag).into_iter().next();
        let half = value("SetIdentifier").map(|identifier| Half {
            identifier,
            failover: value("Failover").expect("no other policy is put"),
            health_check: value("HealthCheckId"),
        });
        Record {
            name: value("Name").expect("a name").trim_end_matches('.').to_owned(),
            kind: value("Type").expect("a type"),
            ttl: value("TTL").expect("a TTL"),
            values: parts(xml, "Value").iter().map(|value| value.replace("&quot;", "\"")).collect(),
            half,
        }
    }

    fn is_at(&self, other: &Self) -> bool {
        self.name == other.name && self.kind == other.kind
    }

    /// Whether both cannot be in the zone.
    fn is_in_the_way_of(&self, other: &Self) -> bool {
        self.is_at(other)
            && match (&self.half, &other.half) {
                (Some(one), Some(two)) => one.identifier == two.identifier || one.failover == two.failover,
                _ => true,
            }
    }
}

#[derive(Default)]
struct State {
    records: Vec<Record>,
    calls: usize,
    changes: usize,
    /// Status of every change, once set.
    refuse_changes: Option<u16>,
    /// From which change on, counted from 0.
    refuse_from: usize,
    refuse_reads: Option<u16>,
    /// The next changes are not taken yet, each with its code.
    busy: Vec<&'static str>,
    /// The next change takes effect, and its answer is an error.
    lose_answer: bool,
    /// Records with a routing policy.
    weighted: bool,
    /// What comes between `<HealthCheckConfig>` and its end; without it there is no health check.
    health_check: Option<String>,
    public: bool,
    /// How many record sets the zone may hold; not told where it is not set.
    sets_max: Option<usize>,
    /// A name whose batches are all refused, as where something is in the way that no listing has shown yet.
    contended: Option<String>,
}

pub struct Route53 {
    endpoint: String,
    state: Arc<Mutex<State>>,
}

impl Route53 {
    pub fn start(records: &[(&str, &str, &str, &[&str])]) -> Self {
        let records = records.iter().map(|(name, kind, ttl, values)| Record {
            name: (*name).to_owned(),
            kind: (*kind).to_owned(),
            ttl: (*ttl).to_owned(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            half: None,
        });
        let state = Arc::new(Mutex::new(State { records: records.collect(), ..State::default() }));
        let shared = Arc::clone(&state);
        let endpoint =
            http::serve(move |request| answer(request, &mut shared.lock().expect("no panic in the server")));
        Self { endpoint, state }
    }

    /// The batch of a run of `epoch` that has read the zone as it is now, and sends it later: [`Self::takes`].
    pub fn decide(&self, plan: &Plan, side: Side, epoch: u64) -> Vec<Change> {
        let read = async { self.zone().read(plan, &plan.dns.records).await };
        let found = Runtime::new().expect("a runtime").block_on(read).expect("a zone");
        match decide(plan, &plan.dns.records, side, epoch, &found).expect("a decision") {
            Flip::Batch(batch) => batch.changes,
            nothing => panic!("{nothing:?}"),
        }
    }

    /// Sends a batch; whether it is taken.
    pub fn takes(&self, plan: &Plan, changes: &[Change]) -> bool {
        let change = async { self.zone().change(&plan.dns.zone_id, "late", changes).await };
        Runtime::new().expect("a runtime").block_on(change).expect("an answer").is_ok()
    }

    fn zone(&self) -> Zone {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "a test"))
            .endpoint_url(&self.endpoint);
        Zone::new(Client::from_conf(config.build()))
    }

    pub fn environment(&self) -> [(&str, &str); 1] {
        [("AWS_ENDPOINT_URL_ROUTE_53", self.endpoint.as_str())]
    }

    /// The values of one record, of whichever half comes first; none where there is none.
    pub fn values(&self, name: &str, kind: &str) -> Vec<String> {
        let state = self.lock();
        let found = state.records.iter().find(|record| record.name == name && record.kind == kind);
        found.map(|record| record.values.clone()).unwrap_or_default()
    }

    /// The halves of a name, each with its first value.
    pub fn halves(&self, name: &str) -> Vec<(Half, String)> {
        let state = self.lock();
        let found = state.records.iter().filter(|record| record.name == name);
        found.filter_map(|record| Some((record.half.clone()?, record.values[0].clone()))).collect()
    }

    pub fn calls(&self) -> usize {
        self.lock().calls
    }

    /// Batches that were put, refused ones too.
    pub fn changes(&self) -> usize {
        self.lock().changes
    }

    pub fn refuse_changes(&self, status: Option<u16>) {
        self.refuse_changes_from(0, status);
    }

    /// Refuses every batch but the first `from`.
    pub fn refuse_changes_from(&self, from: usize, status: Option<u16>) {
        let mut state = self.lock();
        (state.refuse_from, state.refuse_changes) = (state.changes + from, status);
    }

    /// Refuses the next changes for now: `Throttling`, `PriorRequestNotComplete`.
    pub fn is_busy(&self, codes: &[&'static str]) {
        self.lock().busy = codes.to_vec();
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
        let found = state.records.iter_mut().find(|record| record.name == name && record.kind == kind);
        found.expect("it is there").values = vec![value.to_owned()];
    }

    /// Somebody creates a plain record.
    pub fn add(&self, name: &str, kind: &str, value: &str) {
        let (name, kind, values) = (name.to_owned(), kind.to_owned(), vec![value.to_owned()]);
        self.lock().records.push(Record { name, kind, ttl: "5".to_owned(), values, half: None });
    }

    pub fn give_records_a_policy(&self) {
        self.lock().weighted = true;
    }

    /// There is a health check from now on, with this configuration, as XML.
    pub fn set_health_check(&self, config: &str) {
        self.lock().health_check = Some(config.to_owned());
    }

    /// Every batch that names `name` is refused from now on.
    pub fn contend(&self, name: &str) {
        self.lock().contended = Some(name.to_owned());
    }

    /// The zone's quota of record sets.
    pub fn set_quota(&self, sets_max: usize) {
        self.lock().sets_max = Some(sets_max);
    }

    /// The zone is a public one.
    pub fn is_public(&self) {
        self.lock().public = true;
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
            None if request.path.contains("/healthcheck/") => health_check(state),
            None if request.path.contains("/hostedzonelimit/") => quota(state),
            None if request.path.contains("/rrset") => list(state),
            None => zone(state),
        },
        "POST" => {
            let number = state.changes;
            state.changes += 1;
            if !state.busy.is_empty() {
                return error(400, state.busy.remove(0));
            }
            match state.refuse_changes.filter(|_| number >= state.refuse_from) {
                Some(status) => error(status, "AccessDenied"),
                None => change(&String::from_utf8_lossy(&request.body), state),
            }
        }
        _ => error(405, "MethodNotAllowed"),
    }
}

fn xml(body: String) -> Answer {
    (200, "content-type: application/xml\r\n".to_owned(), body.into_bytes())
}

fn list(state: &State) -> Answer {
    let sets: String = state.records.iter().map(|record| record.xml(state.weighted)).collect();
    xml(format!(
        "<ListResourceRecordSetsResponse><ResourceRecordSets>{sets}</ResourceRecordSets><IsTruncated>false</IsTruncated>\
         <MaxItems>300</MaxItems></ListResourceRecordSetsResponse>"
    ))
}

fn zone(state: &State) -> Answer {
    let private = !state.public;
    xml(format!(
        "<GetHostedZoneResponse><HostedZone><Id>/hostedzone/Z0123456789</Id><Name>aex.internal.</Name>\
         <CallerReference>1</CallerReference><Config><PrivateZone>{private}</PrivateZone></Config></HostedZone><VPCs>\
         <VPC><VPCRegion>eu-central-1</VPCRegion><VPCId>vpc-1</VPCId></VPC></VPCs></GetHostedZoneResponse>"
    ))
}

fn quota(state: &State) -> Answer {
    let Some(sets_max) = state.sets_max else { return error(403, "AccessDenied") };
    xml(format!(
        "<GetHostedZoneLimitResponse><Limit><Type>MAX_RRSETS_BY_ZONE</Type><Value>{sets_max}</Value></Limit>\
         <Count>{}</Count></GetHostedZoneLimitResponse>",
        state.records.len()
    ))
}

fn health_check(state: &State) -> Answer {
    let Some(config) = &state.health_check else { return error(404, "NoSuchHealthCheck") };
    xml(format!(
        "<GetHealthCheckResponse><HealthCheck><Id>gate</Id><CallerReference>1</CallerReference><HealthCheckConfig>{config}\
         </HealthCheckConfig><HealthCheckVersion>1</HealthCheckVersion></HealthCheck></GetHealthCheckResponse>"
    ))
}

fn change(body: &str, state: &mut State) -> Answer {
    let mut next = state.records.clone();
    for change in parts(body, "Change") {
        let record = Record::parse(&change);
        if state.contended.as_ref() == Some(&record.name) {
            return error(400, "InvalidChangeBatch");
        }
        match parts(&change, "Action").first().map(String::as_str) {
            Some("DELETE") if next.contains(&record) => next.retain(|have| *have != record),
            Some("CREATE") if !next.iter().any(|have| have.is_in_the_way_of(&record)) => next.push(record),
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
