//! Whether a CloudFormation template can be launched on the day.
//!
//! Pure functions over a parsed template, so that the command line and a test of the repository's own templates
//! judge alike. They see what stands in the template, not what it would make of its parameters.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Problem, RESERVED_PARAMETERS};

/// Bytes in a template that is launched from a bucket: CloudFormation's own limit.
pub const TEMPLATE_BYTES_MAX: usize = 1_000_000;

/// Resources that no template may make on the day, and why. A kind that ends in `::` stands for all below it.
const FORBIDDEN: [(&str, &str); 6] = [
    ("AWS::IAM::", "IAM's control plane is in us-east-1"),
    ("AWS::S3::Bucket", "S3's control plane for new buckets is in us-east-1"),
    ("AWS::S3::BucketPolicy", "a bucket's configuration goes through a control plane that may be down"),
    ("AWS::Route53::", "Route 53's control plane is in us-east-1, and only the flip may move records"),
    ("AWS::CloudFront::", "CloudFront's control plane is in us-east-1"),
    ("AWS::CloudFormation::Stack", "a nested stack hides what it makes from this check"),
];

/// What is wrong with a template by itself. Fields are paths in the template.
///
/// It declares the parameters that Lifeboat sets, and creates nothing that must exist beforehand: a launch that
/// needs a control plane in another Region fails in just the outage that it is meant for.
pub fn check(template: &Value) -> Vec<Problem> {
    let mut found = Vec::new();
    let Some(resources) = template.get("Resources").and_then(Value::as_object) else {
        found.push(Problem::new("Resources", "is missing: this is no CloudFormation template"));
        return found;
    };
    if template.get("Transform").is_some() {
        found.push(Problem::new("Transform", "makes resources that this check cannot see; write them out"));
    }
    for name in RESERVED_PARAMETERS {
        match declared(template).and_then(|parameters| parameters.get(name)) {
            None => found.push(Problem::new(
                "Parameters",
                format!("lacks `{name}` (Type: String), which Lifeboat sets on every stack that it launches"),
            )),
            Some(parameter) => takes_what_lifeboat_sets(name, parameter, &mut found),
        }
    }
    for (name, resource) in resources {
        let kind = resource.get("Type").and_then(Value::as_str).unwrap_or_default();
        let forbids = |forbidden: &str| {
            if forbidden.ends_with("::") { kind.starts_with(forbidden) } else { kind == forbidden }
        };
        if let Some((_, why)) = FORBIDDEN.iter().find(|(forbidden, _)| forbids(forbidden)) {
            found.push(Problem::new(
                format!("Resources.{name}"),
                format!("makes {kind} on the day, but {why}; make it beforehand and pass it as a parameter"),
            ));
        }
    }
    found
}

fn takes_what_lifeboat_sets(name: &str, parameter: &Value, found: &mut Vec<Problem>) {
    let at = format!("Parameters.{name}");
    let kind = parameter.get("Type").and_then(Value::as_str).unwrap_or_default();
    match (name, kind) {
        ("RecoveryMode", "String") | ("Epoch", "String" | "Number") => {}
        _ => found.push(Problem::new(format!("{at}.Type"), "must be String")),
    }
    if name == "RecoveryMode" && !allows(parameter, "true") {
        found.push(Problem::new(
            format!("{at}.AllowedValues"),
            "must allow \"true\", which is what Lifeboat sets",
        ));
    }
}

/// What is wrong between a plan's parameters and the template that they are for. Fields are paths in the plan,
/// below `at` (`stacks[0].parameters`). Parameters that Lifeboat sets are another rule's business.
pub fn check_parameters(at: &str, given: &BTreeMap<String, String>, template: &Value) -> Vec<Problem> {
    let none = Map::new();
    let declared = declared(template).unwrap_or(&none);
    let ours = |name: &str| RESERVED_PARAMETERS.contains(&name);
    let mut found = Vec::new();
    for (name, value) in given.iter().filter(|(name, _)| !ours(name)) {
        let field = format!("{at}.{name}");
        match declared.get(name) {
            None => {
                let names: Vec<&str> =
                    declared.keys().map(String::as_str).filter(|name| !ours(name)).collect();
                let message = match names.as_slice() {
                    [] => "the template declares no such parameter, nor any that a plan could set".to_owned(),
                    names => format!("the template declares no such parameter; it has {}", names.join(", ")),
                };
                found.push(Problem::new(field, message));
            }
            Some(parameter) if !allows(parameter, value) => {
                found.push(Problem::new(field, format!("the template does not allow the value {value:?}")));
            }
            Some(parameter) if is_number(parameter) && value.trim().parse::<f64>().is_err() => {
                found
                    .push(Problem::new(field, format!("the template wants a number, but this is {value:?}")));
            }
            Some(_) => {}
        }
    }
    let missing: Vec<&str> = declared
        .iter()
        .filter(|(name, parameter)| {
            !ours(name) && parameter.get("Default").is_none() && !given.contains_key(*name)
        })
        .map(|(name, _)| name.as_str())
        .collect();
    if !missing.is_empty() {
        let names = missing.join(", ");
        found.push(Problem::new(at, format!("lacks {names}, for which the template has no default")));
    }
    found
}

