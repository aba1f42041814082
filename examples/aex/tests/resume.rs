//! A primary that lost its pen and is given it back by a person: it forgets, reads the log again, and serves by itself.
//! See [`support`] for what the bucket of these tests does not prove; the seals, fences and opens are put by the test.

mod support;

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use aex::app::End;
use lifeboat_ledger::Holder;
use lifeboat_ledger::writer::Writer;
use serde_json::{Value, json};
use support::{
    Bucket, Fault, Firehose, STREAM, args, ended, eventually, exchange, exchange_at, get, mode, order, post,
    serving, witnessed,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What `lifeboat handback` leaves in a stream.
fn hand_back(bucket: &Bucket, epoch: u64) {
    bucket.open(epoch, Holder::Primary, "hand-back");
}

/// An order that is matched in memory, and whose put has been sent and hangs.
struct InFlight {
    answer: JoinHandle<(u16, Value)>,
    release: watch::Sender<bool>,
}

impl InFlight {
    async fn place(bucket: &Bucket, addr: SocketAddr, order: Value) -> InFlight {
        let release = bucket.hold_orders();
        let answer = tokio::spawn(async move { post(addr, &order).await });
        eventually("the put of the order", async || bucket.order_waits().then_some(())).await;
        InFlight { answer, release }
    }

    /// Lets the put go on, and gives the status of the client's answer.
    async fn release(self) -> u16 {
        self.release.send(true).unwrap();
        self.answer.await.unwrap().0
    }
}

#[tokio::test]
async fn sealed_and_opened_again_it_resumes_with_what_was_stored_and_nothing_else() {
    let (bucket, exchange) = serving().await;
    let addr = exchange.addr;
    let a = post(addr, &order("a", "buy", 100, 5)).await.1;
    let watched = Watched::start(addr, "a");
    // In memory it buys at 120, and the put of that never gets its slot.
    let late = InFlight::place(&bucket, addr, order("late", "buy", 120, 1)).await;
    bucket.seal(2, "run-x");
    assert_eq!(late.release().await, 503);

    let health = mode(&exchange, "waiting_for_open").await;
    assert_eq!(health["reason"], "stream ME1: sealed by epoch 2, run run-x");
    assert_eq!(post(addr, &order("b", "buy", 100, 5)).await.0, 503);
    let replays = bucket.replays();
    assert_eq!(replays, 2, "the log is read again from its beginning");
    hand_back(&bucket, 3);
    let health = mode(&exchange, "serving").await;
    assert_eq!((&health["epoch"], &health["reason"]), (&json!(3), &Value::Null));
    assert_eq!(bucket.replays(), replays);

    let (_, again) = post(addr, &order("a", "buy", 100, 5)).await;
    assert_eq!((&again["seq"], &again["duplicate"]), (&a["seq"], &json!(true)));
    // The book has no bid at 120: this would have sold to it.
    assert_eq!(get(addr, "/orders/late").await.0, 404);
    assert_eq!(post(addr, &order("s", "sell", 110, 1)).await.0, 200);
    assert_eq!(get(addr, "/orders/s").await.1["filled"], 0);
    // Asked again it is a new order, and trades now.
    let (_, late) = post(addr, &order("late", "buy", 120, 1)).await;
    assert_eq!((&late["duplicate"], bucket.orders("late")), (&json!(false), 1));
    assert_eq!(get(addr, "/orders/late").await.1["filled"], 1);
    watched.stop().await;
    bucket.tail();
    exchange.stop().await;
}

#[tokio::test]
async fn what_was_stored_before_the_seal_and_never_answered_is_there_once() {
    let (bucket, exchange) = serving().await;
    let addr = exchange.addr;
    bucket.inject([Fault::LoseAnswer]);
    bucket.inject([Fault::LosePut; 1_000]);
    let in_doubt = tokio::spawn(async move { post(addr, &order("a", "buy", 100, 5)).await });
    eventually("the entry", async || (bucket.orders("a") == 1).then_some(())).await;
    bucket.seal(2, "run-x");
    bucket.fence(2);
    assert_eq!(in_doubt.await.unwrap().0, 503);
    bucket.mend();
    mode(&exchange, "waiting_for_open").await;
    hand_back(&bucket, 3);
    mode(&exchange, "serving").await;
    assert_eq!(get(addr, "/orders/a").await.1["acceptances"], 1);
    let (status, again) = post(addr, &order("a", "buy", 100, 5)).await;
    assert_eq!((status, &again["duplicate"], bucket.orders("a")), (200, &json!(true), 1));
    exchange.stop().await;
}

#[tokio::test]
async fn a_seal_and_the_hand_back_while_a_put_is_in_flight_are_found_together() {
    let (bucket, exchange) = serving().await;
    let addr = exchange.addr;
    let late = InFlight::place(&bucket, addr, order("late", "buy", 100, 5)).await;
    bucket.seal(2, "run-x");
    hand_back(&bucket, 3);
    assert_eq!(late.release().await, 503);
    let health = eventually("epoch 3", async || {
        let health = mode(&exchange, "serving").await;
        (health["epoch"] == 3).then_some(health)
    })
    .await;
    assert_eq!(health["streams"][STREAM]["open_epoch"], 3);
    assert_eq!(bucket.replays(), 2, "the pen was lost in between, and memory with it");
    assert_eq!(post(addr, &order("late", "buy", 100, 5)).await.1["duplicate"], false);
    assert_eq!(bucket.orders("late"), 1);
    bucket.tail();
    exchange.stop().await;
}

#[tokio::test]
async fn it_resumes_on_top_of_what_the_recovery_side_wrote() {
    let (bucket, primary) = serving().await;
    assert_eq!(post(primary.addr, &order("a", "buy", 100, 5)).await.0, 200);
    let mut recovery = exchange(&bucket, "recovery", "2").await;
    bucket.seal(2, "run-x");
    bucket.open(2, Holder::Recovery, "run-x");
    mode(&recovery, "serving").await;
    let there = post(recovery.addr, &order("b", "sell", 100, 2)).await.1;
    let health = eventually("the open of the recovery side", async || {
        let health = mode(&primary, "waiting_for_open").await;
        let open = "stream ME1: open for the recovery under epoch 2";
        (health["reason"] == open).then_some(health)
    })
    .await;
    assert_eq!((&health["side"], &health["mode"]), (&json!("primary"), &json!("waiting_for_open")));
    assert_eq!(post(primary.addr, &order("c", "buy", 100, 5)).await.0, 503);
    let (_, book) = get(recovery.addr, "/book/AAPL").await;

    hand_back(&bucket, 3);
    assert!(matches!(ended(&mut recovery).await, End::LostPen { .. }), "no open can name its epoch again");
    mode(&primary, "serving").await;
    let (_, resumed) = get(primary.addr, "/book/AAPL").await;
    assert_eq!((&resumed["bids"], &resumed["last_trade"]), (&book["bids"], &json!(100)));
    assert_eq!(get(primary.addr, "/orders/a").await.1["filled"], 2);
    let (_, again) = post(primary.addr, &order("b", "sell", 100, 2)).await;
    assert_eq!((&again["seq"], &again["duplicate"]), (&there["seq"], &json!(true)));
    assert_eq!(post(primary.addr, &order("c", "buy", 100, 5)).await.0, 200);
    bucket.tail();
    primary.stop().await;
}

#[tokio::test]
async fn one_that_slept_through_a_failover_stops_at_the_seal() {
    let (bucket, exchange) = serving().await;
    let late = InFlight::place(&bucket, exchange.addr, order("late", "buy", 100, 5)).await;
    bucket.seal(2, "run-x");
    bucket.open(2, Holder::Recovery, "run-x");
    let mut recovery = Writer::new("log/", bucket.tail(), Holder::Recovery, Some(2));
    let mut slots = Vec::new();
    for _ in 0..50 {
        let segment = recovery.segment(&[json!({ "kind": "heartbeat", "at": "there" })]).unwrap();
        assert!(bucket.insert(&segment.key, segment.bytes.clone()));
        recovery.stored(&segment);
        slots.push(segment.first_seq);
    }
    assert_eq!(late.release().await, 503);
    let health = eventually("all that was written there", async || {
        let health = mode(&exchange, "waiting_for_open").await;
        (health["streams"][STREAM]["seq"] == json!(slots.last())).then_some(health)
    })
    .await;
    assert_eq!(health["reason"], "stream ME1: open for the recovery under epoch 2");
    // By the replay, and not before: it would have followed all that while it said that it serves.
    assert!(slots.iter().all(|slot| bucket.reads(*slot) == 1));
    exchange.stop().await;
}

#[tokio::test]
async fn a_fence_without_a_seal_stops_it_until_a_newer_open() {
    let (bucket, exchange) = serving().await;
    let addr = exchange.addr;
    assert_eq!(post(addr, &order("a", "buy", 100, 5)).await.0, 200);
    bucket.fence(5);
    let health = mode(&exchange, "waiting_for_open").await;
    assert_eq!(health["reason"], "stream ME1: epoch 1 is fenced by epoch 5");
    assert_eq!(bucket.replays(), 2);
    let fenced = bucket.lines().len();
    assert_eq!(post(addr, &order("b", "buy", 100, 5)).await.0, 503);
    // An open that is newer than the pen and older than the fence gives a pen that is fenced as well.
    hand_back(&bucket, 4);
    let still = "stream ME1: epoch 4 is fenced by epoch 5";
    eventually("the older open", async || {
        (mode(&exchange, "waiting_for_open").await["reason"] == still).then_some(())
    })
    .await;
    assert_eq!(bucket.lines().len(), fenced + 1, "not even a heartbeat");
    hand_back(&bucket, 7);
    assert_eq!(mode(&exchange, "serving").await["epoch"], 7);
    assert_eq!(post(addr, &order("a", "buy", 100, 5)).await.1["duplicate"], true);
    assert_eq!(post(addr, &order("b", "buy", 100, 5)).await.1["duplicate"], false);
    assert_eq!(bucket.lines().last().unwrap()["epoch"], 7);
    exchange.stop().await;
}

#[tokio::test]
async fn an_inert_open_does_not_resume_it() {
    let (bucket, exchange) = serving().await;
    bucket.seal(5, "run-x");
    mode(&exchange, "waiting_for_open").await;
    // Older than the seal; as old, and of another run.
    bucket.open(4, Holder::Primary, "hand-back");
    bucket.open(5, Holder::Primary, "hand-back");
    let through = bucket.lines().len();
    let health = eventually("the inert opens to be read", async || {
        let health = mode(&exchange, "waiting_for_open").await;
        (health["streams"][STREAM]["seq"] == through).then_some(health)
    })
    .await;
    assert_eq!(health["reason"], "stream ME1: sealed by epoch 5, run run-x");
    assert_eq!(post(exchange.addr, &order("a", "buy", 100, 5)).await.0, 503);
    assert_eq!(bucket.lines().len(), through);
    hand_back(&bucket, 6);
    assert_eq!(mode(&exchange, "serving").await["epoch"], 6);
    exchange.stop().await;
}

#[tokio::test]
async fn it_loses_and_gets_the_pen_as_often_as_it_takes() {
    let (bucket, exchange) = serving().await;
    for epoch in [2, 4, 6] {
        let id = format!("of-{epoch}");
        assert_eq!(post(exchange.addr, &order(&id, "buy", 100, 5)).await.0, 200);
        bucket.fence(epoch);
        bucket.seal(epoch, "run-x");
        mode(&exchange, "waiting_for_open").await;
        hand_back(&bucket, epoch + 1);
        assert_eq!(mode(&exchange, "serving").await["epoch"], epoch + 1);
    }
    for epoch in [2, 4, 6] {
        assert_eq!(get(exchange.addr, &format!("/orders/of-{epoch}")).await.1["acceptances"], 1);
    }
    exchange.stop().await;
}

#[tokio::test]
async fn a_slot_lost_to_a_twin_and_then_a_seal_is_a_lost_pen_like_any() {
    let (bucket, exchange) = serving().await;
    let late = InFlight::place(&bucket, exchange.addr, order("late", "buy", 100, 5)).await;
    let twin = Writer::new("log/", bucket.tail(), Holder::Primary, None);
    let segment = twin.segment(&[json!({ "kind": "heartbeat", "at": "twin" })]).unwrap();
    assert!(bucket.insert(&segment.key, segment.bytes));
    bucket.seal(2, "run-x");
    assert_eq!(late.release().await, 503);
    mode(&exchange, "waiting_for_open").await;
    hand_back(&bucket, 3);
    mode(&exchange, "serving").await;
    assert_eq!(bucket.orders("late"), 0);
    bucket.tail();
    exchange.stop().await;
}

#[tokio::test]
async fn streams_that_were_handed_back_alone_take_no_orders() {
    let bucket = Bucket::start().await;
    let streams = [STREAM, "ME2"];
    for stream in streams {
        bucket.open_in(stream, 1, Holder::Primary, "genesis");
    }
    let exchange = exchange_at(&bucket, "primary", "", "127.0.0.1:0", "ME1=AAPL,ME2=JPM").await;
    mode(&exchange, "serving").await;
    for stream in streams {
        bucket.seal_in(stream, 2, "run-x");
    }
    mode(&exchange, "waiting_for_open").await;
    bucket.open_in(STREAM, 3, Holder::Primary, "hand-back");
    let health = eventually("one stream to resume", async || {
        let health = mode(&exchange, "waiting_for_open").await;
        (health["streams"][STREAM]["mode"] == "serving").then_some(health)
    })
    .await;
    assert_eq!(health["reason"], "stream ME2: sealed by epoch 2, run run-x");
    let (status, refused) = post(exchange.addr, &order("a", "buy", 100, 5)).await;
    assert_eq!(status, 503);
    assert!(refused["message"].as_str().unwrap().starts_with("stream ME2 does not serve"), "{refused}");
    assert_eq!(bucket.orders("a"), 0);
    bucket.open_in("ME2", 3, Holder::Primary, "hand-back");
    mode(&exchange, "serving").await;
    assert_eq!(post(exchange.addr, &order("a", "buy", 100, 5)).await.0, 200);
    exchange.stop().await;
}

#[tokio::test]
async fn the_witness_is_sent_what_was_stored_and_nothing_else() {
    let (bucket, witness) = (Bucket::start().await, Firehose::start().await);
    bucket.open(1, Holder::Primary, "genesis");
    let exchange = witnessed(&bucket, &witness).await;
    mode(&exchange, "serving").await;
    assert_eq!(post(exchange.addr, &order("a", "buy", 100, 5)).await.0, 200);
    let late = InFlight::place(&bucket, exchange.addr, order("late", "buy", 100, 5)).await;
    bucket.seal(2, "run-x");
    assert_eq!(late.release().await, 503);
    mode(&exchange, "waiting_for_open").await;
    hand_back(&bucket, 3);
    mode(&exchange, "serving").await;
    assert_eq!(post(exchange.addr, &order("b", "buy", 100, 5)).await.0, 200);
    // Sent in order, so that whatever was sent before it is there as well.
    eventually("the last order at the witness", async || {
        witness.lines().iter().any(|line| line["client_order_id"] == "b").then_some(())
    })
    .await;
    let (sent, stored) = (witness.lines(), bucket.lines());
    assert!(sent.iter().all(|line| stored.contains(line)), "{sent:?}");
    assert!(sent.iter().any(|line| line["client_order_id"] == "a"));
    assert!(sent.iter().all(|line| line["client_order_id"] != "late"));
    exchange.stop().await;
}

#[tokio::test]
async fn the_process_of_a_recovery_side_ends_with_3_and_that_of_the_primary_stays() {
    let bucket = Bucket::start().await;
    bucket.open(1, Holder::Primary, "genesis");
    let mut primary = Process::start(&bucket, "primary", "");
    eventually("an entry of the primary", async || (bucket.lines().len() > 1).then_some(())).await;
    bucket.seal(2, "run-x");
    bucket.open(2, Holder::Recovery, "run-x");
    let mut recovery = Process::start(&bucket, "recovery", "2");
    let last_epoch = || bucket.lines().last().unwrap()["epoch"].as_u64();
    eventually("an entry of the recovery side", async || (last_epoch() == Some(2)).then_some(())).await;
    bucket.open(3, Holder::Primary, "hand-back");
    let code = eventually("the end of the recovery side", async || recovery.0.try_wait().unwrap()).await;
    assert_eq!(code.code(), Some(3));
    eventually("an entry of the primary again", async || (last_epoch() == Some(3)).then_some(())).await;
    assert_eq!(primary.0.try_wait().unwrap(), None);
    bucket.tail();
}

/// The exchange as a process of its own; gone with the test.
struct Process(Child);

impl Process {
    fn start(bucket: &Bucket, side: &str, epoch: &str) -> Process {
        let child = Command::new(env!("CARGO_BIN_EXE_aex"))
            .args(args(side, epoch, "127.0.0.1:0", "ME1=AAPL"))
            .env("AWS_ENDPOINT_URL", bucket.endpoint())
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .stdout(Stdio::null())
            .spawn();
        Process(child.unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks for one acknowledged order without pause. Whatever the exchange goes through, it must not deny it.
struct Watched {
    end: watch::Sender<bool>,
    seen: JoinHandle<[usize; 2]>,
}

impl Watched {
    fn start(addr: SocketAddr, id: &'static str) -> Watched {
        let (end, ended) = watch::channel(false);
        let seen = tokio::spawn(async move {
            let (http, url) = (reqwest::Client::new(), format!("http://{addr}/orders/{id}"));
            let (mut found, mut later) = (0, 0);
            while !*ended.borrow() {
                match http.get(&url).send().await.unwrap().status().as_u16() {
                    200 => found += 1,
                    503 => later += 1,
                    status => panic!("{status} for an order that was acknowledged"),
                }
            }
            [found, later]
        });
        Watched { end, seen }
    }

    async fn stop(self) {
        self.end.send(true).unwrap();
        let seen = self.seen.await.unwrap();
        assert!(seen.iter().all(|times| *times > 0), "known, and not known yet: {seen:?}");
    }
}
