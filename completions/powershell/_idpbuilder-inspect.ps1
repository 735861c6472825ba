
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'idpbuilder-inspect' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'idpbuilder-inspect'
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
        'idpbuilder-inspect' {
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
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
