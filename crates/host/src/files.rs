//! Where the kernel's files are, and how they are read: into one buffer that lives as long as the
//! sampler, because a sample opens a few hundred of them.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// No file that we parse comes near this; one that does is cut here.
const MAX_FILE_BYTES: usize = 1 << 20;

const FIRST_BUFFER_BYTES: usize = 16 << 10;

/// The kernel's trees; a test points them at a folder of its own.
#[derive(Debug, Clone)]
pub(crate) struct Roots {
    pub(crate) proc: PathBuf,
    pub(crate) sys: PathBuf,
    pub(crate) dev: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self::below(Path::new("/"))
    }
}

impl Roots {
    pub(crate) fn below(folder: &Path) -> Self {
        let [proc, sys, dev] = ["proc", "sys", "dev"].map(|name| folder.join(name));
        Self { proc, sys, dev }
    }
}

/// A buffer that is filled by one file after another.
#[derive(Debug)]
pub(crate) struct FileReader {
    buffer: Vec<u8>,
    /// Of what [`fill`](Self::fill) read.
    length: usize,
}

impl FileReader {
    pub(crate) fn new() -> Self {
        Self { buffer: vec![0; FIRST_BUFFER_BYTES], length: 0 }
    }

    /// The content of `path`, or `None` where it cannot be read: a process that has just ended, a
    /// file that belongs to another user, a kernel that lacks it.
    pub(crate) fn read(&mut self, path: &Path) -> Option<&[u8]> {
        self.read_up_to(path, MAX_FILE_BYTES)
    }

    /// As [`read`](Self::read), but no more than `limit` bytes.
    pub(crate) fn read_up_to(&mut self, path: &Path, limit: usize) -> Option<&[u8]> {
        let mut file = File::open(path).ok()?;
        let mut length = 0;
        while length < limit {
            if length == self.buffer.len() {
                self.buffer.resize((self.buffer.len() * 2).min(MAX_FILE_BYTES), 0);
            }
            let end = self.buffer.len().min(limit);
            match file.read(&mut self.buffer[length..end]) {
                Ok(0) => break,
                Ok(count) => length += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        Some(&self.buffer[..length])
    }

    /// Reads a short file that is kept open from its beginning; what it read is
    /// [`content`](Self::content). False when it says nothing any more: its process has ended.
    pub(crate) fn fill(&mut self, file: &File) -> bool {
        self.length = read_at_start(file, &mut self.buffer[..FIRST_BUFFER_BYTES]).unwrap_or(0);
        self.length > 0
    }

    pub(crate) fn content(&self) -> &[u8] {
        &self.buffer[..self.length]
    }

    /// As [`read`](Self::read), for files that are text.
    pub(crate) fn read_text(&mut self, path: &Path) -> Option<&str> {
        std::str::from_utf8(self.read(path)?).ok()
    }

    /// The one number that a file of `/sys` holds.
    pub(crate) fn number<T: FromStr>(&mut self, path: &Path) -> Option<T> {
        self.read_text(path)?.trim().parse().ok()
    }

    /// The one line that a file of `/sys` holds, if there is something in it.
    pub(crate) fn line(&mut self, path: &Path) -> Option<String> {
        let line = self.read_text(path)?.trim();
        (!line.is_empty()).then(|| line.to_owned())
    }
}

/// What is in a folder, in order of the numbers that the names end in: `hwmon2` before `hwmon10`.
pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_by_cached_key(|name| {
        let stem = name.trim_end_matches(|last: char| last.is_ascii_digit());
        (stem.to_owned(), name[stem.len()..].parse::<u64>().unwrap_or(0))
    });
    names
}

/// In one call to the kernel, of which a look makes hundreds.
#[cfg(unix)]
fn read_at_start(file: &File, buffer: &mut [u8]) -> std::io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, 0)
}

#[cfg(not(unix))]
fn read_at_start(mut file: &File, buffer: &mut [u8]) -> std::io::Result<usize> {
    use std::io::{Seek, SeekFrom};
    file.seek(SeekFrom::Start(0))?;
    file.read(buffer)
}

/// `/proc/<pid>/<file>` without a new allocation for each process.
#[derive(Debug)]
pub(crate) struct ProcessPath {
    path: PathBuf,
}

impl ProcessPath {
    pub(crate) fn new(proc: &Path) -> Self {
        Self { path: proc.to_owned() }
    }

    pub(crate) fn with<T>(&mut self, pid: u32, file: &str, use_path: impl FnOnce(&Path) -> T) -> T {
        let mut digits = [0u8; 10];
        self.path.push(decimal(pid, &mut digits));
        self.path.push(file);
        let result = use_path(&self.path);
        self.path.pop();
        self.path.pop();
        result
    }
}

fn decimal(mut number: u32, digits: &mut [u8; 10]) -> &str {
    let mut start = digits.len();
    loop {
        start -= 1;
        // A digit: the remainder is below 10.
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    std::str::from_utf8(&digits[start..]).unwrap_or("0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_decimal() {
        for number in [0, 7, 10, 4_194_304, u32::MAX] {
            assert_eq!(decimal(number, &mut [0; 10]), number.to_string());
        }
    }

    #[test]
    fn a_file_larger_than_the_first_buffer_is_read_whole_and_the_limit_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        let content: Vec<u8> = (0..100_000u32).map(|index| (index % 251) as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let mut reader = FileReader::new();
        assert_eq!(reader.read(&path).unwrap(), content);
        assert_eq!(reader.read_up_to(&path, 10).unwrap(), &content[..10]);
        assert!(reader.read(&folder.path().join("missing")).is_none());
    }

    #[test]
    fn process_path_is_left_as_it_was() {
        let mut path = ProcessPath::new(Path::new("/proc"));
        path.with(42, "stat", |path| assert_eq!(path, Path::new("/proc/42/stat")));
        path.with(7, "io", |path| assert_eq!(path, Path::new("/proc/7/io")));
    }
}
