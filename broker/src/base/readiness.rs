//! Why the broker is not ready, in words, by the part that says so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What `/readyz` answers from: each part sets and takes back its own reason. Cheap to clone; all clones
/// are one.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    reasons: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Readiness {
    /// Ready: no part gives a reason yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// `part` is not ready, and says why; a new reason replaces its old one.
    pub fn not_ready(&self, part: impl Into<String>, reason: impl Into<String>) {
        self.lock().insert(part.into(), reason.into());
    }

    /// `part` is ready.
    pub fn ready(&self, part: &str) {
        self.lock().remove(part);
    }

    /// Whether no part gives a reason.
    pub fn is_ready(&self) -> bool {
        self.lock().is_empty()
    }

    /// Each part that is not ready, with its reason, in the order of the parts' names.
    pub fn reasons(&self) -> Vec<(String, String)> {
        self.lock().iter().map(|(part, reason)| (part.clone(), reason.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        // Every change is one call, so the map is whole whoever panicked.
        self.reasons.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_ready_when_no_part_objects() {
        let readiness = Readiness::new();
        readiness.clone().not_ready("start", "the broker is starting");
        readiness.not_ready("disk", "3 of 5 logs are open");
        readiness.not_ready("disk", "4 of 5 logs are open");
        readiness.ready("start");
        let expected = ("disk".to_owned(), "4 of 5 logs are open".to_owned());
        assert_eq!(readiness.reasons(), [expected]);
        assert!(!readiness.is_ready());
        readiness.ready("disk");
        assert!(readiness.is_ready());
    }
}
