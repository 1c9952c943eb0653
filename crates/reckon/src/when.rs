//! Times for people.

use jiff::tz::TimeZone;
use reckon_model::{Timestamp, duration};

/// How times are shown: the zone, and the moment that ages count from.
#[derive(Clone, Debug)]
pub(crate) struct When {
    zone: TimeZone,
    now: Timestamp,
}

impl When {
    /// In UTC, or in the zone of this machine.
    pub(crate) fn new(local: bool, now: Timestamp) -> Self {
        When { zone: if local { TimeZone::system() } else { TimeZone::UTC }, now }
    }

    /// The time of day; the date where it is older than a day.
    pub(crate) fn clock(&self, at: Timestamp) -> String {
        let zoned = at.to_zoned(self.zone.clone());
        let old = duration::between(at, self.now).as_hours() >= 24;
        zoned.strftime(if old { "%Y-%m-%d %H:%M" } else { "%H:%M:%S" }).to_string()
    }

    /// The name of the zone: `UTC`.
    pub(crate) fn zone(&self) -> String {
        self.now.to_zoned(self.zone.clone()).strftime("%Z").to_string()
    }

    /// The time with its zone and age: `14:02:31 UTC (22m)`.
    pub(crate) fn full(&self, at: Timestamp) -> String {
        format!("{} {} ({})", self.clock(at), self.zone(), self.age(at))
    }

    /// How long ago.
    pub(crate) fn age(&self, at: Timestamp) -> String {
        duration::short(duration::between(at, self.now))
    }
}
