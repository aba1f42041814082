//! JSON for a person's eyes: what fits into a line stands in one.

use serde_json::Value;

/// Columns of a line, the indentation among them.
const COLUMNS: usize = 100;
const INDENTATION: usize = 2;

/// Writes it.
pub(super) fn readable(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, 0, &mut text);
    text
}

/// Writes a value at this depth, behind `before` characters of its line.
fn write(value: &Value, depth: usize, before: usize, text: &mut String) {
    let line = value.to_string();
    let indented = depth * INDENTATION;
    let fits = indented + before + line.chars().count() <= COLUMNS;
    let parts: Vec<(String, &Value)> = match value {
        Value::Object(fields) if !fits => {
            fields.iter().map(|(name, value)| (format!("{}: ", Value::from(name.as_str())), value)).collect()
        }
        Value::Array(items) if !fits => items.iter().map(|item| (String::new(), item)).collect(),
        _ => return text.push_str(&line),
    };
    let (open, close) = if value.is_object() { ('{', '}') } else { ('[', ']') };
    text.push(open);
    for (index, (name, value)) in parts.iter().enumerate() {
        text.push_str(if index == 0 { "\n" } else { ",\n" });
        text.push_str(&" ".repeat(indented + INDENTATION));
        text.push_str(name);
        write(value, depth + 1, name.chars().count(), text);
    }
    text.push('\n');
    text.push_str(&" ".repeat(indented));
    text.push(close);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_says_the_same_in_few_lines() {
        let digest = "0".repeat(64);
        let value = json!({ "short": [1, 2, { "a": "b" }], "long": [digest, digest], "empty": {} });
        let text = readable(&value);
        assert_eq!(serde_json::from_str::<Value>(&text).expect("it is JSON"), value);
        let digest = format!("\"{digest}\"");
        let told = format!(
            "{{\n  \"empty\": {{}},\n  \"long\": [\n    {digest},\n    {digest}\n  ],\n  \"short\": [1,2,{{\"a\":\"b\"}}]\n}}"
        );
        assert_eq!(text, told);
    }
}
