//! What is known of one decoder.

/// One decoder.
#[derive(Clone)]
pub struct Decoder {
    pub name: &'static str,
    /// Inputs that were really written.
    pub seeds: Vec<Vec<u8>>,
    /// Mends what a decoder checks before all else, so that changes get behind it.
    pub mend: fn(&mut Vec<u8>),
    /// Whether the input was taken.
    pub run: fn(&[u8]) -> bool,
    /// How much heap it may hold for an input of so many bytes.
    pub heap_bytes_max: fn(usize) -> usize,
    /// Whether it opens files, which takes a thousand times as long.
    pub opens_folders: bool,
}

impl Decoder {
    /// One that works in memory.
    pub fn quick(
        name: &'static str,
        seeds: Vec<Vec<u8>>,
        mend: fn(&mut Vec<u8>),
        run: fn(&[u8]) -> bool,
    ) -> Self {
        // Decoded values are larger than their bytes, and lists grow by doubling.
        let heap_bytes_max = |length| 64 * 1024 + 48 * length;
        Self { name, seeds, mend, run, heap_bytes_max, opens_folders: false }
    }
}
