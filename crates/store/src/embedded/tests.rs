//! A disk that fails at chosen moments, which a real one does not do on demand.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use andon_model::{Observation, Policy, Span};
use andon_privacy::{NoticeLanguage, Protector};

use super::*;
use crate::log::{Disk, Files, LogFile};

/// What the disk does from now on.
#[derive(Default)]
struct Mood {
    /// Bytes that still fit; a write beyond is cut short, as on a full disk. Negative: no limit.
    room: AtomicI64,
    sync_fails: AtomicBool,
    cut_fails: AtomicBool,
    create_fails: AtomicBool,
    syncs: AtomicU64,
}

struct MoodyDisk(Arc<Mood>);
struct MoodyFile(Box<dyn LogFile>, Arc<Mood>);

impl Files for MoodyDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        if self.0.create_fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("no new files today"));
        }
        Ok(Box::new(MoodyFile(Disk.create(path)?, Arc::clone(&self.0))))
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        Disk.sync_folder(folder)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Disk.remove(path)
    }
}

impl LogFile for MoodyFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let room = self.1.room.load(Ordering::SeqCst);
        if room < 0 {
            return self.0.write_all_at(bytes, offset);
        }
        let fits = bytes.len().min(room as usize);
        self.1.room.fetch_sub(fits as i64, Ordering::SeqCst);
        self.0.write_all_at(&bytes[..fits], offset)?;
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&self) -> io::Result<()> {
        self.1.syncs.fetch_add(1, Ordering::SeqCst);
        if self.1.sync_fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk did not take it"));
        }
        self.0.sync()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if self.1.cut_fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("no cutting either"));
        }
        self.0.set_len(len)
    }
}

struct Bench {
    folder: tempfile::TempDir,
    mood: Arc<Mood>,
    store: EmbeddedStore,
    acknowledged: Vec<TraceId>,
}

impl Bench {
    fn new() -> Self {
        Self::with(Config { retry_interval: Duration::from_millis(20), ..Config::default() })
    }

    fn with(config: Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mood = Arc::new(Mood { room: AtomicI64::new(-1), ..Mood::default() });
        let disk = Arc::clone(&mood);
        let files = move || Box::new(MoodyDisk(Arc::clone(&disk))) as Box<dyn Files>;
        let store = EmbeddedStore::open_on(folder.path(), config, files).unwrap();
        Self { folder, mood, store, acknowledged: Vec::new() }
    }

    fn put(&mut self) -> Result<(), StoreError> {
        let span = Span::new(TraceId::random(), "gateway", "POST /chat");
        let id = span.trace_id;
        self.store.append(record(span))?.wait()?;
        self.acknowledged.push(id);
        Ok(())
    }

    fn refused(&mut self) {
        assert!(matches!(self.put(), Err(StoreError::Unavailable { .. })));
        assert!(!self.store.state().healthy);
        self.all_there(&self.store);
    }

