//! Assembles a broker, in this order: sockets are bound, log directories opened, metadata read, the broker
//! registered, partitions recovered, and only then connections accepted.

mod directories;
mod error;
mod figures;
mod join;
mod sockets;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use thalweg_storage::fs::{FileSystem, OsFileSystem};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use super::admin_http;
use super::complaints::Complaints;
use super::handshake::Introduction;
use super::limits::Limits;
use super::listener::{Door, accept};
use super::requests::RequestCounts;
use crate::api::{ReadPool, Services};
use crate::base::{Clock, Readiness, SystemClock, Tasks};
use crate::config::BrokerConfig;
use crate::coordinator::{Coordinator, CoordinatorOptions};
use crate::metrics::Metrics;
use crate::partition::{
    Compactor, CompactorHandle, CompactorOptions, Inflater, InflaterWorker, Maintenance,
    MaintenanceOptions, Scrub, ScrubOptions, Table,
};
use crate::replication::{Assignment, AssignmentOptions};

use directories::{
    DirectoryWorkers, descriptors_max, open_directories, run_directories, watch_directories,
};
pub use error::StartError;
use figures::{show_figures, show_limits};
use join::{Membership, join};
use sockets::{Sockets, bind_all, bind_one, listener_name};

/// Reads from disk at a time.
const READS_MAX: usize = 8;

/// A running broker. Dropping it stops it without draining; [`Broker::stop`] drains.
pub struct Broker {
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) drain_max: Duration,
    pub(super) table: Arc<Table>,
    pub(super) http_address: Option<SocketAddr>,
    pub(super) readiness: Readiness,
    pub(super) stop: CancellationToken,
    pub(super) connections: Tasks,
    pub(super) assignment: Option<JoinHandle<()>>,
    pub(super) maintenance: Option<Maintenance>,
    pub(super) scrub: Option<Scrub>,
    pub(super) workers: DirectoryWorkers,
    pub(super) inflater: Option<InflaterWorker>,
    pub(super) compactor: Option<Compactor>,
    pub(super) data: Option<Runtime>,
    pub(super) control: Option<Runtime>,
}

impl Broker {
    /// Starts a broker on the machine's file system. Blocks until it serves; after a crash that includes
    /// recovery.
    pub fn start(config: BrokerConfig) -> Result<Self, StartError> {
        Self::start_on(&(Arc::new(OsFileSystem) as Arc<dyn FileSystem>), config)
    }

    /// Starts a broker on `fs`.
    pub fn start_on(fs: &Arc<dyn FileSystem>, config: BrokerConfig) -> Result<Self, StartError> {
        if config.voters.len() > 1 {
            return Err(StartError::Voters(config.voters.len()));
        }
        let config = Arc::new(config);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let metrics = Metrics::new(&config);
        let (data, control) = runtimes()?;
        let sockets = bind_all(&config, &data)?;
        let stop = CancellationToken::new();
        let readiness = Readiness::new();
        readiness.not_ready("start", "the broker is recovering its partitions");
        let tasks = supervised(&metrics);
        let http_address = serve_http(&config, &control, &tasks, &metrics, &readiness, &stop)?;

        let dirs = open_directories(fs, &config)?;
        let membership = join(fs, &config, &dirs, &sockets, &control)?;
        let threads = supervised_threads(&metrics, &readiness);
        let (directories, workers) = run_directories(&dirs, &config, &clock, &metrics, &threads)?;
        watch_directories(&directories, &readiness);
        let table = Arc::new(Table::new(config.node_id, directories));
        show_figures(&table, &membership.metadata, &metrics);
        let parts = Parts {
            config,
            clock,
            metrics,
            membership,
            table,
            stop,
            threads,
            readiness: readiness.clone(),
            data,
            control,
        };
        let assignment = parts.assign()?;
        let maintenance = parts.maintain()?;
        let scrub = parts.scrub()?;
        let compactor = parts.compact()?;
        let (inflater, inflater_worker) =
            Inflater::start(&parts.threads).map_err(StartError::Thread)?;
        let addresses = sockets.iter().map(|(.., address)| *address).collect();
        let connections = supervised(&parts.metrics);
        parts.open_doors(sockets, &tasks, &connections, compactor.handle(), inflater);
        readiness.ready("start");
        Ok(Self {
            addresses,
            http_address,
            drain_max: parts.config.drain_ms_max.duration(),
            table: parts.table,
            readiness,
            stop: parts.stop,
            connections,
            assignment: Some(assignment),
            maintenance: Some(maintenance),
            scrub: Some(scrub),
            workers,
            inflater: Some(inflater_worker),
            compactor: Some(compactor),
            data: Some(parts.data),
            control: Some(parts.control),
        })
    }

