//! Builds that are killed, alone and beside commands that name, remove and prune.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::check::{Names, left_overs, names, whole};
use crate::process::{Process, Random, files, holds, noise};
use crate::sandbox::Sandbox;

const BUILD: [&str; 7] = ["idpbuilder-build", "new", "-t", "app:v1", "-q", "--progress", "json"];

/// A store that has the image of `old` as `app:v1`, and a context `new` for another; both digests.
struct Scene {
    sandbox: Sandbox,
    old: String,
    new: String,
    /// How long a build of `new` takes here.
    span: Duration,
}

impl Scene {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        sandbox.file("old/greeting", "hello");
        sandbox.file("new/noise", noise(1, 6 << 20));
        for number in 0..50 {
            sandbox.file(&format!("new/many/{number}"), noise(number, 1000));
        }
        let elsewhere = sandbox.work().join("elsewhere");
        let started = Instant::now();
        let _ = sandbox.run(&[&BUILD[..], &["--store", "elsewhere"]].concat()).success();
        let span = started.elapsed();
        let new = names(&sandbox, &elsewhere)["app:v1"].clone();
        let _ = sandbox.run(&["idpbuilder-build", "old", "-q", "-t", "app:v1", "-t", "keep:old"]).success();
        let old = names(&sandbox, &sandbox.store())["app:v1"].clone();
        assert_ne!(old, new);
        Self { sandbox, old, new, span }
    }

    fn blobs(&self) -> Vec<PathBuf> {
        files(&self.sandbox.store().join("blobs/sha256"))
    }

    fn index(&self) -> u64 {
        std::fs::metadata(self.sandbox.store().join("index.json")).expect("an index").ino()
    }

    /// Checks the store after a kill, and makes it as it was before.
    fn check(&self, what: &str) -> Names {
        let found = whole(&self.sandbox, &self.sandbox.store());
        assert_eq!(found.get("keep:old"), Some(&self.old), "{what}");
        assert!([&self.old, &self.new].contains(&&found["app:v1"]), "{what}: neither old nor new");
        assert_eq!(found.len(), 2, "{what}: {found:?}");
        let _ = self.sandbox.run(&["idpbuilder-tag", "keep:old", "app:v1"]).success();
        let _ = self.sandbox.run(&["idpbuilder-rm", "--prune"]).success();
        assert_eq!(self.blobs().len(), 3, "{what}: pruning takes the new image's blobs away");
        found
    }

    /// One build that nobody kills.
    fn build(&self) {
        let _ = self.sandbox.run(&BUILD).success();
        assert_eq!(whole(&self.sandbox, &self.sandbox.store())["app:v1"], self.new);
        assert_eq!(left_overs(&self.sandbox.store()), Vec::<PathBuf>::new());
    }
}

/// Rounds at each point that is waited for.
const ROUNDS: usize = 4;

