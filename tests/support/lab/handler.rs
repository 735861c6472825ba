//! One request: the script first, then access, then the registry's own rules.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::access::{self, Asked, Login, Tokens, Wanted};
use super::content;
use super::profile::{Later, Post, Profile, Scheme};
use super::record::{Exchange, Record, Site};
use super::request::{Reply, Request};
use super::script::{Break, Fault, Lie, Op, Playing, Seen};
use super::state::State;
use super::uploads::{self, Intake};

/// A registry with its script, its state and its record.
pub struct Registry {
    /// The registry's behaviour.
    pub profile: Profile,
    /// The login that the registry requires, if any.
    pub login: Option<Login>,
    /// The script and its progress.
    pub playing: Mutex<Playing>,
    /// Blobs, manifests, tags and sessions.
    pub state: Mutex<State>,
    /// The tokens that the token service issued.
    pub tokens: Mutex<Tokens>,
    /// Every request and its answer.
    pub record: Record,
    /// Counts requests that run at the same time.
    pub crowd: Crowd,
    /// Counts the connections that a fault broke.
    pub breaks: AtomicU64,
    /// Scheme and authority of both origins.
    pub bases: [String; 2],
}

/// What happens to a connection after, or instead of, an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The registry answers.
    Answer {
        /// Status, headers and body.
        reply: Reply,
        /// The body ends after so many bytes.
        cut: Option<usize>,
        /// Nothing follows on this connection.
        last: bool,
    },
    /// The connection breaks without an answer.
    Break(Break),
    /// The certificate changes, and the connection is closed.
    Rotate,
}

/// A request's body, a piece at a time. `None` at its end; an error when it broke off.
pub trait Body {
    /// Returns the next piece.
    fn piece(&mut self) -> impl Future<Output = Option<Result<bytes::Bytes, ()>>> + Send;
}

/// Bytes of an unwanted body that are read to keep the connection.
const MAX_UNREAD: u64 = 256 << 10;

/// How far a body was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    Whole,
    Enough,
    Broken,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("unpoisoned")
}

impl Registry {
    /// Connections that the script broke or stopped so far.
    pub fn stopped(&self) -> u64 {
        self.breaks.load(Ordering::Relaxed)
    }

    /// Handles one request, whose exchange is recorded.
    pub async fn handle(
        &self,
        request: &Request<'_>,
        (connection, certificate): (u64, u64),
        mut body: impl Body,
    ) -> Outcome {
        let offset = {
            let state = locked(&self.state);
            request.session.as_deref().and_then(|id| state.sessions.get(id)).map_or(0, |session| session.known)
        };
        let carried = if super::record::carries_blobs(request.op) { request.announced } else { 0 };
        let seen = Seen { op: request.op, target: &request.target, body: (offset, offset + carried) };
        let fault = locked(&self.playing).next(seen);
        let place = self.record.begin(Exchange {
            site: request.site,
            connection,
            certificate,
            op: request.op,
            method: request.method.to_owned(),
            target: request.target.clone(),
            headers: request.headers.clone(),
            session: request.session.clone(),
            offset,
            received: 0,
            status: None,
            fault: fault.as_ref().map(|fault| format!("{fault:?}")).or_else(|| self.unscripted(request, offset)),
            lost: 0,
            at: Instant::now(),
        });
        let scripted = matches!(fault, Some(Fault::Cut(..) | Fault::Lost(_) | Fault::Rotate));
        let under_way = UnderWay::enter(&self.crowd, Kind::For(request.op));
        let body_under_way = (carried > 0).then(|| UnderWay::enter(&self.crowd, Kind::Bodies));
        let outcome = self.play(request, fault, place, &mut body).await;
        drop((under_way, body_under_way));
        match &outcome {
            Outcome::Answer { reply, .. } => {
                self.record.update(place, |exchange| exchange.status = Some(reply.status));
            }
            // A connection that the client or the network ended is not the script's work.
            Outcome::Break(_) | Outcome::Rotate if scripted => {
                self.breaks.fetch_add(1, Ordering::Relaxed);
                self.record.update(place, |_| ());
            }
            Outcome::Break(_) | Outcome::Rotate => {}
        }
        outcome
    }

    /// What this kind of registry does to a request although it is not told to.
    fn unscripted(&self, request: &Request<'_>, offset: u64) -> Option<String> {
        let state = locked(&self.state);
        let poisoned =
            request.session.as_deref().and_then(|id| state.sessions.get(id)).is_some_and(|session| session.poisoned);
        if poisoned {
            return Some("Poisoned".to_owned());
        }
        let chunked = request.op == Op::Patch && offset > 0 && self.profile.patch.later != Later::Taken;
        let single = request.op == Op::Open && request.announced > 0 && self.profile.post == Post::Ignores;
        (chunked || single).then(|| format!("{:?} {:?}", self.profile.patch.later, self.profile.post))
    }

