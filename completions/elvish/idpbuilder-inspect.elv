
use builtin;
use str;

set edit:completion:arg-completer[idpbuilder-inspect] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'idpbuilder-inspect'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'idpbuilder-inspect'= {
            cand --diff 'Show how IMAGE differs from FIRST: paths, and fields of the configuration'
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
            cand -V 'Print version'
            cand --version 'Print version'
        }
    ]
    $completions[$command]
}
