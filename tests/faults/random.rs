//! Many pushes with faults that nobody thought of: each must end with the right bytes, and waste none.

use std::time::Duration;

use crate::lab::invariants;
use crate::lab::profile::{self, Profile};
use crate::lab::script::{Answer, Break, Fault, Lie, Nth, On, Op, Rule};
use crate::lab::serve::Setup;
use crate::pushing::{KIB, MIB, Pushing, the_login};
use crate::seed::{Random, rounds};

/// Operations that every push has.
const OPS: [Op; 6] = [Op::HeadBlob, Op::Open, Op::Patch, Op::Commit, Op::PutManifest, Op::HeadManifest];

fn passing(random: &mut Random) -> Answer {
    let status = *random.one_of(&[408, 429, 500, 502, 503, 504]);
    let answer = match random.below(4) {
        0 => Answer::of(status),
        1 => Answer::json(status, "UNKNOWN"),
        2 => Answer::plain(status, "not now"),
        _ => Answer::nginx(status, "Not Now"),
    };
    if status == 429 && random.below(2) == 0 { answer.with("Retry-After", "0") } else { answer }
}

/// A fault that a push has to survive.
fn rule(random: &mut Random, size: u64) -> Rule {
    let how = *random.one_of(&[Break::Reset, Break::Reset, Break::Close]);
    if random.below(2) == 0 {
        let byte = random.below(size.max(1));
        return Rule { on: On::Byte(byte), nth: Nth::Only(1), fault: Fault::Cut(0, how) };
    }
    let op = *random.one_of(&OPS);
    let fault = match random.below(9) {
        0 | 1 => Fault::Refuse(passing(random)),
        2 => Fault::Cut(random.below(2 * KIB), how),
        3 => Fault::Lost(how),
        4 => Fault::Done(Answer::nginx(504, "Gateway Time-out")),
        5 => Fault::LastOnConnection,
        // A token that ends before its first use is a refusal.
        6 if !matches!(op, Op::HeadBlob | Op::HeadManifest) => Fault::Expire,
        7 if op == Op::Patch => Fault::Lie(Lie::RangeBy(1)),
        8 if matches!(op, Op::Patch | Op::Commit) => Fault::ForgetSessions,
        _ => Fault::Early(random.below(64 * KIB), Answer::nginx(503, "Service Temporarily Unavailable")),
    };
    let nth = 1 + u32::try_from(random.below(4)).expect("small");
    Rule { on: On::Op(op), nth: Nth::Only(nth), fault }
}

struct Round {
    profile: Profile,
    layers: Vec<u64>,
    chunks: u64,
    script: Vec<Rule>,
    asks: bool,
}

impl Round {
    fn new(random: &mut Random) -> Self {
        let profile = *random.one_of(profile::ALL);
        let layers: Vec<u64> = (0..=random.below(3)).map(|_| random.below(MIB)).collect();
        let chunks = *random.one_of(&[64 * KIB, 100_000, 256 * KIB, 512 * MIB]);
        let largest = layers.iter().copied().max().unwrap_or(0);
        let mut script: Vec<Rule> = (0..=random.below(4)).map(|_| rule(random, largest)).collect();
        // A session may be lost, but a blob that loses one after the other is given up.
        let mut lost = false;
        script.retain(|rule| rule.fault != Fault::ForgetSessions || !std::mem::replace(&mut lost, true));
        Self { profile, layers, chunks, script, asks: random.below(2) == 0 }
    }
}

#[tokio::test]
async fn pushes_through_random_faults_end_with_the_right_bytes() {
    let random = Random::new();
    for number in 0..rounds(50, 500) {
        let Round { profile, layers, chunks, script, asks } = Round::new(&mut random.round(number));
        let told = format!("round {number}: {}, {layers:?} in chunks of {chunks}, {script:#?}", profile.name);
        let setup = Setup::of(profile).script(script);
        let setup = if asks { setup.login(the_login()) } else { setup };
        let pushing = Pushing::of(setup, &layers).in_chunks_of(chunks);
        let pushed = tokio::time::timeout(Duration::from_mins(1), pushing.push()).await;
        let lines = || pushing.lab.lines().join("\n");
        let result = pushed.unwrap_or_else(|_| panic!("{told}\nnot done in a minute\n{}", lines()));
        result.unwrap_or_else(|error| panic!("{told}\n{error:?}\n{}", lines()));
        let seen = pushing.lab.seen();
        let mut wrong = invariants::stored(&pushing.lab, "team/app", "v1", &pushing.image);
        wrong.extend(invariants::economical(&profile, &seen, pushing.size()));
        wrong.extend(invariants::discreet(pushing.lab.registry(), &seen));
        assert!(wrong.is_empty(), "{told}\n{}\n{}", wrong.join("\n"), lines());
    }
}
