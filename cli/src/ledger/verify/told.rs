//! The proof, told to a person and to a machine.

use lifeboat_ledger::object::Layout;
use lifeboat_ledger::proof::{Expect, Proof};
use lifeboat_ledger::{Finding, PenState, StreamProof, Verdict};
use serde_json::json;

use crate::exit::Exit;
use crate::handback::pen;
use crate::output::{Report, one_line, table};

/// Findings that a person is told of; `--json` has more.
const FINDINGS_SHOWN: usize = 40;

pub(super) fn report(place: &str, layout: Layout, expect: &Expect, proof: &Proof) -> Report {
    let Proof { verdict, streams, findings, findings_count, linked, counts } = proof;
    let shown = &findings[..findings.len().min(FINDINGS_SHOWN)];
    let mut tables = vec![(
        "Streams that are whole",
        table(
            ["stream", "entries", "from", "through", "end stated by", "pen", "hash of the last entry"],
            streams.iter().map(|stream| row_of_stream(stream, expect)),
        ),
    )];
    if !findings.is_empty() {
        let heading = ["", "stream", "sequence", "object", "version", "byte", "what"];
        tables.push(("Findings", table(heading, shown.iter().map(row_of_finding))));
    }
    let mut warnings = next(findings, layout, !expect.leases.is_empty());
    if *findings_count > shown.len() as u64 {
        let left = findings_count - shown.len() as u64;
        warnings.push(format!("{left} findings more; --json tells up to 1,000, the worst first"));
    }
    if !linked {
        warnings.push(
            "this ledger has no links: that no sequence is missing was shown, but not that no entry was changed".into(),
        );
    }
    let mut details = vec![
        ("layout", name(layout).to_owned()),
        ("entries", counts.entries.to_string()),
        ("repeated", counts.repeated.to_string()),
    ];
    if !expect.leases.is_empty() {
        details.push(("void", format!("{}, delivered and never acknowledged", counts.void)));
    }
    details.push(("objects", counts.objects.to_string()));
    details.push(("bytes", counts.bytes.to_string()));
    Report {
        headline: match verdict {
            Verdict::Proven if !linked => {
                format!("{place} is proven, as far as it can be: no sequence is missing")
            }
            Verdict::Proven => format!("{place} is proven: every entry is there, in order and unchanged"),
            Verdict::Unproven => format!("{place} could not be proven"),
            Verdict::Broken => format!("{place} is broken"),
        },
        details,
        tables,
        warnings,
        json: {
            let mut whole = json!(proof);
            whole["place"] = json!(place);
            whole["layout"] = json!(layout);
            whole["watermarks"] = json!(expect.watermarks);
            whole
        },
        exit: match verdict {
            Verdict::Proven => Exit::Done,
            Verdict::Unproven => Exit::Unproven,
            Verdict::Broken => Exit::Broken,
        },
        ..Report::default()
    }
}

fn name(layout: Layout) -> &'static str {
    match layout {
        Layout::Segments => "segments",
        Layout::Firehose => "firehose",
    }
}

fn row_of_stream(proof: &StreamProof, expect: &Expect) -> [String; 7] {
    let end = match (proof.pen.state(), expect.watermarks.get(&proof.stream)) {
        _ if expect.leases.contains_key(&proof.stream) => "its lease".to_owned(),
        (PenState::Sealed { .. }, Some(seq)) => format!("its seal, watermark {seq}"),
        (PenState::Sealed { .. }, None) => "its seal".to_owned(),
        (_, Some(seq)) => format!("watermark {seq}"),
        (_, None) => "nothing".to_owned(),
    };
    [
        one_line(&proof.stream),
        proof.entries.to_string(),
        proof.first_seq.to_string(),
        proof.through.to_string(),
        end,
        one_line(&pen(proof.pen.state())),
        proof.head.to_string(),
    ]
}

fn row_of_finding(finding: &Finding) -> [String; 7] {
    let number = |number: Option<u64>| number.map_or_else(String::new, |number| number.to_string());
    let text = |text: Option<&str>| text.map(one_line).unwrap_or_default();
    [
        format!("{:?}", finding.verdict),
        one_line(&finding.stream),
        number(finding.seq),
        text(finding.object.as_deref()),
        text(finding.version.as_deref()),
        number(finding.offset),
        one_line(&finding.what),
    ]
}

/// What to do about the findings, each kind of them once.
fn next(findings: &[Finding], layout: Layout, leases: bool) -> Vec<String> {
    let any = |holds: fn(&Finding) -> bool| findings.iter().any(holds);
    let is_broken = |finding: &Finding| finding.verdict == Verdict::Broken;
    let mut next = Vec::new();
    if any(|finding| finding.verdict == Verdict::Broken && finding.object.is_some()) {
        next.push(
            "keep the objects named as they are; compare each with the ledger's other copy, and in a bucket with its older \
             versions (`aws s3api list-object-versions --prefix <object>`)"
                .to_owned(),
        );
    }
    if findings.iter().any(|finding| is_broken(finding) && finding.object.is_none()) {
        next.push(
            "look for the entries named in the ledger's other copy: this one does not hold them".to_owned(),
        );
    }
    if leases && findings.iter().any(|finding| finding.verdict == Verdict::Unproven) {
        next.push(
            "a delivery stream is late by up to its buffer: where entries may still come, wait and run this again; what never \
             comes is in its errors or its backup, if it is anywhere"
                .to_owned(),
        );
        return next;
    }
    if any(|finding| finding.verdict == Verdict::Unproven && finding.object.is_some()) {
        next.push(
            "make the objects named readable (permissions, network, disk), and run this again".to_owned(),
        );
    }
    if any(|finding| finding.verdict == Verdict::Unproven && finding.object.is_none()) {
        next.push(match layout {
            Layout::Segments => {
                "a stream whose end nothing states is proven with --watermark STREAM=SEQ, the last sequence that was \
                 acknowledged to anybody"
                    .to_owned()
            }
            Layout::Firehose => {
                "a delivery stream is late by up to its buffer: where entries may still come, wait and run this again; then \
                 state each end with --watermark STREAM=SEQ"
                    .to_owned()
            }
        });
    }
    next
}
