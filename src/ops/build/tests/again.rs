//! The second build of an image is like the first, unless what it is made of changed.

use super::*;

fn again(bench: &Bench, config: &BuildConfig, progress: &dyn Progress) -> BuildOutcome {
    let scratch = bench.store.scratch().expect("made");
    build_again(config, &bench.store, scratch.store(), progress, &Interrupt::default()).expect("built")
}

/// Edits a file when the first build has packed it.
struct Editor(PathBuf);
impl Progress for Editor {
    fn emit(&self, event: Event<'_>) {
        if let Event::End { .. } = event {
            fs::write(&self.0, "edited").expect("written");
        }
    }
}

#[test]
fn the_second_build_is_like_the_first() {
    let bench = Bench::new();
    for number in 0..40 {
        let path = bench.context().join(format!("d{}/f{number}", number % 4));
        fs::create_dir_all(path.parent().expect("inside")).expect("made");
        fs::write(path, "x".repeat(number * 5000)).expect("written");
    }
    for (most, format) in [(1, Format::Gzip), (8, Format::Gzip), (8, Format::Zstd), (3, Format::None)] {
        let compression = Compression::new(format, None).expect("a level");
        let config = BuildConfig { layers: Layers::AtMost(most), compression, ..bench.cached() };
        // The second time from what the cache has.
        for _ in 0..2 {
            let first = bench.build(&config).expect("built");
            let second = again(&bench, &config, &Silent);
            assert_eq!(second.document, first.document);
            assert!(second.layers.iter().all(|layer| !layer.reused), "{:?}", second.layers);
        }
    }
}

#[test]
fn the_store_stays_out_of_both_and_is_told_once() {
    let bench = Bench::new();
    fill(&bench.context(), false);
    let config = BuildConfig { context: bench.dir.path().to_owned(), ..bench.config() };
    let first = bench.build(&config).expect("built");
    let before = walk_files(bench.store.root());
    let heard = Heard::default();
    assert_eq!(again(&bench, &config, &heard).document, first.document);
    let told = |what: &str| heard.lines(what).len();
    assert_eq!((told("Warning"), told("End")), (0, 1), "{:?}", heard.lines(""));
    assert_eq!(walk_files(bench.store.root()), before, "nothing is left of the second build");
}

#[test]
fn what_changed_between_the_two_shows() {
    let bench = Bench::new();
    fill(&bench.context(), false);
    let editor = Editor(bench.context().join("empty"));
    let first = build(&bench.config(), &bench.store, &editor, &Interrupt::default()).expect("built");
    assert_ne!(again(&bench, &bench.config(), &Silent).document, first.document);
}
