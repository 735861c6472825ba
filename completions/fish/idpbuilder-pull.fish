complete -c idpbuilder-pull -s t -l tag -d 'Name in the local store [default: IMAGE]' -r
complete -c idpbuilder-pull -l platform -d 'Platform to take out of an index [default: Linux on this machine\'s architecture]' -r
complete -c idpbuilder-pull -s j -l jobs -d 'Blobs to fetch at the same time' -r
complete -c idpbuilder-pull -l digestfile -l digest-file -d 'Write the manifest\'s digest to FILE' -r -F
complete -c idpbuilder-pull -l progress -d 'How to show progress on standard error' -r -f -a "auto\t'Bars on a terminal, lines elsewhere'
tty\t'Bars'
plain\t'One line for each step'
json\t'One JSON object a line'
none\t'Nothing but warnings'"
complete -c idpbuilder-pull -l store -d 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]' -r -F
complete -c idpbuilder-pull -l retry -d 'Times to try again without any progress between them' -r
complete -c idpbuilder-pull -l retry-delay -d 'Longest wait before the first of them; it doubles with each, up to 30s [default: 500ms]' -r
complete -c idpbuilder-pull -l stall-timeout -d 'Give a connection up on which no byte moved for so long, while there were some to move [default: 60s]' -r
complete -c idpbuilder-pull -l wait-for-registry -d 'Wait up to TIME for a registry that is away, 0 not at all [default: 2m, once it has answered]' -r
complete -c idpbuilder-pull -l limit-rate -d 'Move no more than RATE bytes a second, either way, in all transfers together' -r
complete -c idpbuilder-pull -l limit-requests -d 'Send no more than N requests a second' -r
complete -c idpbuilder-pull -l trace -d 'Write every HTTP exchange into FILE as a line of JSON, without secrets' -r -F
complete -c idpbuilder-pull -l blobs-from -d 'Follow the registry to HOST for its blobs, even without TLS or at an internal address; no credential goes there, and every blob that is read is checked by its digest; repeatable' -r
complete -c idpbuilder-pull -l registry -d 'Registry to use for a reference without one; a scheme is accepted and dropped [environment: IDPBUILDER_REGISTRY]' -r
complete -c idpbuilder-pull -s u -l username -d 'User name' -r
complete -c idpbuilder-pull -s p -l password -d 'Password or token; visible to other users of this machine, so prefer --password-stdin' -r
complete -c idpbuilder-pull -l creds -d 'User name and password in one, for the destination alone (without one, for the base)' -r
complete -c idpbuilder-pull -l authfile -d 'Credentials file of Docker\'s form, before Docker\'s and the containers tools\' own [environment: REGISTRY_AUTH_FILE]' -r -F
complete -c idpbuilder-pull -l ca-file -d 'File with trusted certificates (PEM): authorities, or the registry\'s own self-signed certificate' -r -F
complete -c idpbuilder-pull -l cert-dir -d 'Directory with *.crt to trust and *.cert with *.key to show to the registry' -r -F
complete -c idpbuilder-pull -l insecure -d 'Do not verify the certificate of the registry, or of HOST alone (still TLS); asks first on a terminal' -r
complete -c idpbuilder-pull -l tls-verify -d '--tls-verify=false is the same as --insecure' -r -f -a "true\t''
false\t''"
complete -c idpbuilder-pull -l timeout -d 'Longest wait for an answer of the registry [default: 10m]; a short one also limits the wait for a connection and for the next byte' -r
complete -c idpbuilder-pull -l kubeconfig -d 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]' -r -F
complete -c idpbuilder-pull -l context -d 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]' -r
complete -c idpbuilder-pull -l cluster-name -d 'Name that idpbuilder gave the cluster: the context kind-NAME' -r
complete -c idpbuilder-pull -l all-platforms -d 'Keep every platform of an index'
complete -c idpbuilder-pull -l verify -d 'Read the blobs that the store has, also where their files did not change since they were written'
complete -c idpbuilder-pull -s q -l quiet -d 'Print REPOSITORY@DIGEST only'
complete -c idpbuilder-pull -s v -l verbose -d 'Say more about each step'
complete -c idpbuilder-pull -l password-stdin -d 'Read the password from standard input'
complete -c idpbuilder-pull -l plain-http -d 'Use http without TLS: everything can be read and changed on the way'
complete -c idpbuilder-pull -s y -l yes -d 'Answer yes to questions'
complete -c idpbuilder-pull -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-pull -s V -l version -d 'Print version'
