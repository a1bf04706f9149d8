//! Making new replicas: where each goes, its folder, and the commit of its directory.
//!
//! Owns the order for one image's new replicas: all folders are made and synced, several at a time, then one request
//! commits their directories, and only then is the first of them led.

use std::sync::Arc;

use thalweg_protocol::{DirectoryId, TopicPartition};
use thalweg_storage::{DirState, Log, PartitionMetadata};
use tokio::runtime::Handle;

use super::{Assignment, CHANGES_MAX, METADATA_TIMEOUT, Wanted, remove_folder};
use crate::base::share_out;
use crate::cluster::AssignedReplica;
use crate::partition::{Directory, Settings};

/// A replica whose folder is there, and nothing committed yet.
struct Made {
    wanted: Wanted,
    directory: Arc<Directory>,
    log: Log,
    settings: Settings,
}

impl Assignment {
    /// Makes the folders of new replicas, commits their directories, then serves them.
    pub(super) fn create_logs(&self, wanted: &[Wanted], runtime: &Handle) {
        let placed = self.place(wanted);
        let logs = share_out(&placed, CHANGES_MAX, |(wanted, dir)| self.create_log(wanted, dir));
        let mut made = Vec::with_capacity(placed.len());
        for ((wanted, directory), log) in placed.into_iter().zip(logs) {
            match log {
                Ok((log, settings)) => made.push(Made { wanted, directory, log, settings }),
                Err(error) => self.offline(&wanted, error),
            }
        }
        if !made.is_empty() {
            self.commit(made, runtime);
        }
    }

    /// Commits the directories of what was made; what the metadata agrees to is served.
    fn commit(&self, made: Vec<Made>, runtime: &Handle) {
        let replicas = made
            .iter()
            .map(|made| AssignedReplica {
                topic: made.wanted.at.topic,
                partition: made.wanted.at.partition,
                directory: made.directory.dir().directory_id(),
            })
            .collect();
        let assign = self.options.metadata.assign_directories(
            self.options.broker,
            self.options.epoch,
            replicas,
            METADATA_TIMEOUT,
        );
        match runtime.block_on(assign) {
            Ok(results) => {
                for (made, result) in made.into_iter().zip(results) {
                    let Made { wanted, directory, log, settings } = made;
                    match result {
                        Ok(()) => self.serve(&wanted, &directory, log, settings),
                        // The topic was deleted meanwhile: nobody will ask for this folder again.
                        Err(refusal) => {
                            tracing::debug!(partition = wanted.name(), %refusal, "not assigned");
                            drop(log);
                            remove_folder(directory.dir(), wanted.at);
                        }
                    }
                }
            }
            Err(error) => {
                for made in &made {
                    let reason = format!("its directory could not be committed: {error}");
                    self.offline(&made.wanted, reason);
                }
            }
        }
    }

    fn create_log(&self, wanted: &Wanted, dir: &Arc<Directory>) -> Result<(Log, Settings), String> {
        let settings = self.settings(&wanted.topic);
        let now = self.options.clock.wall();
        let (dir, options) = (dir.dir(), settings.log.clone());
        // A crash between the folder and its commit leaves a folder that nothing was ever appended to, or one
        // whose making it interrupted: that goes on where it stopped.
        let is_there = dir.existing_folder(wanted.at).is_ok();
        let log = if is_there {
            Log::open(dir, wanted.at, options, now).map(|(log, _)| log)
        } else {
            let metadata =
                PartitionMetadata { topic: wanted.at.topic, name: wanted.topic.name.to_string() };
            Log::create(dir, wanted.at, &metadata, options, now)
        };
        log.map(|log| (log, settings)).map_err(|error| error.to_string())
    }

    /// Gives each replica a directory; those for which there is none are offline.
    fn place(&self, wanted: &[Wanted]) -> Vec<(Wanted, Arc<Directory>)> {
        let mut loads = self.loads();
        let mut placed = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            if let Some(load) = choose_directory(&mut loads, wanted.at) {
                load.partitions += 1;
                placed.push((wanted.clone(), Arc::clone(&load.directory)));
            } else {
                self.offline(wanted, "no log directory takes new partitions".to_owned());
            }
        }
        placed
    }

    /// The directories that take writes, with how many partitions each holds.
    fn loads(&self) -> Vec<Load> {
        let directories = self.options.table.directories().iter();
        let usable = directories.filter(|dir| dir.dir().state() == DirState::Online);
        let mut loads: Vec<Load> = usable
            .map(|dir| Load {
                id: dir.dir().directory_id(),
                directory: Arc::clone(dir),
                partitions: 0,
            })
            .collect();
        if loads.len() > 1 {
            for partition in self.options.table.online() {
                let id = partition.dir().directory_id();
                if let Some(load) = loads.iter_mut().find(|load| load.id == id) {
                    load.partitions += 1;
                }
            }
        }
        loads
    }
}

/// A log directory and how many partitions it holds.
struct Load {
    id: DirectoryId,
    directory: Arc<Directory>,
    partitions: usize,
}

/// The directory in which a start before a crash began to make it, else the one with the fewest partitions.
fn choose_directory(loads: &mut [Load], at: TopicPartition) -> Option<&mut Load> {
    let begun = |dir: &Directory| dir.dir().fs().exists(&dir.dir().folder(at));
    loads.iter_mut().min_by_key(|load| (!begun(&load.directory), load.partitions))
}
