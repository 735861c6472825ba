//! Scripts: which request meets which fault. Values only; `handler` and `serve` carry them out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a request asks a registry for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Op {
    /// `GET /v2/`.
    Ping,
    /// The token service, either method.
    Token,
    /// `HEAD` of a blob.
    HeadBlob,
    /// `GET` of a blob.
    GetBlob,
    /// `POST` for a session, a mount or a whole blob.
    Open,
    /// `PATCH` of a session.
    Patch,
    /// `GET` of a session.
    Status,
    /// `PUT` of a session.
    Commit,
    /// `DELETE` of a session.
    Cancel,
    /// `HEAD` of a manifest.
    HeadManifest,
    /// `GET` of a manifest.
    GetManifest,
    /// `PUT` of a manifest.
    PutManifest,
    /// `GET` of referrers.
    Referrers,
    /// Anything else.
    Other,
}

/// What a rule waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum On {
    /// A request for that.
    Op(Op),
    /// A request for that whose target contains the text.
    At(Op, String),
    /// The request whose body carries this byte of its blob, counted from zero.
    Byte(u64),
}

/// Which of the requests that match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nth {
    /// That one, counted from one.
    Only(u32),
    /// That one and all later ones.
    From(u32),
    /// The first so many.
    First(u32),
}

impl Nth {
    /// Returns whether the request with that number, counted from one, matches.
    pub fn is(self, count: u32) -> bool {
        match self {
            Self::Only(nth) => count == nth,
            Self::From(nth) => count >= nth,
            Self::First(many) => count <= many,
        }
    }
}

/// How a connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// A TCP reset.
    Reset,
    /// The registry's side ends; what still comes is swallowed.
    Close,
    /// Nothing moves any more, and nothing is closed.
    Stall,
}

