//! The broker as the process that people run, on the file system that loses its power.

use std::path::Path;

use thalweg_client::Client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{Broker, DEADLINE, thalweg};

/// A running broker; killed when it is dropped.
pub struct Server {
    broker: Broker,
}

impl Server {
    /// Starts a broker with its data in `data`, its log beside `log`, and perhaps a planted defect.
    pub fn start(data: &Path, log: &Path, defect: Option<&str>) -> Self {
        let mut command = thalweg();
        command
            .envs(defect.map(|defect| ("THALWEG_DEFECT", defect)))
            .args(["serve", "--output", "json", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"])
            .args(["--set", "storage.free_bytes_min=1MiB", "--data-dir"])
            .arg(data);
        Self { broker: Broker::spawn(&mut command, log) }
    }

    pub fn client(&self) -> Client {
        let builder = Client::builder().bootstrap(self.broker.address.as_str());
        builder.client_name("power-cut").build().unwrap()
    }

    /// SIGKILL; returns when the process is gone.
    pub fn kill(mut self) {
        self.broker.kill();
    }

    /// What the broker has logged.
    pub fn log(&self) -> String {
        self.broker.log()
    }

    /// The sum of a counter over its labels.
    pub async fn counter(&self, name: &str) -> u64 {
        let mut stream = TcpStream::connect(&self.broker.http).await.unwrap();
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        timeout(DEADLINE, stream.read_to_string(&mut text)).await.unwrap().unwrap();
        let ours = text.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
        });
        let values: Vec<u64> =
            ours.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect();
        assert!(!values.is_empty(), "no metric is named {name}");
        values.iter().sum()
    }
}
