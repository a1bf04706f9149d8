//! `thalweg bench machine`: all controls, one after the other, beside what this kind of machine is known to do.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use thalweg_client::Compression;

use super::super::number::{float, length, rate, rounded, share};
use super::super::payload::{Kind, Payload};
use super::bare_loop::BareLoop;
use super::describe::Machine;
use super::echo::Echo;
use super::pauses::Pauses;
use super::{copy, disk, expected, stream};
use crate::console::{Console, Paint};
use crate::failure::Failure;
use crate::table::Table;

const KIB: usize = 1024;
const MIB: usize = 1024 * 1024;

/// A core stands still a few times a second: it is watched for so many times as long as something is measured.
const PAUSES_TIMES: u32 = 2;

/// Where to measure, and how long.
#[derive(Debug, Args)]
pub(crate) struct MachineArgs {
    /// Where the files are made (default: on this folder's disk)
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,

    /// How long each measurement may take
    #[arg(short, long, value_name = "TIME", default_value = "1s", value_parser = crate::values::duration)]
    duration: Duration,
}

/// What the machine does.
#[derive(Debug, Serialize)]
struct Physics {
    machine: Machine,
    figures: Vec<Figure>,
    pauses_us: Pauses,
}

/// One figure.
#[derive(Debug, Serialize)]
struct Figure {
    what: String,
    value: f64,
    unit: &'static str,
    /// What this kind of machine is known to do.
    expected: f64,
    /// How good it is: 1 is as expected, 2 twice as good. None of a time that was none.
    part: Option<f64>,
}

impl MachineArgs {
    /// Measures, and prints a table or JSON.
    pub(in super::super) fn run(self, console: &mut Console) -> Result<(), Failure> {
        let folder = super::super::run::folder(self.data_dir.as_deref())?;
        let measured = self.measure(folder.path());
        let machine = Machine::describe(folder.path(), None);
        let (figures, pauses_us) =
            measured.map_err(|error| Failure::failed(format!("cannot measure: {error}")))?;
        folder.close().map_err(|error| {
            Failure::failed(format!("cannot remove a temporary folder: {error}"))
        })?;
        let physics = Physics { machine, figures, pauses_us };
        if console.is_json() { console.json(&physics) } else { Ok(show(console, &physics)?) }
    }

    fn measure(&self, folder: &Path) -> io::Result<(Vec<Figure>, Pauses)> {
        // Before anything is written that the kernel would bring to the disk meanwhile.
        let pauses = Pauses::measure(PAUSES_TIMES * self.duration)?;
        let mut figures = vec![Figure::still(pauses.all.share)];
        figures.extend(self.figures(folder)?);
        Ok((figures, pauses))
    }

    fn figures(&self, folder: &Path) -> io::Result<Vec<Figure>> {
        let time = self.duration;
        let bytes = 1_u64 << 30;
        let mut figures = Vec::new();
        let (copied, copying) = copy::copy();
        figures.push(Figure::rate("copy memory, 64 KiB", copied, copying, expected::COPY));
        disk::warm(folder, disk::WARM_BYTES, 5 * time)?;
        let (written, writing) = disk::page_cache(folder, "cache", bytes, time)?;
        figures.push(Figure::rate(
            "write to the page cache, 64 KiB",
            written,
            writing,
            expected::PAGE_CACHE,
        ));
        remove_files(folder)?;
        for (name, group) in
            [("write and fdatasync, 64 KiB", 64 * KIB), ("write and fdatasync, 1 MiB", MIB)]
        {
            let (written, writing) = disk::synced(folder, group, bytes, time)?;
            let known = expected::synced(length(group));
            figures.push(Figure::rate(name, written, writing, known));
        }
        let (read, reading) = stream::stream(1, 4 * bytes, time)?;
        figures.push(Figure::rate("loopback stream, 1 MiB", read, reading, expected::stream(1)));
        for is_synced in [false, true] {
            let echo = Echo { bytes: KIB, synced_in: is_synced.then_some(folder) };
            figures.extend(Figure::echo(echo, is_synced)?);
        }
        remove_files(folder)?;
        for (record_bytes, batch_bytes) in
            [(KIB, MIB), (KIB, 16 * KIB), (100, MIB), (100, 16 * KIB)]
        {
            disk::warm(folder, disk::WARM_BYTES, 5 * time)?;
            figures.push(bare_loop(folder, record_bytes, batch_bytes, time)?);
            remove_files(folder)?;
        }
        Ok(figures)
    }
}