    async fn play(&self, request: &Request<'_>, fault: Option<Fault>, place: usize, body: &mut impl Body) -> Outcome {
        let answer = |reply| Outcome::Answer { reply, cut: None, last: false };
        match &fault {
            Some(Fault::Expire) => locked(&self.tokens).expire(),
            Some(Fault::Gather(many)) => self.crowd.gather(request.op, *many).await,
            Some(Fault::ForgetSessions) => {
                let forgotten = std::mem::take(&mut locked(&self.state).sessions);
                let lost = forgotten.values().map(|session| session.taken).sum();
                self.record.update(place, |exchange| exchange.lost = lost);
            }
            Some(Fault::ForgetBlobs) => {
                let forgotten = std::mem::take(&mut locked(&self.state).blobs);
                let lost = forgotten.values().map(|blob| blob.size).sum();
                self.record.update(place, |exchange| exchange.lost = lost);
            }
            Some(Fault::Rotate) => return Outcome::Rotate,
            Some(Fault::Refuse(refusal)) => {
                self.read(place, body, u64::MAX, None, |_| ()).await;
                return answer(Reply::scripted(refusal));
            }
            Some(Fault::Early(bytes, refusal)) => {
                self.read(place, body, *bytes, None, |_| ()).await;
                return Outcome::Answer { reply: Reply::scripted(refusal), cut: None, last: true };
            }
            Some(Fault::Phantom) => {
                self.read(place, body, u64::MAX, None, |_| ()).await;
                return answer(Reply::of(201));
            }
            Some(Fault::Discard) => {
                self.read(place, body, u64::MAX, None, |_| ()).await;
                let id = request.session.clone().unwrap_or_default();
                let mut state = locked(&self.state);
                let known = state.sessions.get(&id).map_or(0, |session| session.known);
                let address = uploads::location(&self.profile, request, &request.repository, &id, known);
                let reply = uploads::status(&self.profile, &mut state, request);
                return answer(Reply { status: 202, ..reply }.with("Location", address));
            }
            _ => {}
        }
        let reply = match self.perform(request, fault.as_ref(), place, body).await {
            Ok(reply) => reply,
            Err(how) => return Outcome::Break(how),
        };
        // What an early answer left unread is read up to a limit; above it the connection ends, as Go's server has it.
        let last = self.read(place, body, MAX_UNREAD, None, |_| ()).await != Read::Whole;
        let answer = |reply| Outcome::Answer { reply, cut: None, last };
        match fault {
            Some(Fault::Lost(how)) => Outcome::Break(how),
            Some(Fault::Done(refusal)) => answer(Reply::scripted(&refusal)),
            Some(Fault::Lie(lie)) => answer(self.amended(request, reply, lie)),
            Some(Fault::Truncate(bytes)) => Outcome::Answer { reply, cut: Some(bytes), last: true },
            Some(Fault::LastOnConnection) => Outcome::Answer { reply, cut: None, last: true },
            None if self.sends_away(request) && request.op == Op::Open && reply.status == 202 => {
                answer(self.amended(request, reply, Lie::LocationElsewhere))
            }
            _ => answer(reply),
        }
    }

    /// The answer that sends a request for content to the other origin. Its address permits, as a signed one does.
    fn sent_away(&self, request: &Request<'_>) -> Option<Reply> {
        let away = self.sends_away(request) && matches!(request.op, Op::GetBlob | Op::PutManifest);
        let address = format!("{}{}?X-Signature=0123456789abcdef", self.bases[1], request.target);
        away.then(|| Reply::of(307).with("Location", address))
    }

    /// Whether the other origin does what the request asks for.
    fn sends_away(&self, request: &Request<'_>) -> bool {
        self.profile.dispersed && request.site == Site::Registry
    }

