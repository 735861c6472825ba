//! Logins that people type, kept and forgotten through the helper.

use crate::world::{TOKEN, USER, World, unique};

#[test]
#[ignore = "needs docker-registry, skopeo and a Docker Engine; bin/test runs it"]
fn docker_logs_in_and_out_through_the_helper() {
    let mut world = World::wired();
    let host = world.cluster.clone();
    // Without the cluster, whatever works is what was kept.
    world.api = None;
    let image = world.in_engine(&format!("{host}/giteaadmin/{}:v1", unique()));
    let push = format!("docker push {}", image.0);
    assert_ne!(world.run(&push).code, Some(0), "nobody knows a login");
    let login = format!("docker login {host} -u {USER} --password-stdin");
    assert_ne!(world.run_with_input(&login, "wrong").code, Some(0));
    world.run_with_input(&login, TOKEN).success();
    let listed = world.run("docker-credential-idpbuilder list").success();
    assert!(listed.contains(&format!("\"{host}\":\"{USER}\"")), "{listed}");
    let config = std::fs::read_to_string(world.sandbox.home().join(".docker/config.json")).expect("there");
    assert!(config.contains(&format!("\"{host}\": \"idpbuilder\"")), "{config}");
    world.run(&push).success();
    world.run(&format!("skopeo inspect docker://{}", image.0)).success();
    world.run(&format!("docker logout {host}")).success();
    assert_ne!(world.run(&push).code, Some(0), "the entry was erased");
    world.run(&format!("docker logout {host}")).success();
    // Docker wrote the file anew; our entry goes, theirs stay.
    world.uninstall();
    let config = std::fs::read_to_string(world.sandbox.home().join(".docker/config.json")).expect("there");
    let config: serde_json::Value = serde_json::from_str(&config).expect("JSON");
    assert!(config.get("credHelpers").is_none() && config["auths"].get(&world.other).is_some(), "{config}");
    world.others_still_work();
}

#[test]
#[ignore = "needs docker-registry, Podman and skopeo; bin/test runs it"]
fn podman_and_skopeo_log_in_and_out_through_the_helper() {
    let world = World::wired();
    let host = world.cluster.clone();
    let file = world.sandbox.home().join(".config/containers/auth.json").display().to_string();
    let before = world.files();
    for login in [
        format!("podman login --authfile {file} {host} -u {USER} --password-stdin"),
        format!("skopeo login --authfile {file} {host} -u {USER} --password-stdin"),
    ] {
        world.run_with_input(&login, TOKEN).success();
        assert!(world.run("docker-credential-idpbuilder list").success().contains(&host), "{login}");
        let program = login.split(' ').next().expect("a word");
        world.run(&format!("{program} logout --authfile {file} {host}")).success();
    }
    assert_eq!(world.files()[0], before[0], "nobody's secret was written to a file of theirs");
    let text = std::fs::read_to_string(file).expect("there");
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert!(value["auths"].get(&host).is_none(), "{text}");
}

#[test]
#[ignore = "needs docker-registry, Podman, skopeo and a Docker Engine; bin/test runs it"]
fn a_login_of_ours_is_theirs() {
    let mut world = World::wired();
    let host = world.cluster.clone();
    let login = format!("idpbuilder-login {host} -u {USER} --password-stdin");
    world.run_with_input(&login, TOKEN).success();
    world.api = None;
    let image = world.in_engine(&format!("{host}/giteaadmin/{}:v1", unique()));
    world.run(&format!("docker push {}", image.0)).success();
    world.podman(&format!("pull {}", image.0)).success();
    world.run("idpbuilder-logout --all").success();
    assert_ne!(world.podman(&format!("pull {}", image.0)).code, Some(0), "it was forgotten");
}
