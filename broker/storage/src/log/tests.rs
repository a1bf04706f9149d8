use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use thalweg_protocol::batch::{
    Batch, BatchBuilder, BatchReader, Compression, NO_HEADERS, TimestampType,
};
use thalweg_protocol::{
    BrokerId, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence,
    TimestampMs, TopicId, TopicPartition,
};

use crate::fs::FileSystem;
use crate::fs::sim::{Crash, SimDisk, Survivors};
use crate::*;

mod ahead;
mod cold;
mod cuts;
mod quiet;
mod scrub;

const NOW: TimestampMs = TimestampMs::new(1_700_000_000_000);

/// One log on a simulated disk.
struct Fixture {
    disk: SimDisk,
    dir: Arc<LogDir>,
    files: Arc<OpenFiles>,
    options: LogOptions,
    log: Option<Log>,
}

fn partition() -> TopicPartition {
    TopicPartition::new(TopicId::from_bytes([7; 16]), PartitionIndex::new(3))
}

fn offset(number: i64) -> Offset {
    Offset::new(number)
}

fn open_dir(disk: &SimDisk, files: &Arc<OpenFiles>) -> Arc<LogDir> {
    let owner = Owner { node: BrokerId::new(1), cluster: None };
    let options =
        LogDirOptions { free_bytes_min: 0, reserve_bytes: 0, open_files: Arc::clone(files) };
    LogDir::open(Arc::new(disk.clone()), Path::new("/data"), &owner, options).unwrap()
}

impl Fixture {
    fn new() -> Self {
        Self::with(LogOptions { segment_bytes: 10_000, ..LogOptions::default() })
    }

    fn with(options: LogOptions) -> Self {
        let disk = SimDisk::new(1);
        let files = OpenFiles::new(4);
        let dir = open_dir(&disk, &files);
        let metadata = PartitionMetadata { topic: partition().topic, name: "events".to_owned() };
        let log = Log::create(&dir, partition(), &metadata, options.clone(), NOW).unwrap();
        Self { disk, dir, files, options, log: Some(log) }
    }

    fn log(&mut self) -> &mut Log {
        self.log.as_mut().unwrap()
    }

    fn reader(&self) -> LogReader {
        self.log.as_ref().unwrap().reader()
    }

    fn append(&mut self, records: i32) -> Appended {
        self.log().append(&batch(records, 100), LeaderEpoch::FIRST, NOW).unwrap()
    }

    /// Ends the process as it is and opens the log again, believing `recovery_point`.
    fn reopen(&mut self, recovery_point: i64) -> RecoveryReport {
        self.restart(recovery_point, SimDisk::kill)
    }

    fn restart(&mut self, recovery_point: i64, end: impl Fn(&SimDisk)) -> RecoveryReport {
        let log_start = self.reader().log_start();
        self.log = None;
        // The directory's lock goes with the process.
        let Self { disk, files, .. } = self;
        end(disk);
        self.dir = open_dir(disk, files);
        let believed = Believed {
            recovery_point: offset(recovery_point),
            clean: false,
            log_start,
            last_appends: Vec::new(),
        };
        let options = self.options.clone();
        let (log, report) =
            Log::open_believing(&self.dir, partition(), options, &believed, NOW).unwrap();
        self.log = Some(log);
        report
    }

    fn path(&self, base: i64, kind: FileKind) -> std::path::PathBuf {
        FileName::new(offset(base), kind).path(&self.dir.folder(partition()))
    }

    fn read(&self, from: i64) -> Result<Bytes, ReadError> {
        let reader = self.reader();
        Ok(reader.read(offset(from), usize::MAX, reader.log_end(), true)?.into_bytes())
    }

