//! Little memory: in a control group that allows less than the page cache would like, the broker goes on, and is not
//! killed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::did_not_run;
use crate::support::{Broker, say, thalweg};
use crate::traffic::{Ledger, client, create, holds, publish_many, read, runtime};

const TOPIC: &str = "tight";

/// Less than what is written.
const BYTES: u64 = 96 * 1024 * 1024;

/// A control group that bounds memory; removed when it is dropped.
struct Group {
    path: PathBuf,
    limit_hits: &'static str,
}

impl Group {
    fn make() -> io::Result<Self> {
        let name = format!("thalweg-test-{}", std::process::id());
        let (root, limit, limit_hits) = if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
            ("/sys/fs/cgroup", "memory.max", "memory.events")
        } else {
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.failcnt")
        };
        let group = Self { path: Path::new(root).join(name), limit_hits };
        fs::create_dir(&group.path)?;
        fs::write(group.path.join(limit), BYTES.to_string())?;
        Ok(group)
    }

    fn admit(&self, pid: u32) -> io::Result<()> {
        fs::write(self.path.join("cgroup.procs"), pid.to_string())
    }

    /// How often the limit was met.
    fn hits(&self) -> u64 {
        let text = fs::read_to_string(self.path.join(self.limit_hits)).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("max ")).unwrap_or(&text);
        line.trim().parse().unwrap()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.path));
    }
}

#[test]
fn with_little_memory_the_broker_goes_on() {
    let group = match Group::make() {
        Ok(group) => group,
        Err(error) => return did_not_run("little memory", &format!("no control group: {error}")),
    };
    let temp = tempfile::tempdir().unwrap();
    let data = temp.path().join("data");
    let mut command = thalweg();
    command
        .args(["serve", "--output", "json", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"])
        .args(["--set", "storage.free_bytes_min=1MiB", "--data-dir"])
        .arg(&data);
    let mut broker = Broker::spawn(&mut command, &data);
    if let Err(error) = group.admit(broker.pid()) {
        return did_not_run("little memory", &format!("no process joins the group: {error}"));
    }
    let (runtime, mut ledger) = (runtime(), Ledger::new());
    let client = client(&broker);
    runtime.block_on(create(&client, TOPIC, 1, &[]));
    for _ in 0..4 {
        runtime.block_on(publish_many(&client, TOPIC, 0, 9_000, 3_900, &mut ledger));
    }
    let found = runtime.block_on(read(&client, TOPIC, false));
    holds(&found, &ledger);
    assert!(broker.is_up(), "it was killed");
    assert!(group.hits() > 0, "vacuous: the limit was never met");
    say(&format!(
        "FAULTS memory: {} MiB allowed, {} MiB written and read, the limit was met {} times",
        BYTES >> 20,
        ledger.values().map(Vec::len).sum::<usize>() >> 20,
        group.hits()
    ));
    assert_eq!(broker.stop(), 0);
}
