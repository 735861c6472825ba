
use builtin;
use str;

set edit:completion:arg-completer[idpbuilder-rm] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'idpbuilder-rm'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'idpbuilder-rm'= {
            cand --lock-timeout 'Longest wait for other commands that use the store'
            cand --store 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]'
            cand -f 'Do not ask, do not mind images that are not there, and remove all that an id fits, under all names'
            cand --force 'Do not ask, do not mind images that are not there, and remove all that an id fits, under all names'
            cand -a 'Remove every image'
            cand --all 'Remove every image'
            cand --prune 'Then free the space of everything that no name reaches'
            cand -q 'Print nothing'
            cand --quiet 'Print nothing'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
    ]
    $completions[$command]
}
