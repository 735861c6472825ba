
use builtin;
use str;

set edit:completion:arg-completer[idpbuilder-index] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'idpbuilder-index'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'idpbuilder-index'= {
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
            cand create 'Make an index of images; of an IMAGE that is an index, all its images are taken'
            cand add 'Add images to an index, in place of those for the same platform'
            cand rm 'Remove images from an index; the store keeps them until it is pruned'
            cand remove 'Remove images from an index; the store keeps them until it is pruned'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'idpbuilder-index;create'= {
            cand --store 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]'
            cand -q 'Print the digest only'
            cand --quiet 'Print the digest only'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'idpbuilder-index;add'= {
            cand --store 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]'
            cand -q 'Print the digest only'
            cand --quiet 'Print the digest only'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'idpbuilder-index;rm'= {
            cand --store 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]'
            cand -q 'Print the digest only'
            cand --quiet 'Print the digest only'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'idpbuilder-index;remove'= {
            cand --store 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]'
            cand -q 'Print the digest only'
            cand --quiet 'Print the digest only'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'idpbuilder-index;help'= {
            cand create 'Make an index of images; of an IMAGE that is an index, all its images are taken'
            cand add 'Add images to an index, in place of those for the same platform'
            cand rm 'Remove images from an index; the store keeps them until it is pruned'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'idpbuilder-index;help;create'= {
        }
        &'idpbuilder-index;help;add'= {
        }
        &'idpbuilder-index;help;rm'= {
        }
        &'idpbuilder-index;help;help'= {
        }
    ]
    $completions[$command]
}
