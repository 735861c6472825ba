//! What decides a layer's bytes, without reading a file.

use crate::context::{Entry, Kind};
use crate::image::{Digest, Hasher};
use crate::layer::overlay::placement::Item;
use crate::layer::{Attributes, Compression, Format, LayerPlan};

/// Another number for every change of this program, or of a library, that gives a layer other bytes.
const FORMAT: u32 = 4;

/// Bytes that are hashed at a time.
const CHUNK_BYTES: usize = 32 << 10;

/// Returns a digest of everything that the bytes of a planned layer depend on; equal ones mean equal layers.
///
/// For what a file contains stand its device, inode, size and times: content does not change without the time of change
/// doing so. `user` is the user who reads the files, since permissions may differ for others.
pub fn fingerprint(plan: &LayerPlan<'_>, compression: Compression, user: u32) -> Digest {
    let mut text = Text::default();
    text.bytes(b"layer");
    text.number(u64::from(FORMAT));
    text.bytes(env!("CARGO_PKG_VERSION").as_bytes());
    text.number(match compression.format() {
        Format::Gzip => 1,
        Format::Zstd => 2,
        Format::None => 3,
    });
    text.number(u64::from(compression.level()));
    text.number(plan.style.owner.uid);
    text.number(plan.style.owner.gid);
    text.number(plan.style.modified);
    text.number(plan.style.mode.map_or(u64::MAX, u64::from));
    text.number(u64::from(user));
    let Ok(()) = plan.placement.each::<std::convert::Infallible>(plan.entries, |name, item| {
        text.bytes(name);
        match item {
            Item::Parent(attributes) => text.parent(attributes),
            Item::Entry(entry) => text.entry(entry),
        }
        Ok(())
    });
    text.hasher.update(&text.pending);
    text.hasher.finish().0
}

/// What is hashed: numbers of a fixed length, texts after theirs, so that no two inputs are the same text.
#[derive(Default)]
struct Text {
    hasher: Hasher,
    pending: Vec<u8>,
}

impl Text {
    fn number(&mut self, number: u64) {
        self.pending.extend(number.to_be_bytes());
    }

