//! What the template deploys: which function is which package, who calls it, and what its role allows.

use std::collections::BTreeSet;

use serde_json::Value;

/// A function of the template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployed {
    /// Its name in the template: `DnsAsk`.
    pub resource: String,
    /// The crate that it is built from: `dns-flip`.
    pub package: String,
}

/// Something of the template that calls a function by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Its name in the template.
    pub name: String,
    /// In a person's words: `schedule`, or the principal that the permission names.
    pub by: String,
    /// The function's name in the template.
    pub function: String,
    /// What a schedule asks for.
    pub action: Option<String>,
    /// The one strategy under which it is there; both where that is none.
    pub strategy: Option<&'static str>,
}

/// Every function.
pub fn functions(template: &Value) -> Vec<Deployed> {
    of_kind(template, "AWS::Serverless::Function")
        .map(|(resource, function)| {
            let key = function["Properties"]["CodeUri"]["Key"].as_str().unwrap_or_default();
            let package = key.rsplit('}').next().unwrap_or_default().trim_end_matches(".zip");
            Deployed { resource: resource.to_owned(), package: package.to_owned() }
        })
        .collect()
}

/// Every schedule, and everything that has a permission to call a function.
pub fn callers(template: &Value) -> Vec<Caller> {
    let strategy = |resource: &Value| match resource["Condition"].as_str() {
        Some("BySwitch") => Some("switch"),
        Some("ByRecords") => Some("records"),
        _ => None,
    };
    let schedules = of_kind(template, "AWS::Scheduler::Schedule").map(|(name, schedule)| {
        let target = &schedule["Properties"]["Target"];
        let input: Value =
            target["Input"].as_str().and_then(|input| serde_json::from_str(input).ok()).unwrap_or_default();
        Caller {
            name: name.to_owned(),
            by: rate(&schedule["Properties"]["ScheduleExpression"]),
            function: named(&target["Arn"]),
            action: input["action"].as_str().map(str::to_owned),
            strategy: strategy(schedule),
        }
    });
    let permissions = of_kind(template, "AWS::Lambda::Permission").map(|(name, permission)| Caller {
        name: name.to_owned(),
        by: permission["Properties"]["Principal"].as_str().unwrap_or_default().to_owned(),
        function: named(&permission["Properties"]["FunctionName"]),
        action: None,
        strategy: strategy(permission),
    });
    schedules.chain(permissions).collect()
}

/// The function that a substitution of the definition names: `DnsAskArn` is `DnsAsk`.
pub fn substituted(template: &Value, name: &str) -> String {
    template["Resources"]["StateMachine"]["Properties"]["DefinitionSubstitutions"][name]
        .as_str()
        .unwrap_or_default()
        .trim_end_matches(".Arn")
        .to_owned()
}

/// What the role of a function, or of the state machine, allows under a strategy: each action with its resource.
pub fn rights(template: &Value, resource: &str, strategy: &str) -> BTreeSet<(String, String)> {
    let properties = &template["Resources"][resource]["Properties"];
    let role = named(if properties["Role"].is_null() { &properties["RoleArn"] } else { &properties["Role"] });
    let role = &template["Resources"][&role]["Properties"];
    let inline = chosen(&role["Policies"], strategy).into_iter().map(|policy| &policy["PolicyDocument"]);
    let managed = chosen(&role["ManagedPolicyArns"], strategy).into_iter().filter_map(Value::as_str);
    let managed = managed.map(|name| &template["Resources"][name]["Properties"]["PolicyDocument"]);
    let mut rights = BTreeSet::new();
    for document in inline.chain(managed) {
        for statement in chosen(&document["Statement"], strategy) {
            if statement["Effect"] != "Allow" {
                continue;
            }
            for action in texts(&statement["Action"]) {
                rights.extend(texts(&statement["Resource"]).map(|on| (action.to_owned(), on.to_owned())));
            }
        }
    }
    rights
}

/// A list without what a condition takes out of it. `!If [BySwitch, a, b]` reads as its list of three; of a condition that is
/// not the strategy's, both sides count.
fn chosen<'a>(list: &'a Value, strategy: &str) -> Vec<&'a Value> {
    let mut out = Vec::new();
    for item in list.as_array().into_iter().flatten() {
        match item.as_array().map(Vec::as_slice) {
            Some([condition, yes, no]) if condition.is_string() => match condition.as_str() {
                Some("BySwitch") => out.push(if strategy == "switch" { yes } else { no }),
                Some("ByRecords") => out.push(if strategy == "records" { yes } else { no }),
                _ => out.extend([yes, no]),
            },
            _ => out.push(item),
        }
    }
    out.retain(|item| item.as_str() != Some("AWS::NoValue"));
    out
}

fn named(reference: &Value) -> String {
    reference.as_str().unwrap_or_default().trim_end_matches(".Arn").to_owned()
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice).iter().filter_map(Value::as_str)
}

fn of_kind<'a>(template: &'a Value, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let resources = template["Resources"].as_object().into_iter().flatten();
    resources
        .filter(move |(_, resource)| resource["Type"] == kind)
        .map(|(name, resource)| (name.as_str(), resource))
}

/// How often a schedule calls; where a condition chooses (`!If`), both ways.
fn rate(expression: &Value) -> String {
    match expression {
        Value::Array(choice) => {
            choice.iter().skip(1).filter_map(Value::as_str).collect::<Vec<_>>().join(" or ")
        }
        one => one.as_str().unwrap_or_default().to_owned(),
    }
}
