//! What the machine is: whoever reads a figure wants to know.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::plan::Durability;

/// The machine, the disk, the build.
#[derive(Clone, Debug, Serialize)]
pub(in super::super) struct Machine {
    pub(in super::super) kernel: String,
    pub(in super::super) cpu: String,
    pub(in super::super) cores: usize,
    pub(in super::super) memory_bytes: u64,
    pub(in super::super) file_system: String,
    /// Where the data was.
    pub(in super::super) folder: PathBuf,
    /// When records are brought to stable storage.
    pub(in super::super) fsync: &'static str,
    /// How this program was built.
    pub(in super::super) build: &'static str,
}

impl Machine {
    /// Looks at the machine; what it does not tell is empty.
    pub(in super::super) fn describe(folder: &Path, durability: Option<Durability>) -> Self {
        let at = folder.parent().unwrap_or(folder);
        let at = at.canonicalize().unwrap_or_else(|_| at.to_owned());
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self {
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            cpu: value(&read("/proc/cpuinfo"), "model name").unwrap_or_default(),
            cores: std::thread::available_parallelism().map_or(1, Into::into),
            memory_bytes: bytes_of(&read("/proc/meminfo"), "MemTotal"),
            file_system: file_system(&read("/proc/self/mounts"), &at).unwrap_or_default(),
            folder: at,
            fsync: match durability {
                Some(Durability::Synced) => "fdatasync of a group before its answers",
                Some(Durability::Replicated) => "in the background",
                None => "none",
            },
            build: if cfg!(debug_assertions) { "debug" } else { "release" },
        }
    }
}

/// Behind the colon of the line that begins with `name`.
fn value(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Memory that nothing is in.
pub(super) fn free_memory_bytes() -> u64 {
    bytes_of(&fs::read_to_string("/proc/meminfo").unwrap_or_default(), "MemFree")
}

fn bytes_of(meminfo: &str, name: &str) -> u64 {
    let found = value(meminfo, name);
    let kilobytes = found.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1_024
}

/// The type of the innermost mount that `folder` lies in.
fn file_system(mounts: &str, folder: &Path) -> Option<String> {
    let fields = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        Some((PathBuf::from(fields.next()?), fields.next()?.to_owned()))
    };
    let around = mounts.lines().filter_map(fields).filter(|(point, _)| folder.starts_with(point));
    // Of two on the same point the later one is seen.
    around.max_by_key(|(point, _)| point.components().count()).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_is_the_one() {
        let mounts =
            "/dev/vda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/vdb /tmp/data xfs rw 0 0\n";
        let at = |folder: &str| file_system(mounts, Path::new(folder)).unwrap();
        assert_eq!([at("/srv"), at("/tmp/x"), at("/tmp/data/a")], ["ext4", "tmpfs", "xfs"]);
    }

    #[test]
    fn what_the_system_tells_is_understood() {
        let meminfo = "MemTotal:       2048 kB\nMemFree: 1 kB\n";
        assert_eq!(
            (bytes_of(meminfo, "MemTotal"), bytes_of(meminfo, "MemFree")),
            (2_097_152, 1_024)
        );
        assert_eq!(value("model name\t: A B C\n", "model name").unwrap(), "A B C");
    }
}
