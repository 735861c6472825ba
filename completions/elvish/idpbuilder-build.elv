
use builtin;
use str;

set edit:completion:arg-completer[idpbuilder-build] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'idpbuilder-build'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'idpbuilder-build'= {
            cand --context 'The same as CONTEXT'
            cand --context-for 'Directory to pack for one of several platforms, in place of CONTEXT; repeatable'
            cand -t 'Name of the image; repeatable'
            cand --tag 'Name of the image; repeatable'
            cand --from 'Image to build on: a name of the local store or of a registry, oci:DIR[:NAME], oci-archive:FILE[:NAME], docker-archive:FILE[:NAME], or scratch'
            cand --from-creds 'User name and password for the registry of BASE; without a password, IDPBUILDER_FROM_PASSWORD has it, or you are asked'
            cand --rebase 'Put the own layers of a stored image, which stands in CONTEXT''s place, on BASE: nothing is packed'
            cand --old-base 'The base that the image has, where its annotation does not tell; scratch means none'
            cand --label 'Label; repeatable'
            cand --annotation 'Annotation of the manifest; repeatable'
            cand --ignorefile 'Ignore file to use instead of the context''s own'
            cand --exclude-file 'Ignore file to use instead of the context''s own'
            cand --exclude 'Further pattern to leave out, after those of the ignore file; repeatable'
            cand --platform 'Platform the image says it is for, or several with commas between them, which make an index of an image each [default: Linux on this machine''s architecture; environment: DOCKER_DEFAULT_PLATFORM]'
            cand --entrypoint 'Command that always runs: a JSON array, or words as a shell splits them; [] takes that of the base away'
            cand --cmd 'Default arguments: a JSON array, or words as a shell splits them; [] takes those of the base away'
            cand -e 'Environment variable; without a value it is taken from this environment; repeatable'
            cand --env 'Environment variable; without a value it is taken from this environment; repeatable'
            cand --user 'User and group the command runs as'
            cand -w 'Directory the command starts in'
            cand --workdir 'Directory the command starts in'
            cand --expose 'Port the command listens on, or a range; repeatable'
            cand --volume 'Path that holds data of its own; repeatable'
            cand --stop-signal 'Signal that asks the container to stop'
            cand --healthcheck-cmd 'Command that tells whether the container is healthy: a JSON array, text for its shell, or none'
            cand --copy-to 'Where in the image the context lands'
            cand --chown 'Owner of all files, as numbers'
            cand --chmod 'Permissions of all files and directories alike, in octal, as docker''s COPY --chmod'
            cand --copy 'Further file, or the content of a directory, in layers over the context''s; repeatable, later ones win. DEST is an absolute path of the image, through the links of the layers below: for a file its new name, or the directory if it is one or ends with a slash. A directory''s own ignore file counts, --exclude and --ignorefile do not. Without CONTEXT there is no context then'
            cand --add-tar 'Tar archive, plain or compressed with gzip or zstd, as a layer over all others; `-` is standard input; repeatable, later ones win. DEST is an absolute directory of the image. Entries get the owner and the time of all files, and --chmod''s permissions, unless `keep` is said. Without CONTEXT there is no context then'
            cand --layers 'Into how many layers: `auto`, `single`, or at most so many; auto is one for less than 32 MiB, else about twenty'
            cand --compression-format 'How the layers are compressed'
            cand --compression 'How the layers are compressed'
            cand --compression-level 'How hard: 1 to 12 for gzip, 1 to 19 for zstd [default: 1 and 3]'
            cand --timestamp 'Time of all files and of the image, in seconds since 1970 [default: 1980-01-01; environment: SOURCE_DATE_EPOCH]'
            cand --source-date-epoch 'Time of all files and of the image, in seconds since 1970 [default: 1980-01-01; environment: SOURCE_DATE_EPOCH]'
            cand --iidfile 'Write the image id to FILE'
            cand --digestfile 'Write the manifest''s digest to FILE'
            cand --digest-file 'Write the manifest''s digest to FILE'
            cand --metadata-file 'Write name, id and digest as JSON to FILE'
            cand --push 'Push the image while it is built, to DEST, a reference or a registry alone; repeatable [default of DEST: where the image''s names say]. Without -t, the first reference is the image''s name too'
            cand --progress 'How to show progress on standard error'
            cand --store 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]'
            cand --explain 'Say whether PATH of the context would go into the image and which rule decides; repeatable'
            cand --sort 'Order of the list'
            cand --retry 'Times to try again without any progress between them'
            cand --retry-delay 'Longest wait before the first of them; it doubles with each, up to 30s [default: 500ms]'
            cand --stall-timeout 'Give a connection up on which no byte moved for so long, while there were some to move [default: 60s]'
            cand --limit-rate 'Move no more than RATE bytes a second, either way, in all transfers together'
            cand --limit-requests 'Send no more than N requests a second'
            cand --trace 'Write every HTTP exchange into FILE as a line of JSON, without secrets'
            cand --registry 'Registry to use for a reference without one; a scheme is accepted and dropped [environment: IDPBUILDER_REGISTRY]'
            cand -u 'User name'
            cand --username 'User name'
            cand -p 'Password or token; visible to other users of this machine, so prefer --password-stdin'
            cand --password 'Password or token; visible to other users of this machine, so prefer --password-stdin'
            cand --creds 'User name and password in one, for the destination alone (without one, for the base)'
            cand --authfile 'Credentials file of Docker''s form, before Docker''s and the containers tools'' own [environment: REGISTRY_AUTH_FILE]'
            cand --ca-file 'File with trusted certificates (PEM): authorities, or the registry''s own self-signed certificate'
            cand --cert-dir 'Directory with *.crt to trust and *.cert with *.key to show to the registry'
            cand --insecure 'Do not verify the certificate of the registry, or of HOST alone (still TLS); asks first on a terminal'
            cand --tls-verify '--tls-verify=false is the same as --insecure'
            cand --timeout 'Longest wait for an answer of the registry [default: 10m]; a short one also limits the wait for a connection and for the next byte'
            cand --kubeconfig 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]'
            cand --cluster-name 'Name that idpbuilder gave the cluster: the context kind-NAME'
            cand --kube-context 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]'
            cand --no-dockerfile 'Pack a context as it is although there is a Dockerfile or Containerfile in its root; Dockerfiles are not built'
            cand --pull 'Ask the registry for BASE even if the local store has it'
            cand --no-cache 'Read every file again instead of taking layers from earlier builds'
            cand --verify-reproducible 'Build the image a second time, from the files and in other conditions, and fail if it is another one'
            cand -q 'Print the image id only; with --push, REPOSITORY@DIGEST'
            cand --quiet 'Print the image id only; with --push, REPOSITORY@DIGEST'
            cand -v 'Say more about each step'
            cand --verbose 'Say more about each step'
            cand --list-context 'List what of the context would go into the image, and tell what each rule keeps and leaves out'
            cand --password-stdin 'Read the password from standard input'
            cand --plain-http 'Use http without TLS: everything can be read and changed on the way'
            cand -y 'Answer yes to questions'
            cand --yes 'Answer yes to questions'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
    ]
    $completions[$command]
}
