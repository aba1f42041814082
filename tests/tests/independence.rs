//! After the alarm nothing on the default path needs more than the recovery Region: derived from the definition, the
//! functions' sources and the template (see `lifeboat_tests::independence`), and each finding seen to be found.

use std::collections::BTreeSet;

use lifeboat_tests::definition::Definition;
use lifeboat_tests::independence::{
    COMMAND, Code, Entrance, Independence, STRATEGIES, Sources, parts, path, read_sources,
};
use lifeboat_tests::{FUNCTIONS, page, template, world::places};
use serde_json::{Value, json};

fn template() -> Value {
    template::read(&places::repository().join("infra/orchestrator.yaml")).expect("the template")
}

fn sources() -> Sources {
    read_sources(&FUNCTIONS).expect("the sources")
}

fn derive(template: &Value, sources: &Sources) -> Independence {
    let definition = Definition::read().expect("the definition");
    Independence::derive(&definition, template, sources).expect("sources in Rust")
}

/// The sources with `what` put behind `mark` in a file.
fn with(file: &str, mark: &str, what: &str) -> Sources {
    let mut sources = sources();
    let text = sources.get_mut(file).unwrap_or_else(|| panic!("there is no {file}"));
    assert!(text.contains(mark), "{file} has no `{mark}`");
    *text = text.replacen(mark, &format!("{mark}\n{what}"), 1);
    sources
}

#[test]
fn the_default_path_needs_the_recovery_region_alone() {
    let found = derive(&template(), &sources());
    assert_eq!(found.blind_spots(), Vec::<String>::new(), "the tables may lie");
    assert_eq!(found.dependencies("switch"), Vec::<String>::new());
    // The other strategy is the proof that the look can find something.
    let records = found.dependencies("records");
    assert_eq!(records.len(), 2, "{records:?}");
    assert!(records.iter().all(|found| found.starts_with("Flip the traffic: Route 53")), "{records:?}");
}

#[test]
fn a_call_that_needs_more_is_found_wherever_it_is_made() {
    // In the function that acts, under the default strategy.
    let act = "        Action::Flip {} => {";
    let spoilt = with(
        "dns-flip/src/lib.rs",
        act,
        "let _ = zone.route53.get_health_check().health_check_id(\"x\").send().await;",
    );
    let found = derive(&template(), &spoilt);
    let unknown = found.blind_spots();
    assert!(unknown.iter().any(|found| found.contains("route53 GetHealthCheck")), "{unknown:?}");
    let spoilt = with(
        "dns-flip/src/lib.rs",
        act,
        "let _ = zone.route53.list_resource_record_sets().hosted_zone_id(\"x\").send().await;",
    );
    let found = derive(&template(), &spoilt).dependencies("switch");
    assert_eq!(found, ["Flip the traffic: Route 53 ListResourceRecordSets needs us-east-1"]);
    // Deep below, in what every function shares.
    let spoilt = with(
        "runtime/src/store.rs",
        "    pub async fn create(&self, bucket: &str, key: &str, bytes: &[u8]) -> Result<Put, StepError> {",
        "let _ = self.s3.put_bucket_policy().bucket(bucket).send().await;",
    );
    let unknown = derive(&template(), &spoilt).blind_spots();
    assert!(
        unknown.len() > 10 && unknown.iter().all(|found| found.contains("PutBucketPolicy")),
        "{unknown:?}"
    );
    // A Region of its own.
    let spoilt =
        with("runtime/src/aws.rs", "pub async fn load_config() -> SdkConfig {", "let _ = x.region(y);");
    let unread = derive(&template(), &spoilt).blind_spots();
    assert!(unread.iter().any(|found| found.contains("`.region(..)`")), "{unread:?}");
}

#[test]
fn roles_allow_what_the_code_calls_and_no_more() {
    let found = derive(&template(), &sources());
    for strategy in STRATEGIES {
        assert_eq!(found.differences(strategy), Vec::<String>::new(), "{strategy}");
        assert_eq!(found.rights_elsewhere(strategy), Vec::<String>::new(), "{strategy}");
    }

    let of_role = |template: &mut Value, role: &str, statement: Value| {
        template["Resources"][role]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0] =
            statement;
    };
    let mut spoilt = template();
    let zone = json!({ "Effect": "Allow", "Action": "route53:ListResourceRecordSets", "Resource": "x" });
    of_role(&mut spoilt, "DnsAskRole", zone);
    let more = derive(&spoilt, &sources()).differences("switch");
    let expected = "the role of DnsAsk has route53:ListResourceRecordSets, and nothing calls what takes it";
    assert_eq!(more, [expected]);

    let mut spoilt = template();
    spoilt["Resources"]["SwitchPolicy"]["Properties"]["PolicyDocument"]["Statement"] = json!([]);
    let less = derive(&spoilt, &sources()).differences("switch");
    assert_eq!(less, ["DnsFlip calls what takes cloudwatch:PutMetricData, and its role has it not"]);

    let mut spoilt = template();
    let elsewhere = "arn:${AWS::Partition}:states:us-east-1:${AWS::AccountId}:stateMachine:x";
    let start = json!({ "Effect": "Allow", "Action": "states:StartExecution", "Resource": elsewhere });
    of_role(&mut spoilt, "AlarmTriggerRole", start);
    let found = derive(&spoilt, &sources()).rights_elsewhere("switch");
    assert_eq!(found, [format!("AlarmTrigger: states:StartExecution on {elsewhere}")]);

    let mut spoilt = template();
    let asked =
        &mut spoilt["Resources"]["StateMachine"]["Properties"]["DefinitionSubstitutions"]["DnsAskArn"];
    *asked = json!("DnsFlip.Arn");
    assert!(!derive(&spoilt, &sources()).differences("switch").is_empty());
}

