//! What the rest of the broker holds of the metadata: the current image, and requests to change it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use thalweg_protocol::{BrokerEpoch, BrokerId, DirectoryId, ErrorCode, ProducerId, TopicId};
use thalweg_storage::defects::{Defect, planted};
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use super::controller::{
    self, CreatedTopic, Each, IsrProposal, NewTopic, ProducerIdBlock, Refusal, Registration,
    TopicChange,
};
use super::image::Image;
use super::metadata_log::MetadataLogError;
use super::record::AssignedReplica;
use super::replay_error::ReplayError;
use super::worker::{Draft, Job};

/// Why a request to the metadata has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MetadataError {
    /// The controller says no; nothing has changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The deadline passed while the request waited; nothing has changed and nothing will.
    #[error("{what}: not begun within {timeout_ms} ms; nothing was changed")]
    TimedOut {
        /// The request.
        what: &'static str,
        /// The deadline, in milliseconds from the request on.
        timeout_ms: u128,
    },
    /// The deadline passed while the request was being carried out: it may take effect.
    #[error("{what}: not finished within {timeout_ms} ms; it may yet take effect")]
    OutcomeUnknown {
        /// The request.
        what: &'static str,
        /// The deadline, in milliseconds from the request on.
        timeout_ms: u128,
    },
    /// As many requests wait as may; nothing has changed.
    #[error("{what}: {waiting} requests to the metadata wait already")]
    Overloaded {
        /// The request.
        what: &'static str,
        /// How many wait.
        waiting: usize,
    },
    /// The broker stops; nothing has changed.
    #[error("{what}: the broker is stopping")]
    Stopped {
        /// The request.
        what: &'static str,
    },
    /// The metadata log could not take the change.
    #[error(transparent)]
    Log(#[from] Arc<MetadataLogError>),
    /// The controller's records contradict the image: a fault of ours; nothing has changed.
    #[error("the controller planned what cannot be: {0}")]
    Planned(#[from] ReplayError),
}

impl MetadataError {
    /// What a client acts on.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::TimedOut { .. } => ErrorCode::TimedOut,
            Self::OutcomeUnknown { .. } => ErrorCode::OutcomeUnknown,
            Self::Overloaded { .. } => ErrorCode::Overloaded,
            Self::Stopped { .. } => ErrorCode::ShuttingDown,
            Self::Log(error) => match **error {
                MetadataLogError::Full { .. } => ErrorCode::StorageFull,
                MetadataLogError::TooLarge { .. } => ErrorCode::InvalidRequest,
                MetadataLogError::Replay { .. } => ErrorCode::Internal,
                _ => ErrorCode::StorageOffline,
            },
            Self::Planned(_) => ErrorCode::Internal,
        }
    }
}

/// The metadata, as everybody but its worker sees it. Cheap to clone.
///
/// Each change ends by its timeout, and is answered when [`MetadataHandle::image`] includes it. Requests wait
/// in one bounded queue; when it is full they are refused at once.
#[derive(Clone, Debug)]
pub struct MetadataHandle {
    image: Arc<ArcSwap<Image>>,
    newest: watch::Receiver<Arc<Image>>,
    jobs: mpsc::Sender<Job>,
    ids: Arc<Mutex<ProducerIdBlock>>,
    broker: BrokerId,
}

impl MetadataHandle {
    pub(super) fn new(
        image: Arc<ArcSwap<Image>>,
        newest: watch::Receiver<Arc<Image>>,
        jobs: mpsc::Sender<Job>,
        broker: BrokerId,
    ) -> Self {
        let ids = Arc::new(Mutex::new(ProducerIdBlock::EMPTY));
        Self { image, newest, jobs, ids, broker }
    }

    /// The current image.
    pub fn image(&self) -> Arc<Image> {
        self.image.load_full()
    }

