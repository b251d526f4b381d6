//! How long to wait before something is tried again: longer each time, never all at once.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::sleep;

/// The waits of one who tries.
#[derive(Debug, Default)]
pub(crate) struct Waits(u32);

/// When those who try again come: one after the other, whoever they are.
#[derive(Debug)]
pub(crate) struct Schedule {
    began: Instant,
    /// The gaps that somebody has, by their numbers.
    taken: Mutex<BTreeSet<u128>>,
}

/// A gap that somebody has, until this is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    schedule: &'a Schedule,
    gap: u128,
    /// How long it is to it from when it was given.
    pub(crate) wait: Duration,
}

impl Waits {
    /// The next wait, and never less than was asked for.
    pub(crate) fn next(&mut self, at_least: Option<Duration>) -> Duration {
        let longest = FIRST.saturating_mul(1 << self.0.min(16)).min(LONGEST);
        self.0 += 1;
        let drawn = longest.mul_f64(0.5 + draw() / 2.0);
        // Who was told when to come again does not come all at that moment either.
        at_least.map_or(drawn, |at_least| at_least.mul_f64(1.0 + draw() / 10.0).max(drawn))
    }
}

impl Schedule {
    /// A wait that ends when nobody else's does.
    pub(crate) fn place(&self, wait: Duration) -> Turn<'_> {
        let number = |time: Duration| time.as_nanos() / GAP.as_nanos();
        let now = self.began.elapsed();
        let mut taken = self.lock();
        // Those that are over are nobody's any more.
        *taken = taken.split_off(&number(now));
        let mut free = number(now + wait);
        while !taken.insert(free) {
            free += 1;
        }
        let later = GAP.saturating_mul(u32::try_from(free - number(now + wait)).unwrap_or(u32::MAX));
        Turn { schedule: self, gap: free, wait: wait + later }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<u128>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// Waits for it.
    pub(crate) async fn come(self) {
        sleep(self.wait).await;
    }
}

/// Whoever goes gives its gap back.
impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.schedule.lock().remove(&self.gap);
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self { began: Instant::now(), taken: Mutex::default() }
    }
}

/// From 0 to 1.
fn draw() -> f64 {
    let mut random = [0; 4];
    // Without randomness all wait the same, which is longer than not at all.
    let _ = getrandom::fill(&mut random);
    f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX)
}

const FIRST: Duration = Duration::from_millis(400);
const LONGEST: Duration = Duration::from_secs(10);
/// Between two who try again.
const GAP: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_are_never_shorter_than_asked_for() {
        let mut waits = Waits::default();
        let drawn: Vec<Duration> = (0..12).map(|_| waits.next(None)).collect();
        assert!(drawn[0] >= FIRST / 2 && drawn[0] <= FIRST, "{drawn:?}");
        assert!(drawn[11] >= LONGEST / 2 && drawn.iter().all(|wait| *wait <= LONGEST), "{drawn:?}");
        let asked = Duration::from_secs(60);
        assert!((0..10).all(|_| (asked..=asked * 11 / 10).contains(&waits.next(Some(asked)))));
    }

    #[test]
    fn many_who_wait_as_long_come_one_after_the_other() {
        let schedule = Schedule::default();
        let turns: Vec<Turn<'_>> = (0..50).map(|_| schedule.place(Duration::from_secs(1))).collect();
        let is_spread = turns.windows(2).all(|pair| pair[1].wait + Duration::from_millis(5) > pair[0].wait + GAP);
        assert!(is_spread, "{turns:?}");
        let soon = Duration::from_millis(100);
        assert!(schedule.place(soon).wait < 2 * soon, "far ones are in nobody's way");
        drop(turns);
        let wait = schedule.place(Duration::from_secs(1)).wait;
        assert!(wait < Duration::from_secs(1) + 2 * GAP, "those who went are in nobody's way: {wait:?}");
    }
}
