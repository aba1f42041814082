//! The page of one run: a single HTML file without scripts, in the order in which a regulator asks.

mod appendix;
mod dns;
mod ledger;
mod notices;
mod parts;
mod people;
pub(super) mod runs;
mod timeline;
mod top;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::model::Page;

const STYLE: &str = include_str!("page/style.css");
/// Whatever a record says, a browser loads nothing by it and runs nothing in it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// Writes the page.
pub(super) fn render(page: &Page) -> String {
    let plan = page.plan.as_deref().unwrap_or("an unknown plan");
    let outcome = page.verdict.outcome.map_or("open", |outcome| outcome.as_str());
    document(
        &format!("{plan}, run {}: {outcome}", page.run),
        &html! {
            (top::head(page))
            main {
                (top::evidence(&page.evidence))
                (timeline::section(&page.timeline))
                (ledger::proof(&page.ledger))
                (ledger::fence(&page.fence))
                (dns::section(&page.dns))
                (people::decided(&page.decided))
                (people::trouble(&page.trouble))
                (people::standing(&page.stacks))
                (top::digests(&page.digests))
                (notices::due(&page.notices))
                (appendix::section(&page.appendix))
            }
        },
    )
}

/// A whole document around what is in its body.
fn document(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (body)
                footer {
                    p {
                        "Made by Lifeboat " (env!("CARGO_PKG_VERSION")) " from the evidence alone. All times are UTC. This page repeats \
                         what records and manifests say; that they are complete and unchanged is what "
                        code { "lifeboat evidence verify" } " shows."
                    }
                }
            }
        }
    };
    visible(&page.into_string())
}

/// Without what could make a text look otherwise than it is: control characters, and those that turn its direction.
fn visible(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if (c.is_control() && c != '\n') || turns(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_record_says_is_text_and_nothing_else() {
        let said = "<script>alert(1)</script>\u{202e}\u{7}";
        let page = document(said, &html! { p title=(said) { (said) } });
        assert!(!page.contains("<script"), "{page}");
        assert_eq!(page.matches("&lt;script&gt;").count(), 3);
        assert_eq!(page.matches("\u{fffd}\u{fffd}").count(), 3);
    }
}
