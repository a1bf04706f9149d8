//! What a reader from the beginning costs a producer: of data that is in memory, and of data that is on the disk only.
//!
//! A file that a process has mapped stays in memory whatever is advised, so the broker is stopped before its files are put
//! out, and started again. That they are out is asked of the system (`fincore`), and what was then read from the
//! disk is counted by it, in `/proc/<pid>/io`. Figures, not assertions, but for these two.

use std::fmt;
use std::fs::File;
use std::ops::AddAssign;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Advice, fadvise};
use thalweg_client::{Client, StartAt};

use crate::good::{self, TARGET};
use crate::measure::{PART, Place, ROUNDS, Side, fill, is_wanted, place};
use crate::support::{Broker, say};

/// More than is read in one part.
const BACKFILL_BYTES: usize = 6 << 30;

const SETTINGS: &[&str] = &["log.level=error"];

#[test]
fn measure_backfill_beside_a_good_client() {
    if !is_wanted("backfill") {
        return;
    }
    let mut place = place(SETTINGS);
    fill(&place, BACKFILL_BYTES);
    let [mut alone, mut hot, mut cold] = [Side::default(), Side::default(), Side::default()];
    let (mut hot_cost, mut cold_cost) = (Cost::default(), Cost::default());
    for _ in 0..ROUNDS {
        put_out(&mut place);
        alone.latency(&place);
        let read = beside_a_reader(&place, &mut cold, u64::MAX);
        // What was just read is in memory.
        hot_cost += beside_a_reader(&place, &mut hot, read.read_bytes / 2);
        cold_cost += read;
    }
    assert!(
        cold_cost.disk_bytes * 10 > cold_cost.read_bytes * 9,
        "vacuous: {} of {} bytes were read from the disk",
        cold_cost.disk_bytes,
        cold_cost.read_bytes
    );
    alone.report("alone");
    cold.report(&format!("beside a reader of cold data, {cold_cost}"));
    hot.report(&format!("beside a reader of hot data, {hot_cost}"));
}

/// What readers took, and what that cost.
#[derive(Clone, Copy, Default)]
struct Cost {
    read_bytes: u64,
    disk_bytes: u64,
    broker_cpu_ms: u64,
    test_cpu_ms: u64,
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.read_bytes += other.read_bytes;
        self.disk_bytes += other.disk_bytes;
        self.broker_cpu_ms += other.broker_cpu_ms;
        self.test_cpu_ms += other.test_cpu_ms;
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} MiB read, {} MiB from the disk, broker {} ms and clients {} ms of CPU in {} s",
            self.read_bytes >> 20,
            self.disk_bytes >> 20,
            self.broker_cpu_ms,
            self.test_cpu_ms,
            PART.as_secs() * ROUNDS as u64,
        )
    }
}

/// Measures a producer while somebody reads from the beginning, again after so many bytes.
fn beside_a_reader(place: &Place, side: &mut Side, again_after: u64) -> Cost {
    let (pid, me) = (place.broker.pid(), std::process::id());
    let (disk, broker, test) = (disk_bytes(pid), cpu_ms(pid), cpu_ms(me));
    let done = AtomicBool::new(false);
    let read_bytes = std::thread::scope(|scope| {
        let (done, broker) = (&done, &place.broker);
        let reader = scope.spawn(move || {
            let client = good::client(broker);
            good::runtime().block_on(read_until(&client, done, again_after))
        });
        side.latency(place);
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    Cost {
        read_bytes,
        disk_bytes: disk_bytes(pid) - disk,
        broker_cpu_ms: cpu_ms(pid) - broker,
        test_cpu_ms: cpu_ms(me) - test,
    }
}

/// Reads the target from its beginning, as fast as it comes.
async fn read_until(client: &Client, done: &AtomicBool, again_after: u64) -> u64 {
    let mut bytes = 0;
    while !done.load(Ordering::Relaxed) {
        let builder = client.consumer().topic(TARGET, StartAt::Earliest).stop_at_end();
        let mut consumer = builder.build().await.unwrap();
        let mut taken = 0;
        while let Some(record) = consumer.next().await {
            taken += record.unwrap().value.map_or(0, |value| value.len() as u64);
            if done.load(Ordering::Relaxed) || taken >= again_after {
                break;
            }
        }
        bytes += taken;
    }
    bytes
}

/// Puts all log files out of memory, and starts the broker again.
fn put_out(place: &mut Place) {
    assert_eq!(place.broker.stop(), 0, "{}", place.broker.log());
    let data = place.temp.path().join("data");
    let logs = logs(&data);
    for path in &logs {
        let file = File::open(path).unwrap();
        file.sync_all().unwrap();
        fadvise(&file, 0, None, Advice::DontNeed).unwrap();
    }
    match resident(&logs) {
        Some(bytes) => assert!(bytes < 64 << 20, "vacuous: {bytes} bytes are still in memory"),
        None => {
            say("MEASURE: there is no fincore to ask; the bytes read from the disk must show it");
        }
    }
    place.broker = Broker::start_set(&data, SETTINGS, &[]);
    place.client = good::client(&place.broker);
}

fn logs(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(logs(&path));
        } else if path.extension().is_some_and(|end| end == "log") {
            found.push(path);
        }
    }
    found
}

/// How much of the files the system holds in memory, if it can be asked.
fn resident(files: &[PathBuf]) -> Option<u64> {
    let mut command = Command::new("fincore");
    let output = command.args(["--bytes", "--noheadings", "--output", "RES"]).args(files).output();
    let text = String::from_utf8(output.ok()?.stdout).unwrap();
    Some(text.split_whitespace().map(|bytes| bytes.parse::<u64>().unwrap()).sum())
}

/// What a process has had read from disks.
fn disk_bytes(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    let read = text.lines().find_map(|line| line.strip_prefix("read_bytes: ")).unwrap();
    read.parse().unwrap()
}

/// The processor time that a process has had, counted in hundredths of a second.
fn cpu_ms(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = text.rsplit(')').next().unwrap().split_whitespace();
    fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap() * 10).sum()
}
