complete -c idpbuilder-save -s o -l output -d 'File to write; - is standard output [default: standard output, when it is not a terminal]' -r -F
complete -c idpbuilder-save -l format -d 'Kind of archive' -r -f -a "docker-archive\t'What docker load reads'
oci-archive\t'An OCI image layout in a tar'"
complete -c idpbuilder-save -l platform -d 'Platform to take out of an index' -r
complete -c idpbuilder-save -l progress -d 'How to show progress on standard error' -r -f -a "auto\t'Bars on a terminal, lines elsewhere'
tty\t'Bars'
plain\t'One line for each step'
json\t'One JSON object a line'
none\t'Nothing but warnings'"
complete -c idpbuilder-save -l store -d 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]' -r -F
complete -c idpbuilder-save -s q -l quiet -d 'Say nothing'
complete -c idpbuilder-save -s v -l verbose -d 'Say more about each step'
complete -c idpbuilder-save -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-save -s V -l version -d 'Print version'
