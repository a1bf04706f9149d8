//! `meta.properties`: which directory of which broker in which cluster this is.
//!
//! ```text
//!     # A log directory of Thalweg. Do not edit or copy.
//!     version=1
//!     node.id=1
//!     directory.id=7f0c0a52-7a2b-4a2f-8f6a-0d9a6c1e5b11
//!     cluster.id=5d1b…                 (absent until the cluster has one)
//!     crc32=4f1c22aa                   (of everything above)
//! ```

use std::path::Path;

use thalweg_protocol::{BrokerId, ClusterId, DirectoryId};

use super::error::OpenDirError;
use super::open::Owner;
use crate::checkpoint;
use crate::fs::FileSystem;

/// The file's name.
pub(super) const FILE: &str = "meta.properties";

const BYTES_MAX: usize = 4096;
const VERSION: &str = "1";
const COMMENT: &str = "# A log directory of Thalweg. Do not edit or copy.";

/// Whose a log directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The broker that it belongs to.
    pub node: BrokerId,
    /// Its own name, given when it was made.
    pub directory: DirectoryId,
    /// The cluster; `None` until the broker knows one.
    pub cluster: Option<ClusterId>,
}

impl Identity {
    /// The file's text.
    pub fn encode(&self) -> String {
        let Self { node, directory, cluster } = self;
        let cluster = cluster.map(|id| format!("cluster.id={id}\n")).unwrap_or_default();
        let text = format!(
            "{COMMENT}\nversion={VERSION}\nnode.id={node}\ndirectory.id={directory}\n{cluster}"
        );
        format!("{text}crc32={:08x}\n", crc32fast::hash(text.as_bytes()))
    }

    /// Reads the file's bytes; the error says what is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "not a text in UTF-8".to_owned())?;
        let value = |key: &str| {
            let mut lines = text.lines();
            lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        };
        let need = |key: &str| value(key).ok_or_else(|| format!("it has no line `{key}=…`"));
        match need("version")? {
            VERSION => {}
            other => return Err(format!("version {other:?} is unknown, this release reads 1")),
        }
        // Kafka has a file of the same name and version, without a checksum.
        let crc = need("crc32")?;
        let covered = text.find("crc32=").and_then(|end| text.get(..end)).unwrap_or_default();
        let expected = format!("{:08x}", crc32fast::hash(covered.as_bytes()));
        if crc != expected {
            return Err(format!("its checksum is {expected}, the file says {crc}"));
        }
        Ok(Self {
            node: BrokerId::new(parse("node.id", need("node.id")?)?),
            directory: parse("directory.id", need("directory.id")?)?,
            cluster: value("cluster.id").map(|text| parse("cluster.id", text)).transpose()?,
        })
    }

    /// Reads the identity of the directory; `None` if it has none yet.
    pub(super) fn load(fs: &dyn FileSystem, dir: &Path) -> Result<Option<Self>, OpenDirError> {
        let path = dir.join(FILE);
        if !fs.exists(&path) {
            return Ok(None);
        }
        let bytes = fs.read_small(&path, BYTES_MAX).map_err(|source| OpenDirError::Unusable {
            dir: dir.to_owned(),
            action: "read meta.properties",
            source,
        })?;
        let identity = Self::decode(&bytes)
            .map_err(|reason| OpenDirError::Identity { dir: dir.to_owned(), reason })?;
        Ok(Some(identity))
    }

    /// Makes this the identity of the directory, durably.
    pub(super) fn store(&self, fs: &dyn FileSystem, dir: &Path) -> Result<(), OpenDirError> {
        let path = dir.join(FILE);
        checkpoint::replace_file(fs, &path, self.encode().as_bytes()).map_err(|source| {
            OpenDirError::Unusable { dir: dir.to_owned(), action: "write meta.properties", source }
        })
    }

    /// Demands that the directory belongs to `owner`.
    pub(super) fn check(&self, owner: &Owner, dir: &Path) -> Result<(), OpenDirError> {
        let dir = dir.to_owned();
        if let (Some(expected), Some(found)) = (owner.cluster, self.cluster)
            && expected != found
        {
            return Err(OpenDirError::OtherCluster { dir, expected, found });
        }
        if self.node != owner.node {
            return Err(OpenDirError::OtherNode { dir, expected: owner.node, found: self.node });
        }
        Ok(())
    }
}

fn parse<T: std::str::FromStr>(key: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{key}={text:?} cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            node: BrokerId::new(7),
            directory: "00010203-0405-0607-0809-0a0b0c0d0e0f".parse().unwrap(),
            cluster: Some("f0e0d0c0-0000-4000-8000-000000000001".parse().unwrap()),
        }
    }

    #[test]
    fn the_file_reads_back() {
        for identity in [identity(), Identity { cluster: None, ..identity() }] {
            assert_eq!(Identity::decode(identity.encode().as_bytes()), Ok(identity));
        }
    }

    #[test]
    fn an_edited_file_is_refused() {
        let edited = identity().encode().replace("node.id=7", "node.id=8");
        let error = Identity::decode(edited.as_bytes()).unwrap_err();
        assert!(error.contains("checksum"), "{error}");
    }

    #[test]
    fn the_file_of_kafka_is_not_ours() {
        let kafka = b"#\nversion=1\ncluster.id=AAECAwQFBgcICQoLDA0ODw\nnode.id=7\n";
        assert_eq!(Identity::decode(kafka), Err("it has no line `crc32=\u{2026}`".to_owned()));
    }
}
