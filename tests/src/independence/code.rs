//! The sources of the functions, read as what calls what: every function with its body, and the names under which a client
//! of AWS, of HTTP or of DNS is known.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

use crate::world::places;

/// Sources larger than this are not this project's, in bytes.
const SOURCE_BYTES_MAX: usize = 1_000_000;

/// The crate that every function is built on; what it calls, each of them may call.
pub const RUNTIME: &str = "runtime";

/// The text of each source file, by its path below `functions/`: `dns-flip/src/lib.rs`.
pub type Sources = BTreeMap<String, String>;

/// Reads the sources of the functions and of what they share. `ledger` and `rules` are left out: they depend on no client
/// (`tests/tests/repository.rs` holds them to it).
///
/// # Errors
/// Where a file cannot be read.
pub fn read_sources(crates: &[&str]) -> std::io::Result<Sources> {
    let root = places::repository().join("functions");
    let mut sources = Sources::new();
    for name in crates.iter().chain(&[RUNTIME]) {
        collect(&root, &root.join(name).join("src"), &mut sources)?;
    }
    Ok(sources)
}

fn collect(root: &Path, folder: &Path, sources: &mut Sources) -> std::io::Result<()> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(root, &path, sources)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            sources.insert(name, std::fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

/// One function or method.
pub(super) struct Function {
    pub krate: String,
    pub file: String,
    /// The type whose method it is.
    pub owner: Option<String>,
    pub name: String,
    /// How many arguments it takes besides `self`.
    pub arguments: usize,
    pub takes_self: bool,
    /// The names that its patterns bind: a path of one of these names is no function.
    pub locals: BTreeSet<String>,
    pub output: syn::ReturnType,
    pub body: syn::Block,
}

/// The sources, read.
#[derive(Default)]
pub struct Code {
    pub(super) functions: Vec<Function>,
    /// By crate and name of a field or an argument: what that is a client of (`s3`, `route53`, .., `http`, `dns`).
    clients: BTreeMap<(String, String), String>,
    /// By file and new name: what `use .. as ..` has renamed.
    renamed: BTreeMap<(String, String), String>,
}

impl std::fmt::Debug for Code {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} functions, {:?}", self.functions.len(), self.clients)
    }
}

impl Code {
    /// Reads the sources.
    ///
    /// # Errors
    /// Where one is no Rust, or larger than a source should be.
    pub fn read(sources: &Sources) -> Result<Code, String> {
        let mut files = Vec::new();
        for (path, text) in sources {
            files.push((path.as_str(), parse(path, text)?));
        }
        let tests: Vec<String> = files.iter().flat_map(|(path, file)| test_modules(path, file)).collect();
        let mut code = Code::default();
        for (path, file) in &files {
            let is_test =
                |test: &String| *path == format!("{test}.rs") || path.starts_with(&format!("{test}/"));
            if tests.iter().any(is_test) {
                continue;
            }
            let krate = path.split('/').next().unwrap_or_default().to_owned();
            Reader { code: &mut code, krate, file: path, imported: None, owner: None }.visit_file(file);
        }
        Ok(code)
    }

    /// What the field or argument `name` is a client of, in a crate.
    pub(super) fn client(&self, krate: &str, name: &str) -> Option<&str> {
        self.clients.get(&(krate.to_owned(), name.to_owned())).map(String::as_str)
    }

    /// The name that something has where it is defined.
    pub(super) fn original<'a>(&'a self, file: &str, name: &'a str) -> &'a str {
        self.renamed.get(&(file.to_owned(), name.to_owned())).map_or(name, String::as_str)
    }

    /// Everything that a crate has a client of.
    pub fn services(&self, krate: &str) -> BTreeSet<&str> {
        self.clients.iter().filter(|((of, _), _)| of == krate).map(|(_, service)| service.as_str()).collect()
    }
}

fn parse(path: &str, text: &str) -> Result<syn::File, String> {
    if text.len() > SOURCE_BYTES_MAX {
        return Err(format!("functions/{path} has more than {SOURCE_BYTES_MAX} bytes"));
    }
    syn::parse_file(text).map_err(|why| format!("functions/{path}: {why}"))
}