    /// Base offsets of all batches that can be read, one read after the other.
    fn bases(&self) -> Vec<i64> {
        let reader = self.reader();
        let mut at = reader.log_start();
        let mut bases = Vec::new();
        while at < reader.log_end() {
            let read = reader.read(at, 1_000, reader.log_end(), true).unwrap();
            let batches = BatchReader::new(read.bytes().clone());
            bases.extend(batches.map(|batch| batch.unwrap().header.base_offset.get()));
            at = read.next();
        }
        bases
    }
}

fn batch(records: i32, value_bytes: usize) -> CheckedBatch {
    sequenced(records, value_bytes, ProducerId::NONE, ProducerEpoch::NONE, Sequence::NONE)
}

fn sequenced(
    records: i32,
    value_bytes: usize,
    producer: ProducerId,
    epoch: ProducerEpoch,
    sequence: Sequence,
) -> CheckedBatch {
    let mut builder = BatchBuilder::new(Compression::None, 1 << 20);
    for _ in 0..records {
        let value = vec![7; value_bytes];
        builder.try_append(NOW, None, Some(&value), NO_HEADERS).unwrap();
    }
    let bytes = builder.build(producer, epoch, sequence);
    CheckedBatch::new(Batch::decode(&bytes).unwrap().header, bytes)
}

#[test]
fn an_append_answers_with_offsets_and_is_read_back() {
    let mut it = Fixture::new();
    assert_eq!(it.append(3).base_offset, offset(0));
    let second = it.append(2);
    assert_eq!((second.base_offset, second.last_offset), (offset(3), offset(4)));
    assert_eq!(it.bases(), [0, 3]);
    assert_eq!(it.reader().synced_end(), offset(0));
    assert_eq!(it.reader().sync().unwrap(), offset(5));
    assert_eq!(it.reader().synced_end(), offset(5));
}

#[test]
fn a_full_disk_refuses_the_append_and_leaves_the_log_as_it_was() {
    let mut it = Fixture::with(LogOptions { preallocate: false, ..LogOptions::default() });
    it.append(3);
    it.reader().sync().unwrap();
    it.disk.set_capacity(Some(it.disk.used_bytes()));
    let error = it.log().append(&batch(20, 1000), LeaderEpoch::FIRST, NOW).unwrap_err();
    assert!(matches!(error, AppendError::StorageFull { at, .. } if at == offset(3)), "{error}");
    assert_eq!(it.bases(), [0]);
    let again = it.log().append(&batch(1, 1), LeaderEpoch::FIRST, NOW).unwrap_err();
    assert!(matches!(again, AppendError::Refused(DirRefusal::StorageFull { .. })), "{again}");
    it.disk.set_capacity(None);
    it.dir.check_space();
    assert_eq!(it.append(2).base_offset, offset(3));
    it.reader().sync().unwrap();
    // Nothing of the batch that failed is left behind the tail.
    let report = it.restart(5, |disk| disk.crash(Crash::seeded(1).leaving(Survivors::Nothing)));
    assert_eq!((report.cut_bytes, it.bases()), (0, vec![0, 3]));
}

#[test]
fn a_failed_write_takes_the_directory_offline_and_reads_stop_at_the_synced_end() {
    let mut it = Fixture::new();
    it.append(3);
    it.reader().sync().unwrap();
    it.append(2);
    it.disk.fail_write(1);
    let error = it.log().append(&batch(1, 1), LeaderEpoch::FIRST, NOW).unwrap_err();
    assert!(matches!(error, AppendError::Offline { .. }), "{error}");
    assert!(matches!(it.dir.state(), DirState::Offline { .. }));
    let read = it.reader().read(offset(0), usize::MAX, offset(99), true).unwrap();
    assert_eq!(read.next(), offset(3));
    let refused = it.log().append(&batch(1, 1), LeaderEpoch::FIRST, NOW).unwrap_err();
    assert_eq!(refused.code(), thalweg_protocol::ErrorCode::StorageOffline);
}

