//! Loose objects (gitrepository-layout, "objects/[0-9a-f][0-9a-f]"): a file for each.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::ZlibDecoder;

use crate::inflate::LARGEST;
use crate::reader::Object;
use crate::{Id, Kind, PackError};

/// Where an object would be.
pub(crate) fn path(objects: &Path, id: &Id) -> PathBuf {
    let name = id.to_string();
    objects.join(&name[..2]).join(&name[2..])
}

/// Reads an object; `None` if it is not there.
pub(crate) fn read(objects: &Path, id: &Id) -> Result<Option<Object>, PackError> {
    let Some(mut bytes) = inflated(objects, id, LARGEST as u64 + LONGEST_HEAD)? else { return Ok(None) };
    let (kind, size, length) = head(&bytes)?;
    if size > LARGEST as u64 {
        return Err(PackError::TooMuch("an object is larger than is held in memory"));
    }
    bytes.drain(..length);
    if bytes.len() as u64 != size {
        return Err(DAMAGED);
    }
    Ok(Some(Object { kind, bytes }))
}

/// How many bytes an object holds; `None` if it is not there.
pub(crate) fn size(objects: &Path, id: &Id) -> Result<Option<u64>, PackError> {
    let begin = inflated(objects, id, LONGEST_HEAD)?;
    begin.map(|begin| head(&begin).map(|(_, size, _)| size)).transpose()
}

/// As much of a file as may be, inflated.
fn inflated(objects: &Path, id: &Id, most: u64) -> Result<Option<Vec<u8>>, PackError> {
    let file = match File::open(path(objects, id)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = Vec::new();
    ZlibDecoder::new(file).take(most).read_to_end(&mut bytes).map_err(|_| DAMAGED)?;
    Ok(Some(bytes))
}

/// What a file begins with: the kind, the size, and how long that is.
fn head(bytes: &[u8]) -> Result<(Kind, u64, usize), PackError> {
    let zero = bytes.iter().take(LONGEST_HEAD as usize).position(|byte| *byte == 0).ok_or(DAMAGED)?;
    let mut words = bytes[..zero].split(|byte| *byte == b' ');
    let kind = words.next().and_then(Kind::from_word).ok_or(DAMAGED)?;
    let size = words.next().and_then(|size| std::str::from_utf8(size).ok()?.parse().ok()).ok_or(DAMAGED)?;
    Ok((kind, size, zero + 1))
}

const DAMAGED: PackError = PackError::Damaged("a loose object cannot be read");

/// Bytes of the longest head: a kind and a size.
const LONGEST_HEAD: u64 = 32;
