
use builtin;
use str;

set edit:completion:arg-completer[idpbuilder-pull] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'idpbuilder-pull'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'idpbuilder-pull'= {
            cand -t 'Name in the local store [default: IMAGE]'
            cand --tag 'Name in the local store [default: IMAGE]'
            cand --platform 'Platform to take out of an index [default: Linux on this machine''s architecture]'
            cand -j 'Blobs to fetch at the same time'
            cand --jobs 'Blobs to fetch at the same time'
            cand --digestfile 'Write the manifest''s digest to FILE'
            cand --digest-file 'Write the manifest''s digest to FILE'
            cand --progress 'How to show progress on standard error'
            cand --store 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]'
            cand --retry 'Times to try again without any progress between them'
            cand --retry-delay 'Longest wait before the first of them; it doubles with each, up to 30s [default: 500ms]'
            cand --stall-timeout 'Give a connection up on which no byte moved for so long, while there were some to move [default: 60s]'
            cand --wait-for-registry 'Wait up to TIME for a registry that is away, 0 not at all [default: 2m, once it has answered]'
            cand --limit-rate 'Move no more than RATE bytes a second, either way, in all transfers together'
            cand --limit-requests 'Send no more than N requests a second'
            cand --trace 'Write every HTTP exchange into FILE as a line of JSON, without secrets'
            cand --blobs-from 'Follow the registry to HOST for its blobs, even without TLS or at an internal address; no credential goes there, and every blob that is read is checked by its digest; repeatable'
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
            cand --context 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]'
            cand --cluster-name 'Name that idpbuilder gave the cluster: the context kind-NAME'
            cand --all-platforms 'Keep every platform of an index'
            cand --verify 'Read the blobs that the store has, also where their files did not change since they were written'
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
            cand -V 'Print version'
            cand --version 'Print version'
        }
    ]
    $completions[$command]
}
