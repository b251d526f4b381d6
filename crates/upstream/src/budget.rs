//! How many requests a credential may still make: what its upstream allows in an hour, less a part that is kept for people.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use doorward_rules::Surface;

use crate::Print;
use crate::waits::Schedule;

/// What is counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Bucket {
    Git,
    Rest,
}

impl Bucket {
    /// The one that a surface counts to.
    pub(crate) fn of(surface: Surface) -> Self {
        match surface {
            Surface::Git | Surface::Lfs => Self::Git,
            _ => Self::Rest,
        }
    }

    /// The name for it in files.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Git => "git",
            Self::Rest => "rest",
        }
    }
}

/// The budgets of all credentials; those without one are one.
#[derive(Debug)]
pub(crate) struct Budget {
    began: Instant,
    spent: Mutex<HashMap<(Option<Print>, Bucket), Spent>>,
}

#[derive(Debug, Default)]
struct Spent {
    /// How many in which minute, the oldest first.
    minutes: VecDeque<(u64, u32)>,
    /// Until when the upstream takes none, as it said itself.
    closed: Option<Instant>,
    /// How many it takes in an hour, as it said itself.
    limit: Option<u32>,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), spent: Mutex::default() }
    }

    /// Waits until one more may be made, of so many in an hour if the upstream has not said otherwise.
    ///
    /// # Errors
    /// How long it would take, if that is after the deadline.
    pub(crate) async fn take(
        &self,
        print: Option<Print>,
        bucket: Bucket,
        in_an_hour: u32,
        deadline: Instant,
        schedule: &Schedule,
    ) -> Result<(), Duration> {
        loop {
            let now = Instant::now();
            let until = {
                let mut all = self.lock();
                self.make_room(&mut all);
                let spent = all.entry((print, bucket)).or_default();
                match self.free(spent, in_an_hour, now) {
                    None => {
                        spent.add(self.minute(now));
                        return Ok(());
                    }
                    Some(until) => until,
                }
            };
            if until > deadline {
                return Err(until - now);
            }
            // One after the other, or all come at that moment and the next one is closed as well.
            schedule.place(until - now).come().await;
        }
    }

    /// Gives one back that was not made after all.
    pub(crate) fn give_back(&self, print: Option<Print>, bucket: Bucket) {
        if let Some(spent) = self.lock().get_mut(&(print, bucket))
            && let Some((_, count)) = spent.minutes.back_mut()
        {
            *count = count.saturating_sub(1);
        }
    }

    /// Notes how many the upstream takes in an hour.
    pub(crate) fn note_limit(&self, print: Option<Print>, bucket: Bucket, limit: u32) {
        if let Some(spent) = self.lock().get_mut(&(print, bucket)) {
            spent.limit = Some(limit);
        }
    }

    /// Notes that the upstream takes no more for a while.
    pub(crate) fn close(&self, print: Option<Print>, bucket: Bucket, wait: Duration) {
        let mut all = self.lock();
        let spent = all.entry((print, bucket)).or_default();
        spent.closed = spent.closed.max(Some(Instant::now() + wait));
    }

    /// The least that any credential has left, of so many in an hour.
    pub(crate) fn least_left(&self, bucket: Bucket, in_an_hour: u32) -> u32 {
        let now = self.minute(Instant::now());
        let mut all = self.lock();
        let of_bucket = all.iter_mut().filter(|((_, other), _)| *other == bucket);
        let left = of_bucket.map(|(_, spent)| {
            let count = spent.count(now);
            for_jobs(spent.limit.unwrap_or(in_an_hour)).saturating_sub(count)
        });
        left.min().unwrap_or(for_jobs(in_an_hour))
    }

    /// When one more may be made; `None` for now.
    fn free(&self, spent: &mut Spent, in_an_hour: u32, now: Instant) -> Option<Instant> {
        if let Some(closed) = spent.closed.filter(|closed| *closed > now) {
            return Some(closed);
        }
        if spent.count(self.minute(now)) < for_jobs(spent.limit.unwrap_or(in_an_hour)) {
            return None;
        }
        let (oldest, _) = *spent.minutes.front()?;
        Some((self.began + Duration::from_secs((oldest + WINDOW + 1) * 60)).max(now + Duration::from_millis(10)))
    }

    fn make_room(&self, all: &mut HashMap<(Option<Print>, Bucket), Spent>) {
        let (at, now) = (Instant::now(), self.minute(Instant::now()));
        // Whoever guesses credentials has made a request or two with each. What is closed is remembered: to ask there would be held
        // against everybody.
        let mut few = 1;
        while all.len() > MOST && few < u32::MAX / 2 {
            all.retain(|_, spent| spent.closed.is_some_and(|closed| closed > at) || spent.count(now) > few);
            few *= 2;
        }
    }

    fn minute(&self, at: Instant) -> u64 {
        at.duration_since(self.began).as_secs() / 60
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(Option<Print>, Bucket), Spent>> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spent {
    /// How many in the hour that ends now.
    fn count(&mut self, minute: u64) -> u32 {
        while self.minutes.front().is_some_and(|(then, _)| then + WINDOW < minute) {
            self.minutes.pop_front();
        }
        self.minutes.iter().map(|(_, count)| *count).sum()
    }

    fn add(&mut self, minute: u64) {
        match self.minutes.back_mut() {
            Some((last, count)) if *last == minute => *count += 1,
            _ => self.minutes.push_back((minute, 1)),
        }
    }
}

/// What jobs may take: a fifth is for people.
fn for_jobs(in_an_hour: u32) -> u32 {
    (in_an_hour - in_an_hour / 5).max(1)
}

/// Minutes that are looked back.
const WINDOW: u64 = 60;
/// How many credentials are counted before those are forgotten that have hardly made a request.
const MOST: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_fifth_is_left_for_people_and_each_credential_has_its_own() {
        let (budget, schedule) = (Budget::new(), Schedule::default());
        let now = Instant::now() + Duration::from_secs(1);
        for _ in 0..8 {
            budget.take(None, Bucket::Rest, 10, now, &schedule).await.expect("there is some left");
        }
        assert_eq!(budget.least_left(Bucket::Rest, 10), 0);
        let wait = budget.take(None, Bucket::Rest, 10, now, &schedule).await.expect_err("nothing is left");
        assert!(wait > Duration::from_secs(3500) && wait <= Duration::from_secs(3661), "{wait:?}");
        budget.take(None, Bucket::Git, 10, now, &schedule).await.expect("another bucket");
        assert_eq!(budget.least_left(Bucket::Git, 10), 7);
    }

    #[tokio::test]
    async fn however_many_strangers_come_what_is_closed_stays_closed_and_what_is_spent_is_spent() {
        let (budget, schedule, key) = (Budget::new(), Schedule::default(), crate::caller::PrintKey::new());
        let soon = Instant::now() + Duration::from_secs(1);
        let [closed, busy] = ["closed", "busy"].map(|secret| Some(key.print(&[secret])));
        budget.close(closed, Bucket::Git, Duration::from_secs(60));
        for _ in 0..8 {
            budget.take(busy, Bucket::Git, 10, soon, &schedule).await.expect("there is some left");
        }
        for number in 0..=MOST {
            let stranger = Some(key.print(&[&number.to_string()]));
            for _ in 0..2 {
                budget.take(stranger, Bucket::Git, 10, soon, &schedule).await.expect("its own");
            }
        }
        for known in [closed, busy] {
            budget.take(known, Bucket::Git, 10, soon, &schedule).await.expect_err("none is left");
        }
        budget.give_back(busy, Bucket::Git);
        budget.take(busy, Bucket::Git, 10, soon, &schedule).await.expect("one was given back");
    }

    #[tokio::test]
    async fn what_the_upstream_says_of_its_limit_counts() {
        let (budget, schedule) = (Budget::new(), Schedule::default());
        let soon = Instant::now() + Duration::from_secs(1);
        budget.take(None, Bucket::Rest, 10, soon, &schedule).await.expect("there is some left");
        budget.note_limit(None, Bucket::Rest, 5);
        assert_eq!(budget.least_left(Bucket::Rest, 10), 3);
        for _ in 0..3 {
            budget.take(None, Bucket::Rest, 10, soon, &schedule).await.expect("there is some left");
        }
        budget.take(None, Bucket::Rest, 10, soon, &schedule).await.expect_err("the rest is for people");
        budget.note_limit(None, Bucket::Rest, 10_000);
        budget.take(None, Bucket::Rest, 10, soon, &schedule).await.expect("it takes more than was thought");
    }

    #[tokio::test]
    async fn what_the_upstream_has_closed_is_closed_for_as_long() {
        let (budget, schedule) = (Budget::new(), Schedule::default());
        budget.close(None, Bucket::Git, Duration::from_secs(60));
        budget.close(None, Bucket::Git, Duration::from_secs(10));
        let wait = budget.take(None, Bucket::Git, 10, Instant::now(), &schedule).await.expect_err("closed");
        assert!(wait > Duration::from_secs(58), "the longer one counts: {wait:?}");
        budget.close(None, Bucket::Rest, Duration::from_millis(50));
        let soon = Instant::now() + Duration::from_secs(5);
        budget.take(None, Bucket::Rest, 10, soon, &schedule).await.expect("open again");
    }
}
