//! A push that is much larger than what a link carries without a break: done by itself, next to nothing sent twice,
//! little memory used. Scaled down, unless the nightly part is asked for.

use std::fs::File;
use std::io::Read;
use std::process::Stdio;

use idpbuilder_oci::image::{Descriptor, Document, Hasher, Manifest, media_type};
use idpbuilder_oci::store::ImageStore;

use crate::killed::{Running, peak_memory};
use crate::lab::invariants;
use crate::lab::profile;
use crate::lab::proxy::{FaultProxy, Link};
use crate::lab::record::blob_bytes;
use crate::lab::script::{self, Break, Fault, Op};
use crate::lab::serve::{Lab, Setup};
use crate::pushing::MIB;
use crate::sandbox::Sandbox;
use crate::seed::rounds;

/// What a push may have in memory at its peak, whatever the size.
const MEMORY: u64 = 32 * MIB;

/// An image in the sandbox's store whose one layer is so many zeros: a file without blocks.
fn sparse(sandbox: &Sandbox, size: u64) -> Document {
    let store = ImageStore::open(&sandbox.store()).expect("a store");
    let lease = store.lease().expect("a lease");
    let mut hasher = Hasher::default();
    let mut zeros = std::io::repeat(0).take(size);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = zeros.read(&mut buffer).expect("zeros");
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
    }
    let (digest, _) = hasher.finish();
    File::create(store.blob_path(digest)).and_then(|file| file.set_len(size)).expect("a sparse file");
    let config =
        format!(r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["{digest}"]}}}}"#);
    let config = store.put(&lease, media_type::IMAGE_CONFIG, config.as_bytes()).expect("stored");
    let layer = Descriptor { digest, size, media_type: media_type::IMAGE_LAYER.to_owned(), ..config.clone() };
    let document = Document::from_manifest(Manifest::new(config, vec![layer], std::collections::BTreeMap::new()));
    store.put(&lease, media_type::IMAGE_MANIFEST, &document.bytes).expect("stored");
    store.publish(&lease, &document, &["app:v1".parse().expect("a name")], None).expect("published");
    document
}

struct Scale {
    size: u64,
    every: u64,
    /// Bytes that may be sent altogether.
    most: u64,
    chunk: &'static str,
    chunk_bytes: u64,
}

/// 3 GiB over a link that breaks every 200 MB, or the same thirty-two times smaller.
fn scale() -> Scale {
    if rounds(0, 1) == 1 {
        let (size, every) = (3 << 30, 200_000_000);
        Scale { size, every, most: (32 << 30) / 10, chunk: "8m", chunk_bytes: 8 * MIB }
    } else {
        Scale { size: 96 * MIB, every: 6_250_000, most: 1024 * MIB / 10, chunk: "256k", chunk_bytes: 256 << 10 }
    }
}

#[test]
fn a_link_that_breaks_again_and_again_carries_it_all() {
    let Scale { size, every, most, chunk, .. } = scale();
    let sandbox = Sandbox::new();
    let image = sparse(&sandbox, size);
    for profile in [profile::PLAIN, profile::DISTRIBUTION_3] {
        // Stopped when all is done, so that the process can be measured.
        let lab = Lab::start(Setup::of(profile).script([script::nth(Op::PutManifest, 2, Fault::Lost(Break::Stall))]));
        let proxy = FaultProxy::start(lab.address(), Link { every: Some(every), ..Link::default() });
        let name = format!("{}/team/app:v1", proxy.host());
        let words = ["idpbuilder-push", "app:v1", &name, "--plain-http", "--chunk-size", chunk];
        let mut command = sandbox.command(&words);
        let log = sandbox.work().join("push.log");
        let stderr = File::create(&log).expect("created");
        let running = Running(command.stdout(Stdio::null()).stderr(stderr).spawn().expect("it runs"));
        running.until(&log, || lab.registry().stopped() > 0);
        let peak = peak_memory(&running.0);
        drop(running);
        assert!(peak <= MEMORY, "{}: {peak} bytes of memory", profile.name);
        let seen = lab.seen();
        let sent = blob_bytes(&seen);
        assert!(sent <= most, "{}: {sent} bytes sent of {size}", profile.name);
        assert!(proxy.broken() >= size / every, "{} breaks", proxy.broken());
        assert_eq!(invariants::stored(&lab, "team/app", "v1", &image), Vec::<String>::new());
    }
}

#[test]
fn killed_half_way_the_next_sends_the_rest() {
    let Scale { size, chunk, chunk_bytes, .. } = scale();
    let sandbox = Sandbox::new();
    let image = sparse(&sandbox, size);
    // Gitea loses what is torn, so it is stopped between two chunks there.
    for profile in [profile::PLAIN, profile::GITEA_1_24_3] {
        let half = u32::try_from(size / chunk_bytes / 2).expect("not so many chunks");
        let lab = Lab::start(Setup::of(profile).script([script::nth(Op::Patch, half, Fault::Cut(0, Break::Stall))]));
        let name = format!("{}/team/app:v1", lab.host());
        let words = ["idpbuilder-push", "app:v1", &name, "--plain-http", "--chunk-size", chunk];
        let log = sandbox.work().join("push.log");
        let stderr = File::create(&log).expect("created");
        let running = Running(sandbox.command(&words).stdout(Stdio::null()).stderr(stderr).spawn().expect("it runs"));
        running.until(&log, || lab.registry().stopped() > 0);
        drop(running);
        let before = blob_bytes(&lab.seen());
        let output = sandbox.run(&words);
        let stderr = output.stderr.clone();
        let _ = output.success();
        assert_eq!(invariants::stored(&lab, "team/app", "v1", &image), Vec::<String>::new(), "{}", profile.name);
        let after = blob_bytes(&lab.seen()) - before;
        assert!(after <= size - before + chunk_bytes, "{}: {after} bytes after {before} of {size}", profile.name);
        assert!(stderr.contains("resumed from"), "{}: {stderr}", profile.name);
    }
}
