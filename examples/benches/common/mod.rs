//! What the benchmarks share: our code and a peer take turns; each pair gives a ratio.

#[allow(dead_code, reason = "not every benchmark shows one")]
pub(crate) mod dashboard;
#[allow(dead_code, reason = "not every benchmark moves records")]
pub(crate) mod moving;

use std::{env, time::Instant};

use anyhow::{Context, Result};
use serde_json::json;

/// One comparison: ours against a peer, measured in turn in one run.
#[derive(Debug)]
pub(crate) struct Comparison {
    /// What is measured.
    pub(crate) bench: String,
    /// What our code is compared with.
    pub(crate) peer_name: &'static str,
    /// The highest ratio that is good enough; none where the figure has no limit.
    pub(crate) goal: Option<f64>,
    /// The unit of both columns.
    pub(crate) unit: &'static str,
    /// Pairs of ours and the peer's.
    pub(crate) pairs: Vec<(f64, f64)>,
    /// The peak memory of ours, where it matters.
    pub(crate) peak_mb: Option<f64>,
}

impl Comparison {
    /// Prints the medians: a line for people, or a JSON object.
    pub(crate) fn print(&self, as_json: bool) {
        let ratio = median(self.pairs.iter().map(|(ours, peer)| ours / peer));
        let ours = median(self.pairs.iter().map(|(ours, _)| *ours));
        let peer = median(self.pairs.iter().map(|(_, peer)| *peer));
        if as_json {
            let line = json!({
                "bench": self.bench,
                "ratio": ratio,
                "goal": self.goal,
                "ours": ours,
                "peer": peer,
                "peer_name": self.peer_name,
                "peak_mb": self.peak_mb,
            });
            println!("{line}");
            return;
        }
        let verdict = match self.goal {
            None => "for information".to_owned(),
            Some(goal) if ratio <= goal => format!("goal {goal}, met"),
            Some(goal) => format!("goal {goal}, missed"),
        };
        print!(
            "{:<24} {ratio:>6.3} × {} ({verdict}): {ours:.3} against {peer:.3} {}",
            self.bench, self.peer_name, self.unit
        );
        match self.peak_mb {
            None => println!(),
            Some(peak) => println!(", peak memory {peak:.0} MB"),
        }
    }
}

/// The median; of an even number of values the lower one.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len().saturating_sub(1) / 2;
    values.get(middle).copied().unwrap_or(f64::NAN)
}

/// A setting that `cargo xtask bench` gives.
pub(crate) fn setting(name: &str) -> Result<String> {
    env::var(name).with_context(|| format!("no {name}; start it with `cargo xtask bench`"))
}

/// Times of the same call by both, in milliseconds.
#[derive(Debug, Default)]
#[allow(dead_code, reason = "not every benchmark times calls")]
pub(crate) struct Pair {
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

#[allow(dead_code, reason = "not every benchmark times calls")]
impl Pair {
    /// Times both; who is first changes with each pair.
    pub(crate) async fn time(
        &mut self,
        call: usize,
        ours: impl Future<Output = Result<()>>,
        theirs: impl Future<Output = Result<()>>,
    ) -> Result<()> {
        if call.is_multiple_of(2) {
            self.ours.push(millis(ours).await?);
            self.theirs.push(millis(theirs).await?);
        } else {
            self.theirs.push(millis(theirs).await?);
            self.ours.push(millis(ours).await?);
        }
        Ok(())
    }

    pub(crate) fn medians(&self) -> (f64, f64) {
        (
            median(self.ours.iter().copied()),
            median(self.theirs.iter().copied()),
        )
    }
}

#[allow(dead_code, reason = "not every benchmark times calls")]
async fn millis(call: impl Future<Output = Result<()>>) -> Result<f64> {
    let started = Instant::now();
    call.await?;
    Ok(started.elapsed().as_secs_f64() * 1_000.0)
}
