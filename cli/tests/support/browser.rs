//! A headless Chromium, driven by its DevTools protocol over a pipe: no port, no further crate, and nothing left running.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long the browser may take over one answer, on a machine that does much else.
const ANSWER: Duration = Duration::from_secs(120);

/// The browser, in a process group of its own, which ends with this value.
pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    next_id: u64,
    _profile: TempDir,
}

/// A page that was opened.
pub struct Tab<'a> {
    browser: &'a mut Browser,
    session: String,
    /// What came besides answers, since the page was opened: requests, errors, messages to the console.
    pub events: Vec<Value>,
}

/// How a page is looked at.
#[derive(Clone, Copy)]
pub struct Look {
    pub width: u32,
    pub height: u32,
    pub dark: bool,
    pub phone: bool,
}

impl Browser {
    /// Starts it. `CHROMIUM` says where it is, in place of the search path.
    pub fn start() -> Browser {
        let program = std::env::var("CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
        let found =
            Command::new(&program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(
            found.is_ok_and(|status| status.success()),
            "{program} does not run: this test opens the report in a browser. Install it (Debian: apt-get install \
             --no-install-recommends chromium), or say where one is by CHROMIUM=/path/to/chromium"
        );
        let profile = TempDir::new().expect("a folder for its profile");
        let mut flags = vec![
            "--headless=new".to_owned(),
            "--remote-debugging-pipe".to_owned(),
            format!("--user-data-dir={}", profile.path().display()),
            // Whatever a page asked for, there is nobody to answer.
            "--host-resolver-rules=MAP * ~NOTFOUND".to_owned(),
        ];
        let quiet =
            ["--no-first-run", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"];
        flags.extend(quiet.map(str::to_owned));
        flags.extend(
            ["--disable-component-update", "--disable-sync", "--disable-breakpad", "--hide-scrollbars"]
                .map(str::to_owned),
        );
        if rustix::process::geteuid().is_root() {
            flags.push("--no-sandbox".to_owned());
        }
        // The protocol goes by the file descriptors 3 and 4.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", "sh", &program])
            .args(flags)
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("sh runs");
        let (send, from) = channel();
        let mut answers = BufReader::new(child.stdout.take().expect("it is piped"));
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            while answers.read_until(0, &mut bytes).is_ok_and(|read| read > 0) {
                let message = serde_json::from_slice(bytes.strip_suffix(b"\0").unwrap_or(&bytes));
                if message.is_ok_and(|message| send.send(message).is_err()) {
                    return;
                }
                bytes.clear();
            }
        });
        let to = child.stdin.take().expect("it is piped");
        Browser { child, to, from, next_id: 0, _profile: profile }
    }

    fn send(&mut self, session: Option<&str>, method: &str, params: &Value) -> u64 {
        self.next_id += 1;
        let mut message = json!({ "id": self.next_id, "method": method, "params": params });
        if let Some(session) = session {
            message["sessionId"] = json!(session);
        }
        write!(self.to, "{message}\0").and_then(|()| self.to.flush()).expect("the browser runs");
        self.next_id
    }

    fn next(&mut self, until: Instant, waiting_for: &str) -> Value {
        match self.from.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => {
                panic!("no answer from the browser in {ANSWER:?}: {waiting_for}")
            }
            Err(RecvTimeoutError::Disconnected) => panic!("the browser has ended: {waiting_for}"),
        }
    }

    fn ask(&mut self, session: Option<&str>, method: &str, params: &Value, events: &mut Vec<Value>) -> Value {
        let id = self.send(session, method, params);
        let until = Instant::now() + ANSWER;
        loop {
            let message = self.next(until, method);
            if message["id"] == id {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            events.push(message);
        }
    }

    /// Opens a file, and waits until all of it is loaded.
    pub fn open(&mut self, file: &Path, look: Look) -> Tab<'_> {
        let mut events = Vec::new();
        let target = self.ask(None, "Target.createTarget", &json!({ "url": "about:blank" }), &mut events);
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = self.ask(None, "Target.attachToTarget", &attach, &mut events);
        let session = session["sessionId"].as_str().expect("a session").to_owned();
        let mut tab = Tab { browser: self, session, events: Vec::new() };
        for domain in ["Page", "Runtime", "Log", "Network"] {
            tab.ask(&format!("{domain}.enable"), &json!({}));
        }
        tab.look(look);
        tab.events.clear();
        let url = format!("file://{}", file.display());
        tab.ask("Page.navigate", &json!({ "url": url }));
        let until = Instant::now() + ANSWER;
        while !tab.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = tab.browser.next(until, "the page to load");
            tab.events.push(event);
        }
        tab
    }
}

impl Tab<'_> {
    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.browser.ask(Some(&self.session), method, params, &mut self.events)
    }

    /// Looks at the page in another way.
    pub fn look(&mut self, look: Look) {
        let Look { width, height, dark, phone } = look;
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone });
        self.ask("Emulation.setDeviceMetricsOverride", &metrics);
        self.media(if dark { "dark" } else { "light" }, "");
    }

    /// Sets the colour scheme that the reader prefers, and the medium; none is the screen.
    pub fn media(&mut self, scheme: &str, medium: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.ask("Emulation.setEmulatedMedia", &json!({ "media": medium, "features": features }));
    }

    /// What an expression in the page comes to.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let answer =
            self.ask("Runtime.evaluate", &json!({ "expression": expression, "returnByValue": true }));
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// A picture of the page, from its top, `height` pixels of it at most.
    pub fn screenshot(&mut self, file: &Path, height: u32) {
        let size = self.ask("Page.getLayoutMetrics", &json!({}))["cssContentSize"].clone();
        let whole = size["height"].as_f64().expect("a height");
        let clip = json!({ "x": 0, "y": 0, "width": size["width"], "height": whole.min(f64::from(height)), "scale": 1 });
        let shot = self.ask(
            "Page.captureScreenshot",
            &json!({ "format": "png", "captureBeyondViewport": true, "clip": clip }),
        );
        write(file, &shot);
    }

    /// The page as it is printed: A4 by its own style.
    pub fn print(&mut self, file: &Path) {
        let printed =
            self.ask("Page.printToPDF", &json!({ "preferCSSPageSize": true, "printBackground": true }));
        write(file, &printed);
    }
}

fn write(file: &Path, answer: &Value) {
    let data = answer["data"].as_str().expect("data");
    std::fs::write(file, BASE64_STANDARD.decode(data).expect("base64")).expect("a file");
}

impl Drop for Browser {
    fn drop(&mut self) {
        // All of it: the browser, and what it has started.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}
