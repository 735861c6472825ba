//! Signals that ask to stop. A thread of its own hears them, so that work that blocks cannot keep them waiting: the first
//! asks the work to stop, the second ends the process.

use std::io::{self, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::signal::unix::SignalKind;
use tokio::sync::mpsc;

use super::paint::Paint;
use crate::app::{ConsoleError, StopSignal};
use crate::cli::exit;
use crate::progress::Interrupt;
use crate::{children, threads};

/// How long a process that ends anyway waits to say so.
pub(crate) const LAST_WORDS: Duration = Duration::from_millis(200);
/// `timeout` sends its signal to the command and to the command's group: one request, heard twice.
const DOUBLED: Duration = Duration::from_millis(50);

const ALL: [StopSignal; 2] = [StopSignal::Interrupt, StopSignal::Terminate];

fn number(signal: StopSignal) -> i32 {
    match signal {
        StopSignal::Interrupt => signal_hook::consts::SIGINT,
        StopSignal::Terminate => signal_hook::consts::SIGTERM,
    }
}

/// The signals that are listened to. One that was ignored when the process started stays ignored, as in coreutils: a
/// shell's background job, or a command under `nohup`, is not meant to end by it.
fn listened() -> &'static [StopSignal] {
    static LISTENED: OnceLock<Vec<StopSignal>> = OnceLock::new();
    LISTENED.get_or_init(|| not_ignored(&std::fs::read_to_string("/proc/self/status").unwrap_or_default()))
}

/// The signals that `/proc/PID/status` does not have in its mask of ignored ones.
fn not_ignored(status: &str) -> Vec<StopSignal> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    ALL.into_iter().filter(|signal| mask >> (number(*signal) - 1) & 1 == 0).collect()
}

/// What the process does when a signal comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Situation {
    /// Nothing that could be asked to stop.
    Idle,
    /// Work that was not asked yet.
    Working,
    /// Work that was asked, so long ago.
    Stopping(Duration),
}

/// What follows from a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reaction {
    Ask,
    End,
    Ignore,
}

fn react(situation: Situation) -> Reaction {
    match situation {
        Situation::Working => Reaction::Ask,
        Situation::Stopping(ago) if ago < DOUBLED => Reaction::Ignore,
        Situation::Idle | Situation::Stopping(_) => Reaction::End,
    }
}

/// Work that can be asked to stop.
#[derive(Debug)]
struct Work {
    id: u64,
    interrupt: Option<Interrupt>,
    tell: mpsc::UnboundedSender<StopSignal>,
    /// How long it may take to stop before the process ends without it.
    patience: Option<Duration>,
}

#[derive(Debug, Default)]
struct State {
    work: Vec<Work>,
    next_id: u64,
    /// The first signal, and when it came.
    first: Option<(StopSignal, Instant)>,
}

impl State {
    fn situation(&self) -> Situation {
        match (self.first, self.work.is_empty()) {
            (Some((_, since)), _) => Situation::Stopping(since.elapsed()),
            (None, true) => Situation::Idle,
            (None, false) => Situation::Working,
        }
    }
}

/// What of the process can be asked to stop.
#[derive(Debug, Clone, Default)]
pub(crate) struct Signals(Arc<Mutex<State>>);

/// A signal for work, until this is dropped.
#[derive(Debug)]
pub(crate) struct StopSignals {
    signals: Signals,
    id: u64,
    told: mpsc::UnboundedReceiver<StopSignal>,
}

impl StopSignals {
    /// Resolves when the first signal comes.
    pub(crate) async fn next(&mut self) -> StopSignal {
        match self.told.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }

    /// Returns the first signal if it came already.
    pub(crate) fn heard(&mut self) -> Option<StopSignal> {
        self.told.try_recv().ok()
    }
}

impl Drop for StopSignals {
    fn drop(&mut self) {
        self.signals.state().work.retain(|work| work.id != self.id);
    }
}

