complete -c idpbuilder-serve -l listen -d 'Address to listen on; port 0 takes a free one' -r
complete -c idpbuilder-serve -l tls-name -d 'Further name in the self-signed certificate; repeatable' -r
complete -c idpbuilder-serve -l tls-cert-out -d 'Write the self-signed certificate to FILE (PEM), for clients to trust' -r -F
complete -c idpbuilder-serve -l tls-cert -d 'Use TLS with this certificate chain (PEM)' -r -F
complete -c idpbuilder-serve -l tls-key -d 'Private key of --tls-cert (PEM)' -r -F
complete -c idpbuilder-serve -l htpasswd -d 'Ask for a login found in FILE (bcrypt, as `htpasswd -B` writes it)' -r -F
complete -c idpbuilder-serve -l storage -d 'The same as --store' -r -F
complete -c idpbuilder-serve -l store -d 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]' -r -F
complete -c idpbuilder-serve -l tls -d 'Use TLS with a self-signed certificate made for this run'
complete -c idpbuilder-serve -l read-only -d 'Refuse pushes and deletions'
complete -c idpbuilder-serve -s q -l quiet -d 'Print the address only'
complete -c idpbuilder-serve -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-serve -s V -l version -d 'Print version'
