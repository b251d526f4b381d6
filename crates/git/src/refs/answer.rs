//! Answers from a snapshot: the lists of refs in all versions of the protocol (gitprotocol-pack, gitprotocol-v2).

use std::sync::Arc;

use bytes::Bytes;
use doorward_wire::{ListRequest, PktLine};

use super::{Capabilities, Named, Snapshot};
use crate::output::CHUNK;
use crate::{Output, Service, Slots};

const NO_DONE: &[u8] = b" no-done";

/// What is still to be written of an answer. It is written piece by piece, so that a million refs take no memory of their own.
struct Writer {
    snapshot: Arc<Snapshot>,
    form: Form,
    /// The prefixes that are still to come, the present one last.
    prefixes: Vec<Box<[u8]>>,
    /// The last name that was written, of those with the present prefix.
    after: Option<Box<[u8]>>,
    /// What goes with the first ref, in versions 0 and 1.
    capabilities: Option<Box<[u8]>>,
}

/// How a ref is written.
#[derive(Clone, Copy)]
enum Form {
    /// A line, and a second one for what a tag leads to.
    Fetch,
    /// A line.
    Push,
    /// A line with what was asked for.
    List { peel: bool, symrefs: bool },
}

impl Snapshot {
    /// The answer to `info/refs` in version 0 or 1.
    pub(crate) fn advertised(
        self: &Arc<Self>,
        service: Service,
        version_1: bool,
        capabilities: &Capabilities,
        slots: &Slots,
    ) -> Output {
        let mut first = Vec::new();
        PktLine::write(format!("# service={}\n", service.name()).as_bytes(), &mut first);
        first.extend_from_slice(b"0000");
        if version_1 && service == Service::UploadPack {
            PktLine::write(b"version 1\n", &mut first);
        }
        let (form, mut capabilities) = match service {
            Service::UploadPack => (Form::Fetch, capabilities.fetch.to_vec()),
            Service::ReceivePack => (Form::Push, capabilities.push.to_vec()),
        };
        let head = self.head().filter(|_| service == Service::UploadPack);
        if let Some(target) = head.and_then(|head| head.target) {
            // Where git says it.
            let before = capabilities.windows(NO_DONE.len()).position(|words| words == NO_DONE);
            let place = before.map_or(capabilities.len(), |before| before + NO_DONE.len());
            capabilities.splice(place..place, [b" symref=HEAD:", target].concat());
        }
        let mut writer = self.writer(form, vec![Box::from(&b"refs/"[..])], Some(capabilities.into()));
        if let Some(head) = head {
            writer.line(head, &mut first);
        }
        writer.output(first, slots)
    }

    /// The answer to `ls-refs`.
    pub(crate) fn listed(self: &Arc<Self>, request: &ListRequest, slots: &Slots) -> Output {
        let ListRequest { peel, symrefs, unborn, .. } = *request;
        let mut first = Vec::new();
        let everything = request.prefixes.is_empty();
        let mut prefixes = request.prefixes.clone();
        if everything {
            prefixes.push(Box::default());
        }
        let mut writer = self.writer(Form::List { peel, symrefs }, Vec::new(), None);
        if prefixes.iter().any(|prefix| b"HEAD".starts_with(prefix)) {
            match (self.head(), self.main_branch()) {
                (Some(head), _) => writer.line(head, &mut first),
                (None, Some(target)) if unborn && symrefs => {
                    PktLine::write(&[b"unborn HEAD symref-target:", target, b"\n"].concat(), &mut first);
                }
                (None, _) => {}
            }
        }
        // The walk takes the last one first.
        prefixes.reverse();
        writer.prefixes = prefixes;
        writer.output(first, slots)
    }

    fn writer(self: &Arc<Self>, form: Form, prefixes: Vec<Box<[u8]>>, capabilities: Option<Box<[u8]>>) -> Writer {
        Writer { snapshot: Arc::clone(self), form, prefixes, after: None, capabilities }
    }
}

impl Writer {
    /// The answer, of which the beginning is written already: at once if it is short.
    fn output(mut self, first: Vec<u8>, slots: &Slots) -> Output {
        let (chunk, over) = self.chunk(first);
        if over {
            return Output::of(chunk);
        }
        let (sender, output) = Output::channel(slots.idle());
        tokio::spawn(async move {
            if sender.send(Ok(chunk)).await.is_err() {
                return;
            }
            loop {
                let (chunk, over) = self.chunk(Vec::with_capacity(CHUNK));
                if sender.send(Ok(chunk)).await.is_err() || over {
                    return;
                }
            }
        });
        output
    }

    /// As much as goes into one piece, and whether that was all.
    fn chunk(&mut self, mut bytes: Vec<u8>) -> (Bytes, bool) {
        let snapshot = Arc::clone(&self.snapshot);
        while let Some(prefix) = self.prefixes.last().cloned() {
            let after = self.after.take();
            let whole = snapshot.walk(&prefix, after.as_deref(), |named| {
                self.line(named, &mut bytes);
                let goes_on = bytes.len() < CHUNK;
                if !goes_on {
                    self.after = Some(named.name.into());
                }
                goes_on
            });
            if !whole {
                return (bytes.into(), false);
            }
            self.prefixes.pop();
        }
        if let Some(capabilities) = self.capabilities.take() {
            // There is no ref to go with them.
            let null = vec![b'0'; self.snapshot.format.digits()];
            PktLine::write(&[&null, b" capabilities^{}\0".as_slice(), &capabilities, b"\n"].concat(), &mut bytes);
        }
        bytes.extend_from_slice(b"0000");
        (bytes.into(), true)
    }

    fn line(&mut self, named: Named<'_>, bytes: &mut Vec<u8>) {
        let mut line = [named.id, b" ", named.name].concat();
        if let Some(capabilities) = self.capabilities.take() {
            line.push(0);
            line.extend_from_slice(&capabilities);
        }
        match (self.form, named.peeled) {
            (Form::List { peel, symrefs }, peeled) => {
                if let Some(target) = named.target.filter(|_| symrefs) {
                    line.extend_from_slice(b" symref-target:");
                    line.extend_from_slice(target);
                }
                if let Some(peeled) = peeled.filter(|_| peel) {
                    line.extend_from_slice(b" peeled:");
                    line.extend_from_slice(peeled);
                }
            }
            (Form::Fetch, Some(peeled)) => {
                line.push(b'\n');
                PktLine::write(&line, bytes);
                line = [peeled, b" ", named.name, b"^{}"].concat();
            }
            (Form::Fetch | Form::Push, _) => {}
        }
        line.push(b'\n');
        PktLine::write(&line, bytes);
    }
}
