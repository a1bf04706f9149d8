//! One history: clients, network, topics and a coordinator that is killed now and then, all from one seed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use thalweg_broker::base::Monotonic;
use thalweg_broker::coordinator::{
    Answer, GroupOptions, GroupState, Groups, Moment, Record, Request, Subscription,
};
use thalweg_protocol::{MemberEpoch, TimestampMs};

use crate::checks::{Log, Verdict, Written, demand, one_reader};
use crate::client::{Ask, Client, DRAIN_MS, GROUP, Reply, SESSION_MS};
use crate::network::Network;
use crate::world::World;

const STEP_MS: u64 = 100;

/// How long things go wrong.
const WILD_MS: u64 = 25_000;

/// By then every partition is read again after the last disturbance: a session and a drain run out, then some
/// heartbeats.
const CALM_MS: u64 = SESSION_MS as u64 + DRAIN_MS as u64 + 12_000;

/// What happened, summed over histories: a fault that never happened proves nothing.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    histories: u64,
    steps: u64,
    joins: u64,
    leaves: u64,
    kills: u64,
    pauses: u64,
    returns: u64,
    fenced: u64,
    refused_commits: u64,
    commits: u64,
    reloads: u64,
    records_cut: u64,
    grown: u64,
    vanished: u64,
    lost: u64,
    doubled: u64,
    moved: u64,
}

impl Totals {
    pub fn add(&mut self, other: &Self) {
        self.histories += other.histories;
        self.steps += other.steps;
        self.joins += other.joins;
        self.leaves += other.leaves;
        self.kills += other.kills;
        self.pauses += other.pauses;
        self.returns += other.returns;
        self.fenced += other.fenced;
        self.refused_commits += other.refused_commits;
        self.commits += other.commits;
        self.reloads += other.reloads;
        self.records_cut += other.records_cut;
        self.grown += other.grown;
        self.vanished += other.vanished;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.moved += other.moved;
    }

    pub fn assert_not_vacuous(&self) {
        for (what, count) in [
            ("joins", self.joins),
            ("leaves", self.leaves),
            ("kills", self.kills),
            ("pauses", self.pauses),
            ("returns of static members", self.returns),
            ("members taken out", self.fenced),
            ("commits refused", self.refused_commits),
            ("commits", self.commits),
            ("reloads", self.reloads),
            ("records cut off", self.records_cut),
            ("topics grown", self.grown),
            ("topics deleted", self.vanished),
            ("messages lost", self.lost),
            ("messages doubled", self.doubled),
            ("partitions moved", self.moved),
        ] {
            assert!(count > 0, "vacuous: no {what}");
        }
    }
}

/// A round that is written and not yet committed.
struct UnderWay {
    records: Vec<Record>,
    replies: Vec<Reply>,
}

struct Sim<'a> {
    rng: Rng,
    now: u64,
    world: World,
    options: Arc<GroupOptions>,
    groups: Groups,
    /// Fed with the same records one by one, as a load would be.
    shadow: Groups,
    log: Log,
    written: Written,
    under_way: VecDeque<UnderWay>,
    asks: Network<Ask>,
    replies: Network<Reply>,
    clients: Vec<Client>,
    is_wild: bool,
    topics_stale: bool,
    has_written: bool,
    totals: &'a mut Totals,
}

/// Runs the history of a seed; what is wrong, if anything is.
pub fn run(seed: u64, totals: &mut Totals) -> Verdict {
    let mut sim = Sim::new(seed, totals);
    while sim.now < WILD_MS {
        sim.step()?;
    }
    sim.calm_down();
    while sim.now < WILD_MS + CALM_MS {
        sim.step()?;
    }
    sim.check_settled()
}

