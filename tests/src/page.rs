//! Pages of the repository with parts that are made from it, between marks `<!-- diagram:NAME -->` and `<!-- /diagram:NAME -->`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

/// The parts that are made, by the names of their marks.
pub type Parts = BTreeMap<&'static str, String>;

/// Prints `parts`, or renews them in `pages`.
///
/// # Errors
/// A page cannot be read or written, or as [`renewed`].
pub fn print_or_write(parts: &Parts, pages: &[PathBuf], write: bool) -> Result<(), String> {
    if !write {
        for part in parts.values() {
            println!("{part}\n");
        }
        return Ok(());
    }
    for path in pages {
        let at = path.display();
        let old = std::fs::read_to_string(path).map_err(|why| format!("{at}: {why}"))?;
        let new = renewed(&old, parts).map_err(|why| format!("{at}: {why}"))?;
        if new != old {
            std::fs::write(path, new).map_err(|why| format!("{at}: {why}"))?;
            anstream::eprintln!("renewed {at}");
        }
    }
    Ok(())
}

/// The text with every part that it has marks for made new.
///
/// # Errors
/// A mark of an unknown part, or one that is not closed.
pub fn renewed(text: &str, parts: &Parts) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("<!-- diagram:") {
        let (before, marked) = rest.split_at(at);
        let (name, _) = marked["<!-- diagram:".len()..].split_once(" -->").ok_or("a mark without its end")?;
        let part = parts.get(name).ok_or_else(|| format!("there is no part `{name}`"))?;
        let end = format!("<!-- /diagram:{name} -->");
        let (_, after) = marked.split_once(&end).ok_or_else(|| format!("the part `{name}` is not closed"))?;
        let _ = write!(out, "{before}<!-- diagram:{name} -->\n{part}\n{end}");
        rest = after;
    }
    Ok(out + rest)
}
