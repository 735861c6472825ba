
use builtin;
use str;

set edit:completion:arg-completer[idpbuilder-load] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'idpbuilder-load'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'idpbuilder-load'= {
            cand -i 'File or image layout (a directory) to read; - is standard input [default: standard input]'
            cand --input 'File or image layout (a directory) to read; - is standard input [default: standard input]'
            cand --platform 'Keep one image of each index, the one for this platform'
            cand --progress 'How to show progress on standard error'
            cand --store 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]'
            cand -q 'Print names only'
            cand --quiet 'Print names only'
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