impl Signals {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers work that is asked to stop by the first signal: `interrupt` is requested and the value returned is notified.
    /// If the work is registered still after `patience`, the process ends.
    pub(crate) fn enter(&self, interrupt: Option<Interrupt>, patience: Option<Duration>) -> StopSignals {
        let (tell, told) = mpsc::unbounded_channel();
        let mut state = self.state();
        state.next_id += 1;
        let id = state.next_id;
        state.work.push(Work { id, interrupt, tell, patience });
        StopSignals { signals: self.clone(), id, told }
    }

    /// Whether a signal came that asked to stop.
    pub(crate) fn are_heard(&self) -> bool {
        self.state().first.is_some()
    }

    /// Begins to listen on the runtime that this is called in; answers the task. From here on, no signal ends the process
    /// by itself.
    pub(crate) fn listen(&self, paint: Paint) -> impl Future<Output = ()> + Send + 'static {
        let mut heard = Heard::begin();
        let signals = self.clone();
        async move {
            loop {
                let signal = heard.next().await;
                let ends = signals.take(signal);
                if let Some((signal, patience)) = ends {
                    let signals = signals.clone();
                    tokio::spawn(async move {
                        // The work that the signal interrupts has this long to end by itself.
                        tokio::time::sleep(patience.unwrap_or_default()).await;
                        if patience.is_none() || !signals.state().work.is_empty() {
                            end(signal, paint).await;
                        }
                    });
                }
            }
        }
    }

    /// Reacts to a signal. Answers the signal that the process ends with, at once or after a time if it works still.
    fn take(&self, signal: StopSignal) -> Option<(StopSignal, Option<Duration>)> {
        let mut state = self.state();
        let reaction = react(state.situation());
        match reaction {
            Reaction::Ignore => None,
            Reaction::End => Some((state.first.map_or(signal, |(first, _)| first), None)),
            Reaction::Ask => {
                state.first = Some((signal, Instant::now()));
                for work in &state.work {
                    // First the signal, then the request: work that stops on request finds which signal it was.
                    let _ = work.tell.send(signal);
                    if let Some(interrupt) = &work.interrupt {
                        interrupt.request();
                    }
                }
                let patience = state.work.iter().filter_map(|work| work.patience).min();
                patience.map(|patience| (signal, Some(patience)))
            }
        }
    }
}

/// Ends the process: whatever blocks is not waited for.
async fn end(signal: StopSignal, paint: Paint) {
    children::end_all();
    let text = format!("{} {signal}\n", paint.error("error:"));
    // Standard error may be what the work waits for.
    let (tell, told) = tokio::sync::oneshot::channel();
    let _ = threads::spawn("last words", move || tell.send(write!(io::stderr().lock(), "{text}")));
    let _ = tokio::time::timeout(LAST_WORDS, told).await;
    // The handlers of a usual end could wait for the work.
    signal_hook::low_level::exit(i32::from(exit::of_signal(signal)));
}

/// The signals of the system that are listened to.
struct Heard(Vec<(StopSignal, tokio::signal::unix::Signal)>);

impl Heard {
    fn begin() -> Self {
        let heard = |signal: &StopSignal| {
            let system = tokio::signal::unix::signal(SignalKind::from_raw(number(*signal))).ok()?;
            Some((*signal, system))
        };
        Self(listened().iter().filter_map(heard).collect())
    }