impl<'a> Sim<'a> {
    fn new(seed: u64, totals: &'a mut Totals) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut world = World::default();
        for number in 0..rng.usize(1..4) {
            world.create(&format!("t-{number}"), rng.usize(1..9));
        }
        let options =
            Arc::new(GroupOptions { heartbeat_interval_ms: 1_000, ..GroupOptions::default() });
        let clients = (0..rng.usize(3..=20))
            .map(|place| {
                let instance = (rng.u32(..3) == 0).then(|| format!("i-{place}"));
                Client::new(place, instance, subscription(&mut rng))
            })
            .collect();
        totals.histories += 1;
        Self {
            now: 0,
            world,
            groups: Groups::new(Arc::clone(&options)),
            shadow: Groups::new(Arc::clone(&options)),
            options,
            log: Log::default(),
            written: Written::default(),
            under_way: VecDeque::new(),
            asks: Network::default(),
            replies: Network::default(),
            clients,
            is_wild: true,
            topics_stale: false,
            has_written: false,
            rng,
            totals,
        }
    }

    fn step(&mut self) -> Verdict {
        self.now += STEP_MS;
        self.totals.steps += 1;
        if self.is_wild {
            self.disturb()?;
        }
        self.world.produce(|| 3);
        self.coordinate()?;
        self.commit_rounds();
        for reply in self.replies.arrived(self.now) {
            self.clients[reply.ask.client].hear(reply, self.now, &mut self.rng);
        }
        for place in 0..self.clients.len() {
            for ask in self.clients[place].act(self.now, &self.world, &mut self.rng) {
                self.send(ask);
            }
        }
        one_reader(&self.groups, &self.clients)?;
        // What nothing was written about has not changed in the shadow.
        let same =
            !std::mem::take(&mut self.has_written) || self.groups.stored() == self.shadow.stored();
        demand(same, || "the groups are not what their records say".to_owned())
    }

    /// Commits of one member stay in their order, doubled or not: one connection carries them.
    fn send(&mut self, ask: Ask) {
        let bad = self.is_wild;
        if !matches!(ask.request, Request::Commit(_)) {
            return self.asks.send(self.now, ask, &mut self.rng, bad);
        }
        if bad && self.rng.u32(..100) < 5 {
            self.asks.lost += 1;
            return;
        }
        let client = &mut self.clients[ask.client];
        let delay = if bad && self.rng.u32(..100) < 15 { self.rng.u64(0..6_000) } else { 20 };
        client.commit_arrives = client.commit_arrives.max(self.now + delay);
        let arrives = client.commit_arrives;
        if bad && self.rng.u32(..100) < 10 {
            self.asks.doubled += 1;
            self.asks.put(arrives, ask.clone());
        }
        self.asks.put(arrives, ask);
    }

    /// What has arrived is answered, in one round or several; time passes for the coordinator, too.
    fn coordinate(&mut self) -> Verdict {
        let asks = self.asks.arrived(self.now);
        let pieces = if self.rng.bool() { asks.len().max(1) } else { self.rng.usize(1..4) };
        for chunk in asks.chunks(pieces) {
            let requests = chunk.iter().map(|ask| ask.request.clone()).collect();
            let round =
                with_moment(&self.world, self.now, |moment| self.groups.round(requests, moment));
            let replies = chunk
                .iter()
                .zip(round.answers)
                .map(|(ask, answer)| Reply { ask: ask.clone(), answer: answer.map_err(Some) });
            let replies: Vec<Reply> = replies.collect();
            self.count(&replies);
            self.write(round.records, replies)?;
        }
        let round =
            with_moment(&self.world, self.now, |moment| self.groups.tick(moment, moment.now));
        self.totals.fenced += round.fenced.len() as u64;
        self.write(round.records, Vec::new())?;
        if self.topics_stale && self.rng.u32(..3) == 0 {
            self.topics_stale = false;
            let round =
                with_moment(&self.world, self.now, |moment| self.groups.topics_changed(moment));
            self.write(round.records, Vec::new())?;
        }
        if self.now.is_multiple_of(5_000) {
            let round = with_moment(&self.world, self.now, |moment| self.groups.clean(moment));
            self.write(round.records, Vec::new())?;
        }
        Ok(())
    }

    fn count(&mut self, replies: &[Reply]) {
        for reply in replies {
            match &reply.answer {
                Ok(Answer::Done(items)) => {
                    let good = items.iter().filter(|(_, outcome)| outcome.is_ok()).count();
                    self.totals.commits += good as u64;
                    self.totals.refused_commits += (items.len() - good) as u64;
                }
                Err(_) if matches!(reply.ask.request, Request::Commit(_)) => {
                    self.totals.refused_commits += 1;
                }
                _ => {}
            }
        }
    }

