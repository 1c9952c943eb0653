//! What the container runtime says of its containers: the Container Runtime Interface, gRPC on a socket of the node.
//!
//! Two methods are called, and both only read. The interface has others: whoever may connect can start containers as root.
//! So nothing here is done unless a person names the socket.
//!
//! A thread of its own asks, so that a runtime that hangs keeps nobody waiting. What it answers is hostile text, of any
//! length: a list is taken apart while it comes, and everything that is kept has a bound.

mod call;
mod facts;
mod list;
mod message;
mod round;
mod told;

use reckon_model::kernel::NodeReport;
use round::Round;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SendError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// Reports that wait to be told; the thread waits where there are more.
const AHEAD: usize = 64;

/// The stack of the thread. What is not used of it is never made.
const STACK: usize = 512 << 10;

/// How often a runtime is asked, and how long it is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// From one round of questions to the next.
    pub poll: Duration,
    /// For the answer to one question.
    pub call: Duration,
    /// From a round that failed to the next; twice as long after each further one.
    pub wait: Duration,
    /// The longest that this becomes.
    pub longest: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            poll: Duration::from_secs(10),
            call: Duration::from_secs(2),
            wait: Duration::from_secs(10),
            longest: Duration::from_secs(5 * 60),
        }
    }
}

/// A runtime, asked by a thread that ends when nobody listens any more.
#[derive(Debug)]
pub struct Runtime(Receiver<NodeReport>);

impl Runtime {
    /// Begins to ask. A socket that is not there is no error: it may come, and until then it is told as not checked.
    ///
    /// # Errors
    ///
    /// Why there can be no such thread.
    pub fn open(socket: &Path, pace: Pace) -> io::Result<Runtime> {
        let (send, receive) = sync_channel(AHEAD);
        let asking = Asking { socket: socket.to_owned(), pace, round: Round::default(), trouble: None, to: send };
        // Made here for its error to be told.
        let reactor = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        thread::Builder::new()
            .name("runtime".to_owned())
            .stack_size(STACK)
            // It ends with an error only when nobody listens.
            .spawn(move || drop(asking.go_on(&reactor)))?;
        Ok(Runtime(receive))
    }

    /// What there is to tell by now. Never waits, and gives no more at once than a reader of other things has time for.
    pub fn told(&self) -> impl Iterator<Item = NodeReport> {
        self.0.try_iter().take(AHEAD)
    }
}

/// What the thread holds.
struct Asking {
    socket: PathBuf,
    pace: Pace,
    round: Round,
    /// What was told last of what cannot be read.
    trouble: Option<String>,
    to: SyncSender<NodeReport>,
}

impl Asking {
    fn go_on(mut self, reactor: &tokio::runtime::Runtime) -> Result<(), SendError<NodeReport>> {
        let mut wait = self.pace.wait;
        loop {
            let to = &self.to;
            let ended = reactor.block_on(self.round.ask(&self.socket, self.pace.call, |report| to.send(report)))?;
            let pause = if ended.failed { wait } else { self.pace.poll };
            wait = if ended.failed { wait.saturating_mul(2).min(self.pace.longest) } else { self.pace.wait };
            if let Some(trouble) = ended.trouble {
                self.tell_trouble(trouble)?;
            }
            thread::sleep(pause);
        }
    }

    /// Says it once, and again only after something else was said: a runtime that comes and goes must not fill a log.
    fn tell_trouble(&mut self, trouble: String) -> Result<(), SendError<NodeReport>> {
        if self.trouble.as_ref() != Some(&trouble) {
            let why = format!("container runtime: {}: {trouble}", self.socket.display());
            self.to.send(NodeReport::NotChecked { why })?;
            self.trouble = Some(trouble);
        }
        Ok(())
    }
}
