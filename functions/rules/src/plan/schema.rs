//! The form of a plan as a JSON Schema, for editors. It is made from the types, with their own words.

use serde_json::Value;

use super::Plan;

impl Plan {
    /// The JSON Schema (2020-12) of a plan as people write it. It knows the form alone: what a value means, and whether the
    /// values go together, is for [`Plan::validate`].
    pub fn schema() -> Value {
        let mut schema = schemars::schema_for!(Plan).to_value();
        tidy(&mut schema);
        schema
    }
}

/// Takes out what only Rust means: a field that may be left out may not be empty, and a link in a docstring leads nowhere.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(fields) => {
            if let Some(Value::Array(types)) = fields.get_mut("type") {
                types.retain(|kind| kind != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    fields.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(choices)) = fields.get_mut("anyOf") {
                choices.retain(|choice| choice["type"] != "null");
                if let [Value::Object(only)] = choices.as_slice() {
                    let only = only.clone();
                    fields.remove("anyOf");
                    fields.extend(only);
                }
            }
            if fields.get("default").is_some_and(Value::is_null) {
                fields.remove("default");
            }
            if let Some(Value::String(words)) = fields.get_mut("description") {
                *words = words.replace("[`", "`").replace("`]", "`").replace('\n', " ");
            }
            fields.values_mut().for_each(tidy);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Follows a reference.
    fn resolved<'a>(root: &'a Value, part: &'a Value) -> &'a Value {
        match part["$ref"].as_str().and_then(|to| to.strip_prefix('#')) {
            Some(to) => root.pointer(to).expect("a definition"),
            None => part,
        }
    }

    /// Whether `value` has the form that `part` of the schema asks for.
    fn fits(root: &Value, part: &Value, value: &Value) -> bool {
        let part = resolved(root, part);
        if let Some(choices) = part["oneOf"].as_array() {
            return choices.iter().any(|choice| choice["const"] == *value);
        }
        match part["type"].as_str() {
            Some("string") => {
                value.is_string() && part["enum"].as_array().is_none_or(|of| of.contains(value))
            }
            Some("integer") => value.is_u64(),
            Some("boolean") => value.is_boolean(),
            Some("array") => value
                .as_array()
                .is_some_and(|items| items.iter().all(|item| fits(root, &part["items"], item))),
            Some("object") => {
                let Some(object) = value.as_object() else { return false };
                let required = part["required"].as_array().into_iter().flatten();
                let all = required.filter_map(Value::as_str).all(|name| object.contains_key(name));
                all && object.iter().all(|(name, value)| match &part["properties"][name] {
                    Value::Null => {
                        part["additionalProperties"].is_object()
                            && fits(root, &part["additionalProperties"], value)
                    }
                    field => fits(root, field, value),
                })
            }
            other => panic!("the schema has a type that this test does not know: {other:?}"),
        }
    }

    #[test]
    fn a_plan_fits_its_schema_and_a_misspelt_one_does_not() {
        let schema = Plan::schema();
        let plan: Value = serde_json::from_slice(include_bytes!("../../tests/plan.json")).expect("JSON");
        assert!(fits(&schema, &schema, &plan));
        for (path, value) in [
            ("/probe/attempt", Value::from(3)),
            ("/probe/attempts", Value::from("3")),
            ("/regions/primary", Value::Null),
            ("/dns/records/0/type", Value::from("MX")),
        ] {
            let mut spoilt = plan.clone();
            let (parent, name) = path.rsplit_once('/').expect("a path");
            spoilt.pointer_mut(parent).expect("a section")[name] = value;
            assert!(!fits(&schema, &schema, &spoilt), "{path}");
        }
        let mut without = plan;
        without["ledger"].as_object_mut().expect("a section").remove("bucket");
        assert!(!fits(&schema, &schema, &without), "a required field is missing");
    }

    #[test]
    fn every_field_says_what_it_is() {
        fn undescribed(path: &str, part: &Value, found: &mut Vec<String>) {
            for (name, field) in part["properties"].as_object().into_iter().flatten() {
                if field["description"].is_null() {
                    found.push(format!("{path}.{name}"));
                }
            }
        }
        let (schema, mut found) = (Plan::schema(), Vec::new());
        undescribed("plan", &schema, &mut found);
        for (name, definition) in schema["$defs"].as_object().expect("definitions") {
            undescribed(name, definition, &mut found);
        }
        assert_eq!(found, Vec::<String>::new());
        assert!(!schema.to_string().contains("[`"), "links of Rust's are left");
    }
}
