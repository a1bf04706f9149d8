//! One cycle: load, the cut, the restart, and the comparison of what is there with what was promised.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;
use std::sync::Arc;

use fastrand::Rng;
use thalweg_client::{Client, Record, StartAt};
use tokio::time::timeout;

use crate::history::{History, Id, Place, check_order, placed};
use crate::image::Image;
use crate::load::{Load, REPLICATED, SYNCED, create_topics};
use crate::server::Server;
use crate::support::DEADLINE;

/// What happened, summed over cycles.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub cuts: usize,
    /// Cuts that fell while bytes were on their way.
    pub cuts_in_load: usize,
    pub in_flight_bytes: usize,
    pub acknowledged: usize,
    /// Acknowledged in the synced topic, and gone.
    pub lost: usize,
    /// Read before the cut.
    pub seen: usize,
    /// Read before the cut, and gone or changed.
    pub unseen: usize,
    /// Acknowledged in the replicated topic before they were synced, and gone: proof that the power was cut.
    pub lost_unsynced: usize,
    /// Bytes that recovery cut off as a torn tail.
    pub recovery_cut_bytes: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.cuts += other.cuts;
        self.cuts_in_load += other.cuts_in_load;
        self.in_flight_bytes += other.in_flight_bytes;
        self.acknowledged += other.acknowledged;
        self.lost += other.lost;
        self.seen += other.seen;
        self.unseen += other.unseen;
        self.lost_unsynced += other.lost_unsynced;
        self.recovery_cut_bytes += other.recovery_cut_bytes;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} power cuts, {} of them in load; at the cuts {} bytes in flight; {} records acknowledged as synced, \
             {} of them lost; {} records read before, {} of them gone or changed; {} records lost that were \
             acknowledged unsynced, as asked for; recovery cut off {} bytes",
            self.cuts,
            self.cuts_in_load,
            self.in_flight_bytes,
            self.acknowledged,
            self.lost,
            self.seen,
            self.unseen,
            self.lost_unsynced,
            self.recovery_cut_bytes,
        )
    }
}

/// Runs one cycle on a new image. Order and content are checked here; what is lost is told.
pub async fn run(mut image: Image, seed: u64, defect: Option<&str>) -> Tally {
    let (data, log) = (image.mount_point().join("data"), image.beside("broker"));
    let server = Server::start(&data, &log, defect);
    let history = Arc::new(History::new(SYNCED));
    let in_flight_bytes = load_until_cut(&server, &image, &history, seed).await;
    server.kill();
    image.power_on().unwrap();

    // Without the defect: what it did is on the disk.
    let server = Server::start(&data, &log, None);
    let recovery_cut_bytes = server.counter("thalweg_recovery_cut_bytes_total").await;
    let client = server.client();
    let mut read = read_all(&client, SYNCED).await;
    read.append(&mut read_all(&client, REPLICATED).await);
    check_order(&read);
    let (lost, unseen) = (history.lost(SYNCED, &read), history.unseen(SYNCED, &read));
    if defect.is_none() && !(lost.is_empty() && unseen.is_empty()) {
        let broker = server.log();
        panic!("seed {seed}: lost {lost:?}; gone though it was read: {unseen:?}\n{broker}");
    }
    goes_on(&client).await;
    drop(client);
    server.kill();
    Tally {
        cuts: 1,
        cuts_in_load: usize::from(in_flight_bytes > 0),
        in_flight_bytes,
        acknowledged: history.acknowledged_of(SYNCED),
        lost: lost.len(),
        seen: history.seen_count(),
        unseen: unseen.len(),
        lost_unsynced: history.lost(REPLICATED, &read).len(),
        recovery_cut_bytes,
    }
}

/// Publishes until a number of acknowledgements that the seed chooses, and takes the power in the middle of it.
async fn load_until_cut(
    server: &Server,
    image: &Image,
    history: &Arc<History>,
    seed: u64,
) -> usize {
    let client = server.client();
    create_topics(&client).await;
    let load = Load::start(&client, history);
    let count = Rng::with_seed(seed).u64(200..6_000);
    let reached = timeout(DEADLINE, history.reaches(count)).await;
    assert!(reached.is_ok(), "{count} acknowledgements took too long:\n{}", server.log());
    let in_flight_bytes = history.end();
    image.cut_power().unwrap();
    load.stop().await;
    in_flight_bytes
}

async fn read_all(client: &Client, topic: &'static str) -> BTreeMap<Place, Id> {
    let builder = client.consumer().topic(topic, StartAt::Earliest).stop_at_end();
    let mut consumer = builder.build().await.unwrap();
    let mut read = BTreeMap::new();
    while let Some(record) =
        timeout(DEADLINE, consumer.next()).await.expect("the read stands still")
    {
        let (place, id) = placed(topic, &record.unwrap());
        read.insert(place, id);
    }
    read
}

/// After the restart the topics take records as before.
async fn goes_on(client: &Client) {
    let producer = client.producer().build().await.unwrap();
    for topic in [SYNCED, REPLICATED] {
        for partition in 0..3 {
            let receipt =
                producer.send(Record::to(topic).partition(partition).value("after")).await;
            timeout(DEADLINE, receipt.unwrap()).await.expect("no answer").unwrap();
        }
    }
}