#[test]
fn a_failed_sync_publishes_nothing_and_takes_the_directory_offline() {
    let mut it = Fixture::new();
    it.append(3);
    it.disk.fail_sync(1);
    it.reader().sync().unwrap_err();
    assert_eq!(it.reader().synced_end(), offset(0));
    assert!(it.dir.is_offline());
}

#[test]
fn a_sync_publishes_the_end_that_was_there_when_it_began() {
    let mut it = Fixture::new();
    it.append(3);
    let reader = it.reader();
    let log = Arc::new(Mutex::new(it.log.take().unwrap()));
    let (disk, writer) = (it.disk.clone(), Arc::clone(&log));
    it.disk.during_sync(move || {
        disk.clear_hook();
        writer.lock().unwrap().append(&batch(2, 10), LeaderEpoch::FIRST, NOW).unwrap();
    });
    assert_eq!(reader.sync().unwrap(), offset(3));
    assert_eq!((reader.synced_end(), reader.log_end()), (offset(3), offset(5)));
    assert!(reader.is_dirty());
    assert_eq!(reader.sync().unwrap(), offset(5));
}

#[test]
fn a_sync_that_a_cut_overtakes_publishes_nothing() {
    let mut it = Fixture::new();
    it.append(3);
    it.append(3);
    let reader = it.reader();
    let log = Arc::new(Mutex::new(it.log.take().unwrap()));
    let (disk, writer) = (it.disk.clone(), Arc::clone(&log));
    it.disk.during_sync(move || {
        disk.clear_hook();
        let mut log = writer.lock().unwrap();
        log.truncate(offset(3), NOW).unwrap();
        log.append(&batch(9, 10), LeaderEpoch::new(1), NOW).unwrap();
    });
    reader.sync().unwrap();
    assert_eq!(reader.log_end(), offset(12));
    assert!(reader.synced_end() <= offset(3), "other batches lie at these offsets now");
    assert_eq!(reader.sync().unwrap(), offset(12));
}

#[test]
fn segments_deleted_during_a_sync_are_no_failure() {
    let mut it = Fixture::new();
    it.append(3);
    it.log().roll().unwrap();
    it.append(3);
    let reader = it.reader();
    let log = Arc::new(Mutex::new(it.log.take().unwrap()));
    let (disk, writer) = (it.disk.clone(), Arc::clone(&log));
    it.disk.during_sync(move || {
        disk.clear_hook();
        writer.lock().unwrap().delete_below(offset(3)).unwrap();
    });
    assert_eq!(reader.sync().unwrap(), offset(6));
    assert_eq!((reader.log_start(), reader.segment_count()), (offset(3), 1));
}

#[test]
fn a_torn_tail_is_cut_and_kept_aside() {
    let mut it = Fixture::new();
    it.append(3);
    it.append(2);
    let file = it.disk.open(&it.path(0, FileKind::Log)).unwrap();
    let good = file.length().unwrap();
    file.write_at(good, &[&[9; 500]]).unwrap();
    let report = it.reopen(3);
    assert_eq!((report.cut_bytes, report.may_have_lost_suffix), (500, false));
    assert_eq!((report.kept_batches, it.bases()), (1, vec![0, 3]));
    assert_eq!(it.disk.read_small(&it.path(5, FileKind::Cut), 1000).unwrap(), [9; 500]);
    assert_eq!(it.append(1).base_offset, offset(5));
}

#[test]
fn good_batches_behind_a_hole_mark_the_replica() {
    let mut it = Fixture::new();
    it.append(3);
    let hole = it.disk.open(&it.path(0, FileKind::Log)).unwrap().length().unwrap();
    it.append(2);
    it.append(4);
    it.disk.flip_bit(&it.path(0, FileKind::Log), usize::try_from(hole).unwrap() + 80, 1).unwrap();
    let report = it.reopen(3);
    assert!(report.may_have_lost_suffix && report.cut_bytes > 0, "{report:?}");
    assert_eq!((it.bases(), it.reader().log_end()), (vec![0], offset(3)));
}

