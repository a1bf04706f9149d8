//! One flipped bit in each of many partitions: found by `log verify`, by the scrub of a running broker or by the reader's
//! checksum, told with the next good offset, and never read as if it were right; everything else is served on.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use fastrand::Rng;
use thalweg_client::{Client, ConsumeError, OnCorrupt, StartAt};
use tokio::time::timeout;

use crate::support::{Broker, DEADLINE, number, run, say, thalweg};
use crate::traffic::{Ledger, client, create, holds, patient, publish, publish_many, runtime};

const TOPIC: &str = "flipped";

/// Partitions, each with one flipped bit; times `N`.
const PARTITIONS: u64 = 24;

const RECORDS: usize = 150;

/// Head of a batch, and what of it the checksum covers.
const BATCH_HEAD: u64 = 61;

/// Where a bit flips.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    ClosedBody,
    ClosedHead,
    ActiveBody,
    ActiveHead,
    OffsetIndex,
    TimeIndex,
}

impl Place {
    const ALL: [Self; 6] = [
        Self::ClosedBody,
        Self::ClosedHead,
        Self::ActiveBody,
        Self::ActiveHead,
        Self::OffsetIndex,
        Self::TimeIndex,
    ];

    const fn is_in_log(self) -> bool {
        !matches!(self, Self::OffsetIndex | Self::TimeIndex)
    }
}

/// A partition's files with this ending, the oldest first.
fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|it| it == end)).collect();
    files.sort();
    files
}

/// The folders of the topic's partitions, by their number.
fn folders(data: &Path) -> BTreeMap<i32, PathBuf> {
    let entries = std::fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
    let numbered = |path: PathBuf| {
        let (_, number) = path.file_name()?.to_str()?.rsplit_once('-')?;
        let number = number.parse().ok()?;
        (!files(&path, "log").is_empty()).then_some((number, path))
    };
    entries.filter(|path| path.is_dir()).filter_map(numbered).collect()
}

/// Flips one bit; says where.
fn flip(folder: &Path, place: Place, rng: &mut Rng) -> String {
    let end = match place {
        Place::OffsetIndex => "index",
        Place::TimeIndex => "timeindex",
        _ => "log",
    };
    let files = files(folder, end);
    assert!(files.len() > 2, "vacuous: {} has {} segments", folder.display(), files.len());
    let at = match place {
        Place::ActiveBody | Place::ActiveHead => files.len() - 1,
        _ => rng.usize(0..files.len() - 1),
    };
    let path = &files[at];
    let bytes = std::fs::read(path).unwrap();
    assert!(!bytes.is_empty(), "vacuous: {} is empty", path.display());
    let position = match place {
        Place::ClosedHead | Place::ActiveHead => batch_at(&bytes, rng) + rng.u64(0..BATCH_HEAD),
        Place::ClosedBody | Place::ActiveBody => {
            let start = batch_at(&bytes, rng);
            let length = u64::try_from(bytes.len()).unwrap() - start - BATCH_HEAD;
            start + BATCH_HEAD + rng.u64(0..length)
        }
        _ => rng.u64(0..u64::try_from(bytes.len()).unwrap()),
    };
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, position).unwrap();
    let bit = rng.u8(0..8);
    file.write_all_at(&[byte[0] ^ 1 << bit], position).unwrap();
    format!("bit {bit} of byte {position} of {}", path.display())
}

/// Where one of a segment's batches begins.
fn batch_at(bytes: &[u8], rng: &mut Rng) -> u64 {
    let (mut starts, mut at) = (Vec::new(), 0);
    while let Some(head) = bytes.get(at..at + 61) {
        let length = u32::from_be_bytes([head[8], head[9], head[10], head[11]]);
        if length == 0 {
            break;
        }
        starts.push(u64::try_from(at).unwrap());
        at += 12 + usize::try_from(length).unwrap();
    }
    *rng.choice(&starts).unwrap()
}

/// What reading one partition gives: the records, and the first error.
async fn read(
    client: &Client,
    partition: i32,
    policy: OnCorrupt,
) -> (Ledger, Option<ConsumeError>) {
    let builder = client.consumer().assign([(TOPIC, partition, StartAt::Earliest)]).stop_at_end();
    let mut consumer = builder.on_corrupt(policy).build().await.unwrap();
    let mut found = Ledger::new();
    while let Some(record) =
        timeout(DEADLINE, consumer.next()).await.expect("the read stands still")
    {
        match record {
            Ok(record) => {
                let at = (record.partition.get(), record.offset.get());
                found.insert(at, record.value.unwrap().to_vec());
            }
            Err(error) => return (found, Some(error)),
        }
    }
    (found, None)
}

fn partition_of(ledger: &Ledger, partition: i32) -> Ledger {
    let ours = ledger.iter().filter(|((of, _), _)| *of == partition);
    ours.map(|(at, value)| (*at, value.clone())).collect()
}

