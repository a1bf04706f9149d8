//! The commands and which function carries each one out.

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

use crate::bench::BenchCommand;
use crate::cluster::ClusterCommand;
use crate::console::{Console, OutputFormat};
use crate::consume::ConsumeArgs;
use crate::demo::DemoArgs;
use crate::failure::Failure;
use crate::group::GroupCommand;
use crate::log::LogCommand;
use crate::logging;
use crate::produce::ProduceArgs;
use crate::serve::ServeArgs;
use crate::top::TopArgs;
use crate::topic::TopicCommand;

/// A log broker that you can trust: publish and subscribe, durably.
#[derive(Debug, Parser)]
#[command(name = "thalweg", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    /// How results are printed: for people, or as JSON, one document a line
    #[arg(long, global = true, env = "THALWEG_OUTPUT", value_enum, default_value = "table")]
    pub(crate) output: OutputFormat,

    /// Says more about what happens, on standard error; twice says even more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a broker; with no option: one node on 127.0.0.1:9092, data in ./thalweg-data
    Serve(Box<ServeArgs>),
    /// Create, list, describe, change and delete topics
    #[command(subcommand)]
    Topic(TopicCommand),
    /// Publish lines of text or JSON, from standard input or files
    Produce(Box<ProduceArgs>),
    /// Read records, to standard output
    Consume(Box<ConsumeArgs>),
    /// List, describe, reset and delete groups of consumers
    #[command(subcommand)]
    Group(GroupCommand),
    /// Look at the cluster
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Watch it live: topics by rate, groups by lag, the slowest partitions, brokers
    Top(TopArgs),
    /// Look at files of a log, off line
    #[command(subcommand)]
    Log(LogCommand),
    /// Measure: what a broker does, beside what this machine can do
    #[command(subcommand)]
    Bench(Box<BenchCommand>),
    /// See it work: real events through a broker that is killed and restarted
    Demo(DemoArgs),
    /// Print a script that completes commands in your shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Shells that can complete commands.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

impl Cli {
    /// Carries out the command.
    pub(crate) fn run(self, console: &mut Console) -> Result<(), Failure> {
        if !matches!(self.command, Command::Serve(_) | Command::Top(_)) {
            logging::for_clients(self.verbose);
        }
        match self.command {
            Command::Serve(args) => args.run(console),
            Command::Topic(command) => command.run(console),
            Command::Produce(args) => args.run(console),
            Command::Consume(args) => args.run(console),
            Command::Group(command) => command.run(console),
            Command::Cluster(command) => command.run(console),
            Command::Top(args) => args.run(self.verbose, console),
            Command::Log(command) => command.run(console),
            Command::Bench(command) => command.run(console),
            Command::Demo(args) => args.run(console),
            Command::Completions { shell } => completions(shell, console),
        }
    }
}

fn completions(shell: Shell, console: &mut Console) -> Result<(), Failure> {
    use clap_complete::Shell as Known;
    let shell = match shell {
        Shell::Bash => Known::Bash,
        Shell::Elvish => Known::Elvish,
        Shell::Fish => Known::Fish,
        Shell::Powershell => Known::PowerShell,
        Shell::Zsh => Known::Zsh,
    };
    // The generator cannot return an error: the script is made in memory first.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "thalweg", &mut script);
    console.bytes(&script)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_options_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }
}
