//! Files off line: everything is printed, and planted damage is found with its range.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Ran, run, thalweg};
use crate::{EARTHQUAKES, broker};

/// A stopped broker's folder with the earthquakes in one partition and several segments.
fn stopped() -> (TempDir, PathBuf) {
    let (folder, mut broker) = broker();
    let settings =
        ["segment.bytes=200000", "max.message.bytes=100000", "index.interval.bytes=1024"];
    let create =
        ["topic", "create", "events", "-c", settings[0], "-c", settings[1], "-c", settings[2]];
    broker.run(&create).good();
    for codec in ["none", "zstd", "lz4"] {
        let args = [
            "produce",
            "events",
            "--file",
            EARTHQUAKES,
            "--key-field",
            "properties.net",
            "--batch-bytes",
            "16KiB",
            "--compression",
            codec,
        ];
        broker.run(&args).good();
    }
    assert_eq!(broker.stop(), 0, "{}", broker.log());
    let data = folder.path().join("data");
    (folder, data)
}

fn verify(path: &Path) -> Ran {
    run(thalweg().args(["log", "verify", "--output", "json"]).arg(path), b"")
}

fn segments(data: &Path) -> Vec<PathBuf> {
    let partition = std::fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
    let partition = partition.filter(|path| path.join("partition.metadata").exists());
    let files = partition.flat_map(|path| std::fs::read_dir(path).unwrap());
    let mut segments: Vec<PathBuf> = files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "log"))
        .collect();
    segments.sort();
    segments
}

fn overwrite(path: &Path, position: u64, bytes: &[u8]) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.write_all_at(bytes, position).unwrap();
}

fn lengthen(path: &Path, bytes: u64) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() + bytes).unwrap();
}

#[test]
fn a_log_that_was_stopped_is_whole_and_every_batch_and_record_is_printed() {
    let (_folder, data) = stopped();
    let sum = verify(&data).good().json();
    assert_eq!(sum["partitions"][0]["records"], 3 * 1_707);
    assert!(sum["partitions"][0]["segments"].as_u64().unwrap() > 3, "{sum}");
    assert_eq!((&sum["damages"], &sum["notes"]), (&serde_json::json!([]), &serde_json::json!([])));

    let dumped =
        run(thalweg().args(["log", "dump", "--records", "--output", "json"]).arg(&data), b"")
            .good();
    let items: Vec<Value> = dumped.json_lines();
    let of = |kind: &str| items.iter().filter(|it| it["kind"] == kind).collect::<Vec<_>>();
    assert_eq!(of("record").len(), 3 * 1_707);
    let records: u64 = of("batch").iter().map(|it| it["records"].as_u64().unwrap()).sum();
    assert_eq!(records, 3 * 1_707);
    for kind in ["offset_entry", "time_entry", "leader_epoch", "checkpoint", "metadata", "producer"]
    {
        assert!(!of(kind).is_empty(), "no {kind}");
    }
    for codec in ["none", "zstd", "lz4"] {
        assert!(of("batch").iter().any(|it| it["codec"] == codec), "{codec}");
    }
    assert!(of("damage").is_empty());
    let text = run(thalweg().args(["log", "dump"]).arg(&segments(&data)[0]), b"").good().stdout;
    assert!(text.contains("offsets 0–") && text.contains("valid"), "{text}");
}

#[test]
fn a_flipped_byte_is_found_with_its_range() {
    let (_folder, data) = stopped();
    let segments = segments(&data);
    overwrite(&segments[1], 5_000, b"\x55\xaa");
    let ran = verify(&data);
    assert_eq!(ran.code, 1, "{ran:?}");
    let damages = ran.json()["damages"].clone();
    assert_eq!(damages.as_array().unwrap().len(), 1, "{damages}");
    let (from, to) =
        (damages[0]["bytes"][0].as_u64().unwrap(), damages[0]["bytes"][1].as_u64().unwrap());
    assert!(from <= 5_000 && 5_002 <= to && to - from < 40_000, "{damages}");
    assert!(damages[0]["offsets"][0].as_i64() < damages[0]["offsets"][1].as_i64(), "{damages}");
    let human = run(thalweg().args(["log", "verify"]).arg(&data), b"");
    assert!(
        human.stdout.contains("DAMAGED") && human.stderr.contains("1 place is damaged"),
        "{human:?}"
    );
    // One segment alone is checked, too.
    run(thalweg().args(["log", "verify"]).arg(&segments[1]), b"").failed(1, &["damaged"]);
    run(thalweg().args(["log", "verify"]).arg(&segments[0]), b"").good();
}

#[test]
fn a_missing_segment_a_cut_one_and_a_wrong_index_are_found() {
    let damages = |change: &dyn Fn(&[PathBuf])| {
        let (_folder, data) = stopped();
        change(&segments(&data));
        let ran = verify(&data);
        assert_eq!(ran.code, 1, "{ran:?}");
        ran.json()["damages"].to_string()
    };
    let missing = damages(&|segments| std::fs::remove_file(&segments[1]).unwrap());
    assert!(missing.contains("the one before ends at"), "{missing}");
    let cut = damages(&|segments| {
        let file = std::fs::File::options().write(true).open(&segments[1]).unwrap();
        file.set_len(file.metadata().unwrap().len() - 10).unwrap();
    });
    assert!(cut.contains("of which"), "{cut}");
    let wrong =
        damages(&|segments| overwrite(&segments[1].with_extension("index"), 4, &[0, 0, 9, 9]));
    assert!(wrong.contains("1 entries point at no batch"), "{wrong}");
    let time =
        damages(&|segments| overwrite(&segments[1].with_extension("timeindex"), 0, &[0, 0, 0, 9]));
    assert!(time.contains("point at no batch"), "{time}");
    for (extension, rest) in [("index", 3), ("index", 16), ("timeindex", 5), ("timeindex", 24)] {
        let longer = damages(&|segments| lengthen(&segments[1].with_extension(extension), rest));
        let expected = format!("{rest} bytes behind the last entry are no entry");
        assert!(longer.contains(&expected), "{longer}");
    }
    let identity = damages(&|segments| {
        let data = segments[0].parent().unwrap().parent().unwrap();
        overwrite(&data.join("meta.properties"), 60, b"?");
    });
    assert!(identity.contains("meta.properties"), "{identity}");
    let checkpoint = damages(&|segments| {
        let data = segments[0].parent().unwrap().parent().unwrap();
        overwrite(&data.join("recovery-point.checkpoint"), 30, b"?");
    });
    assert!(checkpoint.contains("recovery-point.checkpoint"), "{checkpoint}");
}