#[test]
fn a_kept_tail_is_written_again_because_a_failed_sync_leaves_pages_that_look_clean() {
    let mut it = Fixture::new();
    it.append(3);
    it.reader().sync().unwrap();
    it.append(2);
    it.disk.fail_sync(1);
    it.reader().sync().unwrap_err();
    it.reopen(3);
    // What the page cache still showed was kept, so it must be on the disk now.
    let end = it.reader().log_end();
    let bases = it.bases();
    it.restart(3, |disk| disk.crash(Crash::seeded(1).leaving(Survivors::Nothing)));
    assert_eq!((it.reader().log_end(), it.bases()), (end, bases));
}

#[test]
fn damage_below_the_recovery_point_is_quarantined_and_never_cut() {
    let mut it = Fixture::new();
    for _ in 0..4 {
        it.append(3);
    }
    let batch_bytes = it.reader().bytes_on_disk() / 4;
    // The length field of the second batch: the walk loses its way.
    let at = usize::try_from(batch_bytes).unwrap() + 9;
    it.disk.flip_bit(&it.path(0, FileKind::Log), at, 6).unwrap();
    let report = it.reopen(12);
    let range = BadRange { from: offset(3), next_good: offset(6) };
    assert_eq!((report.bad_ranges, report.cut_bytes), (vec![range], 0));
    assert_eq!(it.reader().log_end(), offset(12));
    let error = it.read(4).unwrap_err();
    assert!(
        matches!(error, ReadError::Corrupt { next_good, .. } if next_good == offset(6)),
        "{error}"
    );
    assert_eq!(it.read(7).unwrap().len(), usize::try_from(batch_bytes * 2).unwrap());
    let before = it.read(0).unwrap();
    assert_eq!(before.len(), usize::try_from(batch_bytes).unwrap(), "a read ends before damage");
    assert_eq!(it.append(1).base_offset, offset(12));
}

#[test]
fn damage_that_a_read_meets_is_remembered() {
    let mut it = Fixture::new();
    for _ in 0..4 {
        it.append(3);
    }
    let batch_bytes = usize::try_from(it.reader().bytes_on_disk() / 4).unwrap();
    it.disk.flip_bit(&it.path(0, FileKind::Log), batch_bytes + 16, 3).unwrap();
    assert!(it.reader().bad_ranges().is_empty());
    assert!(matches!(it.read(3), Err(ReadError::Corrupt { .. })));
    let range = BadRange { from: offset(3), next_good: offset(6) };
    assert_eq!(it.reader().bad_ranges(), [range]);
    assert!(it.read(6).is_ok());
}

/// Found by changed golden files: the header says that the batch goes on beyond the end of the log, so that all of it was
/// never committed, and a reader was told again and again that there is nothing yet.
#[test]
fn a_batch_that_claims_offsets_of_others_keeps_no_reader_waiting() {
    const LAST_OFFSET_DELTA: usize = 23;
    let mut it = Fixture::new();
    for _ in 0..4 {
        it.append(3);
    }
    let batch_bytes = usize::try_from(it.reader().bytes_on_disk() / 4).unwrap();
    it.disk.flip_bit(&it.path(0, FileKind::Log), batch_bytes + LAST_OFFSET_DELTA + 1, 3).unwrap();
    for from in [3, 4] {
        let error = it.read(from).unwrap_err();
        assert!(
            matches!(error, ReadError::Corrupt { next_good, .. } if next_good == offset(6)),
            "{error}"
        );
    }
    assert_eq!(it.reader().bad_ranges(), [BadRange { from: offset(3), next_good: offset(6) }]);
    assert_eq!(it.read(0).unwrap().len(), batch_bytes);
    assert_eq!(it.read(7).unwrap().len(), 2 * batch_bytes);
}

