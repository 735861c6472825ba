use std::os::unix::fs::{PermissionsExt as _, symlink};

use proptest::prelude::*;

use super::*;

const HOSTS: [&str; 2] = ["gitea.cnoe.localtest.me:8443", "cnoe.localtest.me:8443"];
const DOCKER: &str = "{\n\t\"auths\": {\n\t\t\"reg.example\": {\n\t\t\t\"auth\": \"aHVudGVyMg==\"\n\t\t}\n\t},\n\t\"credsStore\": \
                      \"pass\"\n}";

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, content: &str) -> PathBuf {
        let path = self.at(name);
        std::fs::create_dir_all(parent(&path)).expect("made");
        std::fs::write(&path, content).expect("written");
        path
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.at(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn docker(&self) -> Place {
        Place { reader: Reader::Docker, path: self.at("docker/config.json") }
    }

    fn podman(&self) -> Place {
        Place { reader: Reader::Podman, path: self.at("config/containers/auth.json") }
    }

    fn program(&self) -> PathBuf {
        self.at("idpbuilder")
    }

    fn plan(&self, hosts: &[&str], force: bool) -> Result<Plan, CredHelperError> {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        plan_install(&self.program(), &[self.docker(), self.podman()], &hosts, force)
    }

    fn install(&self, hosts: &[&str]) -> Vec<Change> {
        self.carried_out(&self.plan(hosts, false).expect("planned"))
    }

    fn plan_uninstall(&self, readers: &[Reader]) -> Result<Plan, CredHelperError> {
        let places = [self.docker(), self.podman()];
        let asked: Vec<Place> = places.into_iter().filter(|place| readers.contains(&place.reader)).collect();
        plan_uninstall(&self.program(), readers, &asked)
    }

    fn uninstall(&self) -> Vec<Change> {
        self.carried_out(&self.plan_uninstall(&[Reader::Docker, Reader::Podman]).expect("planned"))
    }

    fn carried_out(&self, plan: &Plan) -> Vec<Change> {
        plan.carry_out(&self.program()).expect("carried out");
        plan.steps().iter().map(|step| step.change).collect()
    }

    /// Everything that is there, the program's directory excepted.
    fn tree(&self) -> Vec<(PathBuf, u32, Vec<u8>)> {
        let mut found = Vec::new();
        let mut pending = vec![self.0.path().to_owned()];
        while let Some(directory) = pending.pop() {
            for entry in std::fs::read_dir(directory).expect("listed") {
                let path = entry.expect("an entry").path();
                let metadata = path.symlink_metadata().expect("there");
                let content = if metadata.is_symlink() {
                    std::fs::read_link(&path).expect("read").into_os_string().into_encoded_bytes()
                } else if metadata.is_dir() {
                    if path != self.program() {
                        pending.push(path.clone());
                    }
                    continue;
                } else {
                    std::fs::read(&path).expect("read")
                };
                found.push((path, metadata.permissions().mode(), content));
            }
        }
        found.sort();
        found
    }
}

#[test]
fn what_is_installed_is_uninstalled_byte_for_byte() {
    for docker in
        [None, Some(""), Some("{}"), Some(DOCKER), Some("{\"credHelpers\":{\"a\":\"ecr-login\"}}\n"), Some(" \r\n")]
    {
        let home = Home::new();
        if let Some(content) = docker {
            let path = home.put("docker/config.json", content);
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o640)).expect("mode");
        }
        let before = home.tree();
        let first = if docker.is_none() { Change::Create } else { Change::Write };
        assert_eq!(home.install(&HOSTS), [first, Change::Create]);
        for host in HOSTS {
            for file in ["docker/config.json", "config/containers/auth.json"] {
                let value: serde_json::Value = serde_json::from_str(&home.text(file)).expect("JSON");
                assert_eq!(value["credHelpers"][host], "idpbuilder", "{docker:?} {file}");
            }
        }
        let mode = |name: &str| home.at(name).metadata().expect("there").permissions().mode() & 0o777;
        assert_eq!(mode("config/containers/auth.json"), 0o600);
        let installed = home.tree();
        assert_eq!(home.install(&HOSTS), [Change::Keep; 2], "once more changes nothing");
        assert_eq!(home.tree(), installed);
        // A cluster at another port later; there is still one change to take back.
        home.install(&[HOSTS[0], "gitea.cnoe.localtest.me:443"]);
        assert!(home.text("docker/config.json").contains("me:443"));
        assert_eq!(wired(&home.program()).expect("read").len(), 2);
        let back = if docker.is_none() { Change::Remove } else { Change::Write };
        assert_eq!(home.uninstall(), [back, Change::Remove]);
        assert_eq!(home.tree(), before, "{docker:?}");
        assert!(!home.at("config").exists(), "directories that were made for it");
        assert!(!home.at("idpbuilder/wiring.json").exists());
        assert_eq!(home.uninstall(), [], "once more changes nothing");
    }
}

