//! The small files of a log: producers, epochs, whose a partition and a directory are, names.

use thalweg_storage::{
    EpochTable, FileName, FolderName, Identity, PartitionMetadata, ProducerTable,
};

use super::{Decoder, golden};

const STORAGE: &str = "broker/storage/tests/golden";

pub(super) fn all() -> Vec<Decoder> {
    let names = ["00000000000000000021.log", "00000000000000000000.timeindex.deleted"];
    let folders = [
        "00010203-0405-0607-0809-0a0b0c0d0e0f-0",
        "00010203-0405-0607-0809-0a0b0c0d0e0f-2147483647.deleted",
    ];
    let names = names.iter().chain(&folders).map(|name| name.as_bytes().to_vec()).collect();
    vec![
        Decoder::quick("producer snapshot", golden::files(STORAGE, ".snapshot"), mend, snapshot),
        Decoder::quick(
            "leader epochs",
            golden::files(STORAGE, "leader-epoch-checkpoint"),
            |_| {},
            |bytes| EpochTable::decode(bytes).is_ok(),
        ),
        Decoder::quick(
            "partition.metadata",
            golden::files(STORAGE, "partition.metadata"),
            |_| {},
            |bytes| PartitionMetadata::decode(bytes).is_ok(),
        ),
        Decoder::quick(
            "meta.properties",
            golden::files(STORAGE, "meta.properties"),
            |_| {},
            |bytes| Identity::decode(bytes).is_ok(),
        ),
        Decoder::quick(
            "names of files",
            names,
            |_| {},
            |bytes| {
                let name = String::from_utf8_lossy(bytes);
                FileName::parse(&name).is_some() || FolderName::parse(&name).is_some()
            },
        ),
    ]
}

/// Sets the number of rows and the checksum to what they should be.
fn mend(bytes: &mut Vec<u8>) {
    const ROW_BYTES: usize = 46;
    if bytes.len() < 10 {
        return;
    }
    let rows = u32::try_from((bytes.len() - 10) / ROW_BYTES).unwrap();
    bytes.truncate(10 + (bytes.len() - 10) / ROW_BYTES * ROW_BYTES);
    bytes[6..10].copy_from_slice(&rows.to_be_bytes());
    let crc = crc_fast::crc32_iscsi(&bytes[6..]);
    bytes[2..6].copy_from_slice(&crc.to_be_bytes());
}

fn snapshot(bytes: &[u8]) -> bool {
    let Ok(table) = ProducerTable::decode_snapshot(bytes) else { return false };
    // What was read is written so that it reads the same.
    let again = ProducerTable::decode_snapshot(&table.encode_snapshot());
    assert_eq!(again.as_ref(), Ok(&table));
    true
}
