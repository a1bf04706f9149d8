//! Follows the metadata image, on a thread of its own: opens, creates, leads, alters and deletes partitions.

mod create;

use std::sync::Arc;
use std::time::Duration;

use thalweg_protocol::{BrokerEpoch, BrokerId, DirectoryId, TopicPartition};
use thalweg_storage::{Log, LogDir, RecoveryReport};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::base::{Clock, share_out};
use crate::cluster::{Delta, Image, MetadataHandle, Partition as PartitionEntry, Topic};
use crate::config::BrokerConfig;
use crate::metrics::Metrics;
use crate::partition::{Directory, Leadership, Member, Partition, Parts, Replica, Settings, Table};

/// How long one request to the metadata may take.
const METADATA_TIMEOUT: Duration = Duration::from_secs(30);

/// How many logs are opened, made or removed at the same time. They wait for the disk, which brings syncs that come
/// together to an end together.
const CHANGES_MAX: usize = 16;

/// What the assignment works with.
pub(crate) struct AssignmentOptions {
    /// This broker.
    pub(crate) broker: BrokerId,
    /// Its life.
    pub(crate) epoch: BrokerEpoch,
    /// Its settings.
    pub(crate) config: Arc<BrokerConfig>,
    /// The partitions that it holds.
    pub(crate) table: Arc<Table>,
    /// The metadata.
    pub(crate) metadata: MetadataHandle,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
    /// What is counted.
    pub(crate) metrics: Arc<Metrics>,
}

/// Brings the partitions of this broker to what the image says, one image after the other.
pub(crate) struct Assignment {
    options: AssignmentOptions,
    /// What has been carried out.
    done: Arc<Image>,
    /// Replicas that could not be made or opened yet, for want of room for example: tried again.
    pending: Vec<TopicPartition>,
}

/// A replica that this broker shall hold.
#[derive(Clone)]
struct Wanted {
    topic: Arc<Topic>,
    entry: Arc<PartitionEntry>,
    at: TopicPartition,
}

impl Wanted {
    /// `<topic>-<partition>`, as people know it.
    fn name(&self) -> String {
        format!("{}-{}", self.topic.name, self.entry.index)
    }
}

impl Assignment {
    /// Nothing is carried out yet.
    pub(crate) fn new(options: AssignmentOptions) -> Self {
        Self { options, done: Arc::default(), pending: Vec::new() }
    }

    /// Opens every partition that the current image gives this broker. Blocks; after a crash it reads what lies
    /// above the recovery points.
    pub(crate) fn open_all(&mut self, runtime: &Handle) {
        let image = self.options.metadata.image();
        self.carry_out(&image, runtime);
    }

    /// Follows the image until the broker stops. Blocks.
    pub(crate) fn run(mut self, runtime: &Handle, stop: &CancellationToken) {
        let mut newest = self.options.metadata.subscribe();
        loop {
            let patience = if self.pending.is_empty() { QUIET } else { RETRY };
            match next_image(&mut newest, patience, runtime, stop) {
                Next::Stop => return,
                Next::Time if self.pending.is_empty() => continue,
                Next::Image | Next::Time => {}
            }
            let image = Arc::clone(&newest.borrow_and_update());
            self.carry_out(&image, runtime);
        }
    }

    fn carry_out(&mut self, image: &Arc<Image>, runtime: &Handle) {
        let delta = Delta::between(&self.done, image);
        let me = self.options.broker;
        let gone: Vec<_> = delta.to_delete(me).collect();
        share_out(&gone, CHANGES_MAX, |(at, entry)| self.delete(*at, entry));
        let (mut create, mut open) = (Vec::new(), Vec::new());
        let changed = delta.partitions_changed.iter().map(|(at, _)| *at);
        for at in changed.chain(std::mem::take(&mut self.pending)) {
            let (Some(entry), Some(topic)) = (image.partition(at), image.topic(at.topic)) else {
                continue;
            };
            let Some(replica) = entry.replica(me) else { continue };
            if self.options.table.get(at).is_ok() {
                continue;
            }
            let wanted = Wanted { topic: Arc::clone(topic), entry: Arc::clone(entry), at };
            if replica.directory == DirectoryId::NONE {
                create.push(wanted);
            } else if !self.options.table.contains(at) || self.done.partition(at).is_some() {
                open.push((wanted, replica.directory));
            }
        }
        self.open_logs(&open);
        self.create_logs(&create, runtime);
        let not_made = create.iter().map(|wanted| wanted.at);
        self.pending = not_made.filter(|at| self.options.table.get(*at).is_err()).collect();
        for (at, entry) in &delta.partitions_changed {
            self.lead(*at, entry);
        }
        for topic in &delta.configs_changed {
            self.alter(topic);
        }
        self.done = Arc::clone(image);
        self.options.table.tell_carried_out();
    }

