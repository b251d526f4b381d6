//! One look for many, in every order in which a few askers can act.
#![cfg(loom)]

use std::future::Future;
use std::pin::pin;
use std::task::Context;

use doorward_lookout::Lookout;
use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use loom::thread;

/// What the askers have in common, and what they check.
#[derive(Default)]
struct World {
    lookout: Lookout<u8, usize>,
    clock: AtomicUsize,
    looking: AtomicUsize,
    looks: AtomicUsize,
}

/// A look that takes a moment; what it sees is when it began.
async fn look(world: &World) -> usize {
    struct Looking<'a>(&'a World);
    impl Drop for Looking<'_> {
        fn drop(&mut self) {
            self.0.looking.fetch_sub(1, SeqCst);
        }
    }
    assert_eq!(world.looking.fetch_add(1, SeqCst), 0, "two look at once");
    let _looking = Looking(world);
    world.looks.fetch_add(1, SeqCst);
    let began = world.clock.fetch_add(1, SeqCst);
    pause().await;
    began
}

/// Gives the others a turn.
async fn pause() {
    let mut paused = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut paused, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

/// Asks; what is seen must have been seen since.
fn ask(world: &World) {
    let asked = world.clock.fetch_add(1, SeqCst);
    let began = block_on(world.lookout.ask(1, || look(world)));
    assert!(began > asked, "an answer of {began} to a question of {asked}");
}

/// Asks, and gives up after so many turns.
fn give_up(world: &World, turns: usize) {
    let mut asked = pin!(world.lookout.ask(1, || look(world)));
    let mut context = Context::from_waker(std::task::Waker::noop());
    for _ in 0..turns {
        if asked.as_mut().poll(&mut context).is_ready() {
            return;
        }
    }
}

fn model(run: impl Fn(Arc<World>) + Sync + Send + 'static) {
    loom::model::Builder::new().check(move || run(Arc::new(World::default())));
}

fn also(world: &Arc<World>, run: impl FnOnce(&World) + 'static) -> thread::JoinHandle<()> {
    let world = Arc::clone(world);
    thread::spawn(move || run(&world))
}

#[test]
fn no_answer_is_older_than_its_question_and_nobody_is_forgotten() {
    model(|world| {
        let others = [also(&world, ask), also(&world, ask)];
        ask(&world);
        others.into_iter().for_each(|other| other.join().expect("it ended"));
        assert!(world.lookout.is_empty() && world.looks.load(SeqCst) <= 3);
    });
}

#[test]
fn whoever_gives_up_leaves_its_place_to_the_others() {
    for turns in 1..=3 {
        model(move |world| {
            let others = [also(&world, ask), also(&world, move |world| give_up(world, turns))];
            ask(&world);
            others.into_iter().for_each(|other| other.join().expect("it ended"));
            assert!(world.lookout.is_empty());
        });
    }
}

#[test]
fn when_all_give_up_nothing_is_left() {
    model(|world| {
        let other = also(&world, |world| give_up(world, 1));
        give_up(&world, 2);
        other.join().expect("it ended");
        assert!(world.lookout.is_empty());
        ask(&world);
    });
}
