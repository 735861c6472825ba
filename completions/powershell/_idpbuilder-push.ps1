
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'idpbuilder-push' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'idpbuilder-push'
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
        'idpbuilder-push' {
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
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
