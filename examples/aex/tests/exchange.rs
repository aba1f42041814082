//! The gateway and the sequencer: what is acknowledged is stored, and what is stored comes back. See [`support`] for
//! what the bucket of these tests does not prove.

mod support;

use aex::app::End;
use lifeboat_ledger::Holder;
use lifeboat_ledger::writer::Writer;
use serde_json::json;
use support::{Fault, ended, exchange, exchange_at, get, mode, order, post, serving};

#[tokio::test]
async fn nothing_is_visible_before_it_is_stored() {
    let (bucket, exchange) = serving().await;
    let addr = exchange.addr;
    let release = bucket.hold_puts();
    let ack = tokio::spawn(async move { post(addr, &order("a", "buy", 100, 5)).await });
    // Ten heartbeats would fit in here.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert!(!ack.is_finished());
    assert_eq!(get(addr, "/orders/a").await.0, 404);
    assert_eq!(get(addr, "/book/AAPL").await.1["bids"], json!([]));

    release.send(true).unwrap();
    let (status, ack) = ack.await.unwrap();
    assert_eq!((status, &ack["status"], &ack["duplicate"]), (200, &json!("accepted"), &json!(false)));
    let stored = &bucket.lines()[ack["seq"].as_u64().unwrap() as usize - 1];
    assert_eq!((&stored["seq"], &stored["client_order_id"]), (&ack["seq"], &json!("a")));
    let (_, found) = get(addr, "/orders/a").await;
    assert_eq!((&found["seq"], &found["acceptances"]), (&ack["seq"], &json!(1)));
    assert_eq!(get(addr, "/book/AAPL").await.1["bids"], json!([{ "price": 100, "quantity": 5 }]));
    exchange.stop().await;
}

#[tokio::test]
async fn the_same_order_again_gets_the_same_answer_and_another_under_its_id_a_conflict() {
    let (_bucket, exchange) = serving().await;
    let first = post(exchange.addr, &order("a", "buy", 100, 5)).await.1;
    let (status, again) = post(exchange.addr, &order("a", "buy", 100, 5)).await;
    assert_eq!((status, &again["seq"], &again["duplicate"]), (200, &first["seq"], &json!(true)));
    let (status, conflict) = post(exchange.addr, &order("a", "buy", 101, 5)).await;
    assert_eq!((status, &conflict["field"]), (409, &json!("client_order_id")));
    // At once, so that they meet in one batch.
    let twins = order("b", "sell", 200, 1);
    let (one, other) = tokio::join!(post(exchange.addr, &twins), post(exchange.addr, &twins));
    assert_eq!(one.1["seq"], other.1["seq"]);
    assert_ne!(one.1["duplicate"], other.1["duplicate"]);
    assert_eq!(get(exchange.addr, "/orders/b").await.1["acceptances"], 1);
    exchange.stop().await;
}

#[tokio::test]
async fn an_id_is_one_order_across_all_streams() {
    let bucket = support::Bucket::start().await;
    bucket.open(1, Holder::Primary, "genesis");
    bucket.open_in("ME2", 1, Holder::Primary, "genesis");
    let exchange = exchange_at(&bucket, "primary", "", "127.0.0.1:0", "ME1=AAPL,ME2=JPM").await;
    mode(&exchange, "serving").await;
    let mut elsewhere = order("a", "buy", 100, 5);
    assert_eq!(post(exchange.addr, &elsewhere).await.0, 200);
    elsewhere["symbol"] = json!("JPM");
    assert_eq!(post(exchange.addr, &elsewhere).await.0, 409);
    exchange.stop().await;
}

#[tokio::test]
async fn bad_requests_are_told_what_is_wrong() {
    let (bucket, exchange) = serving().await;
    let before = bucket.lines().len();
    let mut unlisted = order("a", "buy", 100, 5);
    unlisted["symbol"] = json!("NONE");
    for (bad, field) in [(unlisted, "symbol"), (order("a", "buy", 0, 5), "price"), (json!([]), "body")] {
        let (status, answer) = post(exchange.addr, &bad).await;
        assert_eq!((status, &answer["field"]), (400, &json!(field)));
    }
    let huge = json!({ "client_order_id": "x".repeat(10_000) });
    let answer = reqwest::Client::new().post(format!("http://{}/orders", exchange.addr)).json(&huge).send();
    assert_eq!(answer.await.unwrap().status(), 413);
    assert_eq!(get(exchange.addr, "/orders/none").await.0, 404);
    assert_eq!(get(exchange.addr, "/book/NONE").await.0, 404);
    assert!(bucket.lines()[before..].iter().all(|line| line["kind"] == "heartbeat"));
    exchange.stop().await;
}

