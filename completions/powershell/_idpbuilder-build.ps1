
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'idpbuilder-build' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'idpbuilder-build'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'idpbuilder-build' {
            [CompletionResult]::new('--context', '--context', [CompletionResultType]::ParameterName, 'The same as CONTEXT')
            [CompletionResult]::new('--context-for', '--context-for', [CompletionResultType]::ParameterName, 'Directory to pack for one of several platforms, in place of CONTEXT; repeatable')
            [CompletionResult]::new('-t', '-t', [CompletionResultType]::ParameterName, 'Name of the image; repeatable')
            [CompletionResult]::new('--tag', '--tag', [CompletionResultType]::ParameterName, 'Name of the image; repeatable')
            [CompletionResult]::new('--from', '--from', [CompletionResultType]::ParameterName, 'Image to build on: a name of the local store or of a registry, oci:DIR[:NAME], oci-archive:FILE[:NAME], docker-archive:FILE[:NAME], or scratch')
            [CompletionResult]::new('--from-creds', '--from-creds', [CompletionResultType]::ParameterName, 'User name and password for the registry of BASE; without a password, IDPBUILDER_FROM_PASSWORD has it, or you are asked')
            [CompletionResult]::new('--rebase', '--rebase', [CompletionResultType]::ParameterName, 'Put the own layers of a stored image, which stands in CONTEXT''s place, on BASE: nothing is packed')
            [CompletionResult]::new('--old-base', '--old-base', [CompletionResultType]::ParameterName, 'The base that the image has, where its annotation does not tell; scratch means none')
            [CompletionResult]::new('--label', '--label', [CompletionResultType]::ParameterName, 'Label; repeatable')
            [CompletionResult]::new('--annotation', '--annotation', [CompletionResultType]::ParameterName, 'Annotation of the manifest; repeatable')
            [CompletionResult]::new('--ignorefile', '--ignorefile', [CompletionResultType]::ParameterName, 'Ignore file to use instead of the context''s own')
            [CompletionResult]::new('--exclude-file', '--exclude-file', [CompletionResultType]::ParameterName, 'Ignore file to use instead of the context''s own')
            [CompletionResult]::new('--exclude', '--exclude', [CompletionResultType]::ParameterName, 'Further pattern to leave out, after those of the ignore file; repeatable')
            [CompletionResult]::new('--platform', '--platform', [CompletionResultType]::ParameterName, 'Platform the image says it is for, or several with commas between them, which make an index of an image each [default: Linux on this machine''s architecture; environment: DOCKER_DEFAULT_PLATFORM]')
            [CompletionResult]::new('--entrypoint', '--entrypoint', [CompletionResultType]::ParameterName, 'Command that always runs: a JSON array, or words as a shell splits them; [] takes that of the base away')
            [CompletionResult]::new('--cmd', '--cmd', [CompletionResultType]::ParameterName, 'Default arguments: a JSON array, or words as a shell splits them; [] takes those of the base away')
            [CompletionResult]::new('-e', '-e', [CompletionResultType]::ParameterName, 'Environment variable; without a value it is taken from this environment; repeatable')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment variable; without a value it is taken from this environment; repeatable')
            [CompletionResult]::new('--user', '--user', [CompletionResultType]::ParameterName, 'User and group the command runs as')
            [CompletionResult]::new('-w', '-w', [CompletionResultType]::ParameterName, 'Directory the command starts in')
            [CompletionResult]::new('--workdir', '--workdir', [CompletionResultType]::ParameterName, 'Directory the command starts in')
            [CompletionResult]::new('--expose', '--expose', [CompletionResultType]::ParameterName, 'Port the command listens on, or a range; repeatable')
            [CompletionResult]::new('--volume', '--volume', [CompletionResultType]::ParameterName, 'Path that holds data of its own; repeatable')
            [CompletionResult]::new('--stop-signal', '--stop-signal', [CompletionResultType]::ParameterName, 'Signal that asks the container to stop')
            [CompletionResult]::new('--healthcheck-cmd', '--healthcheck-cmd', [CompletionResultType]::ParameterName, 'Command that tells whether the container is healthy: a JSON array, text for its shell, or none')
            [CompletionResult]::new('--health-cmd', '--health-cmd', [CompletionResultType]::ParameterName, 'Command that tells whether the container is healthy: a JSON array, text for its shell, or none')
            [CompletionResult]::new('--healthcheck-interval', '--healthcheck-interval', [CompletionResultType]::ParameterName, 'Time between two checks, for example 30s or 1m30s')
            [CompletionResult]::new('--health-interval', '--health-interval', [CompletionResultType]::ParameterName, 'Time between two checks, for example 30s or 1m30s')
            [CompletionResult]::new('--healthcheck-timeout', '--healthcheck-timeout', [CompletionResultType]::ParameterName, 'Longest time that a check may take')
            [CompletionResult]::new('--health-timeout', '--health-timeout', [CompletionResultType]::ParameterName, 'Longest time that a check may take')
            [CompletionResult]::new('--healthcheck-start-period', '--healthcheck-start-period', [CompletionResultType]::ParameterName, 'Time to start up, in which a check that fails does not count')
            [CompletionResult]::new('--health-start-period', '--health-start-period', [CompletionResultType]::ParameterName, 'Time to start up, in which a check that fails does not count')
            [CompletionResult]::new('--healthcheck-start-interval', '--healthcheck-start-interval', [CompletionResultType]::ParameterName, 'Time between two checks while the container starts up')
            [CompletionResult]::new('--health-start-interval', '--health-start-interval', [CompletionResultType]::ParameterName, 'Time between two checks while the container starts up')
            [CompletionResult]::new('--healthcheck-retries', '--healthcheck-retries', [CompletionResultType]::ParameterName, 'Checks that have to fail one after the other until the container is unhealthy')
            [CompletionResult]::new('--health-retries', '--health-retries', [CompletionResultType]::ParameterName, 'Checks that have to fail one after the other until the container is unhealthy')
            [CompletionResult]::new('--copy-to', '--copy-to', [CompletionResultType]::ParameterName, 'Where in the image the context lands')
            [CompletionResult]::new('--chown', '--chown', [CompletionResultType]::ParameterName, 'Owner of all files, as numbers')
            [CompletionResult]::new('--chmod', '--chmod', [CompletionResultType]::ParameterName, 'Permissions of all files and directories alike, in octal, as docker''s COPY --chmod')
            [CompletionResult]::new('--copy', '--copy', [CompletionResultType]::ParameterName, 'Further file, or the content of a directory, in layers over the context''s; repeatable, later ones win. DEST is an absolute path of the image, through the links of the layers below: for a file its new name, or the directory if it is one or ends with a slash. A directory''s own ignore file counts, --exclude and --ignorefile do not. Without CONTEXT there is no context then')
            [CompletionResult]::new('--add-tar', '--add-tar', [CompletionResultType]::ParameterName, 'Tar archive, plain or compressed with gzip or zstd, as a layer over all others; `-` is standard input; repeatable, later ones win. DEST is an absolute directory of the image. Entries get the owner and the time of all files, and --chmod''s permissions, unless `keep` is given. Without CONTEXT there is no context then')
            [CompletionResult]::new('--layers', '--layers', [CompletionResultType]::ParameterName, 'Into how many layers: `auto`, `single`, or at most so many; auto is one for less than 32 MiB, else about twenty')
            [CompletionResult]::new('--compression-format', '--compression-format', [CompletionResultType]::ParameterName, 'How the layers are compressed')
            [CompletionResult]::new('--compression', '--compression', [CompletionResultType]::ParameterName, 'How the layers are compressed')
            [CompletionResult]::new('--compression-level', '--compression-level', [CompletionResultType]::ParameterName, 'How hard: 1 to 12 for gzip, 1 to 19 for zstd [default: 1 and 3]')
            [CompletionResult]::new('--timestamp', '--timestamp', [CompletionResultType]::ParameterName, 'Time of all files and of the image, in seconds since 1970 [default: 1980-01-01; environment: SOURCE_DATE_EPOCH]')
            [CompletionResult]::new('--source-date-epoch', '--source-date-epoch', [CompletionResultType]::ParameterName, 'Time of all files and of the image, in seconds since 1970 [default: 1980-01-01; environment: SOURCE_DATE_EPOCH]')
            [CompletionResult]::new('--iidfile', '--iidfile', [CompletionResultType]::ParameterName, 'Write the image id to FILE')
            [CompletionResult]::new('--digestfile', '--digestfile', [CompletionResultType]::ParameterName, 'Write the manifest''s digest to FILE')
            [CompletionResult]::new('--digest-file', '--digest-file', [CompletionResultType]::ParameterName, 'Write the manifest''s digest to FILE')
            [CompletionResult]::new('--metadata-file', '--metadata-file', [CompletionResultType]::ParameterName, 'Write name, id and digest as JSON to FILE')
            [CompletionResult]::new('--push', '--push', [CompletionResultType]::ParameterName, 'Push the image while it is built, to DEST, a reference or a registry alone; repeatable [default of DEST: where the image''s names say]. Without -t, the first reference is the image''s name too')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'How to show progress on standard error')
            [CompletionResult]::new('--store', '--store', [CompletionResultType]::ParameterName, 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]')
            [CompletionResult]::new('--explain', '--explain', [CompletionResultType]::ParameterName, 'Say whether PATH of the context would go into the image and which rule decides; repeatable')
            [CompletionResult]::new('--sort', '--sort', [CompletionResultType]::ParameterName, 'Order of the list')
            [CompletionResult]::new('--retry', '--retry', [CompletionResultType]::ParameterName, 'Times to try again without any progress between them')
            [CompletionResult]::new('--retry-delay', '--retry-delay', [CompletionResultType]::ParameterName, 'Longest wait before the first of them; it doubles with each, up to 30s [default: 500ms]')
            [CompletionResult]::new('--stall-timeout', '--stall-timeout', [CompletionResultType]::ParameterName, 'Give a connection up on which no byte moved for so long, while there were some to move [default: 60s]')
            [CompletionResult]::new('--wait-for-registry', '--wait-for-registry', [CompletionResultType]::ParameterName, 'Wait up to TIME for a registry that is away, 0 not at all [default: 2m, once it has answered]')
            [CompletionResult]::new('--limit-rate', '--limit-rate', [CompletionResultType]::ParameterName, 'Move no more than RATE bytes a second, either way, in all transfers together')
            [CompletionResult]::new('--limit-requests', '--limit-requests', [CompletionResultType]::ParameterName, 'Send no more than N requests a second')
            [CompletionResult]::new('--trace', '--trace', [CompletionResultType]::ParameterName, 'Write every HTTP exchange into FILE as a line of JSON, without secrets')
            [CompletionResult]::new('--blobs-from', '--blobs-from', [CompletionResultType]::ParameterName, 'Follow the registry to HOST for its blobs, even without TLS or at an internal address; no credential goes there, and every blob that is read is checked by its digest; repeatable')
            [CompletionResult]::new('--registry', '--registry', [CompletionResultType]::ParameterName, 'Registry to use for a reference without one; a scheme is accepted and dropped [environment: IDPBUILDER_REGISTRY]')
            [CompletionResult]::new('-u', '-u', [CompletionResultType]::ParameterName, 'User name')
            [CompletionResult]::new('--username', '--username', [CompletionResultType]::ParameterName, 'User name')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'Password or token; visible to other users of this machine, so prefer --password-stdin')
            [CompletionResult]::new('--password', '--password', [CompletionResultType]::ParameterName, 'Password or token; visible to other users of this machine, so prefer --password-stdin')
            [CompletionResult]::new('--creds', '--creds', [CompletionResultType]::ParameterName, 'User name and password in one, for the destination alone (without one, for the base)')
            [CompletionResult]::new('--authfile', '--authfile', [CompletionResultType]::ParameterName, 'Credentials file of Docker''s form, before Docker''s and the containers tools'' own [environment: REGISTRY_AUTH_FILE]')
            [CompletionResult]::new('--ca-file', '--ca-file', [CompletionResultType]::ParameterName, 'File with trusted certificates (PEM): authorities, or the registry''s own self-signed certificate')
            [CompletionResult]::new('--cert-dir', '--cert-dir', [CompletionResultType]::ParameterName, 'Directory with *.crt to trust and *.cert with *.key to show to the registry')
            [CompletionResult]::new('--insecure', '--insecure', [CompletionResultType]::ParameterName, 'Do not verify the certificate of the registry, or of HOST alone (still TLS); asks first on a terminal')
            [CompletionResult]::new('--tls-verify', '--tls-verify', [CompletionResultType]::ParameterName, '--tls-verify=false is the same as --insecure')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'Longest wait for an answer of the registry [default: 10m]; a short one also limits the wait for a connection and for the next byte')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]')
            [CompletionResult]::new('--cluster-name', '--cluster-name', [CompletionResultType]::ParameterName, 'Name that idpbuilder gave the cluster: the context kind-NAME')
            [CompletionResult]::new('--kube-context', '--kube-context', [CompletionResultType]::ParameterName, 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]')
            [CompletionResult]::new('--no-dockerfile', '--no-dockerfile', [CompletionResultType]::ParameterName, 'Pack a context as it is although there is a Dockerfile or Containerfile in its root; Dockerfiles are not built')
            [CompletionResult]::new('--pull', '--pull', [CompletionResultType]::ParameterName, 'Ask the registry for BASE even if the local store has it')
            [CompletionResult]::new('--no-healthcheck', '--no-healthcheck', [CompletionResultType]::ParameterName, 'No health check, whatever the base has')
            [CompletionResult]::new('--no-cache', '--no-cache', [CompletionResultType]::ParameterName, 'Read every file again instead of taking layers from earlier builds')
            [CompletionResult]::new('--verify-reproducible', '--verify-reproducible', [CompletionResultType]::ParameterName, 'Build the image a second time, from the files and in other conditions, and fail if it is another one')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print the image id only; with --push, REPOSITORY@DIGEST')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print the image id only; with --push, REPOSITORY@DIGEST')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more about each step')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more about each step')
            [CompletionResult]::new('--list-context', '--list-context', [CompletionResultType]::ParameterName, 'List what of the context would go into the image, and tell what each rule keeps and leaves out')
            [CompletionResult]::new('--password-stdin', '--password-stdin', [CompletionResultType]::ParameterName, 'Read the password from standard input')
            [CompletionResult]::new('--plain-http', '--plain-http', [CompletionResultType]::ParameterName, 'Use http without TLS: everything can be read and changed on the way')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Answer yes to questions')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Answer yes to questions')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