    /// Where it listens, in the order of the configuration.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where it serves metrics and health.
    pub const fn http_address(&self) -> Option<SocketAddr> {
        self.http_address
    }

    /// The partitions that cannot be used, with the reason.
    pub fn offline_partitions(&self) -> Vec<(String, String)> {
        self.table.offline()
    }
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// One runtime with a worker for each core for data, and one with a single thread for control.
fn runtimes() -> Result<(Runtime, Runtime), StartError> {
    let data = Builder::new_multi_thread().thread_name("data").enable_all().build();
    let control =
        Builder::new_multi_thread().worker_threads(1).thread_name("control").enable_all().build();
    let data = data.map_err(StartError::Thread)?;
    data.spawn(tick());
    Ok((data, control.map_err(StartError::Thread)?))
}

/// Rings every second and does nothing. A runtime wakes the thread that waits for sockets and timers whenever a timer is
/// set that rings before all others: on a quiet broker that was each deadline of a request, and as dear as the request.
async fn tick() {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Serves metrics and health, where the configuration asks for it.
fn serve_http(
    config: &BrokerConfig,
    control: &Runtime,
    tasks: &Tasks,
    metrics: &Arc<Metrics>,
    readiness: &Readiness,
    stop: &CancellationToken,
) -> Result<Option<SocketAddr>, StartError> {
    let Some(address) = &config.http_address else { return Ok(None) };
    let (socket, at) = bind_one(address, control)?;
    let (readiness, metrics) = (readiness.clone(), Arc::clone(metrics));
    let serving = admin_http::serve(socket, readiness, metrics, stop.clone());
    tasks.spawn("http", control.handle(), serving);
    Ok(Some(at))
}

/// Tasks whose panics are counted.
fn supervised(metrics: &Arc<Metrics>) -> Tasks {
    let metrics = Arc::clone(metrics);
    Tasks::new(move |_failure| metrics.broker.task_panics.increment(1))
}

/// Threads whose panics are counted. The broker cannot do without any of them: it is not ready any more.
fn supervised_threads(metrics: &Arc<Metrics>, readiness: &Readiness) -> Tasks {
    let (metrics, readiness) = (Arc::clone(metrics), readiness.clone());
    Tasks::new(move |failure| {
        metrics.broker.task_panics.increment(1);
        let reason = format!("it has panicked, restart the broker: {}", failure.message);
        readiness.not_ready(format!("{} thread", failure.name), reason);
    })
}

/// What is there once the log directories are open and the broker is registered.
struct Parts {
    config: Arc<BrokerConfig>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    membership: Membership,
    table: Arc<Table>,
    stop: CancellationToken,
    threads: Tasks,
    readiness: Readiness,
    data: Runtime,
    control: Runtime,
}

impl Parts {
    /// Opens the partitions, then follows the metadata on a thread.
    fn assign(&self) -> Result<JoinHandle<()>, StartError> {
        let mut assignment = Assignment::new(AssignmentOptions {
            broker: self.config.node_id,
            epoch: self.membership.epoch,
            config: Arc::clone(&self.config),
            table: Arc::clone(&self.table),
            metadata: self.membership.metadata.clone(),
            clock: Arc::clone(&self.clock),
            metrics: Arc::clone(&self.metrics),
        });
        let (handle, stop) = (self.control.handle().clone(), self.stop.clone());
        assignment.remove_leftovers();
        assignment.open_all(&handle);
        self.threads
            .spawn_thread("assignment", move || assignment.run(&handle, &stop))
            .map_err(StartError::Thread)
    }

    fn maintain(&self) -> Result<Maintenance, StartError> {
        let storage = &self.config.storage;
        let options = MaintenanceOptions {
            checkpoint_interval: storage.checkpoint_interval_ms.duration(),
            retention_interval: storage.retention_check_interval_ms.duration(),
        };
        let (table, clock) = (Arc::clone(&self.table), Arc::clone(&self.clock));
        Maintenance::start(options, table, clock, &self.threads).map_err(StartError::Thread)
    }

    fn scrub(&self) -> Result<Scrub, StartError> {
        let storage = &self.config.storage;
        let options = ScrubOptions {
            bytes_per_second: storage.scrub_bytes_per_second.bytes(),
            interval: storage.scrub_interval_ms.duration(),
        };
        let (table, clock) = (Arc::clone(&self.table), Arc::clone(&self.clock));
        let last_pass = self.metrics.broker.scrub_last_pass.clone();
        Scrub::start(options, table, clock, last_pass, &self.threads).map_err(StartError::Thread)
    }

    /// What strangers may take, within what the system allows this process.
    fn limits(&self) -> Limits {
        // One table of open files serves all directories.
        let directories = self.table.directories();
        let log_files_max =
            directories.first().map_or(0, |it| it.dir().open_files().counts().open_max);
        let limits = Limits::of(
            &self.config.limits,
            &self.metrics.connections,
            descriptors_max(),
            log_files_max,
        );
        let wanted = count(self.config.limits.connections_max);
        if limits.connections_max < wanted {
            tracing::warn!(
                connections_max = limits.connections_max,
                wanted,
                log_files_max,
                "the system allows this process too few open files for all connections; raise its limit (ulimit -n)"
            );
        }
        limits
    }

    fn compact(&self) -> Result<Compactor, StartError> {
        let storage = &self.config.storage;
        let memory = storage.compaction_memory_max.bytes();
        let options = CompactorOptions {
            interval: storage.compaction_check_interval_ms.duration(),
            memory_bytes_max: usize::try_from(memory).unwrap_or(usize::MAX),
            bytes_per_second_max: storage.compaction_bytes_per_second_max.bytes(),
        };
        let (table, clock) = (Arc::clone(&self.table), Arc::clone(&self.clock));
        Compactor::start(options, table, clock, Arc::clone(&self.metrics.compaction))
            .map_err(StartError::Thread)
    }

    /// Looks after the groups whose shards are led here.
    fn coordinate(&self) -> Coordinator {
        Coordinator::start(CoordinatorOptions {
            config: Arc::clone(&self.config),
            table: Arc::clone(&self.table),
            metadata: self.membership.metadata.clone(),
            clock: Arc::clone(&self.clock),
            control: self.control.handle().clone(),
            data: self.data.handle().clone(),
            tasks: supervised(&self.metrics),
            readiness: self.readiness.clone(),
            metrics: Arc::clone(&self.metrics.coordinator),
            series: Arc::clone(&self.metrics.groups),
        })
    }

    /// Accepts connections on every listener.
    fn open_doors(
        &self,
        sockets: Sockets,
        tasks: &Tasks,
        connections: &Tasks,
        compactor: CompactorHandle,
        inflater: Inflater,
    ) {
        let services = Arc::new(Services {
            table: Arc::clone(&self.table),
            metadata: self.membership.metadata.clone(),
            groups: self.coordinate(),
            compactor,
            inflater,
            reads: ReadPool::new(READS_MAX, self.metrics.broker.cold_reads.clone()),
            config: Arc::clone(&self.config),
            clock: Arc::clone(&self.clock),
            stop: self.stop.clone(),
        });
        let limits = Arc::new(self.limits());
        show_limits(&limits, &self.metrics);
        let requests = Arc::new(RequestCounts::new(&self.metrics));
        let complaints = Arc::new(Complaints::default());
        for (place, (listener, socket, _)) in sockets.into_iter().enumerate() {
            let door = Door {
                name: listener_name(place).into(),
                protocol: listener.protocol,
                introduction: Introduction {
                    cluster: self.membership.cluster,
                    broker: self.config.node_id,
                    broker_epoch: self.membership.epoch,
                },
                services: Arc::clone(&services),
                limits: Arc::clone(&limits),
                metrics: Arc::clone(&self.metrics.connections),
                complaints: Arc::clone(&complaints),
                requests: Arc::clone(&requests),
                data: self.data.handle().clone(),
                control: self.control.handle().clone(),
                connections: connections.clone(),
                stop: self.stop.clone(),
            };
            tasks.spawn("accept", self.data.handle(), accept(socket, Arc::new(door)));
        }
    }
}
