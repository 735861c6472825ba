//! The test that each flag of another builder is one of ours or refused with advice, by the table of commands.

use std::collections::HashSet;

use clap::Error;

use super::applet::APPLETS;
use super::args::unsupported::{build, flags, refusal};
use super::failure::{Kind, Paint};

/// Flags of `docker build`, `docker buildx build`, `podman build` and `buildah build`, from their help and manuals:
/// those that this program has, and those that it refuses with advice.
const OF_BUILDERS: &[(&str, &str)] = &[
    (
        "docker build and docker buildx build",
        "--add-host --allow --annotation --attest --build-arg --build-context --builder --cache-from \
         --cache-to --call --cgroup-parent --check --compress --cpu-period --cpu-quota -c --cpu-shares \
         --cpuset-cpus --cpuset-mems -D --debug --disable-content-trust -f --file --force-rm --iidfile \
         --isolation --label --load -m --memory --memory-swap --metadata-file --network --no-cache \
         --no-cache-filter -o --output --platform --policy --print --progress --provenance --pull --push \
         -q --quiet --rm --sbom --secret --security-opt --shm-size --squash --ssh --stream -t --tag \
         --target --ulimit",
    ),
    (
        "podman build and buildah build",
        "--all-platforms --arch --authfile --build-arg-file --cache-ttl --cap-add --cap-drop --cert-dir \
         --cgroupns --compat-volumes --cpp-flag --created-annotation --creds --cw --decryption-key \
         --device --disable-compression --dns --dns-option --dns-search --env --force-compression \
         --format --from --group-add --hooks-dir --http-proxy --identity-label --ignorefile \
         --inherit-annotations --inherit-labels --ipc --jobs --layer-label --layers --log-rusage \
         --logfile --logsplit --loglevel --manifest --net --no-hostname --no-hosts --no-pivot \
         --omit-history --os --os-feature --os-version --pid --pull-always --pull-never --retry \
         --retry-delay --rewrite-timestamp --runtime --runtime-flag --rusage --rusage-logfile \
         --save-stages --sbom-image-output --sbom-image-purl-output --sbom-merge-strategy --sbom-output \
         --sbom-purl-output --sbom-scanner-command --sbom-scanner-image --sign-by --signature-policy \
         --skip-unused-stages --source-date-epoch --source-policy-file --squash-all --stage-labels \
         --stdin --timestamp --tls-verify --transient-mounts --unsetannotation --unsetenv --unsetlabel \
         --userns --userns-gid-map --userns-gid-map-group --userns-uid-map --userns-uid-map-user --uts \
         -v --variant --volume",
    ),
    ("kaniko's executor", "-d --destination --dockerfile --no-push --single-snapshot --reproducible"),
];

/// What the parser says of a command line.
fn parse(command: &str, words: &[&str]) -> Result<(), Error> {
    let applet = APPLETS.iter().find(|applet| applet.name == command).expect(command);
    let words = std::iter::once(command).chain(words.iter().copied());
    applet.command().try_get_matches_from(words).map(|_| ())
}

fn own_flags(command: &str) -> HashSet<String> {
    let applet = APPLETS.iter().find(|applet| applet.name == command).expect(command);
    let command = applet.command();
    let mut names = HashSet::new();
    for flag in command.get_arguments() {
        names.extend(flag.get_long_and_visible_aliases().into_iter().flatten().map(|long| format!("--{long}")));
        names.extend(flag.get_all_aliases().into_iter().flatten().map(|long| format!("--{long}")));
        names.extend(flag.get_short_and_visible_aliases().into_iter().flatten().map(|short| format!("-{short}")));
    }
    names
}

#[test]
fn every_flag_of_another_builder_is_known_or_refused_with_advice() {
    let own = own_flags("build");
    for name in OF_BUILDERS.iter().flat_map(|(_, flags)| flags.split_whitespace()) {
        let refused = build::FLAGS.iter().any(|flag| flag.names.contains(&name));
        assert!(refused != own.contains(name), "{name}: {}", if refused { "has both" } else { "has neither" });
    }
}

#[test]
fn what_is_refused_says_what_to_do_instead_however_it_is_written() {
    for command in ["build", "push", "pull", "tag", "list", "inspect", "rm", "save", "load"] {
        let own = own_flags(command);
        let mut seen = HashSet::new();
        for flag in flags(command) {
            for name in flag.names {
                assert!(!own.contains(*name) && seen.insert(*name), "{command} {name}");
                let attached = if name.starts_with("--") { format!("{name}=value") } else { format!("{name}value") };
                for words in [&[*name][..], &[*name, "value"], &[attached.as_str()]] {
                    let error = parse(command, words).expect_err("no such flag");
                    let failure = refusal(command, &error).unwrap_or_else(|| panic!("{command} {words:?}: {error}"));
                    let text = failure.render(Paint(false));
                    assert_eq!(failure.kind(), Kind::Usage, "{text}");
                    assert!(text.starts_with(&format!("error: {name} ")) && text.contains("\nhint: "), "{text}");
                    assert!(!text.contains("similar"), "{text}");
                }
            }
        }
        assert!(!seen.is_empty() || command == "load", "{command}");
    }
}

#[test]
fn a_flag_that_nobody_has_is_left_to_the_parser() {
    let error = parse("build", &["--no-such-flag"]).expect_err("no such flag");
    assert!(refusal("build", &error).is_none());
    let error = parse("build", &["--layers"]).expect_err("no value");
    assert!(refusal("build", &error).is_none());
}
