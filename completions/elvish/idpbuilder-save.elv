
use builtin;
use str;

set edit:completion:arg-completer[idpbuilder-save] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'idpbuilder-save'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'idpbuilder-save'= {
            cand -o 'File to write; - is standard output [default: standard output, when it is not a terminal]'
            cand --output 'File to write; - is standard output [default: standard output, when it is not a terminal]'
            cand --format 'Kind of archive'
            cand --platform 'Platform to take out of an index'
            cand --progress 'How to show progress on standard error'
            cand --store 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]'
            cand -q 'Say nothing'
            cand --quiet 'Say nothing'
            cand -v 'Say more about each step'
            cand --verbose 'Say more about each step'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
    ]
    $completions[$command]
}
