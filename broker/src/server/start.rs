//! Assembles a broker, in this order: sockets are bound, log directories opened, metadata read, the broker
//! registered, partitions recovered, and only then connections accepted.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use thalweg_protocol::{BrokerEpoch, ClusterId, LeaderEpoch};
use thalweg_storage::fs::{FileSystem, OsFileSystem};
use thalweg_storage::{DirState, LogDir, LogDirOptions, OpenDirError, OpenFiles, Owner};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::admin_http;
use super::handshake::Introduction;
use super::limits::Limits;
use super::listener::{Door, accept};
use super::requests::RequestCounts;
use crate::api::{ReadPool, Services};
use crate::base::{ByteSize, Clock, Readiness, SystemClock, Tasks};
use crate::cluster::{
    Endpoint, FileMetadataLog, FileMetadataLogOptions, IdentityError, MetadataError,
    MetadataHandle, MetadataLog, MetadataLogError, MetadataOptions, MetadataWorker, Publisher,
    Registration, Rules, cluster_to_join,
};
use crate::config::{Address, BrokerConfig, Listener};
use crate::coordinator::{Coordinator, CoordinatorOptions};
use crate::metrics::{DirectoryState, Metrics, UPKEEP_INTERVAL, amount};
use crate::partition::{
    Compactor, CompactorHandle, CompactorOptions, Directory, Flusher, FlusherWorker, Maintenance,
    MaintenanceOptions, Table,
};
use crate::replication::{Assignment, AssignmentOptions};
use crate::transport::bind;

/// How long registering with the metadata may take.
const REGISTER_TIMEOUT: Duration = Duration::from_secs(30);

/// No request is waited for longer, whatever its client says.
const REQUEST_TIMEOUT_MAX: Duration = Duration::from_mins(2);

/// Requests to the metadata that wait at most.
const METADATA_REQUESTS_MAX: usize = 1_024;

/// Once the metadata log has so many bytes, a snapshot takes its place.
const METADATA_SNAPSHOT_BYTES: u64 = 8 * 1024 * 1024;

/// Reads from disk at a time.
const READS_MAX: usize = 8;

/// Why a broker could not start. What was begun is undone.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}{}", hint(source))]
    Listen {
        /// The address.
        address: Address,
        /// What the system said.
        source: io::Error,
    },
    /// A host name means no address.
    #[error("cannot resolve {address}: {source}")]
    Resolve {
        /// The address.
        address: Address,
        /// What the system said.
        source: io::Error,
    },
    /// A log directory cannot be used.
    #[error(transparent)]
    Directory(#[from] OpenDirError),
    /// The metadata cannot be read.
    #[error(transparent)]
    MetadataLog(#[from] MetadataLogError),
    /// The log directories and the metadata do not belong together.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The broker cannot be registered.
    #[error("cannot register this broker: {0}")]
    Register(#[from] MetadataError),
    /// A thread or runtime cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// Several voters are configured.
    #[error(
        "voters names {0} brokers; this release runs a broker alone: leave voters empty or name this one"
    )]
    Voters(usize),
}

/// What may help when an address is taken.
fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; stop the other process, or choose another port (0 takes a free one)"
        }
        io::ErrorKind::PermissionDenied => "; ports below 1024 need privileges",
        _ => "",
    }
}

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
    pub(super) compactor: Option<Compactor>,
    pub(super) flushers: Vec<FlusherWorker>,
    pub(super) data: Option<Runtime>,
    pub(super) control: Option<Runtime>,
}

/// The sockets, bound before anything on disk is touched: a listener's setting, its socket, its address.
type Sockets = Vec<(Listener, TcpListener, SocketAddr)>;

/// The broker's place in the cluster.
struct Membership {
    metadata: MetadataHandle,
    cluster: ClusterId,
    epoch: BrokerEpoch,
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
        tasks.spawn("metrics", control.handle(), keep_up(Arc::clone(&metrics), stop.clone()));
        let http_address = serve_http(&config, &control, &tasks, &metrics, &readiness, &stop)?;