#[test]
fn after_a_kill_a_torn_tail_is_a_note_but_damage_below_the_recovery_point_is_damage() {
    let (folder, mut broker) = broker();
    broker.run(&["topic", "create", "events"]).good();
    broker.run(&["produce", "events", "--file", EARTHQUAKES, "--batch-bytes", "16KiB"]).good();
    broker.kill();
    let data = folder.path().join("data");
    let segment = segments(&data).remove(0);
    let end = std::fs::metadata(&segment).unwrap().len();
    let file = std::fs::File::options().append(true).open(&segment).unwrap();
    std::io::Write::write_all(&mut &file, &[7; 100]).unwrap();
    let sum = verify(&data).good().json();
    assert_eq!(sum["notes"][0]["bytes"], serde_json::json!([end, end + 100]), "{sum}");
    assert!(sum["notes"][0]["what"].as_str().unwrap().contains("torn tail"), "{sum}");
}

#[test]
fn a_metadata_log_is_checked_entry_by_entry() {
    let (_folder, data) = stopped();
    let log = data.join("metadata/00000000000000000000.log");
    let end = std::fs::metadata(&log).unwrap().len();
    assert_eq!(verify(&log).good().json()["notes"], serde_json::json!([]));
    overwrite(&log, end - 1, b"\xee");
    // The last entry may be torn: nobody was told that it succeeded.
    assert!(verify(&log).good().json()["notes"].to_string().contains("checksum"));
    overwrite(&log, 40, b"\xee");
    verify(&log).failed(1, &["damaged"]);
}

#[test]
fn a_folder_by_kafkas_convention_is_read_and_may_have_gaps() {
    let (folder, data) = stopped();
    let kafka = folder.path().join("events-0");
    std::fs::create_dir(&kafka).unwrap();
    let segments = segments(&data);
    for (place, segment) in segments.iter().enumerate() {
        for extension in ["log", "index", "timeindex"] {
            let file = segment.with_extension(extension);
            // Compaction may take a whole segment out, and an open index is longer than its entries.
            if place != 1 && file.exists() {
                let copy = kafka.join(file.file_name().unwrap());
                std::fs::copy(&file, &copy).unwrap();
                if extension != "log" {
                    lengthen(&copy, 240);
                }
            }
        }
    }
    let sum = verify(&kafka).good().json();
    assert_eq!(sum["partitions"][0]["segments"].as_u64().unwrap(), segments.len() as u64 - 1);
    let dumped = run(thalweg().args(["log", "dump", "--output", "json"]).arg(&kafka), b"").good();
    assert!(dumped.json_lines().iter().any(|it| it["kind"] == "batch"));
    // A time that no batch has up to there, an offset that no batch has, and half an entry.
    let times = kafka.join(segments[2].with_extension("timeindex").file_name().unwrap());
    let good = std::fs::read(&times).unwrap();
    for (position, byte, expected) in [(7, good[7] ^ 1, "1 entries"), (8, 0x7f, "point at no")] {
        overwrite(&times, position, &[byte]);
        let ran = verify(&kafka);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.json()["damages"].to_string().contains(expected), "{ran:?}");
        std::fs::write(&times, &good).unwrap();
    }
    lengthen(&times, 7);
    let half = verify(&kafka).json()["damages"].to_string();
    assert!(half.contains("7 bytes are half an entry"), "{half}");
    std::fs::write(&times, &good).unwrap();
    verify(&kafka).good();
    overwrite(&kafka.join(segments[2].file_name().unwrap()), 5_000, b"\xaa");
    verify(&kafka).failed(1, &["damaged"]);
}

#[test]
fn a_producer_of_whom_kafka_remembers_no_batch_is_told_so() {
    let mut row = [0; 46];
    row[..8].copy_from_slice(&7_i64.to_be_bytes());
    row[8..10].copy_from_slice(&3_i16.to_be_bytes());
    row[10..22].copy_from_slice(&[0xff; 12]);
    row[34..].copy_from_slice(&[0xff; 12]);
    let mut bytes = [&1_i16.to_be_bytes()[..], &[0; 4], &1_i32.to_be_bytes(), &row].concat();
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &bytes[6..]);
    bytes[2..6].copy_from_slice(&u32::try_from(crc).unwrap().to_be_bytes());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("00000000000000000009.snapshot");
    std::fs::write(&path, bytes).unwrap();
    let text = run(thalweg().args(["log", "dump"]).arg(&path), b"").good().stdout;
    assert!(text.contains("producer 7 epoch 3: no batch is remembered"), "{text}");
    let dumped = run(thalweg().args(["log", "dump", "--output", "json"]).arg(&path), b"").good();
    let row = dumped.json_lines().into_iter().find(|it| it["kind"] == "producer").unwrap();
    assert_eq!((&row["last_sequence"], &row["records"]), (&(-1).into(), &0.into()));
}
