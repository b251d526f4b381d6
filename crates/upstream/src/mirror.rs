//! Brings into a mirror what somebody wants of it that is not there yet: once, whoever asks.

use std::collections::HashSet;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use doorward_git::{GitError, Listing};
use doorward_rules::{RepositoryId, Surface, Timestamp};
use doorward_wire::{PktLine, RepositoryName};
use tokio::time::timeout_at;

use crate::agent::reader_of;
use crate::ask::{Effect, Question};
use crate::budget::Bucket;
use crate::look::{AGENT, command_of, turned};
use crate::pack::{SAID, pack};
use crate::upstream::Subject;
use crate::waits::Waits;
use crate::{Caller, Seen, Turned, Unanswered, Upstream};

/// Why somebody cannot have what a mirror is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hindered {
    /// The upstream does not give it to this caller.
    Turned(Turned),
    /// It cannot be asked now.
    Unanswered(Unanswered),
}

impl From<Unanswered> for Hindered {
    fn from(unanswered: Unanswered) -> Self {
        Self::Unanswered(unanswered)
    }
}

/// Why a mirror does not have what is wanted.
enum Trouble {
    /// It may go better the next time.
    Passing(String),
    /// The upstream says that it has not got it.
    Said(String),
    /// The mirror, or what came, is broken.
    Broken(String),
    /// It is not tried again.
    Lasting(Hindered),
}

/// Somebody who wants something that may not be there yet.
struct Wanted<'a> {
    id: RepositoryId,
    name: &'a RepositoryName,
    caller: Option<&'a Caller>,
    wants: &'a [Box<[u8]>],
    deadline: Instant,
    now: Timestamp,
}

impl Upstream {
    /// Sees to it that a mirror has what somebody wants, who was let in a moment ago and saw these refs then. What no ref leads to
    /// is brought if the upstream gives it; whether it did is for git to say, who is asked next.
    ///
    /// # Errors
    /// [`Hindered`] if the upstream does not give it, or cannot be asked for it now.
    pub async fn ready(
        &self,
        name: &RepositoryName,
        caller: Option<&Caller>,
        refs: &Listing,
        wants: Vec<Box<[u8]>>,
        now: Timestamp,
    ) -> Result<(), Hindered> {
        let id = self.mirror_of(name);
        if self.has_all(id, refs, &wants).await.map_err(|error| self.trouble(&error))? {
            return Ok(());
        }
        let deadline = Instant::now() + self.settings().patience;
        // What was begun goes on when its caller goes: others wait for it, or will want it.
        let (upstream, name, caller, refs) = (self.clone(), name.clone(), caller.cloned(), refs.clone());
        let brought = tokio::spawn(async move {
            let updating = upstream.mirrors().updating(id);
            let Ok(_alone) = timeout_at(deadline.into(), updating.lock()).await else {
                let why = format!("others still bring what is new from {}", upstream.settings().name);
                return Err(Unanswered::new(why, SOON).into());
            };
            let (name, caller, wants) = (&name, caller.as_ref(), &wants[..]);
            upstream.bring(&Wanted { id, name, caller, wants, deadline, now }, refs).await
        });
        brought.await.unwrap_or_else(|error| Err(self.trouble(&error).into()))
    }

    /// Whether what is wanted is listed now, and the mirror has it.
    async fn has_all(&self, id: RepositoryId, refs: &Listing, wants: &[Box<[u8]>]) -> Result<bool, GitError> {
        Ok(!wants.is_empty() && self.mirrors().leads_to_all(id, refs, wants).await?)
    }

    async fn bring(&self, wanted: &Wanted<'_>, mut refs: Listing) -> Result<(), Hindered> {
        let subject = Subject { repository: wanted.id, print: wanted.caller.map(Caller::print) };
        let (mut waits, mut notice) = (Waits::default(), None);
        let (mut renewed, mut looked) = (false, false);
        loop {
            let why = match self.bring_once(wanted, &refs, subject).await {
                Ok(()) => return Ok(()),
                Err(Trouble::Lasting(hindered)) => return Err(hindered),
                // What was a ref a moment ago may have been thrown away there since.
                Err(Trouble::Said(why)) if !looked => {
                    looked = true;
                    if let Seen::Refs(newer) = self.look(wanted.name, wanted.caller, wanted.now).await {
                        refs = newer;
                    }
                    tracing::info!(upstream = self.settings().name, repository = %wanted.name, why, "looking again");
                    continue;
                }
                // Git, which is asked next, can tell whoever wants what nobody has.
                Err(Trouble::Said(_)) => return Ok(()),
                Err(Trouble::Broken(why)) if !renewed => {
                    renewed = true;
                    tracing::warn!(upstream = self.settings().name, repository = %wanted.name, why, "the mirror is made anew");
                    self.mirrors().discard(wanted.id).map_err(|error| Hindered::from(self.trouble(&error)))?;
                    continue;
                }
                Err(Trouble::Passing(why) | Trouble::Broken(why)) => why,
            };
            let wait = self.schedule().place(waits.next(None));
            if Instant::now() + wait > wanted.deadline {
                let why = format!("what is new could not be fetched from {}: {why}", self.settings().name);
                return Err(Unanswered::new(why, SOON).into());
            }
            tracing::info!(upstream = self.settings().name, repository = %wanted.name, why, "a fetch is tried again");
            notice = Some(self.notice(subject, &why, wanted.deadline, notice));
            tokio::time::sleep(wait).await;
        }
    }

