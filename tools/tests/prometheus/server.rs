//! A real Prometheus on a free port, with our scrape file and rules, and its HTTP API.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::support::{DEADLINE, free_ports};
use crate::{program, project};

/// Between two looks at what does not wake us.
const LOOK: Duration = Duration::from_millis(50);

/// A running Prometheus; it ends with this value.
pub struct Prometheus {
    child: Child,
    address: String,
    folder: TempDir,
}

impl Prometheus {
    /// Starts one that scrapes `target` five times a second; none where there is none.
    pub async fn start(target: &str) -> Option<Self> {
        let program = program("prometheus")?;
        let folder = tempfile::tempdir().unwrap();
        // Our own files: only the address, and how often, are the test's.
        for file in ["prometheus.yml", "alerts.yml"] {
            let text = fs::read_to_string(project().join("config/prometheus").join(file)).unwrap();
            let text =
                text.replace("127.0.0.1:9644", target).replace("interval: 15s", "interval: 200ms");
            fs::write(folder.path().join(file), text).unwrap();
        }
        // A port that was free may be taken meanwhile: then it ends, and another one is tried.
        for _ in 0..5 {
            let address = format!("127.0.0.1:{}", free_ports()[0]);
            let mut started = Self::spawn(&program, &folder, &address);
            let settled = wait_until(|| started.is_ready() || started.has_ended()).await;
            if settled && !started.has_ended() {
                return Some(Self { child: started.child.take().unwrap(), address, folder });
            }
        }
        panic!("Prometheus does not start: {}", log(folder.path()));
    }

    fn spawn(program: &Path, folder: &TempDir, address: &str) -> Starting {
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new(program)
            .arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Starting { child: Some(child), address: address.to_owned() }
    }

    /// The answer to a query now: each series' labels and value.
    pub fn query(&self, query: &str) -> Vec<(Value, f64)> {
        let path = format!("/api/v1/query?query={}", escaped(query));
        let (status, body) = get(&self.address, &path).unwrap();
        let answer: Value = serde_json::from_str(&body).unwrap_or_default();
        assert_eq!((status, answer["status"].as_str()), (200, Some("success")), "{query}: {body}");
        let series = answer["data"]["result"].as_array().unwrap().iter();
        let number = |it: &Value| it["value"][1].as_str().unwrap().parse().unwrap();
        series.map(|it| (it["metric"].clone(), number(it))).collect()
    }

    /// The value of a query that answers one series, or none.
    pub fn value(&self, query: &str) -> Option<f64> {
        let answer = self.query(query);
        assert!(answer.len() <= 1, "{query}: {answer:?}");
        answer.first().map(|(_, value)| *value)
    }

    /// Any other question.
    pub fn ask(&self, path: &str) -> Value {
        let (status, body) = get(&self.address, path).unwrap();
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Asks until the query answers this number.
    pub async fn wait_for(&self, query: &str, wanted: f64) {
        let mut last = None;
        let came = wait_until(|| {
            last = self.value(query);
            last.is_some_and(|value| (value - wanted).abs() < 1e-6)
        })
        .await;
        assert!(came, "{query} is {last:?}, not {wanted}: {}", log(self.folder.path()));
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One that is not known to serve yet; ended unless it is taken out.
struct Starting {
    child: Option<Child>,
    address: String,
}

impl Starting {
    fn is_ready(&self) -> bool {
        get(&self.address, "/-/ready").is_ok_and(|(status, _)| status == 200)
    }

    fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some())
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

fn log(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap_or_default()
}

/// Looks again and again, until the deadline.
pub async fn wait_until(mut done: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    loop {
        if done() {
            return true;
        }
        if began.elapsed() > DEADLINE {
            return false;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// A GET over HTTP/1.0: the status and the body.
pub fn get(address: &str, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
    Ok((status, body.to_owned()))
}

/// A text as part of an address.
fn escaped(text: &str) -> String {
    let letter = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(letter).collect()
}
