//! Images of several layers.

use std::collections::BTreeSet;

use super::*;

/// Files of about 1 MiB in all, of sizes between nothing and 100 KiB, in some directories.
pub(super) fn many(root: &Path) -> Vec<PathBuf> {
    let mut state = 7_u64;
    let files: Vec<PathBuf> = (0..60).map(|number| root.join(format!("d{}/f{number}", number % 7))).collect();
    for path in &files {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let size = usize::try_from((state >> 40) % (1 << (state >> 60).max(7))).expect("small");
        fs::create_dir_all(path.parent().expect("inside")).expect("made");
        fs::write(path, vec![state.to_be_bytes()[7]; size]).expect("written");
    }
    fs::create_dir_all(root.join("d3/empty")).expect("made");
    files
}

fn digests(outcome: &BuildOutcome) -> Vec<Digest> {
    outcome.layers.iter().map(|layer| layer.descriptor.digest).collect()
}

#[test]
fn layers_hold_the_tree_between_them_and_are_listed_base_first() {
    let bench = Bench::new();
    let files = many(&bench.context());
    let whole = bench.build(&bench.config()).expect("built");
    let names = |outcome: &BuildOutcome| -> BTreeSet<String> { bench.names(outcome).into_iter().collect() };
    let mut counts = BTreeSet::new();
    for most in [1, 2, 5, 32] {
        let config = BuildConfig { layers: Layers::AtMost(most), ..bench.config() };
        let outcome = bench.build(&config).expect("built");
        let count = outcome.layers.len();
        assert!((1..=usize::from(most)).contains(&count), "{count} of {most}");
        counts.insert(count);
        assert_eq!(names(&outcome), names(&whole));
        assert_eq!((outcome.files, outcome.context_bytes), (files.len() as u64, whole.context_bytes));
        let image = bench.store.image("app", &outcome.document.descriptor, None).expect("there");
        let blobs: Vec<Digest> = image.manifest.layers.iter().map(|layer| layer.digest).collect();
        assert_eq!(blobs, digests(&outcome));
        let diff_ids: Vec<Digest> = outcome.layers.iter().map(|layer| layer.diff_id).collect();
        assert_eq!(image.config.rootfs.diff_ids, diff_ids);
        assert_eq!(image.config.history.len(), count);
        let sizes: u64 = outcome.layers.iter().map(|layer| layer.descriptor.size).sum();
        let documents = outcome.document.descriptor.size + image.config_bytes.len() as u64;
        assert_eq!(outcome.size, sizes + documents);
        // Whichever thread packs which layer at which time.
        assert_eq!(bench.build(&config).expect("built").document.bytes, outcome.document.bytes);
    }
    assert!(counts.len() > 2 && counts.contains(&1), "{counts:?}");
    assert_eq!(whole.layers.len(), 1);
}

#[test]
fn an_edit_leaves_most_layers_as_they_are() {
    let bench = Bench::new();
    let files = many(&bench.context());
    let config = BuildConfig { layers: Layers::AtMost(16), ..bench.config() };
    let before = digests(&bench.build(&config).expect("built"));
    assert!(before.len() > 3, "{}", before.len());
    let content = fs::read(&files[20]).expect("read");
    fs::write(&files[20], content.iter().map(|byte| !byte).collect::<Vec<_>>()).expect("written");
    let after = digests(&bench.build(&config).expect("built"));
    assert_eq!(after.len(), before.len());
    assert_eq!(before.iter().zip(&after).filter(|(before, after)| before != after).count(), 1);
}

#[test]
fn a_large_context_becomes_several_layers_by_itself() {
    let bench = Bench::new();
    for number in 0..10 {
        let file = fs::File::create(bench.context().join(format!("f{number}"))).expect("made");
        file.set_len(4 << 20).expect("a file system with holes");
    }
    let heard = Heard::default();
    let outcome = build(&bench.config(), &bench.store, &heard, &Interrupt::default()).expect("built");
    assert!((2..=10).contains(&outcome.layers.len()), "{}", outcome.layers.len());
    assert!(heard.lines("Begin")[0].contains(&format!("total: Some({})", 40 << 20)), "{:?}", heard.lines("Begin"));
    assert_eq!((heard.lines("Begin").len(), heard.lines("End").len()), (1, 1));
    let bytes = |line: &String| {
        let number = line.split("bytes: ").nth(1).expect("a number").trim_end_matches(" }");
        number.parse::<u64>().expect("a number")
    };
    assert_eq!(heard.lines("Advance").iter().map(bytes).sum::<u64>(), 40 << 20);
    let single = BuildConfig { layers: Layers::AtMost(1), ..bench.config() };
    assert_eq!(bench.build(&single).expect("built").layers.len(), 1);
}

#[test]
fn one_layer_that_fails_ends_the_others_and_is_the_reason() {
    let bench = Bench::new();
    let files = many(&bench.context());
    let config = BuildConfig { layers: Layers::AtMost(16), ..bench.config() };
    let remover = Remover(files[30].clone());
    let vanished = build(&config, &bench.store, &remover, &Interrupt::default());
    assert!(matches!(vanished, Err(BuildError::Layer(LayerError::Vanished { path })) if path == remover.0));
    assert!(bench.store.entries().expect("read").is_empty());
    assert_eq!(fs::read_dir(bench.store.root().join(".tmp")).expect("there").count(), 0);
    let interrupt = Interrupt::default();
    let stopped = build(&config, &bench.store, &Stop(interrupt.clone()), &interrupt);
    assert!(matches!(stopped, Err(BuildError::Interrupted)));
    assert_eq!(fs::read_dir(bench.store.root().join(".tmp")).expect("there").count(), 0);
}
