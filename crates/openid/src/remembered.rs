//! What a provider has told of itself, remembered for a while.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::Trouble;

/// One document of a provider. Whoever needs it while it is read waits for that.
#[derive(Debug)]
pub(crate) struct Remembered<T>(Mutex<State<T>>);

#[derive(Debug)]
struct State<T> {
    document: Option<Arc<T>>,
    /// When it was last asked for, and what came in the way if it could not be had.
    asked: Option<(Instant, Option<Trouble>)>,
}

impl<T> Remembered<T> {
    /// The document, read anew if that was longer ago than `life`; or if it does not fit and was not read within `rest`.
    pub(crate) async fn get(
        &self,
        life: Duration,
        rest: Duration,
        fits: impl Fn(&T) -> bool,
        read: impl AsyncFnOnce() -> Result<T, Trouble>,
    ) -> Result<Arc<T>, Trouble> {
        let mut state = self.0.lock().await;
        let known = state.document.clone();
        let fitting = known.clone().filter(|known| fits(known));
        if let Some((at, trouble)) = &state.asked {
            let age = at.elapsed();
            if let Some(fitting) = fitting.as_ref().filter(|_| age < life) {
                return Ok(Arc::clone(fitting));
            }
            match (trouble, known) {
                (Some(trouble), _) if age < REST => return Err(trouble.clone()),
                (None, Some(known)) if age < rest => return Ok(known),
                _ => {}
            }
        }
        let (read, at) = (read().await, Instant::now());
        match (read, fitting) {
            (Ok(document), _) => {
                let document = Arc::new(document);
                *state = State { document: Some(Arc::clone(&document)), asked: Some((at, None)) };
                Ok(document)
            }
            (Err(trouble), Some(fitting)) => {
                tracing::warn!(%trouble, "what the provider told before is used");
                state.asked = Some((at, None));
                Ok(fitting)
            }
            (Err(trouble), None) => {
                state.asked = Some((at, Some(trouble.clone())));
                Err(trouble)
            }
        }
    }
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(Mutex::new(State { document: None, asked: None }))
    }
}

/// How long one is left alone that has not answered, or whom strangers want to have asked.
pub(crate) const REST: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn while_there_is_no_answer_it_is_not_asked_again_and_again() {
        let remembered: Remembered<u32> = Remembered::default();
        let down = async || Err(Trouble::Unreachable("down".into()));
        assert!(remembered.get(Duration::from_secs(60), REST, |_| true, down).await.is_err());
        let none = async || -> Result<u32, Trouble> { panic!("it is asked again") };
        assert!(remembered.get(Duration::from_secs(60), REST, |_| true, none).await.is_err());
    }

    #[tokio::test]
    async fn what_was_told_before_is_used_while_there_is_no_answer() {
        let remembered = Remembered::default();
        let always = |_: &u32| true;
        let first = remembered.get(Duration::ZERO, REST, always, async || Ok(1)).await;
        assert_eq!(first.map(|known| *known), Ok(1));
        let down = async || Err(Trouble::Unreachable("down".into()));
        assert_eq!(remembered.get(Duration::ZERO, REST, always, down).await.map(|known| *known), Ok(1));
        // What does not fit is read again, but not for a stranger who asks a moment later.
        let none = async || -> Result<u32, Trouble> { panic!("it is read again") };
        assert_eq!(remembered.get(Duration::from_secs(60), REST, |_| false, none).await.map(|known| *known), Ok(1));
        let new = remembered.get(Duration::from_secs(60), Duration::ZERO, |_| false, async || Ok(2)).await;
        assert_eq!(new.map(|known| *known), Ok(2));
    }
}
