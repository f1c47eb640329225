//! Downloading a model: goes on where it stopped, and the file appears under its name only when it
//! is whole and right.

use crate::catalogue::{Model, PublishedFile};
use crate::hash::{ByteStage, feed, hex};
use crate::http::{Client, Reply};
use crate::store::{Record, Store};
use packshot_core::{Context, Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::time::Duration;

/// How a model is downloaded.
#[derive(Clone, Debug)]
pub struct PullSettings {
    /// A folder on another server that holds the file under its own name; without it, where its
    /// makers publish it.
    pub mirror: Option<String>,
    /// Whether an existing file is replaced.
    pub force: bool,
    /// How often an interrupted transfer is taken up again at once.
    pub retries: u32,
    /// How long the server may stay silent.
    pub timeout: Duration,
    /// Whether proxies are taken from the usual environment variables.
    pub system_proxy: bool,
}

impl Default for PullSettings {
    fn default() -> Self {
        Self {
            mirror: None,
            force: false,
            retries: 4,
            timeout: Duration::from_secs(60),
            system_proxy: true,
        }
    }
}

/// A model that is on this machine now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pulled {
    /// Catalogue name.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// Whether its makers publish that hash, so that it was compared.
    pub hash_is_published: bool,
    /// Whether it was there already.
    pub was_there: bool,
    /// Bytes of it that were there from an earlier try.
    pub resumed_from: u64,
}

/// What is noted beside an unfinished download.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct PartNote {
    url: String,
    /// The server's name for this version of the file (`ETag` or `Last-Modified`).
    version: Option<String>,
}

/// Downloads `model` into `store`.
///
/// # Errors
/// `MissingModel` when the server cannot be reached or has no such file, `BadInput` when what came
/// has another hash (it is removed), `Usage` for an embedded model and while another process
/// downloads the same one, `Io`; `Cancelled`. What came so far stays, and the next call goes on
/// from there.
pub fn pull(
    model: &Model,
    store: &Store,
    settings: &PullSettings,
    context: &Context<'_>,
) -> Result<Pulled> {
    let (Some(file), Some(path)) = (model.file, store.path(model)) else {
        return Err(
            Error::usage(format!("{} is part of the program", model.name))
                .with_hint("it needs no download"),
        );
    };
    if path.is_file() && !settings.force {
        let verified = crate::verify(model, store, context)?;
        return Ok(Pulled {
            name: verified.name,
            file: path,
            bytes: verified.bytes,
            sha256: verified.sha256,
            hash_is_published: file.sha256.is_some(),
            was_there: true,
            resumed_from: 0,
        });
    }
    let client = Client::new(settings)?;
    std::fs::create_dir_all(store.folder())
        .map_err(|e| Error::io(format!("make the folder {}", store.folder().display()), e))?;
    let url = match &settings.mirror {
        Some(mirror) => format!("{}/{}", mirror.trim_end_matches('/'), file.name),
        None => file.url.to_owned(),
    };
    let mut part = Part::open(store, &file, &url)?;
    let resumed_from = part.len;
    let mut stage = ByteStage::start(context, "pull", file.bytes.or(model.weights_bytes));
    stage.add(part.len)?;
    let outcome = to_the_end(
        &client,
        &mut part,
        &file,
        &mut stage,
        settings.retries,
        context,
    );
    if let Err(end) = outcome {
        let len = part.len;
        if len == 0 {
            part.remove();
        }
        return Err(match end {
            Trouble::Interrupted(why) => unreachable(model, &file, &url, store, &why, len),
            Trouble::Final(error) if error.kind() == ErrorKind::Cancelled && len > 0 => {
                error.with_hint("what came is kept; the same command goes on from there")
            }
            Trouble::Final(error) => error,
        });
    }
    stage.finish();
    let sha256 = hex(&part.hash.clone().finalize());
    if file.sha256.is_some_and(|known| known != sha256) {
        part.remove();
        return Err(Error::bad_input(format!(
            "what {url} sent is not the file of {}: its SHA-256 is {sha256}",
            model.name
        ))
        .with_hint("it was removed; try again later or from another --mirror"));
    }
    let bytes = part.len;
    part.finish(&path)?;
    store.write_record(&file, &Record::new(model, &url, bytes, sha256.clone()))?;
    Ok(Pulled {
        name: model.name.to_owned(),
        file: path,
        bytes,
        sha256,
        hash_is_published: file.sha256.is_some(),
        was_there: false,
        resumed_from,
    })
}