        let dirs = open_directories(fs, &config)?;
        let membership = join(fs, &config, &dirs, &sockets, &control)?;
        let (directories, flushers) = run_directories(&dirs, &config, &clock, &metrics)?;
        watch_directories(&directories, &readiness);
        let table = Arc::new(Table::new(config.node_id, directories));
        show_figures(&table, &membership.metadata, &metrics);
        let parts = Parts { config, clock, metrics, membership, table, stop, data, control };
        let assignment = parts.assign()?;
        let maintenance = parts.maintain()?;
        let compactor = parts.compact()?;
        let addresses = sockets.iter().map(|(.., address)| *address).collect();
        let connections = supervised(&parts.metrics);
        parts.open_doors(sockets, &tasks, &connections, compactor.handle());
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
            compactor: Some(compactor),
            flushers,
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
    Ok((data.map_err(StartError::Thread)?, control.map_err(StartError::Thread)?))
}

fn bind_all(config: &BrokerConfig, data: &Runtime) -> Result<Sockets, StartError> {
    let bind = |listener: &Listener| {
        let (socket, at) = bind_one(&listener.address, data)?;
        Ok((listener.clone(), socket, at))
    };
    config.listeners.iter().map(bind).collect()
}

fn bind_one(address: &Address, runtime: &Runtime) -> Result<(TcpListener, SocketAddr), StartError> {
    let resolve = |source| StartError::Resolve { address: address.clone(), source };
    let listen = |source| StartError::Listen { address: address.clone(), source };
    let at = (address.host.as_str(), address.port)
        .to_socket_addrs()
        .map_err(resolve)?
        .next()
        .ok_or_else(|| resolve(io::Error::other("the name has no address")))?;
    let _within = runtime.enter();
    let socket = bind(at).map_err(listen)?;
    let at = socket.local_addr().map_err(listen)?;
    Ok((socket, at))
}

fn open_directories(
    fs: &Arc<dyn FileSystem>,
    config: &BrokerConfig,
) -> Result<Vec<Arc<LogDir>>, StartError> {
    let files_max = match config.storage.open_files_max {
        0 => OpenFiles::for_descriptors(descriptors_max()).counts().open_max,
        max => count(max),
    };
    // Each open file may be mapped, so one table keeps both bounds.
    let open_files = OpenFiles::new(files_max.min(count(config.storage.maps_max)));
    let free_bytes_min = config.storage.free_bytes_min.bytes();
    let options = LogDirOptions {
        free_bytes_min,
        reserve_bytes: RESERVE_BYTES_MAX.min(free_bytes_min / 4),
        open_files,
    };
    // The cluster is checked and noted once the metadata has it; see `join`.
    let owner = Owner { node: config.node_id, cluster: None };
    let open = |path: &PathBuf| {
        LogDir::open(Arc::clone(fs), path, &owner, options.clone()).map_err(StartError::from)
    };
    config.data_dirs.iter().map(open).collect()
}

