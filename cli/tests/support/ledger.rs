//! Made-up ledgers in folders, and what the command says of them.

use serde_json::Value;

use super::{Folder, Run};

/// Where the ledger of a test lies.
pub const LOG: &str = "log";

/// A folder with a ledger in it, and what the generator says of that.
pub struct Made {
    pub folder: Folder,
    pub told: Value,
}

impl Made {
    /// Makes a ledger with these options, below [`LOG`].
    #[track_caller]
    pub fn with(options: &[&str]) -> Made {
        let folder = Folder::new();
        let run = folder.lifeboat(&[&["ledger", "generate", LOG, "--json"], options].concat());
        assert_eq!(run.code, 0, "{run:?}");
        Made { told: run.json(), folder }
    }

    /// The fault that was put in; the only one.
    #[track_caller]
    pub fn fault(&self) -> &Value {
        let faults = self.told["faults"].as_array().expect("faults");
        assert_eq!(faults.len(), 1, "{faults:?}");
        &faults[0]
    }

    pub fn run(&self, command: &str, options: &[&str]) -> Run {
        self.folder.lifeboat(&[&["ledger", command, LOG], options].concat())
    }

    /// What the command says in JSON, once it has ended with `code`.
    #[track_caller]
    pub fn ends(&self, command: &str, options: &[&str], code: i32) -> Value {
        let run = self.run(command, &[options, &["--json"]].concat());
        assert_eq!(run.code, code, "{run:?}");
        run.json()
    }

    #[track_caller]
    pub fn verify(&self, options: &[&str], code: i32) -> Value {
        self.ends("verify", options, code)
    }

    /// The paths of all objects, in order, relative to the ledger.
    pub fn objects(&self) -> Vec<String> {
        let root = self.folder.path(LOG);
        let (mut folders, mut objects) = (vec![root.clone()], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
                let path = entry.path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => {
                        let path = path.strip_prefix(&root).expect("it is below").to_owned();
                        objects.push(path.into_os_string().into_string().expect("UTF-8"));
                    }
                }
            }
        }
        objects.sort();
        objects
    }

    pub fn read(&self, object: &str) -> Vec<u8> {
        std::fs::read(self.folder.path(LOG).join(object)).expect("an object")
    }
}
