//! What a running broker shows from outside: its figures over HTTP, its memory and descriptors as the system counts
//! them.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Broker, DEADLINE};

/// Between two looks at a process.
const PERIOD: Duration = Duration::from_millis(20);

/// A figure of `/proc/<pid>/status` by its name, such as `RssAnon`: in KiB where it is memory.
pub fn proc_status(pid: u32, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

impl Broker {
    /// The id of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its memory without mapped files, in KiB; none when it is gone.
    pub fn anonymous_kib(&self) -> Option<u64> {
        proc_status(self.pid(), "RssAnon")
    }

    /// Whether its process still runs.
    pub fn is_up(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// What it answers over HTTP: the status and the body.
    pub fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.http).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
        (status.unwrap_or(0), body.unwrap_or_default())
    }

    /// All its figures, by name with labels.
    pub fn metrics(&self) -> Metrics {
        let (status, body) = self.get("/metrics");
        assert_eq!(status, 200, "{body}");
        let lines = body.lines().filter(|line| !line.starts_with('#'));
        let figure = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Metrics(lines.filter_map(figure).collect())
    }

    /// Waits until its figures are as `wanted` says.
    pub fn metrics_until(&self, what: &str, wanted: impl Fn(&Metrics) -> bool) -> Metrics {
        let (_ends, wait) = channel::<()>();
        for _ in 0..DEADLINE.as_millis() / PERIOD.as_millis() {
            let metrics = self.metrics();
            if wanted(&metrics) {
                return metrics;
            }
            // Nobody sends: the next look comes after the period.
            let _ = wait.recv_timeout(PERIOD);
        }
        panic!("{what}: not within {DEADLINE:?}; the log: {}", self.log());
    }
}

/// A broker's figures at one moment.
#[derive(Clone, Debug)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// The sum of a figure over those of its labels that hold `label`, such as `reason="protocol"`.
    pub fn sum(&self, name: &str, label: &str) -> f64 {
        let ours = self.0.iter().filter(|(key, _)| {
            key.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
                && key.contains(label)
        });
        ours.map(|(_, value)| value).sum()
    }

    /// A figure by each value of one of its labels.
    pub fn by_label(&self, name: &str, label: &str) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for (key, value) in &self.0 {
            let Some(labels) = key.strip_prefix(name).and_then(|rest| rest.strip_prefix('{'))
            else {
                continue;
            };
            let start = format!("{label}=\"");
            let found =
                labels.split(',').find_map(|it| it.trim_end_matches('}').strip_prefix(&start));
            if let Some(found) = found {
                *sums.entry(found.trim_end_matches('"').to_owned()).or_default() += value;
            }
        }
        sums
    }
}

/// Looks at a process's anonymous memory all the time, and keeps the largest.
pub struct Watch {
    largest_kib: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub fn start(broker: &Broker) -> Self {
        let (pid, largest_kib) = (broker.pid(), Arc::new(AtomicU64::new(0)));
        let (stop, stopped) = channel();
        let (largest, ended) = (Arc::clone(&largest_kib), Arc::new(AtomicBool::new(false)));
        let gone = Arc::clone(&ended);
        let thread = std::thread::spawn(move || {
            loop {
                match proc_status(pid, "RssAnon") {
                    Some(kib) => _ = largest.fetch_max(kib, Ordering::Relaxed),
                    None => gone.store(true, Ordering::Relaxed),
                }
                let waited = stopped.recv_timeout(PERIOD);
                if waited != Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                    return;
                }
            }
        });
        Self { largest_kib, ended, stop: Some(stop), thread: Some(thread) }
    }

    /// The largest so far, in KiB; panics when the process was gone at any look.
    pub fn largest_kib(&self) -> u64 {
        assert!(!self.ended.load(Ordering::Relaxed), "the process is gone");
        self.largest_kib.load(Ordering::Relaxed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