/// Blocks set aside on each disk for checkpoints and deletes.
const RESERVE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How many descriptors this process may have.
fn descriptors_max() -> u64 {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Reads the metadata and registers this start of the broker: a new broker epoch, new leader epochs.
fn join(
    fs: &Arc<dyn FileSystem>,
    config: &BrokerConfig,
    directories: &[Arc<LogDir>],
    sockets: &Sockets,
    control: &Runtime,
) -> Result<Membership, StartError> {
    let folder = config.data_dirs.first().map(|dir| dir.join(METADATA_FOLDER)).unwrap_or_default();
    let log = FileMetadataLog::open(
        Arc::clone(fs),
        FileMetadataLogOptions { folder, snapshot_log_bytes: METADATA_SNAPSHOT_BYTES },
    )?;
    let image = log.image();
    let known = directories.iter().map(|dir| dir.identity().cluster);
    let cluster = cluster_to_join(&image, config.cluster_id, known, ClusterId::random())?;
    let options = MetadataOptions {
        broker: config.node_id,
        rules: Rules::of(config),
        requests_max: METADATA_REQUESTS_MAX,
    };
    let (worker, metadata) = MetadataWorker::new(options, log, Publisher::new(image));
    worker.spawn().map_err(StartError::Thread)?;
    let registration = Registration {
        cluster,
        broker: config.node_id,
        endpoints: endpoints(sockets),
        rack: config.rack.clone(),
        release: env!("CARGO_PKG_VERSION").to_owned(),
        directories: directories.iter().map(|dir| dir.directory_id()).collect(),
    };
    let register = metadata.register_broker(registration, REGISTER_TIMEOUT);
    let epoch = control.block_on(register)?;
    // Only once the metadata has it: a folder that names a cluster which nobody knows would be refused.
    for dir in directories {
        dir.set_cluster(Some(cluster))?;
    }
    Ok(Membership { metadata, cluster, epoch })
}

/// The folder of the metadata in the first log directory.
const METADATA_FOLDER: &str = "metadata";

/// The name of the listener at this place: metadata tells clients the addresses of the one they came through.
fn listener_name(place: usize) -> String {
    format!("listener-{place}")
}

fn endpoints(sockets: &Sockets) -> Vec<Endpoint> {
    let endpoint = |(place, (listener, _, at)): (usize, &(Listener, TcpListener, SocketAddr))| {
        let (host, port) = match &listener.advertised {
            Some(advertised) => (advertised.host.clone(), advertised.port),
            None => (listener.address.host.clone(), at.port()),
        };
        Endpoint { listener: listener_name(place), host, port }
    };
    sockets.iter().enumerate().map(endpoint).collect()
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

/// Keeps the metrics small while nobody asks for them.
async fn keep_up(metrics: Arc<Metrics>, stop: CancellationToken) {
    let mut interval = tokio::time::interval(UPKEEP_INTERVAL);
    while stop.run_until_cancelled(interval.tick()).await.is_some() {
        metrics.upkeep();
    }
}

/// Gives each log directory its flusher.
fn run_directories(
    dirs: &[Arc<LogDir>],
    config: &BrokerConfig,
    clock: &Arc<dyn Clock>,
    metrics: &Metrics,
) -> Result<(Vec<Arc<Directory>>, Vec<FlusherWorker>), StartError> {
    let mut directories = Vec::new();
    let mut workers = Vec::new();
    for dir in dirs {
        for ignored in dir.ignored() {
            tracing::warn!(dir = %dir.path().display(), error = %ignored, "checkpoint not believed");
        }
        let figures = metrics.directory(dir.path());
        let threads = count(config.storage.flush_threads);
        let syncs = Arc::clone(&figures.syncs);
        let (flusher, worker) =
            Flusher::start(dir, threads, Arc::clone(clock), syncs).map_err(StartError::Thread)?;
        directories.push(Arc::new(Directory::new(Arc::clone(dir), flusher, figures)));
        workers.push(worker);
    }
    Ok((directories, workers))
}

/// A directory that takes no writes makes the broker not ready, with the reason.
fn watch_directories(directories: &[Arc<Directory>], readiness: &Readiness) {
    for directory in directories {
        let dir = directory.dir();
        let path = dir.path().display().to_string();
        tell(readiness, &path, &dir.state());
        let readiness = readiness.clone();
        dir.subscribe(Box::new(move |state| tell(&readiness, &path, state)));
    }
}

fn tell(readiness: &Readiness, path: &str, state: &DirState) {
    match state {
        DirState::Online => {
            tracing::info!(dir = path, "log directory takes writes");
            readiness.ready(path);
        }
        DirState::ReadOnly { free } => {
            tracing::warn!(dir = path, free, "log directory is read-only: too little free space");
            readiness.not_ready(path, format!("read-only: {free} bytes are free"));
        }
        DirState::Offline { reason } => {
            tracing::error!(dir = path, %reason, "log directory is offline");
            readiness.not_ready(path, format!("offline: {reason}"));
        }
    }
}

/// Has the figures of directories, partitions and topics looked up whenever somebody asks for them.
fn show_figures(table: &Arc<Table>, metadata: &MetadataHandle, metrics: &Arc<Metrics>) {
    // Weak on both sides: the metrics live as long as the broker, not the other way round. Nor do they keep the
    // metadata's worker alive, as a handle would.
    let (table, counts) = (Arc::downgrade(table), Arc::downgrade(metrics));
    let image = metadata.subscribe();
    metrics.before_render(move || {
        let (Some(table), Some(metrics)) = (table.upgrade(), counts.upgrade()) else { return };
        let figures = &metrics.broker;
        figures.topics.set(amount(image.borrow().topic_count() as u64));
        for directory in table.directories() {
            directory.show();
        }
        // One table of open files serves all directories.
        if let Some(directory) = table.directories().first() {
            let files = directory.dir().open_files().counts();
            figures.open_files.set(amount(files.open as u64));
        }
        show_partitions(&table, &metrics);
    });
}

/// Each partition where it stands, and how many are in which state.
fn show_partitions(table: &Table, metrics: &Metrics) {
    let (mut leading, mut following, mut read_only) = (0_u64, 0, 0);
    let mut offline = table.offline().len() as u64;
    for partition in table.online() {
        partition.show();
        let count = match DirectoryState::from(&partition.dir().state()) {
            DirectoryState::Offline => &mut offline,
            DirectoryState::ReadOnly => &mut read_only,
            DirectoryState::Online if partition.leads_in(LeaderEpoch::FIRST) => &mut leading,
            DirectoryState::Online => &mut following,
        };
        *count += 1;
    }
    let figures = &metrics.broker;
    figures.partitions_leading.set(amount(leading));
    figures.partitions_following.set(amount(following));
    figures.partitions_read_only.set(amount(read_only));
    figures.partitions_offline.set(amount(offline));
}

/// What is there once the log directories are open and the broker is registered.
struct Parts {
    config: Arc<BrokerConfig>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    membership: Membership,
    table: Arc<Table>,
    stop: CancellationToken,
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
        std::thread::Builder::new()
            .name("assignment".to_owned())
            .spawn(move || assignment.run(&handle, &stop))
            .map_err(StartError::Thread)
    }

    fn maintain(&self) -> Result<Maintenance, StartError> {
        let storage = &self.config.storage;
        let options = MaintenanceOptions {
            checkpoint_interval: storage.checkpoint_interval_ms.duration(),
            retention_interval: storage.retention_check_interval_ms.duration(),
        };
        Maintenance::start(options, Arc::clone(&self.table), Arc::clone(&self.clock))
            .map_err(StartError::Thread)
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
    ) {
        let services = Arc::new(Services {
            table: Arc::clone(&self.table),
            metadata: self.membership.metadata.clone(),
            groups: self.coordinate(),
            compactor,
            reads: ReadPool::new(READS_MAX),
            config: Arc::clone(&self.config),
            clock: Arc::clone(&self.clock),
            stop: self.stop.clone(),
        });
        let limits = Arc::new(limits(&self.config, &self.metrics));
        let (granted, shown) =
            (Arc::clone(&limits), self.metrics.connections.request_memory_bytes.clone());
        self.metrics.before_render(move || shown.set(amount(granted.granted_bytes() as u64)));
        let requests = Arc::new(RequestCounts::new(&self.metrics));
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

fn limits(config: &BrokerConfig, metrics: &Metrics) -> Limits {
    let limits = &config.limits;
    let bytes = |size: ByteSize| usize::try_from(size.bytes()).unwrap_or(usize::MAX);
    let memory_pieces = Limits::pieces(bytes(limits.request_memory_bytes_max));
    Limits {
        frame_bytes_max: bytes(limits.frame_bytes_max),
        requests_in_flight_max: count(limits.requests_in_flight_max),
        bytes_in_flight_max: bytes(limits.bytes_in_flight_max),
        idle_max: limits.connection_idle_ms_max.duration(),
        handshake_max: limits.handshake_ms_max.duration(),
        slow_reader_max: limits.slow_reader_ms_max.duration(),
        large_frame_max: limits.slow_reader_ms_max.duration(),
        request_timeout_max: REQUEST_TIMEOUT_MAX,
        connections_max: count(limits.connections_max),
        connections_per_address_max: count(limits.connections_per_address_max),
        handshakes: Arc::new(Semaphore::new(count(limits.handshakes_max))),
        memory: Arc::new(Semaphore::new(memory_pieces)),
        memory_pieces,
        memory_waits: metrics.connections.request_memory_waits.clone(),
        addresses: Mutex::default(),
    }
}
