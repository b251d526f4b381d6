//! When a kind of credential may be used: announced, browned out, retired.

use alloc::vec::Vec;
use core::time::Duration;

use crate::{Kind, Timestamp};

/// The schedules of all kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    schedules: [Schedule; Kind::ALL.len()],
}

/// What is planned for one kind. The default is that it may be used for ever.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schedule {
    /// Whether the kind is off for as long as nothing is announced about it: then nobody uses it by mistake.
    pub off: bool,
    /// Since when its end is announced.
    pub announced_at: Option<Timestamp>,
    /// From when on no new one is made.
    pub creation_ends_at: Option<Timestamp>,
    /// When it is refused for a while, so that whoever still uses it notices.
    pub brownouts: Vec<Brownout>,
    /// From when on it is refused for good.
    pub retires_at: Option<Timestamp>,
}

/// One window of refusal, or one that comes again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Brownout {
    /// When the first window begins.
    pub first: Timestamp,
    /// How long each lasts.
    pub length: Duration,
    /// How far apart their beginnings are; `None` for a single one.
    pub every: Option<Duration>,
    /// No window begins at or after this moment.
    pub until: Timestamp,
}

/// Where a kind is in its life at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It is not used here.
    Off,
    /// It may be used, and nothing is planned.
    On,
    /// It may be used, and its end is announced.
    Announced,
    /// It is refused until a moment.
    Brownout {
        /// When the window ends.
        until: Timestamp,
    },
    /// It is refused for good.
    Retired {
        /// Since when.
        since: Timestamp,
    },
}

impl Calendar {
    /// A server's own calendar before anybody plans anything: app passwords are off, everything else may be used.
    pub fn new() -> Self {
        let mut calendar = Self::open();
        calendar.schedule_mut(Kind::AppPassword).off = true;
        calendar
    }

    /// Nothing is planned for any kind, and none is off.
    pub fn open() -> Self {
        Self { schedules: [const { Schedule::NONE }; Kind::ALL.len()] }
    }

    /// What is planned for a kind.
    pub fn schedule(&self, kind: Kind) -> &Schedule {
        &self.schedules[kind as usize]
    }

    /// What is planned for a kind, to be changed.
    pub fn schedule_mut(&mut self, kind: Kind) -> &mut Schedule {
        &mut self.schedules[kind as usize]
    }

    /// Where a kind is in its life.
    pub fn phase(&self, kind: Kind, now: Timestamp) -> Phase {
        self.schedule(kind).phase(now)
    }
}

impl Default for Calendar {
    fn default() -> Self {
        Self::new()
    }
}

impl Schedule {
    const NONE: Self =
        Self { off: false, announced_at: None, creation_ends_at: None, brownouts: Vec::new(), retires_at: None };

    /// Where the kind is in its life.
    pub fn phase(&self, now: Timestamp) -> Phase {
        if let Some(since) = self.retires_at.filter(|at| *at <= now) {
            return Phase::Retired { since };
        }
        let announced = self.announced_at.is_some_and(|at| at <= now);
        if self.off && !announced {
            return Phase::Off;
        }
        if let Some(mut until) = self.brownout_over(now) {
            // One window may begin where another ends.
            for _ in 0..self.brownouts.len() {
                until = self.brownout_over(until).unwrap_or(until);
            }
            return Phase::Brownout { until };
        }
        if announced { Phase::Announced } else { Phase::On }
    }

    /// When the last of the windows that cover a moment ends.
    fn brownout_over(&self, now: Timestamp) -> Option<Timestamp> {
        self.brownouts.iter().filter_map(|brownout| brownout.over(now)).max()
    }

    /// Whether a new credential of the kind may be made.
    pub fn may_create(&self, now: Timestamp) -> bool {
        let ended = self.creation_ends_at.is_some_and(|at| at <= now);
        !ended && !matches!(self.phase(now), Phase::Off | Phase::Retired { .. })
    }
}

impl Brownout {
    /// When the window that covers a moment ends; `None` if none does.
    pub fn over(&self, now: Timestamp) -> Option<Timestamp> {
        let since = now.0.checked_sub(self.first.0).filter(|since| *since >= 0)?;
        let length = i64::try_from(self.length.as_millis()).unwrap_or(i64::MAX);
        let every = self.every.map_or(i64::MAX, |every| i64::try_from(every.as_millis()).unwrap_or(i64::MAX)).max(1);
        let began = Timestamp(now.0 - since % every);
        let covers = began < self.until && now.0 - began.0 < length;
        covers.then(|| Timestamp(began.0.saturating_add(length)))
    }
}
