//! The CPU time of a process, from `/proc`; none where there is no `/proc`.

use std::fs;
use std::time::Duration;

/// The unit of CPU times in `/proc`: the kernel's interface fixes it, whatever its real tick is.
const TICK: Duration = Duration::from_millis(10);

/// What this process has used so far, user and system.
pub fn own_cpu() -> Option<Duration> {
    parse(&fs::read_to_string("/proc/self/stat").ok()?)
}

/// What the process with this id has used so far.
pub fn process_cpu(pid: u32) -> Option<Duration> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Fields 14 and 15, counted behind the name, which may hold spaces and brackets.
fn parse(stat: &str) -> Option<Duration> {
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
    fn cpu_time_is_found_behind_any_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 900 0 0 0 250 50 0 0 20 0 9 0 1234 0";
        assert_eq!(parse(stat), Some(Duration::from_secs(3)));
        assert_eq!(parse("7 (a) S 1"), None);
    }
}
