//! The demo's story, step by step.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tempfile::TempDir;
use thalweg_client::{Client, Delivered, NewTopic, Producer};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{interval, timeout};

use super::check::complaints;
use super::events::{self, Event};
use super::group::{Members, Summed};
use super::narrate::{conclude, detail, good, step, title, verdict};
use super::publish::{Place, Round, TOPIC, Tally};
use super::read::{self, Live};
use super::show::{self, Latencies, Summary};
use crate::broker::Broker;
use crate::clock::Started;
use crate::connect::runtime;
use crate::console::Console;
use crate::failure::Failure;
use crate::values::{self, grouped};

/// A port that is free.
const FREE: &str = "127.0.0.1:0";

/// What the demo writes is little: it runs on a disk that is nearly full, too.
const FREE_BYTES_MIN: &str = "storage.free_bytes_min=1MiB";

/// The demo takes a few seconds; hanging for ever would prove nothing.
const DEMO_MAX: Duration = Duration::from_secs(90);

/// The demo has no options of its own.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {}

impl DemoArgs {
    /// Tells the story; fails if anything acknowledged is lost, doubled, changed or out of order.
    #[expect(clippy::unused_self, reason = "like every command")]
    pub(crate) fn run(self, console: &mut Console) -> Result<(), Failure> {
        let folder = TempDir::with_prefix("thalweg-demo-")
            .map_err(|error| Failure::failed(format!("cannot make a temporary folder: {error}")))?;
        let runtime = runtime()?;
        let result = runtime.block_on(until_interrupted(tell(folder.path(), console)));
        // What is still under way after a failure ends before its folder goes.
        runtime.shutdown_timeout(Duration::from_secs(1));
        let removed = folder.close();
        result?;
        removed.map_err(|error| {
            Failure::failed(format!("cannot remove the temporary folder: {error}"))
        })
    }
}

async fn until_interrupted(
    story: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::failed(format!("cannot watch for signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    tokio::select! {
        result = timeout(DEMO_MAX, story) => result.unwrap_or_else(|_| {
            Err(Failure::failed(format!("the demo did not end within {} s", DEMO_MAX.as_secs())))
        }),
        _ = tokio::signal::ctrl_c() => Err(Failure::failed("interrupted")),
        _ = terminate.recv() => Err(Failure::failed("interrupted")),
    }
}

/// What all steps share.
struct Stage<'a> {
    folder: &'a Path,
    console: &'a mut Console,
    events: Arc<[Event]>,
    started: Started,
    client: Client,
    producer: Producer,
    live: Live,
}

async fn tell(folder: &Path, console: &mut Console) -> Result<(), Failure> {
    let started = Started::now();
    let events: Arc<[Event]> = events::all()
        .map_err(|error| Failure::failed(format!("the events within this program: {error}")))?
        .into();
    let networks: BTreeSet<&str> = events.iter().map(|event| event.network.as_str()).collect();
    let networks = networks.len();
    title(console, &events, networks)?;

    let broker = Broker::start(folder, FREE, FREE, &[FREE_BYTES_MIN]).await?;
    step(console, 1, "A broker starts", &format!("process {}, on {}", broker.pid, broker.address))?;
    detail(console, "data", &folder.join("data").display().to_string())?;
    detail(console, "metrics", &format!("http://{}/metrics", broker.http))?;

    let client =
        Client::builder().bootstrap(&broker.address).client_name("thalweg-demo").build()?;
    client.admin().create_topic(NewTopic::new(TOPIC).partitions(3)).await?;
    let producer = client.producer().build().await?;
    let live = Live::start(&client, Arc::clone(&events), started).await?;
    let mut stage = Stage { folder, console, events, started, client, producer, live };

    let log_end = |broker: &Broker, failure| with_log(failure, &broker.log_end());
    let (mut acknowledged, latency) =
        stage.first_round().await.map_err(|failure| log_end(&broker, failure))?;
    let (broker, killed) = stage.second_round(broker, &mut acknowledged).await?;
    let read = stage.read_back(&acknowledged).await.map_err(|failure| log_end(&broker, failure))?;
    let group = stage.share(&broker).await.map_err(|failure| log_end(&broker, failure))?;
    stage.end(broker).await?;

    let summary = Summary {
        events: stage.events.len(),
        networks,
        latency,
        acknowledged_at_kill: killed.acknowledged,
        sent_at_kill: killed.sent,
        restart_ms: u64::try_from(killed.restart.as_millis()).unwrap_or(u64::MAX),
        acknowledged: acknowledged.len(),
        read_back: read.count,
        complaints: read.complaints,
        group,
        seconds: started.elapsed().as_secs_f64(),
    };
    conclude(stage.console, &summary, started)
}

fn with_log(failure: Failure, log: &str) -> Failure {
    match failure {
        Failure::Failed(text) => Failure::Failed(format!("{text}\nthe broker's log ends:\n{log}")),
        other => other,
    }
}

/// The moment of the kill.
struct Killed {
    sent: u64,
    acknowledged: u64,
    restart: Duration,
}

/// What was read back.
struct ReadBack {
    count: usize,
    complaints: Vec<String>,
}

type Acknowledged = Vec<(Place, Delivered)>;

