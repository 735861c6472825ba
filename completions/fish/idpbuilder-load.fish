complete -c idpbuilder-load -s i -l input -d 'File or image layout (a directory) to read; - is standard input [default: standard input]' -r -F
complete -c idpbuilder-load -l platform -d 'Keep one image of each index, the one for this platform' -r
complete -c idpbuilder-load -l progress -d 'How to show progress on standard error' -r -f -a "auto\t'Bars on a terminal, lines elsewhere'
tty\t'Bars'
plain\t'One line for each step'
json\t'One JSON object a line'
none\t'Nothing but warnings'"
complete -c idpbuilder-load -l store -d 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]' -r -F
complete -c idpbuilder-load -s q -l quiet -d 'Print names only'
complete -c idpbuilder-load -s v -l verbose -d 'Say more about each step'
complete -c idpbuilder-load -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-load -s V -l version -d 'Print version'
