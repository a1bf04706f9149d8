//! What happens at the same time, in the smallest form that can go wrong.

use std::io;

use loom::sync::{Arc, Mutex};
use loom::thread;
use thalweg_protocol::Offset;

use super::announced::{Announced, Level};
use super::ends::Ends;
use super::extent::Extent;
use super::names::Names;

/// One log of records of one byte each, its file in the page cache and on the disk, and the flusher's queue.
struct Log {
    announced: Announced,
    ends: Ends,
    extent: Extent,
    pins: Mutex<i32>,
    /// The content's generation, raised by a cut, and its length.
    cache: Mutex<(u64, u64)>,
    disk: Mutex<(u64, u64)>,
    /// Whether the flusher was told.
    told: Mutex<bool>,
}

impl Log {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            announced: Announced::new(),
            ends: Ends::of_synced(Offset::ZERO),
            extent: Extent::of_synced(0),
            pins: Mutex::new(0),
            cache: Mutex::new((0, 0)),
            disk: Mutex::new((0, 0)),
            told: Mutex::new(false),
        })
    }

    /// As `Log::append` and `Partition::append` do it.
    fn append(&self, end: u64) {
        self.extent.soil(end, || *self.pins.lock().unwrap() += 1);
        self.cache.lock().unwrap().1 = end;
        self.extent.publish(end);
        self.ends.publish(offset(end));
        if self.announced.raise(Level::Now) {
            *self.told.lock().unwrap() = true;
        }
    }

    /// A round of the flusher, if it was told of anything.
    fn flush(&self) {
        if !std::mem::take(&mut *self.told.lock().unwrap()) {
            return;
        }
        self.announced.take();
        self.sync();
    }

    /// As `LogReader::sync` does it.
    fn sync(&self) {
        let taken = self.ends.begin_sync();
        let sync = || {
            let cached = *self.cache.lock().unwrap();
            *self.disk.lock().unwrap() = cached;
            Ok::<(), io::Error>(())
        };
        self.extent.sync(sync, || *self.pins.lock().unwrap() -= 1).unwrap();
        self.ends.finish_sync(taken);
    }

    fn assert_synced_is_on_the_disk(&self) {
        let synced = self.ends.synced_end();
        let (_, bytes) = *self.disk.lock().unwrap();
        assert!(offset(bytes) >= synced, "{synced} counts as synced, {bytes} are on the disk");
    }
}

fn offset(bytes: u64) -> Offset {
    Offset::new(i64::try_from(bytes).unwrap())
}

pub(crate) fn appends_while_syncing() {
    let log = Log::new();
    let writer = thread::spawn({
        let log = Arc::clone(&log);
        move || {
            log.append(1);
            log.append(2);
        }
    });
    log.flush();
    log.assert_synced_is_on_the_disk();
    writer.join().unwrap();
    // Whatever happened so far, the flusher has been told of what is left.
    log.flush();
    log.assert_synced_is_on_the_disk();
    assert_eq!(log.ends.synced_end(), offset(2), "an append was forgotten");
    // What is announced now is news: nothing was left.
    let was_clean = log.announced.raise(Level::Later);
    assert!(was_clean && !log.extent.is_dirty(), "an append was forgotten");
    assert_eq!(*log.pins.lock().unwrap(), 0, "the file stays pinned for ever");
}

pub(crate) fn cut_while_syncing() {
    let log = Log::new();
    log.append(2);
    let cutter = thread::spawn({
        let log = Arc::clone(&log);
        move || {
            // The second record is cut off and another one takes its place.
            log.ends.begin_cut(offset(1));
            *log.cache.lock().unwrap() = (1, 1);
            log.ends.publish(offset(1));
            log.ends.end_cut();
            *log.cache.lock().unwrap() = (1, 2);
            log.ends.publish(offset(2));
        }
    });
    log.sync();
    cutter.join().unwrap();
    let (generation, bytes) = *log.disk.lock().unwrap();
    let synced = log.ends.synced_end();
    let whole = generation == 1 && offset(bytes) >= synced;
    assert!(synced <= offset(1) || whole, "a record counts as synced that is not on the disk");
}

pub(crate) fn names_while_syncing() {
    let names = Arc::new(Names::default());
    let (folder, disk) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
    let writer = thread::spawn({
        let (names, folder) = (Arc::clone(&names), Arc::clone(&folder));
        move || {
            for _ in 0..2 {
                *folder.lock().unwrap() += 1;
                names.changed();
            }
        }
    });
    let sync = || {
        names.sync(|| {
            let cached = *folder.lock().unwrap();
            *disk.lock().unwrap() = cached;
            Ok(())
        })
    };
    sync().unwrap();
    writer.join().unwrap();
    let is_synced = *disk.lock().unwrap() == *folder.lock().unwrap();
    assert!(names.are_dirty() || is_synced, "a name counts as synced that is not on the disk");
    sync().unwrap();
    assert!(!names.are_dirty());
    assert_eq!(*disk.lock().unwrap(), 2);
}

pub(crate) fn names_of_a_failed_sync() {
    let names = Arc::new(Names::default());
    names.changed();
    let writer = thread::spawn({
        let names = Arc::clone(&names);
        move || names.changed()
    });
    let failed = names.sync(|| {
        assert!(names.are_dirty(), "the sync is still under way");
        Err(io::ErrorKind::StorageFull.into())
    });
    assert!(failed.is_err() && names.are_dirty());
    writer.join().unwrap();
    assert!(names.are_dirty());
}
