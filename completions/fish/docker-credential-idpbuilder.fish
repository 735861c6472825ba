complete -c docker-credential-idpbuilder -s h -l help -d 'Print help (see more with \'--help\')'
complete -c docker-credential-idpbuilder -s V -l version -d 'Print version'
