
use builtin;
use str;

set edit:completion:arg-completer[idpbuilder-serve] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'idpbuilder-serve'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'idpbuilder-serve'= {
            cand --listen 'Address to listen on; port 0 takes a free one'
            cand --tls-name 'Further name in the self-signed certificate; repeatable'
            cand --tls-cert-out 'Write the self-signed certificate to FILE (PEM), for clients to trust'
            cand --tls-cert 'Use TLS with this certificate chain (PEM)'
            cand --tls-key 'Private key of --tls-cert (PEM)'
            cand --htpasswd 'Ask for a login found in FILE (bcrypt, as `htpasswd -B` writes it)'
            cand --storage 'The same as --store'
            cand --store 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]'
            cand --tls 'Use TLS with a self-signed certificate made for this run'
            cand --read-only 'Refuse pushes and deletions'
            cand -q 'Print the address only'
            cand --quiet 'Print the address only'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
    ]
    $completions[$command]
}