    /// Opens logs whose directory is known: a folder that is not there is never made a second time.
    fn open_logs(&self, wanted: &[(Wanted, DirectoryId)]) {
        if wanted.is_empty() {
            return;
        }
        let began = self.options.clock.now();
        share_out(wanted, CHANGES_MAX, |(wanted, directory)| {
            self.open_log(wanted, *directory);
            if let Some(dir) = self.directory(*directory) {
                dir.metrics().recovery.seconds.set(self.options.clock.now().since(began));
            }
        });
    }

    fn open_log(&self, wanted: &Wanted, directory: DirectoryId) {
        let Some(dir) = self.directory(directory) else {
            let reason = format!(
                "its log directory {directory} is not among data_dirs; is the disk mounted?"
            );
            return self.offline(wanted, reason);
        };
        let settings = self.settings(&wanted.topic);
        let now = self.options.clock.wall();
        match Log::open(dir.dir(), wanted.at, settings.log.clone(), now) {
            Ok((log, report)) => {
                self.report(wanted, dir, &report);
                self.serve(wanted, dir, log, settings);
            }
            Err(error) => self.offline(wanted, error.to_string()),
        }
    }

    fn serve(&self, wanted: &Wanted, directory: &Arc<Directory>, log: Log, settings: Settings) {
        let me = Member { broker: self.options.broker, broker_epoch: self.options.epoch };
        let topic = &wanted.topic.name;
        let noted = directory.dir().high_watermark(wanted.at);
        let partition = Partition::new(Parts {
            at: wanted.at,
            topic: topic.clone(),
            high_watermark: noted.unwrap_or_else(|| log.log_start()),
            log,
            replica: Replica::new(me, settings.rules),
            settings,
            directory: Arc::clone(directory),
            traffic: self.options.metrics.topic(topic),
            figures: self.options.metrics.partition(topic, wanted.entry.index),
        });
        self.options.table.insert(Arc::new(partition));
        self.lead(wanted.at, &wanted.entry);
    }

    /// Leads the partition if the image says so.
    fn lead(&self, at: TopicPartition, entry: &PartitionEntry) {
        let Ok(partition) = self.options.table.get(at) else { return };
        if entry.leader != self.options.broker {
            return partition.resign();
        }
        let leadership = Leadership {
            epoch: entry.leader_epoch,
            partition_epoch: entry.partition_epoch.get(),
            replicas: entry.brokers().collect(),
            isr: entry.isr.clone(),
        };
        if let Err(error) = partition.lead(&leadership, self.options.clock.now()) {
            tracing::error!(%partition, %error, "cannot lead");
        }
    }

    fn alter(&self, topic: &Arc<Topic>) {
        for entry in &topic.partitions {
            let at = TopicPartition::new(topic.id, entry.index);
            if let Ok(partition) = self.options.table.get(at)
                && let Err(error) = partition.alter(self.settings(topic))
            {
                tracing::error!(%partition, %error, "cannot take the new settings");
            }
        }
    }

    /// Takes a replica out of use and removes its folder. Readers that hold slices of it keep them.
    fn delete(&self, at: TopicPartition, entry: &PartitionEntry) {
        let removed = self.options.table.remove(at);
        if let Some(partition) = &removed
            && let Err(error) = partition.delete()
        {
            tracing::warn!(%partition, %error, "a deleted partition did not close well");
        }
        let Some(replica) = entry.replica(self.options.broker) else { return };
        let Some(directory) = self.directory(replica.directory) else { return };
        remove_folder(directory.dir(), at);
    }