#[test]
fn the_page_is_what_was_derived() {
    let page = std::fs::read_to_string(path()).expect("the page");
    let parts = parts(&derive(&template(), &sources()));
    for name in parts.keys() {
        assert!(page.contains(&format!("<!-- diagram:{name} -->")), "the page does not show `{name}`");
    }
    let renewed = page::renewed(&page, &parts).expect("marks in pairs");
    assert!(page == renewed, "the page is older than what it tells of; renew it: {COMMAND}");
}

/// A crate of two files, as the reading sees it.
fn small(main: &str, lib: &str) -> Code {
    let sources = Sources::from([
        ("small/src/main.rs".to_owned(), main.to_owned()),
        ("small/src/lib.rs".to_owned(), lib.to_owned()),
    ]);
    Code::read(&sources).expect("Rust")
}

fn called(code: &Code, entrance: Entrance<'_>, strategy: &str) -> Vec<String> {
    let calls = code.reach("small", entrance, strategy).calls;
    calls.into_iter().map(|call| format!("{}:{}", call.service, call.operation)).collect()
}

#[test]
fn calls_are_found_behind_methods_closures_macros_and_other_names() {
    let code = small(
        "use small::{far as near, Owner};
         async fn main() {
             let owner = Owner { s3: aws_sdk_s3::Client::new(&config) };
             serve(async |payload| {
                 if payload.get(\"step\").is_some() { return step(|request| handle(&owner, request)).await; }
                 near(&owner).await
             }).await
         }",
        "use aws_sdk_s3::Client;
         pub struct Owner { pub s3: Client }
         impl Owner {
             async fn get(&self, key: &str) { self.s3.get_object().key(key).send().await }
             async fn list(&self) { self.s3.list_buckets().send().await }
         }
         pub async fn handle(owner: &Owner, request: R) {
             match request.action {
                 Action::Read {} => owner.get(\"k\").await,
                 Action::Move {} => match strategy { Strategy::Switch => put(&owner.s3), Strategy::Records => keys.map(copy) },
                 Action::Say {} => log!({ \"all\": owner.list() }),
             }
         }
         fn put(client: &aws_sdk_s3::Client) { client.put_object().send() }
         fn copy(key: &str) { twice(key) }
         fn twice(owner: &Owner) { vec![owner.s3.copy_object().send()] }
         pub async fn far(owner: &Owner) { if x == Strategy::Records { owner.s3.delete_object() } else { owner.s3.head_object() } }
         #[cfg(test)] mod tests { fn never(owner: &Owner) { owner.s3.delete_bucket() } }",
    );
    let step = |action, strategy| called(&code, Entrance::Step(action), strategy);
    assert_eq!(step("read", "switch"), ["s3:GetObject"]);
    assert_eq!(step("move", "switch"), ["s3:PutObject"]);
    assert_eq!(step("move", "records"), ["s3:CopyObject"]);
    assert_eq!(step("say", "switch"), ["s3:ListBuckets"]);
    assert_eq!(called(&code, Entrance::Event, "switch"), ["s3:HeadObject"]);
    assert_eq!(called(&code, Entrance::Event, "records"), ["s3:DeleteObject"]);
}

#[test]
fn what_cannot_be_followed_is_a_finding() {
    let unread = |body: &str| -> BTreeSet<String> {
        let lib = "use aws_sdk_s3::Client; pub struct Owner { s3: Client }";
        let code = small(&format!("fn main() {{ {body} }}"), lib);
        code.reach("small", Entrance::Event, "switch").unread
    };
    for seen in [
        "owner.s3.get_object();",
        "let s3 = aws_sdk_s3::Client::new(&config); s3.get_object();",
        "let owner = Owner { s3: aws_sdk_s3::Client::new(&config) }; owner.s3.get_object();",
    ] {
        assert_eq!(unread(seen), BTreeSet::new(), "{seen}");
    }
    for hidden in [
        "let mine = aws_sdk_s3::Client::new(&config); mine.get_object();",
        "let mine = Client::from_conf(config); mine.get_object();",
        "let mine = aws_sdk_s3::Client::new(&load().await).clone(); mine.get_object();",
        "let s3 = aws_sdk_route53::Client::new(&config); s3.get_object();",
        "let mine: aws_sdk_s3::Client = made(); mine.get_object();",
        "all(|mine: &Client| mine.get_object());",
        "aws_sdk_s3::Client::new(&config).get_object();",
        "builder.region(there);",
        "builder.set_region(Some(there));",
        "builder.set_endpoint_url(Some(there));",
        "let there = Region::new(\"us-east-1\");",
        "let other = &owner.s3; other.get_object();",
        "let other = owner.s3.clone(); other.get_object();",
        "let Owner { s3: other } = owner; other.get_object();",
        "say!({ \"a\": owner.s3.get_object() });",
        "builder.endpoint_url(\"http://elsewhere\");",
    ] {
        assert!(!unread(hidden).is_empty(), "not seen: {hidden}");
    }
    let code =
        small("fn main() { small::made().get_object(); }", "pub fn made() -> aws_sdk_s3::Client { x() }");
    assert!(!code.reach("small", Entrance::Event, "switch").unread.is_empty(), "a client that is given back");
    assert!(Code::read(&Sources::from([("a/src/main.rs".into(), "fn (".into())])).is_err());
}
