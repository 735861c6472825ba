//! What works after `install --docker --podman`, with no login typed anywhere.

use crate::world::{InEngine, World, unique};

#[test]
#[ignore = "needs docker-registry, Podman, skopeo and a Docker Engine; bin/test runs it"]
fn pushes_and_pulls_need_no_login() {
    let world = World::new();
    let before = world.files();
    let host = world.cluster.clone();
    let name = unique();
    let docker = world.in_engine(&format!("{host}/giteaadmin/{name}:docker"));
    let push = format!("docker push {}", docker.0);
    let refused = world.run(&push);
    assert_ne!(refused.code, Some(0), "the registry wants a login: {refused}");
    world.install();

    world.run(&push).success();
    world.run(&format!("docker image rm {0} && docker pull {0}", docker.0)).success();
    let remote = format!("{host}/giteaadmin/{name}");
    world.podman(&format!("pull {remote}:docker")).success();
    world.podman(&format!("push {remote}:docker {remote}:podman")).success();
    world.podman(&format!("pull {remote}:podman")).success();
    let skopeo = "skopeo --insecure-policy copy";
    world.run(&format!("{skopeo} docker://{remote}:podman dir:copy")).success();
    world.run(&format!("{skopeo} dir:copy docker://{remote}:skopeo")).success();
    let digest =
        |tag: &str| world.run(&format!("skopeo inspect --format {{{{.Digest}}}} docker://{remote}:{tag}")).success();
    assert_eq!(digest("skopeo"), digest("podman"));
    world.run(&format!("idpbuilder-pull {remote}:skopeo")).success();

    // What nobody stored can be erased, and the cluster's login is still there.
    world.run(&format!("echo {host} | docker-credential-idpbuilder erase")).success();
    world.run(&push).success();

    world.others_still_work();
    world.uninstall();
    assert_eq!(world.files(), before);
    let refused = world.run(&push);
    assert_ne!(refused.code, Some(0), "nothing is left of it: {refused}");
    world.others_still_work();
}

#[test]
#[ignore = "needs docker-registry, Podman, skopeo and a Docker Engine; bin/test runs it"]
fn a_login_of_a_cluster_before_is_not_in_the_way() {
    let world = World::new();
    let host = world.cluster.clone();
    let image = world.in_engine(&format!("{host}/giteaadmin/{}:v1", unique()));
    // "giteaAdmin:old", where each of them looks first.
    let stale = format!("{{\"auths\": {{\"{host}\": {{\"auth\": \"Z2l0ZWFBZG1pbjpvbGQ=\"}}}}}}");
    world.put(".docker/config.json", &stale);
    world.put("../run/containers/auth.json", &stale);
    let push = format!("docker push {}", image.0);
    let look = format!("skopeo inspect docker://{}", image.0);
    for refused in [world.run(&push), world.run(&look)] {
        assert_ne!(refused.code, Some(0), "{refused}");
    }
    world.install();
    world.run(&push).success();
    world.run(&look).success();
    world.podman(&format!("pull {}", image.0)).success();
    world.uninstall();
    for file in [".docker/config.json", "../run/containers/auth.json"] {
        assert_eq!(std::fs::read_to_string(world.sandbox.home().join(file)).expect("there"), stale);
    }
}

#[test]
#[ignore = "needs docker-registry and a Docker Engine; bin/test runs it"]
fn a_build_asks_every_helper_and_is_not_held_up() {
    let mut world = World::new();
    for helper in ["second", "third"] {
        world.helper(helper);
    }
    world.put(
        ".docker/config.json",
        "{\"credHelpers\": {\"second.example\": \"second\", \"third.example\": \"third\"}}",
    );
    let before = world.files();
    world.install();
    // A name that no cluster has either.
    world
        .sandbox
        .run(&["idpbuilder-oci", "install", "--dir", "bin", "--docker", "--registry", "fourth.example"])
        .success();
    let image = InEngine(unique());
    world.sandbox.file("context/Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    let build = format!("docker build -t {} context", image.0);
    world.run(&build).success();
    for helper in ["second", "third"] {
        let asked = std::fs::read_to_string(world.sandbox.work().join(helper)).expect("it was asked");
        assert!(asked.contains(&format!("get {helper}.example")), "{asked}");
    }
    // The cluster stops, and builds go on.
    world.api = None;
    world.run(&build).success();
    world.uninstall();
    assert_eq!(world.files(), before);
}
