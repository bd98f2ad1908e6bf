//! Which backups are kept: the newest of each hour, day, week, month and year, by a policy.
//!
//! Pure. What must never be forgotten is decided here, once: what is pinned, what is dated after
//! now (a clock was wrong, somewhere), the newest backup, the newest that was verified, and the
//! newest that was not found wrong. One that was found wrong takes the place of none that was not.

use jiff::Zoned;
use serde::{Deserialize, Serialize};

use crate::schedule::Zone;

/// How many of each are kept. A policy that keeps nothing is no policy: see [`Retention::is_none`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Retention {
    /// The newest, whatever their date.
    pub last: u32,
    /// The newest of each hour that has one.
    pub hourly: u32,
    /// Of each day.
    pub daily: u32,
    /// Of each week, from Monday.
    pub weekly: u32,
    /// Of each month.
    pub monthly: u32,
    /// Of each year.
    pub yearly: u32,
    /// Everything that is not older than this, in seconds before now.
    pub within_seconds: u64,
}

/// A backup, as far as keeping it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dated {
    /// Its name.
    pub id: String,
    /// When it was made, seconds since 1970.
    pub at: i64,
    /// It was read whole and found good.
    pub verified: bool,
    /// Its newest check found something wrong.
    pub wrong: bool,
    /// Somebody said that it stays.
    pub pinned: bool,
}

/// What becomes of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Its name.
    pub id: String,
    /// Whether it stays.
    pub keep: bool,
    /// Why it stays, in words; empty when it goes.
    pub reasons: Vec<String>,
}

impl Retention {
    /// Whether it keeps nothing at all. Such a policy is that of whoever has said nothing, and
    /// [`keep`] forgets nothing by it.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// What becomes of each backup, in the order they were given. Hours, days and weeks are those of
/// `zone`; `now` is in seconds since 1970.
pub fn keep(backups: &[Dated], policy: &Retention, zone: &Zone, now: i64) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = backups.iter().map(|backup| always(backup, now)).collect();
    // Newest first; what is dated after now takes nobody's place.
    let mut past: Vec<usize> = (0..backups.len()).filter(|at| backups[*at].at <= now).collect();
    past.sort_by(|left, right| backups[*right].order().cmp(&backups[*left].order()));
    if policy.is_none() {
        for verdict in &mut verdicts {
            verdict.stay("no retention is set".to_owned());
        }
    }
    if let Some(newest) = past.first() {
        verdicts[*newest].stay("newest".to_owned());
    }
    if let Some(verified) = past.iter().find(|at| backups[**at].verified) {
        verdicts[*verified].stay("newest verified".to_owned());
    }
    let sound = past.iter().find(|at| !backups[**at].wrong);
    if let Some(sound) = sound.filter(|at| backups[past[0]].wrong && !backups[**at].verified) {
        verdicts[*sound].stay("newest not found wrong".to_owned());
    }
    let mut sound = 0;
    for at in &past {
        if sound < count(policy.last) {
            verdicts[*at].stay(format!("one of the last {}", policy.last));
        }
        sound += usize::from(!backups[*at].wrong);
    }
    for at in &past {
        if now.abs_diff(backups[*at].at) <= policy.within_seconds && policy.within_seconds > 0 {
            verdicts[*at].stay(format!("not older than {} h", policy.within_seconds / 3_600));
        }
    }
    for period in &PERIODS {
        for (at, name) in period.kept(backups, &past, (policy, zone)) {
            verdicts[at].stay(format!("{} {name}", period.word));
        }
    }
    for (verdict, backup) in verdicts.iter_mut().zip(backups) {
        if verdict.keep && backup.wrong {
            verdict.stay("but its newest check found it wrong".to_owned());
        }
    }
    verdicts
}

/// What stays whatever the policy says.
fn always(backup: &Dated, now: i64) -> Verdict {
    let mut verdict = Verdict { id: backup.id.clone(), keep: false, reasons: Vec::new() };
    if backup.pinned {
        verdict.stay("pinned".to_owned());
    }
    if backup.at > now {
        verdict.stay("dated after now".to_owned());
    }
    verdict
}

impl Verdict {
    fn stay(&mut self, reason: String) {
        self.keep = true;
        self.reasons.push(reason);
    }
}

impl Dated {
    /// By date; of the same second by name, so that the answer does not depend on the order given.
    fn order(&self) -> (i64, &str) {
        (self.at, &self.id)
    }
}

/// A stretch of time of which the newest backup is kept.
struct Period {
    word: &'static str,
    limit: fn(&Retention) -> u32,
    /// Its name, which no other stretch has.
    name: fn(&Zoned) -> String,
}

impl Period {
    /// Of each stretch the newest that was not found wrong. Where there is none, the newest of all
    /// stays, and does not count.
    fn kept(
        &self,
        backups: &[Dated],
        past: &[usize],
        (policy, zone): (&Retention, &Zone),
    ) -> Vec<(usize, String)> {
        let mut stretches: Vec<(String, usize)> = Vec::new();
        for at in past {
            let Some(name) = zone.at(backups[*at].at).as_ref().map(self.name) else { continue };
            match stretches.last_mut().filter(|(known, _)| *known == name) {
                None => stretches.push((name, *at)),
                Some((_, kept)) if backups[*kept].wrong && !backups[*at].wrong => *kept = *at,
                Some(_) => {}
            }
        }
        let mut sound = 0;
        let mut kept = Vec::new();
        for (name, at) in stretches {
            if sound == count((self.limit)(policy)) {
                break;
            }
            sound += usize::from(!backups[at].wrong);
            kept.push((at, name));
        }
        kept
    }
}

const PERIODS: [Period; 5] = [
    Period { word: "hourly", limit: |policy| policy.hourly, name: hour },
    Period { word: "daily", limit: |policy| policy.daily, name: |time| time.date().to_string() },
    Period { word: "weekly", limit: |policy| policy.weekly, name: week },
    Period {
        word: "monthly",
        limit: |policy| policy.monthly,
        name: |time| format!("{:04}-{:02}", time.year(), time.month()),
    },
    Period {
        word: "yearly",
        limit: |policy| policy.yearly,
        name: |time| format!("{:04}", time.year()),
    },
];

/// An hour that the clock shows twice is two: then the offset tells which.
fn hour(time: &Zoned) -> String {
    let shown = format!("{}T{:02}", time.date(), time.hour());
    let is_twice = time.time_zone().to_ambiguous_zoned(time.datetime()).is_ambiguous();
    if is_twice { format!("{shown} at UTC{}", time.offset()) } else { shown }
}

fn week(time: &Zoned) -> String {
    let week = time.date().iso_week_date();
    format!("{:04}-W{:02}", week.year(), week.week())
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
