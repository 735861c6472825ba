complete -c idpbuilder-login -l registry -d 'Registry to use for a reference without one; a scheme is accepted and dropped [environment: IDPBUILDER_REGISTRY]' -r
complete -c idpbuilder-login -s u -l username -d 'User name' -r
complete -c idpbuilder-login -s p -l password -d 'Password or token; visible to other users of this machine, so prefer --password-stdin' -r
complete -c idpbuilder-login -l creds -d 'User name and password in one, for the destination alone (without one, for the base)' -r
complete -c idpbuilder-login -l authfile -d 'Credentials file of Docker\'s form, before Docker\'s and the containers tools\' own [environment: REGISTRY_AUTH_FILE]' -r -F
complete -c idpbuilder-login -l ca-file -d 'File with trusted certificates (PEM): authorities, or the registry\'s own self-signed certificate' -r -F
complete -c idpbuilder-login -l cert-dir -d 'Directory with *.crt to trust and *.cert with *.key to show to the registry' -r -F
complete -c idpbuilder-login -l insecure -d 'Do not verify the certificate of the registry, or of HOST alone (still TLS); asks first on a terminal' -r
complete -c idpbuilder-login -l tls-verify -d '--tls-verify=false is the same as --insecure' -r -f -a "true\t''
false\t''"
complete -c idpbuilder-login -l timeout -d 'Longest wait for an answer of the registry [default: 10m]; a short one also limits the wait for a connection and for the next byte' -r
complete -c idpbuilder-login -l kubeconfig -d 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]' -r -F
complete -c idpbuilder-login -l context -d 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]' -r
complete -c idpbuilder-login -l cluster-name -d 'Name that idpbuilder gave the cluster: the context kind-NAME' -r
complete -c idpbuilder-login -s v -l verbose -d 'Say more about each step'
complete -c idpbuilder-login -l password-stdin -d 'Read the password from standard input'
complete -c idpbuilder-login -l plain-http -d 'Use http without TLS: everything can be read and changed on the way'
complete -c idpbuilder-login -s y -l yes -d 'Answer yes to questions'
complete -c idpbuilder-login -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-login -s V -l version -d 'Print version'
