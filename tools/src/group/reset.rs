//! `thalweg group reset`: shows where a group's offsets would go, and with `--execute` puts them there.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};
use serde::Serialize;
use thalweg_client::{
    Admin, AdminError, CommitOffset, DescribedGroup, ErrorCode, Offset, PartitionIndex,
    PlannedReset, ResetTo, StartAt, TimestampMs,
};

use super::describe::committed;
use super::file;
use super::scope::TopicScope;
use super::show;
use crate::connect::Connect;
use crate::console::Console;
use crate::failure::Failure;
use crate::table::Table;
use crate::timestamp;
use crate::values::{self, grouped};

/// A group whose offsets go elsewhere.
#[derive(Debug, Args)]
#[command(
    after_help = "Without --execute nothing is changed. The group must have no members when it is.\n\n\
    Examples:\n  \
    thalweg group reset alerts --to-time 2018-02-07T00:00:00Z\n  \
    thalweg group reset alerts --topic events:0,3 --shift-by -100 --export before.csv --execute\n  \
    thalweg group reset alerts --from-file before.csv --execute"
)]
pub(crate) struct ResetArgs {
    /// The group
    group: String,
    /// Only this topic, or some of its partitions: events, events:0,3; may be given several times (default: all
    /// that the group has committed)
    #[arg(long = "topic", value_name = "TOPIC[:PARTITION,…]")]
    topics: Vec<TopicScope>,
    /// Changes it; without this it is only shown
    #[arg(long, conflicts_with = "dry_run")]
    execute: bool,
    /// Only shows what would change, which is the default
    #[arg(long)]
    dry_run: bool,
    /// Writes what is committed now to this file, so that --from-file brings it back; - is standard output
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    export: Option<PathBuf>,
    #[command(flatten)]
    to: To,
    #[command(flatten)]
    connect: Connect,
}

/// Where the offsets go: one of these.
#[expect(clippy::struct_field_names, reason = "the options are called so")]
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct To {
    /// To the first record that is still there
    #[arg(long)]
    to_earliest: bool,
    /// Behind the last record
    #[arg(long)]
    to_latest: bool,
    /// To this offset
    #[arg(long, value_name = "OFFSET", value_parser = offset)]
    to_offset: Option<Offset>,
    /// To the first record of this moment or a later one: 2018-02-01T12:30:00Z, 2018-02-01, @milliseconds
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    to_time: Option<TimestampMs>,
    /// To the first record that is at most so old: 1h, 7d
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    by_duration: Option<Duration>,
    /// Forward by so many records, or back with a minus
    #[arg(long, value_name = "RECORDS", allow_hyphen_values = true, value_parser = shift)]
    shift_by: Option<i64>,
    /// To what the lines of this file say: topic,partition,offset; - is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    from_file: Option<PathBuf>,
}

fn offset(text: &str) -> Result<Offset, String> {
    match text.parse() {
        Ok(number @ 0..) => Ok(Offset::new(number)),
        _ => Err("possible are 0, 1, 2 and so on; --to-earliest and --to-latest name the ends"
            .to_owned()),
    }
}

fn shift(text: &str) -> Result<i64, String> {
    let good = text.parse().ok().filter(|number| *number != 0);
    good.ok_or_else(|| "possible are numbers such as 100 (forward) or -100 (back)".to_owned())
}

fn moment(text: &str) -> Result<TimestampMs, String> {
    let ms = |text: &str| text.parse().ok().filter(|ms| *ms >= 0).map(TimestampMs::new);
    let moment = text.strip_prefix('@').map_or_else(|| timestamp::parse(text), ms);
    moment.ok_or_else(|| {
        "possible are a moment such as 2018-02-01T12:30:00Z or 2018-02-01 (UTC), or @1517443200000 \
         (milliseconds)"
            .to_owned()
    })
}

impl To {
    /// The same place for every partition; none when a file says it for each.
    fn everywhere(&self) -> Option<ResetTo> {
        let at = if self.to_earliest {
            Some(StartAt::Earliest)
        } else if self.to_latest {
            Some(StartAt::Latest)
        } else {
            self.to_offset
                .map(StartAt::Offset)
                .or_else(|| self.to_time.map(StartAt::Time))
                .or_else(|| self.by_duration.map(StartAt::Ago))
        };
        at.map(ResetTo::At).or_else(|| self.shift_by.map(ResetTo::By))
    }
}

/// A reset as programs see it.
#[derive(Serialize)]
struct Shown<'a> {
    group: &'a str,
    executed: bool,
    partitions: Vec<ShownPartition>,
}

#[derive(Serialize)]
struct ShownPartition {
    topic: String,
    partition: i32,
    before: Option<i64>,
    after: i64,
    log_start: i64,
    log_end: i64,
    note: Option<String>,
}

/// Partitions, and where each one's offset goes.
type Wanted = BTreeMap<(String, PartitionIndex), ResetTo>;

