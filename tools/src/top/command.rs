//! The options of `thalweg top`.

use std::io::{IsTerminal, stdin, stdout};
use std::time::Duration;

use clap::Args;
use tokio::sync::mpsc;

use super::{once, poll, terminal};
use crate::clock::Started;
use crate::connect::{Connect, runtime};
use crate::console::Console;
use crate::failure::Failure;
use crate::{logging, values};

/// While the screen is live nobody waits longer than this to hear that a broker is gone.
const SILENCE: Duration = Duration::from_secs(3);

/// Brokers are not asked more often than this.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// What to watch, and how often.
#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    /// How long to wait between rounds, such as 500ms or 5s; at least 100ms
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = values::duration)]
    interval: Duration,

    /// Print one snapshot and end; so it is too when there is no terminal
    #[arg(long)]
    once: bool,

    #[command(flatten)]
    connect: Connect,
}

impl TopArgs {
    /// Carries out the command.
    pub(crate) fn run(self, verbose: u8, console: &mut Console) -> Result<(), Failure> {
        if self.interval < INTERVAL_MIN {
            return Err(Failure::usage("--interval must be at least 100ms"));
        }
        let is_live = stdin().is_terminal() && stdout().is_terminal();
        if self.once || console.is_json() || !is_live {
            logging::for_clients(verbose);
            let admin = self.connect.client()?.admin();
            let samples = runtime()?.block_on(poll::twice(&admin, self.interval))?;
            return once::print(samples, console);
        }
        // Log lines would run across the screen: what matters of them is in the figures.
        let deadline = self.connect.timeout.min(SILENCE);
        let connect = Connect { timeout: deadline, ..self.connect };
        let admin = connect.client()?.admin();
        let runtime = runtime()?;
        let shown = runtime.block_on(async {
            let started = Started::now();
            let (sender, heard) = mpsc::channel(1);
            let times = (self.interval, deadline + Duration::from_secs(1));
            let polling = tokio::spawn(poll::rounds(admin, started, times, sender));
            let shown = terminal::show(started, heard).await;
            polling.abort();
            shown
        });
        runtime.shutdown_background();
        shown
    }
}