#[tokio::test]
async fn an_idle_log_advances() {
    let (bucket, exchange) = serving().await;
    let before = bucket.lines().len();
    support::eventually("three heartbeats", async || (bucket.lines().len() >= before + 3).then_some(()))
        .await;
    assert_eq!(bucket.lines().last().unwrap()["kind"], "heartbeat");
    exchange.stop().await;
}

#[tokio::test]
async fn an_unknown_outcome_is_asked_again_until_it_is_known() {
    let (bucket, exchange) = serving().await;
    for (id, faults) in [
        ("lost-answer", vec![Fault::LoseAnswer]),
        ("lost-put", vec![Fault::LosePut, Fault::LosePut]),
        ("conflict", vec![Fault::Conflict]),
        ("all", vec![Fault::Conflict, Fault::LosePut, Fault::LoseAnswer]),
    ] {
        bucket.inject(faults);
        let (status, ack) = post(exchange.addr, &order(id, "buy", 100, 1)).await;
        assert_eq!((status, &ack["duplicate"]), (200, &json!(false)), "{id}");
    }
    let mut taken: Vec<_> =
        bucket.lines().iter().filter_map(|line| line["client_order_id"].as_str().map(String::from)).collect();
    taken.sort();
    assert_eq!(taken, ["all", "conflict", "lost-answer", "lost-put"]);
    exchange.stop().await;
}

#[tokio::test]
async fn a_seal_in_the_slot_stops_the_writer_and_nothing_is_acknowledged() {
    let (bucket, exchange) = serving().await;
    let addr = exchange.addr;
    let release = bucket.hold_puts();
    let ack = tokio::spawn(async move { post(addr, &order("late", "buy", 100, 5)).await });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    bucket.seal(2, "run-x");
    let sealed = bucket.lines().len();
    release.send(true).unwrap();

    let (status, answer) = ack.await.unwrap();
    assert_eq!(status, 503, "{answer}");
    let health = mode(&exchange, "waiting_for_open").await;
    assert_eq!(health["reason"], "stream ME1: sealed by epoch 2, run run-x");
    assert_eq!(bucket.lines().len(), sealed, "nothing after the seal");
    assert_eq!(post(addr, &order("late", "buy", 100, 5)).await.0, 503);
    exchange.stop().await;
}

#[tokio::test]
async fn a_seal_ends_a_recovery_side() {
    let bucket = support::Bucket::start().await;
    bucket.open(2, Holder::Recovery, "run-x");
    let mut exchange = exchange(&bucket, "recovery", "2").await;
    mode(&exchange, "serving").await;
    let release = bucket.hold_puts();
    bucket.seal(3, "run-y");
    let sealed = bucket.lines().len();
    release.send(true).unwrap();
    let End::LostPen { stream, reason } = ended(&mut exchange).await else { panic!("still there") };
    assert_eq!(stream, "ME1");
    assert_eq!(reason, format!("slot {sealed} of stream ME1 holds the seal of epoch 3 by run run-y"));
}

#[tokio::test]
async fn a_fence_stops_a_recovery_side_and_the_seal_ends_it() {
    let bucket = support::Bucket::start().await;
    bucket.open(2, Holder::Recovery, "run-x");
    let mut exchange = exchange(&bucket, "recovery", "2").await;
    mode(&exchange, "serving").await;
    bucket.fence(3);
    let health = mode(&exchange, "stopped").await;
    assert_eq!(health["reason"], "epoch 2 is fenced by epoch 3");
    let fenced = bucket.lines().len();
    assert_eq!(post(exchange.addr, &order("a", "buy", 100, 5)).await.0, 503);
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(bucket.lines().len(), fenced, "not even a heartbeat");
    bucket.seal(3, "run-y");
    assert!(matches!(ended(&mut exchange).await, End::LostPen { .. }));
}

