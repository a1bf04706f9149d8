//! Settings of consumer groups and their committed offsets.

use super::setting::{Allowed, Raw, Value, settings};
use crate::base::Millis;

settings! {
    /// Consumer groups and their committed offsets.
    pub struct GroupsConfig in "groups" {
        /// Partitions of the internal topic `__consumer_offsets`, which share the groups among them. Counts when the
        /// topic is made, with the first group; never changes afterwards.
        offsets_partitions: u32 = 50, Allowed::Count(1, 10_000);
        /// A member that gives no sign of life for so long is taken out of its group, when its client does not say.
        session_timeout_ms: Millis = Millis::seconds(10),
            Allowed::Time(Millis::new(100), Millis::hours(1));
        /// The shortest session that a client may ask for.
        session_timeout_ms_min: Millis = Millis::seconds(1),
            Allowed::Time(Millis::new(100), Millis::hours(1));
        /// The longest session that a client may ask for.
        session_timeout_ms_max: Millis = Millis::minutes(30),
            Allowed::Time(Millis::new(100), Millis::hours(24));
        /// How often members give a sign of life. Partitions move only with these.
        heartbeat_interval_ms: Millis = Millis::new(500),
            Allowed::Time(Millis::new(10), Millis::minutes(10));
        /// A member that does not let go of a partition for so long is taken out of its group, when its client does
        /// not say.
        drain_timeout_ms: Millis = Millis::minutes(1),
            Allowed::Time(Millis::new(100), Millis::hours(1));
        /// The longest time for letting go that a client may ask for.
        drain_timeout_ms_max: Millis = Millis::minutes(30),
            Allowed::Time(Millis::new(100), Millis::hours(24));
        /// Members of one group.
        members_max: u32 = 2_000, Allowed::Count(1, 100_000);
        /// Members of all groups that one broker keeps, together.
        members_all_max: u32 = 50_000, Allowed::Count(1, 10_000_000);
        /// Groups that one broker keeps.
        groups_max: u32 = 20_000, Allowed::Count(1, 10_000_000);
        /// The longest note that can be committed with an offset, in bytes.
        metadata_bytes_max: u32 = 4_096, Allowed::Count(0, 32_768);
        /// How long the offsets of a group are kept, counted from when its last member left.
        offsets_retention_ms: Millis = Millis::hours(7 * 24),
            Allowed::Time(Millis::new(1), Millis::hours(24 * 365 * 100));
        /// The same for single groups, each GROUP=TIME; a name that ends in * means all that begin so, and the first
        /// that fits counts.
        offsets_retention_overrides: Vec<GroupRetention> = Vec::new(),
            Allowed::Form("a list such as \"audit=90d\" or \"console-*=1h\"");
        /// How often it is looked for offsets that nobody can want any more.
        cleanup_interval_ms: Millis = Millis::minutes(1),
            Allowed::Time(Millis::new(10), Millis::hours(24));
        /// How often it is looked how far groups are behind, for the metrics.
        lag_interval_ms: Millis = Millis::seconds(5),
            Allowed::Time(Millis::new(10), Millis::hours(1));
    }
}

/// How long the offsets of one group are kept, or of all that begin so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRetention {
    /// The group's name; `*` at its end means all that begin so.
    pub group: String,
    /// How long.
    pub time: Millis,
}

impl Value for Vec<GroupRetention> {
    fn read(raw: &Raw) -> Option<Self> {
        let one = |item: &Raw| {
            let (group, time) = item.text()?.rsplit_once('=')?;
            let time: Millis = time.trim().parse().ok()?;
            let group = group.trim().to_owned();
            (!group.is_empty() && time.ms() > 0).then_some(GroupRetention { group, time })
        };
        raw.list()?.iter().map(one).collect()
    }

    fn shown(&self) -> String {
        let shown: Vec<String> =
            self.iter().map(|one| format!("{:?}", format!("{}={}", one.group, one.time))).collect();
        format!("[{}]", shown.join(", "))
    }
}
