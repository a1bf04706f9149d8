//! A broker as a process of this command's own: started, killed and stopped by its own id, never left behind.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::ChildStdout;
use tokio::time::{interval, timeout};

use crate::failure::Failure;

/// A broker on an empty folder starts in far less.
const START_MAX: Duration = Duration::from_secs(20);

/// So does one stop that has nothing left to do.
const STOP_MAX: Duration = Duration::from_secs(10);

/// Lines of the broker's log that a failure shows.
const LOG_LINES: usize = 12;

/// What the broker says when it serves.
#[derive(Debug, Deserialize)]
struct Ready {
    listen: Vec<String>,
    http: Option<String>,
}

/// The process itself. Dropped on any way, it is killed and reaped: by its handle, so never another one.
#[derive(Debug)]
struct Process(Child);

impl Process {
    /// SIGKILL; returns when the process is gone.
    fn kill(&mut self) -> io::Result<()> {
        self.0.kill()?;
        self.0.wait().map(drop)
    }

    /// Waits for its end; `None` at the deadline.
    async fn ended(&mut self, deadline: Duration) -> io::Result<Option<ExitStatus>> {
        let mut ticks = interval(Duration::from_millis(5));
        let ending = async {
            loop {
                ticks.tick().await;
                if let Some(status) = self.0.try_wait()? {
                    return Ok(Some(status));
                }
            }
        };
        timeout(deadline, ending).await.unwrap_or(Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Gone already after a good end.
        drop(self.kill());
    }
}

/// A running broker.
#[derive(Debug)]
pub(crate) struct Broker {
    process: Process,
    /// Held open: the broker need not care that nobody reads what it prints later.
    _stdout: BufReader<ChildStdout>,
    folder: PathBuf,
    /// Where clients connect.
    pub(crate) address: String,
    /// Where metrics are.
    pub(crate) http: String,
    /// Its process.
    pub(crate) pid: u32,
}

impl Broker {
    /// Starts this very program as a broker with its data in `folder`, on these addresses, with these settings.
    pub(crate) async fn start(
        folder: &Path,
        address: &str,
        http: &str,
        settings: &[&str],
    ) -> Result<Self, Failure> {
        let failed = |error| Failure::failed(format!("cannot start the broker: {error}"));
        let mut child = command(folder, address, http, settings)
            .and_then(|mut it| it.spawn())
            .map_err(failed)?;
        let stdout = child.stdout.take();
        let process = Process(child);
        let stdout = stdout.ok_or_else(|| failed(io::ErrorKind::BrokenPipe.into()))?;
        let mut stdout = BufReader::new(ChildStdout::from_std(stdout).map_err(failed)?);
        let Some(ready) = first_line(&mut stdout).await else {
            return Err(silent(folder));
        };
        let pid = process.0.id();
        let address = ready.listen.into_iter().next().unwrap_or_default();
        let http = ready.http.unwrap_or_default();
        Ok(Self { process, _stdout: stdout, folder: folder.to_owned(), address, http, pid })
    }

    /// SIGKILL: no chance to write, sync or say anything. Returns when the process is gone.
    pub(crate) fn kill(mut self) -> Result<(), Failure> {
        let killed = self.process.kill();
        killed.map_err(|error| Failure::failed(format!("cannot kill the broker: {error}")))
    }

    /// SIGTERM, as an operator stops a broker; true when it says that it stopped clean.
    pub(crate) async fn stop(mut self) -> Result<bool, Failure> {
        let failed = |error| Failure::failed(format!("cannot stop the broker: {error}"));
        // Not reaped yet, so the id is still this process's own.
        kill_process(Pid::from_child(&self.process.0), Signal::TERM)
            .map_err(|error| failed(error.into()))?;
        let status = self.process.ended(STOP_MAX).await.map_err(failed)?;
        Ok(status.is_some_and(|status| status.success()))
    }

    /// The end of the broker's log, for a failure.
    pub(crate) fn log_end(&self) -> String {
        log_end(&self.folder)
    }
}

fn log_file(folder: &Path) -> PathBuf {
    folder.join("broker.log")
}

async fn first_line(stdout: &mut BufReader<ChildStdout>) -> Option<Ready> {
    let mut line = String::new();
    timeout(START_MAX, stdout.read_line(&mut line)).await.ok()?.ok()?;
    serde_json::from_str(&line).ok()
}

fn command(folder: &Path, address: &str, http: &str, settings: &[&str]) -> io::Result<Command> {
    let log = File::options().create(true).append(true).open(log_file(folder))?;
    let mut command = Command::new(std::env::current_exe()?);
    // What is set for the user's own broker is not meant for this one.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("THALWEG_") && name != "THALWEG_DEFECT" {
            command.env_remove(name);
        }
    }
    command
        .args(["serve", "--output", "json"])
        .args(settings.iter().flat_map(|setting| ["--set", setting]))
        .args(["--listen", address, "--http", http, "--data-dir"])
        .arg(folder.join("data"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        // Ctrl-C is for this command, which then ends the broker.
        .process_group(0);
    Ok(command)
}

/// Says why no line came.
fn silent(folder: &Path) -> Failure {
    Failure::failed(format!("the broker did not start; its log ends:\n{}", log_end(folder)))
}

fn log_end(folder: &Path) -> String {
    let log = std::fs::read_to_string(log_file(folder)).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    let from = lines.len().saturating_sub(LOG_LINES);
    lines.get(from..).unwrap_or_default().join("\n")
}
