//! Figures that are looked up when somebody asks for the metrics.

use std::sync::Arc;

use thalweg_protocol::LeaderEpoch;

use crate::cluster::MetadataHandle;
use crate::metrics::{DirectoryState, Metrics, amount};
use crate::partition::{Directory, Table};
use crate::server::limits::Limits;

/// Has the figures of directories, partitions and topics looked up whenever somebody asks for them.
pub(super) fn show_figures(table: &Arc<Table>, metadata: &MetadataHandle, metrics: &Arc<Metrics>) {
    // Weak on both sides: the metrics live as long as the broker, not the other way round. Nor do they keep the
    // metadata's worker alive, as a handle would.
    let (table, counts) = (Arc::downgrade(table), Arc::downgrade(metrics));
    let (image, queue) = (metadata.subscribe(), metadata.queue());
    metrics.before_render(move || {
        let (Some(table), Some(metrics)) = (table.upgrade(), counts.upgrade()) else { return };
        let figures = &metrics.broker;
        figures.topics.set(amount(image.borrow().topic_count() as u64));
        figures.metadata_queue.set(amount(queue() as u64));
        // One table of open files serves all directories.
        if let Some(directory) = table.directories().first() {
            let files = directory.dir().open_files().counts();
            figures.open_files.set(amount(files.open as u64));
        }
        show_partitions(&table, &metrics);
    });
}

/// What connections may take, and, whenever somebody asks, what they hold of it.
pub(super) fn show_limits(limits: &Arc<Limits>, metrics: &Arc<Metrics>) {
    let figures = &metrics.connections;
    figures.open_max.set(amount(limits.connections_max as u64));
    figures.request_memory_max_bytes.set(amount(limits.waiting.bytes_max() as u64));
    figures.answer_memory_max_bytes.set(amount(limits.answers.bytes_max() as u64));
    let (limits, counts) = (Arc::clone(limits), Arc::downgrade(metrics));
    metrics.before_render(move || {
        let Some(metrics) = counts.upgrade() else { return };
        let figures = &metrics.connections;
        figures.request_memory_bytes.set(amount(limits.granted_bytes() as u64));
        figures.waiting_memory_bytes.set(amount(limits.waiting.taken() as u64));
        figures.answer_memory_bytes.set(amount(limits.answers.taken() as u64));
    });
}

/// Each partition where it stands, and how many are in which state.
fn show_partitions(table: &Table, metrics: &Metrics) {
    let (mut leading, mut following, mut read_only) = (0_u64, 0, 0);
    let mut offline = table.offline().len() as u64;
    let mut log_bytes = vec![0; table.directories().len()];
    for partition in table.online() {
        let bytes = partition.show();
        let place = |dir: &Arc<Directory>| Arc::ptr_eq(dir.dir(), partition.dir());
        if let Some(place) = table.directories().iter().position(place)
            && let Some(sum) = log_bytes.get_mut(place)
        {
            *sum += bytes;
        }
        let count = match DirectoryState::from(&partition.dir().state()) {
            DirectoryState::Offline => &mut offline,
            DirectoryState::ReadOnly => &mut read_only,
            DirectoryState::Online if partition.leads_in(LeaderEpoch::FIRST) => &mut leading,
            DirectoryState::Online => &mut following,
        };
        *count += 1;
    }
    for (directory, bytes) in table.directories().iter().zip(log_bytes) {
        directory.show(bytes);
    }
    let figures = &metrics.broker;
    figures.partitions_leading.set(amount(leading));
    figures.partitions_following.set(amount(following));
    figures.partitions_read_only.set(amount(read_only));
    figures.partitions_offline.set(amount(offline));
}
