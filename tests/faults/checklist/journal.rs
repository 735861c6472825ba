//! The journal of uploads holds addresses at the registry alone: an address elsewhere lets in by itself.

use std::path::PathBuf;

use idpbuilder_oci::ops::push::PushConfig;
use idpbuilder_oci::registry::RetryPolicy;

use crate::lab::invariants;
use crate::lab::profile;
use crate::lab::record::Site;
use crate::lab::script::{Answer, Fault, Lie, Nth, On, Op, Rule, always};
use crate::lab::serve::Setup;
use crate::pushing::{MIB, Pushing};

/// A push that ends at its third chunk, and keeps what the next one can go on with.
async fn ended(more: Option<Rule>) -> Pushing {
    let busy = Rule { on: On::Op(Op::Patch), nth: Nth::From(3), fault: Fault::Refuse(Answer::of(503)) };
    let setup = Setup::of(profile::PLAIN).script(more.into_iter().chain([busy]));
    let pushing = Pushing::of(setup, &[6 * MIB]).in_chunks_of(MIB);
    pushing.push_with(once(&pushing)).await.expect_err("busy");
    pushing
}

fn once(pushing: &Pushing) -> PushConfig {
    PushConfig { retry: RetryPolicy::NEVER, ..pushing.config() }
}

fn entries(pushing: &Pushing) -> Vec<(PathBuf, String)> {
    let files = std::fs::read_dir(pushing.state.path().join("uploads")).expect("a journal");
    let paths = files.map(|file| file.expect("listed").path());
    let entries = paths.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
    entries.map(|path| (path.clone(), std::fs::read_to_string(path).expect("read"))).collect()
}

#[tokio::test]
async fn an_address_elsewhere_is_not_written_down() {
    let pushing = ended(Some(always(Op::Open, Fault::Lie(Lie::LocationElsewhere)))).await;
    assert!(pushing.lab.seen().iter().any(|exchange| exchange.site == Site::Elsewhere && exchange.op == Op::Patch));
    assert_eq!(entries(&pushing), Vec::new());
}

#[tokio::test]
async fn an_entry_beyond_the_end_of_its_blob_is_not_believed() {
    let pushing = ended(None).await;
    let [(path, text)] = &entries(&pushing)[..] else { panic!("one entry") };
    let mut record: serde_json::Value = serde_json::from_str(text).expect("JSON");
    record["offset"] = (7 * MIB).into();
    std::fs::write(path, record.to_string()).expect("written");
    pushing.lab.registry().playing.lock().expect("unpoisoned").clear();
    pushing.push().await.expect("pushed");
    assert_eq!(invariants::stored(&pushing.lab, "team/app", "v1", &pushing.image), Vec::<String>::new());
}

#[tokio::test]
async fn an_entry_that_points_elsewhere_is_not_followed() {
    let pushing = ended(None).await;
    let [(path, text)] = &entries(&pushing)[..] else { panic!("one entry") };
    let [own, elsewhere] = pushing.lab.registry().bases.clone();
    let turned = text.replace(&own, &elsewhere);
    assert_ne!(&turned, text, "it holds the address of its session");
    std::fs::write(path, turned).expect("written");
    // Another laboratory would not know the session: the same one goes on, without its script.
    pushing.lab.registry().playing.lock().expect("unpoisoned").clear();
    pushing.push().await.expect("pushed");
    assert_eq!(invariants::stored(&pushing.lab, "team/app", "v1", &pushing.image), Vec::<String>::new());
    let strayed = pushing.lab.seen().into_iter().filter(|exchange| exchange.site == Site::Elsewhere);
    assert_eq!(strayed.map(|exchange| exchange.target).collect::<Vec<_>>(), Vec::<String>::new());
}
