//! As much of CloudWatch as the commands use, in its wire form (CBOR): one alarm that can be described, and points that are
//! taken. What it does not prove: that an alarm's state follows the points.

use std::sync::{Arc, Mutex};

use super::http::{self, Answer, Request};

/// The alarm of the plan `aex`, as its foundation makes it.
#[derive(Clone, Debug)]
pub struct Alarm {
    pub state: &'static str,
    pub statistic: &'static str,
    pub missing_data: &'static str,
    pub threshold: f64,
}

impl Default for Alarm {
    fn default() -> Self {
        Self { state: "OK", statistic: "Maximum", missing_data: "ignore", threshold: 1.0 }
    }
}

#[derive(Default)]
struct State {
    alarm: Option<Alarm>,
    /// The bodies of all `PutMetricData`.
    points: Vec<Vec<u8>>,
    calls: usize,
    refuse: bool,
    hook: Option<Box<dyn Fn() + Send>>,
}

pub struct CloudWatch {
    endpoint: String,
    state: Arc<Mutex<State>>,
}

impl CloudWatch {
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State { alarm: Some(Alarm::default()), ..State::default() }));
        let shared = Arc::clone(&state);
        let endpoint =
            http::serve(move |request| answer(request, &mut shared.lock().expect("no panic in the server")));
        Self { endpoint, state }
    }

    pub fn environment(&self) -> [(&str, &str); 1] {
        [("AWS_ENDPOINT_URL_CLOUDWATCH", self.endpoint.as_str())]
    }

    pub fn set_alarm(&self, alarm: Option<Alarm>) {
        self.lock().alarm = alarm;
    }

    /// From now on no call is answered well.
    pub fn refuse(&self) {
        self.lock().refuse = true;
    }

    /// Does this at each call from now on, before it is answered.
    pub fn at_each_call(&self, act: impl Fn() + Send + 'static) {
        self.lock().hook = Some(Box::new(act));
    }

    pub fn calls(&self) -> usize {
        self.lock().calls
    }

    /// The values of the points that were put, in their order.
    pub fn values(&self) -> Vec<f64> {
        let value = |body: &Vec<u8>| {
            // The name of the field (that of a dimension is a text), then a float of eight bytes.
            let name = b"\x65Value\xfb";
            let at = body.windows(name.len()).position(|part| part == name).expect("a value") + name.len();
            f64::from_be_bytes(body[at..at + 8].try_into().expect("eight bytes"))
        };
        self.lock().points.iter().map(value).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no panic in the server")
    }
}

fn answer(request: &Request, state: &mut State) -> Answer {
    state.calls += 1;
    if let Some(act) = &state.hook {
        act();
    }
    if state.refuse {
        return http::error(500, "InternalServiceFault");
    }
    let body = match request.path.rsplit('/').next() {
        Some("DescribeAlarms") => map(&[("MetricAlarms", list(state.alarm.iter().map(described)))]),
        Some("PutMetricData") => {
            state.points.push(request.body.clone());
            map(&[])
        }
        _ => return http::error(404, "UnknownOperation"),
    };
    (200, "content-type: application/cbor\r\nsmithy-protocol: rpc-v2-cbor\r\n".to_owned(), body)
}

fn described(alarm: &Alarm) -> Vec<u8> {
    let dimension = map(&[("Name", text("Plan")), ("Value", text("aex"))]);
    map(&[
        ("AlarmName", text("lifeboat-aex-traffic-on-recovery")),
        ("Namespace", text("Lifeboat/Traffic")),
        ("MetricName", text("TrafficOnRecovery")),
        ("Dimensions", list([dimension].into_iter())),
        ("Statistic", text(alarm.statistic)),
        // A whole number of one byte behind 0x18, and one below 24 by itself.
        ("Period", vec![0x18, 60]),
        ("EvaluationPeriods", vec![1]),
        ("ComparisonOperator", text("GreaterThanOrEqualToThreshold")),
        ("Threshold", [&[0xfb][..], &alarm.threshold.to_be_bytes()].concat()),
        ("TreatMissingData", text(alarm.missing_data)),
        ("StateValue", text(alarm.state)),
    ])
}

/// A head of CBOR: the major type and a length of up to 255.
fn head(major: u8, length: usize) -> Vec<u8> {
    let length = u8::try_from(length).expect("a short one");
    match length {
        0..24 => vec![major << 5 | length],
        24.. => vec![major << 5 | 24, length],
    }
}

fn text(text: &str) -> Vec<u8> {
    [head(3, text.len()), text.as_bytes().to_vec()].concat()
}

fn list(items: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let items: Vec<Vec<u8>> = items.collect();
    [head(4, items.len()), items.concat()].concat()
}

fn map(fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let fields_of = fields.iter().flat_map(|(name, value)| [text(name), value.clone()]);
    [head(5, fields.len()), fields_of.collect::<Vec<_>>().concat()].concat()
}