#[tokio::test]
async fn a_recovery_side_that_is_passed_by_before_it_had_the_pen_ends() {
    let bucket = support::Bucket::start().await;
    bucket.open(1, Holder::Primary, "genesis");
    bucket.seal(2, "run-x");
    let mut waiting = exchange(&bucket, "recovery", "2").await;
    let health = mode(&waiting, "waiting_for_open").await;
    assert!(health["reason"].as_str().is_some_and(|reason| reason.contains("sealed by epoch 2")), "{health}");
    // The next run seals: whatever comes now, epoch 2 is over, and the address is free for whoever comes after.
    bucket.seal(3, "run-y");
    let End::LostPen { reason, .. } = ended(&mut waiting).await else { panic!("still there") };
    assert!(reason.contains("sealed by epoch 3"), "{reason}");
    // And so does one that is started too late, as a restarted task would be.
    let mut late = exchange(&bucket, "recovery", "2").await;
    assert!(matches!(ended(&mut late).await, End::LostPen { .. }));
}

#[tokio::test]
async fn an_address_that_is_taken_is_waited_for() {
    let bucket = support::Bucket::start().await;
    bucket.open(2, Holder::Recovery, "run-x");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let listen = address.to_string();
    let starting = support::exchange_at(&bucket, "recovery", "2", &listen, "ME1=AAPL");
    tokio::pin!(starting);
    let early = tokio::time::timeout(std::time::Duration::from_millis(500), &mut starting).await;
    assert!(early.is_err(), "it listens where somebody else does");
    drop(taken);
    let exchange = starting.await;
    assert_eq!(exchange.addr, address);
    mode(&exchange, "serving").await;
    exchange.stop().await;
}

#[tokio::test]
async fn an_inert_control_entry_is_chained_past() {
    let (bucket, exchange) = serving().await;
    bucket.seal(1, "stale");
    let (status, _) = support::eventually("an acknowledgement", async || {
        Some(post(exchange.addr, &order("a", "buy", 100, 5)).await).filter(|(status, _)| *status == 200)
    })
    .await;
    assert_eq!(status, 200);
    assert!(bucket.lines().iter().any(|line| line["control"]["seal"]["run"] == "stale"));
    assert_eq!(bucket.replays(), 1, "and costs no replay of the whole log");
    exchange.stop().await;
}

#[tokio::test]
async fn the_slower_of_two_processes_of_one_side_goes() {
    let (bucket, mut exchange) = serving().await;
    let release = bucket.hold_puts();
    let tail = bucket.tail();
    let twin = Writer::new("log/", tail, Holder::Primary, None);
    let segment = twin.segment(&[json!({ "kind": "heartbeat", "at": "twin" })]).unwrap();
    assert!(bucket.insert(&segment.key, segment.bytes));
    release.send(true).unwrap();
    let End::LostPen { reason, .. } = ended(&mut exchange).await else { panic!("still there") };
    assert!(reason.contains("another writer's entries, under epoch 1"), "{reason}");
}

