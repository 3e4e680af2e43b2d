//! The simulation itself: a queue of events in virtual time.
//!
//! A call comes to a server, is placed, travels to an engine, waits there for a worker, runs, and
//! travels back; or fails on the way. What the servers do then is what Dispatch does: a call that
//! surely did not reach a handler, or that may be repeated, is placed again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use dispatch_placement::{Ending, RefusalKind, Ticket, Tried};

use super::figures::Recorder;
use super::model::{
    CONNECT_TIMEOUT, Engine, HANDLER_MS, HANDLER_SIGMA, MS, SECOND, TIMEOUT, Taken,
};
use super::random::Random;
use super::scenario::{Course, Scenario};
use super::servers::{QUEUE, SERVERS, Server, Variant, engines};

/// Calls of a hundred that may be repeated though they may have reached a handler.
const IDEMPOTENT: u64 = 70;
/// How often servers look at the health of engines, and at the calls that wait.
const HEALTH_EVERY: u64 = 10 * SECOND;
const WAKE_EVERY: u64 = 20 * MS;
/// How often faults go on.
const CHANGE_EVERY: u64 = SECOND;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrive,
    Reach { call: u32 },
    Done { engine: u32, life: u32, call: u32 },
    Answer { call: u32, answer: Answer },
    Wake { server: u32 },
    Health { server: u32 },
    Change,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    Ok,
    TimedOut,
    /// The engine failed; the handler may have begun.
    Failed,
    /// Nobody was there.
    Unreached,
    Full,
}

struct Call {
    arrived: u64,
    handler_ns: u64,
    server: u32,
    idempotent: bool,
    engine: u32,
    ticket: Option<Ticket>,
    tried: Tried,
}

pub struct World {
    now: u64,
    sequence: u64,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    random: Random,
    course: Course,
    engines: Vec<Engine>,
    servers: Vec<Server>,
    calls: Vec<Call>,
    free: Vec<u32>,
    left: u64,
    recorder: Recorder,
}

impl World {
    /// Runs a scenario to the end of its last call.
    pub fn run(course: Course, variant: Variant, count: usize, calls: u64, seed: u64) -> Recorder {
        let mut random = Random::new(seed);
        let engines = engines(count, course.has_cloud(), &mut random);
        let spec = course.spec(variant.strategy);
        let server = |_| Server::new(&engines, &spec, variant.breaker);
        let servers = (0..SERVERS).map(server).collect();
        let mut world = World {
            now: 0,
            sequence: 0,
            events: BinaryHeap::new(),
            random,
            course,
            engines,
            servers,
            calls: Vec::new(),
            free: Vec::new(),
            left: calls,
            recorder: Recorder::default(),
        };
        world.after(0, Event::Arrive);
        world.after(0, Event::Change);
        for server in 0..SERVERS as u32 {
            let offset = HEALTH_EVERY * u64::from(server) / SERVERS as u64;
            world.after(offset, Event::Health { server });
        }
        while world.left > 0 || world.calls.len() > world.free.len() {
            let Some(Reverse((at, _, event))) = world.events.pop() else { break };
            world.now = at;
            world.happen(event);
        }
        world.recorder
    }

