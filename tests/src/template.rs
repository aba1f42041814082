//! CloudFormation templates as plain values.

use std::path::Path;

use serde_json::Value;

/// Reads a template. The short forms lose their tag: `!Ref X` reads as `X`, `!GetAtt X.Arn` as `X.Arn`, and `!If` as
/// its list, which is all that a look at names, types and policies needs.
///
/// # Errors
/// Where it is not there, or is no YAML.
pub fn read(path: &Path) -> std::io::Result<Value> {
    parse(&std::fs::read_to_string(path)?)
        .map_err(|why| std::io::Error::other(format!("{}: {why}", path.display())))
}

/// The same of a text.
///
/// # Errors
/// Where it is no YAML.
pub fn parse(text: &str) -> Result<Value, serde_saphyr::Error> {
    // YAML 1.2, as CloudFormation's own words need it: `OFF` and `no` are texts.
    serde_saphyr::from_str_with_options(
        text,
        serde_saphyr::options! { strict_booleans: true, with_snippet: false },
    )
}