    /// Does what the request asks for; an error when a cut came first.
    async fn perform(
        &self,
        request: &Request<'_>,
        fault: Option<&Fault>,
        place: usize,
        body: &mut impl Body,
    ) -> Result<Reply, Break> {
        let (limit, how) = match fault {
            Some(Fault::Cut(bytes, how)) => (*bytes, *how),
            // Whoever is sent away early goes by itself.
            _ => (u64::MAX, Break::Close),
        };
        let rate = match fault {
            Some(Fault::Slow(rate)) => Some(*rate),
            _ => None,
        };
        if request.op == Op::Token {
            let mut form = Vec::new();
            self.read(place, body, u64::MAX, None, |bytes| form.extend_from_slice(bytes)).await;
            return Ok(self.token(request, &String::from_utf8_lossy(&form)));
        }
        let realm = self.realm();
        let from = request.query("from");
        let wanted = Wanted {
            authorization: request.header("authorization"),
            repository: (request.op != Op::Ping).then_some(request.repository.as_str()),
            from: from.as_deref(),
            pushes: request.pushes(),
            realm: &realm,
        };
        let mut may_mount = true;
        // Elsewhere, the address itself is what permits.
        if let Some(login) = self.login.as_ref().filter(|_| request.site == Site::Registry) {
            let tokens = locked(&self.tokens);
            if let Some(refusal) = access::refusal(&self.profile.access, login, &tokens, &wanted) {
                return Ok(refusal);
            }
            may_mount = access::may_mount(&self.profile.access, &tokens, &wanted);
        }
        if let Some(reply) = self.sent_away(request) {
            return Ok(reply);
        }
        let profile = &self.profile;
        let intake = {
            let mut state = locked(&self.state);
            match request.op {
                Op::Ping => Intake::Early(Reply::of(200)),
                Op::HeadBlob | Op::GetBlob => Intake::Early(content::blob(&state, request)),
                Op::HeadManifest | Op::GetManifest => Intake::Early(content::manifest(profile, &state, request)),
                Op::Status => Intake::Early(uploads::status(profile, &mut state, request)),
                Op::Cancel => Intake::Early(uploads::cancel(profile, &mut state, request)),
                Op::Open => uploads::open(profile, &mut state, request, may_mount),
                Op::Patch | Op::Commit => uploads::check(profile, &mut state, request, request.op == Op::Patch),
                Op::Referrers if profile.referrers => {
                    Intake::Early(Reply::of(200).body(br#"{"schemaVersion":2,"manifests":[]}"#.to_vec()))
                }
                Op::PutManifest => Intake::Throw(Reply::of(201)),
                Op::Referrers | Op::Other | Op::Token => Intake::Early(Reply::plain(404, "404 page not found")),
            }
        };
        let session = match intake {
            Intake::Early(reply) => {
                // With `Cut(0, ..)` requests without a body break, too.
                return if limit == 0 { Err(how) } else { Ok(reply) };
            }
            Intake::Throw(_) if request.op == Op::PutManifest => {
                let mut bytes = Vec::new();
                match self.read(place, body, limit, rate, |piece| bytes.extend_from_slice(piece)).await {
                    Read::Whole => {}
                    Read::Enough | Read::Broken => return Err(how),
                }
                pause(fault).await;
                return Ok(content::put(profile, &mut locked(&self.state), request, &bytes));
            }
            Intake::Throw(reply) => {
                return match self.read(place, body, limit, rate, |_| ()).await {
                    Read::Whole => Ok(reply),
                    Read::Enough | Read::Broken => Err(how),
                };
            }
            Intake::Session(id) => id,
        };
        let write = |piece: &[u8]| {
            if let Some(session) = locked(&self.state).sessions.get_mut(&session) {
                session.write(piece);
            }
        };
        // A client that goes away drops this future, and the session is torn all the same.
        let mut guard = TornGuard { registry: self, id: session.clone(), armed: true };
        let read = self.read(place, body, limit, rate, write).await;
        if read == Read::Whole {
            guard.armed = false;
        }
        drop(guard);
        if read != Read::Whole {
            return Err(how);
        }
        pause(fault).await;
        if let Some(Fault::Crowded(millis, refusal)) = fault {
            tokio::time::sleep(Duration::from_millis(*millis)).await;
            if self.crowd.now(request.op) > 1 {
                return Ok(Reply::scripted(refusal));
            }
        }
        let mut state = locked(&self.state);
        Ok(match request.op {
            Op::Patch => uploads::patched(profile, &mut state, request, &session),
            _ => uploads::committed(profile, &mut state, request, &session),
        })
    }

    /// Reads the body up to so many bytes.
    async fn read(
        &self,
        place: usize,
        body: &mut impl Body,
        limit: u64,
        rate: Option<u64>,
        mut sink: impl FnMut(&[u8]),
    ) -> Read {
        let mut taken = 0;
        loop {
            if taken == limit {
                return Read::Enough;
            }
            let piece = match body.piece().await {
                None => return Read::Whole,
                Some(Err(())) => return Read::Broken,
                Some(Ok(piece)) => piece,
            };
            let left = usize::try_from(limit - taken).unwrap_or(usize::MAX);
            let piece = &piece[..piece.len().min(left)];
            sink(piece);
            taken += piece.len() as u64;
            self.record.update(place, |exchange| exchange.received += piece.len() as u64);
            if let Some(rate) = rate {
                let nanos = (piece.len() as u64).saturating_mul(1_000_000_000) / rate.max(1);
                tokio::time::sleep(Duration::from_nanos(nanos)).await;
            }
        }
    }

    fn realm(&self) -> String {
        let elsewhere = self.login.as_ref().is_some_and(|login| login.realm_elsewhere);
        format!("{}/v2/token", self.bases[usize::from(elsewhere)])
    }

    fn token(&self, request: &Request<'_>, form: &str) -> Reply {
        let (Some(login), Scheme::Bearer(rules)) = (&self.login, self.profile.access.scheme) else {
            return Reply::plain(404, "no token service");
        };
        let scopes = if request.method == "POST" {
            let form = Request { target: format!("?{form}"), ..request.clone() };
            form.queries("scope")
        } else {
            request.queries("scope")
        };
        let scopes = scopes.iter().flat_map(|scopes| scopes.split(' ').map(str::to_owned)).collect();
        let asked =
            Asked { is_post: request.method == "POST", authorization: request.header("authorization"), scopes, form };
        locked(&self.tokens).issue(&rules, login, &asked)
    }

    fn amended(&self, request: &Request<'_>, reply: Reply, lie: Lie) -> Reply {
        match lie {
            Lie::Header(name, value) => reply.with(name, value),
            Lie::Without(name) => reply.without(name),
            Lie::Status(status) => Reply { status, ..reply },
            Lie::RangeBy(by) => {
                let end = reply.header("range").and_then(|range| range.rsplit('-').next()?.parse::<i64>().ok());
                match end {
                    Some(end) => reply.with("Range", format!("0-{}", (end + by).max(0))),
                    None => reply,
                }
            }
            Lie::LocationElsewhere => {
                let elsewhere = Request { site: Site::Elsewhere, base: self.bases[1].clone(), ..request.clone() };
                let location = reply.header("location").unwrap_or_default();
                let id = location.split('?').next().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
                let address = uploads::location(&self.profile, &elsewhere, &request.repository, id, 0);
                reply.with("Location", address)
            }
            Lie::NoRange => {
                let mut whole = request.clone();
                whole.headers.retain(|(name, _)| name != "range");
                content::blob(&locked(&self.state), &whole)
            }
        }
    }
}

/// How many requests of each kind were under way at the same time, and how many at most.
#[derive(Debug, Default)]
pub struct Crowd(Mutex<BTreeMap<Kind, (u32, u32)>>);

/// What is counted: requests for something, and all with bytes of blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    For(Op),
    Bodies,
}

impl Crowd {
    /// The most at a time.
    pub fn peak(&self, op: Op) -> u32 {
        locked(&self.0).get(&Kind::For(op)).map_or(0, |(_, peak)| *peak)
    }

