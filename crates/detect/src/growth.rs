//! How a container's memory grew, and when it will reach its limit.
//!
//! A leak shows in what is left after each clean-up, not in the use between two: the lowest use of each of twelve parts of
//! time is taken, and the trend of those twelve by ranks, which no single reading can bend. Readings are of one instance of
//! a container, never across a restart, and of memory that cannot be given back: the pages of files come and go.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bytes and ranks become shares and come back within their bounds; a cast of a float stops at those"
)]

mod trend;

use jiff::{SignedDuration, Timestamp};
use reckon_model::document::Shape;
use reckon_model::kernel::MemoryUse;
use trend::{Trend, median};

/// Parts of time of which the lowest use is taken. With twelve, ranks that rise in six of ten pairs are chance once in 300.
const BLOCKS: usize = 12;

/// Fewer parts than this tell no trend from chance.
const FEWEST: usize = 6;

/// The beginning is left out: programs fill their caches and heaps first.
const WARM_UP: f64 = 0.1;

/// Kendall's τ from which on it rises: `memory-deaths` §4.2, as are the shares below.
const RISES: f64 = 0.6;

/// A smaller rise than this share of the limit is nothing, over the time that was looked at.
const SMALLEST: f64 = 0.05;

/// What scatters more than a quarter of its rise is no steady growth.
const SCATTER: f64 = 0.25;

/// The second half grows at least so much as the first, or it is coming to rest.
const GOES_ON: f64 = 0.25;

/// So much of the rise between two neighbouring parts is a step.
const STEP: f64 = 0.6;

/// More than this share of the limit between the last reading and the use at death is a burst.
const BURST: f64 = 0.15;

/// Floor and limit are closer than this share: it stands at its limit.
const NEAR: f64 = 0.85;

/// An end in less than this is one at the start.
const STARTUP: SignedDuration = SignedDuration::from_secs(60);

/// A forecast whose ends are further apart than this factor is none.
const WIDEST: f64 = 4.0;

/// Further away than this nobody acts on it, and no trend is that steady.
const FURTHEST: f64 = 30.0 * 24.0 * 3600.0;

/// What is known of one instance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life<'a> {
    /// Readings, oldest first.
    pub(crate) uses: &'a [MemoryUse],
    /// The limit in bytes.
    pub(crate) limit: u64,
    /// When it started.
    pub(crate) started: Option<Timestamp>,
    /// When it was killed, and what it held then if the kernel tells. The kernel's number is cut off by the limit.
    pub(crate) killed: Option<(Timestamp, Option<u64>)>,
}

/// When it will reach its limit, from the last reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forecast {
    /// Not before this.
    pub(crate) from: Timestamp,
    /// Most likely.
    pub(crate) at: Timestamp,
    /// Not after this.
    pub(crate) to: Timestamp,
    /// Bytes an hour.
    pub(crate) per_hour: u64,
}

