//! One round of a shard: everything that was asked since the last one, answered in order, and what is to be written
//! before the answers may go.

use thalweg_storage::defects::{Defect, planted};

use super::error::GroupError;
use super::membership::{Entered, Said};
use super::options::Moment;
use super::record::Record;
use super::request::{Answer, GroupState, Heartbeat, Request};
use super::sessions::Fenced;
use super::state::Groups;
use crate::base::Monotonic;

/// What a round came to.
#[derive(Debug, Default)]
pub struct Round {
    /// What to write, in order. The groups are as if it were written.
    pub records: Vec<Record>,
    /// The answers, in the order of the questions. None may go before all records so far are committed.
    pub answers: Vec<Result<Answer, GroupError>>,
    /// Who was taken out.
    pub fenced: Vec<Fenced>,
}

/// A question on its way through a round.
enum Step {
    Answered(Result<Answer, GroupError>),
    Advance(Box<Heartbeat>, Said),
    Describe(String),
    List(Vec<GroupState>),
}

impl Groups {
    /// Answers questions. Members come and go first, then targets are made once for all, then members are told.
    pub fn round(&mut self, requests: Vec<Request>, moment: &Moment<'_>) -> Round {
        let begun: Vec<Step> =
            requests.into_iter().map(|request| self.begin(request, moment)).collect();
        self.settle(moment);
        let answers = begun.into_iter().map(|step| match step {
            Step::Answered(answer) => answer,
            Step::Advance(beat, said) => self.advance(&beat, said, moment).map(Answer::Heartbeat),
            Step::Describe(name) => {
                self.describe(&name, moment).map(|group| Answer::Described(Box::new(group)))
            }
            Step::List(states) => Ok(Answer::Listed(self.list(&states))),
        });
        let answers = answers.collect();
        Round { answers, records: std::mem::take(&mut self.written), fenced: Vec::new() }
    }

    fn begin(&mut self, request: Request, moment: &Moment<'_>) -> Step {
        match request {
            Request::Heartbeat(beat) => match self.enter(&beat, moment) {
                Ok(Entered::Left(answer)) => Step::Answered(Ok(Answer::Heartbeat(answer))),
                Ok(Entered::Member(said)) => Step::Advance(Box::new(beat), said),
                Err(error) => Step::Answered(Err(error)),
            },
            Request::Commit(commit) => {
                Step::Answered(self.commit(&commit, moment).map(Answer::Done))
            }
            Request::FetchOffsets(fetch) => {
                Step::Answered(self.fetch_offsets(&fetch).map(Answer::Offsets))
            }
            Request::Delete(name) => Step::Answered(self.delete(&name).map(|()| Answer::Deleted)),
            Request::DeleteOffsets(delete) => {
                Step::Answered(self.delete_offsets(&delete, moment).map(Answer::Done))
            }
            Request::Describe(name) => Step::Describe(name),
            Request::List(states) => Step::List(states),
        }
    }

    /// Time has passed: sessions may be over. All that was said by `heard` has been taken in: silence counts up to
    /// then.
    pub fn tick(&mut self, moment: &Moment<'_>, heard: Monotonic) -> Round {
        let fenced =
            if planted(Defect::NeverFence) { Vec::new() } else { self.expire_members(heard) };
        self.settle(moment);
        Round { fenced, records: std::mem::take(&mut self.written), answers: Vec::new() }
    }

    /// The cluster's topics have changed.
    pub fn topics_changed(&mut self, moment: &Moment<'_>) -> Round {
        self.look_at_topics(moment);
        self.settle(moment);
        Round { records: std::mem::take(&mut self.written), ..Round::default() }
    }

    /// Forgets offsets that nobody can want any more. Looks at many: to be called now and then.
    pub fn clean(&mut self, moment: &Moment<'_>) -> Round {
        self.expire_offsets(moment.wall);
        self.expire_topics(moment);
        self.settle(moment);
        Round { records: std::mem::take(&mut self.written), ..Round::default() }
    }
}
