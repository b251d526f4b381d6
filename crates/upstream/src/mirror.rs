//! Brings into a mirror what somebody wants of it that is not there yet: once, whoever asks.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use doorward_git::{GitError, Listing, Update};
use doorward_rules::{RepositoryId, Surface, Timestamp};
use doorward_wire::{PktLine, RepositoryName};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout_at;

use crate::agent::reader_of;
use crate::ask::Question;
use crate::look::{AGENT, command_of, turned};
use crate::pack::{Refused, pack, refusal};
use crate::upstream::{Notice, Subject};
use crate::waits::Waits;
use crate::{Caller, Seen, Turned, Unanswered, Upstream};

/// Why somebody cannot have what a mirror is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hindered {
    /// The upstream does not give it to this caller.
    Turned(Turned),
    /// The upstream does not have it, as it says.
    Absent(String),
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
    Absent(String),
    /// The upstream says something else in its place.
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
    with_tags: bool,
    deadline: Instant,
    now: Timestamp,
}

impl Upstream {
    /// Sees to it that a mirror has what somebody wants, who was let in a moment ago and saw these refs then; and that it has no other
    /// tags, if those are to be included. What these refs do not lead to is for this caller only if the upstream gives it to this
    /// caller: that it is in the mirror says that somebody could have it once.
    ///
    /// # Errors
    /// [`Hindered`] if the upstream does not give it, or cannot be asked for it now.
    pub async fn ready(
        &self,
        name: &RepositoryName,
        caller: Option<&Caller>,
        refs: &Listing,
        wants: Vec<Box<[u8]>>,
        with_tags: bool,
        now: Timestamp,
    ) -> Result<(), Hindered> {
        let id = self.mirror_of(name);
        if self.has_all(id, refs, &wants, with_tags).await.map_err(|error| self.trouble(&error))? {
            return Ok(());
        }
        let deadline = Instant::now() + self.settings().patience;
        // What was begun goes on when its caller goes: others wait for it, or will want it.
        let (upstream, name, caller, refs) = (self.clone(), name.clone(), caller.cloned(), refs.clone());
        let brought = tokio::spawn(async move {
            let (name, caller, wants) = (&name, caller.as_ref(), &wants[..]);
            let wanted = Wanted { id, name, caller, wants, with_tags, deadline, now };
            let (update, patience) = (upstream.mirrors().update(id), upstream.settings().patience);
            let Some(alone) = update.alone(patience).await else {
                let why = format!("others still bring what is new from {}", upstream.settings().name);
                return Err(Unanswered::new(why, SOON).into());
            };
            // However long others took, while it went on.
            let wanted = Wanted { deadline: Instant::now() + patience, ..wanted };
            let refs = upstream.bring(&wanted, &update, refs).await?;
            drop(alone);
            let wanted = Wanted { deadline: Instant::now() + patience, ..wanted };
            upstream.prove(&wanted, &refs).await
        });
        brought.await.unwrap_or_else(|error| Err(self.trouble(&error).into()))
    }

    /// Whether what is wanted is listed now, and the mirror has it.
    async fn has_all(
        &self,
        id: RepositoryId,
        refs: &Listing,
        wants: &[Box<[u8]>],
        with_tags: bool,
    ) -> Result<bool, GitError> {
        Ok(!wants.is_empty()
            && self.mirrors().leads_to_all(id, refs, wants).await?
            && !(with_tags && self.mirrors().has_other_tags(id, refs).await?))
    }

    /// Brings what is wanted; the refs that it was brought by, which may be newer.
    async fn bring(&self, wanted: &Wanted<'_>, update: &Update, mut refs: Listing) -> Result<Listing, Hindered> {
        let (mut renewed, mut looked) = (false, false);
        let mut trying = Trying::new(self, wanted);
        loop {
            let why = match self.bring_once(wanted, update, &refs).await {
                Ok(()) => return Ok(refs),
                Err(Trouble::Lasting(hindered)) => return Err(hindered),
                // What was a ref a moment ago may have been thrown away there since.
                Err(Trouble::Absent(why)) if !looked => {
                    looked = true;
                    match self.look(wanted.name, wanted.caller, wanted.now).await {
                        Seen::Refs(newer) => refs = newer,
                        Seen::Turned(turned) => return Err(Hindered::Turned(Arc::unwrap_or_clone(turned))),
                        Seen::Unanswered(no) => return Err(Hindered::Unanswered(Arc::unwrap_or_clone(no))),
                        Seen::Old => return Err(Hindered::Absent(why)),
                    }
                    tracing::info!(upstream = self.settings().name, repository = %wanted.name, why, "looking again");
                    continue;
                }
                Err(Trouble::Absent(why)) => return Err(Hindered::Absent(why)),
                Err(Trouble::Broken(why)) if !renewed => {
                    renewed = true;
                    tracing::warn!(upstream = self.settings().name, repository = %wanted.name, why, "the mirror is made anew");
                    self.discard(wanted.id).await?;
                    continue;
                }
                Err(Trouble::Said(why)) => {
                    trying.note_said(&why)?;
                    why
                }
                Err(Trouble::Passing(why) | Trouble::Broken(why)) => why,
            };
            trying.again(why).await?;
        }
    }

