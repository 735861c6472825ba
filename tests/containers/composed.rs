//! Images of several sources, unpacked by those who read them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use idpbuilder_oci::image::{ContainerConfig, Digest};
use idpbuilder_oci::ops::build::{
    self, ArchiveInput, ArchiveSource, BuildConfig, ContextSource, CopySource, Sources, Stream,
};
use idpbuilder_oci::progress::{Interrupt, Silent};

use super::images::{Sandbox, config_of};
use super::programs::run;
use super::trees::{Node, assert_same, plant, snapshot};

/// What a file is once its tree is in a directory.
fn below(place: &str, node: &Node) -> Node {
    let mut node = node.clone();
    if let Node::File { first, .. } = &mut node {
        *first = Path::new(place).join(&*first);
    }
    node
}

#[test]
#[ignore = "needs umoci; bin/test runs it"]
fn umoci_unpacks_what_was_composed() {
    let sandbox = Sandbox::new();
    let root = sandbox.path("tree");
    std::fs::create_dir(&root).expect("created");
    plant(&root);
    let file = sandbox.path("own");
    std::fs::write(&file, "own\n").expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).expect("mode set");
    // GNU tar packs the same tree, with a file that has holes.
    std::fs::File::create(root.join("holes")).and_then(|file| file.set_len(1 << 20)).expect("created");
    std::fs::set_permissions(root.join("holes"), std::fs::Permissions::from_mode(0o644)).expect("mode set");
    let tree = snapshot(&root);
    let copy = |path: PathBuf, destination: &str, mode| CopySource {
        path,
        destination: destination.into(),
        owner: None,
        mode,
    };
    for format in ["gnu", "posix"] {
        let archive =
            run(Command::new("tar").arg("-C").arg(&root).args(["--sparse", "--format", format, "-czf", "-", "."]));
        let stream = |bytes: &[u8]| ArchiveInput::Stream(Stream::new(std::io::Cursor::new(bytes.to_vec())));
        let config = BuildConfig {
            sources: Sources {
                context: ContextSource::Archive(stream(&archive)),
                copies: vec![
                    copy(root.clone(), "/again", None),
                    copy(file.clone(), "/d/", Some(0o600)),
                    copy(file.clone(), "/file", None),
                ],
                archives: vec![ArchiveSource {
                    input: stream(&archive),
                    destination: "/empty/tar".into(),
                    keep: true,
                    owner: None,
                    mode: None,
                }],
            },
            ..config_of(&root, ContainerConfig::default(), &[format])
        };
        build::build(&config, &sandbox.store, &Silent, &Interrupt::default()).expect("built");
        let bundle = sandbox.path(&format!("bundle-{format}"));
        let image = format!("{}:{format}:latest", sandbox.store.root().display());
        run(Command::new("umoci").args(["unpack", "--rootless", "--image", &image]).arg(&bundle));
        let unpacked = snapshot(&bundle.join("rootfs"));
        let own = |mode, path: &str| Node::File { mode, size: 4, content: Digest::of(b"own\n"), first: path.into() };
        let mut expected = tree.clone();
        for place in ["again", "empty/tar"] {
            expected.insert(place.into(), Node::Directory { mode: 0o755 });
            expected.extend(tree.iter().map(|(path, node)| (Path::new(place).join(path), below(place, node))));
        }
        expected.insert("d/own".into(), own(0o600, "d/own"));
        expected.insert("file".into(), own(0o640, "file"));
        // The other name of what was there has it alone now.
        if let Some(Node::File { first, .. }) = expected.get_mut(Path::new("zz-hard")) {
            *first = "zz-hard".into();
        }
        assert_same(&unpacked, &expected);
        std::fs::remove_dir_all(&bundle).expect("removed");
    }
}