/// A broker with a filled topic, and what was acknowledged.
fn filled(data: &Path, partitions: i32) -> (Broker, Ledger) {
    let broker = Broker::start_set(data, SETTINGS, &[]);
    let mut ledger = Ledger::new();
    runtime().block_on(async {
        let client = client(&broker);
        let configs = [
            ("segment.bytes", "32768"),
            ("max.message.bytes", "8192"),
            ("index.interval.bytes", "4096"),
        ];
        create(&client, TOPIC, partitions, &configs).await;
        for partition in 0..partitions {
            publish_many(&client, TOPIC, partition, RECORDS, 800, &mut ledger).await;
        }
    });
    (broker, ledger)
}

/// Often enough to be seen, and without a brake.
const SETTINGS: &[&str] =
    &["storage.scrub_interval_ms=200ms", "storage.scrub_bytes_per_second=1GiB"];

#[test]
fn flipped_bits_are_found_and_never_read_as_if_they_were_right() {
    let temp = tempfile::tempdir().unwrap();
    let data = temp.path().join("data");
    let partitions = i32::try_from(PARTITIONS * number("N").unwrap_or(1)).unwrap();
    let (mut broker, ledger) = filled(&data, partitions);
    assert_eq!(broker.stop(), 0);
    let mut rng = Rng::with_seed(number("SEED").unwrap_or(1));
    let mut flips = BTreeMap::new();
    for (partition, folder) in folders(&data) {
        let place = Place::ALL[usize::try_from(partition).unwrap() % Place::ALL.len()];
        flips.insert(partition, (place, flip(&folder, place, &mut rng)));
    }
    assert_eq!(flips.len(), usize::try_from(partitions).unwrap(), "vacuous");
    let verified = run(thalweg().args(["log", "verify"]).arg(&data), b"");
    assert_eq!(verified.code, 1, "log verify found nothing: {verified:?}");

    let broker = Broker::start_set(&data, SETTINGS, &[]);
    let runtime = runtime();
    let mut tally = BTreeMap::<Place, [usize; 3]>::new();
    runtime.block_on(async {
        let client = client(&broker);
        for (partition, (place, told)) in &flips {
            let ours = partition_of(&ledger, *partition);
            let (_, error) = read(&client, *partition, OnCorrupt::Fail).await;
            let (found, second) = read(&client, *partition, OnCorrupt::Skip).await;
            assert!(second.is_none(), "{told}: {second:?}");
            for (at, value) in &found {
                assert_eq!(ours.get(at), Some(value), "{told}: {at:?} was read wrong");
            }
            let is_whole = found == ours;
            assert!(is_whole || error.is_some(), "{told}: records are missing, and nobody says so");
            if !place.is_in_log() {
                assert!(is_whole, "{told}: an index decides what is read");
            }
            // What lies in front of the damage is there in any case, and the log takes records.
            let file = told.rsplit('/').next().unwrap();
            if *place != Place::ClosedHead && place.is_in_log() {
                assert!(!found.is_empty() && verified.stdout.contains(file), "{told} is not told");
            }
            let row = tally.entry(*place).or_default();
            row[0] += 1;
            row[1] += usize::from(error.is_some());
            row[2] += ours.len() - found.len();
        }
        let producer = patient(&client).await;
        let mut after = Ledger::new();
        for partition in flips.keys() {
            publish(&producer, TOPIC, *partition, b"after", &mut after).await.unwrap();
        }
    });
    let in_log = flips.iter().filter(|(_, (place, _))| place.is_in_log());
    for (_, (_, told)) in in_log {
        let (folder, _) = told.rsplit_once('/').unwrap();
        let folder = folder.rsplit('/').next().unwrap();
        let is_told = |line: &str| line.contains(folder);
        assert!(
            verified.stdout.lines().any(is_told),
            "log verify misses {told}: {}",
            verified.stdout
        );
    }
    for (place, [flipped, told, lost]) in tally {
        say(&format!(
            "FAULTS flipped bits: {place:?}: {flipped} flipped, {told} told to the reader, {lost} records not readable, none wrong"
        ));
    }
}

#[test]
fn bits_that_flip_under_a_running_broker_are_found_by_the_scrub() {
    let temp = tempfile::tempdir().unwrap();
    let data = temp.path().join("data");
    let (broker, ledger) = filled(&data, 6);
    let mut rng = Rng::with_seed(number("SEED").unwrap_or(1));
    let mut told = Vec::new();
    for (partition, folder) in folders(&data) {
        if partition < 3 {
            told.push(flip(&folder, Place::ClosedBody, &mut rng));
        }
    }
    let metrics = broker.metrics_until("the scrub finds all", |now| {
        now.sum("thalweg_corrupt_ranges_total", "") >= 3.0
    });
    assert!(metrics.sum("thalweg_corrupt_ranges_total", "") < 4.0, "it found more than there is");
    runtime().block_on(async {
        let client = client(&broker);
        for partition in 0..6 {
            let ours = partition_of(&ledger, partition);
            let (found, error) = read(&client, partition, OnCorrupt::Fail).await;
            if partition < 3 {
                assert!(
                    matches!(&error, Some(ConsumeError::Corrupt { .. })),
                    "{partition}: {error:?}; {told:?}"
                );
                holds(&ours, &found);
            } else {
                assert!(error.is_none() && found == ours, "{partition}: {error:?}");
            }
        }
    });
    say(
        "FAULTS flipped bits under a running broker: 3 flipped, 3 found by the scrub and told to the reader",
    );
}