    /// Holds the current image and wakes with each newer one; those in between may be skipped.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Image>> {
        self.newest.clone()
    }

    /// Tells how many requests wait in the queue; keeps nobody alive who would answer them.
    pub fn queue(&self) -> impl Fn() -> usize + Send + Sync + use<> {
        let jobs = self.jobs.downgrade();
        move || jobs.upgrade().map_or(0, |jobs| jobs.max_capacity() - jobs.capacity())
    }

    /// Registers this broker's start: its new epoch, and a new leader epoch for all that it leads. Creates
    /// the cluster when there is none.
    pub async fn register_broker(
        &self,
        registration: Registration,
        timeout: Duration,
    ) -> Result<BrokerEpoch, MetadataError> {
        let register = move |draft: &mut Draft| {
            let (records, epoch) = controller::register(draft.image(), &registration)?;
            draft.adopt(records)?;
            Ok(epoch)
        };
        self.call("register a broker", timeout, register).await
    }

    /// Makes another log directory of a running broker known.
    pub async fn register_directory(
        &self,
        broker: BrokerId,
        epoch: BrokerEpoch,
        directory: DirectoryId,
        timeout: Duration,
    ) -> Result<(), MetadataError> {
        let register = move |draft: &mut Draft| {
            let image = draft.image();
            draft.adopt(controller::register_directory(image, broker, epoch, directory)?)
        };
        self.call("register a log directory", timeout, register).await
    }

    /// Fences a broker, or lets it lead again.
    pub async fn change_fence(
        &self,
        broker: BrokerId,
        epoch: BrokerEpoch,
        fenced: bool,
        timeout: Duration,
    ) -> Result<(), MetadataError> {
        let change = move |draft: &mut Draft| {
            let image = draft.image();
            draft.adopt(controller::change_fence(image, broker, epoch, fenced)?)
        };
        self.call("fence a broker", timeout, change).await
    }

    /// Creates topics; each succeeds or fails on its own. With `validate_only` it only says what would
    /// happen, and the ids are [`TopicId::NONE`].
    pub async fn create_topics(
        &self,
        topics: Vec<NewTopic>,
        validate_only: bool,
        timeout: Duration,
    ) -> Result<Each<CreatedTopic>, MetadataError> {
        let create = move |draft: &mut Draft| {
            draft.each(&topics, validate_only, |image, rules, topic| {
                let (records, mut created) =
                    controller::create(image, topic, TopicId::random(), rules)?;
                if validate_only {
                    created.id = TopicId::NONE;
                }
                Ok((records, created))
            })
        };
        self.call("create topics", timeout, create).await
    }

    /// Adds partitions to topics and changes their settings; each topic succeeds or fails on its own. With
    /// `validate_only` it only says what would happen.
    pub async fn alter_topics(
        &self,
        changes: Vec<TopicChange>,
        validate_only: bool,
        timeout: Duration,
    ) -> Result<Each<()>, MetadataError> {
        let alter = move |draft: &mut Draft| {
            draft.each(&changes, validate_only, |image, rules, change| {
                Ok((controller::alter(image, change, rules)?, ()))
            })
        };
        self.call("alter topics", timeout, alter).await
    }

    /// Deletes topics by name; each succeeds or fails on its own.
    pub async fn delete_topics(
        &self,
        names: Vec<String>,
        timeout: Duration,
    ) -> Result<Each<TopicId>, MetadataError> {
        let delete = move |draft: &mut Draft| {
            draft.each(&names, false, |image, _, name| controller::delete(image, name))
        };
        self.call("delete topics", timeout, delete).await
    }

    /// Notes in which directories a broker has made, and synced, the folders of its replicas. Only after
    /// this has been answered may a replica be appended to. Each fails on its own: its topic may be gone.
    pub async fn assign_directories(
        &self,
        broker: BrokerId,
        epoch: BrokerEpoch,
        replicas: Vec<AssignedReplica>,
        timeout: Duration,
    ) -> Result<Each<()>, MetadataError> {
        let assign = move |draft: &mut Draft| {
            let image = draft.image();
            let (records, results) =
                controller::assign_directories(image, broker, epoch, &replicas)?;
            draft.adopt(records)?;
            Ok(results)
        };
        self.call("assign log directories", timeout, assign).await
    }

    /// Changes a partition's in-sync set, as its leader proposes.
    pub async fn change_isr(
        &self,
        proposal: IsrProposal,
        timeout: Duration,
    ) -> Result<(), MetadataError> {
        let change =
            move |draft: &mut Draft| draft.adopt(controller::change_isr(draft.image(), &proposal)?);
        self.call("change an in-sync set", timeout, change).await
    }

    /// Reserves a block of producer ids for the caller alone.
    pub async fn producer_ids(&self, timeout: Duration) -> Result<ProducerIdBlock, MetadataError> {
        let broker = self.broker;
        let reserve = move |draft: &mut Draft| {
            let (records, block) = controller::reserve(draft.image(), broker)?;
            if !planted(Defect::ProducerIdTwice) {
                draft.adopt(records)?;
            }
            Ok(block)
        };
        self.call("reserve producer ids", timeout, reserve).await
    }

    /// A producer id that was never given out before. Most calls take it from a block in memory; each
    /// thousandth reserves the next block.
    pub async fn producer_id(&self, timeout: Duration) -> Result<ProducerId, MetadataError> {
        let what = "get a producer id";
        let take = async {
            let mut block = self.ids.lock().await;
            if let Some(id) = block.take() {
                return Ok(id);
            }
            *block = self.producer_ids(timeout).await?;
            block.take().ok_or(MetadataError::Refused(Refusal::NoProducerIds))
        };
        match tokio::time::timeout(timeout, take).await {
            Ok(taken) => taken,
            // A block that is reserved too late is never used: no id is lost twice.
            Err(_) => Err(MetadataError::TimedOut { what, timeout_ms: timeout.as_millis() }),
        }
    }

    /// Whether this producer id was given out. What an earlier life of a broker, or another broker, has reserved
    /// counts as given: nobody who asks here will get it.
    pub async fn has_given(
        &self,
        id: ProducerId,
        timeout: Duration,
    ) -> Result<bool, MetadataError> {
        if id.get() < 0 || id >= self.image().producer_next() {
            return Ok(false);
        }
        let what = "look for a producer id";
        match tokio::time::timeout(timeout, self.ids.lock()).await {
            Ok(block) => Ok(!block.holds(id)),
            Err(_) => Err(MetadataError::TimedOut { what, timeout_ms: timeout.as_millis() }),
        }
    }

    /// Has the worker run `plan` on a draft of the next image and commit what it plans.
    async fn call<T: Send + 'static>(
        &self,
        what: &'static str,
        timeout: Duration,
        plan: impl FnOnce(&mut Draft) -> Result<T, MetadataError> + Send + 'static,
    ) -> Result<T, MetadataError> {
        let (answer, answered) = oneshot::channel();
        let turn = Arc::new(Turn::default());
        let job = Job::new(what, Arc::clone(&turn), plan, answer);
        self.jobs.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                MetadataError::Overloaded { what, waiting: self.jobs.max_capacity() }
            }
            mpsc::error::TrySendError::Closed(_) => MetadataError::Stopped { what },
        })?;
        let timeout_ms = timeout.as_millis();
        match tokio::time::timeout(timeout, answered).await {
            Ok(Ok(result)) => result,
            // The worker is gone, with the request.
            Ok(Err(_)) if turn.give_up() => Err(MetadataError::Stopped { what }),
            Err(_) if turn.give_up() => Err(MetadataError::TimedOut { what, timeout_ms }),
            Ok(Err(_)) | Err(_) => Err(MetadataError::OutcomeUnknown { what, timeout_ms }),
        }
    }
}

/// Whether a request was begun or given up first: exactly one of the two happens, so that "nothing was
/// changed" is true whenever it is said.
#[derive(Debug, Default)]
pub(super) struct Turn(AtomicU8);

impl Turn {
    const WAITING: u8 = 0;
    const BEGUN: u8 = 1;
    const GIVEN_UP: u8 = 2;

    /// Begins, unless it was given up.
    pub(super) fn begin(&self) -> bool {
        self.leave_waiting(Self::BEGUN)
    }

    /// Gives up, unless it was begun.
    fn give_up(&self) -> bool {
        self.leave_waiting(Self::GIVEN_UP)
    }

    fn leave_waiting(&self, to: u8) -> bool {
        self.0.compare_exchange(Self::WAITING, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}
