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
    let file = match File::open(path(objects, id)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let damaged = || PackError::Damaged("a loose object cannot be read");
    let mut bytes = Vec::new();
    ZlibDecoder::new(file).take(LARGEST as u64 + LONGEST_HEAD).read_to_end(&mut bytes).map_err(|_| damaged())?;
    let zero = bytes.iter().take(LONGEST_HEAD as usize).position(|byte| *byte == 0).ok_or_else(damaged)?;
    let mut words = bytes[..zero].split(|byte| *byte == b' ');
    let kind = words.next().and_then(Kind::from_word).ok_or_else(damaged)?;
    let size = words.next().and_then(|size| std::str::from_utf8(size).ok()?.parse::<usize>().ok());
    let size = size.ok_or_else(damaged)?;
    if size > LARGEST {
        return Err(PackError::TooMuch("an object is larger than is held in memory"));
    }
    bytes.drain(..=zero);
    if bytes.len() != size {
        return Err(damaged());
    }
    Ok(Some(Object { kind, bytes }))
}

/// Bytes of the longest head: a kind and a size.
const LONGEST_HEAD: u64 = 32;
