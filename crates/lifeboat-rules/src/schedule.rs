//! When something is due: five fields of cron, in a time zone.
//!
//! Pure: instants are seconds since 1970 and come in as values. Where clocks jump, the rule is
//! this: a time that a clock skips is due at the moment the skip ends; a time that a clock shows
//! twice is due the first time only. So every written time is due exactly once a day it falls on.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, Timestamp, Zoned};
use thiserror::Error;

/// Days that are looked through for a due time: a 29 February that is a Monday may be forty years
/// away, across a year 2100.
const DAYS: i32 = 41 * 366;

/// When something is due, as people write it: `15 3 * * *`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    written: String,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether days of the month and of the week are both limited: then either is enough.
    either: bool,
}

/// Where clocks show the time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// What was written is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScheduleError {
    /// Not five fields.
    #[error("`{0}` has not five fields: minute, hour, day of the month, month, day of the week")]
    Fields(String),
    /// A field that cannot be read.
    #[error("`{text}` is no {field}: write numbers from {low} to {high}, `*`, `1-5`, `*/2`, `1,2`")]
    Field {
        /// What was written.
        text: String,
        /// Which field.
        field: &'static str,
        /// The smallest number.
        low: u8,
        /// The largest number.
        high: u8,
    },
    /// A day that no year has.
    #[error("`{0}` is never due: no year has such a day")]
    Never(String),
    /// A time zone that nobody knows.
    #[error("`{0}` is no time zone; write one as `Europe/Berlin` or `UTC`")]
    Zone(String),
}

/// A field of the five.
struct Field {
    name: &'static str,
    low: u8,
    high: u8,
    words: &'static [&'static str],
}

const MONTHS: &[&str] =
    &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const FIELDS: [Field; 5] = [
    Field { name: "minute", low: 0, high: 59, words: &[] },
    Field { name: "hour", low: 0, high: 23, words: &[] },
    Field { name: "day of the month", low: 1, high: 31, words: &[] },
    Field { name: "month", low: 1, high: 12, words: MONTHS },
    Field { name: "day of the week", low: 0, high: 7, words: WEEKDAYS },
];
/// Names for what is written most.
const SHORT: &[(&str, &str)] = &[
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
];

impl FromStr for Cron {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let short = SHORT.iter().find(|(name, _)| *name == text.trim());
        let long = short.map_or(text.trim(), |(_, long)| long);
        let words: Vec<&str> = long.split_whitespace().collect();
        let fields = <[&str; 5]>::try_from(words);
        let fields = fields.map_err(|_| ScheduleError::Fields(shortened(text)))?;
        let mut sets = [0; 5];
        for ((set, field), text) in sets.iter_mut().zip(&FIELDS).zip(fields) {
            *set = field.parse(text)?;
        }
        let [minutes, hours, days, months, weekdays] = sets;
        // Sunday is 0 and 7.
        let weekdays = (weekdays | weekdays >> 7) & 0x7f;
        let either = !fields[2].starts_with('*') && !fields[4].starts_with('*');
        let written = text.trim().to_owned();
        let cron = Self { written, minutes, hours, days, months, weekdays, either };
        if cron.is_possible() { Ok(cron) } else { Err(ScheduleError::Never(cron.written)) }
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl Cron {
    /// The first due time after `after` (seconds since 1970); `None` at the end of the calendar.
    pub fn next(&self, after: i64, zone: &Zone) -> Option<i64> {
        let first = zone.date(after)?.checked_sub(Span::new().days(1)).ok()?;
        (0..DAYS).find_map(|day| {
            let date = first.checked_add(Span::new().days(day)).ok()?;
            self.times(date).find_map(|time| zone.instant(time).filter(|due| *due > after))
        })
    }

    /// The last due time that is not after `now`; `None` before the beginning of the calendar.
    pub fn previous(&self, now: i64, zone: &Zone) -> Option<i64> {
        let last = zone.date(now)?.checked_add(Span::new().days(1)).ok()?;
        (0..DAYS).find_map(|day| {
            let date = last.checked_sub(Span::new().days(day)).ok()?;
            let due = self.times(date).filter_map(|time| zone.instant(time));
            due.filter(|due| *due <= now).last()
        })
    }

    /// Whether a run is due: one fell due after the last one began, or none ever did.
    pub fn is_due(&self, last: Option<i64>, now: i64, zone: &Zone) -> bool {
        let Some(last) = last else { return true };
        self.previous(now, zone).is_some_and(|due| due > last)
    }

    /// The due times of a day, in order.
    fn times(&self, date: Date) -> impl Iterator<Item = DateTime> + '_ {
        let hours = if self.falls_on(date) { self.hours } else { 0 };
        let minutes = move |hour| {
            (0..60).filter(|minute| has(self.minutes, *minute)).map(move |m| date.at(hour, m, 0, 0))
        };
        (0..24).filter(move |hour| has(hours, *hour)).flat_map(minutes)
    }

