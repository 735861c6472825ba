//! Which image of an index is meant (image-spec, "Image Index").
//!
//! An entry may say its platform, or leave that to the configuration of its image; it may be another index, or something
//! that is no image at all. The choice is made here, without reading anything: it names the documents it needs, and the
//! caller, a store or a registry, gives them.

use std::collections::{BTreeSet, VecDeque};

use super::{Descriptor, Digest, Index, Platform, media_type};

/// Indexes may hold indexes this deep.
pub const MAX_NESTING: usize = 4;

/// The most documents that are read to find the platforms of images.
const MAX_READS: usize = 1000;

/// The annotation with which buildx marks what attests to an image.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";

/// What the document of an entry turned out to be.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "one exists at a time; boxing would only add indirection")]
pub enum Answer {
    /// An index, whose entries replace it.
    Index(Index),
    /// An image for the platform.
    Image(Platform),
    /// Neither: an artifact, or a missing document.
    Other,
}

/// Why no image of an index was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoChoice {
    /// No image fits the platform; the available platforms.
    Platform(Vec<Platform>),
    /// An index inside the index is too deep, or there are too many.
    Nesting(Digest),
}

/// An entry that has to be looked at.
#[derive(Debug)]
struct Entry {
    descriptor: Descriptor,
    depth: usize,
}

/// The search for the image of an index that suits a platform best; without a platform, for the first image.
///
/// Call [`Self::needed`] until it returns none, with one [`Self::answer`] for each document, then [`Self::choose`].
#[derive(Debug)]
pub struct Choice<'a> {
    wanted: Option<&'a Platform>,
    waiting: VecDeque<Entry>,
    /// Indexes that were entered: another entry for one of them has nothing new.
    seen: BTreeSet<Digest>,
    found: Vec<(Descriptor, Platform)>,
    /// Whether an entry that says its platform fits exactly, so that the others need not be read.
    has_exact: bool,
    too_deep: Option<Digest>,
    reads: usize,
    /// How deep the entry is that was asked for last, and what it is.
    asked: Option<Entry>,
}

impl<'a> Choice<'a> {
    /// Begins with the entries of an index.
    pub fn new(index: &Index, wanted: Option<&'a Platform>) -> Self {
        let is_exact = |entry: &Descriptor| {
            let platform = entry.platform.as_ref().filter(|_| media_type::is_manifest(&entry.media_type));
            wanted.is_some_and(|wanted| platform.and_then(|has| wanted.distance(has)) == Some(0))
        };
        let entries = index.manifests.iter().map(|entry| Entry { descriptor: entry.clone(), depth: 0 });
        Self {
            wanted,
            has_exact: index.manifests.iter().any(is_exact),
            waiting: entries.collect(),
            seen: BTreeSet::new(),
            found: Vec::new(),
            too_deep: None,
            reads: 0,
            asked: None,
        }
    }

    /// Returns the next manifest or index that has to be read; nothing when the choice can be made.
    pub fn needed(&mut self) -> Option<Descriptor> {
        while let Some(entry) = self.waiting.pop_front() {
            if self.wanted.is_none() && !self.found.is_empty() {
                return None;
            }
            if is_attestation(&entry.descriptor) {
                continue;
            }
            let is_index = media_type::is_index(&entry.descriptor.media_type);
            if !is_index && !media_type::is_manifest(&entry.descriptor.media_type) {
                continue;
            }
            if let Some(platform) = &entry.descriptor.platform {
                let fits = self.wanted.is_none_or(|wanted| wanted.accepts(platform));
                if !is_index || !fits {
                    self.found.push((entry.descriptor.clone(), platform.clone()));
                    continue;
                }
            } else if self.has_exact {
                continue;
            }
            if is_index && !self.seen.insert(entry.descriptor.digest) {
                continue;
            }
            if is_index && entry.depth == MAX_NESTING || self.reads == MAX_READS {
                self.too_deep.get_or_insert(entry.descriptor.digest);
                continue;
            }
            self.reads += 1;
            let descriptor = entry.descriptor.clone();
            self.asked = Some(entry);
            return Some(descriptor);
        }
        None
    }

    /// Takes what the document that was asked for last is.
    pub fn answer(&mut self, answer: Answer) {
        let Some(entry) = self.asked.take() else { return };
        match answer {
            Answer::Image(platform) if platform.os != "unknown" => self.found.push((entry.descriptor, platform)),
            Answer::Index(index) => {
                for child in index.manifests.into_iter().rev() {
                    self.waiting.push_front(Entry { descriptor: child, depth: entry.depth + 1 });
                }
            }
            Answer::Image(_) | Answer::Other => {}
        }
    }

    /// Returns the manifest of the image that suits best.
    pub fn choose(mut self) -> Result<Descriptor, NoChoice> {
        let platforms = || self.found.iter().map(|(_, platform)| platform);
        let best = match self.wanted {
            Some(wanted) => wanted.best(platforms()),
            None => (!self.found.is_empty()).then_some(0),
        };
        // An index in the list is one that does not fit.
        match (best, self.too_deep) {
            (Some(best), _) => Ok(self.found.swap_remove(best).0),
            (None, Some(digest)) => Err(NoChoice::Nesting(digest)),
            (None, None) => {
                let mut all: Vec<Platform> = Vec::new();
                for platform in platforms() {
                    if !all.contains(platform) {
                        all.push(platform.clone());
                    }
                }
                Err(NoChoice::Platform(all))
            }
        }
    }
}