    /// Asks the upstream whether it gives a caller what its refs do not lead to.
    async fn prove(&self, wanted: &Wanted<'_>, refs: &Listing) -> Result<(), Hindered> {
        let listed = refs.ids();
        let listed: HashSet<&[u8]> = listed.iter().map(|id| &**id).collect();
        let unlisted: Vec<_> = wanted.wants.iter().filter(|want| !listed.contains(&***want)).cloned().collect();
        if unlisted.is_empty() {
            return Ok(());
        }
        let unreached = self.mirrors().unreached(wanted.id, refs, unlisted).await;
        let unreached = unreached.map_err(|error| self.trouble(&error))?;
        if unreached.is_empty() {
            return Ok(());
        }
        // Whoever has all of it already is sent an empty pack, or a small one; how it begins is all that is read of it.
        let asked = fetch(refs, unreached.iter(), &unreached);
        let mut trying = Trying::new(self, wanted);
        loop {
            let mut pack = self.fetch(wanted, &asked).await?;
            let Err(error) = pack.read_u8().await else { return Ok(()) };
            match refusal(&error) {
                Some(Refused::Absent(why)) => return Err(Hindered::Absent(why.clone())),
                Some(Refused::Otherwise(why)) => trying.note_said(why)?,
                None => {}
            }
            trying.again(error.to_string()).await?;
        }
    }