    async fn bring_once(&self, wanted: &Wanted<'_>, refs: &Listing, subject: Subject) -> Result<(), Trouble> {
        let failed = |error: GitError| self.judged(&error);
        // Somebody else may have brought it meanwhile.
        if self.has_all(wanted.id, refs, wanted.wants).await.map_err(failed)? {
            return Ok(());
        }
        let listed = refs.ids();
        let is_listed: HashSet<&[u8]> = listed.iter().map(|id| &**id).collect();
        let others = wanted.wants.iter().filter(|want| !is_listed.contains(&***want)).cloned().collect();
        // Of what no ref leads to, most was brought when one did.
        let others = self.mirrors().missing(wanted.id, others).await.map_err(failed)?;
        let tips = self.mirrors().tips(wanted.id).await.map_err(failed)?;
        if listed.is_empty() && !tips.is_empty() {
            return Err(Trouble::Broken("the repository is empty now".into()));
        }
        let known: HashSet<&[u8]> = tips.iter().map(|id| &**id).collect();
        let new = listed.iter().filter(|id| !known.contains(&***id)).cloned().collect();
        let new = self.mirrors().missing(wanted.id, new).await.map_err(failed)?;
        if new.is_empty() && others.is_empty() {
            return self.mirrors().adopt(wanted.id, refs).await.map_err(failed);
        }
        self.fetch(wanted, refs, subject, &fetch(refs, new.iter().chain(&others), &tips)).await?;
        if !tips.is_empty()
            && !listed.iter().any(|id| known.contains(&**id))
            && !self.goes_on(wanted.id, &tips, &listed).await?
        {
            return Err(Trouble::Broken("it is another repository of the same name".into()));
        }
        Ok(())
    }

    /// Whether what is listed now leads back to anything that was listed before. If not, it is another repository, whose owners must
    /// not get what was in the one before.
    async fn goes_on(&self, id: RepositoryId, before: &[Box<[u8]>], now: &[Box<[u8]>]) -> Result<bool, Trouble> {
        for before in before.iter().take(MOST_COMPARED) {
            for now in now.iter().take(MOST_COMPARED) {
                if self.mirrors().leads_back(id, now, before).await.map_err(|error| self.judged(&error))? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    async fn fetch(&self, wanted: &Wanted<'_>, refs: &Listing, subject: Subject, asked: &[u8]) -> Result<(), Trouble> {
        let Wanted { id, name, caller, now, .. } = *wanted;
        let turned_away = |turned: Turned| Trouble::Lasting(Hindered::Turned(turned));
        let header =
            self.authorization(caller, Surface::Git, now).map_err(|reason| turned_away(Turned::Here(reason)))?;
        let url = self.url_of(name, "git-upload-pack");
        let arrived = AtomicBool::new(false);
        let question = Question { caller, subject, bucket: Bucket::Git, effect: Effect::Reads, arrived: &arrived };
        let post = || command_of(&url, header.as_ref(), asked);
        let response = self.ask(question, post).await.map_err(|no| Trouble::Lasting(no.into()))?;
        if !response.status().is_success() {
            return Err(turned_away(turned(response).await));
        }
        let pack = Box::pin(pack(reader_of(response.into_body())));
        let bytes = self.mirrors().receive(id, refs, pack).await.map_err(|error| self.judged(&error))?;
        self.counters().fetched(bytes);
        tracing::info!(upstream = self.settings().name, repository = %name, bytes, "fetched what is new");
        Ok(())
    }

    /// What to make of an error of git's.
    fn judged(&self, error: &GitError) -> Trouble {
        match error {
            GitError::Run { source, .. } if source.kind() == SAID => Trouble::Said(source.to_string()),
            // What came was cut off or is no pack; that says nothing of the mirror.
            GitError::Run { .. } | GitError::Failed { what: "index-pack", .. } => Trouble::Passing(error.to_string()),
            GitError::Failed { .. } => Trouble::Broken(error.to_string()),
            error => Trouble::Lasting(self.trouble(error).into()),
        }
    }

    /// Trouble of our own.
    pub(crate) fn trouble(&self, error: &dyn std::fmt::Display) -> Unanswered {
        tracing::error!(upstream = self.settings().name, %error, "a mirror cannot be used");
        let why = "what was fetched before cannot be used at the moment".to_owned();
        Unanswered::new(why, SOON)
    }
}

/// A question for objects, to whoever has none but those that some others lead to.
fn fetch<'a>(refs: &Listing, wants: impl Iterator<Item = &'a Box<[u8]>>, haves: &[Box<[u8]>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    PktLine::write(b"command=fetch\n", &mut bytes);
    PktLine::write(format!("agent={AGENT}").as_bytes(), &mut bytes);
    PktLine::write(format!("object-format={}", refs.format().word()).as_bytes(), &mut bytes);
    bytes.extend_from_slice(b"0001");
    for flag in [&b"thin-pack\n"[..], b"no-progress\n", b"ofs-delta\n"] {
        PktLine::write(flag, &mut bytes);
    }
    for want in wants {
        PktLine::write(&[b"want ", &**want, b"\n"].concat(), &mut bytes);
    }
    // They were refs there not long ago, so that there is no need to find out which of them are known.
    for have in haves.iter().take(MOST_HAVES) {
        PktLine::write(&[b"have ", &**have, b"\n"].concat(), &mut bytes);
    }
    PktLine::write(b"done\n", &mut bytes);
    bytes.extend_from_slice(b"0000");
    bytes
}

/// When to come again to what cannot be had now.
const SOON: Duration = Duration::from_secs(15);
/// How many refs of before and of now are compared to find out whether it is the same repository.
const MOST_COMPARED: usize = 16;
/// How many objects are said to be here at most.
const MOST_HAVES: usize = 2000;
