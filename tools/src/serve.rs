//! `thalweg serve`: a broker as a process, from its options to its last sync.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc;

use clap::Args;
use serde::Serialize;
use thalweg_broker::Broker;
use thalweg_broker::config::{BrokerConfig, LogFormat, Sources};
use tokio::signal::unix::{SignalKind, signal};

use crate::console::Console;
use crate::failure::Failure;
use crate::logging;

/// Options of the broker; each stands for a setting of the configuration file.
#[derive(Debug, Args)]
#[command(after_help = "Settings come from the file, then the environment (THALWEG_NODE_ID, \
    THALWEG_STORAGE__FREE_BYTES_MIN, …), then the options: the later wins.\n\
    SIGTERM and SIGINT stop in order: requests under way are answered, logs synced and marked clean. \
    A second signal stops at once.")]
pub(crate) struct ServeArgs {
    /// The configuration file, in TOML
    #[arg(long, value_name = "FILE", env = "THALWEG_CONFIG")]
    config: Option<PathBuf>,

    /// A folder for the data; once for each disk (default ./thalweg-data)
    #[arg(long = "data-dir", value_name = "FOLDER")]
    data_dirs: Vec<PathBuf>,

    /// Where clients connect; port 0 takes a free one (default 127.0.0.1:9092)
    #[arg(long = "listen", value_name = "HOST:PORT")]
    listen: Vec<String>,

    /// Where metrics and health are served, or "off" (default 127.0.0.1:9644)
    #[arg(long, value_name = "HOST:PORT")]
    http: Option<String>,

    /// This broker's number in its cluster (default 1)
    #[arg(long, value_name = "NUMBER")]
    node_id: Option<String>,

    /// The brokers that vote on the cluster's metadata (default: this one alone)
    #[arg(long, value_name = "ID@HOST:PORT,…")]
    voters: Option<String>,

    /// Any setting of the configuration file, such as `storage.free_bytes_min=2GiB`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

impl ServeArgs {
    /// Runs a broker until it is told to stop.
    pub(crate) fn run(self, console: &mut Console) -> Result<(), Failure> {
        let config = BrokerConfig::load(&self.sources())
            .map_err(|errors| Failure::usage(errors.to_string()))?;
        logging::for_broker(&config.log).map_err(|error| {
            Failure::usage(format!("log.level {:?}: {error}", config.log.level))
        })?;
        let signals = watch_signals()?;
        let format = config.log.format;
        let data_dirs = config.data_dirs.clone();
        let broker = Broker::start(config).map_err(|error| Failure::failed(error.to_string()))?;
        let ready = Ready {
            listen: broker.addresses().to_vec(),
            http: broker.http_address(),
            data_dirs,
            pid: std::process::id(),
        };
        ready.announce(console, format)?;
        for (partition, reason) in broker.offline_partitions() {
            tracing::error!(partition, reason, "partition is offline");
        }
        // The watcher lives as long as the process.
        let reason = signals.recv().unwrap_or("the end of the watch for signals");
        tracing::info!(reason, "stopping");
        if broker.stop() {
            tracing::info!("stopped clean");
            Ok(())
        } else {
            Err(Failure::failed(
                "the stop was not clean: the next start recovers; the log says why",
            ))
        }
    }

    fn sources(&self) -> Sources {
        let text = |path: &PathBuf| path.display().to_string();
        let mut sources = Sources::new().environment(environment());
        if let Some(file) = &self.config {
            sources = sources.file(file);
        }
        let folders: Vec<String> = self.data_dirs.iter().map(text).collect();
        let flags = [
            ("--data-dir", "data_dirs", joined(&folders)),
            ("--listen", "listeners", joined(&self.listen)),
            ("--http", "http_address", self.http.clone()),
            ("--node-id", "node_id", self.node_id.clone()),
            ("--voters", "voters", self.voters.clone()),
        ];
        for (flag, key, value) in flags {
            if let Some(value) = value {
                sources = sources.flag(flag, key, value);
            }
        }
        self.settings.iter().fold(sources, Sources::set)
    }
}

/// The values of an option that may be given several times; none when it was not given.
fn joined(values: &[String]) -> Option<String> {
    (!values.is_empty()).then(|| values.join(","))
}

/// The environment without the switch of test builds, which is no setting.
fn environment() -> impl Iterator<Item = (String, String)> {
    let is_setting = |name: &String| !(cfg!(feature = "defects") && name == "THALWEG_DEFECT");
    // What is not UTF-8 is no setting of ours.
    let texts = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    texts.filter(move |(name, _)| is_setting(name))
}

/// What a program that starts a broker wants to know.
#[derive(Debug, Serialize)]
struct Ready {
    listen: Vec<SocketAddr>,
    http: Option<SocketAddr>,
    data_dirs: Vec<PathBuf>,
    pid: u32,
}

impl Ready {
    /// For people on standard error; with `--output json` also one line on standard output, when all is said.
    fn announce(&self, console: &mut Console, format: LogFormat) -> Result<(), Failure> {
        self.tell_people(console, format);
        if console.is_json() {
            console.json(self)?;
            console.flush()?;
        }
        Ok(())
    }

    fn tell_people(&self, console: &Console, format: LogFormat) {
        let listed: Vec<String> = self.listen.iter().map(ToString::to_string).collect();
        let listen = listed.join(", ");
        let http = self.http.map_or_else(|| "off".to_owned(), |at| format!("http://{at}/metrics"));
        if format == LogFormat::Json {
            tracing::info!(listen, metrics = http, "ready");
            return;
        }
        let folders: Vec<String> =
            self.data_dirs.iter().map(|dir| dir.display().to_string()).collect();
        console.note(&format!(
            "thalweg {} listens on {listen}\n  data     {}\n  metrics  {http}\n  stop with Ctrl-C",
            env!("CARGO_PKG_VERSION"),
            folders.join(", ")
        ));
    }
}

/// Watches for signals on a thread: the first is told, the second ends the process at once.
fn watch_signals() -> Result<mpsc::Receiver<&'static str>, Failure> {
    let failed = |error| Failure::failed(format!("cannot watch for signals: {error}"));
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let (mut terminate, mut interrupt) = {
        let _within = runtime.enter();
        (
            signal(SignalKind::terminate()).map_err(failed)?,
            signal(SignalKind::interrupt()).map_err(failed)?,
        )
    };
    let (sender, receiver) = mpsc::channel();
    let watch = move || {
        runtime.block_on(async move {
            let mut is_first = true;
            loop {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                // Told while the broker still starts, it stops as soon as it has started.
                if !is_first || sender.send(name).is_err() {
                    tracing::warn!(
                        signal = name,
                        "second signal: stopping at once; the next start recovers"
                    );
                    std::process::exit(1);
                }
                is_first = false;
            }
        });
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(watch).map_err(failed)?;
    Ok(receiver)
}