    /// Removes the folders of partitions whose deletion a stop interrupted, and reports what is not ours.
    pub(crate) fn remove_leftovers(&self) {
        for directory in self.options.table.directories() {
            let dir = directory.dir();
            let found = match dir.folders() {
                Ok(found) => found,
                Err(error) => {
                    tracing::warn!(dir = %dir.path().display(), %error, "cannot list the log directory");
                    continue;
                }
            };
            let image = self.options.metadata.image();
            let is_ours = |at: &TopicPartition| {
                image
                    .partition(*at)
                    .is_some_and(|entry| entry.replica(self.options.broker).is_some())
            };
            for at in found.partitions.keys().filter(|at| !is_ours(at)) {
                tracing::info!(partition = %at, "its topic was deleted; removing the folder");
                remove_folder(dir, *at);
            }
            for folder in &found.deleted {
                if let Err(error) = dir.remove_folder(folder) {
                    tracing::warn!(folder = %folder.display(), %error, "the folder stays");
                }
            }
            for stranger in &found.strangers {
                tracing::warn!(path = %stranger.display(), "not a file of this broker; left alone");
            }
        }
    }

    fn directory(&self, id: DirectoryId) -> Option<&Arc<Directory>> {
        self.options.table.directories().iter().find(|dir| dir.dir().directory_id() == id)
    }

    fn settings(&self, topic: &Topic) -> Settings {
        Settings::of_topic(&self.options.config, &topic.configs)
    }

    fn offline(&self, wanted: &Wanted, reason: String) {
        tracing::error!(partition = wanted.name(), id = %wanted.at, reason, "partition is offline");
        self.options.table.insert_offline(wanted.at, wanted.name(), reason);
    }

    fn report(&self, wanted: &Wanted, directory: &Directory, report: &RecoveryReport) {
        let was_clean = directory.dir().was_clean();
        directory.metrics().recovery.opened(report, was_clean);
        let is_sole = wanted.entry.brokers().count() == 1;
        if !was_clean && is_sole && wanted.entry.leader == self.options.broker {
            self.options.metrics.broker.unclean_starts.increment(1);
        }
        if report.cut_bytes > 0 || !report.bad_ranges.is_empty() || report.may_have_lost_suffix {
            tracing::warn!(
                partition = wanted.name(),
                kept_batches = report.kept_batches,
                cut_bytes = report.cut_bytes,
                may_have_lost_suffix = report.may_have_lost_suffix,
                bad_ranges = ?report.bad_ranges,
                "recovered; what was cut lies beside the log",
            );
        }
    }
}

/// Takes the folder of a replica that is no more out of use, and removes it. What fails is tried again at the
/// next start.
fn remove_folder(dir: &LogDir, at: TopicPartition) {
    let deleted = dir.delete_folder(at).and_then(|folder| match folder {
        Some(folder) => dir.remove_folder(&folder),
        None => Ok(()),
    });
    if let Err(error) = deleted {
        tracing::warn!(partition = %at, %error, "the folder stays until the next start");
    }
}

/// How long the thread waits when nothing is to be tried again.
const QUIET: Duration = Duration::from_hours(1);

/// How soon what failed is tried again: writing resumes by itself when there is room.
const RETRY: Duration = Duration::from_secs(1);

/// What the wait for the next image came to.
enum Next {
    Image,
    Time,
    Stop,
}

/// Waits for the next image, for so long at most.
fn next_image(
    newest: &mut watch::Receiver<Arc<Image>>,
    patience: Duration,
    runtime: &Handle,
    stop: &CancellationToken,
) -> Next {
    runtime.block_on(async {
        tokio::select! {
            changed = newest.changed() => if changed.is_ok() { Next::Image } else { Next::Stop },
            () = stop.cancelled() => Next::Stop,
            () = tokio::time::sleep(patience) => Next::Time,
        }
    })
}
