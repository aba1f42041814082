//! A YAML document whose every part knows its place in the file.
//!
//! The rules judge plain values and name what is wrong by path; the place of a path is looked up afterwards.
//! YAML itself is `serde-saphyr`'s: types, anchors, duplicate keys, limits against hostile documents.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Location, Spanned};

/// A line and a column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

impl Place {
    fn of(location: Location) -> Option<Self> {
        (location != Location::UNKNOWN).then(|| Self { line: location.line(), column: location.column() })
    }
}

/// A parsed document.
#[derive(Debug)]
pub struct Document {
    /// What it says, without places.
    pub value: Value,
    places: HashMap<String, Place>,
}

/// Why a document could not be parsed.
#[derive(Debug)]
pub struct ParseError {
    /// What is wrong.
    pub message: String,
    /// Where, if the parser knows.
    pub place: Option<Place>,
}

impl Document {
    /// Parses YAML, of which JSON is a part.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        // YAML 1.2: `no` is a text (and a country), only true and false are booleans.
        let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
        let node: Spanned<Node> =
            serde_saphyr::from_str_with_options(text, options).map_err(|error| ParseError::of(&error))?;
        let mut places = HashMap::new();
        let value = settle(node, String::new(), None, &mut places);
        Ok(Self { value, places })
    }

    /// The place of a path such as `stacks[1].name`: the key, or the item of a list. Of what is not in the
    /// document (a missing field), the place of the nearest part around it that is.
    pub fn place(&self, path: &str) -> Option<Place> {
        let mut path = path;
        loop {
            if let Some(place) = self.places.get(path) {
                return Some(*place);
            }
            path = match path.rfind(['.', '[']) {
                Some(end) => &path[..end],
                None if path.is_empty() => return None,
                None => "",
            };
        }
    }
}

impl ParseError {
    fn of(error: &serde_saphyr::Error) -> Self {
        let mut message = error.render_with_options(serde_saphyr::render_options! {
            formatter: &serde_saphyr::UserMessageFormatter,
            snippets: serde_saphyr::SnippetMode::Off,
        });
        // The place is told beside the message, not in it.
        if let Some(end) = message.rfind(" at line ") {
            message.truncate(end);
        }
        Self { message, place: error.location().and_then(Place::of) }
    }
}

/// Takes values and places apart.
fn settle(
    node: Spanned<Node>,
    path: String,
    key: Option<Location>,
    places: &mut HashMap<String, Place>,
) -> Value {
    let value = match node.value {
        Node::Scalar(value) => value,
        Node::List(items) => items
            .into_iter()
            .enumerate()
            .map(|(index, item)| settle(item, format!("{path}[{index}]"), None, places))
            .collect(),
        Node::Fields(fields) => {
            let mut object = Map::new();
            for (name, value) in fields {
                let at = if path.is_empty() { name.value.clone() } else { format!("{path}.{}", name.value) };
                object.insert(name.value, settle(value, at, Some(name.referenced), places));
            }
            Value::Object(object)
        }
    };
    if let Some(place) = Place::of(key.unwrap_or(node.referenced)) {
        places.insert(path, place);
    }
    value
}

/// One part of a document, its own parts with their places.
enum Node {
    Scalar(Value),
    List(Vec<Spanned<Node>>),
    Fields(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Number(value.into())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Number(value.into())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        // JSON has no infinity; as text it is refused wherever a number is wanted.
        Ok(Node::Scalar(
            Number::from_f64(value).map_or_else(|| Value::String(value.to_string()), Value::Number),
        ))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(Value::String(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Node::Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(document: &Document, path: &str) -> (u64, u64) {
        let place = document.place(path).unwrap_or_else(|| panic!("{path} has no place"));
        (place.line, place.column)
    }

    #[test]
    fn values_and_places_of_both_styles() {
        let text = "# A plan.\nname: aex\nprobe:\n  attempts: 3\nstacks:\n  - name: cluster\n    depends_on: [a, b]\n  - \
                    { name: exchange, size: 0x10 }\nempty:\nquoted: \"3\"\nno: no\n";
        let document = Document::parse(text).expect("YAML");
        assert_eq!(
            document.value,
            json!({
                "name": "aex", "probe": {"attempts": 3},
                "stacks": [{"name": "cluster", "depends_on": ["a", "b"]}, {"name": "exchange", "size": 16}],
                "empty": null, "quoted": "3", "no": "no"
            })
        );
        assert_eq!(at(&document, "name"), (2, 1));
        assert_eq!(at(&document, "probe.attempts"), (4, 3));
        assert_eq!(at(&document, "stacks"), (5, 1));
        assert_eq!(at(&document, "stacks[0]"), (6, 5));
        assert_eq!(at(&document, "stacks[0].depends_on[1]"), (7, 21));
        assert_eq!(at(&document, "stacks[1].name"), (8, 7));
        assert_eq!(at(&document, "probe.missing"), (3, 1), "the section that lacks it");
        assert_eq!(at(&document, "missing.altogether"), (2, 1), "the document's first part");
    }

    #[test]
    fn anchors_are_placed_where_they_are_used() {
        let document = Document::parse("a: &x [1, 2]\nb: *x\nc:\n  - *x\n").expect("YAML");
        assert_eq!(document.value, json!({"a": [1, 2], "b": [1, 2], "c": [[1, 2]]}));
        assert_eq!(at(&document, "b"), (2, 1));
        assert_eq!(at(&document, "c[0]"), (4, 5));
    }

    #[test]
    fn cloudformation_tags_and_json_are_read() {
        let text = "Parameters:\n  Epoch: {Type: String}\nConditions:\n  Yes: !Equals [!Ref Epoch, \"1\"]\nMappings:\n  \
                    Size:\n    1: {a: !Sub \"${Epoch}\"}\nOutputs:\n  Arn: !GetAtt Cluster.Arn\n";
        let document = Document::parse(text).expect("YAML");
        assert_eq!(document.value["Conditions"]["Yes"], json!(["Epoch", "1"]));
        assert_eq!(document.value["Outputs"]["Arn"], json!("Cluster.Arn"));
        assert_eq!(document.value["Mappings"]["Size"]["1"]["a"], json!("${Epoch}"));
        let document = Document::parse("{\n  \"name\": \"aex\"\n}\n").expect("JSON");
        assert_eq!(document.value, json!({"name": "aex"}));
        assert_eq!(at(&document, "name"), (2, 3));
    }

    #[test]
    fn what_is_no_yaml_is_refused_with_its_place() {
        for (text, line, says) in [
            ("a: 1\na: 2\n", 2, "duplicate"),
            ("a: [1, 2\nb: 3\n", 2, ""),
            ("a: 1\n\tb: 2\n", 1, "tab"),
            ("a: *nowhere\n", 1, "unknown value"),
        ] {
            let error = Document::parse(text).expect_err(text);
            assert_eq!(error.place.expect("a place").line, line, "{text:?}: {error:?}");
            assert!(error.message.contains(says), "{error:?}");
            assert!(!error.message.contains(" line "), "{error:?}");
        }
    }
}
