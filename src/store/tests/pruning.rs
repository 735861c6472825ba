//! Tests of removing, pruning and making room.

use super::*;

#[test]
fn removing_leaves_shared_blobs_and_pruning_takes_the_rest() {
    let (_dir, store) = open();
    let one = image(&store, b"shared", &["app:v1", "app:v2"]);
    let two = image(&store, b"other", &["other"]);
    let selection = store.resolve("app:v1").expect("there");
    assert_eq!(store.remove(&selection.entries).expect("removed").len(), 1);
    assert_eq!(store.prune().expect("pruned"), Pruned::default());
    store.tree(&one.descriptor).expect("still whole");
    store.remove(&store.resolve("app:v2").expect("there").entries).expect("removed");
    std::fs::write(store.path(TEMPORARY).join("blob-left"), "x").expect("a left-over");
    let pruned = store.prune().expect("pruned");
    assert_eq!(pruned.blobs, 3);
    assert!(pruned.bytes > 6);
    assert!(store.blob_size(one.digest()).expect("asked").is_none());
    store.tree(&two.descriptor).expect("untouched");
    assert!(!store.path(TEMPORARY).join("blob-left").exists());
}

#[test]
fn pruning_waits_for_those_who_write() {
    let (_dir, store) = open();
    let store = store.with_patience(Duration::from_millis(10));
    let lease = store.lease().expect("a lease");
    assert!(matches!(store.prune(), Err(StoreError::Lock(_))));
    drop(lease);
    store.prune().expect("the lease is free");
}

#[test]
fn pruning_stops_at_what_it_cannot_read() {
    let (_dir, store) = open();
    let one = image(&store, b"one", &["app"]);
    image(&store, b"two", &["other"]);
    store.remove(&store.resolve("other").expect("there").entries).expect("removed");
    let path = store.blob_path(one.digest());
    let size = std::fs::metadata(&path).expect("there").len();
    std::fs::write(&path, vec![b'x'; usize::try_from(size).expect("small")]).expect("damaged");
    let blobs = || std::fs::read_dir(store.blob_directory()).expect("listed").count();
    let before = blobs();
    assert!(matches!(store.prune(), Err(StoreError::BlobDigest { .. })));
    assert_eq!(blobs(), before);
}

#[test]
fn left_overs_of_killed_writers_are_swept() {
    let (_dir, store) = open();
    let left = store.path(TEMPORARY).join("blob-left");
    std::fs::write(&left, "x").expect("a left-over");
    let first = store.lease().expect("a lease");
    assert!(!left.exists());
    std::fs::write(&left, "x").expect("written");
    let _second = store.lease().expect("shared");
    assert!(left.exists(), "the first holder may be writing it");
    drop(first);
}

#[test]
fn an_empty_blob_that_is_needed_is_not_pruned() {
    let (_dir, store) = open();
    let one = image(&store, b"", &["app"]);
    assert_eq!(store.prune().expect("pruned"), Pruned::default());
    store.tree(&one.descriptor).expect("whole");
    store.remove(&store.entries().expect("entries")).expect("removed");
    assert_eq!(store.unreferenced().expect("counted").blobs, 3);
    assert_eq!(store.prune().expect("pruned").blobs, 3);
}

#[test]
fn what_would_be_pruned_is_counted() {
    let (_dir, store) = open();
    let one = image(&store, b"one", &["app"]);
    image(&store, b"other", &["other"]);
    assert_eq!(store.unreferenced().expect("counted"), Pruned::default());
    store.remove(&store.resolve("other").expect("there").entries).expect("removed");
    let counted = store.unreferenced().expect("counted");
    assert_eq!((counted.blobs, counted), (3, store.prune().expect("pruned")));
    store.tree(&one.descriptor).expect("untouched");
}

#[test]
fn a_full_disk_is_given_room_by_what_no_entry_needs_and_then_by_what_goes() {
    let (_dir, store) = open();
    let blobs = || store.blobs().and_then(Directory::names).expect("listed").len();
    let keep = image(&store, b"keep", &["keep"]);
    image(&store, b"goes", &["goes"]);
    image(&store, b"gone", &["gone"]);
    store.remove(&store.resolve("gone").expect("there").entries).expect("removed");
    std::fs::write(store.path(TEMPORARY).join("download-left"), "x").expect("a left-over");
    let doomed = store.resolve("goes").expect("there").entries;
    let mut seen = Vec::new();
    let mut attempt = |_: &[Entry]| {
        seen.push(blobs());
        match seen.len() {
            3 => store.remove_entries(&doomed),
            _ => Err(StoreError::io("write", store.root(), ErrorKind::StorageFull.into())),
        }
    };
    let removed = store.remove_making_room(&doomed, &mut attempt).expect("removed at last");
    assert_eq!((removed.len(), seen), (1, vec![9, 6, 3]));
    assert_eq!(std::fs::read_dir(store.path(TEMPORARY)).expect("listed").count(), 0);
    assert_eq!(names(&store), ["keep:latest"]);
    store.tree(&keep.descriptor).expect("untouched");
}

#[test]
fn room_is_made_for_a_full_disk_alone_and_never_beside_others() {
    let (_dir, store) = open();
    let store = store.with_patience(Duration::ZERO);
    image(&store, b"one", &["app"]);
    let doomed = store.entries().expect("entries");
    for (kind, others, tries) in [
        (ErrorKind::StorageFull, false, 3),
        (ErrorKind::QuotaExceeded, false, 3),
        (ErrorKind::FileTooLarge, false, 1),
        (ErrorKind::PermissionDenied, false, 1),
        (ErrorKind::StorageFull, true, 1),
    ] {
        image(&store, b"one", &["app"]);
        let lease = others.then(|| store.lease().expect("a lease"));
        let mut count = 0;
        let mut attempt = |_: &[Entry]| {
            count += 1;
            Err(StoreError::io("write", store.root(), kind.into()))
        };
        let error = store.remove_making_room(&doomed, &mut attempt).expect_err("no room");
        assert!(matches!(error, StoreError::Io { source, .. } if source.kind() == kind));
        assert_eq!(count, tries, "{kind:?}, others at work: {others}");
        assert_eq!(names(&store), ["app:latest"]);
        drop(lease);
    }
}

#[test]
fn pruning_forgets_nothing_where_it_cannot_know_what_is_needed() {
    let (_dir, store) = open();
    let kept = image(&store, b"kept", &["kept:v1"]);
    let lease = store.lease().expect("a lease");
    store.publish_in(&lease, &kept, "team/app", None, None).expect("kept by its digest");
    drop(lease);
    let damaged = image(&store, b"damaged", &["damaged:v1"]);
    std::fs::write(store.blob_path(damaged.digest()), "{}").expect("written");
    let before = store.entries().expect("entries");
    assert!(before.iter().any(|entry| entry.repository.as_deref() == Some("team/app")), "{before:?}");
    store.prune().expect_err("a manifest is damaged");
    assert_eq!(store.entries().expect("entries"), before);
}
