//! The broker that is measured: one of this run's own, or one that runs already.

use std::path::Path;
use std::time::Duration;

use thalweg_broker::base::process_cpu;
use thalweg_client::{Client, ClientBuilder, DescribedTopic, NewTopic};

use super::counters::Counters;
use super::options::WorkloadArgs;
use super::plan::Plan;
use crate::broker::Broker;
use crate::failure::Failure;

/// A port that is free.
const FREE: &str = "127.0.0.1:0";

/// A run may fill a disk; it leaves so much of it.
const FREE_BYTES_MIN: &str = "storage.free_bytes_min=1GiB";

/// The broker, and how to look at it from outside.
#[derive(Debug)]
pub(super) struct Target {
    address: String,
    http: Option<String>,
    embedded: Option<Broker>,
    timeout: Duration,
    /// The topic is this run's own, and goes with it.
    made_topic: bool,
}

/// What the broker had used and done at some moment. What is not known is none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    cpu: Option<f64>,
    counters: Option<Counters>,
}

/// What the broker used and did between two readings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Used {
    pub(super) cpu_seconds: Option<f64>,
    pub(super) flushes: Option<f64>,
    pub(super) flushed_logs: Option<f64>,
}

impl Target {
    /// Finds the broker, or starts one with its data in `folder`.
    pub(super) async fn open(args: &WorkloadArgs, folder: &Path) -> Result<Self, Failure> {
        let mut target = Self {
            address: args.broker.clone().unwrap_or_else(usual_broker),
            http: args.http.clone(),
            embedded: None,
            timeout: args.timeout,
            made_topic: false,
        };
        if args.embedded {
            let broker = Broker::start(folder, FREE, FREE, &[FREE_BYTES_MIN]).await?;
            target.address.clone_from(&broker.address);
            target.http = Some(broker.http.clone());
            target.embedded = Some(broker);
        }
        Ok(target)
    }

    /// A client with connections of its own.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        Ok(self.builder().build()?)
    }

    fn builder(&self) -> ClientBuilder {
        Client::builder()
            .bootstrap(&self.address)
            .client_name("thalweg-bench")
            .connect_timeout(self.timeout.min(Duration::from_secs(5)))
            .api_timeout(self.timeout)
    }

    /// Makes the topic if it is not there; says whether it did. One that is there is taken as it is.
    pub(super) async fn make_topic(&mut self, plan: &mut Plan) -> Result<bool, Failure> {
        let admin = self.client()?.admin();
        let listed = admin.list_topics().await?;
        if !listed.iter().any(|topic| topic.name == plan.topic) {
            let mut topic = NewTopic::new(&plan.topic).partitions(plan.partitions);
            if let Some(durability) = plan.durability {
                topic = topic.config("durability", durability.name());
            }
            admin.create_topic(topic).await?;
            self.made_topic = true;
        }
        let described = admin.describe_topic(&plan.topic).await?;
        adopt(plan, &described)?;
        Ok(self.made_topic)
    }

    /// Takes the topic away again, if it is this run's own. A broker of its own goes as a whole.
    pub(super) async fn remove_topic(&self, plan: &Plan) -> Result<(), Failure> {
        if self.made_topic && self.embedded.is_none() {
            self.client()?.admin().delete_topic(&plan.topic).await?;
        }
        Ok(())
    }

    /// What the broker has used and done so far.
    pub(super) async fn read(&self) -> Result<Reading, Failure> {
        let counters = match &self.http {
            None => None,
            Some(http) => Some(Counters::read(http).await.map_err(|error| {
                Failure::failed(format!(
                    "cannot read the metrics at http://{http}/metrics: {error}"
                ))
            })?),
        };
        let cpu = match &self.embedded {
            Some(broker) => process_cpu(broker.pid).map(|time| time.as_secs_f64()),
            None => counters.map(|counters| counters.cpu_seconds),
        };
        Ok(Reading { cpu, counters })
    }

    /// Ends the broker if it is this run's own.
    pub(super) fn end(self) -> Result<(), Failure> {
        // Nobody needs its data any more: it need not stop in order.
        self.embedded.map_or(Ok(()), Broker::kill)
    }

    /// The end of the log of a broker of this run's own, for a failure.
    pub(super) fn explain(&self, failure: Failure) -> Failure {
        let log = self.embedded.as_ref().map(Broker::log_end).filter(|log| !log.is_empty());
        match (failure, log) {
            (Failure::Failed(text), Some(log)) => {
                Failure::Failed(format!("{text}\nthe broker's log ends:\n{log}"))
            }
            (failure, _) => failure,
        }
    }
}

impl Reading {
    /// What came between `earlier` and this.
    pub(super) fn since(self, earlier: Self) -> Used {
        let counters = self.counters.zip(earlier.counters).map(|(now, then)| now.since(then));
        Used {
            cpu_seconds: self.cpu.zip(earlier.cpu).map(|(now, then)| now - then),
            flushes: counters.map(|counters| counters.flushes),
            flushed_logs: counters.map(|counters| counters.flushed_logs),
        }
    }
}

fn usual_broker() -> String {
    std::env::var("THALWEG_BROKER").unwrap_or_else(|_| "127.0.0.1:9092".to_owned())
}

/// The plan tells what is, not what was asked for.
fn adopt(plan: &mut Plan, topic: &DescribedTopic) -> Result<(), Failure> {
    use super::plan::Durability;
    let setting = |key: &str| topic.configs.iter().find(|config| config.key == key);
    let found = match setting("durability").map(|config| config.value.as_str()) {
        Some("replicated") => Durability::Replicated,
        _ => Durability::Synced,
    };
    if plan.durability.is_some_and(|wanted| wanted != found) {
        return Err(Failure::usage(format!(
            "topic {} is there already with durability={}: name another topic, or leave --durability out",
            plan.topic,
            found.name()
        )));
    }
    plan.durability = Some(found);
    plan.partitions = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    Ok(())
}