impl Life<'_> {
    /// How it grew; `None` where that cannot be told.
    pub(crate) fn shape(&self) -> Option<Shape> {
        if let Some((killed, _)) = self.killed
            && self.started.is_some_and(|started| killed.duration_since(started) < STARTUP)
        {
            return Some(Shape::Startup);
        }
        let limit = self.limit as f64;
        let blocks = self.blocks();
        let trend = blocks.as_deref().and_then(Trend::of);
        if let Some(rising) = trend.as_ref().and_then(|trend| rising(trend, blocks.as_deref()?, limit)) {
            return Some(rising);
        }
        if let Some((killed, Some(held))) = self.killed
            && let Some(last) = self.uses.iter().rev().find(|reading| reading.at <= killed)
            && (held.saturating_sub(last.peak)) as f64 > BURST * limit
        {
            return Some(Shape::Burst);
        }
        let floor = median(&blocks?.iter().map(|block| block.1).collect::<Vec<_>>())?;
        (floor >= NEAR * limit).then_some(Shape::Plateau)
    }

    /// When the limit is reached, if it goes on so; `None` where it does not grow, or where that is too uncertain.
    ///
    /// The ends come from Sen's interval for the slope at 95 %: it takes nothing but ranks and, unlike a bootstrap, no
    /// random numbers, so that the same readings give the same answer.
    pub(crate) fn forecast(&self) -> Option<Forecast> {
        let blocks = self.blocks()?;
        let trend = Trend::of(&blocks)?;
        let limit = self.limit as f64;
        if rising(&trend, &blocks, limit)? != Shape::Growth {
            return None;
        }
        let last = self.uses.last()?;
        // Between two clean-ups it stands above its floor, and it is the top that meets the limit.
        let mut above: Vec<f64> =
            self.uses.iter().map(|reading| reading.peak as f64 - trend.at(self.seconds(reading.at))).collect();
        above.sort_by(f64::total_cmp);
        let above = |share: f64| above.get((share * (above.len() - 1) as f64) as usize).copied();
        let left = limit - trend.at(self.seconds(last.at));
        let after = |above: f64, slope: f64| (slope > 0.0).then(|| ((left - above) / slope).max(0.0));
        let from = after(above(0.95)?, trend.highest)?;
        let (at, to) = (after(above(0.5)?, trend.slope)?, after(0.0, trend.lowest)?);
        if at > FURTHEST || to > WIDEST * from.max(1.0) {
            return None;
        }
        let then = |seconds: f64| last.at.checked_add(SignedDuration::try_from_secs_f64(seconds).ok()?).ok();
        let per_hour = (trend.slope * 3600.0).round().max(0.0) as u64;
        Some(Forecast { from: then(from)?, at: then(at)?, to: then(to)?, per_hour })
    }

    /// The lowest use in each part of the time, in seconds since the first reading and bytes. A part without a reading has
    /// what the one before it had: what does not change is not told.
    fn blocks(&self) -> Option<Vec<(f64, f64)>> {
        let (first, last) = (self.uses.first()?, self.uses.last()?);
        let whole = self.seconds(last.at);
        let skipped = whole * WARM_UP;
        let used: Vec<(f64, f64)> = self
            .uses
            .iter()
            .map(|reading| (self.seconds(reading.at), reading.floor as f64))
            .filter(|(at, _)| *at >= skipped)
            .collect();
        let count = (used.len() / 2).min(BLOCKS);
        if count < FEWEST || last.at <= first.at {
            return None;
        }
        let width = (whole - skipped) / count as f64;
        let mut before = used.first()?.1;
        let mut rest = used.as_slice();
        let mut blocks = Vec::with_capacity(count);
        for block in 1..=count {
            let end = skipped + width * block as f64;
            let within = if block == count { rest.len() } else { rest.partition_point(|(at, _)| *at < end) };
            let (these, others) = rest.split_at(within);
            before = these.iter().map(|(_, floor)| *floor).reduce(f64::min).unwrap_or(before);
            blocks.push((end - width / 2.0, before));
            rest = others;
        }
        Some(blocks)
    }

    /// Since the first reading.
    fn seconds(&self, at: Timestamp) -> f64 {
        self.uses.first().map_or(0.0, |first| at.duration_since(first.at).as_secs_f64())
    }
}

/// How it rises; `None` where it does not.
fn rising(trend: &Trend, blocks: &[(f64, f64)], limit: f64) -> Option<Shape> {
    let (first, last) = (blocks.first()?, blocks.last()?);
    let rise = trend.slope * (last.0 - first.0);
    if trend.tau < RISES || rise < SMALLEST * limit || trend.scatter > SCATTER * rise {
        return None;
    }
    let whole = last.1 - first.1;
    let largest = blocks.windows(2).map(|pair| pair[1].1 - pair[0].1).fold(0.0, f64::max);
    if largest > STEP * whole {
        return Some(Shape::Step);
    }
    let (early, late) = blocks.split_at(blocks.len() / 2);
    let (early, late) = (Trend::slope(early)?, Trend::slope(late)?);
    Some(if late >= GOES_ON * early { Shape::Growth } else { Shape::Plateau })
}

/// What lifetimes alone tell, where nothing was measured: those of at least four deaths of the same program under the same
/// limit. A leak takes as long each time; load does not. Restart gaps hold back-off and do not count.
pub(crate) fn by_lifetimes(lifetimes: &[SignedDuration]) -> Option<Shape> {
    const DEATHS: usize = 4;
    const ALIKE: f64 = 0.25;
    const UNLIKE: f64 = 0.8;
    let seconds: Vec<f64> = lifetimes.iter().map(SignedDuration::as_secs_f64).collect();
    let count = seconds.len() as f64;
    let short = seconds.iter().filter(|lived| **lived < STARTUP.as_secs_f64()).count();
    if seconds.len() >= 3 && short * 3 >= seconds.len() * 2 {
        return Some(Shape::Startup);
    }
    if seconds.len() < DEATHS {
        return None;
    }
    let mean = seconds.iter().sum::<f64>() / count;
    let variance = seconds.iter().map(|lived| (lived - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let varies = variance.sqrt() / mean;
    match () {
        () if varies < ALIKE && mean > 3.0 * STARTUP.as_secs_f64() => Some(Shape::Growth),
        () if varies > UNLIKE => Some(Shape::Burst),
        () => None,
    }
}

#[cfg(test)]
mod tests;
