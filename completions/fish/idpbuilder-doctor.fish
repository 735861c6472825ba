complete -c idpbuilder-doctor -l repository -d 'Repository to try a push for [default: OWNER/idpbuilder-doctor]' -r
complete -c idpbuilder-doctor -l format -d 'How to print' -r -f -a "text\t'Lines for people'
json\t'An array of objects'"
complete -c idpbuilder-doctor -l store -d 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]' -r -F
complete -c idpbuilder-doctor -l registry -d 'Registry to use for a reference without one; a scheme is accepted and dropped [environment: IDPBUILDER_REGISTRY]' -r
complete -c idpbuilder-doctor -s u -l username -d 'User name' -r
complete -c idpbuilder-doctor -s p -l password -d 'Password or token; visible to other users of this machine, so prefer --password-stdin' -r
complete -c idpbuilder-doctor -l creds -d 'User name and password in one, for the destination alone (without one, for the base)' -r
complete -c idpbuilder-doctor -l authfile -d 'Credentials file of Docker\'s form, before Docker\'s and the containers tools\' own [environment: REGISTRY_AUTH_FILE]' -r -F
complete -c idpbuilder-doctor -l ca-file -d 'File with trusted certificates (PEM): authorities, or the registry\'s own self-signed certificate' -r -F
complete -c idpbuilder-doctor -l cert-dir -d 'Directory with *.crt to trust and *.cert with *.key to show to the registry' -r -F
complete -c idpbuilder-doctor -l insecure -d 'Do not verify the certificate of the registry, or of HOST alone (still TLS); asks first on a terminal' -r
complete -c idpbuilder-doctor -l tls-verify -d '--tls-verify=false is the same as --insecure' -r -f -a "true\t''
false\t''"
complete -c idpbuilder-doctor -l timeout -d 'Longest wait for an answer of the registry [default: 10m]; a short one also limits the wait for a connection and for the next byte' -r
complete -c idpbuilder-doctor -l kubeconfig -d 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]' -r -F
complete -c idpbuilder-doctor -l context -d 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]' -r
complete -c idpbuilder-doctor -l cluster-name -d 'Name that idpbuilder gave the cluster: the context kind-NAME' -r
complete -c idpbuilder-doctor -l deep -d 'Hash every blob of the store; takes as long as reading them'
complete -c idpbuilder-doctor -l repair -d 'Repair the store and do nothing else: what can be read is kept, damaged files are renamed'
complete -c idpbuilder-doctor -l settings -d 'Print the settings with their sources and nothing else'
complete -c idpbuilder-doctor -s v -l verbose -d 'Say more about each step'
complete -c idpbuilder-doctor -l password-stdin -d 'Read the password from standard input'
complete -c idpbuilder-doctor -l plain-http -d 'Use http without TLS: everything can be read and changed on the way'
complete -c idpbuilder-doctor -s y -l yes -d 'Answer yes to questions'
complete -c idpbuilder-doctor -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-doctor -s V -l version -d 'Print version'
