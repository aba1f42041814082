//! Small questions to a piece of Rust.

use syn::buffer::Cursor;
use syn::visit::Visit;

/// The names in a stream of tokens that are called or reached into: followed by a group, or by a dot.
pub(super) fn identifiers(mut at: Cursor<'_>, words: &mut Vec<String>) {
    while !at.eof() {
        if let Some((word, rest)) = at.ident() {
            let reached_into = rest.punct().is_some_and(|(dot, _)| dot.as_char() == '.');
            if reached_into || rest.any_group().is_some() {
                words.push(word.to_string());
            }
            at = rest;
        } else if let Some((inside, _, _, rest)) = at.any_group() {
            identifiers(inside, words);
            at = rest;
        } else {
            match at.token_tree() {
                Some((_, rest)) => at = rest,
                None => return,
            }
        }
    }
}

/// The paths of two parts or more in a pattern or an expression: `Strategy::Switch`.
#[derive(Default)]
pub(super) struct Paths(pub Vec<(String, String)>);

impl<'ast> Visit<'ast> for Paths {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let mut segments = path.segments.iter().rev().map(|segment| segment.ident.to_string());
        if let (Some(variant), Some(owner)) = (segments.next(), segments.next()) {
            self.0.push((owner, variant));
        }
    }
}

/// The last name of `self.zone.route53`, or of a plain name.
pub(super) fn leaf(expression: &syn::Expr) -> Option<String> {
    match expression {
        syn::Expr::Field(field) => match &field.member {
            syn::Member::Named(name) => Some(name.to_string()),
            syn::Member::Unnamed(_) => None,
        },
        syn::Expr::Path(path) => path.path.get_ident().map(ToString::to_string),
        syn::Expr::Reference(reference) => leaf(&reference.expr),
        syn::Expr::Paren(inner) => leaf(&inner.expr),
        // `self.s3.clone()` is still the client.
        syn::Expr::MethodCall(call) if call.method == "clone" => leaf(&call.receiver),
        _ => None,
    }
}

/// Whether a type is a client of AWS or of HTTP, or holds one: `aws_sdk_s3::Client`, `&Client`, `Option<reqwest::Client>`.
pub(super) fn is_of_client(kind: &syn::Type) -> bool {
    struct Clients(bool);
    impl<'ast> Visit<'ast> for Clients {
        fn visit_path(&mut self, path: &'ast syn::Path) {
            self.0 |= path.segments.last().is_some_and(|last| last.ident == "Client");
            syn::visit::visit_path(self, path);
        }
    }
    let mut clients = Clients(false);
    clients.visit_type(kind);
    clients.0
}

/// What an expression makes a client of: `aws_sdk_s3::Client::new(..)` is one of `s3`; of an imported `Client::new(..)` it is
/// not known (`Some(None)`). With `chained`, whatever is called on it afterwards.
pub(super) fn made_client(expression: &syn::Expr, chained: bool) -> Option<Option<String>> {
    match expression {
        syn::Expr::Reference(of) => made_client(&of.expr, chained),
        syn::Expr::Paren(of) => made_client(&of.expr, chained),
        syn::Expr::Await(of) if chained => made_client(&of.base, chained),
        syn::Expr::Try(of) if chained => made_client(&of.expr, chained),
        syn::Expr::MethodCall(call) if chained => made_client(&call.receiver, chained),
        syn::Expr::Call(call) => {
            let syn::Expr::Path(path) = &*call.func else { return None };
            let mut parts = path.path.segments.iter().rev().map(|part| part.ident.to_string());
            let (makes, kind) = (parts.next()?, parts.next()?);
            let is_made = ["new", "from_conf"].contains(&makes.as_str()) || (chained && makes == "builder");
            (kind == "Client" && is_made).then(|| match parts.next()?.as_str() {
                "reqwest" => Some("http".to_owned()),
                krate => krate.strip_prefix("aws_sdk_").map(str::to_owned),
            })
        }
        _ => None,
    }
}

/// The literal texts of a condition, in quotes.
pub(super) fn text(expression: &syn::Expr) -> String {
    struct Texts(String);
    impl<'ast> Visit<'ast> for Texts {
        fn visit_lit_str(&mut self, literal: &'ast syn::LitStr) {
            self.0 += &format!("{:?} ", literal.value());
        }
    }
    let mut texts = Texts(String::new());
    texts.visit_expr(expression);
    texts.0
}

/// `get_object` as AWS spells it: `GetObject`.
pub(super) fn pascal(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    name.split('_').filter_map(word).collect()
}

/// `ConfirmFlip` as an input spells it: `confirm_flip`.
pub(super) fn snake(name: &str) -> String {
    let mut out = String::new();
    for (at, letter) in name.char_indices() {
        if letter.is_ascii_uppercase() && at > 0 {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}
