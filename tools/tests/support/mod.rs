//! Real processes of the built binary: brokers that are started, killed and stopped by their own id, and commands
//! that are run to their end with a deadline.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

pub mod observe;

/// No step of a test takes so long, however busy the machine is: on two cores that eighteen threads wanted, `promtool` took
/// more than a minute for the rules.
pub const DEADLINE: Duration = Duration::from_mins(4);

/// Between two looks at what does not wake us.
const LOOK: Duration = Duration::from_millis(20);

/// The built binary, with nothing of the environment that could change what it does.
pub fn thalweg() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("THALWEG_") {
            command.env_remove(name);
        }
    }
    command
}

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Demands success.
    pub fn good(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// Demands this exit code, and these texts on standard error.
    pub fn failed(self, code: i32, texts: &[&str]) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        for text in texts {
            assert!(self.stderr.contains(text), "{text:?} is missing: {self:?}");
        }
        self
    }

    /// Standard output as one JSON document.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Standard output as one JSON document a line.
    pub fn json_lines(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Runs a command to its end; `input` is its standard input.
pub fn run(command: &mut Command, input: &[u8]) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (mut stdin, stdout, stderr) =
        (child.stdin.take().unwrap(), child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let input = input.to_vec();
    // The command may end without reading it.
    let writing = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let reading = [gather(stdout), gather(stderr)];
    let status = wait(&mut child);
    writing.join().unwrap();
    let [stdout, stderr] = reading.map(|text| text.recv_timeout(DEADLINE).unwrap());
    Ran { code: status.code().unwrap_or(-1), stdout, stderr }
}

fn gather(mut stream: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        sender.send(String::from_utf8_lossy(&bytes).into_owned())
    });
    receiver
}

/// Waits for a process, which is killed if it does not end by the deadline.
pub fn wait(child: &mut Child) -> ExitStatus {
    let pid = pid(child);
    let (done, ended) = mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        let late = ended.recv_timeout(DEADLINE).is_err();
        if late {
            // Not reaped yet, so the id is still this process's own.
            _ = kill_process(pid, Signal::KILL);
        }
        late
    });
    let status = child.wait().unwrap();
    _ = done.send(());
    assert!(!watch.join().unwrap(), "process {pid:?} did not end within {DEADLINE:?}");
    status
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap()
}

/// A running broker.
#[derive(Debug)]
pub struct Broker {
    child: Child,
    data: PathBuf,
    /// The planted defect that it has, and has again after a restart.
    defect: Option<String>,
    /// Where clients connect: at the first of these.
    pub address: String,
    pub addresses: Vec<String>,
    /// Where metrics and health are.
    pub http: String,
}

impl Broker {
    /// Starts a broker on free ports, with its data in `data`.
    pub fn start(data: &Path) -> Self {
        Self::start_on(data, "127.0.0.1:0", "127.0.0.1:0", None)
    }

    /// Starts a broker with a planted defect.
    pub fn start_with_defect(data: &Path, defect: &str) -> Self {
        Self::start_on(data, "127.0.0.1:0", "127.0.0.1:0", Some(defect))
    }

    /// Starts it again where it was.
    pub fn restart(&self) -> Self {
        Self::start_on(&self.data, &self.address, &self.http, self.defect.as_deref())
    }

    /// Starts a broker on free ports with these settings and variables of the environment.
    pub fn start_set(data: &Path, settings: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = thalweg();
        command
            .envs(variables.iter().copied())
            .args(["serve", "--output", "json", "--set", "storage.free_bytes_min=1MiB"])
            .args(["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"])
            .args(settings.iter().flat_map(|setting| ["--set", setting]))
            .arg("--data-dir")
            .arg(data);
        Self::spawn(&mut command, data)
    }

    fn start_on(data: &Path, address: &str, http: &str, defect: Option<&str>) -> Self {
        let mut command = thalweg();
        command.envs(defect.map(|defect| ("THALWEG_DEFECT", defect)));
        command
            .args(["serve", "--output", "json", "--set", "storage.free_bytes_min=1MiB"])
            .args(["--listen", address, "--http", http, "--data-dir"])
            .arg(data);
        let mut started = Self::spawn(&mut command, data);
        started.defect = defect.map(str::to_owned);
        started
    }

    /// Starts a broker as `command` says, and waits until it serves.
    pub fn spawn(command: &mut Command, data: &Path) -> Self {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(data.with_extension("broker.log"))
            .unwrap();
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let (sender, line) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).map(|_| sender.send(line))
        });
        let line = line.recv_timeout(DEADLINE).unwrap_or_default();
        let data = data.to_owned();
        let Ok(ready) = serde_json::from_str::<Value>(&line) else {
            drop(child.kill());
            let log = std::fs::read_to_string(data.with_extension("broker.log")).unwrap();
            panic!("the broker said {line:?} instead of where it listens; its log: {log}");
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let addresses: Vec<_> = ready["listen"].as_array().unwrap().iter().map(text).collect();
        let (address, http) = (addresses[0].clone(), text(&ready["http"]));
        Self { child, data, defect: None, address, addresses, http }
    }

    /// Waits until the broker's log holds this text: it is written beside the work that it tells of.
    pub fn log_until(&self, text: &str) {
        let (_ends, wait) = mpsc::channel::<()>();
        for _ in 0..DEADLINE.as_millis() / LOOK.as_millis() {
            if self.log().contains(text) {
                return;
            }
            // Nobody sends: the next look comes after the period.
            _ = wait.recv_timeout(LOOK);
        }
        panic!("{text:?} is not in the log: {}", self.log());
    }

    /// The broker's log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.data.with_extension("broker.log")).unwrap()
    }

    /// SIGKILL, by its own id.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and its exit code.
    pub fn stop(&mut self) -> i32 {
        self.signal(Signal::TERM);
        wait(&mut self.child).code().unwrap_or(-1)
    }

    /// The exit code after a signal that was sent.
    pub fn stop_after_signal(&mut self) -> i32 {
        wait(&mut self.child).code().unwrap_or(-1)
    }

    /// Sends a signal, by its own id.
    pub fn signal(&self, signal: Signal) {
        kill_process(pid(&self.child), signal).unwrap();
    }

    /// Runs a client command against this broker.
    pub fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, b"")
    }

    /// Runs a client command with this standard input.
    pub fn run_with(&self, args: &[&str], input: &[u8]) -> Ran {
        run(&mut self.command(args), input)
    }

    /// A client command against this broker.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = thalweg();
        command.env("THALWEG_BROKER", &self.address).args(args);
        command
    }

    /// Records in a topic, by its high watermarks.
    pub fn records(&self, topic: &str) -> i64 {
        let describe = ["topic", "describe", topic, "--output", "json", "--timeout", "1m"];
        let described = self.run(&describe).good().json();
        let partitions = described["partitions"].as_array().unwrap();
        partitions.iter().filter_map(|it| it["high_watermark"].as_i64()).sum()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Ended already, or a test has failed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Past the capture of test output: what did or did not run is to be seen when all is well, too.
pub fn say(line: &str) {
    let line = format!("{}\n", line.trim_end());
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// Two ports that were free a moment ago.
pub fn free_ports() -> [u16; 2] {
    let sockets = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    sockets.map(|socket| socket.local_addr().unwrap().port())
}

/// A number of the environment that scales a test.
pub fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}