/// Why a transfer ended early.
enum Trouble {
    /// Trying again is of no use.
    Final(Error),
    /// It may go on.
    Interrupted(String),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// The unfinished file: locked, and hashed as far as it goes.
struct Part {
    file: File,
    path: PathBuf,
    note_path: PathBuf,
    note: PartNote,
    len: u64,
    hash: Sha256,
}

impl Part {
    fn open(store: &Store, file: &PublishedFile, url: &str) -> Result<Self> {
        let path = store.part(file);
        let failed = |e| cannot_write(&path, e);
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match opened.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::usage(format!(
                    "another packshot is downloading {} right now",
                    file.name
                ))
                .with_hint("wait for it"));
            }
            // A file system without locks; two downloads at once are the user's to avoid.
            Err(TryLockError::Error(_)) => {}
        }
        let note_path = store.part_note(file);
        let note: PartNote = std::fs::read_to_string(&note_path)
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        let mut part = Self {
            file: opened,
            path,
            note_path,
            note,
            len: 0,
            hash: Sha256::new(),
        };
        // Without the server's word that its file is the same, a hash must be known.
        if part.note.url == url && (part.note.version.is_some() || file.sha256.is_some()) {
            part.len = feed(&mut part.file, &mut part.hash, |_| Ok(()))?;
        } else {
            part.note = PartNote {
                url: url.to_owned(),
                version: None,
            };
            part.restart()?;
        }
        Ok(part)
    }

    fn restart(&mut self) -> Result<()> {
        self.len = 0;
        self.hash = Sha256::new();
        self.file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)).map(drop))
            .map_err(|e| cannot_write(&self.path, e))
    }

    /// Notes which version of which file this is.
    fn write_note(&mut self, version: Option<String>) -> Result<()> {
        self.note.version = version;
        let text = serde_json::to_string(&self.note)
            .map_err(|e| Error::internal(format!("cannot write a note: {e}")))?;
        std::fs::write(&self.note_path, text).map_err(|e| cannot_write(&self.note_path, e))
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all(bytes)
            .map_err(|e| cannot_write(&self.path, e))?;
        self.hash.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn finish(self, target: &PathBuf) -> Result<()> {
        self.file
            .sync_all()
            .and_then(|()| std::fs::rename(&self.path, target))
            .map_err(|e| cannot_write(target, e))?;
        let _ = std::fs::remove_file(&self.note_path);
        Ok(())
    }

    fn remove(self) {
        // What cannot be removed is found wrong again the next time.
        let _ = std::fs::remove_file(&self.path);
        let _ = std::fs::remove_file(&self.note_path);
    }
}

/// Requests until the file is whole, or `retries` in a row brought nothing.
fn to_the_end(
    client: &Client,
    part: &mut Part,
    file: &PublishedFile,
    stage: &mut ByteStage<'_>,
    retries: u32,
    context: &Context<'_>,
) -> Result<(), Trouble> {
    let mut left = retries;
    loop {
        let before = part.len;
        let Err(trouble) = transfer(client, part, file, stage) else {
            return Ok(());
        };
        context.check()?;
        let Trouble::Interrupted(why) = &trouble else {
            return Err(trouble);
        };
        // A transfer that moves on may be taken up as often as it takes.
        if part.len <= before {
            if left == 0 {
                return Err(trouble);
            }
            left -= 1;
        }
        context.detail(format!("the transfer stopped ({why}); going on"));
    }
}

