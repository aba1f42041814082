//! Questions from the wire, answers to the wire.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use hickory_proto::op::{Edns, Header, HeaderCounts, MessageType, Metadata, OpCode, ResponseCode};
use hickory_proto::rr::Record;
use hickory_server::net::runtime::Time;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use tokio::sync::watch;

use super::health::Health;
use super::zone::{Answer, Zones};
use crate::world::clock;

/// Answers from the newest zones, by the newest health.
pub(super) struct Answerer {
    zones: watch::Receiver<Arc<Zones>>,
    health: watch::Receiver<Arc<Health>>,
    log: Mutex<File>,
}

/// An answer in the sections of a message.
struct Sections {
    code: ResponseCode,
    answers: Vec<Record>,
    soa: Option<Record>,
}

impl Answerer {
    pub(super) fn new(
        zones: watch::Receiver<Arc<Zones>>,
        health: watch::Receiver<Arc<Health>>,
        log: &Path,
    ) -> std::io::Result<Self> {
        Ok(Self { zones, health, log: Mutex::new(File::create(log)?) })
    }

    fn sections(&self, request: &Request) -> Sections {
        let only = |code| Sections { code, answers: Vec::new(), soa: None };
        if request.metadata.message_type != MessageType::Query || request.metadata.op_code != OpCode::Query {
            return only(ResponseCode::NotImp);
        }
        let Ok(info) = request.request_info() else { return only(ResponseCode::FormErr) };
        let (zones, health) = (Arc::clone(&self.zones.borrow()), Arc::clone(&self.health.borrow()));
        match zones.answer(info.query.name(), info.query.query_type(), &health) {
            Answer::Records(answers) => Sections { answers, ..only(ResponseCode::NoError) },
            Answer::NoData(answers, soa) => {
                Sections { code: ResponseCode::NoError, answers, soa: Some(*soa) }
            }
            Answer::NoSuchName(answers, soa) => {
                Sections { code: ResponseCode::NXDomain, answers, soa: Some(*soa) }
            }
            Answer::NotOurs => only(ResponseCode::Refused),
        }
    }

    fn write_down(&self, request: &Request, sections: &Sections) {
        let Ok(info) = request.request_info() else { return };
        let line = serde_json::json!({
            "at": clock::now(),
            "protocol": info.protocol.to_string(),
            "name": info.query.name().to_string(),
            "type": info.query.query_type().to_string(),
            "code": sections.code.to_string(),
            "answers": sections.answers.iter().map(|record| record.data.to_string()).collect::<Vec<_>>(),
        });
        // A full disk must not change what is under test.
        let _ = writeln!(self.log.lock().unwrap_or_else(PoisonError::into_inner), "{line}");
    }
}

#[async_trait::async_trait]
impl RequestHandler for Answerer {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut to: R,
    ) -> ResponseInfo {
        let sections = self.sections(request);
        self.write_down(request, &sections);
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.response_code = sections.code;
        metadata.authoritative = sections.code != ResponseCode::Refused;
        metadata.recursion_available = false;
        let edns = request.edns.as_ref().map(|asked| {
            let mut edns = Edns::new();
            edns.set_max_payload(asked.max_payload().max(512));
            edns
        });
        let response = MessageResponseBuilder::new(&request.queries, edns.as_ref()).build(
            metadata,
            &sections.answers,
            [],
            &sections.soa,
            [],
        );
        // The asker is gone: nothing more to do for it.
        to.send_response(response)
            .await
            .unwrap_or_else(|_| Header { metadata, counts: HeaderCounts::default() }.into())
    }
}
