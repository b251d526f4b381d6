//! Many askers, keys, failures and departures, in schedules that are drawn.
#![cfg(not(loom))]

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use doorward_lookout::Lookout;
use proptest::prelude::*;
use tokio::task::yield_now;

/// One who asks: when, for what, how long its look takes, whether that fails, and after how many turns it gives up.
#[derive(Debug, Clone)]
struct Asker {
    comes: usize,
    key: u8,
    turns: usize,
    fails: bool,
    patience: Option<usize>,
}

fn askers() -> impl Strategy<Value = Vec<Asker>> {
    let asker =
        (0..40_usize, 0..3_u8, 0..10_usize, prop::bool::weighted(0.2), prop::option::weighted(0.3, 0..20_usize));
    let asker = asker.prop_map(|(comes, key, turns, fails, patience)| Asker { comes, key, turns, fails, patience });
    prop::collection::vec(asker, 1..40)
}

#[derive(Default)]
struct World {
    lookout: Lookout<u8, Result<usize, usize>>,
    clock: Cell<usize>,
    looking: RefCell<HashMap<u8, usize>>,
    looks: Cell<usize>,
    answered: Cell<usize>,
}

impl World {
    fn now(&self) -> usize {
        self.clock.set(self.clock.get() + 1);
        self.clock.get()
    }

    async fn look(&self, asker: &Asker) -> Result<usize, usize> {
        struct Looking<'a>(&'a World, u8);
        impl Drop for Looking<'_> {
            fn drop(&mut self) {
                *self.0.looking.borrow_mut().entry(self.1).or_default() -= 1;
            }
        }
        *self.looking.borrow_mut().entry(asker.key).or_default() += 1;
        let _looking = Looking(self, asker.key);
        assert_eq!(self.looking.borrow()[&asker.key], 1, "two look at once");
        self.looks.set(self.looks.get() + 1);
        let began = self.now();
        for _ in 0..asker.turns {
            yield_now().await;
        }
        if asker.fails { Err(began) } else { Ok(began) }
    }

    async fn ask(&self, asker: &Asker) {
        for _ in 0..asker.comes {
            yield_now().await;
        }
        let asked = self.now();
        let patience = async {
            for _ in 0..asker.patience.unwrap_or(usize::MAX) {
                yield_now().await;
            }
        };
        tokio::select! {
            biased;
            seen = self.lookout.ask(asker.key, || self.look(asker)) => {
                let (Ok(began) | Err(began)) = seen;
                assert!(began > asked, "an answer of {began} to a question of {asked}");
                self.answered.set(self.answered.get() + 1);
            }
            () = patience => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
    #[test]
    fn whoever_stays_is_answered_and_by_no_more_looks_than_there_are_askers(askers in askers()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let world = World::default();
        runtime.block_on(async {
            let all = askers.iter().map(|asker| world.ask(asker));
            let mut all: Vec<_> = all.map(Box::pin).collect();
            // All are polled in turn until none is left.
            std::future::poll_fn(|context| {
                all.retain_mut(|asker| asker.as_mut().poll(context).is_pending());
                if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
            })
            .await;
        });
        let stay = askers.iter().filter(|asker| asker.patience.is_none()).count();
        prop_assert!(world.answered.get() >= stay && world.looks.get() <= askers.len());
        prop_assert!(world.lookout.is_empty());
    }
}

#[tokio::test]
async fn a_thousand_who_ask_at_once_cost_two_looks() {
    let (lookout, looks) = (Lookout::<&str, ()>::default(), Cell::new(0));
    let look = || async {
        looks.set(looks.get() + 1);
        yield_now().await;
    };
    let asked: Vec<_> = (0..1000).map(|_| Box::pin(lookout.ask("refs", look))).collect();
    let mut asked = asked;
    std::future::poll_fn(|context| {
        asked.retain_mut(|asked| asked.as_mut().poll(context).is_pending());
        if asked.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    assert_eq!(looks.get(), 2);
}