    fn write(&mut self, records: Vec<Record>, replies: Vec<Reply>) -> Verdict {
        self.written.check(&records)?;
        self.has_written |= !records.is_empty();
        for record in &records {
            self.totals.moved += u64::from(matches!(record, Record::Target(..)));
            let read_back = Record::decode(record.key(), record.value()).unwrap().unwrap();
            demand(read_back == *record, || format!("{record:?} reads back as {read_back:?}"))?;
            self.shadow.load(read_back);
        }
        self.under_way.push_back(UnderWay { records, replies });
        Ok(())
    }

    /// Some rounds become durable; only then their answers go.
    fn commit_rounds(&mut self) {
        let count = if self.is_wild {
            self.rng.usize(0..=self.under_way.len())
        } else {
            self.under_way.len()
        };
        for round in self.under_way.drain(..count) {
            self.log.append(&round.records);
            for reply in round.replies {
                self.replies.send(self.now, reply, &mut self.rng, self.is_wild);
            }
        }
    }

    /// The coordinator is gone with what was not durable, and read back from what was.
    fn reload(&mut self) -> Verdict {
        self.totals.reloads += 1;
        let survive = self.rng.usize(0..=self.under_way.len());
        let lost: Vec<UnderWay> = self.under_way.drain(survive..).collect();
        for round in self.under_way.drain(..) {
            self.log.append(&round.records);
            for reply in round.replies {
                self.replies.send(self.now, reply, &mut self.rng, true);
            }
        }
        // A round may be torn between two batches.
        if let Some(torn) = lost.first() {
            let kept = self.rng.usize(0..=torn.records.len());
            self.log.append(&torn.records[..kept]);
        }
        self.totals.records_cut += lost.iter().map(|round| round.records.len() as u64).sum::<u64>();
        let is_whole = lost.iter().all(|round| round.records.is_empty());
        let as_written = self.log.load(&self.options, false);
        let mut groups = self.log.load(&self.options, true);
        let same = as_written.stored() == groups.stored();
        demand(same, || "a compacted log says something else than a whole one".to_owned())?;
        demand(!is_whole || groups.stored() == self.groups.stored(), || {
            format!(
                "what was read back is not what was:\n{:?}\n{:?}",
                groups.stored(),
                self.groups.stored()
            )
        })?;
        self.written = Written::of(&as_written.stored());
        let records = with_moment(&self.world, self.now, |moment| groups.loaded(moment));
        demand(!is_whole || self.topics_stale || records.is_empty(), || {
            format!("a load alone has moved something: {records:?}")
        })?;
        self.topics_stale = false;
        self.groups = groups;
        self.shadow = self.log.load(&self.options, false);
        self.write(records, Vec::new())
    }

    fn disturb(&mut self) -> Verdict {
        match self.rng.u32(..100) {
            0..=8 => self.start_client(),
            9..=11 => self.leave(),
            12..=13 => {
                let until = self.now + self.rng.u64(1_000..15_000);
                if let Some(client) = self.pick_up() {
                    client.paused_until = until;
                    self.totals.pauses += 1;
                }
            }
            14..=15 => {
                if let Some(client) = self.pick_up() {
                    client.die();
                    self.totals.kills += 1;
                }
            }
            16 => {
                let count = self.rng.usize(1..12);
                if let Some(name) = self.pick_topic() {
                    self.world.grow(&name, count);
                    self.totals.grown += 1;
                    self.topics_stale = true;
                }
            }
            17 => self.make_topic(),
            18 if self.rng.bool() && self.world.topics.len() > 1 => {
                let name = self.pick_topic().unwrap();
                self.world.topics.remove(&name);
                self.totals.vanished += 1;
                self.topics_stale = true;
            }
            19..=21 => self.reload()?,
            _ => {}
        }
        Ok(())
    }

    fn make_topic(&mut self) {
        let name = format!("t-{}", self.rng.u32(..5));
        if !self.world.topics.contains_key(&name) {
            self.world.create(&name, self.rng.usize(1..7));
            self.topics_stale = true;
        }
    }

