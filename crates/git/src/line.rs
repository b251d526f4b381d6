//! A line of those who wait for a place, in which nobody waits longer because somebody else asks often.
//!
//! Each principal has a line of its own, and these take turns: who asks for a hundred places waits for ninety-nine of its own,
//! who asks for one waits for one of each of the others.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use doorward_rules::{AccountId, CredentialId, Permit, Principal};
use tokio::sync::oneshot;

/// On whose behalf a place is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    /// The server's own.
    Server,
    /// Whoever has no credential. All of them are one.
    Anyone,
    /// An account, with whichever of its credentials.
    Account(AccountId),
    /// An access token, which belongs to nobody.
    AccessToken(CredentialId),
}

/// Places that can be taken, and who waits for one.
#[derive(Debug, Clone)]
pub(crate) struct Line(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    free: usize,
    /// Whose turn it is next comes first.
    askers: VecDeque<(Asker, VecDeque<Ticket>)>,
    waiting: usize,
    most: usize,
    numbers: u64,
}

#[derive(Debug)]
struct Ticket {
    number: u64,
    call: oneshot::Sender<Place>,
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub(crate) struct Place(Line);

/// One who has a place, or waits for one until this is dropped.
#[derive(Debug)]
pub(crate) struct Waiting {
    line: Line,
    asker: Asker,
    number: u64,
    called: oneshot::Receiver<Place>,
}

/// As many wait as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

impl Asker {
    pub(crate) fn of(permit: &Permit) -> Self {
        match permit.principal() {
            Principal::Anyone => Self::Anyone,
            Principal::Account { account, .. } => Self::Account(account),
            Principal::Synthetic { credential } => Self::AccessToken(credential),
        }
    }
}

impl Line {
    /// So many places, for which so many may wait; of one asker a fourth of them.
    pub(crate) fn new(places: usize, most: usize) -> Self {
        Self(Arc::new(Mutex::new(State { free: places, askers: VecDeque::new(), waiting: 0, most, numbers: 0 })))
    }

    /// Takes a place, or waits in line for one.
    pub(crate) fn join(&self, asker: Asker) -> Result<Waiting, Full> {
        let (call, called) = oneshot::channel();
        let mut state = self.lock();
        if state.free == 0 && !state.has_room_for(asker) {
            return Err(Full);
        }
        state.numbers += 1;
        let number = state.numbers;
        state.waiting += 1;
        let ticket = Ticket { number, call };
        match state.askers.iter_mut().find(|(other, _)| *other == asker) {
            Some((_, tickets)) => tickets.push_back(ticket),
            None => state.askers.push_back((asker, VecDeque::from([ticket]))),
        }
        drop(state);
        self.call();
        Ok(Waiting { line: self.clone(), asker, number, called })
    }

    /// How many places nobody has.
    pub(crate) fn free(&self) -> usize {
        self.lock().free
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().waiting
    }

