complete -c idpbuilder-logout -l kubeconfig -d 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]' -r -F
complete -c idpbuilder-logout -l context -d 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]' -r
complete -c idpbuilder-logout -l cluster-name -d 'Name that idpbuilder gave the cluster: the context kind-NAME' -r
complete -c idpbuilder-logout -s a -l all -d 'Forget every login'
complete -c idpbuilder-logout -s h -l help -d 'Print help'
complete -c idpbuilder-logout -s V -l version -d 'Print version'
