complete -c idpbuilder-build -l context -d 'The same as CONTEXT' -r -F
complete -c idpbuilder-build -l context-for -d 'Directory to pack for one of several platforms, in place of CONTEXT; repeatable' -r
complete -c idpbuilder-build -s t -l tag -d 'Name of the image; repeatable' -r
complete -c idpbuilder-build -l from -d 'Image to build on: a name of the local store or of a registry, oci:DIR[:NAME], oci-archive:FILE[:NAME], docker-archive:FILE[:NAME], or scratch' -r
complete -c idpbuilder-build -l from-creds -d 'User name and password for the registry of BASE; without a password, IDPBUILDER_FROM_PASSWORD has it, or you are asked' -r
complete -c idpbuilder-build -l rebase -d 'Put the own layers of a stored image, which stands in CONTEXT\'s place, on BASE: nothing is packed' -r
complete -c idpbuilder-build -l old-base -d 'The base that the image has, where its annotation does not tell; scratch means none' -r
complete -c idpbuilder-build -l label -d 'Label; repeatable' -r
complete -c idpbuilder-build -l annotation -d 'Annotation of the manifest; repeatable' -r
complete -c idpbuilder-build -l ignorefile -l exclude-file -d 'Ignore file to use instead of the context\'s own' -r -F
complete -c idpbuilder-build -l exclude -d 'Further pattern to leave out, after those of the ignore file; repeatable' -r
complete -c idpbuilder-build -l platform -d 'Platform the image says it is for, or several with commas between them, which make an index of an image each [default: Linux on this machine\'s architecture; environment: DOCKER_DEFAULT_PLATFORM]' -r
complete -c idpbuilder-build -l entrypoint -d 'Command that always runs: a JSON array, or words as a shell splits them; [] takes that of the base away' -r
complete -c idpbuilder-build -l cmd -d 'Default arguments: a JSON array, or words as a shell splits them; [] takes those of the base away' -r
complete -c idpbuilder-build -s e -l env -d 'Environment variable; without a value it is taken from this environment; repeatable' -r
complete -c idpbuilder-build -l user -d 'User and group the command runs as' -r
complete -c idpbuilder-build -s w -l workdir -d 'Directory the command starts in' -r
complete -c idpbuilder-build -l expose -d 'Port the command listens on, or a range; repeatable' -r
complete -c idpbuilder-build -l volume -d 'Path that holds data of its own; repeatable' -r
complete -c idpbuilder-build -l stop-signal -d 'Signal that asks the container to stop' -r
complete -c idpbuilder-build -l healthcheck-cmd -l health-cmd -d 'Command that tells whether the container is healthy: a JSON array, text for its shell, or none' -r
complete -c idpbuilder-build -l healthcheck-interval -l health-interval -d 'Time between two checks, for example 30s or 1m30s' -r
complete -c idpbuilder-build -l healthcheck-timeout -l health-timeout -d 'Longest time that a check may take' -r
complete -c idpbuilder-build -l healthcheck-start-period -l health-start-period -d 'Time to start up, in which a check that fails does not count' -r
complete -c idpbuilder-build -l healthcheck-start-interval -l health-start-interval -d 'Time between two checks while the container starts up' -r
complete -c idpbuilder-build -l healthcheck-retries -l health-retries -d 'Checks that have to fail one after the other until the container is unhealthy' -r
complete -c idpbuilder-build -l copy-to -d 'Where in the image the context lands' -r
complete -c idpbuilder-build -l chown -d 'Owner of all files, as numbers' -r
complete -c idpbuilder-build -l chmod -d 'Permissions of all files and directories alike, in octal, as docker\'s COPY --chmod' -r
complete -c idpbuilder-build -l copy -d 'Further file, or the content of a directory, in layers over the context\'s; repeatable, later ones win. DEST is an absolute path of the image, through the links of the layers below: for a file its new name, or the directory if it is one or ends with a slash. A directory\'s own ignore file counts, --exclude and --ignorefile do not. Without CONTEXT there is no context then' -r
complete -c idpbuilder-build -l add-tar -d 'Tar archive, plain or compressed with gzip or zstd, as a layer over all others; `-` is standard input; repeatable, later ones win. DEST is an absolute directory of the image. Entries get the owner and the time of all files, and --chmod\'s permissions, unless `keep` is given. Without CONTEXT there is no context then' -r
complete -c idpbuilder-build -l layers -d 'Into how many layers: `auto`, `single`, or at most so many; auto is one for less than 32 MiB, else about twenty' -r
complete -c idpbuilder-build -l compression-format -l compression -d 'How the layers are compressed' -r -f -a "gzip\t''
zstd\t''
none\t''"
complete -c idpbuilder-build -l compression-level -d 'How hard: 1 to 12 for gzip, 1 to 19 for zstd [default: 1 and 3]' -r
complete -c idpbuilder-build -l timestamp -l source-date-epoch -d 'Time of all files and of the image, in seconds since 1970 [default: 1980-01-01; environment: SOURCE_DATE_EPOCH]' -r
complete -c idpbuilder-build -l iidfile -d 'Write the image id to FILE' -r -F
complete -c idpbuilder-build -l digestfile -l digest-file -d 'Write the manifest\'s digest to FILE' -r -F
complete -c idpbuilder-build -l metadata-file -d 'Write name, id and digest as JSON to FILE' -r -F
complete -c idpbuilder-build -l push -d 'Push the image while it is built, to DEST, a reference or a registry alone; repeatable [default of DEST: where the image\'s names say]. Without -t, the first reference is the image\'s name too' -r
complete -c idpbuilder-build -l progress -d 'How to show progress on standard error' -r -f -a "auto\t'Bars on a terminal, lines elsewhere'
tty\t'Bars'
plain\t'One line for each step'
json\t'One JSON object a line'
none\t'Nothing but warnings'"
complete -c idpbuilder-build -l store -d 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]' -r -F
complete -c idpbuilder-build -l explain -d 'Say whether PATH of the context would go into the image and which rule decides; repeatable' -r -F
complete -c idpbuilder-build -l sort -d 'Order of the list' -r -f -a "path\t'The bytes of the path'
size\t'The size, largest first'"
complete -c idpbuilder-build -l retry -d 'Times to try again without any progress between them' -r
complete -c idpbuilder-build -l retry-delay -d 'Longest wait before the first of them; it doubles with each, up to 30s [default: 500ms]' -r
complete -c idpbuilder-build -l stall-timeout -d 'Give a connection up on which no byte moved for so long, while there were some to move [default: 60s]' -r
complete -c idpbuilder-build -l wait-for-registry -d 'Wait up to TIME for a registry that is away, 0 not at all [default: 2m, once it has answered]' -r
complete -c idpbuilder-build -l limit-rate -d 'Move no more than RATE bytes a second, either way, in all transfers together' -r
complete -c idpbuilder-build -l limit-requests -d 'Send no more than N requests a second' -r
complete -c idpbuilder-build -l trace -d 'Write every HTTP exchange into FILE as a line of JSON, without secrets' -r -F
complete -c idpbuilder-build -l blobs-from -d 'Follow the registry to HOST for its blobs, even without TLS or at an internal address; no credential goes there, and every blob that is read is checked by its digest; repeatable' -r
complete -c idpbuilder-build -l registry -d 'Registry to use for a reference without one; a scheme is accepted and dropped [environment: IDPBUILDER_REGISTRY]' -r
complete -c idpbuilder-build -s u -l username -d 'User name' -r
complete -c idpbuilder-build -s p -l password -d 'Password or token; visible to other users of this machine, so prefer --password-stdin' -r
complete -c idpbuilder-build -l creds -d 'User name and password in one, for the destination alone (without one, for the base)' -r
complete -c idpbuilder-build -l authfile -d 'Credentials file of Docker\'s form, before Docker\'s and the containers tools\' own [environment: REGISTRY_AUTH_FILE]' -r -F
complete -c idpbuilder-build -l ca-file -d 'File with trusted certificates (PEM): authorities, or the registry\'s own self-signed certificate' -r -F
complete -c idpbuilder-build -l cert-dir -d 'Directory with *.crt to trust and *.cert with *.key to show to the registry' -r -F
complete -c idpbuilder-build -l insecure -d 'Do not verify the certificate of the registry, or of HOST alone (still TLS); asks first on a terminal' -r
complete -c idpbuilder-build -l tls-verify -d '--tls-verify=false is the same as --insecure' -r -f -a "true\t''
false\t''"
complete -c idpbuilder-build -l timeout -d 'Longest wait for an answer of the registry [default: 10m]; a short one also limits the wait for a connection and for the next byte' -r
complete -c idpbuilder-build -l kubeconfig -d 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]' -r -F
complete -c idpbuilder-build -l cluster-name -d 'Name that idpbuilder gave the cluster: the context kind-NAME' -r
complete -c idpbuilder-build -l kube-context -d 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]' -r
complete -c idpbuilder-build -l no-dockerfile -d 'Pack a context as it is although there is a Dockerfile or Containerfile in its root; Dockerfiles are not built'
complete -c idpbuilder-build -l pull -d 'Ask the registry for BASE even if the local store has it'
complete -c idpbuilder-build -l no-healthcheck -d 'No health check, whatever the base has'
complete -c idpbuilder-build -l no-cache -d 'Read every file again instead of taking layers from earlier builds'
complete -c idpbuilder-build -l verify-reproducible -d 'Build the image a second time, from the files and in other conditions, and fail if it is another one'
complete -c idpbuilder-build -s q -l quiet -d 'Print the image id only; with --push, REPOSITORY@DIGEST'
complete -c idpbuilder-build -s v -l verbose -d 'Say more about each step'
complete -c idpbuilder-build -l list-context -d 'List what of the context would go into the image, and tell what each rule keeps and leaves out'
complete -c idpbuilder-build -l password-stdin -d 'Read the password from standard input'
complete -c idpbuilder-build -l plain-http -d 'Use http without TLS: everything can be read and changed on the way'
complete -c idpbuilder-build -s y -l yes -d 'Answer yes to questions'
complete -c idpbuilder-build -s h -l help -d 'Print help (see more with \'--help\')'
complete -c idpbuilder-build -s V -l version -d 'Print version'
