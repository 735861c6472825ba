complete -c idpbuilder-build -l context -d 'The same as CONTEXT' -r -F
complete -c idpbuilder-build -s t -l tag -d 'Name of the image; repeatable' -r
complete -c idpbuilder-build -l label -d 'Label; repeatable' -r
complete -c idpbuilder-build -l annotation -d 'Annotation of the manifest; repeatable' -r
complete -c idpbuilder-build -l ignorefile -l exclude-file -d 'Ignore file to use instead of the context\'s own' -r -F
complete -c idpbuilder-build -l exclude -d 'Further pattern to leave out, after those of the ignore file; repeatable' -r
complete -c idpbuilder-build -l platform -d 'Platform the image says it is for [default: Linux on this machine\'s architecture; environment: DOCKER_DEFAULT_PLATFORM]' -r
complete -c idpbuilder-build -l entrypoint -d 'Command that always runs: a JSON array, or words as a shell splits them' -r
complete -c idpbuilder-build -l cmd -d 'Default arguments: a JSON array, or words as a shell splits them' -r
complete -c idpbuilder-build -s e -l env -d 'Environment variable; without a value it is taken from this environment; repeatable' -r
complete -c idpbuilder-build -l user -d 'User and group the command runs as' -r
complete -c idpbuilder-build -s w -l workdir -d 'Directory the command starts in' -r
complete -c idpbuilder-build -l expose -d 'Port the command listens on, or a range; repeatable' -r
complete -c idpbuilder-build -l volume -d 'Path that holds data of its own; repeatable' -r
complete -c idpbuilder-build -l stop-signal -d 'Signal that asks the container to stop' -r
complete -c idpbuilder-build -l healthcheck-cmd -d 'Command that tells whether the container is healthy: a JSON array, text for its shell, or none' -r
complete -c idpbuilder-build -l copy-to -d 'Where in the image the context lands' -r
complete -c idpbuilder-build -l chown -d 'Owner of all files, as numbers' -r
complete -c idpbuilder-build -l layers -d 'Into how many layers: `auto`, `single`, or at most so many; auto is one for less than 32 MiB, else about twenty' -r
complete -c idpbuilder-build -l compression-format -l compression -d 'How the layers are compressed' -r -f -a "gzip\t''
zstd\t''
none\t''"
complete -c idpbuilder-build -l compression-level -d 'How hard: 1 to 12 for gzip, 1 to 19 for zstd, which takes up to 200 MiB of memory from 10 on [default: 6 and 3]' -r
complete -c idpbuilder-build -l timestamp -l source-date-epoch -d 'Time of all files and of the image, in seconds since 1970 [default: 1980-01-01; environment: SOURCE_DATE_EPOCH]' -r
complete -c idpbuilder-build -l iidfile -d 'Write the image id to FILE' -r -F
complete -c idpbuilder-build -l digestfile -l digest-file -d 'Write the manifest\'s digest to FILE' -r -F
complete -c idpbuilder-build -l metadata-file -d 'Write name, id and digest as JSON to FILE' -r -F
complete -c idpbuilder-build -l progress -d 'How to show progress on standard error' -r -f -a "auto\t'Bars on a terminal, lines elsewhere'
tty\t'Bars'
plain\t'One line for each step'
json\t'One JSON object a line'
none\t'Nothing but warnings'"
complete -c idpbuilder-build -l store -d 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]' -r -F
complete -c idpbuilder-build -l no-cache -d 'Read every file again instead of taking layers from earlier builds'
complete -c idpbuilder-build -s q -l quiet -d 'Print the image id only'
complete -c idpbuilder-build -s v -l verbose -d 'Say more about each step'
complete -c idpbuilder-build -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-build -s V -l version -d 'Print version'
