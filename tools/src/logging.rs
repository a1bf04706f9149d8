//! Where log lines go: to standard error, for people or as JSON.

use std::io::{self, IsTerminal};

use thalweg_broker::config::{LogConfig, LogFormat};
use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Log lines of a broker, as its configuration says.
pub(crate) fn for_broker(config: &LogConfig) -> Result<(), ParseError> {
    let wanted: Targets = config.level.parse()?;
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let registry = tracing_subscriber::registry().with(wanted);
    match config.format {
        LogFormat::Human => registry.with(lines.with_ansi(io::stderr().is_terminal())).init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).init(),
    }
    Ok(())
}

/// Log lines of the client library: warnings, and more for each `--verbose`.
pub(crate) fn for_clients(verbose: u8) {
    let level = match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .without_time()
        .init();
}
