//! Layouts that a stranger filled: nothing outside is touched, and every request is answered.

use idpbuilder_oci::image::Digest;
use idpbuilder_oci::store::ImageStore;

use crate::support::{Image, Running, Setup};

/// A layout with an image `app:v1`, changed before it is served.
fn served(change: impl FnOnce(&std::path::Path)) -> Running {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path().join("images");
    let store = ImageStore::open(&root).expect("a store");
    Image::new("x").save(&store, "app:v1");
    change(&root);
    Running::over(directory, ImageStore::open(&root).expect("a store"), Setup::default())
}

#[test]
fn a_link_for_temporary_files_leads_nowhere() {
    let precious = tempfile::tempdir().expect("a directory");
    std::fs::write(precious.path().join("thesis"), "text").expect("written");
    let server = served(|root| {
        let _ = std::fs::remove_dir_all(root.join(".tmp"));
        std::os::unix::fs::symlink(precious.path(), root.join(".tmp")).expect("linked");
    });
    let digest = Digest::of(b"content");
    let answer = server.call("POST", &format!("/v2/app/blobs/uploads/?digest={digest}"), &[], b"content");
    assert!([201, 500].contains(&answer.status), "{answer:?}");
    server.get("/v2/app/manifests/v1").is(200);
    drop(server);
    let names: Vec<_> =
        std::fs::read_dir(precious.path()).expect("listed").map(|name| name.expect("a name").file_name()).collect();
    assert_eq!(names, ["thesis"]);
}

#[test]
fn blobs_that_are_no_files_are_not_waited_for() {
    let (pipe, device) = (Digest::of(b"pipe"), Digest::of(b"device"));
    let server = served(|root| {
        let blobs = root.join("blobs/sha256");
        let pipe = blobs.join(pipe.hex());
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("made");
        std::os::unix::fs::symlink("/dev/zero", blobs.join(device.hex())).expect("linked");
    });
    for digest in [pipe, device] {
        for path in [format!("/v2/app/blobs/{digest}"), format!("/v2/app/manifests/{digest}")] {
            let status = server.get(&path).status;
            assert!([404, 500].contains(&status), "{path}: {status}");
        }
        let mount = server.call("POST", &format!("/v2/app/blobs/uploads/?mount={digest}"), &[], b"");
        assert_ne!(mount.status, 201, "what cannot be read is not mounted");
    }
    server.get("/v2/app/manifests/v1").is(200);
}

#[test]
fn an_index_beyond_the_limit_is_refused() {
    let server = served(|_| {});
    let index = server.store.root().join("index.json");
    std::fs::OpenOptions::new().write(true).open(index).and_then(|file| file.set_len(1 << 40)).expect("grown");
    server.get("/v2/app/manifests/v1").refused(500, "UNKNOWN");
    server.get("/v2/_catalog").refused(500, "UNKNOWN");
    server.get("/v2/").is(200);
}