    fn time(&mut self, (seconds, nanoseconds): (i64, i64)) {
        self.pending.extend(seconds.to_be_bytes());
        self.pending.extend(nanoseconds.to_be_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.pending.extend(bytes);
        if self.pending.len() >= CHUNK_BYTES {
            self.hasher.update(&self.pending);
            self.pending.clear();
        }
    }

    fn parent(&mut self, attributes: Attributes) {
        let Attributes { mode, owner, modified } = attributes;
        for number in [u64::from(mode), 4, owner.uid, owner.gid, modified] {
            self.number(number);
        }
    }

    fn entry(&mut self, entry: &Entry) {
        self.number(u64::from(entry.mode));
        match &entry.kind {
            Kind::Directory => self.number(1),
            Kind::Symlink { target } => {
                self.number(2);
                self.bytes(target);
            }
            Kind::File { stamp, links } => {
                self.number(3);
                // Which names are the same file follows from the identities, where that is looked at.
                self.number(u64::from(*links > 1));
                self.number(stamp.identity.0);
                self.number(stamp.identity.1);
                self.number(stamp.size);
                self.time(stamp.modified);
                self.time(stamp.changed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::{Context, Stamp};
    use crate::layer::{Destination, LowerEntry, LowerTree, Owner, Placement, Style};

    fn file(path: &str, stamp: Stamp) -> Entry {
        Entry { path: path.as_bytes().into(), mode: 0o644, kind: Kind::File { stamp, links: 1 } }
    }

    fn stamp() -> Stamp {
        Stamp { identity: (1, 2), size: 3, modified: (100, 5), changed: (200, 7) }
    }

    #[test]
    fn everything_that_shows_in_a_layer_shows_in_its_fingerprint() {
        let dir = tempfile::tempdir().expect("a directory");
        let context = Context::open(dir.path()).expect("there");
        let over = |below: &LowerTree, entries: &[Entry], destination: &Destination, style: Style| {
            let mut placement = Placement::new(destination, style, below).expect("lands");
            placement.follow(entries, below).expect("lands");
            let entries: Vec<Entry> = entries.to_vec();
            let context = &context;
            move |compression: Compression, user: u32| {
                let entries: Vec<&Entry> = entries.iter().collect();
                fingerprint(&LayerPlan { context, entries: &entries, placement: &placement, style }, compression, user)
            }
        };
        let at = |entries: &[Entry], destination: &Destination, style: Style, compression: Compression, user: u32| {
            over(&LowerTree::default(), entries, destination, style)(compression, user)
        };
        let of = |entries: &[Entry], destination: &str, style: Style, compression: Compression, user: u32| {
            at(entries, &Destination::parse(destination).expect("valid"), style, compression, user)
        };
        let plain = |entries: &[Entry]| of(entries, "/", Style::default(), Compression::default(), 0);
        let base = [file("a", stamp()), file("b", stamp())];
        let mut seen = vec![plain(&base)];
        assert_eq!(plain(&base), seen[0]);
        let mut entries = |entry: Entry| seen.push(plain(&[entry, base[1].clone()]));
        entries(file("c", stamp()));
        entries(Entry { mode: 0o600, ..file("a", stamp()) });
        entries(Entry { kind: Kind::File { stamp: stamp(), links: 2 }, ..file("a", stamp()) });
        entries(Entry { kind: Kind::Directory, ..file("a", stamp()) });
        entries(Entry { kind: Kind::Symlink { target: (*b"x").into() }, ..file("a", stamp()) });
        entries(Entry { kind: Kind::Symlink { target: (*b"y").into() }, ..file("a", stamp()) });
        for stamp in [
            Stamp { identity: (9, 2), ..stamp() },
            Stamp { identity: (1, 9), ..stamp() },
            Stamp { size: 9, ..stamp() },
            Stamp { modified: (9, 5), ..stamp() },
            Stamp { modified: (100, 9), ..stamp() },
            Stamp { changed: (9, 7), ..stamp() },
            Stamp { changed: (200, 9), ..stamp() },
        ] {
            entries(file("a", stamp));
        }
        seen.push(plain(&[]));
        seen.push(plain(&base[..1]));
        let (style, compression) = (Style::default(), Compression::default());
        seen.push(of(&base, "/srv", style, compression, 0));
        seen.push(of(&base, "/", style, compression, 1));
        let below = |things: &[(&[u8], LowerEntry<'_>)]| {
            let mut below = LowerTree::default();
            for (path, thing) in things {
                below.put(path, *thing);
            }
            below
        };
        let attributes = Attributes { mode: 0o755, owner: Owner::default(), modified: 1 };
        for attributes in [
            attributes,
            Attributes { mode: 0o1777, ..attributes },
            Attributes { modified: 2, ..attributes },
            Attributes { owner: Owner { uid: 9, gid: 0 }, ..attributes },
            Attributes { owner: Owner { uid: 0, gid: 9 }, ..attributes },
        ] {
            let below = below(&[(b"srv", LowerEntry::Directory(attributes))]);
            seen.push(over(&below, &base, &Destination::parse("/srv").expect("valid"), style)(compression, 0));
        }
        let linked = below(&[(b"srv", LowerEntry::Link(b"opt"))]);
        seen.push(over(&linked, &base, &Destination::parse("/srv").expect("valid"), style)(compression, 0));
        let inside = [Entry { kind: Kind::Directory, ..file("srv", stamp()) }, file("srv/a", stamp())];
        seen.push(plain(&inside));
        let linked = below(&[(b"srv", LowerEntry::Link(b"opt")), (b"opt", LowerEntry::Directory(attributes))]);
        seen.push(over(&linked, &inside, &Destination::default(), style)(compression, 0));
        // A file of that name, or one in a directory of that name.
        seen.push(at(&base[..1], &Destination::parse_file("/srv", b"a").expect("valid"), style, compression, 0));
        seen.push(of(&base[..1], "/srv", style, compression, 0));
        seen.push(at(&base[..1], &Destination::parse_file("/srv/b", b"a").expect("valid"), style, compression, 0));
        seen.push(of(&base, "/", Style { modified: 9, ..style }, compression, 0));
        seen.push(of(&base, "/srv/x", style, compression, 0));
        for above in [Owner { uid: 9, gid: 0 }, Owner { uid: 0, gid: 9 }] {
            seen.push(of(&base, "/srv/x", Style { above: Some(above), ..style }, compression, 0));
        }
        for mode in [0, 0o600] {
            seen.push(of(&base, "/", Style { mode: Some(mode), ..style }, compression, 0));
        }
        seen.push(of(&base, "/", Style { owner: Owner { uid: 9, gid: 0 }, ..style }, compression, 0));
        seen.push(of(&base, "/", Style { owner: Owner { uid: 0, gid: 9 }, ..style }, compression, 0));
        for (format, level) in [(Format::Gzip, 6), (Format::Zstd, 1), (Format::Zstd, 6), (Format::None, 0)] {
            seen.push(of(&base, "/", style, Compression::new(format, Some(level)).expect("there"), 0));
        }
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count);
    }
    /// Returns what is hashed of texts and numbers in a row.
    fn hashed(texts: &[Vec<u8>]) -> Digest {
        let mut text = Text::default();
        for bytes in texts {
            text.bytes(bytes);
        }
        text.hasher.update(&text.pending);
        text.hasher.finish().0
    }

    #[test]
    fn where_a_text_ends_shows() {
        let texts = |texts: &[&[u8]]| hashed(&texts.iter().map(|text| text.to_vec()).collect::<Vec<_>>());
        assert_ne!(texts(&[b"ab", b"c"]), texts(&[b"a", b"bc"]));
        assert_ne!(texts(&[b"ab"]), texts(&[b"a", b"b"]));
        assert_ne!(texts(&[b"a", b""]), texts(&[b"a"]));
        let long = vec![0; CHUNK_BYTES + 1];
        assert_ne!(texts(&[&long[1..], b"x"]), texts(&[&long, b"x"]));
    }

    #[test]
    fn a_link_target_that_reads_like_the_next_entry_is_another_layer() {
        let dir = tempfile::tempdir().expect("a directory");
        let context = Context::open(dir.path()).expect("there");
        let link = |path: &str, target: &[u8]| Entry {
            path: path.as_bytes().into(),
            mode: 0o777,
            kind: Kind::Symlink { target: target.into() },
        };
        let of = |entries: &[Entry]| {
            let (below, style) = (LowerTree::default(), Style::default());
            let mut placement = Placement::new(&Destination::default(), style, &below).expect("lands");
            placement.follow(entries, &below).expect("lands");
            let entries: Vec<&Entry> = entries.iter().collect();
            let plan = LayerPlan { context: &context, entries: &entries, placement: &placement, style };
            fingerprint(&plan, Compression::default(), 0)
        };
        // What follows the first target if no length stands before a text.
        let mut rest = Text::default();
        rest.pending.extend(b"b");
        rest.number(0o777);
        rest.number(2);
        rest.pending.extend(b"y");
        let target = [b"x".as_slice(), &rest.pending].concat();
        assert_ne!(of(&[link("a", b"x"), link("b", b"y")]), of(&[link("a", &target)]));
        // Likewise if the length of the next text is known.
        let mut rest = Text::default();
        rest.bytes(b"b");
        rest.number(0o777);
        rest.number(2);
        rest.bytes(b"y");
        let target = [b"x".as_slice(), &rest.pending].concat();
        assert_ne!(of(&[link("a", b"x"), link("b", b"y")]), of(&[link("a", &target)]));
    }

    proptest::proptest! {
        #[test]
        fn other_texts_are_hashed_otherwise(
            one in proptest::collection::vec(proptest::collection::vec(0..2u8, 0..4), 0..4),
            other in proptest::collection::vec(proptest::collection::vec(0..2u8, 0..4), 0..4),
        ) {
            proptest::prop_assert_eq!(one == other, hashed(&one) == hashed(&other));
        }
    }
}
