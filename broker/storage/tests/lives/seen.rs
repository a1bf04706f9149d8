//! What happened in a run besides the disk's own faults, so that a run in which one thing never did fails.

use std::fmt::Debug;
use std::ops::AddAssign;

/// How often each thing happened.
pub(crate) trait Counts: Copy + Debug + Default + AddAssign {
    /// The names of what never happened.
    fn missing(&self) -> Vec<&'static str>;
}

/// Declares the counts of a world.
macro_rules! seen {
    ($($field:ident,)+) => {
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(crate) struct Seen { $(pub(crate) $field: u64,)+ }

        impl $crate::lives::Counts for Seen {
            fn missing(&self) -> Vec<&'static str> {
                let all = [$((stringify!($field), self.$field),)+];
                all.iter().filter(|(_, times)| *times == 0).map(|(name, _)| *name).collect()
            }
        }

        impl std::ops::AddAssign for Seen {
            fn add_assign(&mut self, other: Self) {
                $(self.$field += other.$field;)+
            }
        }
    };
}
pub(crate) use seen;
