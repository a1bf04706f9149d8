//! Figures of the process, read from `/proc` when somebody asks. Where there is no `/proc` they are zero.

use std::fs;

use super::names;
use super::registry::{Registry, amount};
use crate::base::own_cpu;

/// What `/proc` says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Figures {
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
        cpu.set(own_cpu().unwrap_or_default());
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
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    parse(&status)
}

/// The folder that lists them is one of them, while it is read.
fn open_files() -> Option<u64> {
    let count = fs::read_dir("/proc/self/fd").ok()?.count();
    u64::try_from(count.saturating_sub(1)).ok()
}

fn parse(status: &str) -> Figures {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let kilobytes = |name: &str| field(name).map(|count| count * 1_024);
    Figures {
        resident_bytes: kilobytes("VmRSS:"),
        anonymous_bytes: kilobytes("RssAnon:"),
        virtual_bytes: kilobytes("VmSize:"),
        threads: field("Threads:"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_file_is_understood() {
        let status = "Name:\tthalweg\nVmSize:\t 4096 kB\nVmRSS:\t   2048 kB\nRssAnon:\t 1024 kB\nThreads:\t9\n";
        let expected = Figures {
            resident_bytes: Some(2_048 * 1_024),
            anonymous_bytes: Some(1_024 * 1_024),
            virtual_bytes: Some(4_096 * 1_024),
            threads: Some(9),
        };
        assert_eq!(parse(status), expected);
        assert_eq!(parse(""), Figures::default());
    }
}
