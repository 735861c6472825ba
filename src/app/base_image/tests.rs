use super::*;

#[test]
fn dockers_own_registry_goes_unsaid() {
    let same = |one: &str, other: &str| is_same(&one.parse().expect(one), &other.parse().expect(other));
    for (one, other) in
        [("x/y:1", "docker.io/x/y:1"), ("y:1", "docker.io/library/y:1"), ("docker.io/y:1", "library/y:1"), ("y", "y")]
    {
        assert!(same(one, other) && same(other, one), "{one} {other}");
    }
    for (one, other) in [("x/y:1", "r.io/x/y:1"), ("x/y:1", "y:1"), ("y:1", "y:2"), ("r.io/library/y", "r.io/y")] {
        assert!(!same(one, other) && !same(other, one), "{one} {other}");
    }
}

#[test]
fn the_beginning_says_where_a_base_is() {
    for (text, expected) in [
        ("oci:dir", Place::Layout("dir", None)),
        ("oci:/a/b:app:v1", Place::Layout("/a/b", Some("app:v1"))),
        ("oci:dir:", Place::Layout("dir", None)),
        ("oci-archive:a.tar:v1", Place::Archive("a.tar", Some("v1"))),
        ("docker-archive:a.tar", Place::Archive("a.tar", None)),
        ("docker://r.io/a:1", Place::Registry("r.io/a:1")),
        ("oci", Place::Anywhere("oci")),
        ("localhost:5000/a", Place::Anywhere("localhost:5000/a")),
        ("docker:24", Place::Anywhere("docker:24")),
    ] {
        assert_eq!(Place::of(text), expected, "{text}");
    }
}
