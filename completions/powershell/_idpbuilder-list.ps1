
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'idpbuilder-list' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'idpbuilder-list'
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
        'idpbuilder-list' {
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
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
