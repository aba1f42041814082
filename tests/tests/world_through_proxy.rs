//! The emulator behind the proxy, as Lambdas and containers see it: the real SDK, conditional puts, large bodies.

use std::fs;
use std::process::Command;

use aws_sdk_s3::primitives::ByteStream;
use lifeboat_tests::world::deploy::{
    Bucket, Packing, StackSpec, create_bucket, create_stack, package, upload,
};
use lifeboat_tests::world::proxy::Scope;
use lifeboat_tests::world::{Clients, ORIGIN_LAMBDA, World, WorldOptions};

const TEMPLATE: &str = "
AWSTemplateFormatVersion: '2010-09-09'
Resources:
  Function:
    Type: AWS::Lambda::Function
    Properties:
      FunctionName: caller
      Runtime: provided.al2023
      Handler: bootstrap
      Role: arn:aws:iam::000000000000:role/none
      Timeout: 20
      Code: { S3Bucket: packages, S3Key: caller.zip }
";

/// For each event: asks SQS, signed for the Region in the event, at the endpoint that it was given, and says how it went.
const CALLER: &str = r#"#!/usr/bin/env python3
import json, os, urllib.request as http
api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    event = http.urlopen(api + "next")
    id = event.headers["Lambda-Runtime-Aws-Request-Id"]
    scope = "Credential=test/20261123/" + json.load(event)["region"] + "/sqs/aws4_request"
    head = {"Authorization": "AWS4-HMAC-SHA256 " + scope, "X-Amz-Target": "AmazonSQS.ListQueues",
            "Content-Type": "application/x-amz-json-1.0"}
    try:
        said = http.urlopen(http.Request(os.environ["AWS_ENDPOINT_URL"], b"{}", head)).status
    except Exception as why:
        said = type(why).__name__
    http.urlopen(http.Request(api + id + "/response", data=json.dumps(said).encode(), method="POST"))
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_works_through_the_proxy_as_it_does_without() {
    let mut world = World::start(WorldOptions::default()).await.unwrap();
    create_bucket(&world.clients("eu-central-1"), &Bucket::versioned("log")).await.unwrap();
    let through = Clients::new(&world.entrance("eu-west-1").await.unwrap(), "eu-central-1");

    let key = "log/ME1/00000000000000000001.ndjson";
    let put = || through.s3.put_object().bucket("log").key(key).if_none_match("*");
    put().body(ByteStream::from_static(b"{}\n")).send().await.unwrap();
    let taken = put().body(ByteStream::from_static(b"[]\n")).send().await.unwrap_err();
    assert_eq!(taken.raw_response().map(|answer| answer.status().as_u16()), Some(412));
    let found = through.s3.get_object().bucket("log").key(key).send().await.unwrap();
    assert_eq!(&found.body.collect().await.unwrap().into_bytes()[..], b"{}\n");
    through.s3.head_object().bucket("log").key(key).send().await.unwrap();

    // From a file the SDK streams, with its checksum after the body.
    let large = world.run().scratch().join("large");
    let bytes: Vec<u8> =
        (0..8_000_000_u32).flat_map(|number| number.to_le_bytes().into_iter().take(1)).collect();
    fs::write(&large, &bytes).unwrap();
    let body = ByteStream::from_path(&large).await.unwrap();
    through.s3.put_object().bucket("log").key("a b/ü+%2F").body(body).send().await.unwrap();
    let found = through.s3.get_object().bucket("log").key("a b/ü+%2F").send().await.unwrap();
    assert!(found.body.collect().await.unwrap().into_bytes() == bytes);
    let listed = through.s3.list_objects_v2().bucket("log").prefix("a b/").send().await.unwrap();
    assert_eq!(listed.contents()[0].key(), Some("a b/ü+%2F"));

    let puts = world.proxy().calls_in(&Scope::region("eu-central-1").service("s3").method("PUT"));
    assert_eq!(puts.iter().map(|put| put.status).collect::<Vec<_>>(), [Some(200), Some(412), Some(200)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lambda_calls_aws_through_the_proxy() {
    let world = World::start(WorldOptions::default()).await.unwrap();
    let clients = world.clients(world.recovery());
    let folder = world.run().scratch();
    let caller = folder.join("caller");
    fs::write(&caller, CALLER).unwrap();
    let zip = package(&caller, &folder.join("packages"), Packing::Stored).unwrap();
    create_bucket(&clients, &Bucket::plain("packages")).await.unwrap();
    upload(&clients, "packages", "caller.zip", &zip.path).await.unwrap();
    let template = folder.join("template.yaml");
    fs::write(&template, TEMPLATE).unwrap();
    create_stack(&clients, &StackSpec::new("caller", &template)).await.unwrap();

    let call = |region: &str| {
        let answer = folder.join("answer.json");
        let done = Command::new(world.venv().program("aws"))
            .args(["--endpoint-url", &world.endpoint(), "--region", world.recovery(), "lambda", "invoke"])
            .args(["--function-name", "caller", "--payload", &format!("{{\"region\": \"{region}\"}}")])
            .arg(&answer)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
        fs::read_to_string(answer).unwrap()
    };
    assert_eq!(call("eu-west-1"), "200");
    world.proxy().refuse_region("eu-west-1");
    assert_eq!(call("eu-west-1"), "\"RemoteDisconnected\"");
    assert_eq!(call("eu-central-1"), "200");

    let calls = world.proxy().calls_in(&Scope::origin(ORIGIN_LAMBDA).operation("ListQueues"));
    let faults: Vec<_> = calls.iter().map(|call| call.fault).collect();
    assert_eq!(faults, [None, Some("refused"), None]);
}