/// The files of a file's modules that are built for tests alone, without their `.rs`.
fn test_modules(path: &str, file: &syn::File) -> Vec<String> {
    let stem = path.trim_end_matches(".rs");
    let folder = match stem.rsplit_once('/') {
        Some((folder, "lib" | "main" | "mod")) => folder,
        _ => stem,
    };
    let for_tests = |item: &syn::Item| match item {
        syn::Item::Mod(module) if module.content.is_none() && is_for_tests(&module.attrs) => {
            Some(format!("{folder}/{}", module.ident))
        }
        _ => None,
    };
    file.items.iter().filter_map(for_tests).collect()
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let list = attribute.meta.require_list();
        attribute.path().is_ident("cfg") && list.is_ok_and(|list| list.tokens.to_string() == "test")
    })
}

struct Reader<'a> {
    code: &'a mut Code,
    krate: String,
    file: &'a str,
    /// The service whose `Client` this file imports by that name.
    imported: Option<String>,
    owner: Option<String>,
}

impl Reader<'_> {
    fn add(&mut self, signature: &syn::Signature, body: &syn::Block) {
        let mut locals = Locals::default();
        locals.visit_signature(signature);
        locals.visit_block(body);
        let takes_self = signature.inputs.iter().any(|input| matches!(input, syn::FnArg::Receiver(_)));
        self.code.functions.push(Function {
            krate: self.krate.clone(),
            file: self.file.to_owned(),
            owner: self.owner.clone(),
            name: signature.ident.to_string(),
            arguments: signature.inputs.len() - usize::from(takes_self),
            takes_self,
            locals: locals.0,
            output: signature.output.clone(),
            body: body.clone(),
        });
    }

    fn note_client(&mut self, name: &str, kind: &syn::Type) {
        let kind = match kind {
            syn::Type::Reference(reference) => &*reference.elem,
            other => other,
        };
        let syn::Type::Path(path) = kind else { return };
        let segments: Vec<String> = path.path.segments.iter().map(|part| part.ident.to_string()).collect();
        let names: Vec<&str> = segments.iter().map(String::as_str).collect();
        let service = match names[..] {
            ["reqwest", "Client"] => Some("http".to_owned()),
            [krate, "Client"] => krate.strip_prefix("aws_sdk_").map(str::to_owned),
            ["Client"] => self.imported.clone(),
            [.., "TokioResolver"] => Some("dns".to_owned()),
            _ => None,
        };
        if let Some(service) = service {
            self.code.clients.insert((self.krate.clone(), name.to_owned()), service);
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        // `use aws_sdk_s3::Client;`, or as one of several.
        if let syn::UseTree::Path(path) = &item.tree
            && let Some(service) = path.ident.to_string().strip_prefix("aws_sdk_")
        {
            let names =
                |tree: &syn::UseTree| matches!(tree, syn::UseTree::Name(name) if name.ident == "Client");
            let has = match &*path.tree {
                syn::UseTree::Group(group) => group.items.iter().any(names),
                tree => names(tree),
            };
            if has {
                self.imported = Some(service.to_owned());
            }
        }
        visit::visit_item_use(self, item);
    }

    fn visit_use_rename(&mut self, rename: &'ast syn::UseRename) {
        let key = (self.file.to_owned(), rename.rename.to_string());
        self.code.renamed.insert(key, rename.ident.to_string());
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if let Some(name) = &field.ident {
            self.note_client(&name.to_string(), &field.ty);
        }
    }

    fn visit_fn_arg(&mut self, argument: &'ast syn::FnArg) {
        if let syn::FnArg::Typed(typed) = argument
            && let syn::Pat::Ident(name) = &*typed.pat
        {
            self.note_client(&name.ident.to_string(), &typed.ty);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_for_tests(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_impl(&mut self, block: &'ast syn::ItemImpl) {
        let owner = match &*block.self_ty {
            syn::Type::Path(path) => path.path.segments.last().map(|part| part.ident.to_string()),
            _ => None,
        };
        let outer = std::mem::replace(&mut self.owner, owner);
        visit::visit_item_impl(self, block);
        self.owner = outer;
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_signature(self, &function.sig);
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        if !is_for_tests(&function.attrs) {
            self.add(&function.sig, &function.block);
            visit::visit_signature(self, &function.sig);
        }
    }
}

/// The names that patterns bind.
#[derive(Default)]
struct Locals(BTreeSet<String>);

impl<'ast> Visit<'ast> for Locals {
    fn visit_pat_ident(&mut self, pattern: &'ast syn::PatIdent) {
        self.0.insert(pattern.ident.to_string());
        visit::visit_pat_ident(self, pattern);
    }
}
