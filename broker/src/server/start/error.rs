//! Why a broker could not start.

use std::io;

use thalweg_storage::OpenDirError;

use crate::cluster::{IdentityError, MetadataError, MetadataLogError};
use crate::config::Address;

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