    async fn next(&mut self) -> StopSignal {
        std::future::poll_fn(|context| {
            for (signal, system) in &mut self.0 {
                if system.poll_recv(context).is_ready() {
                    return Poll::Ready(*signal);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// The first signal that asked to stop, written down by the signal handler itself: work that fails because of the
/// signal can end before the thread that listens for it has run.
pub(crate) fn noted() -> Result<impl Fn() -> Option<StopSignal>, ConsoleError> {
    static NOTED: OnceLock<Arc<AtomicUsize>> = OnceLock::new();
    if NOTED.get().is_none() {
        let noted = Arc::new(AtomicUsize::new(0));
        for signal in listened() {
            let value = usize::try_from(number(*signal)).expect("signals are positive");
            signal_hook::flag::register_usize(number(*signal), Arc::clone(&noted), value)
                .map_err(ConsoleError::Runtime)?;
        }
        let _ = NOTED.set(noted);
    }
    let noted = NOTED.get().expect("it was set");
    Ok(|| {
        let noted = i32::try_from(noted.load(Ordering::SeqCst)).ok()?;
        ALL.into_iter().find(|signal| number(*signal) == noted)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_stay_ignored() {
        let of =
            |mask: &str| not_ignored(&format!("Name:\tx\nSigBlk:\tffffffffffffffff\nSigIgn:\t{mask}\nSigCgt:\t0\n"));
        assert_eq!(of("0000000000000000"), ALL);
        assert_eq!(of("0000000000000002"), [StopSignal::Terminate]);
        assert_eq!(of("0000000000004000"), [StopSignal::Interrupt]);
        assert_eq!(of("0000000000004006"), []);
        assert_eq!(of("0000000000001001"), ALL, "those of SIGHUP and SIGPIPE");
        for status in ["", "SigIgn:\tx\n", "Name:\tSigIgn:\n"] {
            assert_eq!(not_ignored(status), ALL, "{status}");
        }
    }

    #[test]
    fn the_whole_table_of_reactions() {
        for (situation, expected) in [
            (Situation::Idle, Reaction::End),
            (Situation::Working, Reaction::Ask),
            (Situation::Stopping(Duration::ZERO), Reaction::Ignore),
            (Situation::Stopping(DOUBLED.checked_sub(Duration::from_nanos(1)).expect("longer")), Reaction::Ignore),
            (Situation::Stopping(DOUBLED), Reaction::End),
        ] {
            assert_eq!(react(situation), expected, "{situation:?}");
        }
    }

    #[test]
    fn work_that_was_asked_to_stop_finds_the_signal() {
        for _ in 0..200 {
            let (signals, interrupt) = (Signals::default(), Interrupt::default());
            let mut work = signals.enter(Some(interrupt.clone()), None);
            assert_eq!(work.heard(), None);
            let teller = std::thread::spawn(move || signals.take(StopSignal::Terminate));
            while !interrupt.requested() {
                std::hint::spin_loop();
            }
            assert_eq!(work.heard(), Some(StopSignal::Terminate));
            teller.join().expect("it does not panic");
        }
    }

    #[test]
    fn all_work_is_asked_by_the_first_signal() {
        let signals = Signals::default();
        assert_eq!(signals.take(StopSignal::Terminate), Some((StopSignal::Terminate, None)), "nothing could be asked");
        let interrupt = Interrupt::default();
        let mut outer = signals.enter(Some(interrupt.clone()), Some(Duration::from_secs(3)));
        let mut inner = signals.enter(None, Some(Duration::from_secs(2)));
        let ended = signals.enter(None, Some(Duration::from_secs(1)));
        drop(ended);
        assert_eq!(signals.take(StopSignal::Interrupt), Some((StopSignal::Interrupt, Some(Duration::from_secs(2)))));
        assert!(interrupt.requested());
        for told in [&mut outer, &mut inner] {
            assert_eq!(told.told.try_recv().expect("told"), StopSignal::Interrupt);
        }
        drop((outer, inner));
        signals.state().first =
            Some((StopSignal::Interrupt, Instant::now().checked_sub(DOUBLED).expect("an earlier time")));
        assert_eq!(
            signals.take(StopSignal::Terminate),
            Some((StopSignal::Interrupt, None)),
            "the second ends the process"
        );
        let late = signals.enter(None, None);
        assert_eq!(signals.take(StopSignal::Terminate), Some((StopSignal::Interrupt, None)), "and so does any other");
        drop(late);
        let without = Signals::default();
        let _server = without.enter(None, None);
        assert_eq!(without.take(StopSignal::Interrupt), None, "a server stops in its own time");
    }
}
