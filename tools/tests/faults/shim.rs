//! Builds the shim and steers it: see `shim.c`.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A shim that a broker was started with.
pub struct Shim {
    folder: TempDir,
    board: File,
}

impl Shim {
    /// Builds it with the C compiler that the project needs anyway.
    pub fn build() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/shim.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(folder.path().join("shim.so"))
            .arg(source)
            .arg("-ldl")
            .output()
            .expect("a C compiler is there: the build needs one");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let path = folder.path().join("board");
        let board = File::options().create_new(true).read(true).write(true).open(path).unwrap();
        board.set_len(4096).unwrap();
        Self { folder, board }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the broker's environment needs.
    pub fn variables(&self) -> [(&'static str, String); 2] {
        let text = |name| self.path(name).to_string_lossy().into_owned();
        [("LD_PRELOAD", text("shim.so")), ("FAULT_BOARD", text("board"))]
    }

    pub fn fail_syncs(&self, fail: bool) {
        self.write(0, i64::from(fail));
    }

    /// How many syncs were failed.
    pub fn failed_syncs(&self) -> i64 {
        self.read(8)
    }

    /// Puts the wall clock off by so many seconds.
    pub fn shift_clock(&self, seconds: i64) {
        self.write(16, seconds);
    }

    /// How often the wall clock was asked.
    pub fn clock_readings(&self) -> i64 {
        self.read(24)
    }

    #[expect(clippy::host_endian_bytes, reason = "the other side is C on the same machine")]
    fn write(&self, at: u64, number: i64) {
        self.board.write_all_at(&number.to_ne_bytes(), at).unwrap();
    }

    #[expect(clippy::host_endian_bytes, reason = "the other side is C on the same machine")]
    fn read(&self, at: u64) -> i64 {
        let mut bytes = [0; 8];
        self.board.read_exact_at(&mut bytes, at).unwrap();
        i64::from_ne_bytes(bytes)
    }
}
