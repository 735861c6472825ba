//! A stopped cluster and a missing helper: the cluster's registry is refused, and nobody else's.

use std::time::{Duration, Instant};

use crate::world::{World, unique};

/// Much more than the second that a stopped cluster may take, as often as any program asks.
const LIMIT: Duration = Duration::from_mins(1);

#[test]
#[ignore = "needs docker-registry, Podman, skopeo and a Docker Engine; bin/test runs it"]
fn a_stopped_cluster_is_no_login_and_nothing_worse() {
    let mut world = World::wired();
    let image = world.in_engine(&format!("{}/giteaadmin/{}:v1", world.cluster, unique()));
    world.run(&format!("docker push {}", image.0)).success();
    world.api = None;
    let begun = Instant::now();
    for refused in [
        world.run(&format!("docker push {}", image.0)),
        world.run(&format!("skopeo inspect docker://{}", image.0)),
        world.podman(&format!("pull {}", image.0)),
    ] {
        let told = format!("{}{}", refused.stdout, refused.stderr);
        assert_ne!(refused.code, Some(0), "{refused}");
        // Not found is no failure of the helper's: that is what they say where one is broken.
        assert!(!told.contains("getting credentials") && !told.contains("exit status"), "{refused}");
        let known = ["no basic auth credentials", "unauthorized", "authentication required"];
        assert!(known.iter().any(|text| told.contains(text)), "{refused}");
    }
    assert!(begun.elapsed() < LIMIT);
    world.others_still_work();
}

#[test]
#[ignore = "needs docker-registry, Podman, skopeo and a Docker Engine; bin/test runs it"]
fn a_missing_helper_breaks_nobody_elses_registry() {
    let world = World::wired();
    let before = world.files();
    std::fs::remove_file(world.sandbox.work().join("bin/docker-credential-idpbuilder")).expect("removed");
    let remote = format!("{}/giteaadmin/{}:v1", world.cluster, unique());
    for refused in
        [world.run(&format!("skopeo inspect docker://{remote}")), world.run(&format!("docker pull {remote}"))]
    {
        assert_ne!(refused.code, Some(0), "{refused}");
    }
    world.others_still_work();
    // Installing once more says so, and makes the link.
    world.install();
    assert_eq!(world.files(), before);
}