#[test]
fn a_build_killed_at_a_known_point_changes_nothing_or_all() {
    let scene = Scene::new();
    let store = scene.sandbox.store();
    let mut alive = [0; 4];
    for _ in 0..ROUNDS {
        let mut build = Process::start(scene.sandbox.command(&BUILD));
        build.line(r#""event":"begin""#).expect("packing begins");
        alive[0] += usize::from(build.kill());
        scene.check("after packing began");

        let mut build = Process::start(scene.sandbox.command(&BUILD));
        build.until(|| holds(&store.join(".tmp"), 1 << 20));
        alive[1] += usize::from(build.kill());
        scene.check("while a blob was written");

        let mut build = Process::start(scene.sandbox.command(&BUILD));
        let before = scene.blobs().len();
        build.until(|| scene.blobs().len() > before);
        alive[2] += usize::from(build.kill());
        scene.check("after a blob got its name");

        let mut build = Process::start(scene.sandbox.command(&BUILD));
        let before = scene.index();
        build.until(|| scene.index() != before);
        alive[3] += usize::from(build.kill());
        let found = scene.check("after the index changed");
        assert_eq!(found["app:v1"], scene.new, "what the index says is stored");
    }
    // The last two are over in a moment; a build that ended before the kill has proved less.
    assert!(alive[0] > 0 && alive[1] > 0, "no build was killed half-way: {alive:?}");
    scene.build();
}

#[test]
fn a_build_killed_at_any_instant_changes_nothing_or_all() {
    let scene = Scene::new();
    let mut random = Random::new();
    let mut killed = 0;
    for round in 0..20 {
        let mut build = Process::start(scene.sandbox.command(&BUILD));
        let instant = random.instant(scene.span);
        build.until(|| Instant::now() >= instant);
        killed += usize::from(build.kill());
        scene.check(&format!("round {round}"));
    }
    assert!(killed > 0, "every build ended before it was killed");
    scene.build();
}

#[test]
fn a_store_whose_making_was_killed_is_made_by_the_next() {
    let sandbox = Sandbox::new();
    sandbox.file("old/greeting", "hello");
    let build = |store: &Path| {
        let store = store.to_str().expect("UTF-8");
        ["idpbuilder-build", "old", "-q", "-t", "app:v1", "--store", store].map(str::to_owned)
    };
    for (round, part) in ["", "blobs", "blobs/sha256", ".tmp", "index.json", "oci-layout"].iter().enumerate() {
        let store = sandbox.work().join(format!("store-{round}"));
        let words = build(&store);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut process = Process::start(sandbox.command(&words));
        process.until(|| store.join(part).exists());
        process.kill();
        let _ = sandbox.run(&words).success();
        assert_eq!(whole(&sandbox, &store).len(), 1, "killed once `{part}` was there");
        assert_eq!(left_overs(&store), Vec::<PathBuf>::new());
    }
}

#[test]
fn names_and_pruning_beside_killed_builds_lose_nothing() {
    let scene = Scene::new();
    let mut random = Random::new();
    let sandbox = &scene.sandbox;
    let store = sandbox.store();
    sandbox.file("small/file", "small");
    let done = std::sync::atomic::AtomicBool::new(false);
    let running = || !done.load(std::sync::atomic::Ordering::Relaxed);
    let tags = std::thread::scope(|scope| {
        let tagging = scope.spawn(|| {
            let mut count = 0;
            while running() {
                count += 1;
                let _ = sandbox.run(&["idpbuilder-tag", "keep:old", &format!("extra:{count}")]).success();
                names(sandbox, &store);
                // Its source may be gone by then; if it is not, its blobs are not either.
                let code = sandbox.run(&["idpbuilder-tag", "race:from", "race:to"]).code;
                assert!(matches!(code, Some(0 | 4)), "{code:?}");
            }
            count
        });
        let pruning = scope.spawn(|| {
            while running() {
                let _ = sandbox.run(&["idpbuilder-build", "small", "-q", "-t", "race:from"]).success();
                let _ = sandbox.run(&["idpbuilder-rm", "-f", "race:from", "--prune"]).success();
                names(sandbox, &store);
                let _ = sandbox.run(&["idpbuilder-rm", "-f", "race:to", "--prune"]).success();
            }
        });
        for _ in 0..10 {
            let mut build = Process::start(sandbox.command(&BUILD));
            let instant = random.instant(scene.span * 2);
            build.until(|| Instant::now() >= instant);
            build.kill();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        pruning.join().expect("no complaint");
        tagging.join().expect("no complaint")
    });
    let found = whole(sandbox, &store);
    let named = (1..=tags).filter(|count| found.get(&format!("extra:{count}")) == Some(&scene.old)).count();
    assert_eq!(named, tags, "a tag was lost");
    let others = found.keys().filter(|name| !name.starts_with("extra:") && *name != "race:to");
    assert_eq!(others.collect::<Vec<_>>(), ["app:v1", "keep:old"]);
    scene.build();
}