/// Returns whether an entry attests to an image and is none.
pub fn is_attestation(entry: &Descriptor) -> bool {
    entry.annotation(REFERENCE_TYPE).is_some() || entry.platform.as_ref().is_some_and(|has| has.os == "unknown")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Documents by their media type and text; an entry is `TEXT`, or `TEXT@PLATFORM` where it says its platform.
    fn entry(text: &str) -> Descriptor {
        let (name, platform) = text.split_once('@').map_or((text, None), |(name, platform)| (name, Some(platform)));
        let media_type = match name.chars().next() {
            Some('i') => media_type::IMAGE_INDEX,
            Some('x') => "application/x",
            _ => media_type::IMAGE_MANIFEST,
        };
        let mut entry = Descriptor::of(media_type, name.as_bytes());
        entry.platform = platform.map(|text| text.parse().expect(text));
        entry
    }

    fn index(entries: &str) -> Index {
        Index { manifests: entries.split_whitespace().map(entry).collect(), ..Index::default() }
    }

    /// Returns what is chosen of the first index, and how many documents were read.
    fn choose(documents: &[(&str, &str)], wanted: &str) -> (Result<String, NoChoice>, usize) {
        let known: BTreeMap<Digest, (&str, &str)> =
            documents.iter().map(|(name, content)| (entry(name).digest, (*name, *content))).collect();
        let wanted = (!wanted.is_empty()).then(|| wanted.parse::<Platform>().expect(wanted));
        let mut choice = Choice::new(&index(documents[0].1), wanted.as_ref());
        let mut reads = 0;
        while let Some(needed) = choice.needed() {
            reads += 1;
            choice.answer(match known.get(&needed.digest) {
                Some((name, content)) if name.starts_with('i') => Answer::Index(index(content)),
                Some((_, "")) | None => Answer::Other,
                Some((_, content)) => Answer::Image(content.parse().expect(content)),
            });
        }
        let names: BTreeMap<Digest, String> = documents
            .iter()
            .flat_map(|(_, content)| content.split_whitespace())
            .map(|text| (entry(text).digest, text.split('@').next().unwrap_or_default().to_owned()))
            .collect();
        (choice.choose().map(|chosen| names[&chosen.digest].clone()), reads)
    }

    #[test]
    fn the_image_that_suits_best_is_chosen() {
        let documents = [
            ("i", "a@linux/amd64/v3 b@linux/amd64 c d@linux/arm/v6 i2 x@linux/s390x e@unknown/unknown"),
            ("c", "linux/arm64/v8"),
            ("i2", "f@linux/riscv64 g h i3@linux/ppc64le i4@linux/386"),
            ("g", "linux/s390x"),
            ("h", ""),
            ("i3", "j@linux/ppc64le"),
            ("i4", "k l@linux/386"),
            ("k", "linux/loong64"),
        ];
        for (wanted, chosen, reads) in [
            ("linux/amd64", "b", 0),
            // An index of 32-bit images may have something as well.
            ("linux/amd64/v2", "b", 6),
            ("linux/amd64/v4", "a", 6),
            ("linux/arm64", "c", 4),
            ("linux/arm/v7", "d", 4),
            ("linux/riscv64", "f", 4),
            ("linux/s390x", "g", 4),
            ("linux/ppc64le", "j", 5),
            ("linux/386", "l", 6),
            ("", "a", 0),
        ] {
            let (found, count) = choose(&documents, wanted);
            assert_eq!(found.as_deref(), Ok(chosen), "{wanted}");
            assert_eq!(count, reads, "{wanted}");
        }
        let (found, _) = choose(&documents, "linux/mips64");
        let Err(NoChoice::Platform(all)) = found else { panic!("{found:?}") };
        let all: Vec<String> = all.iter().map(ToString::to_string).collect();
        let expected =
            "linux/amd64/v3 linux/amd64 linux/arm64/v8 linux/arm/v6 linux/riscv64 linux/s390x linux/ppc64le linux/386";
        assert_eq!(all.join(" "), expected);
    }

    #[test]
    fn without_a_platform_the_first_image_is_meant() {
        for (documents, chosen) in [
            (&[("i", "e@unknown/unknown x a")][..], None),
            (&[("i", "e@unknown/unknown x a b"), ("b", "linux/arm64")], Some("b")),
            (&[("i", "a i2 b"), ("i2", "c"), ("c", "linux/arm64"), ("b", "linux/amd64")], Some("c")),
            (&[("i", "a"), ("a", "unknown/unknown")], None),
            (&[("i", "")], None),
        ] {
            assert_eq!(choose(documents, "").0.ok().as_deref(), chosen, "{documents:?}");
        }
    }

    #[test]
    fn nesting_ends_and_circles_are_entered_once() {
        let circle = [("i1", "i2 i1"), ("i2", "i1 i2")];
        assert_eq!(choose(&circle, "linux/amd64"), (Err(NoChoice::Platform(Vec::new())), 2));
        let deep = [("i0", "i1"), ("i1", "i2"), ("i2", "i3"), ("i3", "i4"), ("i4", "a@linux/amd64")];
        assert_eq!(choose(&deep, "linux/amd64").0.as_deref(), Ok("a"));
        let deeper = [("i", "i0"), deep[0], deep[1], deep[2], deep[3], deep[4]];
        assert_eq!(choose(&deeper, "").0, Err(NoChoice::Nesting(entry("i4").digest)));
        let many = (0..=MAX_READS).map(|number| format!("a{number}")).collect::<Vec<_>>().join(" ");
        let (found, reads) = choose(&[("i", &many)], "linux/amd64");
        assert!(matches!(found, Err(NoChoice::Nesting(_))), "{found:?}");
        assert_eq!(reads, MAX_READS);
    }
}