/// The same with a checksum that fits, as no damage leaves it.
#[test]
fn a_batch_that_was_written_too_long_keeps_no_reader_waiting() {
    let mut it = Fixture::new();
    for _ in 0..4 {
        it.append(3);
    }
    let position = it.reader().bytes_on_disk() / 4;
    let file = it.disk.open(&it.path(0, FileKind::Log)).unwrap();
    let mut batch = vec![0; usize::try_from(position).unwrap()];
    file.read_at(position, &mut batch).unwrap();
    batch[23..27].copy_from_slice(&1_000_i32.to_be_bytes());
    let crc = thalweg_protocol::batch::checksum(&batch);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    file.write_at(position, &[&batch]).unwrap();
    let error = it.read(4).unwrap_err();
    assert!(
        matches!(error, ReadError::Corrupt { next_good, .. } if next_good == offset(12)),
        "{error}"
    );
}

/// The same, asked for what lies behind it first.
#[test]
fn what_lies_behind_a_batch_that_claims_too_much_is_read() {
    let mut it = Fixture::new();
    for _ in 0..4 {
        it.append(3);
    }
    let batch_bytes = usize::try_from(it.reader().bytes_on_disk() / 4).unwrap();
    it.disk.flip_bit(&it.path(0, FileKind::Log), batch_bytes + 24, 3).unwrap();
    assert_eq!(it.read(7).unwrap().len(), 2 * batch_bytes);
    assert!(matches!(it.read(4), Err(ReadError::Corrupt { .. })));
}

#[test]
fn offsets_that_were_given_out_are_never_given_out_again() {
    let mut it = Fixture::new();
    it.append(3);
    it.append(3);
    let file = it.disk.open(&it.path(0, FileKind::Log)).unwrap();
    file.set_length(file.length().unwrap() - 1).unwrap();
    let report = it.reopen(6);
    let range = BadRange { from: offset(3), next_good: offset(6) };
    assert_eq!((report.bad_ranges, report.cut_bytes), (vec![range], 0));
    assert_eq!(it.append(1).base_offset, offset(6));
    assert!(matches!(it.read(3), Err(ReadError::Corrupt { .. })));
    assert_eq!(it.reopen(7).bad_ranges, [range], "and the next start finds the same");
}

#[test]
fn a_folder_whose_segments_were_taken_away_is_an_error() {
    let mut it = Fixture::new();
    it.append(3);
    it.log = None;
    it.disk.remove(&it.path(0, FileKind::Log)).unwrap();
    let believed = Believed {
        recovery_point: offset(3),
        clean: false,
        log_start: offset(0),
        last_appends: Vec::new(),
    };
    let opened = Log::open_believing(&it.dir, partition(), it.options.clone(), &believed, NOW);
    assert!(matches!(opened, Err(LogError::Emptied { .. })), "{opened:?}");
}

#[test]
fn a_missing_folder_is_an_error() {
    let it = Fixture::new();
    let other = TopicPartition::new(partition().topic, PartitionIndex::new(4));
    let error = Log::open(&it.dir, other, LogOptions::default(), NOW).unwrap_err();
    assert!(matches!(error, LogError::Folder(FolderError::Missing { .. })), "{error}");
}

#[test]
fn a_folder_of_another_topic_is_refused() {
    let mut it = Fixture::new();
    it.log = None;
    let path = it.dir.folder(partition()).join(METADATA_FILE);
    let topic = TopicId::from_bytes([8; 16]);
    let other = PartitionMetadata { topic, name: String::new() };
    checkpoint::replace_file(&it.disk, &path, other.encode().as_bytes()).unwrap();
    let error = Log::open(&it.dir, partition(), LogOptions::default(), NOW).unwrap_err();
    assert!(error.to_string().contains("belongs to topic 08080808"), "{error}");
}