    /// Throws a mirror away, which may take long.
    async fn discard(&self, id: RepositoryId) -> Result<(), Hindered> {
        let mirrors = self.mirrors().clone();
        let discarded = tokio::task::spawn_blocking(move || mirrors.discard(id)).await;
        match discarded {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.trouble(&error).into()),
            Err(error) => Err(self.trouble(&error).into()),
        }
    }

    async fn bring_once(&self, wanted: &Wanted<'_>, update: &Update, refs: &Listing) -> Result<(), Trouble> {
        let failed = |error: GitError| self.judged(&error);
        // Somebody else may have brought it meanwhile.
        if self.has_all(wanted.id, refs, wanted.wants, wanted.with_tags).await.map_err(failed)? {
            return Ok(());
        }
        let listed = refs.ids();
        let is_listed: HashSet<&[u8]> = listed.iter().map(|id| &**id).collect();
        let others = wanted.wants.iter().filter(|want| !is_listed.contains(&***want)).cloned().collect();
        // Of what no ref leads to, most was brought when one did.
        let others = self.mirrors().missing(wanted.id, others).await.map_err(failed)?;
        let tips = self.mirrors().tips(wanted.id).await.map_err(failed)?;
        let known: HashSet<&[u8]> = tips.iter().map(|id| &**id).collect();
        let new = listed.iter().filter(|id| !known.contains(&***id)).cloned().collect();
        let new = self.mirrors().missing(wanted.id, new).await.map_err(failed)?;
        if new.is_empty() && others.is_empty() {
            return self.mirrors().adopt(wanted.id, refs).await.map_err(failed);
        }
        if self.mirrors().is_full() {
            let why =
                format!("the disk of this gateway is nearly full: nothing is fetched from {}", self.settings().name);
            tracing::error!(repository = %wanted.name, "{why}");
            return Err(Trouble::Lasting(Unanswered::new(why, SOON).into()));
        }
        let asker = wanted.caller.map(|caller| caller.print().id());
        let bringing = timeout_at(wanted.deadline.into(), self.mirrors().bringing(asker)).await;
        let _bringing = bringing.unwrap_or(Err(GitError::Busy(self.settings().patience))).map_err(failed)?;
        let asked = fetch(refs, new.iter().chain(&others), &tips);
        let pack = self.fetch(wanted, &asked).await.map_err(Trouble::Lasting)?;
        let bytes = update.goes_on(self.mirrors().receive(wanted.id, refs, pack)).await.map_err(failed)?;
        self.counters().fetched(bytes);
        tracing::info!(upstream = self.settings().name, repository = %wanted.name, bytes, "fetched what is new");
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

    /// The pack that the upstream sends for a question.
    async fn fetch(
        &self,
        wanted: &Wanted<'_>,
        asked: &[u8],
    ) -> Result<impl AsyncRead + Send + Unpin + use<>, Hindered> {
        let Wanted { id, name, caller, now, .. } = *wanted;
        let header = self.authorization(caller, Surface::Git, now);
        let header = header.map_err(|reason| Hindered::Turned(Turned::Here(reason)))?;
        let url = self.url_of(name, "git-upload-pack");
        let (arrived, subject) = (AtomicBool::new(false), Subject { repository: id, print: caller.map(Caller::print) });
        let question = Question::of_git(caller, subject, wanted.deadline, &arrived);
        let post = || command_of(&url, header.as_ref(), asked);
        let response = self.ask(question, post).await?;
        if !response.status().is_success() {
            return Err(Hindered::Turned(turned(response).await));
        }
        Ok(Box::pin(pack(reader_of(response.into_body()))))
    }

    /// What to make of an error of git's.
    fn judged(&self, error: &GitError) -> Trouble {
        match error {
            GitError::Run { source, .. } if refusal(source).is_some() => match refusal(source) {
                Some(Refused::Absent(why)) => Trouble::Absent(why.clone()),
                _ => Trouble::Said(source.to_string()),
            },
            // Everybody else's turn comes first.
            GitError::Busy(_) | GitError::Crowded => Trouble::Passing(error.to_string()),
            GitError::Failed { what: "index-pack", stderr } if stderr.contains("maximum allowed size") => {
                let why = format!("what is new at {} is more than `push.pack_bytes`", self.settings().name);
                tracing::error!("{why}");
                Trouble::Lasting(Unanswered::new(why, SOON).into())
            }
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

/// Tries until patience is over, and tells those who wait why.
struct Trying<'a> {
    upstream: &'a Upstream,
    wanted: &'a Wanted<'a>,
    waits: Waits,
    notice: Option<Notice>,
    /// How often the upstream said something in the place of a pack.
    said: u32,
}

impl<'a> Trying<'a> {
    fn new(upstream: &'a Upstream, wanted: &'a Wanted<'_>) -> Self {
        Self { upstream, wanted, waits: Waits::default(), notice: None, said: 0 }
    }

    /// Notes what the upstream said in the place of a pack. Not for ever: it holds up whoever else waits for this mirror, and hosts say
    /// that something is not there in many ways.
    fn note_said(&mut self, why: &str) -> Result<(), Hindered> {
        if self.said >= MOST_SAID {
            let why = format!("{} does not send what is wanted: {why}", self.upstream.settings().name);
            return Err(Unanswered::new(why, SOON).into());
        }
        self.said += 1;
        Ok(())
    }

    /// Waits until it is tried again.
    async fn again(&mut self, why: String) -> Result<(), Hindered> {
        let (upstream, wanted) = (self.upstream, self.wanted);
        let turn = upstream.schedule().place(self.waits.next(None));
        if Instant::now() + turn.wait > wanted.deadline {
            let why = format!("what is new could not be fetched from {}: {why}", upstream.settings().name);
            return Err(Unanswered::new(why, SOON).into());
        }
        tracing::info!(upstream = upstream.settings().name, repository = %wanted.name, why, "a fetch is tried again");
        let subject = Subject { repository: wanted.id, print: wanted.caller.map(Caller::print) };
        self.notice = Some(upstream.notice(subject, &why, wanted.deadline, self.notice.take()));
        turn.come().await;
        Ok(())
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
/// How often it is tried again when the upstream says something in the place of a pack.
const MOST_SAID: u32 = 2;
/// How many refs of before and of now are compared to find out whether it is the same repository.
const MOST_COMPARED: usize = 16;
/// How many objects are said to be here at most.
const MOST_HAVES: usize = 2000;
