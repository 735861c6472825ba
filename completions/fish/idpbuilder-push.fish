complete -c idpbuilder-push -s j -l jobs -d 'Blobs to send at the same time' -r
complete -c idpbuilder-push -l chunk-size -d 'Send no more than this in one request, 64 KiB at least [default: what takes about 5s, up to 512 MiB]' -r
complete -c idpbuilder-push -l wait -d 'Pull the image without a credential, every blob to its end, until that works, at most for TIME; nothing of it is kept [default of TIME: 60s]' -r
complete -c idpbuilder-push -l format -d 'How to print what was done, or would be' -r -f -a "text\t'REPOSITORY@DIGEST a line; with --dry-run a line a blob'
json\t'An array with an object a destination'"
complete -c idpbuilder-push -l digestfile -l digest-file -d 'Write the manifest\'s digest to FILE' -r -F
complete -c idpbuilder-push -l progress -d 'How to show progress on standard error' -r -f -a "auto\t'Bars on a terminal, lines elsewhere'
tty\t'Bars'
plain\t'One line for each step'
json\t'One JSON object a line'
none\t'Nothing but warnings'"
complete -c idpbuilder-push -l store -d 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]' -r -F
complete -c idpbuilder-push -l retry -d 'Times to try again without any progress between them' -r
complete -c idpbuilder-push -l retry-delay -d 'Longest wait before the first of them; it doubles with each, up to 30s [default: 500ms]' -r
complete -c idpbuilder-push -l stall-timeout -d 'Give a connection up on which no byte moved for so long, while there were some to move [default: 60s]' -r
complete -c idpbuilder-push -l wait-for-registry -d 'Wait up to TIME for a registry that is away, 0 not at all [default: 2m, once it has answered]' -r
complete -c idpbuilder-push -l limit-rate -d 'Move no more than RATE bytes a second, either way, in all transfers together' -r
complete -c idpbuilder-push -l limit-requests -d 'Send no more than N requests a second' -r
complete -c idpbuilder-push -l trace -d 'Write every HTTP exchange into FILE as a line of JSON, without secrets' -r -F
complete -c idpbuilder-push -l blobs-from -d 'Follow the registry to HOST for its blobs, even without TLS or at an internal address; no credential goes there, and every blob that is read is checked by its digest; repeatable' -r
complete -c idpbuilder-push -l registry -d 'Registry to use for a reference without one; a scheme is accepted and dropped [environment: IDPBUILDER_REGISTRY]' -r
complete -c idpbuilder-push -s u -l username -d 'User name' -r
complete -c idpbuilder-push -s p -l password -d 'Password or token; visible to other users of this machine, so prefer --password-stdin' -r
complete -c idpbuilder-push -l creds -d 'User name and password in one, for the destination alone (without one, for the base)' -r
complete -c idpbuilder-push -l authfile -d 'Credentials file of Docker\'s form, before Docker\'s and the containers tools\' own [environment: REGISTRY_AUTH_FILE]' -r -F
complete -c idpbuilder-push -l ca-file -d 'File with trusted certificates (PEM): authorities, or the registry\'s own self-signed certificate' -r -F
complete -c idpbuilder-push -l cert-dir -d 'Directory with *.crt to trust and *.cert with *.key to show to the registry' -r -F
complete -c idpbuilder-push -l insecure -d 'Do not verify the certificate of the registry, or of HOST alone (still TLS); asks first on a terminal' -r
complete -c idpbuilder-push -l tls-verify -d '--tls-verify=false is the same as --insecure' -r -f -a "true\t''
false\t''"
complete -c idpbuilder-push -l timeout -d 'Longest wait for an answer of the registry [default: 10m]; a short one also limits the wait for a connection and for the next byte' -r
complete -c idpbuilder-push -l kubeconfig -d 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]' -r -F
complete -c idpbuilder-push -l context -d 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]' -r
complete -c idpbuilder-push -l cluster-name -d 'Name that idpbuilder gave the cluster: the context kind-NAME' -r
complete -c idpbuilder-push -l verify -d 'Read everything back from the registry in the end and compare the digests'
complete -c idpbuilder-push -l dry-run -d 'Say what would be skipped, mounted and uploaded, and whether it would be permitted; send nothing'
complete -c idpbuilder-push -s q -l quiet -d 'Print REPOSITORY@DIGEST only'
complete -c idpbuilder-push -s v -l verbose -d 'Say more about each step'
complete -c idpbuilder-push -l password-stdin -d 'Read the password from standard input'
complete -c idpbuilder-push -l plain-http -d 'Use http without TLS: everything can be read and changed on the way'
complete -c idpbuilder-push -s y -l yes -d 'Answer yes to questions'
complete -c idpbuilder-push -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-push -s V -l version -d 'Print version'