#[test]
fn log_append_time_stamps_the_batch_and_its_checksum() {
    let options =
        LogOptions { timestamp_type: TimestampType::LogAppendTime, ..LogOptions::default() };
    let mut it = Fixture::with(options);
    let at = NOW.plus(77);
    let appended = it.log().append(&batch(2, 10), LeaderEpoch::new(5), at).unwrap();
    assert_eq!(appended.log_append_time, Some(at));
    let stored = Batch::decode(&it.read(0).unwrap()).unwrap();
    stored.verify_checksum().unwrap();
    assert_eq!(stored.header.max_timestamp, at);
    assert_eq!(stored.header.leader_epoch, LeaderEpoch::new(5));
    let records = stored.records().unwrap();
    assert!(records.iter().all(|record| record.unwrap().timestamp == at));
}

#[test]
fn an_older_leader_epoch_is_refused_and_nothing_is_written() {
    let mut it = Fixture::new();
    it.log().append(&batch(2, 10), LeaderEpoch::new(5), NOW).unwrap();
    let error = it.log().append(&batch(2, 10), LeaderEpoch::new(4), NOW).unwrap_err();
    assert_eq!(error.code(), thalweg_protocol::ErrorCode::FencedLeaderEpoch);
    assert_eq!(it.bases(), [0]);
    assert_eq!(it.reader().latest_epoch(), Some(LeaderEpoch::new(5)));
}

#[test]
fn a_restart_knows_what_idempotent_producers_have_written() {
    let mut it = Fixture::new();
    let (producer, epoch) = (ProducerId::new(9), ProducerEpoch::new(0));
    let first = sequenced(3, 10, producer, epoch, Sequence::FIRST);
    let second = sequenced(2, 10, producer, epoch, Sequence::new(3));
    it.log().append(&first, LeaderEpoch::FIRST, NOW).unwrap();
    it.log().roll().unwrap();
    it.log().append(&second, LeaderEpoch::FIRST, NOW).unwrap();
    it.reopen(0);
    for (batch, base) in [(&first, 0), (&second, 3)] {
        let again = it.log().append(batch, LeaderEpoch::FIRST, NOW).unwrap();
        assert_eq!((again.duplicate, again.base_offset), (true, offset(base)));
    }
    let gap = sequenced(1, 10, producer, epoch, Sequence::new(6));
    let error = it.log().append(&gap, LeaderEpoch::FIRST, NOW).unwrap_err();
    assert!(matches!(error, AppendError::Sequence(SequenceError::OutOfOrder { .. })), "{error}");
}

#[test]
fn a_restart_forgets_the_same_producer_as_the_life_before() {
    let mut it = Fixture::with(LogOptions { producers_max: 2, ..LogOptions::default() });
    let epoch = ProducerEpoch::new(0);
    let later = NOW.plus(PRODUCER_KEPT_MS);
    for (producer, now) in [(7, NOW), (8, NOW), (9, later)] {
        let batch = sequenced(1, 10, ProducerId::new(producer), epoch, Sequence::FIRST);
        it.log().append(&batch, LeaderEpoch::FIRST, now).unwrap();
    }
    for life in ["the first", "the second"] {
        let known = [7, 8, 9].map(|id| it.log().producers().batches(ProducerId::new(id)).is_some());
        assert_eq!(known, [false, true, true], "{life} life");
        it.reopen(0);
    }
    let next = sequenced(1, 10, ProducerId::new(7), epoch, Sequence::new(1));
    let error = it.log().append(&next, LeaderEpoch::FIRST, later).unwrap_err();
    assert!(
        matches!(error, AppendError::Sequence(SequenceError::UnknownProducer { .. })),
        "{error}"
    );
}

#[test]
fn a_lost_epoch_file_is_told_again_by_the_batches() {
    let mut it = Fixture::new();
    for epoch in [0, 0, 3, 4] {
        it.log().append(&batch(2, 10), LeaderEpoch::new(epoch), NOW).unwrap();
    }
    it.reader().sync().unwrap();
    let epochs = it.reader().epochs();
    assert_eq!(epochs.entries().len(), 3);
    let path = it.dir.folder(partition()).join(EPOCH_FILE);
    let file = it.disk.read_small(&path, 1000).unwrap();
    for text in [None, Some(b"".as_slice()), Some(b"garbage")] {
        match text {
            Some(text) => checkpoint::replace_file(&it.disk, &path, text).unwrap(),
            None => it.disk.remove(&path).unwrap(),
        }
        it.reopen(8);
        assert_eq!(it.reader().epochs(), epochs);
        assert_eq!(it.disk.read_small(&path, 1000).unwrap(), file);
    }
}

