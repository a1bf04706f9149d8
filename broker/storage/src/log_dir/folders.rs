//! The folders of partitions: made once, found or reported missing, removed in two steps.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use thalweg_protocol::TopicPartition;

use super::error::{DirRefusal, FolderError};
use super::open::{LogDir, is_known};
use super::state::lock;
use crate::checkpoint;
use crate::defects::{self, Defect};
use crate::folder::{FolderName, METADATA_FILE, PartitionMetadata};

/// What lies in a log directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundFolders {
    /// The folders of partitions.
    pub partitions: BTreeMap<TopicPartition, PathBuf>,
    /// Folders of deleted partitions that wait to be removed.
    pub deleted: Vec<PathBuf>,
    /// What is not ours: left alone and reported.
    pub strangers: Vec<PathBuf>,
}

impl LogDir {
    /// Where the partition's folder is or would be.
    pub fn folder(&self, partition: TopicPartition) -> PathBuf {
        self.path().join(FolderName::new(partition).to_string())
    }

    /// Lists what is there.
    pub fn folders(&self) -> io::Result<FoundFolders> {
        let mut found = FoundFolders::default();
        for path in self.fs().list(self.path())? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            match FolderName::parse(name) {
                Some(FolderName { partition, deleted: false }) => {
                    found.partitions.insert(partition, path);
                }
                Some(FolderName { deleted: true, .. }) => found.deleted.push(path),
                None if is_known(name) => {}
                None => found.strangers.push(path),
            }
        }
        Ok(found)
    }

    /// The folder of a partition that the metadata says lives here. One whose making a crash interrupted
    /// counts as missing: there is nothing in it.
    pub fn existing_folder(&self, partition: TopicPartition) -> Result<PathBuf, FolderError> {
        let folder = self.folder(partition);
        if self.fs().exists(&folder) && !self.is_unfinished(&folder) {
            return Ok(folder);
        }
        if defects::planted(Defect::RecreateMissingFolder) {
            let metadata = PartitionMetadata { topic: partition.topic, name: String::new() };
            return self.create_folder(partition, &metadata);
        }
        Err(FolderError::Missing { partition, folder })
    }

    /// Makes the folder of a new partition, durably, with its `partition.metadata`.
    ///
    /// After a crash in between, the folder may be there without the file: the partition was not
    /// committed yet, and creating it again goes on where it stopped.
    pub fn create_folder(
        &self,
        partition: TopicPartition,
        metadata: &PartitionMetadata,
    ) -> Result<PathBuf, FolderError> {
        let folder = self.folder(partition);
        if self.fs().exists(&folder) && !self.is_unfinished(&folder) {
            return Err(FolderError::Exists { partition, folder });
        }
        self.before_write()?;
        // A partition that was here before and moved away left its points.
        self.forget_points(partition)?;
        let file = folder.join(METADATA_FILE);
        let made =
            self.fs().create_folder(&folder).and_then(|()| self.sync_names()).and_then(|()| {
                checkpoint::replace_file(&**self.fs(), &file, metadata.encode().as_bytes())
            });
        made.map_err(|source| self.folder_failed(&folder, "create it", source))?;
        Ok(folder)
    }

    /// Brings the names of the folders to stable storage, after one was made or changed. Of those who come at the same
    /// time one syncs for all.
    fn sync_names(&self) -> io::Result<()> {
        self.names.changed();
        let _one_at_a_time = lock(&self.syncing_names);
        if self.is_offline() {
            // The sync of another one failed, and is never tried again.
            return Err(io::Error::other("the log directory is offline"));
        }
        self.names.sync(|| self.fs().sync_folder(self.path())).inspect_err(|error| {
            self.failed(&format!("{}: cannot sync it", self.path().display()), error);
        })
    }

    /// Whether a crash interrupted the making of the folder: there is nothing in it but what making it
    /// writes last.
    fn is_unfinished(&self, folder: &Path) -> bool {
        let file = folder.join(METADATA_FILE);
        if self.fs().exists(&file) {
            return false;
        }
        let aside = checkpoint::aside(&file);
        self.fs().list(folder).is_ok_and(|found| found.iter().all(|path| *path == aside))
    }

    /// Takes a partition's folder out of use: under another name, durably. Its files stay until
    /// [`remove_folder`](Self::remove_folder); a crash in between is made good at the next start.
    ///
    /// The caller has closed the log. A folder that is not there is no error: it is gone.
    pub fn delete_folder(&self, partition: TopicPartition) -> Result<Option<PathBuf>, FolderError> {
        self.before_delete()?;
        let folder = self.folder(partition);
        if !self.fs().exists(&folder) {
            self.forget_points(partition)?;
            return Ok(None);
        }
        let target = self.path().join(FolderName::deleted(partition).to_string());
        if self.fs().exists(&target) {
            // Moved away, came back, and leaves again before the first folder was removed.
            self.remove_folder(&target)?;
        }
        self.fs()
            .rename(&folder, &target)
            .and_then(|()| self.sync_names())
            .map_err(|source| self.folder_failed(&folder, "delete it", source))?;
        self.forget_points(partition)?;
        Ok(Some(target))
    }

    /// Removes a folder that [`delete_folder`](Self::delete_folder) or [`folders`](Self::folders) named as deleted. May take
    /// long. Readers that hold slices of its files keep them.
    ///
    /// # Panics
    /// When the folder is not one of a deleted partition in this directory.
    pub fn remove_folder(&self, folder: &Path) -> Result<(), FolderError> {
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let ours = FolderName::parse(name).is_some_and(|name| name.deleted);
        assert!(ours && folder.parent() == Some(self.path()), "{} is in use", folder.display());
        self.before_delete()?;
        self.fs().remove_folder(folder).map_err(|source| FolderError::Io {
            folder: folder.to_owned(),
            action: "remove its files",
            source,
        })
    }

    /// A full disk makes the directory read-only, everything else takes it offline.
    fn folder_failed(&self, folder: &Path, action: &'static str, source: io::Error) -> FolderError {
        let folder = folder.to_owned();
        if self.failed(&format!("{}: cannot {action}", folder.display()), &source) {
            let refused: Result<(), DirRefusal> = self.before_write();
            if let Err(refused) = refused {
                return refused.into();
            }
        }
        FolderError::Io { folder, action, source }
    }
}
