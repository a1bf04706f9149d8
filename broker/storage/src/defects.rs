//! Planted defects: mistakes that somebody could make, switched on one by one to prove that a test sees them.
//!
//! Owns their names. A correct build has none of this: without the cargo feature `defects`, [`planted`] is a
//! constant `false`. With it, a defect is on for one thread while a guard of [`plant`] lives, or for the
//! whole process when the environment variable `THALWEG_DEFECT` lists it (for tests with real processes).

use std::fmt;
use std::str::FromStr;

macro_rules! defects {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// What can be planted. Displayed and parsed by its name in kebab case.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Defect { $($(#[$doc])* $variant,)+ }

        impl Defect {
            /// Every defect, in the order of this file.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name, for example `skip-sync`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

defects! {
    /// Answers a sync of a log without doing it.
    SkipSync = "skip-sync",
    /// Publishes the log end found after the sync as the synced end, instead of the one before.
    PublishEndAfterSync = "publish-end-after-sync",
    /// An unclean start believes the page cache above the recovery point: no rewrite, no sync.
    TrustCachedTail = "trust-cached-tail",
    /// A bad batch below the recovery point is cut off like a torn tail.
    CutBelowRecoveryPoint = "cut-below-recovery-point",
    /// Recovery cuts off the tail and believes bytes without their checksum.
    IgnoreCrcOnRecovery = "ignore-crc-on-recovery",
    /// A sync that failed is tried again and believed when it succeeds.
    RetryFailedSync = "retry-failed-sync",
    /// The names in a folder are not synced.
    SkipFolderSync = "skip-folder-sync",
    /// The synced end passes a roll before the old file is synced.
    RollPassesSyncedEndEarly = "roll-passes-synced-end-early",
    /// The recovery point is written before what lies below it is synced.
    CheckpointBeforeSync = "checkpoint-before-sync",
    /// The mark of a clean stop stays while the log is written.
    KeepCleanMark = "keep-clean-mark",
    /// A restart forgets what producers have written.
    ForgetProducerState = "forget-producer-state",
    /// A producer may skip sequence numbers.
    IgnoreSequenceGap = "ignore-sequence-gap",
    /// A missing folder of a partition is created again, empty.
    RecreateMissingFolder = "recreate-missing-folder",
    /// `acks=all` is answered before the batch is synced.
    AckBeforeSync = "ack-before-sync",
    /// A duplicate is answered before its original is committed.
    AckDuplicateEarly = "ack-duplicate-early",
    /// A producer id is given out again after a restart.
    ProducerIdTwice = "producer-id-twice",
    /// A request with an old leader epoch is served.
    IgnoreLeaderEpoch = "ignore-leader-epoch",
    /// Readers see what is above the high watermark.
    ReadAboveHighWatermark = "read-above-high-watermark",
    /// Records above the high watermark may be deleted.
    DeleteAboveHighWatermark = "delete-above-high-watermark",
    /// Compaction removes a tombstone when it first sees it.
    DropTombstoneEarly = "drop-tombstone-early",
    /// How long a tombstone stays counts from its segment's newest record instead of from a horizon in its batch.
    HorizonFromFileTime = "horizon-from-file-time",
    /// A compacted file takes the place of the old ones before it is synced.
    SwapWithoutSync = "swap-without-sync",
    /// The old files go before the compacted one counts.
    RemoveBeforeSwap = "remove-before-swap",
    /// Batches that a producer's state is made of go with their last record.
    LoseEmptiedProducers = "lose-emptied-producers",
    /// Compaction looks at records that are not committed and synced.
    CompactAboveStableEnd = "compact-above-stable-end",
    /// Keys are told apart by eight bits.
    ShortKeyHash = "short-key-hash",
    /// A hole reaches from one leader epoch into the next.
    HoleAcrossEpochs = "hole-across-epochs",
    /// A group takes a commit in whatever epoch its member says.
    IgnoreMemberEpoch = "ignore-member-epoch",
    /// A group takes a commit for a partition that the member does not own.
    CommitNotOwned = "commit-not-owned",
    /// A partition goes to its new owner while the old one still reads it.
    AssignBeforeRelease = "assign-before-release",
    /// A member that was told to let go is believed by what it said before.
    BelieveOldReports = "believe-old-reports",
    /// With any change of its target a member has to stop everything.
    RevokeWhatStays = "revoke-what-stays",
    /// A member that gives no sign of life stays in its group.
    NeverFence = "never-fence",
    /// A member that does not let go is waited for without end.
    WaitForDrainForEver = "wait-for-drain-for-ever",
    /// A static member takes the place of one that is alive.
    TakeOverLiveInstance = "take-over-live-instance",
    /// Groups do not notice that topics grow, come or go.
    IgnoreTopicGrowth = "ignore-topic-growth",
    /// Offsets of a group with members expire.
    ExpireLiveGroup = "expire-live-group",
    /// A shard that is read back forgets that things were taken away.
    ReplaySkipsTombstones = "replay-skips-tombstones",
    /// A coordinator answers before it has read its shard.
    AnswerWhileLoading = "answer-while-loading",
    /// A member's silence counts while what it said waits to be heard.
    FenceUnheard = "fence-unheard",
    /// A shard is read anew while its earlier writer may still append.
    ReadBesideWriter = "read-beside-writer",
    /// A commit is answered before it is durable.
    AckCommitEarly = "ack-commit-early",
}

impl fmt::Display for Defect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// There is no defect of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no planted defect is named {name:?}")]
pub struct UnknownDefect {
    name: String,
}

impl FromStr for Defect {
    type Err = UnknownDefect;

    fn from_str(name: &str) -> Result<Self, UnknownDefect> {
        let found = Self::ALL.iter().find(|defect| defect.name() == name);
        found.copied().ok_or_else(|| UnknownDefect { name: name.to_owned() })
    }
}

/// Whether the defect is on: never in this build.
#[cfg(not(feature = "defects"))]
#[inline]
pub const fn planted(_defect: Defect) -> bool {
    false
}

#[cfg(feature = "defects")]
pub use switch::{Guard, plant, planted};

#[cfg(feature = "defects")]
mod switch {
    use std::cell::RefCell;
    use std::env;
    use std::marker::PhantomData;
    use std::sync::LazyLock;

    use super::Defect;

    thread_local! {
        static HERE: RefCell<Vec<Defect>> = const { RefCell::new(Vec::new()) };
    }

    /// Read once: a process keeps the defects that it was started with.
    static EVERYWHERE: LazyLock<Vec<Defect>> = LazyLock::new(|| {
        let list = env::var("THALWEG_DEFECT").unwrap_or_default();
        let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
        names.map(parse).collect()
    });

    /// A misspelt defect would make its test pass for the wrong reason.
    fn parse(name: &str) -> Defect {
        name.parse().expect("THALWEG_DEFECT lists known defects")
    }

    /// Keeps a defect planted on its thread.
    #[derive(Debug)]
    #[must_use = "the defect is gone when the guard is dropped"]
    pub struct Guard {
        defect: Defect,
        /// The list is the thread's own, so the guard must not leave it.
        thread: PhantomData<*const ()>,
    }

    /// Plants a defect on this thread until the guard is dropped.
    pub fn plant(defect: Defect) -> Guard {
        HERE.with_borrow_mut(|here| here.push(defect));
        Guard { defect, thread: PhantomData }
    }

    /// Whether the defect is on, for this thread or the process.
    pub fn planted(defect: Defect) -> bool {
        HERE.with_borrow(|here| here.contains(&defect)) || EVERYWHERE.contains(&defect)
    }

    impl Drop for Guard {
        fn drop(&mut self) {
            HERE.with_borrow_mut(|here| {
                if let Some(found) = here.iter().rposition(|other| *other == self.defect) {
                    here.remove(found);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_read_back() {
        for defect in Defect::ALL {
            assert_eq!(defect.to_string().parse(), Ok(*defect));
        }
        assert!("skip-synk".parse::<Defect>().is_err());
    }

    #[cfg(feature = "defects")]
    #[test]
    fn a_defect_is_on_for_its_thread_while_the_guard_lives() {
        assert!(!planted(Defect::SkipSync));
        let guard = plant(Defect::SkipSync);
        let again = plant(Defect::SkipSync);
        drop(again);
        assert!(planted(Defect::SkipSync) && !planted(Defect::AckBeforeSync));
        let elsewhere = std::thread::spawn(|| planted(Defect::SkipSync));
        assert!(!elsewhere.join().expect("the thread only asks"));
        drop(guard);
        assert!(!planted(Defect::SkipSync));
    }
}