    fn falls_on(&self, date: Date) -> bool {
        let weekday = has(self.weekdays, Weekday::to_sunday_zero_offset(date.weekday()));
        let day = has(self.days, date.day());
        let fits = if self.either { day || weekday } else { day && weekday };
        has(self.months, date.month()) && fits
    }

    /// 30 February never comes.
    fn is_possible(&self) -> bool {
        let longest = |month| match month {
            2 => 29,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let day_exists = |month| (1..=longest(month)).any(|day| has(self.days, day));
        let months = (1..=12).filter(|month| has(self.months, *month));
        self.either || months.into_iter().any(day_exists)
    }
}

impl Zone {
    /// Coordinated universal time.
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The wall clock at an instant, as `2026-03-29T03:15`; empty outside of the calendar.
    pub fn clock(&self, at: i64) -> String {
        self.at(at).map_or_else(String::new, |time| time.strftime("%Y-%m-%dT%H:%M").to_string())
    }

    /// The wall clock at an instant.
    pub(crate) fn at(&self, at: i64) -> Option<Zoned> {
        Timestamp::from_second(at).ok().map(|at| at.to_zoned(self.0.clone()))
    }

    fn date(&self, at: i64) -> Option<Date> {
        self.at(at).map(|time| time.date())
    }

    /// When a clock shows this: the first time if it does twice, the end of the gap if it never
    /// does.
    fn instant(&self, time: DateTime) -> Option<i64> {
        let ambiguous = self.0.to_ambiguous_timestamp(time);
        let instant = match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { offset }
            | AmbiguousOffset::Fold { before: offset, .. } => offset.to_timestamp(time).ok()?,
            AmbiguousOffset::Gap { after, .. } => {
                let early = after.to_timestamp(time).ok()?;
                self.0.following(early).next()?.timestamp()
            }
        };
        Some(instant.as_second())
    }
}

impl FromStr for Zone {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let zone = TimeZone::get(text).map_err(|_| ScheduleError::Zone(shortened(text)))?;
        Ok(Self(zone))
    }
}

impl Field {
    fn parse(&self, text: &str) -> Result<u64, ScheduleError> {
        let mut set = 0;
        for part in text.split(',') {
            set |= self.part(part).ok_or_else(|| ScheduleError::Field {
                text: shortened(text),
                field: self.name,
                low: self.low,
                high: self.high,
            })?;
        }
        Ok(set)
    }

    fn part(&self, text: &str) -> Option<u64> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, step.parse::<u8>().ok().filter(|step| *step > 0)?),
            None => (text, 1),
        };
        let (low, high) = match range.split_once('-') {
            _ if range == "*" => (self.low, self.high),
            Some((low, high)) => (self.number(low)?, self.number(high)?),
            // `5/15` begins at 5 and goes on to the end.
            None if text.contains('/') => (self.number(range)?, self.high),
            None => (self.number(range)?, self.number(range)?),
        };
        let numbers = (low..=high).step_by(usize::from(step));
        (low <= high).then(|| numbers.fold(0, |set, number| set | 1 << number))
    }

    fn number(&self, text: &str) -> Option<u8> {
        let word = self.words.iter().position(|word| word.eq_ignore_ascii_case(text));
        let number = match word {
            Some(position) => u8::try_from(position).ok()? + self.low,
            None if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok()?,
            None => return None,
        };
        (self.low..=self.high).contains(&number).then_some(number)
    }
}

fn has(set: u64, number: i8) -> bool {
    u32::try_from(number).is_ok_and(|number| set >> number & 1 == 1)
}

/// Enough of what was written to find it again.
fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests;
