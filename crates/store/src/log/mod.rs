//! The write-ahead log: a folder of numbered files that are only ever appended to.
//!
//! A record is acknowledged once it and the file's entry in its folder are on the disk. The log
//! knows nothing of what is in a record: it takes frames in and hands committed ones to a [`Sink`]. Its
//! files are read at the next start alone, and go when what they hold is in segments. What a newcomer
//! gets wrong: after a failed sync the kernel may hold pages for clean that never reached the disk,
//! so a file whose sync failed is not written to again; its acknowledged part stays, and a new file
//! goes on.

mod check;
mod commit;
mod files;
mod frame;
mod intake;
mod recover;
mod scan;
mod segment;

pub(crate) use check::{Checked, check as check_log_file, list as list_log_files};
#[cfg(test)]
pub(crate) use files::LogFile;
pub(crate) use files::{Disk, Files};
pub(crate) use intake::{Log, Options, Sink};
pub(crate) use recover::{cut_torn_tail, survey, write_log_file};
pub(crate) use scan::Scan;
pub(crate) use segment::Found;

/// The format that this build writes, and the latest that it reads.
const FORMAT_VERSION: u32 = 1;
