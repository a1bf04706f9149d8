//! A running `thalweg consume --group`, and what it has said so far.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Broker, DEADLINE, wait};

/// What a process has said.
#[derive(Debug, Default)]
pub struct Said {
    pub out: Vec<String>,
    pub err: Vec<String>,
}

#[derive(Debug, Default)]
struct Ears {
    said: Mutex<Said>,
    heard: Condvar,
}

/// One member in a process of its own. Dropped, it is killed.
#[derive(Debug)]
pub struct Member {
    child: Child,
    ears: Arc<Ears>,
    listeners: Vec<std::thread::JoinHandle<()>>,
}

impl Member {
    /// Starts to read `topic`; `args` come on top.
    pub fn start(broker: &Broker, topic: &str, group: &str, args: &[&str]) -> Self {
        let mut command = broker.command(&["consume", topic, "--group", group, "--follow"]);
        command.args(args);
        Self::spawn(&mut command)
    }

    /// Starts any program that prints lines.
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let ears = Arc::new(Ears::default());
        let out = listen(child.stdout.take().unwrap(), &ears, |said| &mut said.out);
        let err = listen(child.stderr.take().unwrap(), &ears, |said| &mut said.err);
        Self { child, ears, listeners: vec![out, err] }
    }

    pub fn said(&self) -> MutexGuard<'_, Said> {
        self.ears.said.lock().unwrap()
    }

    /// Waits until what it has said is so.
    pub fn wait_for(&self, what: &str, is_so: impl Fn(&Said) -> bool) {
        let waited =
            self.ears.heard.wait_timeout_while(self.said(), DEADLINE, |said| !is_so(said)).unwrap();
        assert!(
            !waited.1.timed_out(),
            "no {what}; it said {:?} and {} lines",
            waited.0.err,
            waited.0.out.len()
        );
    }

    /// The member's id, as it said when it joined.
    pub fn id(&self) -> String {
        self.wait_for("id", |said| id_of(said).is_some());
        let said = self.said();
        id_of(&said).unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// SIGINT, and the end.
    pub fn interrupt(&mut self) -> ExitStatus {
        self.signal(Signal::INT);
        self.end()
    }

    /// SIGKILL, by its own id.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.end();
    }

    /// Waits until it has ended and all it said was heard.
    pub fn end(&mut self) -> ExitStatus {
        let status = wait(&mut self.child);
        for listener in self.listeners.drain(..) {
            listener.join().unwrap();
        }
        status
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // Ended already, or a test has failed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn id_of(said: &Said) -> Option<String> {
    said.err.iter().find_map(|line| Some(line.split_once(": joined as member ")?.1.to_owned()))
}

/// Takes whole lines; what a killed process has left of one is none.
fn listen(
    stream: impl Read + Send + 'static,
    ears: &Arc<Ears>,
    pick: fn(&mut Said) -> &mut Vec<String>,
) -> std::thread::JoinHandle<()> {
    let ears = Arc::clone(ears);
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
            if let Some(whole) = line.strip_suffix('\n') {
                pick(&mut ears.said.lock().unwrap()).push(whole.to_owned());
                ears.heard.notify_all();
            }
            line.clear();
        }
    })
}
