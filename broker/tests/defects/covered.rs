//! What is acknowledged never outnumbers what the syncs have covered.
//!
//! Counted in the middle of every sync, for all partitions of a directory at once: whoever publishes an end too early,
//! its own or another log's, is seen before the sync that would have made up for it. Each sync also meets appends that
//! it must not be credited with.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::current;

use bytes::Bytes;
use thalweg_broker::partition::{Commit, Outcome, Partition};
use thalweg_protocol::batch::{Batch, BatchReader};
use thalweg_storage::defects::Defect;
use thalweg_storage::fs::FileSystem;
use thalweg_storage::fs::sim::SimDisk;

use crate::flushed::{EPOCH, Flushed, append};
use crate::machine::Machine;
use crate::verdict::{Verdict, assert_caught, assert_caught_in_process, demand};

const PARTITIONS: i32 = 8;
const THREADS: usize = 4;

/// For each partition.
const RECORDS: i32 = 200;

/// One partition as its producer sees it.
struct Book {
    partition: Arc<Partition>,
    /// The file of its records.
    file: PathBuf,
    appended: i32,
    acknowledged: usize,
    waiting: Vec<Commit>,
}

impl Book {
    fn new(partition: &Arc<Partition>, disk: &SimDisk) -> Self {
        let ending = format!("-{}", partition.at().partition);
        let folders = disk.list("/data".as_ref()).unwrap();
        let is_its = |path: &PathBuf| path.to_string_lossy().ends_with(&ending);
        let folder = folders.into_iter().find(is_its).expect("a folder");
        let mut files = disk.list(&folder).unwrap();
        files.retain(|path| path.extension().is_some_and(|it| it == "log"));
        let (partition, file) = (Arc::clone(partition), files.pop().expect("a log"));
        Self { partition, file, appended: 0, acknowledged: 0, waiting: Vec::new() }
    }

    fn append(&mut self) {
        if self.appended < RECORDS {
            match append(&self.partition, self.appended, EPOCH).unwrap().commit {
                Some(commit) => self.waiting.push(commit),
                None => self.acknowledged += 1,
            }
            self.appended += 1;
        }
    }

    fn count(&mut self) {
        let before = self.waiting.len();
        self.waiting.retain_mut(|commit| commit.try_recv() != Ok(Outcome::Committed));
        self.acknowledged += before - self.waiting.len();
    }

    /// Each record is a batch of its own.
    fn check(&mut self, disk: &SimDisk) -> Verdict {
        // The disk is asked last: what it has only grows.
        self.count();
        let readable = usize::try_from(self.partition.high_watermark().get()).unwrap();
        let durable = Bytes::from(disk.durable_bytes(&self.file).unwrap());
        let is_whole = |batch: &Result<Batch, _>| {
            batch.as_ref().is_ok_and(|batch| batch.verify_checksum().is_ok())
        };
        let covered = BatchReader::new(durable).take_while(is_whole).count();
        let (at, acknowledged) = (self.partition.at(), self.acknowledged);
        demand(
            acknowledged.max(readable) <= covered,
            format!("{at}: {acknowledged} acknowledged, {readable} readable, {covered} synced"),
        )
    }
}

/// What the syncs have seen.
struct Seen {
    disk: SimDisk,
    books: Vec<Book>,
    /// Syncs on threads that help the flusher.
    shared: usize,
    /// Looks at a partition that had records which were acknowledged, and others which were not.
    looks: usize,
    wrong: Option<String>,
}

impl Seen {
    /// In the middle of a sync.
    fn look(&mut self) {
        self.shared += usize::from(current().name().is_none());
        for book in &mut self.books {
            if let Err(wrong) = book.check(&self.disk) {
                self.wrong.get_or_insert(wrong);
            }
            self.looks += usize::from(book.acknowledged > 0 && !book.waiting.is_empty());
            book.append();
        }
    }

    fn has_ended(&mut self) -> bool {
        self.books.iter_mut().for_each(Book::count);
        self.books.iter().all(|book| book.appended == RECORDS && book.waiting.is_empty())
    }
}

fn scenario() -> Verdict {
    let flushed = Flushed::start(PARTITIONS, THREADS);
    let disk = flushed.disk.clone();
    let books = flushed.partitions.iter().map(|partition| Book::new(partition, &disk)).collect();
    let seen = Seen { disk: disk.clone(), books, shared: 0, looks: 0, wrong: None };
    let seen = Arc::new(Mutex::new(seen));
    let looking = Arc::clone(&seen);
    disk.during_sync(move || looking.lock().unwrap().look());
    seen.lock().unwrap().books.iter_mut().for_each(Book::append);
    Machine::until("all is acknowledged", || seen.lock().unwrap().has_ended());
    disk.clear_hook();
    let seen = seen.lock().unwrap();
    demand(seen.wrong.is_none(), seen.wrong.clone().unwrap_or_default())?;
    demand(seen.shared > 0 && seen.looks > 100, "vacuous: no sync has met another's records")
}

#[test]
fn nothing_is_acknowledged_that_no_sync_has_covered() {
    assert_caught(Defect::AckBeforeSync, scenario);
}

#[test]
fn a_sync_is_not_credited_with_what_was_appended_while_it_lasted() {
    let test = "covered::a_sync_is_not_credited_with_what_was_appended_while_it_lasted";
    assert_caught_in_process(Defect::PublishEndAfterSync, test, scenario);
}