fn remove_files(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        std::fs::remove_file(entry?.path())?;
    }
    Ok(())
}

fn bare_loop(
    folder: &Path,
    record_bytes: usize,
    batch_bytes: usize,
    time_max: Duration,
) -> io::Result<Figure> {
    let payload = Payload::new(&Kind::Random, record_bytes)?;
    let looped = BareLoop {
        payload: &payload,
        record_bytes,
        batch_bytes,
        compression: Compression::None,
        connections: 1,
        bytes: 2_000_000_000,
        kept_bytes: 2 * disk::WARM_BYTES,
        time_max,
        folder,
    };
    let looped = looped.run()?;
    let bytes = float(looped.records) * length(record_bytes);
    let known = expected::bare_loop(length(record_bytes), length(batch_bytes), bytes);
    let value = rate(looped.records, looped.time);
    Ok(Figure {
        what: format!("bare produce loop, {record_bytes} B in {} KiB", batch_bytes / KIB),
        value: rounded(value / 1e6, 3),
        unit: "M records/s",
        expected: rounded(known / 1e6, 3),
        part: Some(rounded(share(value, known), 3)),
    })
}

impl Figure {
    fn rate(what: &str, bytes: u64, time: Duration, known: f64) -> Self {
        let value = rate(bytes, time);
        Self {
            what: what.to_owned(),
            value: rounded(value / 1e9, 3),
            unit: "GB/s",
            expected: rounded(known / 1e9, 3),
            part: Some(rounded(share(value, known), 3)),
        }
    }

    fn echo(echo: Echo<'_>, is_synced: bool) -> io::Result<Option<Self>> {
        let sync = if is_synced { expected::SYNC_MICROS } else { 0.0 };
        let known = expected::ECHO_MICROS + sync;
        let what = if is_synced { "echo of 1 KiB, synced, p50" } else { "echo of 1 KiB, p50" };
        Ok(echo.run()?.percentiles().map(|latency| Self {
            what: what.to_owned(),
            value: latency.p50,
            unit: "µs",
            expected: known,
            part: Some(rounded(share(known, latency.p50), 3)),
        }))
    }

    fn still(part: f64) -> Self {
        Self {
            what: "cores standing still".to_owned(),
            value: rounded(part * 100.0, 3),
            unit: "% of the time",
            expected: expected::STILL * 100.0,
            part: (part > 0.0).then(|| rounded(share(expected::STILL, part), 3)),
        }
    }
}

fn show(console: &mut Console, physics: &Physics) -> io::Result<()> {
    let mut table = Table::new(&["measured", "#value", "unit", "#expected", "#part"]);
    for figure in &physics.figures {
        table.row([
            figure.what.clone(),
            format!("{:.2}", figure.value),
            figure.unit.to_owned(),
            format!("{:.2}", figure.expected),
            figure.part.map_or_else(String::new, |part| format!("{:.0} %", part * 100.0)),
        ]);
    }
    console.table(&table)?;
    console.line(&super::super::show::pauses_line(&physics.pauses_us))?;
    if let Some(reason) = physics.pauses_us.void() {
        console.line(&format!("cores that stand still: void, {reason}"))?;
    }
    let line = console.paint(Paint::Dim, &super::super::show::machine_line(&physics.machine));
    console.line(&line)
}
