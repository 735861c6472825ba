//! Whatever is done to a context between builds: the image from the cache is the image from the files.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::cache::settle;
use super::*;

/// Scripts in all, and the threads that play them: most of the time they wait for clocks.
const CASES: u32 = 1000;
const THREADS: u32 = 4;

const NAMES: [&str; 8] = ["a", "b", "d", "d/a", "d/b", "d-a", "e/f/a", "e/f/b"];
const SIZES: [usize; 4] = [0, 1, 600, 3000];

/// An edit of the context.
#[derive(Debug, Clone)]
enum Edit {
    Write {
        name: usize,
        size: usize,
        byte: u8,
    },
    Append {
        name: usize,
        byte: u8,
    },
    /// Other content of the same size, and the old time of modification.
    Rewrite {
        name: usize,
        byte: u8,
    },
    Touch {
        name: usize,
        restore: bool,
    },
    /// Another file, with the old one's time of modification, takes the name.
    Replace {
        name: usize,
        byte: u8,
    },
    Rename {
        from: usize,
        to: usize,
    },
    Remove {
        name: usize,
    },
    Mode {
        name: usize,
        mode: u32,
    },
    Link {
        from: usize,
        to: usize,
    },
    Symlink {
        name: usize,
        target: u8,
    },
    Directory {
        name: usize,
    },
}

fn edit() -> impl Strategy<Value = Edit> {
    let name = || 0..NAMES.len();
    let byte = || 0..3_u8;
    prop_oneof![
        3 => (name(), 0..SIZES.len(), byte()).prop_map(|(name, size, byte)| Edit::Write { name, size, byte }),
        1 => (name(), byte()).prop_map(|(name, byte)| Edit::Append { name, byte }),
        4 => (name(), byte()).prop_map(|(name, byte)| Edit::Rewrite { name, byte }),
        1 => (name(), any::<bool>()).prop_map(|(name, restore)| Edit::Touch { name, restore }),
        2 => (name(), byte()).prop_map(|(name, byte)| Edit::Replace { name, byte }),
        1 => (name(), name()).prop_map(|(from, to)| Edit::Rename { from, to }),
        1 => name().prop_map(|name| Edit::Remove { name }),
        1 => (name(), 0..3_u32).prop_map(|(name, mode)| Edit::Mode { name, mode: 0o600 + mode }),
        1 => (name(), name()).prop_map(|(from, to)| Edit::Link { from, to }),
        1 => (name(), byte()).prop_map(|(name, target)| Edit::Symlink { name, target }),
        1 => name().prop_map(|name| Edit::Directory { name }),
    ]
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file)?.modified().ok()
}

fn set_modified(path: &Path, time: SystemTime) {
    fs::File::options().write(true).open(path).expect("there").set_modified(time).expect("set");
}

/// An edit, what follows at once after a build (the file it was about gets other content of the same size and the
/// old time), and whether the clock goes on before the next build.
type Step = (Edit, Option<u8>, bool);

fn step() -> impl Strategy<Value = Step> {
    (edit(), proptest::option::weighted(0.3, 3..6_u8), proptest::bool::weighted(0.3))
}

impl Edit {
    /// Which name it is about.
    fn name(&self) -> usize {
        match *self {
            Self::Write { name, .. }
            | Self::Append { name, .. }
            | Self::Rewrite { name, .. }
            | Self::Touch { name, .. }
            | Self::Replace { name, .. }
            | Self::Remove { name }
            | Self::Mode { name, .. }
            | Self::Symlink { name, .. }
            | Self::Directory { name } => name,
            Self::Rename { to, .. } | Self::Link { to, .. } => to,
        }
    }

