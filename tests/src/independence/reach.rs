//! What is called from an entrance on: from `main` through every function that may be reached, by name and number of
//! arguments. Where the name is not enough to tell two functions apart, both count: a call too many in the table is seen by a
//! person, one too few would be a lie.

mod clients;

use std::collections::BTreeSet;

use syn::buffer::TokenBuffer;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};

use super::code::{Code, Function, RUNTIME};
use super::syntax::{Paths, identifiers, is_of_client, leaf, made_client, pascal, snake, text};

/// How a function is come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entrance<'a> {
    /// By a state of the state machine, for this action.
    Step(&'a str),
    /// By a schedule or an event.
    Event,
}

/// A call that leaves the process: what it is a client of (`s3`, `http`, ..), and the operation (`GetObject`, `Get`, ..).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// The SDK's name of the service, or `http`, `tcp`, `dns`.
    pub service: String,
    /// As AWS spells it.
    pub operation: String,
}

/// What was found from one entrance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// The calls.
    pub calls: BTreeSet<Call>,
    /// What this reading cannot follow, each with its file: a client under another name, a Region or an address of its own.
    pub unread: BTreeSet<String>,
}

impl Code {
    /// Everything that the function of `krate` calls from `entrance` on, under a strategy (`switch`, `records`).
    pub fn reach(&self, krate: &str, entrance: Entrance<'_>, strategy: &str) -> Reached {
        let mut reached = Reached::default();
        let mut seen = BTreeSet::new();
        let is_main = |function: &Function| {
            function.krate == krate && function.name == "main" && function.file.ends_with("/src/main.rs")
        };
        let mut ahead: Vec<usize> =
            (0..self.functions.len()).filter(|at| is_main(&self.functions[*at])).collect();
        while let Some(at) = ahead.pop() {
            if !seen.insert(at) {
                continue;
            }
            let function = &self.functions[at];
            let mut walk =
                Walk { code: self, function, entrance, strategy, named: vec![], reached: &mut reached };
            walk.returned(&function.output);
            walk.visit_block(&function.body);
            for named in walk.named {
                ahead.extend(
                    (0..self.functions.len()).filter(|at| named.may_be(&self.functions[*at], function)),
                );
            }
        }
        reached
    }
}

/// A function as a call names it.
#[derive(Debug)]
struct Named {
    name: String,
    /// The type before `::`, where there is one.
    owner: Option<String>,
    /// Written `x.name(..)`.
    method: bool,
    /// `None` where it is handed on instead of called.
    arguments: Option<usize>,
}

impl Named {
    fn may_be(&self, function: &Function, caller: &Function) -> bool {
        // The runtime knows none of the functions that are built on it.
        let visible = function.krate == RUNTIME || function.krate == caller.krate;
        if !visible || function.name != self.name {
            return false;
        }
        let counted = |extra: usize| self.arguments.is_none_or(|given| given == function.arguments + extra);
        if self.method {
            return function.takes_self && counted(0);
        }
        let owner = match self.owner.as_deref() {
            Some("Self") => caller.owner.as_deref(),
            other => other,
        };
        owner == function.owner.as_deref() && counted(usize::from(function.takes_self))
    }
}

struct Walk<'a> {
    code: &'a Code,
    function: &'a Function,
    entrance: Entrance<'a>,
    strategy: &'a str,
    named: Vec<Named>,
    reached: &'a mut Reached,
}

impl Walk<'_> {
    fn client(&self, expression: &syn::Expr) -> Option<&str> {
        self.code.client(&self.function.krate, &leaf(expression)?)
    }

    fn call(&mut self, service: &str, method: &str) {
        let operation = pascal(method);
        self.reached.calls.insert(Call { service: service.to_owned(), operation });
    }

    fn cannot_follow(&mut self, what: &str) {
        self.reached.unread.insert(format!("functions/{}: {what}", self.function.file));
    }

    /// Whether a pattern or a comparison with these paths is about this entrance and strategy.
    fn concerns(&self, paths: &[(String, String)]) -> bool {
        let fits = |kind: &str, is: &str| {
            let mut of_kind = paths.iter().filter(|(owner, _)| owner == kind).peekable();
            of_kind.peek().is_none() || of_kind.any(|(_, variant)| snake(variant) == is)
        };
        let action = match self.entrance {
            Entrance::Step(action) => fits("Action", action),
            Entrance::Event => true,
        };
        action && fits("Strategy", self.strategy)
    }

    fn path(&mut self, path: &syn::Path, arguments: Option<usize>) {
        let mut segments = path.segments.iter().rev().map(|segment| segment.ident.to_string());
        let name = segments.next().unwrap_or_default();
        let owner = segments.next();
        // A name that is called may be a function's, whatever else is called so here.
        let is_local = arguments.is_none() && owner.is_none() && self.function.locals.contains(&name);
        let original = |name: String| self.code.original(&self.function.file, &name).to_owned();
        let (name, owner) = (original(name), owner.map(original));
        if owner.as_deref() == Some("Region") && arguments.is_some() {
            self.cannot_follow(&format!("`Region::{name}(..)`: a Region of its own"));
        }
        if owner.as_deref() == Some("TcpStream") && name == "connect" {
            self.call("tcp", "connect");
        }
        // A module before the name, and not a type.
        let owner = owner.filter(|owner| owner.starts_with(char::is_uppercase));
        if !is_local {
            self.named.push(Named { name, owner, method: false, arguments });
        }
    }
}

