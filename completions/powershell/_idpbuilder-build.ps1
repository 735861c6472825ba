
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
            [CompletionResult]::new('-t', '-t', [CompletionResultType]::ParameterName, 'Name of the image; repeatable')
            [CompletionResult]::new('--tag', '--tag', [CompletionResultType]::ParameterName, 'Name of the image; repeatable')
            [CompletionResult]::new('--label', '--label', [CompletionResultType]::ParameterName, 'Label; repeatable')
            [CompletionResult]::new('--annotation', '--annotation', [CompletionResultType]::ParameterName, 'Annotation of the manifest; repeatable')
            [CompletionResult]::new('--ignorefile', '--ignorefile', [CompletionResultType]::ParameterName, 'Ignore file to use instead of the context''s own')
            [CompletionResult]::new('--exclude-file', '--exclude-file', [CompletionResultType]::ParameterName, 'Ignore file to use instead of the context''s own')
            [CompletionResult]::new('--exclude', '--exclude', [CompletionResultType]::ParameterName, 'Further pattern to leave out, after those of the ignore file; repeatable')
            [CompletionResult]::new('--platform', '--platform', [CompletionResultType]::ParameterName, 'Platform the image says it is for [default: Linux on this machine''s architecture; environment: DOCKER_DEFAULT_PLATFORM]')
            [CompletionResult]::new('--entrypoint', '--entrypoint', [CompletionResultType]::ParameterName, 'Command that always runs: a JSON array, or words as a shell splits them')
            [CompletionResult]::new('--cmd', '--cmd', [CompletionResultType]::ParameterName, 'Default arguments: a JSON array, or words as a shell splits them')
            [CompletionResult]::new('-e', '-e', [CompletionResultType]::ParameterName, 'Environment variable; without a value it is taken from this environment; repeatable')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Environment variable; without a value it is taken from this environment; repeatable')
            [CompletionResult]::new('--user', '--user', [CompletionResultType]::ParameterName, 'User and group the command runs as')
            [CompletionResult]::new('-w', '-w', [CompletionResultType]::ParameterName, 'Directory the command starts in')
            [CompletionResult]::new('--workdir', '--workdir', [CompletionResultType]::ParameterName, 'Directory the command starts in')
            [CompletionResult]::new('--expose', '--expose', [CompletionResultType]::ParameterName, 'Port the command listens on, or a range; repeatable')
            [CompletionResult]::new('--volume', '--volume', [CompletionResultType]::ParameterName, 'Path that holds data of its own; repeatable')
            [CompletionResult]::new('--stop-signal', '--stop-signal', [CompletionResultType]::ParameterName, 'Signal that asks the container to stop')
            [CompletionResult]::new('--healthcheck-cmd', '--healthcheck-cmd', [CompletionResultType]::ParameterName, 'Command that tells whether the container is healthy: a JSON array, text for its shell, or none')
            [CompletionResult]::new('--copy-to', '--copy-to', [CompletionResultType]::ParameterName, 'Where in the image the context lands')
            [CompletionResult]::new('--chown', '--chown', [CompletionResultType]::ParameterName, 'Owner of all files, as numbers')
            [CompletionResult]::new('--layers', '--layers', [CompletionResultType]::ParameterName, 'Into how many layers: `auto`, `single`, or at most so many; auto is one for less than 32 MiB, else about twenty')
            [CompletionResult]::new('--compression-format', '--compression-format', [CompletionResultType]::ParameterName, 'How the layers are compressed')
            [CompletionResult]::new('--compression', '--compression', [CompletionResultType]::ParameterName, 'How the layers are compressed')
            [CompletionResult]::new('--compression-level', '--compression-level', [CompletionResultType]::ParameterName, 'How hard: 1 to 12 for gzip, 1 to 19 for zstd, which takes up to 200 MiB of memory from 10 on [default: 6 and 3]')
            [CompletionResult]::new('--timestamp', '--timestamp', [CompletionResultType]::ParameterName, 'Time of all files and of the image, in seconds since 1970 [default: 1980-01-01; environment: SOURCE_DATE_EPOCH]')
            [CompletionResult]::new('--source-date-epoch', '--source-date-epoch', [CompletionResultType]::ParameterName, 'Time of all files and of the image, in seconds since 1970 [default: 1980-01-01; environment: SOURCE_DATE_EPOCH]')
            [CompletionResult]::new('--iidfile', '--iidfile', [CompletionResultType]::ParameterName, 'Write the image id to FILE')
            [CompletionResult]::new('--digestfile', '--digestfile', [CompletionResultType]::ParameterName, 'Write the manifest''s digest to FILE')
            [CompletionResult]::new('--digest-file', '--digest-file', [CompletionResultType]::ParameterName, 'Write the manifest''s digest to FILE')
            [CompletionResult]::new('--metadata-file', '--metadata-file', [CompletionResultType]::ParameterName, 'Write name, id and digest as JSON to FILE')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'How to show progress on standard error')
            [CompletionResult]::new('--store', '--store', [CompletionResultType]::ParameterName, 'Image store, an OCI image layout [default: ~/.idpbuilder/images; environment: IDPBUILDER_STORE]')
            [CompletionResult]::new('--no-cache', '--no-cache', [CompletionResultType]::ParameterName, 'Read every file again instead of taking layers from earlier builds')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print the image id only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print the image id only')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more about each step')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more about each step')
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