    /// Gives free places to those whose turn it is.
    fn call(&self) {
        loop {
            // Not held while the place is handed over: one that is not taken comes back here.
            let next = self.lock().next();
            let Some(ticket) = next else { return };
            let _ = ticket.call.send(Place(self.clone()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// One asker has a share of the line, and one who has nothing in it yet is let in beyond its end: nobody can fill it alone.
    fn has_room_for(&self, asker: Asker) -> bool {
        let own = self.askers.iter().find(|(other, _)| *other == asker).map_or(0, |(_, tickets)| tickets.len());
        match own {
            0 => self.waiting < self.most.saturating_mul(2),
            own => self.waiting < self.most && own < (self.most / SHARE).max(1),
        }
    }

    fn next(&mut self) -> Option<Ticket> {
        if self.free == 0 {
            return None;
        }
        let (asker, mut tickets) = self.askers.pop_front()?;
        let ticket = tickets.pop_front()?;
        if !tickets.is_empty() {
            self.askers.push_back((asker, tickets));
        }
        self.free -= 1;
        self.waiting -= 1;
        Some(ticket)
    }

    /// How many are called before the one of a number.
    fn ahead(&self, asker: Asker, number: u64) -> Option<usize> {
        let turn = self.askers.iter().position(|(other, _)| *other == asker)?;
        let own = self.askers[turn].1.iter().position(|ticket| ticket.number == number)?;
        let before = |(place, (_, tickets)): (usize, &(Asker, VecDeque<Ticket>))| match place.cmp(&turn) {
            std::cmp::Ordering::Less => tickets.len().min(own + 1),
            std::cmp::Ordering::Equal => own,
            std::cmp::Ordering::Greater => tickets.len().min(own),
        };
        Some(self.askers.iter().enumerate().map(before).sum())
    }
}

impl Waiting {
    /// Waits to be called.
    pub(crate) async fn place(&mut self) -> Place {
        poll_fn(|context| self.poll_place(context)).await
    }

    /// The place, if it was called.
    pub(crate) fn poll_place(&mut self, context: &mut Context<'_>) -> Poll<Place> {
        match Pin::new(&mut self.called).poll(context) {
            Poll::Ready(Ok(place)) => Poll::Ready(place),
            // Nobody who is in line is forgotten.
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }

    /// On whose behalf it waits.
    pub(crate) fn asker(&self) -> Asker {
        self.asker
    }

    /// How many are called before this one; `None` if it was called.
    pub(crate) fn ahead(&self) -> Option<usize> {
        self.line.lock().ahead(self.asker, self.number)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = self.line.lock();
        let Some(turn) = state.askers.iter().position(|(other, _)| *other == self.asker) else { return };
        let tickets = &mut state.askers[turn].1;
        let Some(place) = tickets.iter().position(|ticket| ticket.number == self.number) else { return };
        let ticket = tickets.remove(place);
        if tickets.is_empty() {
            state.askers.remove(turn);
        }
        state.waiting -= 1;
        drop(state);
        drop(ticket);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.lock().free += 1;
        self.0.call();
    }
}

/// One asker may have one of so many parts of a line.
const SHARE: usize = 4;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asker(number: u8) -> Asker {
        Asker::Account(format!("{number:032x}").parse().expect("an id"))
    }

    /// Who is called, in order, when each gives its place back at once.
    fn order(line: &Line, waiting: Vec<(&'static str, Waiting)>, first: Place) -> Vec<&'static str> {
        let mut waiting = waiting;
        let mut order = Vec::new();
        let mut place = Some(first);
        while place.take().is_some() {
            let called = waiting.iter_mut().position(|(_, one)| {
                place = one.called.try_recv().ok();
                place.is_some()
            });
            if let Some(called) = called {
                order.push(waiting.remove(called).0);
            }
        }
        assert_eq!((line.waiting(), waiting.len()), (0, 0));
        order
    }

    #[tokio::test]
    async fn who_asks_often_waits_for_its_own_and_nobody_else_does() {
        let line = Line::new(1, 100);
        let place = line.join(asker(0)).expect("a place").place().await;
        let join = |name, who| (name, line.join(asker(who)).expect("room in the line"));
        let waiting = vec![join("a1", 1), join("a2", 1), join("a3", 1), join("b1", 2), join("b2", 2), join("c1", 3)];
        let ahead: Vec<_> = waiting.iter().map(|(_, one)| one.ahead().expect("it waits")).collect();
        assert_eq!(ahead, [0, 3, 5, 1, 4, 2]);
        assert_eq!(order(&line, waiting, place), ["a1", "b1", "c1", "a2", "b2", "a3"]);
        assert_eq!(line.free(), 1);
    }

    #[tokio::test]
    async fn who_leaves_is_not_waited_for_and_who_comes_when_it_is_full_is_told() {
        let line = Line::new(1, 2);
        let place = line.join(asker(0)).expect("a place").place().await;
        let (gone, mut stays) = (line.join(asker(1)).expect("room"), line.join(asker(2)).expect("room"));
        // One is let in beyond the end, but no second time; and at twice the length there is an end of it.
        let more = [line.join(asker(3)).expect("its first"), line.join(asker(4)).expect("its first")];
        assert_eq!(line.join(asker(3)).err(), Some(Full));
        assert_eq!(line.join(asker(5)).err(), Some(Full));
        drop(more);
        drop(gone);
        assert_eq!((line.waiting(), stays.ahead()), (1, Some(0)));
        drop(place);
        let place = stays.place().await;
        assert_eq!((line.waiting(), line.free(), stays.ahead()), (0, 0, None));
        drop((place, stays));
        // A place that was given to one who never took it comes back too.
        drop(line.join(asker(4)).expect("a place"));
        assert_eq!(line.free(), 1);
    }

    proptest! {
        #[test]
        fn those_ahead_are_those_who_are_called_before(askers in prop::collection::vec(0_u8..5, 0..20)) {
            let line = Line::new(1, 100);
            let mut first = line.join(asker(9)).expect("a place");
            let place = first.called.try_recv().expect("it was called");
            let mut waiting: Vec<(usize, Waiting)> = Vec::new();
            for who in askers {
                waiting.push((0, line.join(asker(who)).expect("room")));
            }
            for (ahead, one) in &mut waiting {
                *ahead = one.ahead().expect("it waits");
            }
            let mut place = Some(place);
            let mut called_before = 0;
            while place.take().is_some() {
                for (ahead, one) in &mut waiting {
                    if let Ok(given) = one.called.try_recv() {
                        prop_assert_eq!(*ahead, called_before);
                        called_before += 1;
                        place = Some(given);
                        break;
                    }
                }
            }
            prop_assert_eq!((called_before, line.free()), (waiting.len(), 1));
        }
    }
}
