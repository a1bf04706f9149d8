//! Reading what is on the disk only: the same records, counted.

use std::fs::File;
use std::path::Path;

use rustix::fs::{Advice, fadvise, fstatfs};

use crate::metrics::Shown;
use crate::support::{Fixture, create, numbered, publish, read, values};

/// The magic number of a file system in memory, which has no disk to read from.
const TMPFS: i64 = 0x0102_1994;

/// Has the kernel give up what it keeps of each log file in memory; false on a file system that is nothing else.
fn evict(folder: &Path) -> bool {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !evict(&path) {
            return false;
        }
        if path.extension().is_some_and(|it| it == "log") {
            let file = File::open(&path).unwrap();
            if fstatfs(&file).unwrap().f_type == TMPFS {
                return false;
            }
            file.sync_all().unwrap();
            fadvise(&file, 0, None, Advice::DontNeed).unwrap();
        }
    }
    true
}

#[tokio::test]
async fn records_that_left_memory_are_read_from_the_disk_and_counted() {
    let mut fixture = Fixture::start();
    let client = fixture.client();
    let settings = [("segment.bytes", "65536"), ("max.message.bytes", "32768")];
    create(&client, "old", 1, &settings).await;
    let producer = client.producer().batch_bytes(16_000).build().await.unwrap();
    let sent: Vec<String> = numbered(&"x".repeat(1_000), 300);
    publish(&producer, "old", 0, &sent).await;
    drop((producer, client));
    // Nothing is mapped or read ahead after a restart.
    assert!(fixture.stop());
    if !evict(&fixture.data()) {
        return eprintln!("the temporary folder is in memory: reading from disk was NOT tried");
    }
    fixture.restart_with(|_| {});
    let client = fixture.client();
    assert_eq!(values(&read(&client, "old", 300).await), sent);
    let cold = "thalweg_cold_fetched_bytes_total{topic=\"old\"}";
    let first = Shown::now(&fixture).await.get(cold);
    assert!(first > 60_000.0, "{first} bytes came from the disk");
    // Now they are in memory.
    assert_eq!(values(&read(&client, "old", 300).await), sent);
    let again = Shown::now(&fixture).await.get(cold);
    assert!((again - first).abs() < 1e-9, "{again} after {first}");
}