#[test]
fn a_leader_epoch_that_is_not_that_of_its_offset_is_damage() {
    let mut it = Fixture::new();
    for _ in 0..4 {
        it.append(3);
    }
    it.reader().sync().unwrap();
    let batch_bytes = usize::try_from(it.reader().bytes_on_disk() / 4).unwrap();
    // No checksum covers the epoch: once where a restart looks, once where only a read does.
    it.disk.flip_bit(&it.path(0, FileKind::Log), 12, 2).unwrap();
    let range = BadRange { from: offset(0), next_good: offset(3) };
    assert!(matches!(it.read(0), Err(ReadError::Corrupt { .. })));
    assert_eq!(it.reader().bad_ranges(), [range]);
    it.disk.flip_bit(&it.path(0, FileKind::Log), 3 * batch_bytes + 12, 2).unwrap();
    let report = it.reopen(12);
    let last = BadRange { from: offset(9), next_good: offset(12) };
    assert_eq!((report.bad_ranges, report.cut_bytes), (vec![range, last], 0));
    assert_eq!(it.reader().latest_epoch(), Some(LeaderEpoch::FIRST));
    assert_eq!(it.append(1).base_offset, offset(12));
}

#[test]
fn a_full_disk_does_not_stop_a_sync_for_the_sake_of_the_epochs() {
    let mut it = Fixture::with(LogOptions { preallocate: false, ..LogOptions::default() });
    it.append(3);
    it.reader().sync().unwrap();
    it.log().append(&batch(2, 10), LeaderEpoch::new(1), NOW).unwrap();
    it.disk.set_capacity(Some(it.disk.used_bytes()));
    assert_eq!(it.reader().sync().unwrap(), offset(5));
    assert!(!it.dir.is_offline());
    let epochs = it.reader().epochs();
    it.disk.set_capacity(None);
    it.restart(5, |disk| disk.crash(Crash::seeded(1).leaving(Survivors::Nothing)));
    assert_eq!((it.reader().epochs(), it.bases()), (epochs, vec![0, 3]));
}

#[test]
fn indexes_are_what_the_dump_tool_insists_on() {
    let options = LogOptions { segment_bytes: 40_000, ..LogOptions::default() };
    let mut it = Fixture::with(options);
    for number in 0..300 {
        it.append(1 + number % 3);
    }
    let segments = it.reader().segment_count();
    assert!(segments > 1);
    let log = it.disk.read_small(&it.path(0, FileKind::Log), 1 << 20).unwrap();
    let batches = BatchReader::new(log.clone().into());
    let mut position = 0;
    let mut places = Vec::new();
    for batch in batches.map(Result::unwrap) {
        places.push((batch.header.last_offset().get(), position, batch.header.max_timestamp));
        position += batch.header.total_bytes();
    }
    assert_eq!(position, log.len(), "a closed segment holds batches and nothing else");
    let index = it.disk.read_small(&it.path(0, FileKind::OffsetIndex), 1 << 20).unwrap();
    assert!(index.len().is_multiple_of(8) && index.len() >= 8 * 5, "{}", index.len());
    for entry in index.chunks(8) {
        let last = i64::from(i32::from_be_bytes(entry[..4].try_into().unwrap()));
        let at = usize::try_from(i32::from_be_bytes(entry[4..].try_into().unwrap())).unwrap();
        assert!(places.iter().any(|place| (place.0, place.1) == (last, at)), "{last} at {at}");
    }
    let times = it.disk.read_small(&it.path(0, FileKind::TimeIndex), 1 << 20).unwrap();
    assert_eq!(times.len(), 12, "all records have one timestamp: it rises once");
    assert_eq!(times[..8], NOW.get().to_be_bytes());
}

