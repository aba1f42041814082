//! A resolver that says what a test tells it to, over UDP on loopback, and counts what it is asked.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use hickory_proto::op::{Message, OpCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, Record};
use tokio::net::UdpSocket;

/// What is answered for a name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Says {
    /// This address.
    Address(Ipv4Addr),
    /// Nothing at all.
    Nothing,
}

/// The server; it ends with the test.
#[derive(Clone)]
pub struct Server {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    otherwise: Says,
    says: HashMap<String, Says>,
    asked: HashMap<String, usize>,
}

impl Server {
    /// Starts one that says the same of every name.
    pub async fn start(otherwise: Says) -> Server {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = socket.local_addr().expect("an address");
        let state = State { otherwise, says: HashMap::new(), asked: HashMap::new() };
        let server = Server { address, state: Arc::new(Mutex::new(state)) };
        tokio::spawn(server.clone().serve(socket));
        server
    }

    /// From now on `name` is answered so.
    pub fn says(&self, name: &str, says: Says) {
        self.state.lock().expect("no panic in the server").says.insert(name.to_owned(), says);
    }

    /// What was asked since the last time that this was called, and how often each.
    pub fn asked(&self) -> HashMap<String, usize> {
        std::mem::take(&mut self.state.lock().expect("no panic in the server").asked)
    }

    async fn serve(self, socket: UdpSocket) {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            if let Some(answer) = self.answer(&buffer[..length]) {
                socket.send_to(&answer, from).await.expect("loopback takes it");
            }
        }
    }

    fn answer(&self, question: &[u8]) -> Option<Vec<u8>> {
        let question = Message::from_vec(question).expect("a question");
        let query = question.queries.first().expect("one query").clone();
        let name = query.name().to_string().trim_end_matches('.').to_owned();
        let mut state = self.state.lock().expect("no panic in the server");
        *state.asked.entry(name.clone()).or_default() += 1;
        let says = state.says.get(&name).copied().unwrap_or(state.otherwise);
        let Says::Address(address) = says else { return None };
        let mut answer = Message::response(question.metadata.id, OpCode::Query);
        answer.add_answer(Record::from_rdata(query.name().clone(), 5, RData::A(A(address))));
        answer.add_query(query);
        Some(answer.to_vec().expect("a message"))
    }
}
