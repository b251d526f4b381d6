//! A bundle (gitformat-bundle): most of a history as one file, which a client may fetch before it asks for the rest, and go on with
//! where it was broken off (gitprotocol-v2, "bundle-uri").
//!
//! Nothing is made for it: it is the large pack that upkeep has left, with a list of refs before it. It is offered only as long as
//! refs of now lead to everything in it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use doorward_packs::{Id, PackError, WholePack, whole_pack};
use doorward_wire::PktLine;
use sha2::{Digest, Sha256};

use crate::output::CHUNK;
use crate::{GitError, Output, Repository};

/// A bundle that is there.
#[derive(Debug)]
pub struct Bundle {
    name: String,
    head: Bytes,
    pack: Arc<File>,
    pack_length: u64,
}

impl Repository {
    /// The bundle of this repository; `None` if there is none now.
    ///
    /// # Errors
    /// [`GitError`] if refs cannot be read.
    pub async fn bundle(&self) -> Result<Option<Bundle>, GitError> {
        let Some(snapshot) = self.all.snapshot(self.id).await? else { return Ok(None) };
        let Some(objects) = self.all.stored.of(self.id, &self.directory, &snapshot) else { return Ok(None) };
        let look = move || {
            let mut names: BTreeMap<Id, Box<[u8]>> = BTreeMap::new();
            let all = snapshot.walk(b"refs/", None, |named| {
                if let Some(id) = Id::from_hex(named.id) {
                    names.entry(id).or_insert_with(|| named.name.into());
                }
                names.len() <= MOST
            });
            if !all {
                return Ok(None);
            }
            let (mut reader, ids) = (objects.reader()?, names.keys().copied().collect::<Vec<_>>());
            Ok::<_, PackError>(whole_pack(&mut reader, &ids)?.map(|pack| Bundle::of(pack, &names)))
        };
        let found = tokio::task::spawn_blocking(look).await;
        let found = found.map_err(|error| GitError::run("bundle")(io::Error::other(error)))?;
        Ok(found.unwrap_or_else(|error| {
            tracing::debug!(repository = %self.id, %error, "no bundle is offered");
            None
        }))
    }
}

impl Bundle {
    /// What leads to the pack has the name of a ref, if it is what that leads to.
    fn of(pack: WholePack, names: &BTreeMap<Id, Box<[u8]>>) -> Self {
        let WholePack { file, length, sum, tips } = pack;
        let mut head = b"# v2 git bundle\n".to_vec();
        for (number, tip) in tips.iter().enumerate() {
            let other = || format!("refs/heads/history-{number}").into_bytes().into();
            let name = names.get(tip).cloned().unwrap_or_else(other);
            head.extend_from_slice(&[tip.to_string().as_bytes(), b" ", &name, b"\n"].concat());
        }
        head.push(b'\n');
        // Whoever goes on where it was broken off must not go on with another list of refs.
        let print: String = Sha256::digest(&head).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { name: format!("{sum}-{print}"), head: head.into(), pack: Arc::new(file), pack_length: length }
    }

    /// What tells it from a later one.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes of all of it.
    pub fn length(&self) -> u64 {
        self.head.len() as u64 + self.pack_length
    }

    /// The answer to the command `bundle-uri`, with addresses that begin at the repository's own; `None` is for no bundle.
    pub fn offer(bundle: Option<&Self>) -> Bytes {
        let mut answer = Vec::new();
        if let Some(bundle) = bundle {
            let address = format!("bundle.history.uri=./bundles/{}", bundle.name);
            for line in ["bundle.version=1", "bundle.mode=all", &address] {
                PktLine::write(line.as_bytes(), &mut answer);
            }
        }
        answer.extend_from_slice(b"0000");
        answer.into()
    }

    /// So many of its bytes from a place on. `patience` is how long a reader may take for a piece.
    pub fn read(self, first: u64, length: u64, patience: std::time::Duration) -> Output {
        let (sender, output) = Output::channel(patience);
        tokio::spawn(async move {
            let (mut at, end) = (first, first.saturating_add(length).min(self.length()));
            while at < end {
                let piece = self.piece(at, end).await;
                at += piece.as_ref().map_or(end, |piece| piece.len() as u64);
                if sender.send(piece).await.is_err() {
                    return;
                }
            }
        });
        output
    }

    async fn piece(&self, at: u64, end: u64) -> io::Result<Bytes> {
        let within = usize::try_from(at).ok().filter(|at| *at < self.head.len());
        if let Some(within) = within {
            let most = usize::try_from(end).unwrap_or(usize::MAX).min(self.head.len());
            return Ok(self.head.slice(within..most));
        }
        let (pack, from) = (Arc::clone(&self.pack), at - self.head.len() as u64);
        let length = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = BytesMut::zeroed(length);
            pack.read_exact_at(&mut bytes, from).map(|()| bytes.freeze())
        });
        read.await.map_err(io::Error::other)?
    }
}

/// What git says of a server that has bundles.
pub(crate) const CAPABILITY: &[u8] = b"bundle-uri\n";
/// How many refs a bundle names at most.
const MOST: usize = 10_000;
