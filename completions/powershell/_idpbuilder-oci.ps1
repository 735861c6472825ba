
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'idpbuilder-oci' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'idpbuilder-oci'
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
        'idpbuilder-oci' {
            [CompletionResult]::new('--list', '--list', [CompletionResultType]::ParameterName, 'List the applets, one a line')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('build', 'build', [CompletionResultType]::ParameterValue, 'Build an image from a directory')
            [CompletionResult]::new('push', 'push', [CompletionResultType]::ParameterValue, 'Push a stored image to a registry')
            [CompletionResult]::new('pull', 'pull', [CompletionResultType]::ParameterValue, 'Pull an image from a registry into the local store')
            [CompletionResult]::new('tag', 'tag', [CompletionResultType]::ParameterValue, 'Give further names to a stored image')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List the images in the local store')
            [CompletionResult]::new('inspect', 'inspect', [CompletionResultType]::ParameterValue, 'Look inside a stored image')
            [CompletionResult]::new('index', 'index', [CompletionResultType]::ParameterValue, 'Make and change indexes: one name for an image each platform')
            [CompletionResult]::new('rm', 'rm', [CompletionResultType]::ParameterValue, 'Remove images from the local store')
            [CompletionResult]::new('save', 'save', [CompletionResultType]::ParameterValue, 'Save images as one file')
            [CompletionResult]::new('load', 'load', [CompletionResultType]::ParameterValue, 'Load images from an archive into the local store')
            [CompletionResult]::new('serve', 'serve', [CompletionResultType]::ParameterValue, 'Serve the local store as a registry')
            [CompletionResult]::new('trust', 'trust', [CompletionResultType]::ParameterValue, 'Keep, show and remove the certificates that registries are trusted by')
            [CompletionResult]::new('login', 'login', [CompletionResultType]::ParameterValue, 'Keep a login for a registry, after the registry accepted it')
            [CompletionResult]::new('logout', 'logout', [CompletionResultType]::ParameterValue, 'Forget the login for a registry')
            [CompletionResult]::new('doctor', 'doctor', [CompletionResultType]::ParameterValue, 'Check every step from here to a pushed image')
            [CompletionResult]::new('credential', 'credential', [CompletionResultType]::ParameterValue, 'Answer docker, podman and skopeo who they are to a registry')
            [CompletionResult]::new('install', 'install', [CompletionResultType]::ParameterValue, 'Make a link for every applet, and have Docker and Podman ask our credential helper')
            [CompletionResult]::new('uninstall', 'uninstall', [CompletionResultType]::ParameterValue, 'Remove the links that install made, and have Docker and Podman ask our credential helper no more')
            [CompletionResult]::new('generate', 'generate', [CompletionResultType]::ParameterValue, 'Write shell completions and man pages')
            break
        }
        'idpbuilder-oci;build' {
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
            break
        }
        'idpbuilder-oci;push' {
            [CompletionResult]::new('-j', '-j', [CompletionResultType]::ParameterName, 'Blobs to send at the same time')
            [CompletionResult]::new('--jobs', '--jobs', [CompletionResultType]::ParameterName, 'Blobs to send at the same time')
            [CompletionResult]::new('--chunk-size', '--chunk-size', [CompletionResultType]::ParameterName, 'Send no more than this in one request, 64 KiB at least [default: what takes about 5s, up to 512 MiB]')
            [CompletionResult]::new('--wait', '--wait', [CompletionResultType]::ParameterName, 'Pull the image without a credential, every blob to its end, until that works, at most for TIME; nothing of it is kept [default of TIME: 60s]')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'How to print what was done, or would be')
            [CompletionResult]::new('--digestfile', '--digestfile', [CompletionResultType]::ParameterName, 'Write the manifest''s digest to FILE')
            [CompletionResult]::new('--digest-file', '--digest-file', [CompletionResultType]::ParameterName, 'Write the manifest''s digest to FILE')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'How to show progress on standard error')
            [CompletionResult]::new('--store', '--store', [CompletionResultType]::ParameterName, 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]')
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
            [CompletionResult]::new('--context', '--context', [CompletionResultType]::ParameterName, 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]')
            [CompletionResult]::new('--cluster-name', '--cluster-name', [CompletionResultType]::ParameterName, 'Name that idpbuilder gave the cluster: the context kind-NAME')
            [CompletionResult]::new('--verify', '--verify', [CompletionResultType]::ParameterName, 'Read everything back from the registry in the end and compare the digests')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be skipped, mounted and uploaded, and whether it would be permitted; send nothing')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print REPOSITORY@DIGEST only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print REPOSITORY@DIGEST only')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more about each step')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more about each step')
            [CompletionResult]::new('--password-stdin', '--password-stdin', [CompletionResultType]::ParameterName, 'Read the password from standard input')
            [CompletionResult]::new('--plain-http', '--plain-http', [CompletionResultType]::ParameterName, 'Use http without TLS: everything can be read and changed on the way')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Answer yes to questions')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Answer yes to questions')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'idpbuilder-oci;pull' {
            [CompletionResult]::new('-t', '-t', [CompletionResultType]::ParameterName, 'Name in the local store [default: IMAGE]')
            [CompletionResult]::new('--tag', '--tag', [CompletionResultType]::ParameterName, 'Name in the local store [default: IMAGE]')
            [CompletionResult]::new('--platform', '--platform', [CompletionResultType]::ParameterName, 'Platform to take out of an index [default: Linux on this machine''s architecture]')
            [CompletionResult]::new('-j', '-j', [CompletionResultType]::ParameterName, 'Blobs to fetch at the same time')
            [CompletionResult]::new('--jobs', '--jobs', [CompletionResultType]::ParameterName, 'Blobs to fetch at the same time')
            [CompletionResult]::new('--digestfile', '--digestfile', [CompletionResultType]::ParameterName, 'Write the manifest''s digest to FILE')
            [CompletionResult]::new('--digest-file', '--digest-file', [CompletionResultType]::ParameterName, 'Write the manifest''s digest to FILE')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'How to show progress on standard error')
            [CompletionResult]::new('--store', '--store', [CompletionResultType]::ParameterName, 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]')
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
            [CompletionResult]::new('--context', '--context', [CompletionResultType]::ParameterName, 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]')
            [CompletionResult]::new('--cluster-name', '--cluster-name', [CompletionResultType]::ParameterName, 'Name that idpbuilder gave the cluster: the context kind-NAME')
            [CompletionResult]::new('--all-platforms', '--all-platforms', [CompletionResultType]::ParameterName, 'Keep every platform of an index')
            [CompletionResult]::new('--verify', '--verify', [CompletionResultType]::ParameterName, 'Read the blobs that the store has, also where their files did not change since they were written')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print REPOSITORY@DIGEST only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print REPOSITORY@DIGEST only')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more about each step')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more about each step')
            [CompletionResult]::new('--password-stdin', '--password-stdin', [CompletionResultType]::ParameterName, 'Read the password from standard input')
            [CompletionResult]::new('--plain-http', '--plain-http', [CompletionResultType]::ParameterName, 'Use http without TLS: everything can be read and changed on the way')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Answer yes to questions')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Answer yes to questions')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'idpbuilder-oci;tag' {
            [CompletionResult]::new('--store', '--store', [CompletionResultType]::ParameterName, 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print nothing')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'idpbuilder-oci;list' {
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'table, json, yaml, a template, or `table` and a template')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'json, table or yaml')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'json, table or yaml')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'reference=PATTERN, label=KEY[=VALUE] or dangling=true|false; all given must hold')
            [CompletionResult]::new('--filter', '--filter', [CompletionResultType]::ParameterName, 'reference=PATTERN, label=KEY[=VALUE] or dangling=true|false; all given must hold')
            [CompletionResult]::new('--store', '--store', [CompletionResultType]::ParameterName, 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]')
            [CompletionResult]::new('--digests', '--digests', [CompletionResultType]::ParameterName, 'Show digests')
            [CompletionResult]::new('--no-trunc', '--no-trunc', [CompletionResultType]::ParameterName, 'Show ids and digests whole')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print ids only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print ids only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'idpbuilder-oci;inspect' {
            [CompletionResult]::new('--diff', '--diff', [CompletionResultType]::ParameterName, 'Show how IMAGE differs from FIRST: paths, and fields of the configuration')
            [CompletionResult]::new('--layer', '--layer', [CompletionResultType]::ParameterName, 'Only files of this layer: its number (the first is 1), or the start of its digest')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'table, json, yaml, a template, or `table` and a template')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'json, table or yaml')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'json, table or yaml')
            [CompletionResult]::new('--platform', '--platform', [CompletionResultType]::ParameterName, 'Platform to take out of an index')
            [CompletionResult]::new('--store', '--store', [CompletionResultType]::ParameterName, 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Print the image configuration as it is stored')
            [CompletionResult]::new('--manifest', '--manifest', [CompletionResultType]::ParameterName, 'Print the manifest as it is stored')
            [CompletionResult]::new('--history', '--history', [CompletionResultType]::ParameterName, 'Show how the image came to be')
            [CompletionResult]::new('--layers', '--layers', [CompletionResultType]::ParameterName, 'Show the layers')
            [CompletionResult]::new('--files', '--files', [CompletionResultType]::ParameterName, 'List the files in the layers')
            [CompletionResult]::new('--no-trunc', '--no-trunc', [CompletionResultType]::ParameterName, 'Show digests whole')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'idpbuilder-oci;index' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('create', 'create', [CompletionResultType]::ParameterValue, 'Make an index of images; of an IMAGE that is an index, all its images are taken')
            [CompletionResult]::new('add', 'add', [CompletionResultType]::ParameterValue, 'Add images to an index, in place of those for the same platform')
            [CompletionResult]::new('rm', 'rm', [CompletionResultType]::ParameterValue, 'Remove images from an index; the store keeps them until it is pruned')
            [CompletionResult]::new('remove', 'remove', [CompletionResultType]::ParameterValue, 'Remove images from an index; the store keeps them until it is pruned')
            break
        }
        'idpbuilder-oci;index;create' {
            [CompletionResult]::new('--store', '--store', [CompletionResultType]::ParameterName, 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print the digest only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print the digest only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'idpbuilder-oci;index;add' {
            [CompletionResult]::new('--store', '--store', [CompletionResultType]::ParameterName, 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print the digest only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print the digest only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'idpbuilder-oci;index;rm' {
            [CompletionResult]::new('--store', '--store', [CompletionResultType]::ParameterName, 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print the digest only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print the digest only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'idpbuilder-oci;index;remove' {
            [CompletionResult]::new('--store', '--store', [CompletionResultType]::ParameterName, 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print the digest only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print the digest only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'idpbuilder-oci;rm' {
            [CompletionResult]::new('--lock-timeout', '--lock-timeout', [CompletionResultType]::ParameterName, 'Longest wait for other commands that use the store')
            [CompletionResult]::new('--store', '--store', [CompletionResultType]::ParameterName, 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Do not ask, do not mind images that are not there, and remove all that an id fits, under all names')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Do not ask, do not mind images that are not there, and remove all that an id fits, under all names')
            [CompletionResult]::new('-a', '-a', [CompletionResultType]::ParameterName, 'Remove every image')
            [CompletionResult]::new('--all', '--all', [CompletionResultType]::ParameterName, 'Remove every image')
            [CompletionResult]::new('--prune', '--prune', [CompletionResultType]::ParameterName, 'Then free the space of everything that no name reaches')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print nothing')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print nothing')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'idpbuilder-oci;save' {
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'File to write; - is standard output [default: standard output, when it is not a terminal]')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'File to write; - is standard output [default: standard output, when it is not a terminal]')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Kind of archive')
            [CompletionResult]::new('--platform', '--platform', [CompletionResultType]::ParameterName, 'Platform to take out of an index')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'How to show progress on standard error')
            [CompletionResult]::new('--store', '--store', [CompletionResultType]::ParameterName, 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more about each step')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more about each step')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'idpbuilder-oci;load' {
            [CompletionResult]::new('-i', '-i', [CompletionResultType]::ParameterName, 'File or image layout (a directory) to read; - is standard input [default: standard input]')
            [CompletionResult]::new('--input', '--input', [CompletionResultType]::ParameterName, 'File or image layout (a directory) to read; - is standard input [default: standard input]')
            [CompletionResult]::new('--platform', '--platform', [CompletionResultType]::ParameterName, 'Keep one image of each index, the one for this platform')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'How to show progress on standard error')
            [CompletionResult]::new('--store', '--store', [CompletionResultType]::ParameterName, 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print names only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print names only')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more about each step')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more about each step')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'idpbuilder-oci;serve' {
            [CompletionResult]::new('--listen', '--listen', [CompletionResultType]::ParameterName, 'Address to listen on; port 0 takes a free one')
            [CompletionResult]::new('--tls-name', '--tls-name', [CompletionResultType]::ParameterName, 'Further name in the self-signed certificate; repeatable')
            [CompletionResult]::new('--tls-cert-out', '--tls-cert-out', [CompletionResultType]::ParameterName, 'Write the self-signed certificate to FILE (PEM), for clients to trust')
            [CompletionResult]::new('--tls-cert', '--tls-cert', [CompletionResultType]::ParameterName, 'Use TLS with this certificate chain (PEM)')
            [CompletionResult]::new('--tls-key', '--tls-key', [CompletionResultType]::ParameterName, 'Private key of --tls-cert (PEM)')
            [CompletionResult]::new('--htpasswd', '--htpasswd', [CompletionResultType]::ParameterName, 'Ask for a login found in FILE (bcrypt, as `htpasswd -B` writes it)')
            [CompletionResult]::new('--storage', '--storage', [CompletionResultType]::ParameterName, 'The same as --store')
            [CompletionResult]::new('--store', '--store', [CompletionResultType]::ParameterName, 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]')
            [CompletionResult]::new('--tls', '--tls', [CompletionResultType]::ParameterName, 'Use TLS with a self-signed certificate made for this run')
            [CompletionResult]::new('--read-only', '--read-only', [CompletionResultType]::ParameterName, 'Refuse pushes and deletions')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print the address only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print the address only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'idpbuilder-oci;trust' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List the kept certificates')
            [CompletionResult]::new('show', 'show', [CompletionResultType]::ParameterValue, 'Show who is trusted for HOST, what HOST shows now, and whether and why that is accepted')
            [CompletionResult]::new('add', 'add', [CompletionResultType]::ParameterValue, 'Trust a certificate for HOST, in place of the one added before')
            [CompletionResult]::new('remove', 'remove', [CompletionResultType]::ParameterValue, 'Remove what was added for HOST')
            [CompletionResult]::new('install', 'install', [CompletionResultType]::ParameterValue, 'Give what was added for HOST to other programs, or take it back')
            break
        }
        'idpbuilder-oci;trust;list' {
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'How to print')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]')
            [CompletionResult]::new('--context', '--context', [CompletionResultType]::ParameterName, 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]')
            [CompletionResult]::new('--cluster-name', '--cluster-name', [CompletionResultType]::ParameterName, 'Name that idpbuilder gave the cluster: the context kind-NAME')
            [CompletionResult]::new('--all', '--all', [CompletionResultType]::ParameterName, 'All that is trusted: also what podman''s and docker''s directories and the cluster have, and how many roots the system has')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'idpbuilder-oci;trust;show' {
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'How to print')
            [CompletionResult]::new('--ca-file', '--ca-file', [CompletionResultType]::ParameterName, 'File with trusted certificates (PEM), as other commands take it')
            [CompletionResult]::new('--cert-dir', '--cert-dir', [CompletionResultType]::ParameterName, 'Directory with *.crt to trust and *.cert with *.key to show to the registry')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]')
            [CompletionResult]::new('--context', '--context', [CompletionResultType]::ParameterName, 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]')
            [CompletionResult]::new('--cluster-name', '--cluster-name', [CompletionResultType]::ParameterName, 'Name that idpbuilder gave the cluster: the context kind-NAME')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'idpbuilder-oci;trust;add' {
            [CompletionResult]::new('--fingerprint', '--fingerprint', [CompletionResultType]::ParameterName, 'SHA-256 of the certificate''s DER form; answers the question of --from-server')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]')
            [CompletionResult]::new('--context', '--context', [CompletionResultType]::ParameterName, 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]')
            [CompletionResult]::new('--cluster-name', '--cluster-name', [CompletionResultType]::ParameterName, 'Name that idpbuilder gave the cluster: the context kind-NAME')
            [CompletionResult]::new('--from-server', '--from-server', [CompletionResultType]::ParameterName, 'Trust the certificate that the registry shows now, after you compared its fingerprint')
            [CompletionResult]::new('--from-cluster', '--from-cluster', [CompletionResultType]::ParameterName, 'Trust the certificate that the cluster says its registry has')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'idpbuilder-oci;trust;remove' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'idpbuilder-oci;trust;install' {
            [CompletionResult]::new('--root', '--root', [CompletionResultType]::ParameterName, 'Directory instead of / for what belongs to the system')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]')
            [CompletionResult]::new('--context', '--context', [CompletionResultType]::ParameterName, 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]')
            [CompletionResult]::new('--cluster-name', '--cluster-name', [CompletionResultType]::ParameterName, 'Name that idpbuilder gave the cluster: the context kind-NAME')
            [CompletionResult]::new('--docker', '--docker', [CompletionResultType]::ParameterName, 'For the Docker daemon: /etc/docker/certs.d')
            [CompletionResult]::new('--podman', '--podman', [CompletionResultType]::ParameterName, 'For this user''s podman, skopeo and buildah: ~/.config/containers/certs.d')
            [CompletionResult]::new('--containerd', '--containerd', [CompletionResultType]::ParameterName, 'For containerd: /etc/containerd/certs.d, with a hosts.toml')
            [CompletionResult]::new('--system', '--system', [CompletionResultType]::ParameterName, 'For every program of this system, and then for every host that the certificate''s key signs for; asks first')
            [CompletionResult]::new('--undo', '--undo', [CompletionResultType]::ParameterName, 'Remove what install wrote; files that were changed since, or are not its own, stay')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be done and do nothing')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Answer yes to questions')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Answer yes to questions')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'idpbuilder-oci;login' {
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
            [CompletionResult]::new('--context', '--context', [CompletionResultType]::ParameterName, 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]')
            [CompletionResult]::new('--cluster-name', '--cluster-name', [CompletionResultType]::ParameterName, 'Name that idpbuilder gave the cluster: the context kind-NAME')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more about each step')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more about each step')
            [CompletionResult]::new('--password-stdin', '--password-stdin', [CompletionResultType]::ParameterName, 'Read the password from standard input')
            [CompletionResult]::new('--plain-http', '--plain-http', [CompletionResultType]::ParameterName, 'Use http without TLS: everything can be read and changed on the way')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Answer yes to questions')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Answer yes to questions')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'idpbuilder-oci;logout' {
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]')
            [CompletionResult]::new('--context', '--context', [CompletionResultType]::ParameterName, 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]')
            [CompletionResult]::new('--cluster-name', '--cluster-name', [CompletionResultType]::ParameterName, 'Name that idpbuilder gave the cluster: the context kind-NAME')
            [CompletionResult]::new('-a', '-a', [CompletionResultType]::ParameterName, 'Forget every login')
            [CompletionResult]::new('--all', '--all', [CompletionResultType]::ParameterName, 'Forget every login')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'idpbuilder-oci;doctor' {
            [CompletionResult]::new('--repository', '--repository', [CompletionResultType]::ParameterName, 'Repository to try a push for [default: OWNER/idpbuilder-doctor]')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'How to print')
            [CompletionResult]::new('--store', '--store', [CompletionResultType]::ParameterName, 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]')
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
            [CompletionResult]::new('--context', '--context', [CompletionResultType]::ParameterName, 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]')
            [CompletionResult]::new('--cluster-name', '--cluster-name', [CompletionResultType]::ParameterName, 'Name that idpbuilder gave the cluster: the context kind-NAME')
            [CompletionResult]::new('--deep', '--deep', [CompletionResultType]::ParameterName, 'Hash every blob of the store; takes as long as reading them')
            [CompletionResult]::new('--repair', '--repair', [CompletionResultType]::ParameterName, 'Repair the store and do nothing else: what can be read is kept, damaged files are renamed')
            [CompletionResult]::new('--settings', '--settings', [CompletionResultType]::ParameterName, 'Print the settings with their sources and nothing else')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more about each step')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more about each step')
            [CompletionResult]::new('--password-stdin', '--password-stdin', [CompletionResultType]::ParameterName, 'Read the password from standard input')
            [CompletionResult]::new('--plain-http', '--plain-http', [CompletionResultType]::ParameterName, 'Use http without TLS: everything can be read and changed on the way')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Answer yes to questions')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Answer yes to questions')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'idpbuilder-oci;credential' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'idpbuilder-oci;install' {
            [CompletionResult]::new('--dir', '--dir', [CompletionResultType]::ParameterName, 'Directory of the links [default: the executable''s own]')
            [CompletionResult]::new('--registry', '--registry', [CompletionResultType]::ParameterName, 'Registry that they ask our helper for; can be repeated [default: the cluster''s, by every name it can have]')
            [CompletionResult]::new('--kubeconfig', '--kubeconfig', [CompletionResultType]::ParameterName, 'Kubeconfig [environment: KUBECONFIG] [default: ~/.kube/config]')
            [CompletionResult]::new('--context', '--context', [CompletionResultType]::ParameterName, 'Context of the kubeconfig [default: kind-localdev, else the current one or the one that serves Localbuilds]')
            [CompletionResult]::new('--cluster-name', '--cluster-name', [CompletionResultType]::ParameterName, 'Name that idpbuilder gave the cluster: the context kind-NAME')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be done, with a diff of other programs'' files, and do nothing')
            [CompletionResult]::new('--docker', '--docker', [CompletionResultType]::ParameterName, 'Docker: credHelpers in config.json [environment: DOCKER_CONFIG] [default: ~/.docker]')
            [CompletionResult]::new('--podman', '--podman', [CompletionResultType]::ParameterName, 'Podman, skopeo and buildah: credHelpers in auth.json [environment: REGISTRY_AUTH_FILE] [default: ~/.config/containers, and the runtime directory''s where there is one]')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace the helpers that others have set for these registries')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'idpbuilder-oci;uninstall' {
            [CompletionResult]::new('--dir', '--dir', [CompletionResultType]::ParameterName, 'Directory of the links [default: the executable''s own]')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be done, with a diff of other programs'' files, and do nothing')
            [CompletionResult]::new('--docker', '--docker', [CompletionResultType]::ParameterName, 'Docker: credHelpers in config.json [environment: DOCKER_CONFIG] [default: ~/.docker]')
            [CompletionResult]::new('--podman', '--podman', [CompletionResultType]::ParameterName, 'Podman, skopeo and buildah: credHelpers in auth.json [environment: REGISTRY_AUTH_FILE] [default: ~/.config/containers, and the runtime directory''s where there is one]')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'idpbuilder-oci;generate' {
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Print the paths only')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