    /// Does it where the tree allows it: what cannot be done is no edit.
    fn apply(&self, root: &Path) {
        let path = |name: usize| -> PathBuf { root.join(NAMES[name]) };
        let _ = match *self {
            Self::Write { name, size, byte } => {
                let _ = fs::create_dir_all(path(name).parent().expect("inside"));
                if path(name).is_symlink() { Ok(()) } else { fs::write(path(name), vec![byte; SIZES[size]]) }
            }
            Self::Append { name, byte } => {
                let file = fs::File::options().append(true).open(path(name));
                file.and_then(|mut file| std::io::Write::write_all(&mut file, &[byte]))
            }
            Self::Rewrite { name, byte } => modified(&path(name)).map_or(Ok(()), |time| {
                let size = fs::read(path(name))?.len();
                fs::write(path(name), vec![byte; size])?;
                set_modified(&path(name), time);
                Ok(())
            }),
            Self::Touch { name, restore } => modified(&path(name)).map_or(Ok(()), |time| {
                set_modified(&path(name), if restore { time } else { SystemTime::now() });
                Ok(())
            }),
            Self::Replace { name, byte } => modified(&path(name)).map_or(Ok(()), |time| {
                let new = root.join("new");
                fs::write(&new, vec![byte; fs::read(path(name))?.len()])?;
                set_modified(&new, time);
                fs::rename(&new, path(name))
            }),
            Self::Rename { from, to } => fs::rename(path(from), path(to)),
            Self::Remove { name } => fs::remove_file(path(name)).or_else(|_| fs::remove_dir_all(path(name))),
            Self::Mode { name, mode } if modified(&path(name)).is_some() => {
                fs::set_permissions(path(name), Permissions::from_mode(mode))
            }
            Self::Mode { .. } => Ok(()),
            Self::Link { from, to } => fs::hard_link(path(from), path(to)),
            Self::Symlink { name, target } => {
                let _ = fs::remove_file(path(name));
                symlink(format!("target-{target}"), path(name))
            }
            Self::Directory { name } => fs::create_dir_all(path(name)),
        };
    }
}

/// Plays a script; answers how many layers came from the cache.
fn play(bench: &Bench, clean: &ImageStore, script: &[Step]) -> Result<usize, TestCaseError> {
    let _ = fs::remove_dir_all(bench.context());
    fs::create_dir(bench.context()).expect("made");
    for (name, content) in NAMES.iter().zip(1_u8..) {
        // Those that are directories, or below a file, are left out.
        let path = bench.context().join(name);
        let _ = fs::create_dir_all(path.parent().expect("inside"));
        let _ = fs::write(path, vec![content; 700]);
    }
    let compression = Compression::new(Format::None, None).expect("no level");
    let config = BuildConfig { layers: Layers::AtMost(3), compression, ..bench.cached() };
    let without = BuildConfig { cache: None, ..config.clone() };
    let mut reused = 0;
    for (edit, at_once, wait) in script {
        edit.apply(&bench.context());
        if let Some(byte) = *at_once {
            bench.build(&config).expect("built");
            Edit::Rewrite { name: edit.name(), byte }.apply(&bench.context());
        }
        if *wait {
            settle(&bench.context());
        }
        let outcome = bench.build(&config).expect("built");
        let expected = build(&without, clean, &Silent, &Interrupt::default()).expect("built");
        prop_assert_eq!(outcome.document.digest(), expected.document.digest(), "after {:?}", (edit, at_once));
        reused += outcome.layers.iter().filter(|layer| layer.reused).count();
    }
    Ok(reused)
}

#[test]
fn the_image_from_the_cache_is_the_image_from_the_files() {
    let reused = AtomicUsize::new(0);
    let script = || proptest::collection::vec(step(), 1..5);
    let some = || {
        let bench = Bench::new();
        // Nothing here is to outlive the test: where there is memory to write to, the disk is not waited for.
        let stores = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory");
        let open = |name: &str| ImageStore::open(&stores.path().join(name)).expect("a new store");
        let (clean, bench) = (open("clean"), Bench { store: open("images"), ..bench });
        let config = Config { cases: CASES / THREADS, failure_persistence: None, ..Config::default() };
        let played = TestRunner::new(config).run(&script(), |script| {
            reused.fetch_add(play(&bench, &clean, &script)?, Ordering::Relaxed);
            Ok(())
        });
        played.unwrap_or_else(|failure| panic!("{failure}"));
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(some);
        }
    });
    // Otherwise all of it would say nothing.
    assert!(reused.into_inner() > CASES as usize / 4, "hardly a layer was reused");
}
