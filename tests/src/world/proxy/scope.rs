//! Which calls a rule is about.

use super::call::Call;

/// Which calls a rule is about. What is not said matches anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    origin: Option<String>,
    region: Option<String>,
    service: Option<String>,
    operation: Option<String>,
    method: Option<String>,
    path_prefix: Option<String>,
    path_like: Option<String>,
    pub(super) says: Option<String>,
}

impl Scope {
    /// Every call.
    pub fn everything() -> Self {
        Self::default()
    }

    /// Calls to a Region.
    pub fn region(region: &str) -> Self {
        Self { region: Some(region.to_owned()), ..Self::default() }
    }

    /// Calls from an origin.
    pub fn origin(origin: &str) -> Self {
        Self { origin: Some(origin.to_owned()), ..Self::default() }
    }

    /// And only from this origin.
    pub fn from(self, origin: &str) -> Self {
        Self { origin: Some(origin.to_owned()), ..self }
    }

    /// And only to this service.
    pub fn service(self, service: &str) -> Self {
        Self { service: Some(service.to_owned()), ..self }
    }

    /// And only for this operation (where the protocol names one).
    pub fn operation(self, operation: &str) -> Self {
        Self { operation: Some(operation.to_owned()), ..self }
    }

    /// And only by this method.
    pub fn method(self, method: &str) -> Self {
        Self { method: Some(method.to_owned()), ..self }
    }

    /// And only at paths that begin so: `/<bucket>/<key prefix>` for S3.
    pub fn path_prefix(self, prefix: &str) -> Self {
        Self { path_prefix: Some(prefix.to_owned()), ..self }
    }

    /// And only at this path and query, where `*` stands for any text.
    pub fn path_like(self, pattern: &str) -> Self {
        Self { path_like: Some(pattern.to_owned()), ..self }
    }

    /// And only with this text in the body: tells one epoch's write from another's at the same place.
    pub fn says(self, text: &str) -> Self {
        Self { says: Some(text.to_owned()), ..self }
    }

    /// Whether a call is in the scope, but for what its body says. A call that does not say its Region is in no
    /// Region's scope.
    pub fn covers(&self, call: &Call) -> bool {
        let same = |wanted: &Option<String>, is: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| is == Some(wanted))
        };
        same(&self.origin, Some(&call.origin))
            && same(&self.region, call.region.as_deref())
            && same(&self.service, call.service.as_deref())
            && same(&self.operation, call.operation.as_deref())
            && same(&self.method, Some(&call.method))
            && self.path_prefix.as_ref().is_none_or(|prefix| call.path.starts_with(prefix.as_str()))
            && self.path_like.as_ref().is_none_or(|pattern| is_like(&call.path, pattern))
    }
}

/// Whether `text` is `pattern`, with any text where it has a `*`.
fn is_like(text: &str, pattern: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return text == pattern };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    // The earliest place of each piece leaves the most for those behind it.
    for piece in pieces {
        let Some((_, behind)) = text.split_once(piece) else { return false };
        text = behind;
    }
    text.ends_with(last)
}

impl Scope {
    /// Whether the body has in it what the scope asks for. A body that was not read has nothing in it.
    pub(super) fn covers_body(&self, body: Option<&[u8]>) -> bool {
        self.says.as_ref().is_none_or(|says| {
            body.is_some_and(|body| body.windows(says.len().max(1)).any(|part| part == says.as_bytes()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_stands_for_any_text_where_it_has_a_star() {
        for like in ["/b/k?v=1", "/b/*", "*", "/b/k?v=*", "*k*v*", "/b/k?v=1*", "/*/k*=1"] {
            assert!(is_like("/b/k?v=1", like), "{like}");
        }
        for other in ["/b/k", "/b/k?v=2", "b*", "*x*", "/b/*/k?v=1", "/b/k?v=1*1", ""] {
            assert!(!is_like("/b/k?v=1", other), "{other}");
        }
    }
}
