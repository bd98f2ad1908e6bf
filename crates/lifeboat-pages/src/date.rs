//! Moments as people read them, in one time zone for the whole archive.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// The month of events whose date is none.
pub const UNDATED: &str = "undated";

/// The time zone of the archive.
#[derive(Debug, Clone)]
pub struct Calendar {
    zone: TimeZone,
}

impl Calendar {
    /// A calendar of a time zone.
    pub fn new(zone: TimeZone) -> Self {
        Self { zone }
    }

    /// The name of the time zone.
    pub fn zone_name(&self) -> String {
        self.zone.iana_name().unwrap_or("a fixed offset").to_owned()
    }

    fn zoned(&self, ms: i64) -> Option<Zoned> {
        let zoned = Timestamp::from_millisecond(ms).ok()?.to_zoned(self.zone.clone());
        (0..=9999).contains(&zoned.year()).then_some(zoned)
    }

    fn written(&self, ms: i64, how: &str, undated: &str) -> String {
        self.zoned(ms).map_or_else(|| undated.to_owned(), |at| at.strftime(how).to_string())
    }

    /// `2026-03`
    pub fn month(&self, ms: i64) -> String {
        self.written(ms, "%Y-%m", UNDATED)
    }

    /// `March 2026`
    pub fn month_name(&self, ms: i64) -> String {
        self.written(ms, "%B %Y", "Without a date")
    }

    /// `Sunday, 1 March 2026`
    pub fn day(&self, ms: i64) -> String {
        self.written(ms, "%A, %-d %B %Y", "Without a date")
    }

    /// `1 March 2026`
    pub fn short_day(&self, ms: i64) -> String {
        self.written(ms, "%-d %B %Y", "no date")
    }

    /// `08:05`
    pub fn time(&self, ms: i64) -> String {
        self.written(ms, "%H:%M", "--:--")
    }

    /// `2026-03-01 08:05:09`
    pub fn moment(&self, ms: i64) -> String {
        self.written(ms, "%Y-%m-%d %H:%M:%S", "no date")
    }

    /// `2026-03-01T08:05:09+01:00`
    pub fn machine(&self, ms: i64) -> String {
        self.written(ms, "%Y-%m-%dT%H:%M:%S%:z", "")
    }
}
