//! Inflates what packs and loose files hold, and never more than was said to be there.

use std::fs::File;
use std::os::unix::fs::FileExt;

use flate2::{Decompress, FlushDecompress, Status};

use crate::PackError;

/// Inflates `size` bytes that are deflated in a file from a place on. `state` is used again and again: making one is dear.
pub(crate) fn inflate_at(file: &File, at: u64, size: u64, state: &mut Decompress) -> Result<Vec<u8>, PackError> {
    let size = usize::try_from(size).ok().filter(|size| *size <= LARGEST);
    let size = size.ok_or(PackError::TooMuch("an object is larger than is held in memory"))?;
    state.reset(true);
    // One byte more, so that the end of the stream is met also when all is there.
    let mut out = Vec::with_capacity(size + 1);
    let mut buffer = [0; PIECE];
    let mut at = at;
    loop {
        let read = file.read_at(&mut buffer, at)?;
        let (mut input, mut ended) = (&buffer[..read], false);
        while !input.is_empty() && !ended {
            let before = (state.total_in(), out.len());
            let status = state.decompress_vec(input, &mut out, FlushDecompress::None);
            ended = status.map_err(|_| DAMAGED)? == Status::StreamEnd;
            input = &input[(state.total_in() - before.0) as usize..];
            if (state.total_in(), out.len()) == before && !ended {
                return Err(DAMAGED);
            }
        }
        at += read as u64;
        match (ended, out.len() == size) {
            (true, true) => return Ok(out),
            (true, false) => return Err(DAMAGED),
            (false, _) if read == 0 || out.len() > size => return Err(DAMAGED),
            (false, _) => {}
        }
    }
}

const DAMAGED: PackError = PackError::Damaged("what is deflated cannot be inflated");
/// Bytes that are read at once: most objects are smaller.
const PIECE: usize = 4096;
/// Bytes of the largest object that is held in memory.
pub(crate) const LARGEST: usize = 32 * 1024 * 1024;
