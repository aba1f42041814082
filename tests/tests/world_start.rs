//! A world comes up, takes a stack, and leaves nothing behind.

use std::fs;
use std::time::{Duration, Instant};

use lifeboat_tests::world::deploy::{Bucket, StackSpec, create_bucket, create_stack, lock_objects, upload};
use lifeboat_tests::world::{World, WorldError, WorldOptions};

const TOPIC: &str = "
AWSTemplateFormatVersion: '2010-09-09'
Parameters:
  Name: { Type: String }
Resources:
  Topic:
    Type: AWS::SNS::Topic
    Properties: { TopicName: !Ref Name }
Outputs:
  Topic: { Value: !Ref Topic }
";

/// No resource of this type is known, so the stack fails, and what comes after it is never made.
const BROKEN: &str = "
AWSTemplateFormatVersion: '2010-09-09'
Resources:
  First:
    Type: AWS::SNS::Topic
  Wait:
    Type: AWS::CloudFormation::WaitCondition
    DependsOn: First
    Properties: { Handle: !Ref Handle, Timeout: '1', Count: 1 }
  Handle:
    Type: AWS::CloudFormation::WaitConditionHandle
";

#[tokio::test(flavor = "multi_thread")]
async fn a_world_takes_stacks_and_buckets_and_says_why_a_stack_failed() {
    let began = Instant::now();
    let world = World::start(WorldOptions::default()).await.unwrap();
    println!("up in {:?}", began.elapsed());
    let clients = world.clients(world.recovery());
    let folder = world.run().scratch();

    let template = folder.join("topic.yaml");
    fs::write(&template, TOPIC).unwrap();
    let spec = StackSpec::new("topic", &template).parameter("Name", "alarms");
    let stack = create_stack(&clients, &spec).await.unwrap();
    assert_eq!(stack.output("Topic").unwrap(), "arn:aws:sns:eu-central-1:000000000000:alarms");
    assert!(stack.output("None").is_err());

    let template = folder.join("broken.yaml");
    fs::write(&template, BROKEN).unwrap();
    let broken = create_stack(&clients, &StackSpec::new("broken", &template)).await.unwrap_err();
    let WorldError::Stack(failure) = &broken else { panic!("{broken:?}") };
    assert_eq!((failure.resource.as_str(), failure.status.as_str()), ("Wait", "CREATE_FAILED"), "{failure}");

    // Larger than fits the request: it goes by way of a bucket.
    create_bucket(&clients, &Bucket::plain("staging")).await.unwrap();
    let padding = "# padding\n".repeat(6_000);
    fs::write(&template, format!("{padding}{TOPIC}")).unwrap();
    let large = StackSpec::new("large", &template).parameter("Name", "large");
    assert!(create_stack(&clients, &large).await.is_err());
    create_stack(&clients, &large.staged_in("staging")).await.unwrap();

    // Another Region knows nothing of it.
    let primary = world.clients(world.primary()).cloudformation;
    assert!(primary.describe_stacks().stack_name("topic").send().await.is_err());

    let ministack = world.ministack().pid();
    let path = world.stop();
    assert!(!fs::exists(format!("/proc/{ministack}")).unwrap(), "MiniStack is gone");
    assert!(path.join("ministack.log").is_file() && !path.join("scratch").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_bucket_keeps_what_it_was_given() {
    let world = World::start(WorldOptions::default()).await.unwrap();
    let clients = world.clients(world.recovery());
    let key = "aex/run/1.json";
    let file = world.run().scratch().join("record.json");
    fs::write(&file, "{}").unwrap();
    create_bucket(&clients, &Bucket::locked("evidence", 1)).await.unwrap();
    // As a stack makes it here, and then locked.
    create_bucket(&clients, &Bucket::plain("late")).await.unwrap();
    lock_objects(&clients, "late", 1).await.unwrap();
    for bucket in ["evidence", "late"] {
        upload(&clients, bucket, key, &file).await.unwrap();
        let versions = clients.s3.list_object_versions().bucket(bucket).send().await.unwrap();
        let version = versions.versions()[0].version_id().unwrap();
        let delete = clients.s3.delete_object().bucket(bucket).key(key).version_id(version);
        assert!(delete.send().await.is_err(), "a locked version was deleted from {bucket}");
    }

    // Twice the same key, where it must be free: the store itself refuses.
    let again = clients.s3.put_object().bucket("evidence").key(key).if_none_match("*").send().await;
    let refused = again.unwrap_err();
    assert_eq!(refused.raw_response().map(|answer| answer.status().as_u16()), Some(412));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_worlds_at_once_do_not_collide() {
    let (one, two) =
        tokio::join!(World::start(WorldOptions::default()), World::start(WorldOptions::default()));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_ne!(one.run().path(), two.run().path());
    assert_ne!(one.endpoint(), two.endpoint());

    create_bucket(&one.clients("eu-west-1"), &Bucket::plain("only-in-one")).await.unwrap();
    let seen = two.clients("eu-west-1").s3.list_buckets().send().await.unwrap();
    assert!(seen.buckets().is_empty());
    // Neither takes the other's scratch for a leftover.
    assert!(one.run().scratch().is_dir() && two.run().scratch().is_dir());
    drop(one);
    tokio::time::timeout(Duration::from_secs(5), two.clients("eu-west-1").s3.list_buckets().send())
        .await
        .unwrap()
        .unwrap();
}
