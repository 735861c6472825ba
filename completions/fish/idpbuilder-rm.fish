complete -c idpbuilder-rm -l lock-timeout -d 'Longest wait for other commands that use the store' -r
complete -c idpbuilder-rm -l store -d 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]' -r -F
complete -c idpbuilder-rm -s f -l force -d 'Do not ask, do not mind images that are not there, and remove all that an id fits, under all names'
complete -c idpbuilder-rm -s a -l all -d 'Remove every image'
complete -c idpbuilder-rm -l prune -d 'Then free the space of everything that no name reaches'
complete -c idpbuilder-rm -s q -l quiet -d 'Print nothing'
complete -c idpbuilder-rm -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-rm -s V -l version -d 'Print version'
