complete -c idpbuilder-tag -l store -d 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]' -r -F
complete -c idpbuilder-tag -s q -l quiet -d 'Print nothing'
complete -c idpbuilder-tag -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-tag -s V -l version -d 'Print version'