    /// The most bodies with bytes of blobs at a time.
    pub fn peak_of_bodies(&self) -> u32 {
        locked(&self.0).get(&Kind::Bodies).map_or(0, |(_, peak)| *peak)
    }

    /// Waits until so many are under way. A test that waits in vain goes on, and fails by what it then sees.
    async fn gather(&self, op: Op, many: u32) {
        let deadline = Instant::now() + super::record::PATIENCE;
        while self.peak(op) < many && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn now(&self, op: Op) -> u32 {
        locked(&self.0).get(&Kind::For(op)).map_or(0, |(now, _)| *now)
    }
}

struct UnderWay<'a>(&'a Crowd, Kind);

impl<'a> UnderWay<'a> {
    fn enter(crowd: &'a Crowd, kind: Kind) -> Self {
        let mut counts = locked(&crowd.0);
        let (now, peak) = counts.entry(kind).or_default();
        *now += 1;
        *peak = (*peak).max(*now);
        drop(counts);
        Self(crowd, kind)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some((now, _)) = locked(&self.0.0).get_mut(&self.1) {
            *now -= 1;
        }
    }
}

async fn pause(fault: Option<&Fault>) {
    if let Some(Fault::Pause(millis)) = fault {
        tokio::time::sleep(Duration::from_millis(*millis)).await;
    }
}

struct TornGuard<'a> {
    registry: &'a Registry,
    id: String,
    armed: bool,
}

impl Drop for TornGuard<'_> {
    fn drop(&mut self) {
        if self.armed {
            uploads::torn(&self.registry.profile, &mut locked(&self.registry.state), &self.id);
        }
    }
}
