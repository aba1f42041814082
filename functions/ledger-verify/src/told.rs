//! Texts as an answer tells them: cut, since they may quote what somebody wrote into the log (keys, lines), and a state
//! machine hands on no more than 256 KiB. Its error for more is one that nothing catches.

use lifeboat_ledger::Finding;

/// The most bytes of JSON that one text of a finding takes.
pub(crate) const TEXT_MAX: usize = 300;
/// The most bytes of JSON that an answer's reason takes.
pub(crate) const REASON_MAX: usize = 1_000;
/// The most bytes of JSON that is said of the checkpoints of one stream: there may be many streams.
pub(crate) const CHECKPOINTS_MAX: usize = 450;

/// What stands for the rest of a text that was cut.
const ELLIPSIS: char = '…';

/// `text`, cut between two characters so that it takes no more than `json_bytes_max` bytes of JSON between its quotes.
pub(crate) fn cut(text: &str, json_bytes_max: usize) -> String {
    let (mut bytes, mut fits) = (0, 0);
    for (at, letter) in text.char_indices() {
        bytes += match letter {
            '"' | '\\' => 2,
            '\u{0}'..='\u{1f}' => 6,
            _ => letter.len_utf8(),
        };
        if bytes > json_bytes_max {
            return format!("{}{ELLIPSIS}", &text[..fits]);
        }
        if bytes + ELLIPSIS.len_utf8() <= json_bytes_max {
            fits = at + letter.len_utf8();
        }
    }
    text.to_owned()
}

/// `found` with each of its texts cut.
pub(crate) fn finding(found: Finding) -> Finding {
    let cut = |text: &str| cut(text, TEXT_MAX);
    Finding {
        stream: cut(&found.stream),
        object: found.object.as_deref().map(cut),
        version: found.version.as_deref().map(|version| cut(version).into()),
        what: cut(&found.what).into(),
        ..found
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_ledger::control::{Open, Seal};
    use lifeboat_ledger::{Control, Hash, Holder, Pen, StreamProof, Tail, Verdict};

    use super::*;
    use crate::{Answer, Compared, Healed, Witnessed};

    #[test]
    fn a_text_is_cut_between_characters_by_what_it_takes_as_json() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("longer than that", 10), "longer …");
        assert_eq!(cut("ééééé", 10), "ééééé");
        assert_eq!(cut("éééééé", 10), "ééé…");
        assert_eq!(cut("", 0), "");
        for text in ["\u{1}", "\"", "é", "𝄞", "a", "\u{1}\"é𝄞a"] {
            let told = serde_json::to_string(&cut(&text.repeat(70_000), TEXT_MAX)).unwrap();
            assert!((TEXT_MAX - 9..=TEXT_MAX + 2).contains(&told.len()), "{text:?}: {} bytes", told.len());
        }
    }

    /// A pen with the longest names that a run has.
    fn sealed() -> Pen {
        let run = "r".repeat(80);
        let mut tail = Tail::new("ME1");
        let open = Control::Open(Open { epoch: 1, holder: Holder::Primary, run: run.clone() });
        tail.absorb_segment(1, &tail.control_segment(&open)).unwrap();
        let seal = Control::Seal(Seal { epoch: 2, run });
        tail.absorb_segment(2, &tail.control_segment(&seal)).unwrap();
        tail.pen().clone()
    }

    #[test]
    fn the_longest_answer_is_one_that_a_state_machine_hands_on() {
        let line = "\u{1}".repeat(65_536);
        let worst = Finding {
            object: Some(line.clone()),
            version: Some(line.as_str().into()),
            offset: Some(u64::MAX),
            ..Finding::broken(&line, Some(u64::MAX), line.as_str())
        };
        let names: Vec<String> = (0..100).map(|number| format!("{number:-<64}")).collect();
        let streams = names.iter().map(|name| StreamProof {
            stream: name.clone(),
            first_seq: 1,
            through: 1 << 52,
            head: Hash::of(b"x"),
            entries: 1 << 52,
            pen: sealed(),
        });
        let compared = |name: &String| Compared {
            stream: name.clone(),
            compared_through: Some(u64::MAX),
            same: u64::MAX,
            void: 1,
            ..Compared::default()
        };
        let healed =
            Healed { key: "k".repeat(1_024), sha256: "0".repeat(64), first_seq: 1 << 52, last_seq: 1 << 52 };
        let witness = Witnessed {
            reason: line.clone(),
            streams: names.iter().map(compared).collect(),
            healed: vec![healed; 20],
            unreadable: vec![worst.clone(); 20],
            ..Witnessed::default()
        };
        let answer = Answer::of(Verdict::Broken, streams.collect(), vec![worst; 1_000], u64::MAX);
        let mut answer = answer.with_witness(Some(witness));
        let Answer::Broken(examined) = &mut answer else { panic!("{answer:?}") };
        assert_eq!((examined.findings.len(), examined.findings_count), (20, 1_000));
        examined.tell_checkpoints(vec![line; 100]);
        let bytes = serde_json::to_vec(&answer).unwrap().len();
        assert!(bytes < 200 * 1_024, "{bytes} bytes");
    }
}
