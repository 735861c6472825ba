# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_idpbuilder_oci_global_optspecs
    string join \n list h/help V/version
end

function __fish_idpbuilder_oci_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_idpbuilder_oci_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_idpbuilder_oci_using_subcommand
    set -l cmd (__fish_idpbuilder_oci_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_needs_command" -l list -d 'List the applets, one a line'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_needs_command" -s V -l version -d 'Print version'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_needs_command" -f -a "build" -d 'Build an image from a directory'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_needs_command" -f -a "push" -d 'Push a stored image to a registry'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_needs_command" -f -a "pull" -d 'Pull an image from a registry into the local store'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_needs_command" -f -a "tag" -d 'Give further names to a stored image'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_needs_command" -f -a "list" -d 'List the images in the local store'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_needs_command" -f -a "inspect" -d 'Look inside a stored image'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_needs_command" -f -a "index" -d 'Make and change indexes: one name for an image each platform'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_needs_command" -f -a "rm" -d 'Remove images from the local store'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_needs_command" -f -a "save" -d 'Save images as one file'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_needs_command" -f -a "load" -d 'Load images from an archive into the local store'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_needs_command" -f -a "serve" -d 'Serve the local store as a registry'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_needs_command" -f -a "trust" -d 'Keep, show and remove the certificates that registries are trusted by'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_needs_command" -f -a "login" -d 'Keep a login for a registry, after the registry accepted it'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_needs_command" -f -a "logout" -d 'Forget the login for a registry'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_needs_command" -f -a "doctor" -d 'Check every step from here to a pushed image'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_needs_command" -f -a "credential" -d 'Answer docker, podman and skopeo who they are to a registry'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_needs_command" -f -a "install" -d 'Make a link for every applet, and have Docker and Podman ask our credential helper'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_needs_command" -f -a "uninstall" -d 'Remove the links that install made, and have Docker and Podman ask our credential helper no more'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_needs_command" -f -a "generate" -d 'Write shell completions and man pages'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l context -d 'The same as CONTEXT' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l context-for -d 'Directory to pack for one of several platforms, in place of CONTEXT; repeatable' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -s t -l tag -d 'Name of the image; repeatable' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l from -d 'Image to build on: a name of the local store or of a registry, oci:DIR[:NAME], oci-archive:FILE[:NAME], docker-archive:FILE[:NAME], or scratch' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l from-creds -d 'User name and password for the registry of BASE; without a password, IDPBUILDER_FROM_PASSWORD has it, or you are asked' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l rebase -d 'Put the own layers of a stored image, which stands in CONTEXT\'s place, on BASE: nothing is packed' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l old-base -d 'The base that the image has, where its annotation does not tell; scratch means none' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l label -d 'Label; repeatable' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l annotation -d 'Annotation of the manifest; repeatable' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l ignorefile -l exclude-file -d 'Ignore file to use instead of the context\'s own' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l exclude -d 'Further pattern to leave out, after those of the ignore file; repeatable' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l platform -d 'Platform the image says it is for, or several with commas between them, which make an index of an image each [default: Linux on this machine\'s architecture; environment: DOCKER_DEFAULT_PLATFORM]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l entrypoint -d 'Command that always runs: a JSON array, or words as a shell splits them; [] takes that of the base away' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l cmd -d 'Default arguments: a JSON array, or words as a shell splits them; [] takes those of the base away' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -s e -l env -d 'Environment variable; without a value it is taken from this environment; repeatable' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l user -d 'User and group the command runs as' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -s w -l workdir -d 'Directory the command starts in' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l expose -d 'Port the command listens on, or a range; repeatable' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l volume -d 'Path that holds data of its own; repeatable' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l stop-signal -d 'Signal that asks the container to stop' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l healthcheck-cmd -l health-cmd -d 'Command that tells whether the container is healthy: a JSON array, text for its shell, or none' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l healthcheck-interval -l health-interval -d 'Time between two checks, for example 30s or 1m30s' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l healthcheck-timeout -l health-timeout -d 'Longest time that a check may take' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l healthcheck-start-period -l health-start-period -d 'Time to start up, in which a check that fails does not count' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l healthcheck-start-interval -l health-start-interval -d 'Time between two checks while the container starts up' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l healthcheck-retries -l health-retries -d 'Checks that have to fail one after the other until the container is unhealthy' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l copy-to -d 'Where in the image the context lands' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l chown -d 'Owner of all files, as numbers' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l chmod -d 'Permissions of all files and directories alike, in octal, as docker\'s COPY --chmod' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l copy -d 'Further file, or the content of a directory, in layers over the context\'s; repeatable, later ones win. DEST is an absolute path of the image, through the links of the layers below: for a file its new name, or the directory if it is one or ends with a slash. A directory\'s own ignore file counts, --exclude and --ignorefile do not. Without CONTEXT there is no context then' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l add-tar -d 'Tar archive, plain or compressed with gzip or zstd, as a layer over all others; `-` is standard input; repeatable, later ones win. DEST is an absolute directory of the image. Entries get the owner and the time of all files, and --chmod\'s permissions, unless `keep` is given. Without CONTEXT there is no context then' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l layers -d 'Into how many layers: `auto`, `single`, or at most so many; auto is one for less than 32 MiB, else about twenty' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l compression-format -l compression -d 'How the layers are compressed' -r -f -a "gzip\t''
zstd\t''
none\t''"
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l compression-level -d 'How hard: 1 to 12 for gzip, 1 to 19 for zstd [default: 1 and 3]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l timestamp -l source-date-epoch -d 'Time of all files and of the image, in seconds since 1970 [default: 1980-01-01; environment: SOURCE_DATE_EPOCH]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l iidfile -d 'Write the image id to FILE' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l digestfile -l digest-file -d 'Write the manifest\'s digest to FILE' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l metadata-file -d 'Write name, id and digest as JSON to FILE' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l push -d 'Push the image while it is built, to DEST, a reference or a registry alone; repeatable [default of DEST: where the image\'s names say]. Without -t, the first reference is the image\'s name too' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l progress -d 'How to show progress on standard error' -r -f -a "auto\t'Bars on a terminal, lines elsewhere'
tty\t'Bars'
plain\t'One line for each step'
json\t'One JSON object a line'
none\t'Nothing but warnings'"
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l store -d 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l explain -d 'Say whether PATH of the context would go into the image and which rule decides; repeatable' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l sort -d 'Order of the list' -r -f -a "path\t'The bytes of the path'
size\t'The size, largest first'"
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l retry -d 'Times to try again without any progress between them' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l retry-delay -d 'Longest wait before the first of them; it doubles with each, up to 30s [default: 500ms]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l stall-timeout -d 'Give a connection up on which no byte moved for so long, while there were some to move [default: 60s]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l wait-for-registry -d 'Wait up to TIME for a registry that is away, 0 not at all [default: 2m, once it has answered]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l limit-rate -d 'Move no more than RATE bytes a second, either way, in all transfers together' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l limit-requests -d 'Send no more than N requests a second' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l trace -d 'Write every HTTP exchange into FILE as a line of JSON, without secrets' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l blobs-from -d 'Follow the registry to HOST for its blobs, even without TLS or at an internal address; no credential goes there, and every blob that is read is checked by its digest; repeatable' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l registry -d 'Registry to use for a reference without one; a scheme is accepted and dropped [environment: IDPBUILDER_REGISTRY]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -s u -l username -d 'User name' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -s p -l password -d 'Password or token; visible to other users of this machine, so prefer --password-stdin' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l creds -d 'User name and password in one, for the destination alone (without one, for the base)' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l authfile -d 'Credentials file of Docker\'s form, before Docker\'s and the containers tools\' own [environment: REGISTRY_AUTH_FILE]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l ca-file -d 'File with trusted certificates (PEM): authorities, or the registry\'s own self-signed certificate' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l cert-dir -d 'Directory with *.crt to trust and *.cert with *.key to show to the registry' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l insecure -d 'Do not verify the certificate of the registry, or of HOST alone (still TLS); asks first on a terminal' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l tls-verify -d '--tls-verify=false is the same as --insecure' -r -f -a "true\t''
false\t''"
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l timeout -d 'Longest wait for an answer of the registry [default: 10m]; a short one also limits the wait for a connection and for the next byte' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l kubeconfig -d 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l cluster-name -d 'Name that idpbuilder gave the cluster: the context kind-NAME' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l kube-context -d 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l no-dockerfile -d 'Pack a context as it is although there is a Dockerfile or Containerfile in its root; Dockerfiles are not built'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l pull -d 'Ask the registry for BASE even if the local store has it'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l no-healthcheck -d 'No health check, whatever the base has'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l no-cache -d 'Read every file again instead of taking layers from earlier builds'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l verify-reproducible -d 'Build the image a second time, from the files and in other conditions, and fail if it is another one'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -s q -l quiet -d 'Print the image id only; with --push, REPOSITORY@DIGEST'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -s v -l verbose -d 'Say more about each step'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l list-context -d 'List what of the context would go into the image, and tell what each rule keeps and leaves out'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l password-stdin -d 'Read the password from standard input'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -l plain-http -d 'Use http without TLS: everything can be read and changed on the way'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -s y -l yes -d 'Answer yes to questions'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand build" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -s j -l jobs -d 'Blobs to send at the same time' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -l chunk-size -d 'Send no more than this in one request, 64 KiB at least [default: what takes about 5s, up to 512 MiB]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -l wait -d 'Pull the image without a credential, every blob to its end, until that works, at most for TIME; nothing of it is kept [default of TIME: 60s]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -l format -d 'How to print what was done, or would be' -r -f -a "text\t'REPOSITORY@DIGEST a line; with --dry-run a line a blob'
json\t'An array with an object a destination'"
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -l digestfile -l digest-file -d 'Write the manifest\'s digest to FILE' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -l progress -d 'How to show progress on standard error' -r -f -a "auto\t'Bars on a terminal, lines elsewhere'
tty\t'Bars'
plain\t'One line for each step'
json\t'One JSON object a line'
none\t'Nothing but warnings'"
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -l store -d 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -l retry -d 'Times to try again without any progress between them' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -l retry-delay -d 'Longest wait before the first of them; it doubles with each, up to 30s [default: 500ms]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -l stall-timeout -d 'Give a connection up on which no byte moved for so long, while there were some to move [default: 60s]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -l wait-for-registry -d 'Wait up to TIME for a registry that is away, 0 not at all [default: 2m, once it has answered]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -l limit-rate -d 'Move no more than RATE bytes a second, either way, in all transfers together' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -l limit-requests -d 'Send no more than N requests a second' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -l trace -d 'Write every HTTP exchange into FILE as a line of JSON, without secrets' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -l blobs-from -d 'Follow the registry to HOST for its blobs, even without TLS or at an internal address; no credential goes there, and every blob that is read is checked by its digest; repeatable' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -l registry -d 'Registry to use for a reference without one; a scheme is accepted and dropped [environment: IDPBUILDER_REGISTRY]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -s u -l username -d 'User name' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -s p -l password -d 'Password or token; visible to other users of this machine, so prefer --password-stdin' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -l creds -d 'User name and password in one, for the destination alone (without one, for the base)' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -l authfile -d 'Credentials file of Docker\'s form, before Docker\'s and the containers tools\' own [environment: REGISTRY_AUTH_FILE]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -l ca-file -d 'File with trusted certificates (PEM): authorities, or the registry\'s own self-signed certificate' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -l cert-dir -d 'Directory with *.crt to trust and *.cert with *.key to show to the registry' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -l insecure -d 'Do not verify the certificate of the registry, or of HOST alone (still TLS); asks first on a terminal' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -l tls-verify -d '--tls-verify=false is the same as --insecure' -r -f -a "true\t''
false\t''"
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -l timeout -d 'Longest wait for an answer of the registry [default: 10m]; a short one also limits the wait for a connection and for the next byte' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -l kubeconfig -d 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -l context -d 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -l cluster-name -d 'Name that idpbuilder gave the cluster: the context kind-NAME' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -l verify -d 'Read everything back from the registry in the end and compare the digests'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -l dry-run -d 'Say what would be skipped, mounted and uploaded, and whether it would be permitted; send nothing'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -s q -l quiet -d 'Print REPOSITORY@DIGEST only'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -s v -l verbose -d 'Say more about each step'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -l password-stdin -d 'Read the password from standard input'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -l plain-http -d 'Use http without TLS: everything can be read and changed on the way'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -s y -l yes -d 'Answer yes to questions'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand push" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -s t -l tag -d 'Name in the local store [default: IMAGE]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -l platform -d 'Platform to take out of an index [default: Linux on this machine\'s architecture]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -s j -l jobs -d 'Blobs to fetch at the same time' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -l digestfile -l digest-file -d 'Write the manifest\'s digest to FILE' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -l progress -d 'How to show progress on standard error' -r -f -a "auto\t'Bars on a terminal, lines elsewhere'
tty\t'Bars'
plain\t'One line for each step'
json\t'One JSON object a line'
none\t'Nothing but warnings'"
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -l store -d 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -l retry -d 'Times to try again without any progress between them' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -l retry-delay -d 'Longest wait before the first of them; it doubles with each, up to 30s [default: 500ms]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -l stall-timeout -d 'Give a connection up on which no byte moved for so long, while there were some to move [default: 60s]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -l wait-for-registry -d 'Wait up to TIME for a registry that is away, 0 not at all [default: 2m, once it has answered]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -l limit-rate -d 'Move no more than RATE bytes a second, either way, in all transfers together' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -l limit-requests -d 'Send no more than N requests a second' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -l trace -d 'Write every HTTP exchange into FILE as a line of JSON, without secrets' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -l blobs-from -d 'Follow the registry to HOST for its blobs, even without TLS or at an internal address; no credential goes there, and every blob that is read is checked by its digest; repeatable' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -l registry -d 'Registry to use for a reference without one; a scheme is accepted and dropped [environment: IDPBUILDER_REGISTRY]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -s u -l username -d 'User name' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -s p -l password -d 'Password or token; visible to other users of this machine, so prefer --password-stdin' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -l creds -d 'User name and password in one, for the destination alone (without one, for the base)' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -l authfile -d 'Credentials file of Docker\'s form, before Docker\'s and the containers tools\' own [environment: REGISTRY_AUTH_FILE]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -l ca-file -d 'File with trusted certificates (PEM): authorities, or the registry\'s own self-signed certificate' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -l cert-dir -d 'Directory with *.crt to trust and *.cert with *.key to show to the registry' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -l insecure -d 'Do not verify the certificate of the registry, or of HOST alone (still TLS); asks first on a terminal' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -l tls-verify -d '--tls-verify=false is the same as --insecure' -r -f -a "true\t''
false\t''"
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -l timeout -d 'Longest wait for an answer of the registry [default: 10m]; a short one also limits the wait for a connection and for the next byte' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -l kubeconfig -d 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -l context -d 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -l cluster-name -d 'Name that idpbuilder gave the cluster: the context kind-NAME' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -l all-platforms -d 'Keep every platform of an index'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -l verify -d 'Read the blobs that the store has, also where their files did not change since they were written'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -s q -l quiet -d 'Print REPOSITORY@DIGEST only'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -s v -l verbose -d 'Say more about each step'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -l password-stdin -d 'Read the password from standard input'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -l plain-http -d 'Use http without TLS: everything can be read and changed on the way'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -s y -l yes -d 'Answer yes to questions'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand pull" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand tag" -l store -d 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand tag" -s q -l quiet -d 'Print nothing'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand tag" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand list" -l format -d 'table, json, yaml, a template, or `table` and a template' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand list" -s o -l output -d 'json, table or yaml' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand list" -s f -l filter -d 'reference=PATTERN, label=KEY[=VALUE] or dangling=true|false; all given must hold' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand list" -l store -d 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand list" -l digests -d 'Show digests'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand list" -l no-trunc -d 'Show ids and digests whole'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand list" -s q -l quiet -d 'Print ids only'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand inspect" -l diff -d 'Show how IMAGE differs from FIRST: paths, and fields of the configuration' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand inspect" -l layer -d 'Only files of this layer: its number (the first is 1), or the start of its digest' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand inspect" -l format -d 'table, json, yaml, a template, or `table` and a template' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand inspect" -s o -l output -d 'json, table or yaml' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand inspect" -l platform -d 'Platform to take out of an index' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand inspect" -l store -d 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand inspect" -l config -d 'Print the image configuration as it is stored'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand inspect" -l manifest -d 'Print the manifest as it is stored'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand inspect" -l history -d 'Show how the image came to be'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand inspect" -l layers -d 'Show the layers'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand inspect" -l files -d 'List the files in the layers'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand inspect" -l no-trunc -d 'Show digests whole'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand inspect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand index; and not __fish_seen_subcommand_from create add rm remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand index; and not __fish_seen_subcommand_from create add rm remove" -f -a "create" -d 'Make an index of images; of an IMAGE that is an index, all its images are taken'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand index; and not __fish_seen_subcommand_from create add rm remove" -f -a "add" -d 'Add images to an index, in place of those for the same platform'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand index; and not __fish_seen_subcommand_from create add rm remove" -f -a "rm" -d 'Remove images from an index; the store keeps them until it is pruned'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand index; and not __fish_seen_subcommand_from create add rm remove" -f -a "remove" -d 'Remove images from an index; the store keeps them until it is pruned'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand index; and __fish_seen_subcommand_from create" -l store -d 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand index; and __fish_seen_subcommand_from create" -s q -l quiet -d 'Print the digest only'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand index; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand index; and __fish_seen_subcommand_from add" -l store -d 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand index; and __fish_seen_subcommand_from add" -s q -l quiet -d 'Print the digest only'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand index; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand index; and __fish_seen_subcommand_from rm" -l store -d 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand index; and __fish_seen_subcommand_from rm" -s q -l quiet -d 'Print the digest only'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand index; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand index; and __fish_seen_subcommand_from remove" -l store -d 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand index; and __fish_seen_subcommand_from remove" -s q -l quiet -d 'Print the digest only'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand index; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand rm" -l lock-timeout -d 'Longest wait for other commands that use the store' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand rm" -l store -d 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand rm" -s f -l force -d 'Do not ask, do not mind images that are not there, and remove all that an id fits, under all names'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand rm" -s a -l all -d 'Remove every image'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand rm" -l prune -d 'Then free the space of everything that no name reaches'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand rm" -s q -l quiet -d 'Print nothing'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand rm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand save" -s o -l output -d 'File to write; - is standard output [default: standard output, when it is not a terminal]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand save" -l format -d 'Kind of archive' -r -f -a "docker-archive\t'What docker load reads'
oci-archive\t'An OCI image layout in a tar'"
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand save" -l platform -d 'Platform to take out of an index' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand save" -l progress -d 'How to show progress on standard error' -r -f -a "auto\t'Bars on a terminal, lines elsewhere'
tty\t'Bars'
plain\t'One line for each step'
json\t'One JSON object a line'
none\t'Nothing but warnings'"
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand save" -l store -d 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand save" -s q -l quiet -d 'Say nothing'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand save" -s v -l verbose -d 'Say more about each step'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand save" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand load" -s i -l input -d 'File or image layout (a directory) to read; - is standard input [default: standard input]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand load" -l platform -d 'Keep one image of each index, the one for this platform' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand load" -l progress -d 'How to show progress on standard error' -r -f -a "auto\t'Bars on a terminal, lines elsewhere'
tty\t'Bars'
plain\t'One line for each step'
json\t'One JSON object a line'
none\t'Nothing but warnings'"
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand load" -l store -d 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand load" -s q -l quiet -d 'Print names only'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand load" -s v -l verbose -d 'Say more about each step'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand load" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand serve" -l listen -d 'Address to listen on; port 0 takes a free one' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand serve" -l tls-name -d 'Further name in the self-signed certificate; repeatable' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand serve" -l tls-cert-out -d 'Write the self-signed certificate to FILE (PEM), for clients to trust' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand serve" -l tls-cert -d 'Use TLS with this certificate chain (PEM)' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand serve" -l tls-key -d 'Private key of --tls-cert (PEM)' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand serve" -l htpasswd -d 'Ask for a login found in FILE (bcrypt, as `htpasswd -B` writes it)' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand serve" -l storage -d 'The same as --store' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand serve" -l store -d 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand serve" -l tls -d 'Use TLS with a self-signed certificate made for this run'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand serve" -l read-only -d 'Refuse pushes and deletions'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand serve" -s q -l quiet -d 'Print the address only'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and not __fish_seen_subcommand_from list show add remove install" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and not __fish_seen_subcommand_from list show add remove install" -f -a "list" -d 'List the kept certificates'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and not __fish_seen_subcommand_from list show add remove install" -f -a "show" -d 'Show who is trusted for HOST, what HOST shows now, and whether and why that is accepted'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and not __fish_seen_subcommand_from list show add remove install" -f -a "add" -d 'Trust a certificate for HOST, in place of the one added before'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and not __fish_seen_subcommand_from list show add remove install" -f -a "remove" -d 'Remove what was added for HOST'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and not __fish_seen_subcommand_from list show add remove install" -f -a "install" -d 'Give what was added for HOST to other programs, or take it back'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from list" -l format -d 'How to print' -r -f -a "table\t''
json\t''"
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from list" -l kubeconfig -d 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from list" -l context -d 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from list" -l cluster-name -d 'Name that idpbuilder gave the cluster: the context kind-NAME' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from list" -l all -d 'All that is trusted: also what podman\'s and docker\'s directories and the cluster have, and how many roots the system has'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from show" -l format -d 'How to print' -r -f -a "table\t''
json\t''"
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from show" -l ca-file -d 'File with trusted certificates (PEM), as other commands take it' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from show" -l cert-dir -d 'Directory with *.crt to trust and *.cert with *.key to show to the registry' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from show" -l kubeconfig -d 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from show" -l context -d 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from show" -l cluster-name -d 'Name that idpbuilder gave the cluster: the context kind-NAME' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from add" -l fingerprint -d 'SHA-256 of the certificate\'s DER form; answers the question of --from-server' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from add" -l kubeconfig -d 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from add" -l context -d 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from add" -l cluster-name -d 'Name that idpbuilder gave the cluster: the context kind-NAME' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from add" -l from-server -d 'Trust the certificate that the registry shows now, after you compared its fingerprint'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from add" -l from-cluster -d 'Trust the certificate that the cluster says its registry has'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from install" -l root -d 'Directory instead of / for what belongs to the system' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from install" -l kubeconfig -d 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from install" -l context -d 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from install" -l cluster-name -d 'Name that idpbuilder gave the cluster: the context kind-NAME' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from install" -l docker -d 'For the Docker daemon: /etc/docker/certs.d'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from install" -l podman -d 'For this user\'s podman, skopeo and buildah: ~/.config/containers/certs.d'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from install" -l containerd -d 'For containerd: /etc/containerd/certs.d, with a hosts.toml'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from install" -l system -d 'For every program of this system, and then for every host that the certificate\'s key signs for; asks first'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from install" -l undo -d 'Remove what install wrote; files that were changed since, or are not its own, stay'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from install" -l dry-run -d 'Say what would be done and do nothing'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from install" -s y -l yes -d 'Answer yes to questions'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand trust; and __fish_seen_subcommand_from install" -s h -l help -d 'Print help'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand login" -l registry -d 'Registry to use for a reference without one; a scheme is accepted and dropped [environment: IDPBUILDER_REGISTRY]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand login" -s u -l username -d 'User name' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand login" -s p -l password -d 'Password or token; visible to other users of this machine, so prefer --password-stdin' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand login" -l creds -d 'User name and password in one, for the destination alone (without one, for the base)' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand login" -l authfile -d 'Credentials file of Docker\'s form, before Docker\'s and the containers tools\' own [environment: REGISTRY_AUTH_FILE]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand login" -l ca-file -d 'File with trusted certificates (PEM): authorities, or the registry\'s own self-signed certificate' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand login" -l cert-dir -d 'Directory with *.crt to trust and *.cert with *.key to show to the registry' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand login" -l insecure -d 'Do not verify the certificate of the registry, or of HOST alone (still TLS); asks first on a terminal' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand login" -l tls-verify -d '--tls-verify=false is the same as --insecure' -r -f -a "true\t''
false\t''"
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand login" -l timeout -d 'Longest wait for an answer of the registry [default: 10m]; a short one also limits the wait for a connection and for the next byte' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand login" -l kubeconfig -d 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand login" -l context -d 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand login" -l cluster-name -d 'Name that idpbuilder gave the cluster: the context kind-NAME' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand login" -s v -l verbose -d 'Say more about each step'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand login" -l password-stdin -d 'Read the password from standard input'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand login" -l plain-http -d 'Use http without TLS: everything can be read and changed on the way'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand login" -s y -l yes -d 'Answer yes to questions'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand login" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand logout" -l kubeconfig -d 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand logout" -l context -d 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand logout" -l cluster-name -d 'Name that idpbuilder gave the cluster: the context kind-NAME' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand logout" -s a -l all -d 'Forget every login'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand logout" -s h -l help -d 'Print help'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand doctor" -l repository -d 'Repository to try a push for [default: OWNER/idpbuilder-doctor]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand doctor" -l format -d 'How to print' -r -f -a "text\t'Lines for people'
json\t'An array of objects'"
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand doctor" -l store -d 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand doctor" -l registry -d 'Registry to use for a reference without one; a scheme is accepted and dropped [environment: IDPBUILDER_REGISTRY]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand doctor" -s u -l username -d 'User name' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand doctor" -s p -l password -d 'Password or token; visible to other users of this machine, so prefer --password-stdin' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand doctor" -l creds -d 'User name and password in one, for the destination alone (without one, for the base)' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand doctor" -l authfile -d 'Credentials file of Docker\'s form, before Docker\'s and the containers tools\' own [environment: REGISTRY_AUTH_FILE]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand doctor" -l ca-file -d 'File with trusted certificates (PEM): authorities, or the registry\'s own self-signed certificate' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand doctor" -l cert-dir -d 'Directory with *.crt to trust and *.cert with *.key to show to the registry' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand doctor" -l insecure -d 'Do not verify the certificate of the registry, or of HOST alone (still TLS); asks first on a terminal' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand doctor" -l tls-verify -d '--tls-verify=false is the same as --insecure' -r -f -a "true\t''
false\t''"
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand doctor" -l timeout -d 'Longest wait for an answer of the registry [default: 10m]; a short one also limits the wait for a connection and for the next byte' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand doctor" -l kubeconfig -d 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand doctor" -l context -d 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand doctor" -l cluster-name -d 'Name that idpbuilder gave the cluster: the context kind-NAME' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand doctor" -l deep -d 'Hash every blob of the store; takes as long as reading them'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand doctor" -l repair -d 'Repair the store and do nothing else: what can be read is kept, damaged files are renamed'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand doctor" -l settings -d 'Print the settings with their sources and nothing else'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand doctor" -s v -l verbose -d 'Say more about each step'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand doctor" -l password-stdin -d 'Read the password from standard input'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand doctor" -l plain-http -d 'Use http without TLS: everything can be read and changed on the way'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand doctor" -s y -l yes -d 'Answer yes to questions'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand credential" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand install" -l dir -d 'Directory of the links [default: the executable\'s own]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand install" -l registry -d 'Registry that they ask our helper for; can be repeated [default: the cluster\'s, by every name it can have]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand install" -l kubeconfig -d 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand install" -l context -d 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand install" -l cluster-name -d 'Name that idpbuilder gave the cluster: the context kind-NAME' -r
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand install" -l dry-run -d 'Say what would be done, with a diff of other programs\' files, and do nothing'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand install" -l docker -d 'Docker: credHelpers in config.json [environment: DOCKER_CONFIG] [default: ~/.docker]'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand install" -l podman -d 'Podman, skopeo and buildah: credHelpers in auth.json [environment: REGISTRY_AUTH_FILE] [default: ~/.config/containers, and the runtime directory\'s where there is one]'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand install" -l force -d 'Replace the helpers that others have set for these registries'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand install" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand uninstall" -l dir -d 'Directory of the links [default: the executable\'s own]' -r -F
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand uninstall" -l dry-run -d 'Say what would be done, with a diff of other programs\' files, and do nothing'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand uninstall" -l docker -d 'Docker: credHelpers in config.json [environment: DOCKER_CONFIG] [default: ~/.docker]'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand uninstall" -l podman -d 'Podman, skopeo and buildah: credHelpers in auth.json [environment: REGISTRY_AUTH_FILE] [default: ~/.config/containers, and the runtime directory\'s where there is one]'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand uninstall" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand generate" -l dry-run -d 'Print the paths only'
complete -c idpbuilder-oci -n "__fish_idpbuilder_oci_using_subcommand generate" -s h -l help -d 'Print help (see more with \'--help\')'
