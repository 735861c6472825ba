complete -c idpbuilder-inspect -l diff -d 'Show how IMAGE differs from FIRST: paths, and fields of the configuration' -r
complete -c idpbuilder-inspect -l layer -d 'Only files of this layer: its number (the first is 1), or the start of its digest' -r
complete -c idpbuilder-inspect -l format -d 'table, json, yaml, a template, or `table` and a template' -r
complete -c idpbuilder-inspect -s o -l output -d 'json, table or yaml' -r
complete -c idpbuilder-inspect -l platform -d 'Platform to take out of an index' -r
complete -c idpbuilder-inspect -l store -d 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]' -r -F
complete -c idpbuilder-inspect -l config -d 'Print the image configuration as it is stored'
complete -c idpbuilder-inspect -l manifest -d 'Print the manifest as it is stored'
complete -c idpbuilder-inspect -l history -d 'Show how the image came to be'
complete -c idpbuilder-inspect -l layers -d 'Show the layers'
complete -c idpbuilder-inspect -l files -d 'List the files in the layers'
complete -c idpbuilder-inspect -l no-trunc -d 'Show digests whole'
complete -c idpbuilder-inspect -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-inspect -s V -l version -d 'Print version'