#[test]
fn what_others_changed_since_stays() {
    let home = Home::new();
    home.put("docker/config.json", DOCKER);
    home.install(&HOSTS);
    let mut value: serde_json::Value = serde_json::from_str(&home.text("docker/config.json")).expect("JSON");
    value["auths"]["new.example"] = serde_json::json!({"auth": "bmV3"});
    value["credHelpers"]["other.example"] = "gcloud".into();
    value["credHelpers"][HOSTS[1]] = "mine".into();
    let rewritten = serde_json::to_string_pretty(&value).expect("JSON");
    home.put("docker/config.json", &rewritten);
    home.put(
        "config/containers/auth.json",
        "{\"auths\":{\"x\":{}},\"credHelpers\":{\"gitea.cnoe.localtest.me:8443\":\"idpbuilder\"}}",
    );
    // Ours are found again, and added to.
    let plan = home.plan(&[HOSTS[0], "new:1"], false).expect("planned");
    let registries: Vec<_> = plan.steps().iter().map(|step| step.registries.clone()).collect();
    assert_eq!(registries, [["new:1"], ["new:1"]]);
    home.carried_out(&plan);
    assert_eq!(home.uninstall(), [Change::Write, Change::Write]);
    let mut expected = value.clone();
    expected["credHelpers"].as_object_mut().expect("an object").remove(HOSTS[0]);
    let after: serde_json::Value = serde_json::from_str(&home.text("docker/config.json")).expect("JSON");
    assert_eq!(after, expected);
    assert_eq!(home.text("config/containers/auth.json"), "{\"auths\":{\"x\":{}}}");
}

#[test]
fn a_file_of_ours_that_others_use_is_kept() {
    let home = Home::new();
    home.install(&HOSTS);
    std::fs::remove_file(home.at("docker/config.json")).expect("removed");
    let mut value: serde_json::Value = serde_json::from_str(&home.text("config/containers/auth.json")).expect("JSON");
    value["auths"] = serde_json::json!({});
    home.put("config/containers/auth.json", &value.to_string());
    assert_eq!(home.uninstall(), [Change::Write]);
    assert_eq!(home.text("config/containers/auth.json"), "{\"auths\":{}}");
    // A file that its user emptied equals the one that was created.
    home.install(&HOSTS);
    home.put("docker/config.json", " { } ");
    home.put("config/containers/auth.json", "{\"auths\":{}}");
    assert_eq!(home.uninstall(), [Change::Remove]);
}

#[test]
fn helpers_of_others_are_replaced_by_force_alone_and_come_back() {
    let home = Home::new();
    let content = "{ \"credHelpers\": { \"gitea.cnoe.localtest.me:8443\": \"pass\", \"x\": \"y\" } }\n";
    home.put("docker/config.json", content);
    let error = home.plan(&HOSTS, false).expect_err("another helper");
    assert!(matches!(&error, CredHelperError::Foreign(foreign) if foreign.len() == 1 && foreign[0].helper == "pass"));
    assert!(error.to_string().starts_with("left alone what was there: \"pass\" for gitea.cnoe.localtest.me:8443 in `"));
    assert!(!home.program().exists() && !home.at("config").exists(), "nothing was changed");
    home.carried_out(&home.plan(&HOSTS, true).expect("forced"));
    assert!(home.text("docker/config.json").contains("8443\": \"idpbuilder\", \"x\": \"y\", \"cnoe"));
    assert_eq!(home.install(&HOSTS), [Change::Keep; 2], "ours by now");
    // Both ways to uninstall: restoring the former bytes, and editing the changed file.
    let installed = home.text("docker/config.json");
    let record = home.text("idpbuilder/wiring.json");
    home.uninstall();
    assert_eq!(home.text("docker/config.json"), content);
    home.put("docker/config.json", &installed.replace("\"y\"", "\"z\""));
    home.put("idpbuilder/wiring.json", &record);
    home.uninstall();
    assert_eq!(home.text("docker/config.json"), content.replace("\"y\"", "\"z\""));
}

#[test]
fn a_link_stays_and_a_shared_file_is_changed_once() {
    let home = Home::new();
    let real = home.put("dotfiles/docker.json", DOCKER);
    for directory in ["docker", "config/containers"] {
        std::fs::create_dir_all(home.at(directory)).expect("made");
    }
    symlink("../dotfiles/docker.json", home.at("docker/config.json")).expect("linked");
    symlink(&real, home.at("config/containers/auth.json")).expect("linked");
    let before = home.tree();
    assert_eq!(home.install(&HOSTS), [Change::Write]);
    assert!(home.at("docker/config.json").is_symlink() && home.at("config/containers/auth.json").is_symlink());
    assert!(home.text("dotfiles/docker.json").contains("idpbuilder"));
    let docker = home.plan_uninstall(&[Reader::Docker]).expect("planned");
    assert_eq!(home.carried_out(&docker), [], "podman still reads it");
    assert!(home.text("dotfiles/docker.json").contains("idpbuilder"));
    let podman = home.plan_uninstall(&[Reader::Podman]).expect("planned");
    assert_eq!(home.carried_out(&podman), [Change::Write]);
    assert_eq!(home.tree(), before);
}