    fn after(&mut self, delay: u64, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((self.now + delay, self.sequence, event)));
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive => self.arrive(),
            Event::Reach { call } => self.reach(call),
            Event::Done { engine, life, call } => self.done(engine, life, call),
            Event::Answer { call, answer } => self.answered(call, answer),
            Event::Wake { server } => self.wake(server),
            Event::Health { server } => self.look(server),
            Event::Change => self.change(),
        }
    }

    fn arrive(&mut self) {
        let call = Call {
            arrived: self.now,
            handler_ns: (self.random.lognormal(HANDLER_MS, HANDLER_SIGMA) * MS as f64) as u64,
            server: self.random.below(SERVERS) as u32,
            idempotent: self.random.next() % 100 < IDEMPOTENT,
            engine: 0,
            ticket: None,
            tried: Tried::default(),
        };
        let id = match self.free.pop() {
            Some(id) => {
                self.calls[id as usize] = call;
                id
            }
            None => {
                self.calls.push(call);
                self.calls.len() as u32 - 1
            }
        };
        self.recorder.came(self.now);
        self.place(id);
        self.left -= 1;
        if self.left > 0 {
            let from = self.course.next_calls(self.now);
            let mean = SECOND as f64 / self.course.rate(from);
            let gap = self.random.exponential(mean) as u64;
            self.after(from - self.now + gap, Event::Arrive);
        }
    }

    fn place(&mut self, id: u32) {
        if let Err(kind) = self.try_to_place(id) {
            let call = &mut self.calls[id as usize];
            let server = &mut self.servers[call.server as usize];
            if kind == RefusalKind::NoneFits || server.waiting.len() >= QUEUE {
                self.lose(id);
                return;
            }
            // It begins anew when there is room.
            call.tried = Tried::default();
            server.wait(id);
            self.recorder.waited();
            if !std::mem::replace(&mut server.wakes, true) {
                let server = call.server;
                self.after(WAKE_EVERY, Event::Wake { server });
            }
        }
    }

    fn try_to_place(&mut self, id: u32) -> Result<(), RefusalKind> {
        let call = &mut self.calls[id as usize];
        let server = &self.servers[call.server as usize];
        let picked = server.pick(self.now, &mut self.random, &call.tried).map_err(|r| r.kind)?;
        self.recorder.placed(picked.reason.word());
        call.engine = picked.index as u32;
        call.ticket = Some(picked.ticket);
        let hop = self.engines[picked.index].hop(&mut self.random);
        self.after(hop, Event::Reach { call: id });
        Ok(())
    }

    fn reach(&mut self, id: u32) {
        let call = &self.calls[id as usize];
        let at = call.engine;
        let engine = &mut self.engines[at as usize];
        if engine.down {
            self.after(CONNECT_TIMEOUT, Event::Answer { call: id, answer: Answer::Unreached });
            return;
        }
        match engine.take(id, call.handler_ns, self.now, &mut self.random) {
            Taken::Runs(took) => self.runs(at, id, took),
            Taken::Waits => {}
            Taken::Full => self.answer(at, id, Answer::Full),
        }
    }

    /// A handler has begun; it ends at the deadline at the latest.
    fn runs(&mut self, engine: u32, call: u32, took: u64) {
        let deadline = self.calls[call as usize].arrived + TIMEOUT;
        let took = took.min(deadline.saturating_sub(self.now));
        let life = self.engines[engine as usize].life;
        self.after(took, Event::Done { engine, life, call });
    }

    fn done(&mut self, at: u32, life: u32, id: u32) {
        let engine = &mut self.engines[at as usize];
        if engine.life != life {
            return;
        }
        engine.finish(id, self.now);
        let failed = self.random.unit() < engine.fails;
        let late = self.now >= self.calls[id as usize].arrived + TIMEOUT;
        if let Some(next) = engine.queue.pop_front() {
            let handler_ns = self.calls[next as usize].handler_ns;
            let took = engine.start(next, handler_ns, self.now, &mut self.random);
            self.runs(at, next, took);
        }
        let answer = match () {
            () if failed => Answer::Failed,
            () if late => Answer::TimedOut,
            () => Answer::Ok,
        };
        self.answer(at, id, answer);
    }

    fn answer(&mut self, engine: u32, call: u32, answer: Answer) {
        let hop = self.engines[engine as usize].hop(&mut self.random);
        self.after(hop, Event::Answer { call, answer });
    }

    fn answered(&mut self, id: u32, answer: Answer) {
        let call = &mut self.calls[id as usize];
        let ending = match answer {
            Answer::Ok => Ending::Ok,
            Answer::TimedOut => Ending::FunctionFailed,
            Answer::Failed | Answer::Unreached => Ending::BackendFailed,
            Answer::Full => Ending::Full { retry_after_ns: None },
        };
        let server = call.server;
        if let Some(ticket) = call.ticket.take() {
            if matches!(answer, Answer::Failed | Answer::Unreached | Answer::Full) {
                call.tried.add(ticket.engine(), "it is simulated");
            }
            ticket.settle(self.now, ending);
        }
        let again = match answer {
            Answer::Ok | Answer::TimedOut => false,
            Answer::Failed => call.idempotent,
            Answer::Unreached | Answer::Full => true,
        };
        match answer {
            Answer::Ok => self.served(id),
            _ if again && self.now < call.arrived + TIMEOUT => self.place(id),
            _ => self.lose(id),
        }
        self.let_in(server);
    }

    fn served(&mut self, id: u32) {
        let call = &self.calls[id as usize];
        let engine = &self.engines[call.engine as usize];
        let took = self.now - call.arrived;
        let added = took.saturating_sub(call.handler_ns);
        self.recorder.served(call.arrived, took, added, engine.region, engine.cost);
        self.free.push(id);
    }

    fn lose(&mut self, id: u32) {
        self.recorder.lost(self.calls[id as usize].arrived);
        self.free.push(id);
    }

    /// Those that wait, as many as there is room for. Who has waited too long is lost.
    fn let_in(&mut self, server: u32) {
        while let Some((id, _)) = self.servers[server as usize].waiting.front() {
            let id = *id;
            if self.now >= self.calls[id as usize].arrived + TIMEOUT {
                self.servers[server as usize].waiting.pop_front();
                self.lose(id);
                continue;
            }
            if self.try_to_place(id).is_err() {
                return;
            }
            self.servers[server as usize].waiting.pop_front();
        }
    }

    fn wake(&mut self, server: u32) {
        self.let_in(server);
        let state = &mut self.servers[server as usize];
        state.wakes = !state.waiting.is_empty();
        if state.wakes {
            self.after(WAKE_EVERY, Event::Wake { server });
        }
    }

    fn look(&mut self, server: u32) {
        let state = &self.servers[server as usize];
        for (engine, seen) in self.engines.iter().zip(&state.engines) {
            seen.set_health(!engine.down);
        }
        self.after(HEALTH_EVERY, Event::Health { server });
    }

    fn change(&mut self) {
        let inside = (self.course.from..self.course.to).contains(&self.now);
        for at in 0..self.engines.len() as u32 {
            let engine = &mut self.engines[at as usize];
            match self.course.scenario {
                Scenario::Outage if engine.region == 0 && inside && !engine.down => {
                    for call in engine.go_down() {
                        self.answer(at, call, Answer::Failed);
                    }
                }
                Scenario::Outage if engine.down && !inside => engine.down = false,
                Scenario::BrownOut if at % 10 == 0 => {
                    (engine.slowness, engine.fails) = self.course.brown_out(self.now);
                }
                _ => {}
            }
        }
        self.after(CHANGE_EVERY, Event::Change);
    }
}