#[tokio::test]
async fn the_recovery_side_waits_for_its_own_open_and_is_the_exchange_that_was_lost() {
    let (bucket, primary) = serving().await;
    for (id, side, price, quantity) in [
        ("a", "buy", 100, 5),
        ("b", "sell", 99, 3),
        ("c", "buy", 98, 4),
        ("d", "sell", 150, 7),
        ("e", "sell", 900, 1),
    ] {
        assert_eq!(post(primary.addr, &order(id, side, price, quantity)).await.0, 200);
    }
    let (_, book) = get(primary.addr, "/book/AAPL").await;
    let answers = [get(primary.addr, "/orders/a").await, get(primary.addr, "/orders/e").await];
    assert_eq!(
        (&answers[0].1["filled"], &answers[1].1["status"]),
        (&json!(3), &json!("rejected_price_band"))
    );
    // Recovery begins while the primary still trades, and follows.
    let recovery = exchange(&bucket, "recovery", "7").await;
    mode(&recovery, "waiting_for_open").await;
    primary.stop().await;

    // Somebody else's seal and open, an open for the other side, and a stale one: none of them is its own.
    bucket.seal(5, "other");
    bucket.open(5, Holder::Recovery, "other");
    bucket.seal(6, "back");
    bucket.open(6, Holder::Primary, "back");
    bucket.open(2, Holder::Recovery, "stale");
    let through = bucket.lines().len();
    support::eventually("the tail", async || {
        let health = mode(&recovery, "waiting_for_open").await;
        (health["streams"]["ME1"]["seq"] == through).then_some(())
    })
    .await;
    assert_eq!(post(recovery.addr, &order("early", "buy", 100, 5)).await.0, 503);
    // It may not know everything yet, so it denies nothing.
    assert_eq!(get(recovery.addr, "/orders/none").await.0, 503);
    assert_eq!(get(recovery.addr, "/book/AAPL").await.0, 503);

    bucket.seal(7, "mine");
    bucket.open(7, Holder::Recovery, "mine");
    let health = mode(&recovery, "serving").await;
    assert_eq!((&health["epoch"], &health["side"]), (&json!(7), &json!("recovery")));
    let (_, recovered) = get(recovery.addr, "/book/AAPL").await;
    for part in ["bids", "asks", "last_trade"] {
        assert_eq!(recovered[part], book[part], "{part}");
    }
    assert_eq!([get(recovery.addr, "/orders/a").await, get(recovery.addr, "/orders/e").await], answers);
    // What was in doubt is sent again under its id, and is there already.
    let (_, again) = post(recovery.addr, &order("a", "buy", 100, 5)).await;
    assert_eq!((&again["duplicate"], &again["seq"]), (&json!(true), &answers[0].1["seq"]));
    assert_eq!(post(recovery.addr, &order("new", "buy", 100, 5)).await.0, 200);
    bucket.tail();
    recovery.stop().await;
}

#[tokio::test]
async fn a_restarted_side_serves_on_where_it_was() {
    let (bucket, first) = serving().await;
    let ack = post(first.addr, &order("a", "buy", 100, 5)).await.1;
    first.stop().await;
    let second = exchange(&bucket, "primary", "").await;
    mode(&second, "serving").await;
    let again = post(second.addr, &order("a", "buy", 100, 5)).await.1;
    assert_eq!((&again["duplicate"], &again["seq"]), (&json!(true), &ack["seq"]));
    second.stop().await;
}

#[tokio::test]
async fn a_log_with_a_gap_is_not_guessed_over() {
    let (bucket, primary) = serving().await;
    post(primary.addr, &order("a", "buy", 100, 5)).await;
    primary.stop().await;
    let tail = bucket.tail();
    let key = lifeboat_ledger::slot::key("log/", support::STREAM, tail.next_seq() + 1);
    bucket.insert(&key, b"{}\n".to_vec());
    let recovery = exchange(&bucket, "recovery", "2").await;
    let health = mode(&recovery, "stopped").await;
    assert!(health["reason"].as_str().unwrap().contains("the ledger is broken"), "{health}");
    recovery.stop().await;
}

#[tokio::test]
async fn what_was_stored_and_never_answered_is_recovered_once() {
    let (bucket, primary) = serving().await;
    let addr = primary.addr;
    // Stored, its answer lost, and every later try too: the outcome stays unknown until a fence ends the trying.
    bucket.inject([Fault::LoseAnswer]);
    bucket.inject([Fault::LosePut; 1_000]);
    let in_doubt = tokio::spawn(async move { post(addr, &order("a", "buy", 100, 5)).await });
    support::eventually("the entry", async || {
        bucket.lines().iter().any(|line| line["client_order_id"] == "a").then_some(())
    })
    .await;
    bucket.fence(2);
    assert_eq!(in_doubt.await.unwrap().0, 503);
    bucket.seal(2, "run");
    bucket.open(2, Holder::Recovery, "run");
    let recovery = exchange(&bucket, "recovery", "2").await;
    mode(&recovery, "serving").await;
    let (_, again) = post(recovery.addr, &order("a", "buy", 100, 5)).await;
    assert_eq!(again["duplicate"], true);
    assert_eq!(get(recovery.addr, "/orders/a").await.1["acceptances"], 1);
    recovery.stop().await;
    primary.stop().await;
}
