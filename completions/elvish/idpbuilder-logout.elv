
use builtin;
use str;

set edit:completion:arg-completer[idpbuilder-logout] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'idpbuilder-logout'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'idpbuilder-logout'= {
            cand --kubeconfig 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]'
            cand --context 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]'
            cand --cluster-name 'Name that idpbuilder gave the cluster: the context kind-NAME'
            cand -a 'Forget every login'
            cand --all 'Forget every login'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
    ]
    $completions[$command]
}