fn declared(template: &Value) -> Option<&Map<String, Value>> {
    template.get("Parameters").and_then(Value::as_object)
}

fn is_number(parameter: &Value) -> bool {
    parameter.get("Type").and_then(Value::as_str) == Some("Number")
}

/// Whether a parameter's `AllowedValues` hold this one; true and numbers may stand there without quotes.
fn allows(parameter: &Value, value: &str) -> bool {
    let Some(allowed) = parameter.get("AllowedValues").and_then(Value::as_array) else { return true };
    allowed.iter().any(|allowed| match allowed {
        Value::String(allowed) => allowed == value,
        other => {
            let written = other.to_string();
            written == value
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template() -> Value {
        json!({
            "Parameters": {
                "Epoch": { "Type": "String" },
                "RecoveryMode": { "Type": "String", "AllowedValues": [true, "false"] },
                "Bucket": { "Type": "String" },
                "Port": { "Type": "Number", "Default": 8080 },
                "Size": { "Type": "String", "Default": "small", "AllowedValues": ["small", "large", 3] }
            },
            "Resources": { "Cluster": { "Type": "AWS::ECS::Cluster" } }
        })
    }

    fn fields(found: &[Problem]) -> Vec<&str> {
        found.iter().map(|problem| problem.field.as_str()).collect()
    }

    #[test]
    fn a_good_template_passes() {
        assert_eq!(check(&template()), []);
    }

    #[test]
    fn what_is_no_template_is_refused() {
        assert_eq!(fields(&check(&json!("x"))), ["Resources"]);
        assert_eq!(fields(&check(&json!({ "Resources": [] }))), ["Resources"]);
    }

    #[test]
    fn the_parameters_that_lifeboat_sets_are_declared_and_take_its_values() {
        let mut without = template();
        without.as_object_mut().expect("an object").remove("Parameters");
        let found = check(&without);
        assert_eq!(fields(&found), ["Parameters", "Parameters"]);
        assert!(
            found[0].message.contains("`Epoch`") && found[1].message.contains("`RecoveryMode`"),
            "{found:?}"
        );
        let mut wrong = template();
        wrong["Parameters"]["Epoch"] = json!({ "Type": "Number" });
        assert_eq!(check(&wrong), []);
        wrong["Parameters"]["Epoch"] = json!({ "Type": "CommaDelimitedList" });
        wrong["Parameters"]["RecoveryMode"] = json!({ "Type": "String", "AllowedValues": ["yes", "no"] });
        assert_eq!(
            fields(&check(&wrong)),
            ["Parameters.Epoch.Type", "Parameters.RecoveryMode.AllowedValues"]
        );
    }

    #[test]
    fn what_must_exist_beforehand_is_not_made_on_the_day() {
        for kind in [
            "AWS::IAM::Role",
            "AWS::IAM::InstanceProfile",
            "AWS::S3::Bucket",
            "AWS::S3::BucketPolicy",
            "AWS::Route53::HostedZone",
            "AWS::Route53::HealthCheck",
            "AWS::Route53::RecordSet",
            "AWS::CloudFront::Distribution",
            "AWS::CloudFormation::Stack",
        ] {
            let mut wrong = template();
            wrong["Resources"]["Bad"] = json!({ "Type": kind });
            let found = check(&wrong);
            assert_eq!(fields(&found), ["Resources.Bad"]);
            assert!(found[0].message.contains(kind), "{found:?}");
        }
        for kind in ["AWS::ECS::Service", "AWS::S3::AccessPoint", "AWS::Route53Resolver::ResolverRule"] {
            let mut right = template();
            right["Resources"]["Good"] = json!({ "Type": kind });
            assert_eq!(check(&right), []);
        }
        let mut hidden = template();
        hidden["Transform"] = json!("AWS::Serverless-2016-10-31");
        assert_eq!(fields(&check(&hidden)), ["Transform"]);
    }

    #[test]
    fn parameters_are_declared_allowed_and_complete() {
        let given = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let at = "stacks[0].parameters";
        let good = given(&[("Bucket", "b"), ("Port", "80"), ("Size", "3")]);
        assert_eq!(check_parameters(at, &good, &template()), []);
        let bad = given(&[("Bukcet", "b"), ("Port", "http"), ("Size", "huge"), ("Epoch", "1")]);
        let found = check_parameters(at, &bad, &template());
        assert_eq!(
            fields(&found),
            ["stacks[0].parameters.Bukcet", "stacks[0].parameters.Port", "stacks[0].parameters.Size", at]
        );
        assert!(found[0].message.ends_with("it has Bucket, Port, Size"), "{found:?}");
        assert!(found[3].message.contains("lacks Bucket,"), "{found:?}");
    }
}