    fn wait_until_healthy(&self) {
        let started = Instant::now();
        while !self.store.state().healthy {
            assert!(started.elapsed() < Duration::from_secs(10), "it never tried again");
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn all_there(&self, store: &EmbeddedStore) {
        for id in &self.acknowledged {
            assert!(store.trace(*id).unwrap().is_some(), "acknowledged and gone");
        }
    }

    /// Opens again on a good disk; how many damaged places were found.
    fn reopen(self) -> (u64, u64) {
        let Self { folder, store, acknowledged, mood } = self;
        drop(store);
        let store = EmbeddedStore::open(folder.path(), Config::default()).unwrap();
        let bench = Self { folder, mood, store, acknowledged };
        bench.all_there(&bench.store);
        let page = bench.store.traces(&TraceQuery::default()).unwrap();
        (bench.store.replay.faults_total, page.total_matched)
    }
}

fn record(span: Span) -> Record {
    let protector = Protector::new(Policy::Full, NoticeLanguage::English);
    Record::Spans(protector.protect(vec![Observation::from(span)]))
}

#[test]
fn a_full_disk_leaves_no_garbage_and_is_used_again_when_there_is_room() {
    let mut bench = Bench::new();
    (0..3).for_each(|_| bench.put().unwrap());
    // Room for the beginning of a frame only.
    bench.mood.room.store(40, Ordering::SeqCst);
    bench.refused();
    thread::sleep(Duration::from_millis(100));
    bench.refused();
    bench.mood.room.store(-1, Ordering::SeqCst);
    bench.wait_until_healthy();
    (0..3).for_each(|_| bench.put().unwrap());
    assert_eq!(bench.reopen(), (0, 6));
}

#[test]
fn after_a_failed_sync_nothing_more_goes_into_that_file() {
    let mut bench = Bench::new();
    (0..3).for_each(|_| bench.put().unwrap());
    bench.mood.sync_fails.store(true, Ordering::SeqCst);
    bench.refused();
    bench.mood.sync_fails.store(false, Ordering::SeqCst);
    bench.wait_until_healthy();
    (0..3).for_each(|_| bench.put().unwrap());
    assert_eq!(std::fs::read_dir(bench.folder.path().join("log")).unwrap().count(), 2);
    assert_eq!(bench.reopen(), (0, 6));
}

#[test]
fn a_file_that_cannot_be_cut_back_is_left_behind_and_read_past() {
    let mut bench = Bench::new();
    (0..3).for_each(|_| bench.put().unwrap());
    bench.mood.room.store(40, Ordering::SeqCst);
    bench.mood.cut_fails.store(true, Ordering::SeqCst);
    bench.refused();
    bench.mood.room.store(-1, Ordering::SeqCst);
    bench.mood.cut_fails.store(false, Ordering::SeqCst);
    bench.wait_until_healthy();
    bench.put().unwrap();
    assert_eq!(bench.reopen(), (1, 4));
}

#[test]
fn a_store_that_cannot_begin_a_file_says_so_and_tries_again() {
    let mut bench = Bench::new();
    bench.mood.create_fails.store(true, Ordering::SeqCst);
    bench.refused();
    bench.mood.create_fails.store(false, Ordering::SeqCst);
    bench.wait_until_healthy();
    bench.put().unwrap();
    assert_eq!(bench.reopen(), (0, 1));
}

#[test]
fn what_waits_while_the_disk_fails_is_answered_too() {
    let config = Config {
        prompt_commits: 0,
        commit_interval: Duration::from_millis(200),
        retry_interval: Duration::from_secs(60),
        ..Config::default()
    };
    let mut bench = Bench::with(config);
    bench.put().unwrap();
    bench.mood.sync_fails.store(true, Ordering::SeqCst);
    let append = || {
        let span = Span::new(TraceId::random(), "gateway", "POST /chat");
        bench.store.append(record(span)).unwrap()
    };
    let acks: Vec<_> = (0..50).map(|_| append()).collect();
    for ack in acks {
        assert!(matches!(ack.wait(), Err(StoreError::Unavailable { .. })));
    }
    assert!(matches!(bench.store.flush(), Err(StoreError::Unavailable { .. })));
    bench.store.close();
}

#[test]
fn a_calm_log_answers_at_once_and_a_busy_one_gathers() {
    let config = Config { commit_interval: Duration::from_millis(500), ..Config::default() };
    let mut bench = Bench::with(config);
    bench.put().unwrap();
    thread::sleep(Duration::from_millis(600));
    let started = Instant::now();
    bench.put().unwrap();
    assert!(started.elapsed() < Duration::from_millis(400), "a lone append waits for nobody");

    let before = bench.mood.syncs.load(Ordering::SeqCst);
    let append = |_| {
        thread::sleep(Duration::from_millis(1));
        let span = Span::new(TraceId::random(), "gateway", "POST /chat");
        bench.store.append(record(span)).unwrap()
    };
    let acks: Vec<_> = (0..200).map(append).collect();
    acks.into_iter().for_each(|ack| ack.wait().unwrap());
    let syncs = bench.mood.syncs.load(Ordering::SeqCst) - before;
    assert!(syncs < 60, "{syncs} syncs for 200 appends in a fraction of a second");
}
