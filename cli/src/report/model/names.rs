//! Ten thousand names in little room: without what they end in alike, and no more than a page may hold.

use serde::Serialize;

/// Bytes that lists of names may still take.
pub(super) struct Room(pub(super) usize);

/// Names in a compact form.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Names {
    /// What each of them ends in, from a dot on; empty where they have nothing in common.
    pub(crate) suffix: String,
    /// The first of them, without it; what is said of a name stands behind it.
    pub(crate) names: Vec<String>,
    /// How many there are in all.
    pub(crate) count: usize,
}

impl Names {
    /// Takes as many as there is room for; each with what is said of it, which may be nothing.
    pub(super) fn new<'a>(all: impl Iterator<Item = (&'a str, String)> + Clone, room: &mut Room) -> Names {
        let suffix = suffix(all.clone().map(|(name, _)| name));
        let count = all.clone().count();
        let mut names = Vec::new();
        for (name, said) in all {
            let short = name.strip_suffix(suffix).unwrap_or(name);
            let line = if said.is_empty() { short.to_owned() } else { format!("{short} {said}") };
            // With the comma and the space behind it.
            let Some(left) = room.0.checked_sub(line.len() + 2) else { break };
            room.0 = left;
            names.push(line);
        }
        Names { suffix: suffix.to_owned(), names, count }
    }

    /// How many are not told.
    pub(crate) fn untold(&self) -> usize {
        self.count - self.names.len()
    }
}

/// The longest that all of them end in, from a dot on, and that is not all of any of them.
fn suffix<'a>(mut names: impl Iterator<Item = &'a str>) -> &'a str {
    let Some(first) = names.next() else { return "" };
    let behind_first = |text: &'a str| {
        let (at, _) = text.char_indices().skip(1).find(|(_, c)| *c == '.')?;
        Some(&text[at..])
    };
    let mut suffix = behind_first(first).unwrap_or_default();
    for name in names {
        while !suffix.is_empty() && (!name.ends_with(suffix) || name.len() == suffix.len()) {
            suffix = behind_first(suffix).unwrap_or_default();
        }
    }
    suffix
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(all: &[&str], room: usize) -> Names {
        Names::new(all.iter().map(|name| (*name, String::new())), &mut Room(room))
    }

    #[test]
    fn what_all_end_in_is_said_once() {
        let told = names(&["a.aex.internal", "b.aex.internal", "c.d.aex.internal"], 100);
        assert_eq!((told.suffix.as_str(), told.names.join(" ").as_str()), (".aex.internal", "a b c.d"));
        assert_eq!(names(&["a.x", "b.y"], 100).suffix, "");
        assert_eq!(names(&["aex.internal", "a.aex.internal"], 100).suffix, ".internal");
        assert_eq!(names(&["alone.aex.internal"], 100).names, ["alone"]);
        assert_eq!(names(&["localhost", "a.localhost"], 100).suffix, "");
        assert_eq!(names(&[], 100), Names::default());
        assert_eq!(names(&["ü.x", "é.x"], 100).names, ["ü", "é"]);
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut room = Room(10);
        let told = Names::new(
            ["one.x", "two.x", "three.x"].into_iter().map(|name| (name, String::new())),
            &mut room,
        );
        assert_eq!((told.names.len(), told.count, told.untold(), room.0), (2, 3, 1, 0));
    }
}
