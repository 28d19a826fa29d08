//! One process at a time has the data folder: an advisory lock, which the kernel takes back however
//! the process ends. The holder's process id stands in the file for whoever finds it locked, and on
//! the next line the address at which it can be asked, when there is one.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use crate::StoreError;

pub(crate) const FILE_NAME: &str = "lock";
/// Enough for any process id and any address.
const MOST_CHARS: u64 = 300;

/// Held for as long as this lives.
#[derive(Debug)]
pub(crate) struct FolderLock {
    file: File,
}

/// Who has a data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub pid: Option<u32>,
    /// Where it answers, as host:port.
    pub address: Option<String>,
}

/// The process that has the data folder at present, if there is one.
pub fn holder(folder: &Path) -> Option<Holder> {
    let mut file = File::open(folder.join(FILE_NAME)).ok()?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Some(read_holder(&mut file)),
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

impl FolderLock {
    pub(crate) fn take(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(FILE_NAME);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| StoreError::io("open", &path, &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked { pid: read_holder(&mut file).pid });
            }
            Err(TryLockError::Error(error)) => return Err(StoreError::io("lock", &path, &error)),
        }
        let lock = Self { file };
        lock.write("").map_err(|error| StoreError::io("write", &path, &error))?;
        Ok(lock)
    }

    /// Says where the holder can be asked.
    pub(crate) fn announce(&self, address: &str) {
        if let Err(error) = self.write(address) {
            tracing::warn!(%error, "other commands will not find this process");
        }
    }

    fn write(&self, address: &str) -> io::Result<()> {
        let mut file = &self.file;
        let text = format!("{}\n{address}\n", std::process::id());
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        match file.write_all(text.as_bytes()) {
            // A full disk must not keep the pages from being read.
            Err(error) if error.kind() == io::ErrorKind::StorageFull => Ok(()),
            written => written,
        }
    }
}

fn read_holder(file: &mut File) -> Holder {
    let mut text = String::new();
    // What cannot be read is not known.
    let _ = file.take(MOST_CHARS).read_to_string(&mut text);
    let mut lines = text.lines().map(str::trim);
    let pid = lines.next().and_then(|line| line.parse().ok());
    let address = lines.next().filter(|line| !line.is_empty()).map(str::to_owned);
    Holder { pid, address }
}
