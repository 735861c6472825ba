
use builtin;
use str;

set edit:completion:arg-completer[idpbuilder-oci] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'idpbuilder-oci'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'idpbuilder-oci'= {
            cand --list 'List the applets, one a line'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
            cand build 'Build an image from a directory'
            cand push 'Push a stored image to a registry'
            cand pull 'Pull an image from a registry into the local store'
            cand tag 'Give further names to a stored image'
            cand list 'List the images in the local store'
            cand inspect 'Look inside a stored image'
            cand rm 'Remove images from the local store'
            cand save 'Save images as one file'
            cand load 'Load images from an archive into the local store'
            cand serve 'Serve the local store as a registry'
            cand trust 'Keep, show and remove the certificates that registries are trusted by'
            cand install 'Make a link for every applet'
            cand uninstall 'Remove the links that install made'
            cand generate 'Write shell completions and man pages'
        }
        &'idpbuilder-oci;build'= {
            cand --context 'The same as CONTEXT'
            cand -t 'Name of the image; repeatable'
            cand --tag 'Name of the image; repeatable'
            cand --label 'Label; repeatable'
            cand --annotation 'Annotation of the manifest; repeatable'
            cand --ignorefile 'Ignore file to use instead of the context''s own'
            cand --exclude-file 'Ignore file to use instead of the context''s own'
            cand --exclude 'Further pattern to leave out, after those of the ignore file; repeatable'
            cand --platform 'Platform the image says it is for [default: Linux on this machine''s architecture; environment: DOCKER_DEFAULT_PLATFORM]'
            cand --entrypoint 'Command that always runs: a JSON array, or words as a shell splits them'
            cand --cmd 'Default arguments: a JSON array, or words as a shell splits them'
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
            cand --timestamp 'Time of all files and of the image, in seconds since 1970 [default: 1980-01-01; environment: SOURCE_DATE_EPOCH]'
            cand --source-date-epoch 'Time of all files and of the image, in seconds since 1970 [default: 1980-01-01; environment: SOURCE_DATE_EPOCH]'
            cand --iidfile 'Write the image id to FILE'
            cand --digestfile 'Write the manifest''s digest to FILE'
            cand --digest-file 'Write the manifest''s digest to FILE'
            cand --metadata-file 'Write name, id and digest as JSON to FILE'
            cand --progress 'How to show progress on standard error'
            cand --store 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]'
            cand -q 'Print the image id only'
            cand --quiet 'Print the image id only'
            cand -v 'Say more about each step'
            cand --verbose 'Say more about each step'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'idpbuilder-oci;push'= {
            cand -j 'Blobs to send at the same time'
            cand --jobs 'Blobs to send at the same time'
            cand --chunk-size 'Send blobs larger than this in pieces of this size [default: 64 MiB for blobs over 512 MiB]'
            cand --digestfile 'Write the manifest''s digest to FILE'
            cand --digest-file 'Write the manifest''s digest to FILE'
            cand --progress 'How to show progress on standard error'
            cand --store 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]'
            cand --registry 'Registry to use for a reference without one; a scheme is accepted and dropped [environment: IDPBUILDER_REGISTRY]'
            cand -u 'User name'
            cand --username 'User name'
            cand -p 'Password or token; visible to other users of this machine, so prefer --password-stdin'
            cand --password 'Password or token; visible to other users of this machine, so prefer --password-stdin'
            cand --creds 'User name and password in one'
            cand --ca-file 'File with trusted certificates (PEM): authorities, or the registry''s own self-signed certificate'
            cand --insecure 'Do not verify the certificate of the registry, or of HOST alone (still TLS); asks first on a terminal'
            cand --tls-verify '--tls-verify=false is the same as --insecure'
            cand --timeout 'Longest wait for an answer of the registry, and for the next byte'
            cand --kubeconfig 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]'
            cand --context 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]'
            cand --cluster-name 'Name that idpbuilder gave the cluster: the context kind-NAME'
            cand -q 'Print REPOSITORY@DIGEST only'
            cand --quiet 'Print REPOSITORY@DIGEST only'
            cand -v 'Say more about each step'
            cand --verbose 'Say more about each step'
            cand --password-stdin 'Read the password from standard input'
            cand --plain-http 'Use http without TLS: everything can be read and changed on the way'
            cand -y 'Answer yes to questions'
            cand --yes 'Answer yes to questions'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'idpbuilder-oci;pull'= {
            cand -t 'Name in the local store [default: IMAGE]'
            cand --tag 'Name in the local store [default: IMAGE]'
            cand --platform 'Platform to take out of an index [default: Linux on this machine''s architecture]'
            cand -j 'Blobs to fetch at the same time'
            cand --jobs 'Blobs to fetch at the same time'
            cand --digestfile 'Write the manifest''s digest to FILE'
            cand --digest-file 'Write the manifest''s digest to FILE'
            cand --progress 'How to show progress on standard error'
            cand --store 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]'
            cand --registry 'Registry to use for a reference without one; a scheme is accepted and dropped [environment: IDPBUILDER_REGISTRY]'
            cand -u 'User name'
            cand --username 'User name'
            cand -p 'Password or token; visible to other users of this machine, so prefer --password-stdin'
            cand --password 'Password or token; visible to other users of this machine, so prefer --password-stdin'
            cand --creds 'User name and password in one'
            cand --ca-file 'File with trusted certificates (PEM): authorities, or the registry''s own self-signed certificate'
            cand --insecure 'Do not verify the certificate of the registry, or of HOST alone (still TLS); asks first on a terminal'
            cand --tls-verify '--tls-verify=false is the same as --insecure'
            cand --timeout 'Longest wait for an answer of the registry, and for the next byte'
            cand --kubeconfig 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]'
            cand --context 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]'
            cand --cluster-name 'Name that idpbuilder gave the cluster: the context kind-NAME'
            cand --all-platforms 'Keep every platform of an index'
            cand -q 'Print REPOSITORY@DIGEST only'
            cand --quiet 'Print REPOSITORY@DIGEST only'
            cand -v 'Say more about each step'
            cand --verbose 'Say more about each step'
            cand --password-stdin 'Read the password from standard input'
            cand --plain-http 'Use http without TLS: everything can be read and changed on the way'
            cand -y 'Answer yes to questions'
            cand --yes 'Answer yes to questions'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'idpbuilder-oci;tag'= {
            cand --store 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]'
            cand -q 'Print nothing'
            cand --quiet 'Print nothing'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'idpbuilder-oci;list'= {
            cand --format 'table, json, yaml, a template, or `table` and a template'
            cand -o 'json, table or yaml'
            cand --output 'json, table or yaml'
            cand -f 'reference=PATTERN, label=KEY[=VALUE] or dangling=true|false; all given must hold'
            cand --filter 'reference=PATTERN, label=KEY[=VALUE] or dangling=true|false; all given must hold'
            cand --store 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]'
            cand --digests 'Show digests'
            cand --no-trunc 'Show ids and digests whole'
            cand -q 'Print ids only'
            cand --quiet 'Print ids only'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'idpbuilder-oci;inspect'= {
            cand --layer 'Only files of this layer: its number (the first is 1), or the start of its digest'
            cand --format 'table, json, yaml, a template, or `table` and a template'
            cand -o 'json, table or yaml'
            cand --output 'json, table or yaml'
            cand --platform 'Platform to take out of an index'
            cand --store 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]'
            cand --config 'Print the image configuration as it is stored'
            cand --manifest 'Print the manifest as it is stored'
            cand --history 'Show how the image came to be'
            cand --layers 'Show the layers'
            cand --files 'List the files in the layers'
            cand --no-trunc 'Show digests whole'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'idpbuilder-oci;rm'= {
            cand --lock-timeout 'Longest wait for other commands that use the store'
            cand --store 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]'
            cand -f 'Do not ask, do not mind images that are not there, and remove all names of an image given by its id'
            cand --force 'Do not ask, do not mind images that are not there, and remove all names of an image given by its id'
            cand -a 'Remove every image'
            cand --all 'Remove every image'
            cand --prune 'Then free the space of everything that no name reaches'
            cand -q 'Print nothing'
            cand --quiet 'Print nothing'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'idpbuilder-oci;save'= {
            cand -o 'File to write [default: standard output, when it is not a terminal]'
            cand --output 'File to write [default: standard output, when it is not a terminal]'
            cand --format 'Kind of archive'
            cand --platform 'Platform to take out of an index'
            cand --progress 'How to show progress on standard error'
            cand --store 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]'
            cand -q 'Say nothing'
            cand --quiet 'Say nothing'
            cand -v 'Say more about each step'
            cand --verbose 'Say more about each step'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'idpbuilder-oci;load'= {
            cand -i 'File to read [default: standard input]'
            cand --input 'File to read [default: standard input]'
            cand --progress 'How to show progress on standard error'
            cand --store 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]'
            cand -q 'Print names only'
            cand --quiet 'Print names only'
            cand -v 'Say more about each step'
            cand --verbose 'Say more about each step'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'idpbuilder-oci;serve'= {
            cand --listen 'Address to listen on; port 0 takes a free one'
            cand --tls-name 'Further name in the self-signed certificate; repeatable'
            cand --tls-cert-out 'Write the self-signed certificate to FILE (PEM), for clients to trust'
            cand --tls-cert 'Use TLS with this certificate chain (PEM)'
            cand --tls-key 'Private key of --tls-cert (PEM)'
            cand --htpasswd 'Ask for a login found in FILE (bcrypt, as `htpasswd -B` writes it)'
            cand --storage 'The same as --store'
            cand --store 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]'
            cand --tls 'Use TLS with a self-signed certificate made for this run'
            cand --read-only 'Refuse pushes and deletions'
            cand -q 'Print the address only'
            cand --quiet 'Print the address only'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'idpbuilder-oci;trust'= {
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand list 'List the kept certificates'
            cand show 'Show who is trusted for HOST, what HOST shows now, and whether and why that is accepted'
            cand add 'Trust a certificate for HOST, in place of the one added before'
            cand remove 'Remove what was added for HOST'
        }
        &'idpbuilder-oci;trust;list'= {
            cand --format 'How to print'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'idpbuilder-oci;trust;show'= {
            cand --format 'How to print'
            cand --ca-file 'File with trusted certificates (PEM), as other commands take it'
            cand --kubeconfig 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]'
            cand --context 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]'
            cand --cluster-name 'Name that idpbuilder gave the cluster: the context kind-NAME'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'idpbuilder-oci;trust;add'= {
            cand --fingerprint 'SHA-256 of the certificate''s DER form; answers the question of --from-server'
            cand --kubeconfig 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]'
            cand --context 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]'
            cand --cluster-name 'Name that idpbuilder gave the cluster: the context kind-NAME'
            cand --from-server 'Trust the certificate that the registry shows now, after you compared its fingerprint'
            cand --from-cluster 'Trust the certificate that the cluster says its registry has'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'idpbuilder-oci;trust;remove'= {
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'idpbuilder-oci;install'= {
            cand --dir 'Directory of the links [default: the executable''s own]'
            cand --dry-run 'Say what would be done and do nothing'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'idpbuilder-oci;uninstall'= {
            cand --dir 'Directory of the links [default: the executable''s own]'
            cand --dry-run 'Say what would be done and do nothing'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'idpbuilder-oci;generate'= {
            cand --dry-run 'Print the paths only'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
    ]
    $completions[$command]
}
