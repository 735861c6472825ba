//! Tags that a registry keeps in lower case.

use crate::fixture::TestStore;
use crate::lab::profile;
use crate::lab::serve::Setup;
use crate::pushing::{KIB, Pushing};

#[tokio::test]
async fn a_tag_that_replaces_its_lower_case_form_is_told() {
    for (profile, folds) in [(profile::GITEA_1_24_3, true), (profile::DISTRIBUTION_2_8, false)] {
        let pushing = Pushing::of(Setup::of(profile), &[KIB]);
        pushing.push().await.expect("pushed as v1");
        let first = pushing.image.digest();
        let name = format!("{}/team/app:V1", pushing.lab.host());
        // The same image: nothing is lost.
        let (result, told) = pushing.push_told(pushing.config_to(&[&name])).await;
        result.expect("pushed as V1");
        assert_eq!(told, Vec::<String>::new(), "{}", profile.name);
        let other = TestStore::new();
        let image = other.image("app", &[vec![7; 9000]]);
        let pushing = Pushing { local: other, image, ..pushing };
        let (result, told) = pushing.push_told(pushing.config_to(&[&name])).await;
        result.expect("pushed as V1");
        let expected =
            format!("warning: the registry keeps tags in lower case: `V1` replaced `v1`, which stood for {first}");
        assert_eq!(told, if folds { vec![expected] } else { Vec::new() }, "{}", profile.name);
    }
}
