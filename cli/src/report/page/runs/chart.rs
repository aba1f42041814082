//! RTO of each run on a logarithmic scale, with what was lost below it.

use maud::{Markup, html};

use crate::report::all::Seen;
use crate::report::words::duration;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 92.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 36.0;
/// Where the scale ends and the two lines of marks begin.
const BOTTOM: f64 = 212.0;
const LOSS_Y: f64 = 244.0;
const NUMBER_Y: f64 = 286.0;
/// Milliseconds that are worth a line.
const TICKS: [i64; 9] =
    [1_000, 10_000, 60_000, 600_000, 3_600_000, 7_200_000, 14_400_000, 86_400_000, 604_800_000];
/// Runs that are numbered below the axis.
const NUMBERS_MAX: usize = 12;

pub(super) fn chart(runs: &[Seen]) -> Markup {
    let scale = Scale::of(runs);
    let step = runs.len().div_ceil(NUMBERS_MAX).max(1);
    let column = (WIDTH - LEFT - RIGHT) / runs.len().max(1) as f64;
    let x = |index: usize| LEFT + (index as f64 + 0.5) * column;
    html! {
        figure {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label="Recovery time of each run against its objective, and entries \
                 lost; the table below has the same in numbers" {
                @for tick in scale.ticks() {
                    line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(scale.y(tick)) y2=(scale.y(tick)) {}
                    text x=(LEFT - 10.0) y=(scale.y(tick) + 5.0) text-anchor="end" { (duration(tick).replace(".0 ", " ")) }
                }
                text x=(LEFT - 10.0) y=(LOSS_Y + 5.0) text-anchor="end" { "Lost" }
                text x=(LEFT - 10.0) y=(NUMBER_Y) text-anchor="end" { "No." }
                @for (index, run) in runs.iter().enumerate() {
                    @if let Some(limit) = run.objective_milliseconds {
                        line.objective x1=(x(index) - column / 2.0) x2=(x(index) + column / 2.0) y1=(scale.y(limit)) y2=(scale.y(limit)) {}
                        @if objective_before(runs, index) != Some(limit) {
                            text x=(x(index) - column / 2.0) y=(scale.y(limit) - 8.0) { "objective " (duration(limit)) }
                        }
                    }
                    (recovery(run, x(index), &scale))
                    (loss(run, x(index)))
                    @if index % step == 0 { text x=(x(index)) y=(NUMBER_Y) text-anchor="middle" { (index + 1) } }
                }
            }
            figcaption {
                ul.legend {
                    li { svg viewBox="0 0 32 18" aria-hidden="true" { circle.met cx="16" cy="9" r="7" {} } "recovered in time; below: 0 lost" }
                    li { svg viewBox="0 0 32 18" aria-hidden="true" { rect.missed x="9" y="2" width="14" height="14" {} } "too late; below: entries lost" }
                    li { svg viewBox="0 0 32 18" aria-hidden="true" { circle.none cx="16" cy="9" r="6" {} } "did not recover; below: not measured" }
                    li { svg viewBox="0 0 32 18" aria-hidden="true" { line.objective x1="0" x2="32" y1="9" y2="9" {} } "objective (RTO; for loss it is 0)" }
                }
                "The scale of time is logarithmic. Runs are in the order of their begin, by the numbers of the table."
            }
        }
    }
}

/// The objective of the last run before this one that had any.
fn objective_before(runs: &[Seen], index: usize) -> Option<i64> {
    runs[..index].iter().rev().find_map(|run| run.objective_milliseconds)
}

fn recovery(run: &Seen, x: f64, scale: &Scale) -> Markup {
    let what = |said: &str| format!("{}: {said}", run.run);
    match (run.rto_milliseconds, run.rto_met) {
        (Some(took), Some(true)) => {
            html! { circle.met cx=(x) cy=(scale.y(took)) r="7" { title { (what(&duration(took))) } } }
        }
        (Some(took), _) => html! {
            rect.missed x=(x - 7.0) y=(scale.y(took) - 7.0) width="14" height="14" { title { (what(&duration(took))) } }
        },
        (None, _) => html! { circle.none cx=(x) cy=(BOTTOM) r="6" { title { (what("did not recover")) } } },
    }
}

fn loss(run: &Seen, x: f64) -> Markup {
    match run.lost_entries {
        Some(0) => html! { circle.met cx=(x) cy=(LOSS_Y) r="7" {} },
        Some(_) => html! { rect.missed x=(x - 7.0) y=(LOSS_Y - 7.0) width="14" height="14" {} },
        None => html! { circle.none cx=(x) cy=(LOSS_Y) r="6" {} },
    }
}

/// From the shortest to the longest time that is shown, each a little further.
struct Scale {
    least: f64,
    most: f64,
}

impl Scale {
    fn of(runs: &[Seen]) -> Scale {
        let times = runs.iter().flat_map(|run| [run.rto_milliseconds, run.objective_milliseconds]).flatten();
        let times: Vec<f64> = times.map(|time| time.max(1) as f64).collect();
        let least = times.iter().copied().fold(10_000.0, f64::min) / 2.0;
        let most = times.iter().copied().fold(60_000.0, f64::max) * 1.5;
        Scale { least, most }
    }

    fn y(&self, milliseconds: i64) -> f64 {
        let share = ((milliseconds.max(1) as f64) / self.least).ln() / (self.most / self.least).ln();
        let y = BOTTOM - share * (BOTTOM - TOP);
        (y * 10.0).round() / 10.0
    }

    /// The lines that are far enough from one another to be told apart.
    fn ticks(&self) -> Vec<i64> {
        let mut ticks: Vec<i64> = Vec::new();
        for tick in TICKS {
            let is_shown = tick as f64 >= self.least && tick as f64 <= self.most;
            if is_shown && ticks.last().is_none_or(|last| self.y(*last) - self.y(tick) >= 26.0) {
                ticks.push(tick);
            }
        }
        ticks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_is_higher_and_all_is_within_the_frame() {
        let scale = Scale { least: 5_000.0, most: 10_800_000.0 };
        let (short, long) = (scale.y(17_000), scale.y(7_200_000));
        assert!(TOP < long && long < short && short < BOTTOM, "{long} {short}");
        assert_eq!(scale.ticks(), [10_000, 60_000, 600_000, 3_600_000]);
    }
}
