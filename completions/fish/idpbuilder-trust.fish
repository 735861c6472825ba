# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_idpbuilder_trust_global_optspecs
    string join \n h/help V/version
end

function __fish_idpbuilder_trust_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_idpbuilder_trust_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_idpbuilder_trust_using_subcommand
    set -l cmd (__fish_idpbuilder_trust_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_needs_command" -s V -l version -d 'Print version'
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_needs_command" -f -a "list" -d 'List the kept certificates'
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_needs_command" -f -a "show" -d 'Show who is trusted for HOST, what HOST shows now, and whether and why that is accepted'
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_needs_command" -f -a "add" -d 'Trust a certificate for HOST, in place of the one added before'
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_needs_command" -f -a "remove" -d 'Remove what was added for HOST'
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_needs_command" -f -a "install" -d 'Give what was added for HOST to other programs, or take it back'
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand list" -l format -d 'How to print' -r -f -a "table\t''
json\t''"
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand list" -l kubeconfig -d 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]' -r -F
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand list" -l context -d 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]' -r
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand list" -l cluster-name -d 'Name that idpbuilder gave the cluster: the context kind-NAME' -r
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand list" -l all -d 'All that is trusted: also what podman\'s and docker\'s directories and the cluster have, and how many roots the system has'
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand list" -s h -l help -d 'Print help'
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand show" -l format -d 'How to print' -r -f -a "table\t''
json\t''"
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand show" -l ca-file -d 'File with trusted certificates (PEM), as other commands take it' -r -F
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand show" -l cert-dir -d 'Directory with *.crt to trust and *.cert with *.key to show to the registry' -r -F
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand show" -l kubeconfig -d 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]' -r -F
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand show" -l context -d 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]' -r
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand show" -l cluster-name -d 'Name that idpbuilder gave the cluster: the context kind-NAME' -r
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand show" -s h -l help -d 'Print help'
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand add" -l fingerprint -d 'SHA-256 of the certificate\'s DER form; answers the question of --from-server' -r
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand add" -l kubeconfig -d 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]' -r -F
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand add" -l context -d 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]' -r
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand add" -l cluster-name -d 'Name that idpbuilder gave the cluster: the context kind-NAME' -r
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand add" -l from-server -d 'Trust the certificate that the registry shows now, after you compared its fingerprint'
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand add" -l from-cluster -d 'Trust the certificate that the cluster says its registry has'
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand add" -s h -l help -d 'Print help'
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand remove" -s h -l help -d 'Print help'
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand install" -l root -d 'Directory instead of / for what belongs to the system' -r -F
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand install" -l kubeconfig -d 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]' -r -F
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand install" -l context -d 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]' -r
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand install" -l cluster-name -d 'Name that idpbuilder gave the cluster: the context kind-NAME' -r
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand install" -l docker -d 'For the Docker daemon: /etc/docker/certs.d'
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand install" -l podman -d 'For this user\'s podman, skopeo and buildah: ~/.config/containers/certs.d'
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand install" -l containerd -d 'For containerd: /etc/containerd/certs.d, with a hosts.toml'
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand install" -l system -d 'For every program of this system, and then for every host that the certificate\'s key signs for; asks first'
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand install" -l undo -d 'Remove what install wrote; files that were changed since, or are not its own, stay'
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand install" -l dry-run -d 'Say what would be done and do nothing'
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand install" -s y -l yes -d 'Answer yes to questions'
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand install" -s h -l help -d 'Print help'
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand help; and not __fish_seen_subcommand_from list show add remove install help" -f -a "list" -d 'List the kept certificates'
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand help; and not __fish_seen_subcommand_from list show add remove install help" -f -a "show" -d 'Show who is trusted for HOST, what HOST shows now, and whether and why that is accepted'
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand help; and not __fish_seen_subcommand_from list show add remove install help" -f -a "add" -d 'Trust a certificate for HOST, in place of the one added before'
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand help; and not __fish_seen_subcommand_from list show add remove install help" -f -a "remove" -d 'Remove what was added for HOST'
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand help; and not __fish_seen_subcommand_from list show add remove install help" -f -a "install" -d 'Give what was added for HOST to other programs, or take it back'
complete -c idpbuilder-trust -n "__fish_idpbuilder_trust_using_subcommand help; and not __fish_seen_subcommand_from list show add remove install help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
