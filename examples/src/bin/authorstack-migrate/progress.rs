//! Progress on stderr: bars on a terminal, plain lines otherwise.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{IsTerminal, stderr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use authorstack_core::migrate::{Counts, Kind, KindReport, Progress};
use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressStyle};

use crate::{console::say, output::grouped};

/// Plain lines of a kind are at least this far apart.
const PAUSE: Duration = Duration::from_secs(5);
/// A guess at the end is worth showing only behind this share.
const SURE: f64 = 0.02;

/// Shows how a command comes on, and remembers what was counted.
pub(crate) struct Reporter {
    view: View,
    kinds: Mutex<BTreeMap<Kind, Seen>>,
}

enum View {
    Bars(MultiProgress),
    Lines,
    Nothing,
}

struct Seen {
    started: Instant,
    shown: Instant,
    total: u64,
    /// What earlier processes had counted.
    before: u64,
    counts: Counts,
    bar: Option<ProgressBar>,
}

impl Reporter {
    pub(crate) fn new(quiet: bool) -> Self {
        let view = if quiet {
            View::Nothing
        } else if stderr().is_terminal() {
            View::Bars(MultiProgress::new())
        } else {
            View::Lines
        };
        Self {
            view,
            kinds: Mutex::default(),
        }
    }

    fn kinds(&self) -> MutexGuard<'_, BTreeMap<Kind, Seen>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was counted so far, for a command that failed.
    pub(crate) fn so_far(&self) -> Vec<KindReport> {
        let report = |(kind, seen): (&Kind, &Seen)| KindReport {
            kind: *kind,
            counts: seen.counts,
            differing: 0,
            set_aside: 0,
            seconds: seen.started.elapsed().as_secs_f64(),
        };
        self.kinds().iter().map(report).collect()
    }

    /// Leaves the bars as they are, so that messages go below them.
    pub(crate) fn end(&self) {
        for bar in self.kinds().values().filter_map(|seen| seen.bar.as_ref()) {
            if !bar.is_finished() {
                bar.abandon();
            }
        }
    }

    fn line(&self, text: &str) {
        if matches!(self.view, View::Lines) {
            say(text);
        }
    }
}

fn style() -> ProgressStyle {
    let template = "{prefix:>18} {bar:30} {human_pos}/{human_len} {percent:>3} % {msg}";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Progress for Reporter {
    fn started(&self, kind: Kind, total: u64, counted: Counts) {
        let bar = match &self.view {
            View::Bars(bars) => {
                let bar = bars.add(ProgressBar::new(total).with_style(style()));
                bar.set_prefix(kind.as_str());
                bar.set_position(counted.read);
                Some(bar)
            }
            _ => None,
        };
        let resumed = match counted.read {
            0 => String::new(),
            read => format!(", resumed after {}", grouped(read)),
        };
        // A replay does not know at the start how many lines it has.
        if total > 0 {
            self.line(&format!("{kind}: {} to read{resumed}", grouped(total)));
        }
        let now = Instant::now();
        let seen = Seen {
            started: now,
            shown: now,
            total,
            before: counted.read,
            counts: counted,
            bar,
        };
        self.kinds().insert(kind, seen);
    }

    fn advanced(&self, kind: Kind, counted: Counts) {
        let mut kinds = self.kinds();
        let Some(seen) = kinds.get_mut(&kind) else {
            return;
        };
        seen.counts = counted;
        if let Some(bar) = &seen.bar {
            bar.set_length(seen.total.max(counted.read));
            bar.set_message(pace(seen));
            bar.set_position(counted.read);
        }
        if seen.shown.elapsed() >= PAUSE {
            seen.shown = Instant::now();
            self.line(&status(kind, seen));
        }
    }

    fn finishing(&self, kind: Kind) {
        if let Some(bar) = self.kinds().get(&kind).and_then(|seen| seen.bar.as_ref()) {
            bar.set_message("building indexes");
        }
        self.line(&format!("{kind}: all read, building indexes"));
    }

    fn finished(&self, kind: Kind, counted: Counts) {
        let mut kinds = self.kinds();
        let Some(seen) = kinds.get_mut(&kind) else {
            return;
        };
        seen.counts = counted;
        let seconds = seen.started.elapsed().as_secs_f64();
        if let Some(bar) = &seen.bar {
            bar.finish_with_message(format!("done in {seconds:.1} s"));
        }
        self.line(&format!(
            "{kind}: {} read, done in {seconds:.1} s",
            grouped(counted.read)
        ));
    }
}

/// One plain line: done/total, per cent, rate, time left.
fn status(kind: Kind, seen: &Seen) -> String {
    let (done, total) = (seen.counts.read, seen.total.max(seen.counts.read));
    let percent = u128::from(done) * 100 / u128::from(total.max(1));
    format!(
        "{kind}: {}/{} ({percent} %), {}",
        grouped(done),
        grouped(total),
        pace(seen)
    )
}

/// The rate in this process, and the time left.
#[expect(
    clippy::cast_precision_loss,
    reason = "shares and rates for people, not sums"
)]
fn pace(seen: &Seen) -> String {
    let (done, total) = (seen.counts.read, seen.total.max(seen.counts.read));
    let here = done.saturating_sub(seen.before) as f64;
    let rate = here / seen.started.elapsed().as_secs_f64().max(0.001);
    let mut text = format!("{rate:.0}/s");
    if done as f64 >= total as f64 * SURE
        && let Ok(left) = Duration::try_from_secs_f64((total - done) as f64 / rate)
    {
        let _ = write!(text, ", ETA {:#}", HumanDuration(left));
    }
    text
}
