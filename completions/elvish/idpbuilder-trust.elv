
use builtin;
use str;

set edit:completion:arg-completer[idpbuilder-trust] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'idpbuilder-trust'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'idpbuilder-trust'= {
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
            cand list 'List the kept certificates'
            cand show 'Show who is trusted for HOST, what HOST shows now, and whether and why that is accepted'
            cand add 'Trust a certificate for HOST, in place of the one added before'
            cand remove 'Remove what was added for HOST'
            cand install 'Give what was added for HOST to other programs, or take it back'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'idpbuilder-trust;list'= {
            cand --format 'How to print'
            cand --kubeconfig 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]'
            cand --context 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]'
            cand --cluster-name 'Name that idpbuilder gave the cluster: the context kind-NAME'
            cand --all 'All that is trusted: also what podman''s and docker''s directories and the cluster have, and how many roots the system has'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'idpbuilder-trust;show'= {
            cand --format 'How to print'
            cand --ca-file 'File with trusted certificates (PEM), as other commands take it'
            cand --cert-dir 'Directory with *.crt to trust and *.cert with *.key to show to the registry'
            cand --kubeconfig 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]'
            cand --context 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]'
            cand --cluster-name 'Name that idpbuilder gave the cluster: the context kind-NAME'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'idpbuilder-trust;add'= {
            cand --fingerprint 'SHA-256 of the certificate''s DER form; answers the question of --from-server'
            cand --kubeconfig 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]'
            cand --context 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]'
            cand --cluster-name 'Name that idpbuilder gave the cluster: the context kind-NAME'
            cand --from-server 'Trust the certificate that the registry shows now, after you compared its fingerprint'
            cand --from-cluster 'Trust the certificate that the cluster says its registry has'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'idpbuilder-trust;remove'= {
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'idpbuilder-trust;install'= {
            cand --root 'Directory instead of / for what belongs to the system'
            cand --kubeconfig 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]'
            cand --context 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]'
            cand --cluster-name 'Name that idpbuilder gave the cluster: the context kind-NAME'
            cand --docker 'For the Docker daemon: /etc/docker/certs.d'
            cand --podman 'For this user''s podman, skopeo and buildah: ~/.config/containers/certs.d'
            cand --containerd 'For containerd: /etc/containerd/certs.d, with a hosts.toml'
            cand --system 'For every program of this system, and then for every host that the certificate''s key signs for; asks first'
            cand --undo 'Remove what install wrote; files that were changed since, or are not its own, stay'
            cand --dry-run 'Say what would be done and do nothing'
            cand -y 'Answer yes to questions'
            cand --yes 'Answer yes to questions'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'idpbuilder-trust;help'= {
            cand list 'List the kept certificates'
            cand show 'Show who is trusted for HOST, what HOST shows now, and whether and why that is accepted'
            cand add 'Trust a certificate for HOST, in place of the one added before'
            cand remove 'Remove what was added for HOST'
            cand install 'Give what was added for HOST to other programs, or take it back'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'idpbuilder-trust;help;list'= {
        }
        &'idpbuilder-trust;help;show'= {
        }
        &'idpbuilder-trust;help;add'= {
        }
        &'idpbuilder-trust;help;remove'= {
        }
        &'idpbuilder-trust;help;install'= {
        }
        &'idpbuilder-trust;help;help'= {
        }
    ]
    $completions[$command]
}