/// The body of an answer that a fault gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    /// No body.
    Nothing,
    /// The error envelope of the specification: code and message.
    Json(&'static str, &'static str),
    /// Plain text.
    Plain(&'static str),
    /// As a reverse proxy writes them.
    Html(&'static str),
    /// Gitea's own page.
    Gitea(&'static str),
    /// JSON as it is.
    Body(&'static str),
}

/// An answer that a fault gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub text: Text,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
}

impl Answer {
    /// A status with an empty body, as Gitea's 500.
    pub fn of(status: u16) -> Self {
        Self { status, text: Text::Nothing, headers: Vec::new() }
    }

    /// A status in the specification's envelope.
    pub fn json(status: u16, code: &'static str) -> Self {
        Self { status, text: Text::Json(code, ""), headers: Vec::new() }
    }

    /// A status in plain text.
    pub fn plain(status: u16, text: &'static str) -> Self {
        Self { status, text: Text::Plain(text), headers: Vec::new() }
    }

    /// What nginx says.
    pub fn nginx(status: u16, reason: &'static str) -> Self {
        Self { status, text: Text::Html(reason), headers: Vec::new() }
    }

    /// Gitea's own page, as it comes through nginx.
    pub fn gitea(status: u16, reason: &'static str) -> Self {
        Self { status, text: Text::Gitea(reason), headers: Vec::new() }
    }

    /// A status with that JSON.
    pub fn body(status: u16, json: &'static str) -> Self {
        Self { status, text: Text::Body(json), headers: Vec::new() }
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// What is wrong with an answer that is otherwise what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lie {
    /// A header with another value.
    Header(&'static str, String),
    /// A header that is missing.
    Without(&'static str),
    /// Another status.
    Status(u16),
    /// `Range` is that much more (or less) than the truth.
    RangeBy(i64),
    /// The session goes on at the other origin.
    LocationElsewhere,
    /// The whole blob, as if nobody had asked for a range of it.
    NoRange,
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The connection breaks after so many bytes of the body; with [`On::Byte`], at that byte.
    Cut(u64, Break),
    /// The body is read to its end, nothing is done, the answer is this.
    Refuse(Answer),
    /// The answer comes after so many bytes of the body, and the rest is not taken.
    Early(u64, Answer),
    /// Everything is done, and then the connection breaks instead of an answer.
    Lost(Break),
    /// Everything is done, and then the answer is this.
    Done(Answer),
    /// Everything is done, and the answer is not quite right.
    Lie(Lie),
    /// The answer's body ends after so many bytes, although more were announced.
    Truncate(usize),
    /// The body is taken at so many bytes a second.
    Slow(u64),
    /// The body is read to its end, and everything else waits for so many milliseconds: a long commit.
    Pause(u64),
    /// The body is read, it takes so many milliseconds, and whoever is not alone at that is refused.
    Crowded(u64, Answer),
    /// The request waits until so many requests for that are under way at once, then it is handled.
    Gather(u32),
    /// All tokens end, then the request is handled.
    Expire,
    /// All sessions are forgotten, then the request is handled.
    ForgetSessions,
    /// All blobs are lost (but not the sessions), then the request is handled.
    ForgetBlobs,
    /// The whole body is taken as a success that stores nothing: later offsets stay where they were.
    Discard,
    /// 201, and the blob is not there.
    Phantom,
    /// The server shows another certificate from now on and closes this connection.
    Rotate,
    /// This answer is the connection's last, as with an idle limit or HTTP/2's GOAWAY.
    LastOnConnection,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What the rule waits for.
    pub on: On,
    /// Which of the matching requests it applies to.
    pub nth: Nth,
    /// What it does to them.
    pub fault: Fault,
}

/// Rules; the first that matches a request decides.
pub type Script = Vec<Rule>;

/// The first request for `op` meets `fault`.
pub fn first(op: Op, fault: Fault) -> Rule {
    nth(op, 1, fault)
}

/// That request for `op` meets `fault`, counted from one.
pub fn nth(op: Op, nth: u32, fault: Fault) -> Rule {
    Rule { on: On::Op(op), nth: Nth::Only(nth), fault }
}

/// The first so many requests for `op` meet `fault`.
pub fn times(op: Op, many: u32, fault: Fault) -> Rule {
    Rule { on: On::Op(op), nth: Nth::First(many), fault }
}

/// Every request for `op` meets `fault`.
pub fn always(op: Op, fault: Fault) -> Rule {
    Rule { on: On::Op(op), nth: Nth::From(1), fault }
}

/// The connection breaks when this byte of a blob would be taken, the first time.
pub fn at_byte(byte: u64, how: Break) -> Rule {
    Rule { on: On::Byte(byte), nth: Nth::Only(1), fault: Fault::Cut(0, how) }
}

/// A script that is being played: counts what has matched.
#[derive(Debug, Default)]
pub struct Playing {
    rules: Vec<(Rule, u32)>,
    /// Bodies of more bytes are refused from the head alone, as by a proxy in front.
    ceiling: Option<(u64, Answer)>,
    outage: Option<Outage>,
}

/// From a request on, every request meets a fault, until a clock has gone on by so much.
#[derive(Debug)]
pub struct Outage {
    /// What begins it: that request for that, counted from one.
    pub from: (Op, u32),
    /// The fault that every request meets.
    pub fault: Fault,
    /// Milliseconds.
    pub lasts: u64,
    /// Milliseconds that have passed.
    pub clock: Arc<AtomicU64>,
    /// Requests that match, and when it is over once it has begun.
    pub seen: u32,
    /// The clock's reading at which the outage ends, once it has begun.
    pub until: Option<u64>,
}

impl Outage {
    fn meets(&mut self, op: Op) -> Option<Fault> {
        let now = self.clock.load(Ordering::SeqCst);
        if self.until.is_none() && self.from.0 == op {
            self.seen += 1;
            self.until = (self.seen == self.from.1).then_some(now + self.lasts);
        }
        self.until.filter(|until| now < *until).map(|_| self.fault.clone())
    }
}

/// A request as rules see it.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// What the request asks for.
    pub op: Op,
    /// Path and query.
    pub target: &'a str,
    /// First byte of the blob that the body carries, and the one after its last.
    pub body: (u64, u64),
}

impl Playing {
    /// Returns the script before its first request.
    pub fn new(script: Script) -> Self {
        Self { rules: script.into_iter().map(|rule| (rule, 0)).collect(), ceiling: None, outage: None }
    }

    /// Rules added while the script runs come after those that are there.
    pub fn add(&mut self, rule: Rule) {
        self.rules.push((rule, 0));
    }

    /// Everything is away for a while.
    pub fn outage(&mut self, outage: Outage) {
        self.outage = Some(outage);
    }

    /// Drops all rules: from now on nothing is scripted.
    pub fn clear(&mut self) {
        self.rules.clear();
    }

    /// Refuses larger bodies before they are read.
    pub fn ceiling(&mut self, bytes: u64, refusal: Answer) {
        self.ceiling = Some((bytes, refusal));
    }

    /// The fault for a request. Every rule counts what it matches; the first whose turn it is decides.
    pub fn next(&mut self, seen: Seen<'_>) -> Option<Fault> {
        if let Some(fault) = self.outage.as_mut().and_then(|outage| outage.meets(seen.op)) {
            return Some(fault);
        }
        let carried = seen.body.1 - seen.body.0;
        let over = self.ceiling.as_ref().filter(|(bytes, _)| carried > *bytes);
        let mut chosen = over.map(|(_, refusal)| Fault::Early(0, refusal.clone()));
        for (rule, count) in &mut self.rules {
            let matches = match &rule.on {
                On::Op(op) => *op == seen.op,
                On::At(op, part) => *op == seen.op && seen.target.contains(part.as_str()),
                On::Byte(byte) => (seen.body.0..seen.body.1).contains(byte),
            };
            if !matches {
                continue;
            }
            *count += 1;
            if chosen.is_none() && rule.nth.is(*count) {
                chosen = Some(match (&rule.on, &rule.fault) {
                    (On::Byte(byte), Fault::Cut(_, how)) => Fault::Cut(byte - seen.body.0, *how),
                    (On::Byte(byte), Fault::Early(_, answer)) => Fault::Early(byte - seen.body.0, answer.clone()),
                    (_, fault) => fault.clone(),
                });
            }
        }
        chosen
    }

    /// Rules that no request has met yet: a test that leaves some proves less than it says.
    pub fn unmet(&self) -> Vec<Rule> {
        let met = |rule: &Rule, count: u32| match rule.nth {
            Nth::Only(nth) | Nth::From(nth) => count >= nth,
            Nth::First(many) => count >= many,
        };
        self.rules.iter().filter(|(rule, count)| !met(rule, *count)).map(|(rule, _)| rule.clone()).collect()
    }
}
