//! A program with an event loop of its own, in which all nodes run: one thread, one poll.

use mio::{Poll, Token, Waker};
use p2pnet_driver::{Builder, Events, Handle, StartError};
use p2pnet_mio::Node;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, OnceLock, mpsc};

const WAKE: Token = Token(0);
/// Each node's tokens begin so far above those of the one before.
const TOKENS_EACH: usize = 1 << 32;

type Started = Result<(Handle, Events), StartError>;

/// Where other threads leave what the loop shall start.
struct Door {
    wishes: Mutex<mpsc::Sender<(Builder, mpsc::Sender<Started>)>>,
    waker: Arc<Waker>,
}

struct Host {
    poll: Poll,
    waker: Arc<Waker>,
    wishes: mpsc::Receiver<(Builder, mpsc::Sender<Started>)>,
    /// Each with the first of its tokens; the last one's are the highest.
    nodes: Vec<(usize, Node)>,
    next: usize,
}

/// Starts a node in the loop.
pub(crate) fn spawn(builder: Builder) -> Started {
    static DOOR: OnceLock<Door> = OnceLock::new();
    let door = DOOR.get_or_init(|| {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), WAKE).unwrap());
        let (wish, wishes) = mpsc::channel();
        let host = Host { poll, waker: Arc::clone(&waker), wishes, nodes: Vec::new(), next: 1 };
        std::thread::spawn(move || host.run());
        Door { wishes: Mutex::new(wish), waker }
    });
    let (answer, answered) = mpsc::channel();
    door.wishes.lock().unwrap().send((builder, answer)).unwrap();
    door.waker.wake().unwrap();
    answered.recv().unwrap()
}

impl Host {
    fn run(mut self) {
        let mut ready = mio::Events::with_capacity(64);
        loop {
            while let Ok((builder, answer)) = self.wishes.try_recv() {
                answer.send(self.start(builder)).unwrap();
            }
            self.nodes.retain_mut(|(_, node)| node.turn());
            let patience = self.nodes.iter_mut().filter_map(|(_, node)| node.patience()).min();
            match self.poll.poll(&mut ready, patience) {
                // A signal, or a machine that slept: there are no events.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                polled => polled.unwrap(),
            }
            for event in &ready {
                let owner =
                    self.nodes.iter_mut().rev().find(|(first, _)| *first <= event.token().0);
                // Else it is the waker's, or that of a node that has stopped since.
                if let Some((_, node)) = owner {
                    assert!(node.take(event), "{event:?}");
                }
            }
        }
    }

    fn start(&mut self, builder: Builder) -> Started {
        let (registry, waker) = (self.poll.registry(), Arc::clone(&self.waker));
        let (handle, events, node) = Node::register(builder, registry, waker, Token(self.next))?;
        self.nodes.push((self.next, node));
        self.next += TOKENS_EACH;
        Ok((handle, events))
    }
}