impl Stage<'_> {
    fn round(&self, number: usize, tally: &Arc<Tally>) -> Round {
        Round {
            number,
            events: Arc::clone(&self.events),
            producer: self.producer.clone(),
            tally: Arc::clone(tally),
            started: self.started,
        }
    }

    /// Publishes all events while the live consumer reads them.
    async fn first_round(&mut self) -> Result<(Acknowledged, Option<Latencies>), Failure> {
        let begun = Started::now();
        let acknowledged = self.round(1, &Arc::default()).publish().await?;
        let seen = self.live.wait_for(acknowledged.len()).await?;
        let text = format!(
            "{} events in {}, keyed by network, each on disk before it was acknowledged",
            grouped(seen.len() as u64),
            values::time(begun.elapsed())
        );
        step(self.console, 2, "Published, and consumed live", &text)?;
        let latency = Latencies::of(&seen);
        if !self.console.is_json() {
            self.console.line("")?;
            let table = show::networks(&seen, &self.events);
            self.console.table_indented(&table, 5)?;
            self.console.line("")?;
            if let Some(latency) = &latency {
                detail(self.console, "end to end", &format!("{latency}"))?;
            }
        }
        Ok((acknowledged, latency))
    }

    /// Publishes all events again; in the middle the broker's process is killed, and started anew.
    async fn second_round(
        &mut self,
        broker: Broker,
        acknowledged: &mut Acknowledged,
    ) -> Result<(Broker, Killed), Failure> {
        let tally = Arc::new(Tally::default());
        let publishing = tokio::spawn(self.round(2, &tally).publish());
        let total = u64::try_from(self.events.len()).unwrap_or(u64::MAX);
        reached(&tally, total / 3).await?;
        let (address, http, pid) = (broker.address.clone(), broker.http.clone(), broker.pid);
        broker.kill()?;
        // The process is gone: what is acknowledged now it had acknowledged, and no more can come.
        settled(&tally).await;
        let (sent, before) = (tally.sent(), tally.acknowledged());
        step(self.console, 3, "Published again, and kill -9", &format!("process {pid}"))?;
        let text = format!(
            "{} acknowledged, {} on their way, {} still to come",
            grouped(before),
            grouped(sent - before),
            grouped(total - sent)
        );
        detail(self.console, "at the kill", &text)?;
        if before == 0 || before >= total {
            return Err(Failure::failed(format!(
                "the kill proves nothing: {before} of {total} events were acknowledged before it"
            )));
        }
        let begun = Started::now();
        let broker = Broker::start(self.folder, &address, &http, &[FREE_BYTES_MIN]).await?;
        let restart = begun.elapsed();
        let text =
            format!("process {}, in {}, same folder and ports", broker.pid, values::time(restart));
        detail(self.console, "restarted", &text)?;
        let published = publishing
            .await
            .map_err(|error| Failure::failed(format!("the publishing has ended: {error}")))?;
        acknowledged.extend(published.map_err(|failure| with_log(failure, &broker.log_end()))?);
        let text = format!("{} more acknowledged, by the same producer", grouped(total - before));
        detail(self.console, "after it", &text)?;
        Ok((broker, Killed { sent, acknowledged: before, restart }))
    }

    /// Reads everything from the beginning, and compares it with what was acknowledged.
    async fn read_back(&mut self, acknowledged: &Acknowledged) -> Result<ReadBack, Failure> {
        let seen = read::everything(&self.client, &self.events, self.started).await?;
        let mut found = complaints(acknowledged, &seen);
        let text = format!("{} events, from the beginning", grouped(seen.len() as u64));
        step(self.console, 4, "Everything is read back", &text)?;
        verdict(self.console, &found, acknowledged.len(), &seen)?;
        let live = self.live.wait_for(acknowledged.len()).await?;
        let live_found = complaints(acknowledged, &live);
        if live_found.is_empty() {
            good(
                self.console,
                "the live consumer has read on through the restart, and missed nothing",
            )?;
        }
        found.extend(live_found.into_iter().map(|one| format!("live: {one}")));
        Ok(ReadBack { count: seen.len(), complaints: found })
    }

    /// Three members share the topic; one is killed while the events are published once more.
    async fn share(&mut self, broker: &Broker) -> Result<Summed, Failure> {
        step(
            self.console,
            5,
            "Three consumers share the topic, and one is killed",
            "processes of group demo",
        )?;
        let members = Members::start(&broker.address).await?;
        let tally = Arc::new(Tally::default());
        let round = self.round(3, &tally);
        members.tell(self.console, &self.client, round, &tally).await
    }

    async fn end(&mut self, broker: Broker) -> Result<(), Failure> {
        if broker.stop().await? {
            return Ok(());
        }
        Err(Failure::failed("the broker did not stop clean on SIGTERM"))
    }
}

/// Waits until so many events are acknowledged.
pub(super) async fn reached(tally: &Tally, acknowledged: u64) -> Result<(), Failure> {
    const WAIT_MAX: Duration = Duration::from_secs(20);
    let mut ticks = interval(Duration::from_millis(1));
    let reaching = async {
        while tally.acknowledged() < acknowledged {
            ticks.tick().await;
        }
    };
    timeout(WAIT_MAX, reaching).await.map_err(|_| {
        Failure::failed(format!(
            "{} of {acknowledged} events acknowledged in 20 s",
            tally.acknowledged()
        ))
    })
}

/// Answers that the process had sent before it died are taken in: the count stands still.
async fn settled(tally: &Tally) {
    let mut ticks = interval(Duration::from_millis(10));
    ticks.tick().await;
    loop {
        let before = tally.acknowledged();
        ticks.tick().await;
        if tally.acknowledged() == before {
            return;
        }
    }
}
