//! Waits for acknowledgements beside the writers, and notes how long each took.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use thalweg_client::Receipt;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::latency::Latencies;
use crate::clock::Started;

/// Acknowledgements that may be waited for at once: more than fit in a producer's memory as measured records.
/// When it is full, writers wait: a sample that is left out would hide the worst moments.
const SAMPLES_MAX: usize = 128 * 1024;

/// A record that was sent: the moment that its latency counts from, and what will tell its outcome.
pub(super) type Sample = (Duration, Receipt);

/// Where writers put their samples.
pub(super) type Samples = mpsc::Sender<Sample>;

/// Starts to wait for samples; ends when all writers are gone and all outcomes are known.
pub(super) fn collect(started: Started) -> (Samples, JoinHandle<Latencies>) {
    let (sender, mut samples) = mpsc::channel::<Sample>(SAMPLES_MAX);
    let collecting = async move {
        let mut latencies = Latencies::new();
        let mut waiting = FuturesUnordered::new();
        let mut is_open = true;
        while is_open || !waiting.is_empty() {
            tokio::select! {
                // Outcomes first: each moment that one waits here would count as latency.
                biased;
                Some((since, is_delivered)) = waiting.next() => {
                    if is_delivered {
                        latencies.record(started.elapsed().saturating_sub(since));
                    }
                }
                sample = samples.recv(), if is_open => match sample {
                    Some((since, receipt)) => {
                        waiting.push(async move { (since, receipt.await.is_ok()) });
                    }
                    None => is_open = false,
                },
            }
        }
        latencies
    };
    (sender, tokio::spawn(collecting))
}
