//! Clients that the reading would not follow: made under a name of their own, or for another Region.

use super::Walk;
use crate::independence::syntax::{is_of_client, made_client};

/// What gives a client another Region or address than the function's own; each has a twin that begins with `set_`.
const ELSEWHERE: [&str; 5] = ["region", "endpoint_url", "endpoint_resolver", "use_fips", "use_dual_stack"];

impl Walk<'_> {
    /// A call that is on no client which has a name.
    pub(super) fn look_at_call(&mut self, method: &str, call: &syn::ExprMethodCall) {
        if ELSEWHERE.contains(&method.trim_start_matches("set_")) && !call.args.is_empty() {
            self.cannot_follow(&format!("`.{method}(..)`: a Region or an address of its own"));
        }
        if made_client(&call.receiver, false).is_some() {
            self.cannot_follow(&format!("`.{method}(..)` on a client without a name"));
        }
    }

    /// A client that is made or taken under a name, of a service where that is known. What a field or an argument of that
    /// name is a client of, its calls are taken for.
    pub(super) fn made(&mut self, name: &syn::Pat, service: Option<&str>) {
        let bound = match name {
            syn::Pat::Ident(bound) => Some(bound.ident.to_string()),
            syn::Pat::Type(typed) => return self.made(&typed.pat, service),
            _ => None,
        };
        let known = bound.as_ref().and_then(|name| self.code.client(&self.function.krate, name));
        if known.is_none() || service.is_some_and(|service| known != Some(service)) {
            let name = bound.unwrap_or_else(|| "a pattern".to_owned());
            self.cannot_follow(&format!("`{name}` is a client that no field or argument is known as"));
        }
    }

    /// A client that a function gives back is called under no name.
    pub(super) fn returned(&mut self, output: &syn::ReturnType) {
        if let syn::ReturnType::Type(_, kind) = output
            && is_of_client(kind)
        {
            self.cannot_follow(&format!("`{}` gives back a client", self.function.name));
        }
    }
}