#[test]
fn what_a_reader_holds_survives_deletion_and_cuts() {
    let mut it = Fixture::new();
    it.append(3);
    it.append(3);
    let held = it.read(0).unwrap();
    let copy = held.to_vec();
    it.log().truncate(offset(3), NOW).unwrap();
    it.log().append(&batch(5, 30), LeaderEpoch::new(1), NOW).unwrap();
    it.log().roll().unwrap();
    it.log().delete_below(offset(8)).unwrap();
    assert_eq!(it.reader().segment_count(), 1);
    assert_eq!(held, copy);
    assert!(matches!(it.read(0), Err(ReadError::OutOfRange { .. })));
}

#[test]
fn what_a_cut_left_in_its_file_is_gone_after_the_next_start() {
    let mut it = Fixture::new();
    it.append(3);
    it.append(3);
    it.log().truncate(offset(3), NOW).unwrap();
    it.log().append(&batch(5, 30), LeaderEpoch::new(1), NOW).unwrap();
    let length = |it: &Fixture| it.disk.open(&it.path(0, FileKind::Log)).unwrap().length().unwrap();
    let before = length(&it);
    let bases = it.bases();
    assert_eq!(bases, [0, 3]);
    let report = it.reopen(3);
    assert_eq!((report.cut_bytes, it.bases()), (0, bases));
    assert_eq!(length(&it), before / 2);
}

#[test]
fn a_quiet_log_keeps_nothing_open() {
    let mut it = Fixture::new();
    for _ in 0..10 {
        it.append(3);
        it.log().roll().unwrap();
    }
    assert!(it.files.counts().open > 4, "what is not synced stays open");
    it.reader().sync().unwrap();
    it.append(3);
    it.log().roll().unwrap();
    assert_eq!(it.bases().len(), 11);
    assert!(it.files.counts().open <= 4, "{:?}", it.files.counts());
    it.reader().sync().unwrap();
    it.reopen(33);
    assert_eq!(it.files.counts().open, 0);
}

#[test]
fn a_start_looks_at_the_tail_only_however_long_the_log_is() {
    for clean in [true, false] {
        let mut it = Fixture::with(LogOptions::default());
        for _ in 0..10_000 {
            it.append(3);
        }
        let end = it.reader().log_end();
        it.log.take().unwrap().close().unwrap();
        // Damage in the middle that any look at it would meet.
        let (file, mut position, mut spoilt) = (it.path(0, FileKind::Log), 0, 0);
        let bytes = it.disk.read_small(&file, usize::MAX).unwrap();
        while position < bytes.len() / 2 {
            spoilt = position;
            position += 12
                + usize::try_from(u32::from_be_bytes(
                    bytes[position + 8..position + 12].try_into().unwrap(),
                ))
                .unwrap();
        }
        it.disk.flip_bit(&file, spoilt + 16, 1).unwrap();
        let recovery_point = if clean { end } else { offset(29_000) };
        let believed =
            Believed { recovery_point, clean, log_start: offset(0), last_appends: Vec::new() };
        let opened = Log::open_believing(&it.dir, partition(), it.options.clone(), &believed, NOW);
        let (log, report) = opened.unwrap();
        assert_eq!((log.log_end(), report.bad_ranges), (end, vec![]), "clean: {clean}");
        assert_eq!(report.kept_batches == 0, clean);
        let below = offset(i64::MAX);
        let at = i64::from_be_bytes(bytes[spoilt..spoilt + 8].try_into().unwrap());
        let read = log.reader().read(offset(at), 100, below, true);
        assert!(matches!(read, Err(ReadError::Corrupt { .. })), "the damage was there: {read:?}");
    }
}
