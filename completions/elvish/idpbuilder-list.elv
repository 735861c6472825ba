
use builtin;
use str;

set edit:completion:arg-completer[idpbuilder-list] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'idpbuilder-list'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'idpbuilder-list'= {
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
            cand -V 'Print version'
            cand --version 'Print version'
        }
    ]
    $completions[$command]
}