/// One request, from where the part ends to the end of the file.
fn transfer(
    client: &Client,
    part: &mut Part,
    file: &PublishedFile,
    stage: &mut ByteStage<'_>,
) -> Result<(), Trouble> {
    let Reply {
        status,
        length,
        range,
        version,
        mut body,
    } = client
        .get(&part.note.url, part.len, part.note.version.as_deref())
        .map_err(Trouble::Interrupted)?;
    let total = match status {
        200 => {
            if part.len > 0 {
                part.restart()?;
            }
            part.write_note(version)?;
            length
        }
        206 => {
            let (start, total) = range.as_deref().and_then(parse_range).ok_or_else(|| {
                Trouble::Final(Error::new(
                    ErrorKind::Io,
                    "the server sent a part without saying which",
                ))
            })?;
            if start != part.len {
                part.restart()?;
                return Err(Trouble::Interrupted(
                    "the server sent another part".to_owned(),
                ));
            }
            Some(total)
        }
        // There is nothing behind what is here already: it is whole, or of another version.
        416 => {
            let total = range.and_then(|r| r.strip_prefix("bytes */")?.parse::<u64>().ok());
            if total == Some(part.len) {
                return Ok(());
            }
            part.restart()?;
            return Err(Trouble::Interrupted(
                "the file has another length now".to_owned(),
            ));
        }
        404 | 410 => {
            return Err(Trouble::Final(
                Error::missing_model(format!("there is no file at {} ({status})", part.note.url))
                    .with_hint("it may have moved; name another place with --mirror"),
            ));
        }
        429 | 500..=599 => {
            return Err(Trouble::Interrupted(format!(
                "the server answered {status}"
            )));
        }
        other => {
            return Err(Trouble::Final(
                Error::missing_model(format!("{} answered {other}", part.note.url))
                    .with_hint("name another place with --mirror"),
            ));
        }
    };
    let expected = file.bytes.or(total);
    if let (Some(known), Some(total)) = (file.bytes, total)
        && known != total
    {
        return Err(Trouble::Final(Error::bad_input(format!(
            "the file at {} has {total} bytes instead of {known}",
            part.note.url
        ))));
    }
    let mut buffer = vec![0; 1 << 18];
    loop {
        let n = body
            .read(&mut buffer)
            .map_err(|e| Trouble::Interrupted(e.to_string()))?;
        if n == 0 {
            break;
        }
        part.append(&buffer[..n])?;
        stage.add(n as u64)?;
        if expected.is_some_and(|expected| part.len > expected) {
            part.restart()?;
            return Err(Trouble::Final(Error::bad_input(
                "the server sent more than it had announced",
            )));
        }
    }
    match expected {
        Some(expected) if part.len < expected => Err(Trouble::Interrupted(format!(
            "{} of {expected} bytes came",
            part.len
        ))),
        _ => Ok(()),
    }
}

/// Start and total of `bytes START-END/TOTAL`.
fn parse_range(text: &str) -> Option<(u64, u64)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()?))
}

fn unreachable(
    model: &Model,
    file: &PublishedFile,
    url: &str,
    store: &Store,
    why: &str,
    len: u64,
) -> Error {
    let so_far = if len > 0 {
        format!(
            " after {:.1} MB, which are kept: the same command goes on from there",
            len as f64 / 1e6
        )
    } else {
        String::new()
    };
    Error::missing_model(format!("cannot get {}: {why}{so_far}", model.name))
        .at(url)
        .with_hint(format!(
            "without network, get {url} on another machine and put it here: {}",
            store.folder().join(file.name).display()
        ))
}

fn cannot_write(path: &std::path::Path, error: std::io::Error) -> Error {
    Error::io(format!("write {}", path.display()), error)
        .with_hint("free some space, or name another folder with the variable PACKSHOT_HOME")
}

#[cfg(test)]
#[cfg(feature = "pull")]
mod tests;
