//! A small company in a simulated cluster, and what goes wrong there.
//!
//! [`Demo`] builds Harbour Books as it has become over nine weeks, and then lets a story of incidents unfold, by the clock
//! that it is moved on by. It draws no time and no randomness of its own: the same seed and the same beginning give the
//! same cluster, however the way there is divided into steps. Programs look at what they find (`programs.rs`), so that a
//! problem that a person solves is solved.

mod company;
mod ground;
mod helm;
mod node_log;
mod owner;
mod past;
mod programs;
mod story;
mod workload;

pub use story::{Incident, incidents};

use jiff::{SignedDuration, Timestamp};
use reckon_sim::{Clock, Config, Server};

/// How often programs look around even if nothing was written.
const LOOK: SignedDuration = SignedDuration::from_secs(30);

/// The company's cluster, and where its story stands.
#[derive(Debug)]
pub struct Demo {
    server: Server,
    begin: Timestamp,
    incidents: Vec<Incident>,
    /// When the certificate of the bank's gateway runs out.
    certificate_ends: Timestamp,
    /// The incidents before this one have begun.
    next: usize,
    looked: Timestamp,
    seen: u64,
    kernels: node_log::Kernels,
}

impl Demo {
    /// The cluster at the moment at which the story begins.
    pub fn new(seed: u64, begin: Timestamp) -> Demo {
        let begin = Timestamp::from_second(begin.as_second()).unwrap_or(begin);
        let clock = Clock::stepped(begin.checked_sub(past::AGE).unwrap_or(begin));
        let server = Server::new(Config { seed, keep_writes: false, ..Config::default() }, clock);
        past::live(&server, begin, seed);
        let incidents = story::incidents(seed);
        let runs_out = incidents.iter().zip(story::STORY).find(|(_, scripted)| scripted.is_certificate());
        let after = runs_out.map_or(story::LENGTH, |(incident, _)| incident.after);
        let mut demo = Demo {
            server,
            begin,
            incidents,
            certificate_ends: begin.checked_add(after).unwrap_or(begin),
            next: 0,
            looked: begin,
            seen: 0,
            kernels: node_log::Kernels::default(),
        };
        demo.kernels.start(&mut demo.server.world(), begin);
        demo.settle();
        demo
    }

    /// The server that shows it.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// When the story began.
    pub fn begin(&self) -> Timestamp {
        self.begin
    }

    /// How long the story is; afterwards the cluster goes on as it is.
    pub fn length() -> SignedDuration {
        story::LENGTH
    }

    /// What will go wrong, in its order.
    pub fn incidents(&self) -> &[Incident] {
        &self.incidents
    }

    /// How many incidents have begun.
    pub fn begun(&self) -> usize {
        self.next
    }

    /// Lets time pass until `to`, one due moment after the other, so that nothing depends on how often this is called.
    pub fn advance_to(&mut self, to: Timestamp) {
        loop {
            let now = self.server.clock().now();
            let mut moments = vec![self.looked.checked_add(LOOK).unwrap_or(to)];
            moments.extend(self.server.world().due());
            moments.extend(past::next_run(&self.server.world()));
            moments
                .extend(self.incidents.get(self.next).and_then(|incident| self.begin.checked_add(incident.after).ok()));
            let next = moments.into_iter().min().unwrap_or(to).max(now).min(to);
            past::go(self.server.clock(), next);
            self.begin_what_is_due(next);
            past::run_what_is_due(&mut self.server.world());
            if next >= self.looked.checked_add(LOOK).unwrap_or(next) {
                self.looked = next;
                self.seen = 0;
            }
            self.settle();
            if next >= to {
                return;
            }
        }
    }

    fn begin_what_is_due(&mut self, now: Timestamp) {
        while let Some(incident) = self.incidents.get(self.next) {
            if self.begin.checked_add(incident.after).is_ok_and(|at| at > now) {
                return;
            }
            (story::STORY[self.next].begin)(&mut self.server.world());
            self.next += 1;
        }
    }

    /// Lets controllers and programs act until neither has more to do.
    fn settle(&mut self) {
        for _ in 0..10 {
            let mut world = self.server.world();
            world.step();
            if world.revision() == self.seen {
                return;
            }
            programs::look_around(&mut world, self.begin, self.certificate_ends);
            past::succeeded(&mut world);
            past::forget(&mut world);
            self.kernels.write(&mut world, self.begin);
            self.seen = world.revision();
        }
    }
}