impl<'ast> Visit<'ast> for Walk<'_> {
    fn visit_block(&mut self, block: &'ast syn::Block) {
        for statement in &block.stmts {
            if let syn::Stmt::Expr(syn::Expr::If(gate), _) = statement
                && text(&gate.cond).contains("\"step\"")
            {
                // `if payload.get("step").is_some() { return .. }`: what stands in it is for steps, what follows for the rest.
                if let Entrance::Step(_) = self.entrance {
                    self.visit_block(&gate.then_branch);
                    return;
                }
                continue;
            }
            self.visit_stmt(statement);
        }
    }

    fn visit_item(&mut self, _: &'ast syn::Item) {
        // A function within a function has been read on its own.
    }

    fn visit_expr_match(&mut self, found: &'ast syn::ExprMatch) {
        self.visit_expr(&found.expr);
        for arm in &found.arms {
            let mut paths = Paths::default();
            paths.visit_pat(&arm.pat);
            if self.concerns(&paths.0) {
                self.visit_arm(arm);
            }
        }
    }

    fn visit_expr_if(&mut self, found: &'ast syn::ExprIf) {
        self.visit_expr(&found.cond);
        let mut paths = Paths::default();
        let exact = match &*found.cond {
            syn::Expr::Let(given) => {
                paths.visit_pat(&given.pat);
                true
            }
            syn::Expr::Binary(compared) if matches!(compared.op, syn::BinOp::Eq(_)) => {
                paths.visit_expr(&compared.right);
                true
            }
            _ => false,
        };
        let told = exact && paths.0.iter().any(|(owner, _)| owner == "Strategy");
        if !told || self.concerns(&paths.0) {
            self.visit_block(&found.then_branch);
        }
        if let Some((_, otherwise)) = &found.else_branch
            && (!told || !self.concerns(&paths.0))
        {
            self.visit_expr(otherwise);
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let method = call.method.to_string();
        if let Some(service) = self.client(&call.receiver).map(str::to_owned) {
            self.call(&service, &method);
        } else {
            self.look_at_call(&method, call);
            let arguments = Some(call.args.len());
            self.named.push(Named { name: method, owner: None, method: true, arguments });
            self.visit_expr(&call.receiver);
        }
        for argument in &call.args {
            self.visit_expr(argument);
        }
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        match &*call.func {
            syn::Expr::Path(path) => self.path(&path.path, Some(call.args.len())),
            other => self.visit_expr(other),
        }
        for argument in &call.args {
            self.visit_expr(argument);
        }
    }

    fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
        self.path(&path.path, None);
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        if let Some(given) = &local.init {
            if self.client(&given.expr).is_some() {
                self.cannot_follow("a client is given another name by `let`");
            }
            if let Some(made) = made_client(&given.expr, true) {
                self.made(&local.pat, made.as_deref());
            }
        }
        visit::visit_local(self, local);
    }

    fn visit_pat_type(&mut self, typed: &'ast syn::PatType) {
        if is_of_client(&typed.ty) {
            self.made(&typed.pat, None);
        }
        visit::visit_pat_type(self, typed);
    }

    fn visit_field_pat(&mut self, field: &'ast syn::FieldPat) {
        if let syn::Member::Named(name) = &field.member
            && self.code.client(&self.function.krate, &name.to_string()).is_some()
            && !matches!(&*field.pat, syn::Pat::Ident(bound) if bound.ident == *name)
        {
            self.cannot_follow("a client is given another name by a pattern");
        }
        visit::visit_field_pat(self, field);
    }

    fn visit_macro(&mut self, found: &'ast syn::Macro) {
        let arguments = Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated;
        match arguments.parse2(found.tokens.clone()) {
            Ok(expressions) => expressions.iter().for_each(|expression| {
                let expression = expression.clone();
                // The parsed copy lives only here, so it is walked by a walk of its own.
                let mut inner = Walk {
                    code: self.code,
                    function: self.function,
                    entrance: self.entrance,
                    strategy: self.strategy,
                    named: vec![],
                    reached: &mut *self.reached,
                };
                inner.visit_expr(&expression);
                let named = inner.named;
                self.named.extend(named);
            }),
            // Not a list of expressions: `json!({ .. })`, `matches!(x, P)`, `select! { .. }`. No client may be named there.
            Err(_) => {
                let mut words = Vec::new();
                identifiers(TokenBuffer::new2(found.tokens.clone()).begin(), &mut words);
                for word in words {
                    if self.code.client(&self.function.krate, &word).is_some() {
                        self.cannot_follow(&format!("`{word}` in a macro"));
                    }
                    // By name alone, called or not.
                    self.named.push(Named { name: word.clone(), owner: None, method: true, arguments: None });
                    if !self.function.locals.contains(&word) {
                        self.named.push(Named { name: word, owner: None, method: false, arguments: None });
                    }
                }
            }
        }
    }
}
