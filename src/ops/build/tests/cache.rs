//! Layers of earlier builds: when they are used, and that they never show in the image.

use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::*;

/// Longer than a tick of the clock that a local file system takes its times from (10 ms at 100 Hz).
const TICK: Duration = Duration::from_millis(12);

/// For all file systems.
pub(super) const TICKS: RacyWindow = RacyWindow { coarse: TICK, fine: TICK };

const HOUR: Duration = Duration::from_hours(1);

/// How long the tests wait for what must happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// When anything below `root` last changed, by its file system.
fn newest(root: &Path) -> SystemTime {
    let mut newest = UNIX_EPOCH;
    let mut pending = vec![root.to_owned()];
    while let Some(path) = pending.pop() {
        let metadata = fs::symlink_metadata(&path).expect("there");
        let seconds = u64::try_from(metadata.ctime()).expect("after 1970");
        let nanoseconds = u32::try_from(metadata.ctime_nsec()).expect("below a second");
        newest = newest.max(UNIX_EPOCH + Duration::new(seconds, nanoseconds));
        if metadata.is_dir() {
            pending.extend(fs::read_dir(&path).expect("listed").map(|entry| entry.expect("an entry").path()));
        }
    }
    newest
}

/// Waits until nothing below `root` changed within the last tick.
pub(super) fn settle(root: &Path) {
    let settled = newest(root) + TICK;
    let deadline = SystemTime::now() + PATIENCE;
    while SystemTime::now() <= settled {
        assert!(SystemTime::now() < deadline, "the clock stands still");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

impl Bench {
    pub(super) fn cached(&self) -> BuildConfig {
        let cache = CacheConfig {
            state: self.dir.path().join("home"),
            reuse: true,
            settling: RacyWindow { coarse: TICK, fine: TICK },
        };
        BuildConfig { layers: Layers::AtMost(8), cache: Some(cache), ..self.config() }
    }

    /// Builds from the cache, and again without it for another store; both must be the same image. Answers how
    /// many layers were reused.
    fn reused(&self, config: &BuildConfig) -> usize {
        let outcome = self.build(config).expect("built");
        let clean = ImageStore::open(&self.dir.path().join("clean")).expect("a store");
        let without = BuildConfig { cache: None, ..config.clone() };
        let expected = build(&without, &clean, &Silent, &Interrupt::default()).expect("built");
        assert!(expected.layers.iter().all(|layer| !layer.reused));
        assert_eq!(outcome.document.digest(), expected.document.digest());
        self.store.tree(&outcome.document.descriptor).expect("whole");
        outcome.layers.iter().filter(|layer| layer.reused).count()
    }
}

/// Files of about 1 MiB in all, left alone for long enough, and how many layers they make.
fn settled(bench: &Bench) -> (Vec<PathBuf>, usize) {
    let files = super::layers::many(&bench.context());
    settle(&bench.context());
    let count = bench.build(&bench.cached()).expect("built").layers.len();
    assert!(count > 3, "{count}");
    (files, count)
}

fn set_modified(path: &Path, time: SystemTime) {
    fs::File::options().write(true).open(path).expect("there").set_modified(time).expect("set");
}

#[test]
fn only_files_that_were_left_alone_are_trusted() {
    let bench = Bench::new();
    let (files, count) = settled(&bench);
    assert_eq!(bench.reused(&bench.cached()), count);
    // A window that no file of this test can have waited for.
    let mut patient = bench.cached();
    patient.cache.as_mut().expect("set").settling = RacyWindow { coarse: HOUR, fine: HOUR };
    patient.cache.as_mut().expect("set").state = bench.dir.path().join("other-home");
    assert_eq!((bench.reused(&patient), bench.reused(&patient)), (0, 0));
    assert!(!bench.dir.path().join("other-home").exists());
    // A time in the future: the clock was set back, or is not the one that the time is from.
    set_modified(&files[7], SystemTime::now() + Duration::from_hours(1));
    settle(&bench.context());
    assert_eq!((bench.reused(&bench.cached()), bench.reused(&bench.cached())), (count - 1, count - 1));
    set_modified(&files[7], UNIX_EPOCH);
    settle(&bench.context());
    assert_eq!((bench.reused(&bench.cached()), bench.reused(&bench.cached())), (count - 1, count));
}

#[test]
fn a_file_of_this_very_moment_is_waited_for_and_then_trusted() {
    let bench = Bench::new();
    let (files, count) = settled(&bench);
    assert_eq!(bench.reused(&bench.cached()), count);
    for content in ["edited", "edited once more"] {
        fs::write(&files[7], content).expect("written");
        assert_eq!((bench.reused(&bench.cached()), bench.reused(&bench.cached())), (count - 1, count));
    }
}

#[test]
fn what_changed_is_packed_and_nothing_else() {
    let bench = Bench::new();
    let (files, count) = settled(&bench);
    let changed = |change: &dyn Fn(&Path)| {
        change(&files[20]);
        settle(&bench.context());
        (bench.reused(&bench.cached()), bench.reused(&bench.cached()))
    };
    let content = fs::read(&files[20]).expect("read");
    let time = fs::metadata(&files[20]).expect("there").modified().expect("a time");
    let other: Vec<u8> = content.iter().map(|byte| !byte).collect();
    let once = (count - 1, count);
    // The same size and time of modification, in its place and by another file.
    assert_eq!(
        changed(&|path| {
            fs::write(path, &other).expect("written");
            set_modified(path, time);
        }),
        once
    );
    assert_eq!(
        changed(&|path| {
            let new = path.with_extension("new");
            fs::write(&new, &content).expect("written");
            set_modified(&new, time);
            fs::rename(&new, path).expect("replaced");
        }),
        once
    );
    // Touched, and yet the same.
    assert_eq!(changed(&|path| set_modified(path, time - Duration::from_secs(9))), once);
    assert_eq!(changed(&|path| fs::set_permissions(path, Permissions::from_mode(0o600)).expect("mode")), once);
    assert_eq!(changed(&|_| ()), (count, count));
    // Every layer that has something of the directory has the directory.
    let (first, second) = changed(&|path| {
        fs::set_permissions(path.parent().expect("inside"), Permissions::from_mode(0o711)).expect("mode");
    });
    assert!(first < count && second == count, "{first}, {second}");
}

#[test]
fn options_and_rules_that_change_layers_change_what_is_reused() {
    let bench = Bench::new();
    let (_, count) = settled(&bench);
    let base = bench.cached();
    for config in [
        BuildConfig { copy_to: "/srv".into(), ..base.clone() },
        BuildConfig { owner: Owner { uid: 1, gid: 0 }, ..base.clone() },
        BuildConfig { owner: Owner { uid: 0, gid: 1 }, ..base.clone() },
        BuildConfig { timestamp: 86_400, ..base.clone() },
        BuildConfig { compression: Compression::new(Format::Gzip, Some(6)).expect("a level"), ..base.clone() },
        BuildConfig { compression: Compression::new(Format::Zstd, None).expect("a level"), ..base.clone() },
        BuildConfig { compression: Compression::new(Format::None, None).expect("a level"), ..base.clone() },
    ] {
        assert_eq!((bench.reused(&config), bench.reused(&config)), (0, count));
    }
    // What says nothing about layers: the configuration, and the name.
    let labelled = BuildConfig {
        labels: BTreeMap::from([("a".into(), "b".into())]),
        names: vec![name("other:v1")],
        ..base.clone()
    };
    assert_eq!(bench.reused(&labelled), count);
    let fewer = BuildConfig { exclude: vec!["d3/f3".into()], ..base.clone() };
    let first = bench.reused(&fewer);
    assert!((1..count).contains(&first), "{first}");
    assert!(bench.reused(&fewer) > first);
    assert_eq!(bench.reused(&base), count);
    let mut anew = base;
    anew.cache.as_mut().expect("set").reuse = false;
    assert_eq!(bench.reused(&anew), 0);
}

#[test]
fn a_blob_that_is_gone_and_a_cache_that_is_damaged_are_made_anew() {
    let bench = Bench::new();
    let (_, count) = settled(&bench);
    let config = bench.cached();
    let layers = bench.build(&config).expect("built").layers;
    fs::remove_file(bench.store.blob_path(layers[1].descriptor.digest)).expect("removed");
    assert_eq!((bench.reused(&config), bench.reused(&config)), (count - 1, count));
    // Cut short, as a full disk or another program may leave it.
    let blob = fs::File::options().write(true).open(bench.store.blob_path(layers[2].descriptor.digest));
    blob.expect("there").set_len(5).expect("cut");
    assert_eq!((bench.reused(&config), bench.reused(&config)), (count - 1, count));
    let entries = bench.store.entries().expect("read");
    bench.store.remove(&entries).expect("removed");
    bench.store.prune().expect("pruned");
    assert_eq!((bench.reused(&config), bench.reused(&config)), (0, count));
    let records = bench.dir.path().join("home/cache/layers");
    for record in fs::read_dir(&records).expect("there") {
        fs::write(record.expect("an entry").path(), "{").expect("written");
    }
    assert_eq!((bench.reused(&config), bench.reused(&config)), (0, count));
    fs::remove_dir_all(&records).expect("removed");
    assert_eq!((bench.reused(&config), bench.reused(&config)), (0, count));
}

#[test]
fn a_cache_inside_the_context_is_not_used() {
    let bench = Bench::new();
    settled(&bench);
    for state in ["app", "app/home", "app/d3/not/yet"] {
        let mut config = bench.cached();
        config.cache.as_mut().expect("set").state = bench.dir.path().join(state);
        assert_eq!((bench.reused(&config), bench.reused(&config)), (0, 0), "{state}");
    }
    assert!(!bench.context().join("cache").exists());
}

#[test]
fn what_a_failed_build_has_packed_is_of_use_to_the_next() {
    let bench = Bench::new();
    let mut files = super::layers::many(&bench.context());
    files.sort();
    settle(&bench.context());
    let last = files.last().expect("files");
    let content = fs::read(last).expect("read");
    let failed = build(&bench.cached(), &bench.store, &Remover(last.clone()), &Interrupt::default());
    assert!(matches!(failed, Err(BuildError::Layer(LayerError::Vanished { .. }))));
    fs::write(last, content).expect("written");
    let count = bench.build(&bench.cached()).expect("built").layers.iter().filter(|layer| layer.reused).count();
    // Layers are begun in their order, and few at a time.
    assert!(count > 0);
}

#[test]
fn an_unchanged_image_is_written_nowhere() {
    let bench = Bench::new();
    settled(&bench);
    let stamps = || {
        let context = Context::open(bench.store.root()).expect("there");
        let rules = context.rules(None, &["*.lock".to_owned()]).expect("rules");
        context.list(&rules, &[], &Interrupt::default()).expect("listed").entries
    };
    let config = bench.cached();
    bench.build(&config).expect("built");
    let before = stamps();
    let later = BuildConfig { built_at: "2030-01-01T00:00:00Z".into(), ..config.clone() };
    assert!(bench.build(&later).expect("built").replaced.is_empty());
    assert_eq!(stamps(), before);
    let renamed = BuildConfig { names: vec![name("app:v1"), name("app:v2")], ..later };
    bench.build(&renamed).expect("built");
    assert_eq!(bench.store.entries().expect("read").len(), 2);
}

/// The kernel's own word on which files are opened.
#[cfg(target_os = "linux")]
#[test]
fn an_unchanged_context_is_rebuilt_without_opening_a_file() {
    use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};

    let bench = Bench::new();
    let (files, count) = settled(&bench);
    let events = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).expect("inotify");
    for number in 0..7 {
        add_watch(&events, bench.context().join(format!("d{number}")), WatchFlags::OPEN).expect("watched");
    }
    let opened = |config: &BuildConfig| {
        let outcome = bench.build(config).expect("built");
        let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(&events, &mut buffer);
        let mut names = std::collections::BTreeSet::new();
        loop {
            match reader.next() {
                Ok(event) if event.events().contains(ReadFlags::ISDIR) => {}
                Ok(event) => {
                    names.insert(event.file_name().expect("a file's").to_string_lossy().into_owned());
                }
                Err(rustix::io::Errno::AGAIN) => break,
                Err(error) => panic!("{error}"),
            }
        }
        let reused = outcome.layers.iter().filter(|layer| layer.reused).count();
        (names.len(), reused)
    };
    let config = bench.cached();
    assert_eq!(opened(&config), (0, count));
    let mut anew = config.clone();
    anew.cache.as_mut().expect("set").reuse = false;
    assert_eq!(opened(&anew), (files.len(), 0));
    set_modified(&files[20], UNIX_EPOCH);
    settle(&bench.context());
    let _ = opened(&bench.config());
    let (some, reused) = opened(&config);
    assert_eq!(reused, count - 1);
    assert!((1..files.len() / 2).contains(&some), "{some} of {}", files.len());
}
