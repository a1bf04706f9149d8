//! Which cluster a starting broker belongs to, as its metadata, its disks and its operator say.

use thalweg_protocol::ClusterId;

use super::image::Image;

/// Why a broker must not start: the metadata, the disks and the configuration contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The disks belong to a cluster whose metadata is not there.
    #[error(
        "a log directory belongs to cluster {cluster}, but there is no metadata in the first log directory: mount the disk that holds the folder `metadata`, or name its directory first in `data_dirs`"
    )]
    MetadataMissing {
        /// The cluster of the disks.
        cluster: ClusterId,
    },
    /// A disk belongs to another cluster than the metadata.
    #[error(
        "a log directory belongs to cluster {found}, the metadata is cluster {expected}'s: take the directory out of `data_dirs`"
    )]
    ForeignDirectory {
        /// The cluster of the metadata.
        expected: ClusterId,
        /// The cluster of the disk.
        found: ClusterId,
    },
    /// The operator names another cluster than the metadata.
    #[error(
        "`cluster_id` is {configured}, the metadata is cluster {found}'s: start with the data of the right cluster"
    )]
    ForeignMetadata {
        /// The cluster in the configuration.
        configured: ClusterId,
        /// The cluster of the metadata.
        found: ClusterId,
    },
}

/// The cluster to register with: that of the metadata, else the configured one, else `fresh`.
///
/// | metadata | a disk | so |
/// |---|---|---|
/// | there | new, or the same cluster's | the metadata's |
/// | there | another cluster's | refused |
/// | not there | all new | the first start: a new cluster |
/// | not there | a cluster's | refused: the disk with the metadata is away, and a new cluster would forget every topic |
///
/// For the last row to hold, the disks get their cluster only after the registration was answered.
pub fn cluster_to_join(
    image: &Image,
    configured: Option<ClusterId>,
    disks: impl IntoIterator<Item = Option<ClusterId>>,
    fresh: ClusterId,
) -> Result<ClusterId, IdentityError> {
    let mut disks = disks.into_iter().flatten();
    if image.is_empty() {
        return match disks.next() {
            Some(cluster) => Err(IdentityError::MetadataMissing { cluster }),
            None => Ok(configured.unwrap_or(fresh)),
        };
    }
    let found = image.cluster();
    if let Some(configured) = configured.filter(|configured| *configured != found) {
        return Err(IdentityError::ForeignMetadata { configured, found });
    }
    match disks.find(|disk| *disk != found) {
        Some(foreign) => Err(IdentityError::ForeignDirectory { expected: found, found: foreign }),
        None => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::image::{MetadataIndex, Term};
    use crate::cluster::record::ClusterCreated;

    #[test]
    fn a_broker_starts_with_the_cluster_of_its_metadata_or_with_a_new_one() {
        let [ours, theirs, fresh] = [1, 2, 3].map(|number| ClusterId::from_bytes([number; 16]));
        let empty = Image::default();
        let record = ClusterCreated { cluster: ours, metadata_version: 1 }.into();
        let there = empty.with_entry(MetadataIndex::new(1), Term::FIRST, &[record]).unwrap();
        let missing = IdentityError::MetadataMissing { cluster: ours };
        let directory = IdentityError::ForeignDirectory { expected: ours, found: theirs };
        let metadata = IdentityError::ForeignMetadata { configured: theirs, found: ours };
        let table = [
            (&empty, None, [None, None], Ok(fresh)),
            (&empty, Some(ours), [None, None], Ok(ours)),
            (&empty, None, [None, Some(ours)], Err(missing)),
            (&empty, Some(ours), [Some(ours), None], Err(missing)),
            (&there, None, [None, None], Ok(ours)),
            (&there, Some(ours), [Some(ours), None], Ok(ours)),
            (&there, None, [Some(ours), Some(theirs)], Err(directory)),
            (&there, Some(theirs), [Some(ours), None], Err(metadata)),
        ];
        for (number, (image, configured, disks, expected)) in table.into_iter().enumerate() {
            assert_eq!(cluster_to_join(image, configured, disks, fresh), expected, "row {number}");
        }
    }
}
