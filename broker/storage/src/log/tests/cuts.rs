//! Cuts: what recovery puts aside does not pile up, and no sync brings back what was cut.

use super::*;

impl Fixture {
    /// The offsets in the names of what was put aside.
    fn cuts(&self) -> Vec<i64> {
        let listed = self.disk.list(&self.dir.folder(partition())).unwrap();
        let names = listed.iter().filter_map(|path| FileName::parse(path.file_name()?.to_str()?));
        names.filter(|name| name.kind == FileKind::Cut).map(|name| name.offset.get()).collect()
    }

    /// Ends the process with a torn batch behind the log end, and opens the log again.
    fn tear(&mut self) {
        let end = self.log().log_end().get();
        let file = self.disk.open(&self.path(0, FileKind::Log)).unwrap();
        file.write_at(file.length().unwrap(), &[&[9; 50]]).unwrap();
        let report = self.reopen(end);
        assert_eq!(report.cut_bytes, 50, "vacuous: nothing was cut");
    }
}

/// Found by `interleavings`: a sync that began after the cut had lowered the synced end, and before it had lowered the log
/// end, published the old end. Records that later took these offsets counted as synced before they were.
#[test]
fn a_sync_within_a_cut_publishes_nothing_of_what_is_cut() {
    let mut it = Fixture::new();
    for _ in 0..4 {
        it.append(1);
    }
    it.reader().sync().unwrap();
    let mark = RecoveryMark { partition: partition(), synced_end: offset(4), log_end: offset(4) };
    it.dir.write_recovery_points(|| [mark]).unwrap();
    // Meets the sync of the recovery point, the cut's first step.
    let (reader, disk) = (it.reader(), it.disk.clone());
    let met = Arc::new(Mutex::new(0));
    let count = Arc::clone(&met);
    it.disk.during_sync(move || {
        disk.clear_hook();
        *count.lock().unwrap() += 1;
        reader.sync().unwrap();
    });
    it.log().truncate(offset(2), NOW).unwrap();
    assert_eq!(*met.lock().unwrap(), 1, "vacuous: no sync met the cut");
    assert_eq!(it.reader().synced_end(), offset(2));
    it.append(1);
    assert_eq!(it.reader().synced_end(), offset(2), "nobody has synced the new record");
    assert_eq!(it.reader().sync().unwrap(), offset(3));
}

#[test]
fn only_the_newest_of_what_was_cut_off_stays() {
    let mut it = Fixture::with(LogOptions { preallocate: false, ..LogOptions::default() });
    for _ in 0..7 {
        it.append(1);
        it.tear();
    }
    assert_eq!(it.cuts(), [4, 5, 6, 7]);
}

#[test]
fn what_was_just_cut_off_stays_even_below_the_others() {
    let mut it = Fixture::with(LogOptions { preallocate: false, ..LogOptions::default() });
    for _ in 0..6 {
        it.append(1);
        it.tear();
    }
    // A leader has this replica cut its log, which makes a new segment; the old one is torn where it was sealed.
    it.log().reset(offset(0), NOW).unwrap();
    it.append(1);
    it.reader().sync().unwrap();
    it.tear();
    assert_eq!(it.cuts(), [1, 4, 5, 6]);
}

/// Found by random lives of a compacted log: the snapshot of batches that a power cut took came back with the next one,
/// when the log had grown past it again, and the retry of a record that was lost passed for its double.
#[test]
fn a_producer_snapshot_of_batches_that_were_cut_does_not_come_back() {
    let mut it = Fixture::new();
    let (epoch, one, other) = (ProducerEpoch::new(0), ProducerId::new(1), ProducerId::new(2));
    let append = |it: &mut Fixture, producer, sequence| {
        let batch = sequenced(3, 10, producer, epoch, Sequence::new(sequence));
        it.log().append(&batch, LeaderEpoch::FIRST, NOW).unwrap()
    };
    append(&mut it, one, 0);
    it.reader().sync().unwrap();
    append(&mut it, one, 3);
    it.log().snapshot_producers();
    // The snapshot reaches the disk on its own, the batch does not.
    let snapshot = it.path(6, FileKind::Snapshot);
    it.disk.open(&snapshot).unwrap().sync().unwrap();
    it.disk.sync_folder(&it.dir.folder(partition())).unwrap();
    let power_cut = |disk: &SimDisk| disk.crash(Crash::seeded(1).leaving(Survivors::Nothing));
    it.restart(3, power_cut);
    assert_eq!(it.log().log_end(), offset(3), "vacuous: nothing was cut");
    append(&mut it, other, 0);
    append(&mut it, other, 3);
    it.reader().sync().unwrap();
    it.restart(9, power_cut);
    assert!(!append(&mut it, one, 3).duplicate, "it was never acknowledged");
}