    fn start_client(&mut self) {
        let place = self.rng.usize(..self.clients.len());
        let client = &mut self.clients[place];
        if !client.is_up {
            client.start(self.now);
            client.paused_until = 0;
            self.totals.joins += 1;
            self.totals.returns += u64::from(client.instance.is_some() && client.life > 1);
        }
    }

    fn leave(&mut self) {
        let for_a_while = self.rng.bool();
        let Some(client) = self.pick_up() else { return };
        let away = for_a_while && client.instance.is_some();
        let epoch = if away { MemberEpoch::LEAVE_FOR_A_WHILE } else { MemberEpoch::LEAVE };
        let ask = client.leave(epoch);
        self.totals.leaves += 1;
        self.send(ask);
    }

    fn pick_up(&mut self) -> Option<&mut Client> {
        let up: Vec<usize> =
            self.clients.iter().filter(|c| c.is_running(self.now)).map(|c| c.place).collect();
        let place = self.rng.choice(up)?;
        self.clients.get_mut(place)
    }

    fn pick_topic(&mut self) -> Option<String> {
        self.rng.choice(self.world.topics.keys().cloned().collect::<Vec<_>>())
    }

    /// Nothing goes wrong from now on; at least one reads.
    fn calm_down(&mut self) {
        self.is_wild = false;
        for client in &mut self.clients {
            client.paused_until = 0;
            client.drain_ms_max = 500;
        }
        if !self.clients.iter().any(|client| client.is_up) {
            self.clients[0].start(self.now);
        }
        self.topics_stale = true;
    }

    /// Every partition that a living member wants is read, evenly, and nothing moves any more.
    fn check_settled(&mut self) -> Verdict {
        let round = with_moment(&self.world, self.now, |moment| {
            self.groups.round(vec![Request::Describe(GROUP.to_owned())], moment)
        });
        let described = match round.answers.into_iter().next() {
            Some(Ok(Answer::Described(group))) => group,
            other => return Err(format!("the group cannot be described: {other:?}")),
        };
        demand(described.state == GroupState::Stable, || format!("not stable: {described:?}"))?;
        let up: Vec<&Client> = self.clients.iter().filter(|client| client.is_up).collect();
        demand(described.members.len() == up.len(), || {
            format!("{} members are up, the group has {}", up.len(), described.members.len())
        })?;
        for at in self.world.all() {
            let name = self.world.topics.iter().find(|(_, topic)| topic.id == at.topic).unwrap().0;
            let wanted = up.iter().any(|client| wants(&client.subscription, name));
            let readers = up.iter().filter(|client| client.reading.contains_key(&at)).count();
            demand(readers == usize::from(wanted), || format!("{name} {at}: {readers} readers"))?;
        }
        let same = up.windows(2).all(|two| two[0].subscription == two[1].subscription);
        let counts: Vec<usize> = up.iter().map(|client| client.reading.len()).collect();
        let (most, least) = (counts.iter().max().unwrap(), counts.iter().min().unwrap());
        demand(!same || most - least <= 1, || format!("not even: {counts:?}"))?;
        for client in up {
            let knows = client.reading.values().all(Option::is_some);
            demand(knows, || format!("{} does not know where to read on", client.member()))?;
        }
        self.totals.lost += self.asks.lost + self.replies.lost;
        self.totals.doubled += self.asks.doubled + self.replies.doubled;
        Ok(())
    }
}

fn wants(subscription: &Subscription, name: &str) -> bool {
    subscription.names.iter().any(|other| other == name) || subscription.pattern.is_some()
}

fn subscription(rng: &mut Rng) -> Subscription {
    match rng.u32(..6) {
        0 => Subscription { names: vec!["t-0".to_owned()], pattern: None },
        1 => Subscription { names: vec!["t-1".to_owned(), "t-2".to_owned()], pattern: None },
        _ => Subscription { names: Vec::new(), pattern: Some("t-.*".to_owned()) },
    }
}

pub fn with_moment<T>(world: &World, now: u64, then: impl FnOnce(&Moment<'_>) -> T) -> T {
    then(&Moment {
        now: Monotonic::new(Duration::from_millis(now)),
        wall: TimestampMs::new(1_700_000_000_000 + i64::try_from(now).unwrap()),
        topics: world,
        groups_elsewhere: 0,
        members_elsewhere: 0,
    })
}
