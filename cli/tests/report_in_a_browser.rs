//! The report in a real browser: on a desk, on a phone, in the dark, on paper. Pictures and printed pages are left in
//! `target/report/`.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::Folder;
use support::browser::{Browser, Look};
use support::evidence::{files, records};
use support::report::{FIXTURES, key_of, laid, place, ten_thousand};

/// What is looked at in the browser: a page, by its name in `target/report`.
fn pages(folder: &Folder) -> Vec<(String, PathBuf)> {
    let (many, many_key) = ten_thousand();
    let many = laid(folder, "many", &many);
    let mut broken = files("recovers");
    broken.remove(&records(&broken)[8]);
    let broken = laid(folder, "broken", &broken);
    for (name, _) in FIXTURES {
        laid(folder, &format!("fetched/{name}"), &files(name));
    }
    let mut pages = Vec::new();
    let mut make = |name: &str, arguments: &[&str]| {
        let file = format!("{name}.html");
        let run = folder.lifeboat(&[&["report", "--out", &file], arguments].concat());
        assert!(run.code <= 2, "{name}: {}", run.err);
        pages.push((name.to_owned(), folder.path(&file)));
    };
    for name in ["recovers", "by-records", "halted", "stood-down", "refused"] {
        make(name, &[&place(name), "--key", &key_of(name)]);
    }
    make("many", &[&many, "--key", &many_key]);
    make("broken", &[&broken]);
    make("all", &["fetched", "--all"]);
    pages
}

const DESK: Look = Look { width: 1_100, height: 900, dark: false, phone: false };
const PHONE: Look = Look { width: 360, height: 740, dark: false, phone: true };
/// Pixels of a page that a picture has at most.
const PICTURE: u32 = 6_000;

/// The texts whose contrast against what is behind them is below 4.5, as WCAG 2 computes it.
const PALE: &str = r#"(() => {
  const channels = colour => colour.match(/[\d.]+/g).map(Number);
  const light = colour => channels(colour).slice(0, 3).map(c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor, [, , , alpha = 1] = channels(colour);
      if (alpha > 0) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const pale = [], texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  for (let text; (text = texts.nextNode());) {
    const element = text.parentElement;
    if (!text.data.trim() || element.tagName === 'title') continue;
    seen++;
    const style = getComputedStyle(element), ink = element instanceof SVGElement ? style.fill : style.color;
    const [high, low] = [light(ink), light(behind(element))].sort((a, b) => b - a);
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < 4.5) pale.push(`${contrast.toFixed(2)} ${text.data.slice(0, 40)}`);
  }
  return { seen, pale: pale.slice(0, 5) };
})()"#;

/// How many of the details are folded: what is in them is laid out, and not shown.
const FOLDED: &str =
    "[...document.querySelectorAll('details')].filter(d => !d.lastElementChild.checkVisibility()).length";

#[test]
fn in_a_browser_the_pages_are_readable_on_a_desk_on_a_phone_in_the_dark_and_on_paper() {
    let out = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/report");
    fs::create_dir_all(&out).expect("target/report");
    let folder = Folder::new();
    let mut browser = Browser::start();
    for (name, page) in pages(&folder) {
        let mut tab = browser.open(&page, DESK);
        let file = |what: &str| out.join(format!("{name}-{what}"));
        assert_eq!(tab.evaluate("document.documentElement.lang"), "en");
        assert_eq!(tab.evaluate("document.querySelectorAll('h1').length"), 1, "{name}");
        assert_eq!(
            tab.evaluate(
                "[...document.querySelectorAll('table')].filter(t => !t.caption || !t.tHead).length"
            ),
            0,
            "{name}"
        );
        assert_eq!(
            tab.evaluate("document.querySelectorAll('script, link, img, iframe').length"),
            0,
            "{name}"
        );
        tab.screenshot(&file("light.png"), PICTURE);
        for (scheme, medium) in [("light", ""), ("dark", ""), ("dark", "print")] {
            tab.media(scheme, medium);
            let contrast = tab.evaluate(PALE);
            assert!(contrast["seen"].as_u64() > Some(20), "{name}: {contrast}");
            assert_eq!(contrast["pale"], json!([]), "{name}, {scheme} {medium}: too little contrast");
            if (scheme, medium) == ("dark", "") {
                tab.screenshot(&file("dark.png"), PICTURE);
                assert_ne!(
                    tab.evaluate("getComputedStyle(document.body).backgroundColor"),
                    "rgb(255, 255, 255)"
                );
            }
        }
        assert_eq!(
            tab.evaluate("getComputedStyle(document.body).backgroundColor"),
            "rgb(255, 255, 255)",
            "paper is white"
        );
        assert_eq!(tab.evaluate(FOLDED), 0, "{name}: something is folded on paper");
        tab.print(&file("printed.pdf"));
        tab.look(PHONE);
        tab.screenshot(&file("phone.png"), PICTURE);
        let width = tab.evaluate("document.documentElement.scrollWidth");
        assert!(width.as_u64() <= Some(360), "{name}: {width} pixels wide on a phone");
        assert!(
            tab.evaluate(FOLDED).as_u64() > Some(0) || name == "all",
            "{name}: nothing is folded on a screen"
        );
        // Nothing was asked for but the page itself, and nobody complained.
        let asked: Vec<&Value> = tab
            .events
            .iter()
            .filter(|event| event["method"] == "Network.requestWillBeSent")
            .map(|event| &event["params"]["request"]["url"])
            .collect();
        assert_eq!(asked, [&json!(format!("file://{}", page.display()))], "{name}");
        let complains = ["Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"];
        let is_one = |event: &&Value| complains.iter().any(|method| event["method"] == *method);
        let complaints: Vec<&Value> = tab.events.iter().filter(is_one).collect();
        assert!(complaints.is_empty(), "{name}: {complaints:?}");
    }
}