impl ResetArgs {
    pub(super) async fn run(self, console: &mut Console) -> Result<(), Failure> {
        let admin = self.connect.client()?.admin();
        // One that nobody knows yet can be told where to begin.
        let group = match admin.describe_group(&self.group).await {
            Ok(group) => Some(group),
            Err(AdminError::Refused { code: ErrorCode::UnknownGroup, .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let wanted = self.wanted(&admin, group.as_ref()).await?;
        let mut planned = Vec::new();
        for ((topic, partition), to) in wanted {
            let one = admin.plan_group_reset(&self.group, &topic, Some(&[partition]), to).await?;
            planned.extend(one.into_iter().map(|one| (one, to)));
        }
        let members = group.as_ref().map(|group| group.members.as_slice()).unwrap_or_default();
        if self.execute && !members.is_empty() {
            return Err(Failure::failed(format!(
                "group {} has active members: {}; end them first, then reset: nothing was changed",
                self.group,
                show::listed(members)
            )));
        }
        self.export(group.as_ref(), console)?;
        if self.execute {
            let offsets = planned.iter().map(|(one, _)| CommitOffset::from(one));
            admin.commit_group_offsets(&self.group, offsets).await?;
        }
        self.show(&planned, console)?;
        if !self.execute {
            console.note("nothing was changed: --execute does it");
            if !members.is_empty() {
                console.note(&format!(
                    "but not while the group has members, as it has now: {}",
                    show::listed(members)
                ));
            }
        }
        Ok(())
    }

    async fn wanted(
        &self,
        admin: &Admin,
        group: Option<&DescribedGroup>,
    ) -> Result<Wanted, Failure> {
        let Some(to) = self.to.everywhere() else {
            return self.lines_of_file();
        };
        let mut wanted = Wanted::new();
        for scope in &self.topics {
            let partitions = scope.partitions_of(&admin.describe_topic(&scope.topic).await?)?;
            wanted.extend(partitions.into_iter().map(|it| ((scope.topic.clone(), it), to)));
        }
        if self.topics.is_empty() {
            let known = group.map(committed).unwrap_or_default();
            wanted.extend(known.into_keys().map(|at| (at, to)));
        }
        if wanted.is_empty() {
            let what = if group.is_some() { "has committed nothing yet" } else { "is not known" };
            return Err(Failure::failed(format!(
                "group {} {what}: say with --topic where its offsets shall be set\n  \
                 hint: `thalweg group list` shows which groups there are",
                self.group
            )));
        }
        Ok(wanted)
    }

    /// The lines of the file, as far as they are meant.
    fn lines_of_file(&self) -> Result<Wanted, Failure> {
        let path = self.to.from_file.clone().unwrap_or_default();
        let mut wanted = Wanted::new();
        for ((topic, partition), offset) in file::read(&path)? {
            let is_meant = |scope: &TopicScope| {
                scope.topic == topic
                    && scope.partitions.as_ref().is_none_or(|some| some.contains(&partition))
            };
            if self.topics.is_empty() || self.topics.iter().any(is_meant) {
                wanted.insert((topic, partition), ResetTo::At(StartAt::Offset(offset)));
            }
        }
        if wanted.is_empty() {
            let path = path.display();
            return Err(Failure::failed(format!("{path} has no line for what --topic names")));
        }
        Ok(wanted)
    }

    fn export(&self, group: Option<&DescribedGroup>, console: &Console) -> Result<(), Failure> {
        let Some(path) = &self.export else { return Ok(()) };
        let offsets = group.map(committed).unwrap_or_default();
        file::write(path, &offsets)?;
        console.note(&format!("wrote {} offsets to {}", offsets.len(), path.display()));
        Ok(())
    }

    fn show(
        &self,
        planned: &[(PlannedReset, ResetTo)],
        console: &mut Console,
    ) -> Result<(), Failure> {
        if console.is_json() {
            let partitions = planned.iter().map(|(one, to)| ShownPartition {
                topic: one.topic.to_string(),
                partition: one.partition.get(),
                before: one.before.map(Offset::get),
                after: one.after.get(),
                log_start: one.log_start.get(),
                log_end: one.log_end.get(),
                note: note(one, *to),
            });
            let (group, executed) = (&self.group, self.execute);
            return console.json(&Shown { group, executed, partitions: partitions.collect() });
        }
        let heads = [
            "topic",
            "#partition",
            "#before",
            "#after",
            "#change",
            "#log start",
            "#log end",
            "note",
        ];
        let mut table = Table::new(&heads);
        for (one, to) in planned {
            let before = one.before.map_or_else(|| "-".to_owned(), |offset| offset.to_string());
            let change = one.before.map_or_else(
                || "-".to_owned(),
                |offset| {
                    let change = one.after.since(offset);
                    format!("{}{}", if change > 0 { "+" } else { "" }, grouped(change))
                },
            );
            table.row([
                one.topic.to_string(),
                one.partition.to_string(),
                before,
                one.after.to_string(),
                change,
                one.log_start.to_string(),
                one.log_end.to_string(),
                note(one, *to).unwrap_or_default(),
            ]);
        }
        Ok(console.table(&table)?)
    }
}

/// Says so when the wanted offset is not in the log.
fn note(planned: &PlannedReset, to: ResetTo) -> Option<String> {
    let wanted = match to {
        ResetTo::At(StartAt::Offset(offset)) => offset.get(),
        ResetTo::By(shift) => {
            planned.before.unwrap_or(planned.log_start).get().saturating_add(shift)
        }
        ResetTo::At(_) => return None,
    };
    match wanted.cmp(&planned.after.get()) {
        Ordering::Greater => Some(format!("{wanted} is beyond the log end")),
        Ordering::Less => Some(format!("{wanted} is before the log start")),
        Ordering::Equal => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_make_no_sense_say_what_is_possible() {
        assert_eq!(offset("12"), Ok(Offset::new(12)));
        assert_eq!((shift("-3"), shift("+3")), (Ok(-3), Ok(3)));
        assert_eq!(moment("2018-02-01"), Ok(TimestampMs::new(1_517_443_200_000)));
        assert_eq!(moment("@5"), Ok(TimestampMs::new(5)));
        for error in [
            offset("-1").unwrap_err(),
            offset("end").unwrap_err(),
            shift("0").unwrap_err(),
            shift("far").unwrap_err(),
            moment("soon").unwrap_err(),
            moment("@").unwrap_err(),
        ] {
            assert!(error.starts_with("possible are"), "{error}");
        }
    }
}
