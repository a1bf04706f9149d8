//! What fetches under way may bring, held against the memory for reading ahead. Pure.
//!
//! ```text
//!     | waits to be handed out | asked ahead | asked for ......... |
//!     0                                                            ^ bytes_max
//! ```
//!
//! A fetch asks for what is free of the memory. One that goes ahead is sure to bring something, so its room is kept for it;
//! one that may wait at the end of a log keeps nobody else from asking. Who goes ahead counts both: there is no need to, and
//! what comes is to fit in any case.

use super::super::position::pays_to_go_ahead;

/// What fetches under way may bring, in bytes of records.
#[derive(Debug)]
pub(super) struct Budget {
    bytes_max: usize,
    asked_bytes: usize,
    /// The part of it in fetches that go ahead.
    ahead_bytes: usize,
}

/// What one fetch may bring; given back when it has ended.
#[derive(Debug)]
#[must_use = "`Budget::release` takes it back"]
pub(super) struct Claim {
    bytes: usize,
    is_ahead: bool,
}

impl Budget {
    pub(super) const fn new(bytes_max: usize) -> Self {
        Self { bytes_max, asked_bytes: 0, ahead_bytes: 0 }
    }

    /// How much may be asked for while so much waits to be handed out.
    pub(super) const fn free(&self, buffered_bytes: usize) -> usize {
        self.bytes_max.saturating_sub(buffered_bytes.saturating_add(self.ahead_bytes))
    }

    /// The same for all fetches together that go ahead.
    pub(super) const fn free_ahead(&self, buffered_bytes: usize) -> usize {
        self.bytes_max.saturating_sub(buffered_bytes.saturating_add(self.asked_bytes))
    }

    /// Whether to ask for what follows answers that are arriving.
    pub(super) const fn goes_ahead(&self, buffered_bytes: usize, fetch_bytes_max: usize) -> bool {
        pays_to_go_ahead(buffered_bytes, self.free_ahead(buffered_bytes), fetch_bytes_max)
    }

    /// A fetch that may bring so much begins.
    pub(super) const fn claim(&mut self, bytes: usize, is_ahead: bool) -> Claim {
        self.asked_bytes += bytes;
        self.ahead_bytes += if is_ahead { bytes } else { 0 };
        Claim { bytes, is_ahead }
    }

    /// The fetch has ended: what it brought, if anything, is counted as what waits.
    pub(super) const fn release(&mut self, claim: &Claim) {
        self.asked_bytes -= claim.bytes;
        self.ahead_bytes -= if claim.is_ahead { claim.bytes } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_ahead_is_reserved_until_its_fetch_has_ended() {
        let mut budget = Budget::new(1000);
        let waits = budget.claim(300, false);
        assert_eq!(budget.free(0), 1000, "it may wait at the end of a log");
        assert_eq!(budget.free_ahead(100), 600, "who goes ahead counts it all the same");
        let ahead = budget.claim(200, true);
        assert_eq!(budget.free_ahead(100), 400);
        assert_eq!((budget.free(0), budget.free(500), budget.free(900)), (800, 300, 0));
        budget.release(&waits);
        assert_eq!(budget.free(500), 300);
        budget.release(&ahead);
        assert_eq!(budget.free(500), 500);
    }

    #[test]
    fn nobody_goes_ahead_where_what_is_asked_for_leaves_less_than_two_answers() {
        let mut budget = Budget::new(1000);
        let claims = [budget.claim(300, false), budget.claim(300, true)];
        assert!(budget.goes_ahead(0, 200));
        assert!(!budget.goes_ahead(1, 200), "what waits counts");
        let one_more = budget.claim(1, false);
        assert!(!budget.goes_ahead(0, 200));
        for claim in claims.iter().chain([&one_more]) {
            budget.release(claim);
        }
        assert!(budget.goes_ahead(0, 500));
    }
}
