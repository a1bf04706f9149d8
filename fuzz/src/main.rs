//! The decoders of `tools/tests/fuzz`, guided by coverage: `make fuzz-guided SECONDS=60`.
//!
//! `DECODER` names one of them; all else is libFuzzer's: options, folders of inputs. Golden files are where it starts from:
//! with `SEEDS` it only writes them into that folder. Inputs are changed by libFuzzer and mended as in the seeded runs.
#![no_main]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "a harness fails by panicking"
)]

mod decoders;

use std::sync::LazyLock;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

use decoders::Decoder;

static DECODER: LazyLock<Decoder> = LazyLock::new(|| {
    let all = decoders::all();
    let name = std::env::var("DECODER").unwrap_or_default();
    let Some(found) = all.iter().find(|decoder| decoder.name == name) else {
        let names: Vec<_> = all.iter().map(|decoder| decoder.name).collect();
        panic!("DECODER={name:?} names none; there are {}", names.join(", "));
    };
    found.clone()
});

fuzz_target!(
    init: {
        if std::env::var_os("NAMES").is_some() {
            decoders::all().iter().for_each(|decoder| println!("{}", decoder.name));
            std::process::exit(0);
        }
        if let Some(folder) = std::env::var_os("SEEDS") {
            std::fs::create_dir_all(&folder).unwrap();
            for (number, seed) in DECODER.seeds.iter().enumerate() {
                let path = std::path::Path::new(&folder).join(format!("golden-{number}"));
                std::fs::write(path, seed).unwrap();
            }
            std::process::exit(0);
        }
    },
    |input: &[u8]| {
        (DECODER.run)(input);
    }
);

fuzz_mutator!(|data: &mut [u8], size: usize, size_max: usize, seed: u32| {
    let size = fuzzer_mutate(data, size, size_max);
    if seed % 4 == 0 {
        return size;
    }
    let mut input = data[..size].to_vec();
    (DECODER.mend)(&mut input);
    let size = input.len().min(size_max);
    data[..size].copy_from_slice(&input[..size]);
    size
});
