complete -c idpbuilder-list -l format -d 'table, json, yaml, a template, or `table` and a template' -r
complete -c idpbuilder-list -s o -l output -d 'json, table or yaml' -r
complete -c idpbuilder-list -s f -l filter -d 'reference=PATTERN, label=KEY[=VALUE] or dangling=true|false; all given must hold' -r
complete -c idpbuilder-list -l store -d 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]' -r -F
complete -c idpbuilder-list -l digests -d 'Show digests'
complete -c idpbuilder-list -l no-trunc -d 'Show ids and digests whole'
complete -c idpbuilder-list -s q -l quiet -d 'Print ids only'
complete -c idpbuilder-list -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-list -s V -l version -d 'Print version'
