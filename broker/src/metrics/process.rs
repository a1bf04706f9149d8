//! Figures of the process, read from `/proc` when somebody asks. Where there is no `/proc` they are zero.

use std::fs;
use std::time::Duration;

use super::names;
use super::registry::{Registry, amount};

/// The unit of CPU times in `/proc`: the kernel's interface fixes it, whatever its real tick is.
const TICK: Duration = Duration::from_millis(10);

/// What `/proc` says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Figures {
    cpu: Option<Duration>,
    resident_bytes: Option<u64>,
    anonymous_bytes: Option<u64>,
    virtual_bytes: Option<u64>,
    threads: Option<u64>,
}

/// Sets the process's figures before each rendering.
pub(super) fn watch(registry: &Registry) {
    let cpu = registry.measured(names::PROCESS_CPU);
    let resident = registry.gauge(names::PROCESS_MEMORY, &[]);
    let anonymous = registry.gauge(names::PROCESS_ANONYMOUS, &[]);
    let virtual_memory = registry.gauge(names::PROCESS_VIRTUAL, &[]);
    let threads = registry.gauge(names::PROCESS_THREADS, &[]);
    let files = registry.gauge(names::PROCESS_FILES, &[]);
    let files_max = registry.gauge(names::PROCESS_FILES_MAX, &[]);
    registry.before_render(move || {
        let figures = read();
        cpu.set(figures.cpu.unwrap_or_default());
        let gauges = [
            (&resident, figures.resident_bytes),
            (&anonymous, figures.anonymous_bytes),
            (&virtual_memory, figures.virtual_bytes),
            (&threads, figures.threads),
            (&files, open_files()),
            (&files_max, rustix::process::getrlimit(rustix::process::Resource::Nofile).current),
        ];
        for (gauge, number) in gauges {
            gauge.set(amount(number.unwrap_or_default()));
        }
    });
}

fn read() -> Figures {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    parse(&stat, &status)
}

/// The folder that lists them is one of them, while it is read.
fn open_files() -> Option<u64> {
    let count = fs::read_dir("/proc/self/fd").ok()?.count();
    u64::try_from(count.saturating_sub(1)).ok()
}

fn parse(stat: &str, status: &str) -> Figures {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let kilobytes = |name: &str| field(name).map(|count| count * 1_024);
    Figures {
        cpu: cpu(stat),
        resident_bytes: kilobytes("VmRSS:"),
        anonymous_bytes: kilobytes("RssAnon:"),
        virtual_bytes: kilobytes("VmSize:"),
        threads: field("Threads:"),
    }
}

/// User and system time: fields 14 and 15, counted behind the name, which may hold spaces and brackets.
fn cpu(stat: &str) -> Option<Duration> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_whitespace().skip(11);
    let ticks = |text: Option<&str>| text?.parse::<u32>().ok();
    let user = ticks(fields.next())?;
    let system = ticks(fields.next())?;
    Some(TICK * user + TICK * system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_understood_whatever_the_process_is_called() {
        let stat = "7 (tha) lweg) S 1 7 7 0 -1 4194304 900 0 0 0 250 50 0 0 20 0 9 0 1234 0";
        let status = "Name:\tthalweg\nVmSize:\t 4096 kB\nVmRSS:\t   2048 kB\nRssAnon:\t 1024 kB\nThreads:\t9\n";
        let expected = Figures {
            cpu: Some(Duration::from_secs(3)),
            resident_bytes: Some(2_048 * 1_024),
            anonymous_bytes: Some(1_024 * 1_024),
            virtual_bytes: Some(4_096 * 1_024),
            threads: Some(9),
        };
        assert_eq!(parse(stat, status), expected);
        assert_eq!(parse("", ""), Figures::default());
    }
}