#[test]
fn without_a_record_our_helper_is_removed_from_where_it_is_found() {
    let home = Home::new();
    home.put("docker/config.json", "{\"credHelpers\":{\"a:1\":\"idpbuilder\",\"b\":\"x\",\"c:2\":\"idpbuilder\"}}");
    assert_eq!(home.uninstall(), [Change::Write]);
    assert_eq!(home.text("docker/config.json"), "{\"credHelpers\":{\"b\":\"x\"}}");
    // The user named our helper before the installation, so uninstalling leaves it.
    let before = "{\"credHelpers\":{\"gitea.cnoe.localtest.me:8443\":\"idpbuilder\"}}";
    home.put("docker/config.json", before);
    home.install(&HOSTS);
    home.uninstall();
    assert_eq!(home.text("docker/config.json"), before);
}

#[test]
fn mistakes_change_nothing() {
    let home = Home::new();
    home.put("config/containers/auth.json", "{\n  \"auths\": hunter2\n}");
    let error = home.plan(&HOSTS, true).expect_err("not JSON");
    let path = home.at("config/containers/auth.json");
    assert_eq!(error.to_string(), format!("`{}` is not valid JSON (line 2, column 12)", path.display()));
    assert!(!format!("{error:?}").contains("hunter2"));
    assert!(!home.at("docker").exists() && !home.program().exists());
    assert!(matches!(home.plan_uninstall(&[Reader::Podman]), Err(CredHelperError::Content { line: 2, .. })));
    home.plan_uninstall(&[Reader::Docker]).expect("the other one is not looked at");

    home.put("idpbuilder/wiring.json", "{}");
    assert!(matches!(home.plan(&HOSTS, true), Err(CredHelperError::Record(_))));
}

#[test]
fn what_was_planned_is_not_carried_out_on_something_else() {
    let home = Home::new();
    home.put("docker/config.json", DOCKER);
    let plan = home.plan(&HOSTS, false).expect("planned");
    let shown = format!("{plan:?}");
    assert!(!shown.contains("aHVudGVyMg"), "{shown}");
    assert!(plan.steps().iter().all(|step| step.diff.contains("+\t\t\"cnoe.localtest.me:8443\": \"idpbuilder\"")));
    assert!(!plan.steps()[0].diff.contains("aHVudGVyMg"), "{}", plan.steps()[0].diff);
    home.put("docker/config.json", "{}");
    let error = plan.carry_out(&home.program()).expect_err("changed");
    assert!(matches!(error, CredHelperError::Changed(path) if path == home.at("docker/config.json")));
    assert_eq!(home.text("docker/config.json"), "{}");
    assert!(!home.at("config").exists());
    let plan = home.plan(&HOSTS, false).expect("planned");
    home.install(&["other:1"]);
    assert!(
        matches!(plan.carry_out(&home.program()), Err(CredHelperError::Changed(path)) if path.ends_with("wiring.json"))
    );
    assert!(!home.text("idpbuilder/wiring.json").contains("aHVudGVyMg"), "no content of others is kept");
}

#[test]
fn what_others_named_before_is_not_taken_back() {
    let home = Home::new();
    let text = r#"{"credHelpers": {"own:1": "idpbuilder"}}"#;
    home.put("docker/config.json", text);
    home.plan(&["own:1"], false).expect("planned").carry_out(&home.program()).expect("carried out");
    home.uninstall();
    assert_eq!(home.text("docker/config.json"), text);
}

#[test]
fn a_crash_between_record_and_file_loses_nothing() {
    let home = Home::new();
    home.put("docker/config.json", DOCKER);
    home.install(&HOSTS);
    let record = home.text("idpbuilder/wiring.json");
    // Recorded and not written: there is nothing to take back.
    home.put("docker/config.json", DOCKER);
    std::fs::remove_dir_all(home.at("config")).expect("removed");
    assert_eq!(home.uninstall(), []);
    assert_eq!(home.text("docker/config.json"), DOCKER);
    // Installed again after that.
    home.put("idpbuilder/wiring.json", &record);
    assert_eq!(home.install(&HOSTS), [Change::Write, Change::Create]);
    home.uninstall();
    assert_eq!(home.text("docker/config.json"), DOCKER);
    assert!(!home.at("config").exists());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_object_comes_back(
        members in prop::collection::btree_map("[a-zé\"]{0,5}", "\\PC{0,6}", 0..4),
        helpers in prop::option::of(prop::collection::btree_map("[a-c]:[0-9]", "[a-z]{0,3}|idpbuilder", 0..4)),
        pretty: bool,
        end in "\n{0,2}",
        hosts in prop::collection::vec("[a-c]:[0-9]", 1..4),
    ) {
        let mut value = serde_json::json!(members);
        if let Some(helpers) = helpers {
            value["credHelpers"] = serde_json::json!(helpers);
        }
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let text = text.expect("JSON") + &end;
        let home = Home::new();
        home.put("docker/config.json", &text);
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        for some in [&hosts[..1], &hosts[..]] {
            let plan = home.plan(some, true).expect("planned");
            home.carried_out(&plan);
        }
        home.uninstall();
        prop_assert_eq!(home.text("docker/config.json"), text);
    }
}
